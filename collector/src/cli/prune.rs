//! `meshmeter prune`: what is kept for a time only goes.

use clap::Args;
use collector::database::Location;
use collector::ledger::Ledger;
use collector::prune::{self, Age, LEAST_DAYS, Pruned, Request};
use collector::store::Store;
use collector::terminal::complain;
use indicatif::ProgressBar;

use super::args::{Database, now_ns};
use super::{Failure, print};

const DAY_NS: i64 = 86_400_000_000_000;

/// Removes what is kept for a time only: settled events in quarantine, and what recognises copies of old calls.
///
/// Each kind only if its age is given. The collector may run meanwhile. Run again, it goes on where it was interrupted. Calls stay:
/// `meshmeter seal` moves old months out of the database. Names are replaced by `meshmeter forget`.
#[derive(Args)]
pub struct Prune {
    #[command(flatten)]
    database: Database,
    /// What events in quarantine say that were released or dismissed, and did not come again, for so long. That they were stays known.
    /// What waits for a person stays.
    #[arg(long, value_name = "AGE", env = "MESHMETER_KEEP_QUARANTINED")]
    quarantined: Option<Age>,
    /// What recognises another meter's copies of calls that began so long ago, 32d at least, in months that are closed. A copy that
    /// comes after that is charged as a call of its own.
    #[arg(long, value_name = "AGE", env = "MESHMETER_KEEP_COPIES")]
    copies: Option<Age>,
    /// Only say what would be removed.
    #[arg(long)]
    dry_run: bool,
    /// Leave the free space in a SQLite file, to be used again. Otherwise the file is written anew if more than a quarter of it is
    /// free, for which it needs its new size once more on the disk, and writers wait.
    #[arg(long)]
    no_vacuum: bool,
}

pub fn prune(args: Prune) -> Result<(), Failure> {
    let Prune { database, quarantined, copies, dry_run, no_vacuum } = args;
    if quarantined.is_none() && copies.is_none() {
        let needed = "prune: must say what and how old: --quarantined AGE, --copies AGE, or both";
        return Err(Failure::Usage(needed.to_owned()));
    }
    let now_ns = now_ns();
    let before = |age: Option<Age>| age.map(|age| age.before_ns(now_ns));
    let request = Request { quarantined: before(quarantined), copies: before(copies) };
    if request.copies.is_some_and(|before_ns| before_ns > now_ns.saturating_sub(DAY_NS.saturating_mul(LEAST_DAYS))) {
        return Err(Failure::Usage(format!("--copies: must be at least {LEAST_DAYS}d, or 2mo")));
    }
    let reader = database.reader()?;
    let bar = ProgressBar::new(0);
    let mut progress = |done: i64, of: i64| {
        bar.set_length(of.unsigned_abs());
        bar.set_position(done.unsigned_abs());
    };
    if dry_run {
        let found = prune::run(&*reader, request, &mut |_| Ok(()), &mut progress);
        bar.finish_and_clear();
        return print(&said(request, found.map_err(Failure::failed)?, "would be removed: nothing was changed"));
    }
    let mut ledger = Ledger::new(database.database.open().map_err(Failure::failed)?);
    let done = prune::run(&*reader, request, &mut prune::from(&mut ledger, now_ns), &mut progress);
    bar.finish_and_clear();
    let pruned = done.map_err(Failure::failed)?;
    print(&said(request, pruned, "were removed"))?;
    shrink(&database.database, &mut ledger, pruned, no_vacuum)
}

/// A line for each kind that was asked for.
fn said(request: Request, pruned: Pruned, done: &str) -> String {
    let Pruned { quarantined, responses, pairs } = pruned;
    let lines = [
        request.quarantined.map(|_| format!("quarantined: {quarantined} settled events {done}\n")),
        request.copies.map(|_| {
            format!("copies: what recognises them in {responses} places, and {pairs} decided pairs, {done}\n")
        }),
    ];
    lines.into_iter().flatten().collect()
}

fn shrink(
    database: &Location,
    ledger: &mut Ledger<Box<dyn Store + Send>>,
    pruned: Pruned,
    no_vacuum: bool,
) -> Result<(), Failure> {
    let is_sparse = !no_vacuum && ledger.store().is_sparse().map_err(Failure::failed)?;
    match database {
        Location::Postgres(_) if pruned != Pruned::default() => complain(
            "note: PostgreSQL uses the space again when it has vacuumed the tables, and gives it back with VACUUM FULL \
             meshmeter.responses, meshmeter.possible_copies, meshmeter.quarantined, for which collectors wait",
        ),
        Location::Sqlite(_) if is_sparse => {
            let problem = |error| Failure::Failed(format!("it is removed, but the file is as long as before: {error}"));
            if !ledger.scrub().map_err(problem)? {
                complain(
                    "note: somebody reads or writes, and the file or its log (-wal) is longer than it must be: run VACUUM, and \
                     PRAGMA wal_checkpoint(TRUNCATE), when nobody does",
                );
            }
        }
        Location::Sqlite(_) if pruned != Pruned::default() => {
            complain(
                "note: the file keeps its length; its free space is used again, and has what was removed until then",
            );
        }
        _ => {}
    }
    Ok(())
}
