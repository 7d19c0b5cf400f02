//! `meshmeter seal` and `meshmeter unseal`: old months go out of the database, and come back.

use std::path::PathBuf;

use clap::Args;
use collector::database::Location;
use collector::export::Ledger as Exported;
use collector::ledger::Ledger;
use collector::sealed::{self, Archived, Request, whole_name};
use collector::store::Store;
use collector::store::months::Month;
use collector::terminal::{complain, printable};
use indicatif::ProgressBar;
use warehouse::place::{self, Settings};
use warehouse::{Bounds, Progress, Selection};

use super::args::{Database, check_reason, now_ns, read, who};
use super::{Failure, print};

/// Moves closed months out of the database, into the files that `meshmeter export` writes.
///
/// The database stays small; reports, explain, export and verify read what was moved from there, and the chain of hashes goes through
/// all of it. What is not in the place yet is exported, and every entry is read back and compared before any is taken out. The
/// collector may run meanwhile. Run again, it goes on where it was interrupted. `meshmeter unseal` brings months back. Sums,
/// corrections and what was corrected, budgets and closings stay in the database.
#[derive(Args)]
pub struct Seal {
    #[command(flatten)]
    database: Database,
    /// Entries that count before this month (UTC). All months before it must be closed.
    #[arg(long, value_name = "YYYY-MM")]
    before: Month,
    /// The archive: a directory, or a bucket of an object store. It may be the one that `meshmeter export` writes to. Without it, the
    /// one that months were sealed to before.
    #[arg(long, value_name = "DIR|s3://BUCKET/PREFIX")]
    to: Option<String>,
    /// The URL of an object store that is not Amazon's.
    #[arg(long, value_name = "URL", requires = "to")]
    endpoint: Option<String>,
    /// File with the certificates (PEM) that vouch for an object store, instead of the public ones.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Why, for the ledger.
    #[arg(long, default_value = "old months are sealed")]
    reason: String,
    /// Who you are, for the ledger; without it the name that you are logged in with.
    #[arg(long, value_name = "NAME", env = "MESHMETER_WHO", hide_env_values = true)]
    who: Option<String>,
    /// Only say what would be sealed.
    #[arg(long)]
    dry_run: bool,
    /// Leave the free space in a SQLite file, to be used again. Otherwise the file is written anew, for which it needs its new size
    /// once more on the disk, and writers wait.
    #[arg(long)]
    no_vacuum: bool,
}

/// Brings sealed months back into the database: to correct or re-rate their calls, or to replace a name in them.
///
/// Every entry is read from the archive, and checked by the chain of hashes. The collector may run meanwhile. Run again, it goes on
/// where it was interrupted. The archive stays as it is: `meshmeter seal` can seal to it again.
#[derive(Args)]
pub struct Unseal {
    #[command(flatten)]
    database: Database,
    /// Only what counts in this month (UTC), and all that was entered behind its first entry. Without it, everything.
    #[arg(long, value_name = "YYYY-MM")]
    from: Option<Month>,
    /// Why, for the ledger.
    #[arg(long, default_value = "months are brought back")]
    reason: String,
    /// Who you are, for the ledger; without it the name that you are logged in with.
    #[arg(long, value_name = "NAME", env = "MESHMETER_WHO", hide_env_values = true)]
    who: Option<String>,
    /// Only say how much would come back.
    #[arg(long)]
    dry_run: bool,
}

pub fn seal(args: Seal) -> Result<(), Failure> {
    let Seal { database, before, to, endpoint, ca_file, reason, who: told, dry_run, no_vacuum } = args;
    check_reason(&reason)?;
    let who = who(told)?;
    let authorities = ca_file.as_deref().map(read).transpose().map_err(Failure::Failed)?;
    let read_from = database.archive()?;
    let reader = database.reader()?;
    let now_ns = now_ns();
    let known = reader.sealed().map_err(Failure::failed)?.into_iter().next();
    let is_named = to.is_some();
    let (to, settings) = match (to, known) {
        (Some(to), _) => (to, Settings { endpoint, authorities, ..Settings::default() }),
        // Where it is now, if it was moved.
        (None, Some(known)) => {
            let endpoint = read_from.endpoint.clone().or(known.endpoint);
            let authorities = authorities.or_else(|| read_from.authorities.clone());
            let settings = Settings { endpoint, authorities, ..Settings::default() };
            (read_from.place.clone().unwrap_or(known.place), settings)
        }
        (None, None) => {
            let problem = "--to: must say where the archive is to be: nothing is sealed now";
            return Err(Failure::Usage(problem.to_owned()));
        }
    };
    let plan = sealed::plan(&*reader, before, now_ns).map_err(Failure::failed)?;
    let ends: Vec<String> = plan.ends().iter().map(ToString::to_string).collect();
    let ends = if ends.is_empty() { "none".to_owned() } else { format!("up to {}", ends.join(", ")) };
    if plan.ends().is_empty() {
        return print(&match plan.first_that_stays() {
            Some(first) => format!(
                "nothing to seal: entry {first} counts in {before} or later, and what is behind it in its chain stays\n"
            ),
            None => format!("nothing to seal: no entry counts before {before}\n"),
        });
    }
    if dry_run {
        return print(&format!("{} entries would be sealed, {ends}: nothing was changed\n", plan.entries()));
    }
    if !is_named {
        // A directory that is not there any more is not made anew, which would export everything to it.
        place::open_to_read(&to, &settings).map_err(|error| failed(&error))?;
    }
    let place = place::open(&to, &settings).map_err(|error| failed(&error))?;
    let name = whole_name(&to).map_err(Failure::Failed)?;
    let bar = ProgressBar::new(0);
    let mut progress = |progress: Progress| {
        bar.set_length(progress.of);
        bar.set_position(progress.read);
    };
    let exported =
        warehouse::export(&Exported(&*reader), &*place, &Selection::default(), Bounds::default(), &mut progress);
    bar.finish_and_clear();
    exported.map_err(|error| failed(&error))?;
    // Until the end nobody else exports to it.
    let archived = Archived::open(&name, &settings).map_err(Failure::failed)?;
    let request = Request { before, place: name, endpoint: settings.endpoint, who, reason };
    let bar = ProgressBar::new(plan.entries());
    let checked = sealed::check(&*reader, &archived, &plan, &request, &mut || bar.inc(1));
    bar.finish_and_clear();
    let checked = checked.map_err(Failure::failed)?;
    let mut ledger = Ledger::new(database.database.open().map_err(Failure::failed)?);
    let bar = ProgressBar::new(0);
    let said = sealed::run(&*reader, &mut ledger, &plan, &checked, &request, now_ns, &mut |done, of| {
        bar.set_length(u64::try_from(of).unwrap_or(u64::MAX));
        bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
    });
    bar.finish_and_clear();
    let place = printable(&request.place);
    let said = said.map_err(Failure::failed)?;
    print(&match said {
        Some(entry) => format!("{} entries were sealed, {ends}, to {place}: entry {entry} says so\n", plan.entries()),
        None => format!("nothing new to seal, {ends}, in {place}\n"),
    })?;
    if let Some(other) = read_from.place.filter(|other| whole_name(other).as_deref() != Ok(request.place.as_str())) {
        complain(&format!(
            "note: --archive or MESHMETER_ARCHIVE says that the archive is {}: change it, months are sealed to {place}",
            printable(other)
        ));
    }
    // What an earlier run that was interrupted has left free, too.
    if said.is_none() && !ledger.store().is_sparse().map_err(Failure::failed)? {
        return Ok(());
    }
    shrink(&database.database, &mut ledger, no_vacuum)
}

fn failed(error: &warehouse::Error) -> Failure {
    Failure::Failed(printable(error.to_string()))
}

fn shrink(database: &Location, ledger: &mut Ledger<Box<dyn Store + Send>>, no_vacuum: bool) -> Result<(), Failure> {
    match database {
        Location::Postgres(_) => complain(
            "note: PostgreSQL uses the space again when it has vacuumed the table, and gives it back with VACUUM FULL \
             meshmeter.ledger, for which collectors wait",
        ),
        Location::Sqlite(_) if no_vacuum => complain("note: the file keeps its length; its free space is used again"),
        Location::Sqlite(_) => {
            let problem =
                |error| Failure::Failed(format!("the months are sealed, but the file is as long as before: {error}"));
            if !ledger.scrub().map_err(problem)? {
                complain(
                    "note: somebody reads or writes, and the file or its log (-wal) is longer than it must be: run VACUUM, and \
                     PRAGMA wal_checkpoint(TRUNCATE), when nobody does",
                );
            }
        }
    }
    Ok(())
}

pub fn unseal(args: Unseal) -> Result<(), Failure> {
    let Unseal { database, from, reason, who: told, dry_run } = args;
    check_reason(&reason)?;
    let who = who(told)?;
    let reader = database.reader()?;
    let sealed = reader.sealed().map_err(Failure::failed)?;
    if sealed.is_empty() {
        return Err(Failure::Failed("nothing is sealed".to_owned()));
    }
    let archived = sealed::open(&database.archive()?, &sealed).map_err(Failure::failed)?;
    let back = sealed::come_back(&*reader, &archived, from).map_err(Failure::failed)?;
    if dry_run {
        return print(&format!("{} entries would come back: nothing was changed\n", back.entries()));
    }
    let mut ledger = Ledger::new(database.database.open().map_err(Failure::failed)?);
    let bar = ProgressBar::new(back.entries().saturating_mul(2));
    let by = (who.as_str(), reason.as_str());
    let entry = sealed::bring_back(&*reader, &mut ledger, &archived, &back, by, now_ns(), &mut || bar.inc(1));
    bar.finish_and_clear();
    let entry = entry.map_err(Failure::failed)?;
    print(&format!("{} entries are in the database again: entry {entry} says so\n", back.entries()))
}
