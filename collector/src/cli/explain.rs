//! `meshmeter explain`: one call from raw usage to charge.

use clap::{Args, ValueEnum};
use collector::explain::Explanation;
use collector::explain::find::{Id, Where, find};
use collector::report;
use jiff::civil::Date;

use super::args::Database;
use super::{Failure, print};

/// Explains a call or an entry of the ledger, from the usage as the provider gave it to what is charged.
///
/// Shows who is charged and what proved it, the provider's usage objects, the counts that the meter read in them, each line of the
/// rating with the price book's entry, and every entry of the call: copies, reversals, corrections, the day on which each counts,
/// and whether it is what was written. What a price book says now: meshmeter prices explain --call ID.
#[derive(Args)]
#[command(after_help = "Exit codes: 0 done; 1 failed, or an entry of the call was altered; 2 wrong use.")]
pub struct Explain {
    #[command(flatten)]
    database: Database,
    /// An entry, WRITER:NUMBER; the id of an event, EMITTER-SEQUENCE; or with --on a provider's id of the response.
    id: String,
    /// The number of the record, if ID is an emitter.
    #[arg(conflicts_with_all = ["on", "provider"])]
    sequence: Option<i64>,
    /// The day (UTC) on which the call began, for a response id.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = report::day)]
    on: Option<Date>,
    /// The provider of a response id; without it all of that day are tried.
    #[arg(long, value_name = "NAME", requires = "on")]
    provider: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How to print an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text for a person.
    Text,
    /// JSON.
    Json,
}

pub fn run(args: Explain) -> Result<(), Failure> {
    let reader = args.database.reader()?;
    // A provider's id may look like anything.
    let id = match (args.sequence, args.on) {
        (Some(sequence), _) => Id::Event(args.id, sequence),
        (None, Some(_)) => Id::Response(args.id),
        (None, None) => Id::of(&args.id),
    };
    let place = Where { day: args.on, provider: args.provider };
    let entry = find(&*reader, &id, &place).map_err(Failure::failed)?.map_err(Failure::Failed)?;
    let explanation = Explanation::of(&*reader, entry).map_err(Failure::failed)?;
    print(&match args.format {
        Format::Text => explanation.text(),
        Format::Json => explanation.json().map_err(Failure::Failed)?,
    })?;
    match explanation.problems() {
        problems if problems.is_empty() => Ok(()),
        problems => Err(Failure::Failed(problems.join("\n"))),
    }
}
