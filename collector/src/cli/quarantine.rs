//! `meshmeter copies`, `alarms` and `release`: what a person must decide.

use clap::Args;
use collector::ledger::Ledger;
use collector::ledger::release::Released;
use collector::money::Charge;
use collector::quarantine::Listed;
use collector::{copies as possible, quarantine};
use serde::Serialize;

use super::args::{Database, Format, Output, call, check_reason, now_ns};
use super::prices::Books;
use super::{Failure, print};

/// Shows records that are charged and may be of one call: two meters may have seen it, and nothing proves that they did.
#[derive(Args)]
#[command(after_help = "Exit codes: 0 nothing is to be decided; 1 failed; 2 wrong use; 3 there are pairs to decide.")]
pub struct Copies {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    output: Output,
    /// Also those of which one was reversed.
    #[arg(long)]
    all: bool,
}

/// Shows events that were not charged and are quarantined: alarms and dead letters.
#[derive(Args)]
#[command(after_help = "Exit codes: 0 nothing is quarantined; 1 failed; 2 wrong use; 3 something waits for a person.")]
pub struct Alarms {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    output: Output,
    /// Also those that were released.
    #[arg(long)]
    all: bool,
}

/// Charges an event that was quarantined, once, or dismisses it (--void). It becomes an entry of the ledger. What cannot be read
/// can only be dismissed; if it has no id, --digest names it.
#[derive(Args)]
pub struct Release {
    #[command(flatten)]
    database: Database,
    /// The call: the id of its event.
    #[arg(value_name = "EMITTER-SEQUENCE", value_parser = call, required_unless_present = "digest")]
    call: Option<(String, i64)>,
    /// The beginning of the event's digest, 8 hex digits at least, where several are kept under one id, or it has none.
    #[arg(long, value_name = "HEX", value_parser = digits)]
    digest: Option<String>,
    /// Charge nobody: the event is dismissed, and listed no more. It is released and reversed at once.
    #[arg(long)]
    void: bool,
    /// Without a book, what it costs is not known until it is re-rated.
    #[command(flatten)]
    prices: Books,
    /// Why, for the ledger.
    #[arg(long)]
    reason: String,
}

fn show<T: Serialize>(format: Format, all: &[T], table: fn(&[T]) -> String) -> Result<(), Failure> {
    let text = match format {
        Format::Table => table(all),
        Format::Json => serde_json::to_string_pretty(all).map_err(Failure::failed)? + "\n",
    };
    print(&text)
}

fn digits(text: &str) -> Result<String, String> {
    let is_digest = (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| text.to_ascii_lowercase()).ok_or_else(|| "must be 8 to 64 hex digits".to_owned())
}

/// Whether a person must decide.
pub fn copies(args: Copies) -> Result<bool, Failure> {
    let mut pairs = Vec::new();
    let reader = args.database.reader()?;
    let found = possible::each(&*reader, &mut |pair| {
        pairs.extend(Some(pair).filter(|pair| args.all || pair.is_open()));
        Ok(())
    });
    found.map_err(Failure::failed)?;
    show(args.output.format, &pairs, possible::table)?;
    Ok(pairs.iter().any(|pair| pair.is_open()))
}

/// Whether something waits for a person.
pub fn alarms(args: Alarms) -> Result<bool, Failure> {
    let mut all = Vec::new();
    let reader = args.database.reader()?;
    let found = quarantine::each(&*reader, &mut |kept| {
        all.extend(Some(kept).filter(|kept| args.all || kept.released.is_none()));
        Ok(())
    });
    found.map_err(Failure::failed)?;
    show(args.output.format, &all, quarantine::table)?;
    Ok(all.iter().any(|kept| kept.released.is_none()))
}

pub fn release(args: Release) -> Result<(), Failure> {
    check_reason(&args.reason)?;
    let id = args.call.map(|(emitter, sequence)| format!("{emitter}-{sequence}"));
    let digest = args.digest.unwrap_or_default();
    let mut found: Vec<Listed> = Vec::new();
    let reader = args.database.reader()?;
    let read = quarantine::each(&*reader, &mut |kept| {
        let is_it = id.is_none() || kept.call == id;
        let is_meant = is_it && kept.digest.starts_with(&digest) && kept.released.is_none();
        found.extend(Some(kept).filter(|_| is_meant));
        Ok(())
    });
    read.map_err(Failure::failed)?;
    let kept = match found.as_slice() {
        [] => {
            let id = id.unwrap_or(digest);
            return Err(Failure::Failed(format!("nothing is quarantined under {id}, or it was released before")));
        }
        [kept] => kept,
        several => {
            let line = |kept: &Listed| format!("  --digest {}  {}", kept.short(), kept.reason);
            let lines: Vec<String> = several.iter().map(line).collect();
            return Err(Failure::Failed(format!(
                "several events are quarantined under this id:\n{}",
                lines.join("\n")
            )));
        }
    };
    let prices = args.prices.load()?;
    let has_book = prices.is_some();
    let mut ledger = Ledger::new(args.database.database.open().map_err(Failure::failed)?);
    ledger.set_prices(prices.map(Into::into));
    let settle = if args.void { Ledger::dismiss } else { Ledger::release };
    let released = settle(&mut ledger, &kept.event, &args.reason, now_ns()).map_err(Failure::failed)?;
    let released = released.map_err(Failure::Failed)?;
    let call = match &released.number {
        (emitter, _) if emitter.is_empty() => "no call".to_owned(),
        (emitter, number) => format!("call {emitter}-{number}"),
    };
    let (done, what) =
        if args.void { ("dismissed", "charged to nobody".to_owned()) } else { ("released", cost(&released, has_book)) };
    print(&format!("{done}: entry {}, {call}, {what}\n", released.entry))
}

/// What a released event costs. Unknown is not nothing.
fn cost(released: &Released, has_book: bool) -> String {
    if let Some(other) = released.copy_of {
        return format!("a copy of entry {other}, which is charged already");
    }
    let charged = format!("charged {} USD", released.charge);
    match (released.unpriced, has_book) {
        (false, _) => charged,
        (true, true) if released.charge != Charge::default() => {
            format!("{charged}, and in part it has no price in this book")
        }
        (true, true) => "it has no price in this book: rate it later with `meshmeter rerate`".to_owned(),
        (true, false) => {
            "it has no price, for no book was named: rate it with `meshmeter rerate --prices FILE`".to_owned()
        }
    }
}
