//! `meshmeter gaps` and `gaps close`.

use clap::{Args, Subcommand};
use collector::gaps;
use collector::ledger::Ledger;
use jiff::SignedDuration;

use super::args::{Database, Format, Output, check_reason, now_ns};
use super::{Failure, print};

/// Shows what is missing: which numbers of which emitter, since when, why, and what closed it.
///
/// Also emitters that fell silent without a final flush (open ends), events that contradict the ledger (alarms), and events
/// that could not be read (dead letters).
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Exit codes: 0 nothing is missing; 1 failed; 2 wrong use; 3 something is missing: a number, the end of \
                        an emitter, or there are alarms or dead letters to look at."
)]
pub struct Gaps {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    output: Output,
    /// An emitter that was not heard of for so long, and had no final flush, has fallen silent.
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    silent_after: SignedDuration,
    /// Also the emitters of which nothing is missing.
    #[arg(long)]
    all: bool,
    #[command(subcommand)]
    close: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    Close(Close),
}

/// Closes an emitter: what is missing of it will not come, and it has ended.
///
/// Its holes and its open end are listed as closed by a person from then on, and count for nothing. The ledger's chain has who
/// was closed, when, and the reason. What comes of it all the same is charged.
#[derive(Args)]
struct Close {
    #[command(flatten)]
    database: Database,
    /// The emitter.
    emitter: String,
    /// Why, for the ledger.
    #[arg(long)]
    reason: String,
}

/// Whether something is missing.
pub fn gaps(args: Gaps) -> Result<bool, Failure> {
    if let Some(Action::Close(args)) = args.close {
        return close(args).map(|()| false);
    }
    let reader = args.database.reader()?;
    let silent_after_ns = i64::try_from(args.silent_after.as_nanos()).unwrap_or(i64::MAX);
    let question = gaps::Question { now_ns: now_ns(), silent_after_ns };
    let mut found = gaps::find(&*reader, question).map_err(Failure::failed)?;
    let nameless = gaps::nameless(&*reader).map_err(Failure::failed)?;
    let lacks = !nameless.is_empty() || found.iter().any(|gaps| gaps.lacks());
    let known = found.len();
    if !args.all {
        found.retain(|gaps| !gaps.is_clean());
    }
    print(&match args.output.format {
        Format::Table => gaps::table(&found, &nameless, known),
        Format::Json => gaps::json(&found, &nameless).map_err(Failure::Failed)?,
    })?;
    Ok(lacks)
}

fn close(args: Close) -> Result<(), Failure> {
    check_reason(&args.reason)?;
    // Whoever writes makes a ledger where there is none: a mistyped name would.
    args.database.reader()?.ping().map_err(Failure::failed)?;
    let mut ledger = Ledger::new(args.database.database.open().map_err(Failure::failed)?);
    let closed = ledger.close_emitter(&args.emitter, &args.reason, now_ns()).map_err(Failure::failed)?;
    let entry = closed.map_err(|problem| Failure::Failed(format!("{}: {problem}", args.emitter)))?;
    print(&format!("closed: entry {entry}\n"))
}
