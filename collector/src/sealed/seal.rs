//! Old months are sealed: their entries are found in the archive, one by one, then the ledger says so, and then those go that the
//! database does not need. Whoever is killed runs it again.

use std::collections::BTreeSet;

use super::Failure;
use super::archive::Archived;
use super::beside::beside;
use crate::ledger::Ledger;
use crate::ledger::sealing::FORGETTING;
use crate::pause;
use crate::store::entry::{EntryId, Hash, Kind};
use crate::store::months::{Closed, Month};
use crate::store::sealing::{Piece, Pin, Said, Sealed, State, counts_in};
use crate::store::{Dimension, Each, Head, Reader, Selection, Store, StoreError, WrittenEntry};

/// Entries of one transaction: small enough that whoever else writes does not wait long.
const AT_ONCE: usize = 1000;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The first month that stays.
    pub before: Month,
    /// The archive, by its whole name.
    pub place: String,
    /// The address of its object store.
    pub endpoint: Option<String>,
    /// Who asks.
    pub who: String,
    /// Why.
    pub reason: String,
}

/// What is to be sealed.
#[derive(Debug)]
pub struct Plan {
    was: State,
    /// All that is sealed then counts before this month.
    before: Month,
    closed: Closed,
    /// The last entry of each chain that is to be sealed, as far as there are any.
    ends: Vec<EntryId>,
    /// Of each chain the first entry that counts later, if anything counts before.
    stays: Vec<EntryId>,
}

impl Plan {
    /// How many entries are to be sealed that are not yet.
    pub fn entries(&self) -> u64 {
        let new = |end: &EntryId| {
            let before = self.end_of(end.writer).map_or(0, |sealed| sealed.end.entry.number);
            end.number.saturating_sub(before).unsigned_abs()
        };
        self.ends.iter().map(new).fold(0, u64::saturating_add)
    }

    /// The first entry that counts later, which stays with all that is behind it, if anything counts before.
    pub fn first_that_stays(&self) -> Option<EntryId> {
        self.stays.first().copied()
    }

    /// The last entry of each chain that is to be sealed.
    pub fn ends(&self) -> &[EntryId] {
        &self.ends
    }

    fn end_of(&self, writer: i64) -> Option<&Sealed> {
        self.was.sealed.iter().find(|sealed| sealed.end.entry.writer == writer)
    }

    /// Where it was checked before that the archive has what is sealed.
    fn checked(&self, writer: i64, request: &Request) -> Head {
        let none = Head { entry: EntryId { writer, number: 0 }, hash: Hash::default() };
        let is_same = |sealed: &&Sealed| sealed.place == request.place && sealed.endpoint == request.endpoint;
        self.end_of(writer).filter(is_same).map_or(none, |sealed| sealed.end)
    }
}

/// What was found in the archive.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The last entry of each chain.
    heads: Vec<Head>,
    /// The files that have them.
    pin: Pin,
}

/// How the ledger is.
pub(super) fn state(reader: &dyn Reader) -> Result<State, StoreError> {
    let (forgetting, forgotten) = (reader.forgetting()?.len(), reader.forgotten()?.len());
    Ok(State { sealed: reader.sealed()?, forgetting, forgotten })
}

/// Up to where each chain can be sealed: the entry before the first that counts in the month or later. All months before it must
/// be closed.
pub fn plan(reader: &dyn Reader, before: Month, now_ns: i64) -> Result<Plan, Failure> {
    if Month::of(now_ns).is_none_or(|now| now < before) {
        return Err(Failure::Refused(format!("{before} has not begun: what is sealed must be closed")));
    }
    // Before the first month of all that are counted no call can count.
    let earliest = Month::of(0).unwrap_or(before);
    if before <= earliest {
        return Err(Failure::Refused(format!("{before}: no call counts before {earliest}")));
    }
    let was = state(reader)?;
    if was.forgetting > 0 {
        return Err(Failure::Refused(FORGETTING.to_owned()));
    }
    let closed = Closed::from_begins(reader.closings()?.iter().map(|entry| entry.started_ns));
    let until = before.first_day().yesterday().ok();
    let (mut open, mut is_any) = (BTreeSet::new(), false);
    reader.totals(&Selection { until, ..Selection::default() }, &[Dimension::Month], &mut |total| {
        is_any = true;
        let month = total.key.first().and_then(|month| month.parse::<Month>().ok());
        open.extend(month.filter(|month| !closed.contains(*month)));
        Ok(())
    })?;
    if let Some(month) = open.first() {
        return Err(Failure::Refused(is_open(*month)));
    }
    let (mut ends, mut stays) = (Vec::new(), Vec::new());
    for Head { entry: head, .. } in reader.heads()? {
        let sealed = was.sealed.iter().find(|sealed| sealed.end.entry.writer == head.writer);
        let behind = sealed.map_or(EntryId { number: 0, ..head }, |sealed| sealed.end.entry);
        let later = reader.first_counting(behind, before)?;
        stays.extend(later.filter(|_| is_any));
        let last = later.map_or(head.number, |first| first.number.saturating_sub(1));
        // Notes behind the last call are for the next time: that months are sealed is one.
        let first = reader.first_counting(behind, earliest)?;
        let last = if first.is_some_and(|first| first.number <= last) { last } else { behind.number };
        ends.extend((last > 0).then_some(EntryId { number: last, ..head }));
    }
    // It may have been a later month before.
    let before = was.sealed.iter().map(|sealed| sealed.before).fold(before, Month::max);
    Ok(Plan { was, before, closed, ends, stays })
}

fn is_open(month: Month) -> String {
    format!("{month} is not closed: `meshmeter close {month}` does it; only closed months are sealed")
}

/// Reads all that is to be sealed back from the archive, with the chain: each entry must be the one that the ledger has. `each` hears
/// of every entry.
pub fn check(
    reader: &dyn Reader,
    archived: &Archived,
    plan: &Plan,
    request: &Request,
    each: &mut dyn FnMut(),
) -> Result<Checked, Failure> {
    let mut heads = Vec::new();
    for end in &plan.ends {
        let mut before = plan.checked(end.writer, request);
        let mut problem = None;
        let from = before.entry;
        let ask = |each: Each<'_, WrittenEntry>| reader.written_in_parts(from, end.number, each);
        beside(&ask, |next| {
            archived.entries(from, end.number, None, None, &mut |entry| {
                each();
                let own = next()?.map(|written| written.entry);
                let id = entry.id;
                let why = match own {
                    Some(own) if own != entry && own.id == id => Some(format!(
                        "entry {id} is not in the archive as the ledger has it: if a name was replaced since it was exported, seal \
                         to another place"
                    )),
                    Some(own) if own.id == id => match counts_in(&entry) {
                        Some(month) if month >= plan.before => {
                            Some(format!("entry {id} counts in {month}, which is not before {}", plan.before))
                        }
                        Some(month) if !plan.closed.contains(month) => {
                            Some(format!("entry {id} counts in {month}: {}", is_open(month)))
                        }
                        _ => (!entry.follows(&before.hash)).then(|| format!("entry {id}: was altered")),
                    },
                    _ => Some(format!("entry {id}: is missing in the ledger")),
                };
                before = Head { entry: id, hash: entry.hash };
                why.map_or(Ok(()), |why| {
                    let error = StoreError::Unusable(why.clone());
                    problem = Some(why);
                    Err(error)
                })
            })
        })
        .map_err(|error| problem.map_or(Failure::Store(error), Failure::Refused))?;
        if before.entry != *end {
            return Err(Failure::Refused(format!(
                "entry {end}: is not in the archive, which ends at {}",
                before.entry
            )));
        }
        heads.push(before);
    }
    let pin = archived.pin(&heads)?;
    Ok(Checked { heads, pin })
}

/// Says in the ledger that it is sealed, then takes out what the database does not need. `each` hears of the pieces that are done,
/// and of how many there are. Returns the entry that says it, unless one did before.
pub fn run<S: Store>(
    reader: &dyn Reader,
    ledger: &mut Ledger<S>,
    plan: &Plan,
    checked: &Checked,
    request: &Request,
    now_ns: i64,
    each: &mut dyn FnMut(usize, usize),
) -> Result<Option<EntryId>, Failure> {
    run_by(reader, ledger, plan, checked, request, now_ns, AT_ONCE, each)
}

/// The same, so many entries at once.
#[allow(clippy::too_many_arguments)] // What a test asks beside.
pub(crate) fn run_by<S: Store>(
    reader: &dyn Reader,
    ledger: &mut Ledger<S>,
    plan: &Plan,
    Checked { heads, pin }: &Checked,
    request: &Request,
    now_ns: i64,
    at_once: usize,
    each: &mut dyn FnMut(usize, usize),
) -> Result<Option<EntryId>, Failure> {
    let is_said = |head: &Head| {
        let sealed = plan.end_of(head.entry.writer);
        sealed.is_some_and(|sealed| {
            sealed.end == *head
                && sealed.place == request.place
                && sealed.endpoint == request.endpoint
                && sealed.behind.is_none()
                && sealed.pin == *pin
        })
    };
    let said = match heads.iter().all(is_said) {
        true => None,
        false => {
            let said = Said {
                who: request.who.clone(),
                place: request.place.clone(),
                endpoint: request.endpoint.clone(),
                before: Some(plan.before.to_string()),
                archive: pin.said(),
                chains: Said::chains(heads.iter().copied()),
            };
            Some(ledger.say(Kind::Sealed, &plan.was, &said, &request.reason, now_ns)?.map_err(Failure::Refused)?)
        }
    };
    let pieces = pieces(reader, heads, at_once)?;
    for (done, piece) in (1..).zip(&pieces) {
        pause::after(|| ledger.take_out(*piece, now_ns))?.map_err(Failure::Refused)?;
        each(done, pieces.len());
    }
    Ok(said)
}

/// What is there still, in pieces.
fn pieces(reader: &dyn Reader, heads: &[Head], at_once: usize) -> Result<Vec<Piece>, StoreError> {
    let mut pieces = Vec::new();
    for Head { entry: end, .. } in heads {
        let all = Piece { writer: end.writer, behind: 0, until: end.number };
        let (mut behind, mut last, mut count) = (0, 0, 0_usize);
        reader.present(all, &mut |number| {
            last = number;
            count = count.saturating_add(1);
            if count >= at_once {
                pieces.push(Piece { behind, until: last, ..all });
                (behind, count) = (last, 0);
            }
            Ok(())
        })?;
        pieces.extend((count > 0).then_some(Piece { behind, until: last, ..all }));
    }
    Ok(pieces)
}
