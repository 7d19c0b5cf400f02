//! `meshmeter forget`: a person's name is replaced by a pseudonym.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use collector::database::{Location, postgres};
use collector::forget::{self, Plan, Request};
use collector::ledger::Ledger;
use collector::ledger::forget::{Of, Target, pseudonym};
use collector::ledger::reason;
use collector::store::{Reader, StoreError};
use collector::terminal::{self, complain, printable};
use indicatif::ProgressBar;
use jiff::Timestamp;

use super::args::{Database, now_ns, who};
use super::{Failure, print};

/// A name of so few bytes is in many texts that do not name anybody.
const SHORT: usize = 3;

/// Replaces a person's name by a pseudonym, in all that the ledger has: data protection law may ask for it.
///
/// Entries, sums and balances have the pseudonym in place of the name, and nothing else changes: amounts stay what they are to the
/// last digit, and the chain verifies. An entry says when, by whom and why a name was replaced by which pseudonym, never the name.
/// What comes later with the name keeps it. The collector may run meanwhile. Run again, it goes on where it was interrupted. This
/// cannot be undone.
#[derive(Args)]
pub struct Forget {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    name: Name,
    /// Why, for the ledger; without the name.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who you are, for the ledger; without it the name that you are logged in with.
    #[arg(long, value_name = "NAME", env = "MESHMETER_WHO", hide_env_values = true)]
    who: Option<String>,
    /// The pseudonym, which nothing in the ledger may have yet; without it one is drawn.
    #[arg(long = "as", value_name = "PSEUDONYM", value_parser = pseudonym)]
    pseudonym: Option<String>,
    /// Write down here which name the pseudonym stands for: a line of JSON, added to the file, which only its owner may read.
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
    /// Only say where the name is.
    #[arg(long, conflicts_with = "keep")]
    dry_run: bool,
    /// Leave the free space of a SQLite file as it is: it may still have the name until VACUUM. Otherwise the file is written anew,
    /// for which it needs its size once more on the disk, and writers wait.
    #[arg(long)]
    no_vacuum: bool,
}

/// The name.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Name {
    /// A tenant: the last segment of its path is replaced, there and in all tenants below it.
    #[arg(long, value_name = "PATH")]
    tenant: Option<String>,
    /// A principal.
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// The value of a tag.
    #[arg(long, value_name = "KEY=VALUE")]
    tag: Option<String>,
    /// A session.
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// An agent.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
}

impl Name {
    fn target(self) -> Result<Target, Failure> {
        let (option, of, name) = match self {
            Name { tenant: Some(name), .. } => ("tenant", Of::Tenant, name),
            Name { principal: Some(name), .. } => ("principal", Of::Principal, name),
            Name { session: Some(name), .. } => ("session", Of::Session, name),
            Name { agent: Some(name), .. } => ("agent", Of::Agent, name),
            Name { tag, .. } => {
                let tag = tag.unwrap_or_default();
                let (key, value) = tag.split_once('=').unwrap_or_default();
                ("tag", Of::Tag(key.to_owned()), value.to_owned())
            }
        };
        Target::new(of, &name).map_err(|problem| Failure::Usage(format!("--{option}: {problem}")))
    }
}

pub fn forget(args: Forget) -> Result<(), Failure> {
    let target = args.name.target()?;
    reason::says(&args.reason).map_err(|problem| Failure::Usage(format!("--reason: {problem}")))?;
    if has_name(&args.reason, &target) {
        return Err(Failure::Usage("--reason: must not have the name in it: the ledger keeps the reason".to_owned()));
    }
    let who = who(args.who)?;
    let reader = args.database.reader()?;
    let now_ns = now_ns();
    let request = Request { target: target.clone(), pseudonym: args.pseudonym, who, reason: args.reason };
    let plan = read(&*reader, |each| forget::plan(&*reader, request, now_ns, each))?;
    let name = printable(target.name());
    let forget::Found { entries, quarantined, .. } = plan.found;
    if args.dry_run {
        print(&format!("{name} is in {entries} entries and {quarantined} quarantined events: nothing was changed\n"))?;
        left(&plan);
        return Ok(());
    }
    if let Some(file) = &args.keep {
        let problem = |error| Failure::Failed(format!("{}: {error}", terminal::file(file)));
        keep(file, &target, plan.pseudonym()).map_err(problem)?;
    }
    let mut ledger = Ledger::new(args.database.database.open().map_err(Failure::failed)?);
    let (entry, entries) = read(&*reader, |each| forget::run(&*reader, &mut ledger, &plan, now_ns, each))?;
    print(&format!("{name} is {} now, in {entries} entries: entry {entry} says so\n", plan.pseudonym()))?;
    left(&plan);
    scrub(&args.database.database, &mut ledger, args.no_vacuum)
}

/// Whether a text has the name in it; of a path the last segment as a word.
fn has_name(text: &str, target: &Target) -> bool {
    let mut words = text.split(|c: char| c.is_whitespace() || ",;:!?()\"'/".contains(c));
    let is_last = |word: &str| word.trim_end_matches('.') == target.last();
    target.name().len() > SHORT && text.contains(target.name()) || words.any(is_last)
}

/// With a bar for entries that are read.
fn read<T>(
    reader: &dyn Reader,
    work: impl FnOnce(&mut dyn FnMut() -> Result<(), StoreError>) -> Result<T, forget::Failure>,
) -> Result<T, Failure> {
    let heads = reader.heads().map_err(Failure::failed)?;
    let bar = ProgressBar::new(heads.iter().fold(0, |sum, head| sum.saturating_add(head.entry.number.unsigned_abs())));
    let done = work(&mut || {
        bar.inc(1);
        Ok(())
    });
    bar.finish_and_clear();
    done.map_err(Failure::failed)
}

/// What nobody replaces is said.
fn left(plan: &Plan) {
    plan.found.left.lines().iter().for_each(|line| complain(&format!("note: the name stays in {line}")));
}

fn keep(file: &Path, target: &Target, pseudonym: &str) -> std::io::Result<()> {
    let (what, tag) = target.words();
    let line = serde_json::json!({
        "pseudonym": pseudonym, "what": what, "tag": tag, "name": target.name(), "written": Timestamp::now().to_string()
    });
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
    writeln!(file, "{line}")?;
    file.sync_all()
}

fn scrub(
    database: &Location,
    ledger: &mut Ledger<Box<dyn collector::store::Store + Send>>,
    no_vacuum: bool,
) -> Result<(), Failure> {
    match database {
        Location::Postgres(_) => {
            complain(&format!(
                "note: PostgreSQL keeps what was replaced until it is vacuumed, and on the disk until the space is used again. When \
                 no older transaction is open, let the owner of the database do this: {}. Its log, replicas and archives keep it \
                 for as long as you keep them",
                postgres::rewriting()
            ));
        }
        Location::Sqlite(_) if no_vacuum => {
            complain("note: free space of the file and its log (-wal) may still have the name, until VACUUM");
        }
        Location::Sqlite(_) => {
            let problem = |error| {
                Failure::Failed(format!("the name is replaced, but free space of the file may still have it: {error}"))
            };
            if !ledger.scrub().map_err(problem)? {
                complain(
                    "note: somebody reads or writes, and the file's free space or its log (-wal) may still have the name: run \
                     VACUUM, and PRAGMA wal_checkpoint(TRUNCATE), when nobody does",
                );
            }
        }
    }
    Ok(())
}
