//! `meshmeter close`: a month is over, and its report never changes again.

use clap::Args;
use collector::gaps::{self, Counts};
use collector::ledger::Ledger;
use collector::ledger::months::Month;
use collector::store::Tally;
use collector::terminal::complain;
use jiff::SignedDuration;

use super::ledger::{Database, now_ns};
use super::{Failure, print};

/// Closes a month, for ever: its report never changes again.
///
/// What comes later about its calls, a late call, a correction, a new price, counts on the day on which it comes, as a credit or
/// a debit that names the month. Only a month that is over can be closed. While something is missing, kept apart or unpriced, it
/// says so and closes only with --anyway.
#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 closed; 1 failed; 2 wrong use; 3 something is open, and the month was left as it is."
)]
pub struct Close {
    #[command(flatten)]
    database: Database,
    /// The month (UTC).
    #[arg(value_name = "YYYY-MM")]
    month: Month,
    /// Why, for the ledger.
    #[arg(long, default_value = "the month is over")]
    reason: String,
    /// Close it although something is open.
    #[arg(long)]
    anyway: bool,
    /// An emitter that was not heard of for so long, and had no last word, has fallen silent.
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    silent_after: SignedDuration,
}

/// Whether the month was left as it is, for something is open.
pub fn close(args: Close) -> Result<bool, Failure> {
    let reader = args.database.reader()?;
    let silent_after_ns = i64::try_from(args.silent_after.as_nanos()).unwrap_or(i64::MAX);
    let question = gaps::Question { now_ns: now_ns(), silent_after_ns };
    let open = open(&gaps::count(&*reader, question).map_err(Failure::failed)?);
    if !open.is_empty() && !args.anyway {
        complain(&format!("{} was not closed, for the ledger has: {}", args.month, open.join(", ")));
        complain("look at it with meshmeter gaps, alarms and report; --anyway closes the month all the same");
        return Ok(true);
    }
    let mut ledger = Ledger::new(args.database.database.open().map_err(Failure::failed)?);
    let closed = ledger.close_month(args.month, &args.reason, now_ns()).map_err(Failure::failed)?;
    let entry = closed.map_err(Failure::Failed)?;
    print(&format!("{} is closed: entry {entry}\n", args.month))?;
    Ok(false)
}

/// What may still change what calls cost: of the whole ledger, for what is missing has no month.
fn open(counts: &Counts) -> Vec<String> {
    let Counts { missing, open_ends, tally: Tally { alarms, dead_letters, unpriced_calls } } = *counts;
    let all = [
        (missing, "missing numbers"),
        (open_ends, "open ends"),
        (alarms, "alarms"),
        (dead_letters, "dead letters"),
        (unpriced_calls, "calls of which something has no price"),
    ];
    all.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
}
