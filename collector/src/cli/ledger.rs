//! `meshmeter verify` and `rerate`.

use clap::Args;
use collector::ledger::Ledger;
use collector::ledger::correct::{Correction, Instead};
use collector::ledger::limits::Limits;
use collector::money::Charge;
use collector::store::entry::{Entry, EntryId, Hash};
use collector::store::months::Month;
use collector::store::sealing::{Sealed, counts_in};
use collector::store::{Head, Store, StoreError};
use collector::terminal::complain;
use collector::verify;
use indicatif::ProgressBar;

use super::args::{Calls, Database, check_reason, now_ns};
use super::changes::Changes;
use super::prices::Books;
use super::{Failure, print};

/// Corrections of one transaction: small enough that whoever else writes does not wait long.
const CHUNK: usize = 500;
/// Calls that are named one by one.
const NAMED: usize = 100;

/// Proves that nothing in the ledger was changed or taken out, or names the first entry that was.
///
/// Prints where each chain ends, WRITER:ENTRY:HASH. Keep these lines elsewhere: with --noted, a later check also finds a
/// ledger that somebody has written anew from some entry on.
#[derive(Args)]
pub struct Verify {
    #[command(flatten)]
    database: Database,
    /// A chain's end that an earlier check printed; it must still stand. Several may be given.
    #[arg(long, value_name = "WRITER:ENTRY:HASH", value_parser = head)]
    noted: Vec<Head>,
}

/// Rates calls anew by a price book: what it charges otherwise is reversed, and entered again.
#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 done; 1 failed; 2 wrong use; 3 calls that would cost more than --max-usd were left as they are."
)]
pub struct Rerate {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    prices: Books,
    #[command(flatten)]
    calls: Calls,
    /// Why, for the ledger.
    #[arg(long, default_value = "re-rated")]
    reason: String,
    /// Leave calls alone that would cost more.
    #[arg(long, value_name = "AMOUNT", default_value_t = Limits::default().charge)]
    max_usd: Charge,
    /// Only say what would change, by tenant and model.
    #[arg(long)]
    dry_run: bool,
}

fn head(text: &str) -> Result<Head, String> {
    let read = || {
        let mut parts = text.splitn(3, ':');
        let entry = EntryId { writer: parts.next()?.parse().ok()?, number: parts.next()?.parse().ok()? };
        Some(Head { entry, hash: Hash::from_hex(parts.next()?)? })
    };
    read().ok_or_else(|| "must be writer, entry and 64 hex digits, separated by colons".to_owned())
}

pub fn verify(args: Verify) -> Result<(), Failure> {
    // What is entered meanwhile is for the next time.
    let reader = args.database.reader_at_one_moment()?;
    let heads = reader.heads().map_err(Failure::failed)?;
    let entries = heads.iter().fold(0_u64, |sum, head| sum.saturating_add(head.entry.number.unsigned_abs()));
    let bar = ProgressBar::new(entries);
    let heads = verify::verify(&*reader, &args.noted, || bar.inc(1));
    bar.finish_and_clear();
    let lines = heads.map_err(Failure::failed)?.into_iter().map(|head| format!("{}:{}\n", head.entry, head.hash));
    print(&lines.collect::<String>())
}

/// Whether calls were left as they are, for they would cost more than is allowed.
pub fn rerate(args: Rerate) -> Result<bool, Failure> {
    check_reason(&args.reason)?;
    let book = args.prices.required()?;
    let selection = args.calls.selection();
    let location = &args.database.database;
    // Whoever writes makes a ledger where there is none: a mistyped name would.
    let reader = args.database.reader()?;
    reader.ping().map_err(Failure::failed)?;
    let mut ledger = if args.dry_run { None } else { Some(Ledger::new(location.open().map_err(Failure::failed)?)) };
    let bar = ProgressBar::new_spinner();
    let mut work = Work { changes: args.dry_run.then(Changes::default), ..Work::default() };
    let mut dear = Dear::new(args.max_usd);
    let mut sealed = InArchive { sealed: reader.sealed().map_err(Failure::failed)?, calls: 0, from: None };
    // What is read stays as it was when the reading began, whatever is entered meanwhile.
    let read = reader.standing(&selection, &mut |entry| {
        bar.inc(1);
        match Correction::by(&book, entry, &args.reason) {
            Ok(correction) => {
                let allowed = |correction: &Correction| sealed.allows(correction) && dear.allows(correction);
                work.waiting.extend(correction.filter(allowed));
            }
            Err(problem) => work.problems.push(problem),
        }
        if work.waiting.len() >= CHUNK { work.write(ledger.as_mut()) } else { Ok(()) }
    });
    read.and_then(|()| work.write(ledger.as_mut())).map_err(Failure::failed)?;
    let calls = bar.position();
    bar.finish_and_clear();
    let Work { corrected, difference, changes, problems, .. } = work;
    let what = if args.dry_run { "would be" } else { "were" };
    let changes = changes.map(|changes| changes.table()).unwrap_or_default();
    print(&format!("{changes}{calls} calls, {corrected} {what} re-rated, difference {difference} USD\n"))?;
    dear.say();
    sealed.say();
    if problems.is_empty() { Ok(dear.any() || sealed.calls > 0) } else { Err(Failure::Failed(problems.join("\n"))) }
}

/// What a rating anew has to do, and what it did.
#[derive(Default)]
struct Work {
    waiting: Vec<Correction>,
    corrected: u64,
    difference: Charge,
    /// For a dry run: what would change.
    changes: Option<Changes>,
    problems: Vec<String>,
}

impl Work {
    /// Makes the corrections that wait; without a ledger, as if.
    fn write(&mut self, ledger: Option<&mut Ledger<Box<dyn Store + Send>>>) -> Result<(), StoreError> {
        let count = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        let done = ledger.map_or(Ok(count), |ledger| ledger.correct(&self.waiting, now_ns()))?;
        self.corrected = self.corrected.saturating_add(done);
        for correction in self.waiting.drain(..) {
            let sum = self.difference.checked_add(correction.difference());
            let noted = self.changes.as_mut().map_or(Some(()), |changes| changes.add(&correction));
            self.difference = sum
                .zip(noted)
                .map(|(sum, ())| sum)
                .ok_or_else(|| StoreError::Unusable("the difference does not fit in 128 bits".into()))?;
        }
        Ok(())
    }
}

/// Calls that are left as they are because their months are sealed.
struct InArchive {
    sealed: Vec<Sealed>,
    calls: u64,
    /// The first month of them.
    from: Option<Month>,
}

impl InArchive {
    /// Notes a correction of a call that the database does not have. A record that stands and is sealed is in the archive alone.
    fn allows(&mut self, correction: &Correction) -> bool {
        let entry = &correction.entry;
        if !entry.kind.is_record() || !self.sealed.iter().any(|sealed| sealed.covers(entry.id)) {
            return true;
        }
        self.calls = self.calls.saturating_add(1);
        self.from = self.from.into_iter().chain(counts_in(entry)).min();
        false
    }

    fn say(&self) {
        if let Some(from) = self.from {
            let calls = self.calls;
            complain(&format!(
                "{calls} calls are sealed and left as they are: `meshmeter unseal --from {from}` brings them back"
            ));
        }
    }
}

/// Calls that are left as they are: one call costs more than is allowed, and a price book that makes it so may be wrong.
pub(super) struct Dear {
    most: Charge,
    /// The first of them.
    lines: Vec<String>,
    more: u64,
}

impl Dear {
    pub(super) fn new(most: Charge) -> Dear {
        Dear { most, lines: Vec::new(), more: 0 }
    }

    /// Notes a correction that charges too much.
    fn allows(&mut self, correction: &Correction) -> bool {
        self.allows_instead(&correction.entry, correction.instead.as_ref())
    }

    /// Notes what would stand instead of an entry, if that charges too much.
    pub(super) fn allows_instead(&mut self, entry: &Entry, instead: Option<&Instead>) -> bool {
        let charge = instead.map(|instead| instead.rating.charge());
        let Some(charge) = charge.filter(|charge| *charge > self.most) else { return true };
        if self.lines.len() < NAMED {
            self.lines.push(format!("left as it is: {}-{} would cost {charge} USD", entry.emitter, entry.sequence));
        } else {
            self.more = self.more.saturating_add(1);
        }
        false
    }

    fn any(&self) -> bool {
        !self.lines.is_empty()
    }

    pub(super) fn say(&self) {
        self.lines.iter().for_each(|line| complain(line));
        if self.more > 0 {
            complain(&format!("left as they are: {} more", self.more));
        }
        if self.any() {
            complain(&format!("one call must cost at most {} USD; --max-usd AMOUNT allows more", self.most));
        }
    }
}
