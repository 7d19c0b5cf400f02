//! `meshmeter close`: a month is over, and its report never changes again.

use clap::Args;
use collector::gaps;
use collector::ledger::{Ledger, closing};
use collector::open::{self, Open};
use collector::store::months::{Closed, Month};
use collector::terminal::complain;
use jiff::SignedDuration;

use super::args::{Database, check_reason, now_ns};
use super::{Failure, print};

/// Closes a month permanently: its report never changes again.
///
/// What comes later about its calls, a late call, a correction, a new price, counts on the day on which it comes, as a credit or
/// a debit that names the month. Only a month that is over can be closed. While something of it is missing, quarantined or
/// unpriced, or may be, it names that, and closes only with --anyway. Calls whose counts are not known (deferred, missing,
/// unknown_usage) are said in a note and do not keep it open.
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
    /// An emitter that was not heard of for so long, and had no final flush, has fallen silent.
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    silent_after: SignedDuration,
}

/// Whether the month was left as it is, for something is open.
pub fn close(args: Close) -> Result<bool, Failure> {
    check_reason(&args.reason)?;
    let (month, now_ns) = (args.month, now_ns());
    let reader = args.database.reader()?;
    let closings = reader.closings().map_err(Failure::failed)?;
    let closed = Closed::from_begins(closings.iter().map(|entry| entry.started_ns));
    if let Some(why) = closing::refusal(month, &closed, now_ns) {
        return Err(Failure::Failed(why));
    }
    let silent_after_ns = i64::try_from(args.silent_after.as_nanos()).unwrap_or(i64::MAX);
    let open = open::find(&*reader, month, gaps::Question { now_ns, silent_after_ns }).map_err(Failure::failed)?;
    let unknown = open::unknown(&*reader, month).map_err(Failure::failed)?;
    let is_left = !open.is_empty() && !args.anyway;
    let name = |what: &str| {
        let counts: Vec<String> = open.iter().map(|open| format!("{} {}", open.count, open.what)).collect();
        complain(&format!("{month} {what} the ledger has: {}", counts.join(", ")));
        open.iter().flat_map(Open::lines).for_each(|line| complain(&line));
    };
    if is_left {
        name("was not closed, for");
        complain("look at it with meshmeter gaps, alarms and report; --anyway closes the month all the same");
    }
    note(month, &unknown);
    if is_left {
        return Ok(true);
    }
    let mut ledger = Ledger::new(args.database.database.open().map_err(Failure::failed)?);
    let closed = ledger.close_month(month, &args.reason, now_ns).map_err(Failure::failed)?;
    let entry = closed.map_err(Failure::Failed)?;
    if !open.is_empty() {
        name("was closed although");
    }
    print(&format!("{month} is closed: entry {entry}\n"))?;
    Ok(false)
}

/// Calls that no price makes cost what they are worth. They keep no month open.
fn note(month: Month, unknown: &[String]) {
    if unknown.is_empty() {
        return;
    }
    complain(&format!("note: {month} has calls whose counts are not all known, which does not keep it open:"));
    unknown.iter().for_each(|line| complain(&format!("  {line}")));
    complain(
        "  a price book can charge them for the call itself (requests), then meshmeter rerate; no other amount can be charged \
         in the ledger by hand: what is owed beside it is a line of its own on the invoice",
    );
}
