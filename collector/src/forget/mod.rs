//! `meshmeter forget`: a person's name is replaced in all of the ledger, a number of entries at a time, while others go on writing.
//! What is killed goes on where it was when it is run again.

use std::cell::Cell;
use std::collections::BTreeSet;

pub use crate::ledger::Failure;
use crate::ledger::Ledger;
use crate::ledger::forget::{Change, Target};
use crate::store::entry::{Entry, EntryId, Hash};
use crate::store::forgetting::{Attested, Forgotten, Pending, Requarantined, replaced, replaced_in};
use crate::store::names::{Names, Secret, What, random};
use crate::store::sealing::{Sealed, unsealing};
use crate::store::{Quarantined, QuarantinedEvent, Reader, Store, StoreError, Whose, WrittenEntry};
use crate::terminal::printable;

mod left;

pub use left::Left;

/// Entries that are read at once, and then replaced in one transaction.
const AT_ONCE: i64 = 500;
/// Events quarantined of which names are replaced in one transaction.
const EVENTS_AT_ONCE: usize = 100;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The name.
    pub target: Target,
    /// The pseudonym; none: one is drawn.
    pub pseudonym: Option<String>,
    /// Who asks.
    pub who: String,
    /// Why.
    pub reason: String,
}

/// Where a name is.
#[derive(Debug, Default)]
pub struct Found {
    /// Entries that have it.
    pub entries: u64,
    /// Events quarantined that have it.
    pub quarantined: u64,
    /// Where it may be besides, and stays.
    pub left: Left,
}

/// A name as it is to be replaced.
#[derive(Debug)]
pub struct Plan {
    request: Request,
    pending: Pending,
    /// Whether it was begun before.
    is_begun: bool,
    /// Where the chains ended.
    heads: Vec<EntryId>,
    /// What was sealed.
    sealed: Vec<Sealed>,
    /// Where the name is.
    pub found: Found,
}

impl Plan {
    /// What stands in the place of the name.
    pub fn pseudonym(&self) -> &str {
        &self.pending.pseudonym
    }
}

/// Reads all of the ledger: where the name is. `each` hears of every entry; its error ends it.
pub fn plan(
    reader: &dyn Reader,
    request: Request,
    now_ns: i64,
    each: &mut dyn FnMut() -> Result<(), StoreError>,
) -> Result<Plan, Failure> {
    let target = &request.target;
    let forgotten: Vec<Forgotten> = reader.forgotten()?.iter().filter_map(Forgotten::read).collect();
    let all_pending = reader.forgetting()?;
    let begun = all_pending.iter().find(|pending| target.is(pending)).cloned();
    if forgotten.iter().any(|forgotten| forgotten.pseudonym == target.last()) {
        return Err(Failure::Refused(format!("{} is a pseudonym already", printable(target.name()))));
    }
    let is_begun = begun.is_some();
    let pending = match begun {
        Some(begun) if request.pseudonym.as_ref().is_some_and(|pseudonym| *pseudonym != begun.pseudonym) => {
            let before = begun.pseudonym;
            return Err(Failure::Refused(format!("it was begun with the pseudonym {before}: go on with that one")));
        }
        Some(begun) => begun,
        None => {
            let drawn = || Ok::<_, StoreError>(format!("forgotten-{}", hex(random()?.get(..8).unwrap_or_default())));
            let pseudonym = request.pseudonym.clone().map_or_else(drawn, Ok)?;
            target.pending(random()?, &pseudonym, now_ns)
        }
    };
    let is_taken = Cell::new(
        forgotten.iter().any(|forgotten| forgotten.pseudonym == pending.pseudonym)
            || !is_begun && all_pending.iter().any(|other| other.pseudonym == pending.pseudonym),
    );
    let heads: Vec<EntryId> = reader.heads()?.iter().map(|head| head.entry).collect();
    let mut plan = Plan { pending, is_begun, heads, sealed: reader.sealed()?, found: Found::default(), request };
    let pseudonym = plan.pending.pseudonym.clone();
    let target = plan.request.target.clone();
    let name = |what: &What<'_>, says: &str| {
        if !is_begun && says.split('/').any(|segment| segment == pseudonym) {
            is_taken.set(true);
        }
        target.replaced(what, says, &pseudonym)
    };
    let mut found = Found::default();
    for head in &plan.heads {
        let mut before = Before::of(*head);
        while let Some(entries) = before.next(reader, *head, AT_ONCE)? {
            for written in entries {
                each()?;
                let change = change(written, &name)?;
                found.entries = found.entries.saturating_add(u64::from(change.is_ok()));
                match change {
                    Ok(change) => {
                        open(&change, &plan.sealed)?;
                        readable(&change)?;
                        found.left.entry(&change.entry(), &target);
                    }
                    Err(written) => found.left.entry(&written.entry, &target),
                }
            }
        }
    }
    reader.quarantined(Whose::All, &mut |kept| {
        match requarantined(&kept, &name) {
            Some(changed) => {
                found.quarantined = found.quarantined.saturating_add(1);
                found.left.quarantined(&changed.bytes, &target);
            }
            None => found.left.quarantined(&kept.last.bytes, &target),
        }
        Ok(())
    })?;
    reader.emitters(&mut |(_, emitter)| {
        found.left.emitter(&emitter, &target);
        Ok(())
    })?;
    if is_taken.get() {
        return Err(Failure::Refused(format!("{pseudonym} is in the ledger already: choose another with --as")));
    }
    if found.entries == 0 && found.quarantined == 0 && !is_begun {
        let (what, _) = target.words();
        return Err(Failure::Refused(format!("the ledger has no {what} {}", printable(target.name()))));
    }
    plan.found = found;
    Ok(plan)
}

/// Replaces the name everywhere. `each` hears of every entry; its error ends it, and whoever runs it again goes on.
pub fn run<S: Store>(
    reader: &dyn Reader,
    ledger: &mut Ledger<S>,
    plan: &Plan,
    now_ns: i64,
    each: &mut dyn FnMut() -> Result<(), StoreError>,
) -> Result<(EntryId, u64), Failure> {
    run_by(reader, ledger, plan, now_ns, AT_ONCE, each)
}

/// The same, so many entries at once.
pub(crate) fn run_by<S: Store>(
    reader: &dyn Reader,
    ledger: &mut Ledger<S>,
    plan: &Plan,
    now_ns: i64,
    at_once: i64,
    each: &mut dyn FnMut() -> Result<(), StoreError>,
) -> Result<(EntryId, u64), Failure> {
    let Plan { request, pending, heads, .. } = plan;
    let target = &request.target;
    if !plan.is_begun {
        ledger.begin_forgetting(target, pending, &plan.sealed, now_ns)?.map_err(Failure::Refused)?;
    }
    let name = |what: &What<'_>, says: &str| target.replaced(what, says, &pending.pseudonym);
    let (what, tag) = target.words();
    let forgotten = Forgotten {
        what: what.to_owned(),
        tag: tag.map(str::to_owned),
        pseudonym: pending.pseudonym.clone(),
        who: request.who.clone(),
        entries: 0,
        sha256: String::new(),
        heads: heads.iter().map(|head| (head.writer, head.number)).collect(),
    };
    let mut attested = Attested::of([forgotten]);
    for head in heads {
        let mut before = Before::of(*head);
        while let Some(entries) = before.next(reader, *head, at_once)? {
            let mut changes = Vec::new();
            for written in entries {
                each()?;
                match change(written, &name)? {
                    Ok(change) => {
                        attested.add(&change.entry());
                        changes.push(change);
                    }
                    Err(written) => drop(attested.add(&written.entry)),
                }
            }
            if !changes.is_empty() {
                ledger.replace_names(&changes, now_ns)?;
            }
        }
    }
    if let Some(heads) = follow(reader, ledger, heads, &name, now_ns)? {
        let chains = heads.iter().map(|head| (head.writer, head.number)).collect();
        let forgotten = attested.into_found().next().map(|(forgotten, ..)| Forgotten { heads: chains, ..forgotten });
        attested = Attested::of(forgotten);
        for head in &heads {
            let mut before = Before::of(*head);
            while let Some(entries) = before.next(reader, *head, at_once)? {
                for written in &entries {
                    attested.add(&written.entry);
                }
            }
        }
    }
    while let Some(events) = next_quarantined(reader, &name)? {
        ledger.replace_in_quarantine(events, now_ns)?;
    }
    let found = attested.into_found().next();
    let (forgotten, entries, sha256) = found.ok_or_else(|| Failure::Refused("nothing was replaced".to_owned()))?;
    let forgotten = Forgotten { entries, sha256, ..forgotten };
    Ok((ledger.end_forgetting(target, pending, &forgotten, &request.reason, now_ns)?, entries))
}

/// Replaces the name in what took an entry back, or corrected it, before that was replaced, and was entered behind the heads: it
/// must be of the same tenant. Whatever takes back an entry that is replaced has the pseudonym. Returns up to where something was
/// replaced, if anything was.
fn follow<S: Store>(
    reader: &dyn Reader,
    ledger: &mut Ledger<S>,
    heads: &[EntryId],
    name: Name<'_>,
    now_ns: i64,
) -> Result<Option<Vec<EntryId>>, Failure> {
    let mut until = heads.to_vec();
    let mut replaced = BTreeSet::new();
    loop {
        let now: Vec<EntryId> = reader.heads()?.iter().map(|head| head.entry).collect();
        let mut changes = Vec::new();
        for head in &now {
            let end = heads.iter().find(|end| end.writer == head.writer).map_or(0, |end| end.number);
            let behind = EntryId { number: end, ..*head };
            let mut problem = None;
            reader.written(behind, head.number, &mut |written| {
                let is_replaced = |id: EntryId| {
                    replaced.contains(&id) || heads.iter().any(|end| end.writer == id.writer && id.number <= end.number)
                };
                if written.entry.refers.is_some_and(is_replaced) && !written.entry.kind.is_record() {
                    match change(written, name) {
                        Ok(change) => changes.extend(change.ok()),
                        Err(failure) => drop(problem.get_or_insert(failure)),
                    }
                }
                Ok(())
            })?;
            problem.map_or(Ok(()), Err)?;
        }
        if changes.is_empty() {
            return Ok((!replaced.is_empty()).then_some(until));
        }
        ledger.replace_names(&changes, now_ns)?;
        replaced.extend(changes.iter().map(|change| change.entry().id));
        until = now;
    }
}

/// How far a chain was read, and the hash there.
struct Before(EntryId, Hash);

impl Before {
    fn of(head: EntryId) -> Before {
        Before(EntryId { number: 0, ..head }, Hash::default())
    }

    /// The next entries, none of which was altered; nothing behind `head`.
    fn next(&mut self, reader: &dyn Reader, head: EntryId, at_once: i64) -> Result<Option<Vec<WrittenEntry>>, Failure> {
        let until = self.0.number.saturating_add(at_once).min(head.number);
        if self.0.number >= until {
            return Ok(None);
        }
        let mut all = Vec::new();
        let (mut last, mut problem) = (Before(self.0, self.1), None);
        reader.written(self.0, until, &mut |written| {
            let entry = &written.entry;
            let expected = EntryId { number: last.0.number.saturating_add(1), ..last.0 };
            if entry.id != expected || !entry.follows(&last.1) {
                problem.get_or_insert(format!("entry {expected}: is missing or was altered: nothing more is replaced"));
            }
            last = Before(entry.id, entry.hash);
            all.push(written);
            Ok(())
        })?;
        if last.0.number < until {
            problem.get_or_insert(format!("entry {}: is missing behind it", last.0));
        }
        *self = last;
        problem.map_or(Ok(Some(all)), |problem| Err(Failure::Refused(problem)))
    }
}

type Name<'n> = &'n dyn Fn(&What<'_>, &str) -> Option<String>;

/// What changes of an entry; the entry, if nothing does.
fn change(written: WrittenEntry, name: Name<'_>) -> Result<Result<Change, WrittenEntry>, Failure> {
    // Only entries that have no salts yet need some.
    let fresh = match written.entry.names {
        Names::Plain => Secret::drawn()?.salt(&written.entry.hash.0),
        _ => Names::Plain,
    };
    let replaced = replaced(&written.entry, &fresh, name).map_err(Failure::Refused)?;
    Ok(match replaced {
        Some(replaced) => Ok(Change { written, replaced }),
        None => Err(written),
    })
}

/// The archive of sealed months has the names that they had when they were sealed.
fn open(change: &Change, sealed: &[Sealed]) -> Result<(), Failure> {
    let entry = &change.written.entry;
    if !sealed.iter().any(|sealed| sealed.covers(entry.id)) {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "entry {} has the name and is sealed: bring it back with `{}`, run this again, then seal to a new place: the files of the \
         archive keep the name",
        entry.id,
        unsealing(entry)
    )))
}

/// The event must be one with the pseudonym, too.
fn readable(change: &Change) -> Result<(), Failure> {
    let new: Entry = change.entry();
    let is_too_long = new.kind.is_record()
        && wire::event::decode(new.event.as_deref().unwrap_or_default().as_bytes()).is_err()
        || new.tenant != change.written.entry.tenant && wire::identity::tenant(new.tenant.as_bytes()).is_none();
    let problem =
        || format!("entry {}: with the pseudonym its tenant would be too long: choose a shorter one with --as", new.id);
    if is_too_long { Err(Failure::Refused(problem())) } else { Ok(()) }
}

/// An event that is quarantined, with the name replaced; nothing if it does not have it, or cannot be read.
fn requarantined(kept: &Quarantined, name: Name<'_>) -> Option<Requarantined> {
    let text = std::str::from_utf8(&kept.last.bytes).ok()?;
    let bytes = replaced_in(text, name)?.into_bytes();
    let new = QuarantinedEvent { bytes: bytes.clone(), ..kept.last.clone() };
    Some(Requarantined { before: kept.last.digest(), after: new.digest(), bytes })
}

fn next_quarantined(reader: &dyn Reader, name: Name<'_>) -> Result<Option<Vec<Requarantined>>, StoreError> {
    let mut events = Vec::new();
    reader.quarantined(Whose::All, &mut |kept| {
        if events.len() < EVENTS_AT_ONCE {
            events.extend(requarantined(&kept, name));
        }
        Ok(())
    })?;
    Ok(Some(events).filter(|events| !events.is_empty()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
