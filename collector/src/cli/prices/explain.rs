//! `meshmeter prices explain`: which entry holds for a call, and why.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use collector::ledger::correct::event_of;
use collector::prices::RatingInput;
use collector::store::Selection;
use collector::terminal;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use wire::event::MAX_RAW_USAGE;
use wire::record::Record;

use super::Books;
use crate::cli::args::{Database, call};
use crate::cli::{Failure, print};

/// The longest event that is read, bytes; none of the meter's is nearly as long.
const MAX_EVENT: u64 = 64 * MAX_RAW_USAGE as u64;

/// Explains what a call costs: the names that are tried, the entry that holds and why, its prices, and what is charged.
///
/// Ends with 3 if the call or a part of it is unpriced.
#[derive(Args)]
pub struct Explain {
    #[command(flatten)]
    books: Books,
    /// The event of a call, the whole CloudEvent (JSON) as the meter sends it; - reads it from standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["call", "provider"])]
    event: Option<PathBuf>,
    /// A call of the ledger, by the id of its event.
    #[arg(long, value_name = "EMITTER-SEQUENCE", value_parser = call, conflicts_with = "provider")]
    call: Option<(String, i64)>,
    #[command(flatten)]
    database: Database,
    /// The provider, in place of an event.
    #[arg(long, value_name = "NAME", required_unless_present_any = ["event", "call"])]
    provider: Option<String>,
    /// The model that responded.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The model that was asked for.
    #[arg(long, value_name = "NAME")]
    request_model: Option<String>,
    /// The model, deployment, profile or ARN of the path.
    #[arg(long, value_name = "NAME")]
    path_model: Option<String>,
    /// The service tier.
    #[arg(long, value_name = "NAME")]
    tier: Option<String>,
    /// The speed.
    #[arg(long, value_name = "NAME")]
    speed: Option<String>,
    /// The provider's region.
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// Where inference ran.
    #[arg(long, value_name = "NAME")]
    inference_geo: Option<String>,
    /// The size of the image or video.
    #[arg(long, value_name = "NAME")]
    size: Option<String>,
    /// The quality of the image or video.
    #[arg(long, value_name = "NAME")]
    quality: Option<String>,
    /// How much a search was to put into the prompt.
    #[arg(long, value_name = "NAME")]
    search_context: Option<String>,
    /// Which of the provider's tools searched the web.
    #[arg(long, value_name = "NAME")]
    search_tool: Option<String>,
    /// What the call did, as in the event, such as `chat`.
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// Who pays.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// When the call began, UTC; without it: now.
    #[arg(long, value_name = "YYYY-MM-DD[THH:MM]")]
    at: Option<DateTime>,
}

/// Says so if the call is unpriced.
pub fn run(mut args: Explain) -> Result<bool, Failure> {
    let record = match (args.event.take(), args.call.take()) {
        (Some(file), _) => Some(of_event(&file)?),
        (None, Some(call)) => Some(of_ledger(&args.database, call)?),
        (None, None) => None,
    };
    let record = match record {
        Some(record) => record,
        None => of_words(&mut args)?,
    };
    let book = args.books.required()?;
    let late = || Failure::Failed("the call began after the year 2262".to_owned());
    let explained = book.explain(&RatingInput::of(&record, &record.identity.tenant).ok_or_else(late)?);
    print(&explained.text)?;
    Ok(!explained.is_priced)
}

/// What the arguments say of a call.
fn of_words(args: &mut Explain) -> Result<Record, Failure> {
    let now = || Timestamp::now().to_zoned(TimeZone::UTC);
    let at = args.at.map_or_else(|| Ok(now()), |at| at.to_zoned(TimeZone::UTC));
    let late = || Failure::Usage("--at: must be between 1970 and 2262".to_owned());
    let started = at.as_ref().map(Zoned::timestamp).map_err(|_| late())?.as_nanosecond();
    let mut record = Record {
        started_ns: u64::try_from(started).map_err(|_| late())?,
        provider: args.provider.take().unwrap_or_default(),
        response_model: args.model.take(),
        request_model: args.request_model.take(),
        path_model: args.path_model.take(),
        service_tier: args.tier.take(),
        speed: args.speed.take(),
        region: args.region.take(),
        inference_geo: args.inference_geo.take(),
        size: args.size.take(),
        quality: args.quality.take(),
        search_context: args.search_context.take(),
        search_tool: args.search_tool.take(),
        operation: args.operation.take().unwrap_or_default(),
        ..Record::default()
    };
    record.identity.tenant = args.tenant.take().unwrap_or_default();
    Ok(record)
}

fn of_event(file: &PathBuf) -> Result<Record, Failure> {
    let name = terminal::file(file);
    let named = |problem: String| Failure::Failed(format!("{name}: {problem}"));
    let mut text = Vec::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin().take(MAX_EVENT).read_to_end(&mut text),
        _ => std::fs::File::open(file).and_then(|file| file.take(MAX_EVENT).read_to_end(&mut text)),
    };
    read.map_err(|error| named(error.to_string()))?;
    wire::event::decode(text.trim_ascii()).map(|event| event.record).map_err(|invalid| named(invalid.to_string()))
}

fn of_ledger(database: &Database, call: (String, i64)) -> Result<Record, Failure> {
    let reader = database.reader()?;
    let selection = Selection { call: Some(call), ..Selection::default() };
    let mut standing = None;
    let read = reader.standing(&selection, &mut |entry| {
        standing = Some(entry);
        Ok(())
    });
    read.map_err(Failure::failed)?;
    let entry = standing.ok_or_else(|| Failure::Failed("no charge of this call stands in the ledger".to_owned()))?;
    let mut record = event_of(&entry).map_err(Failure::Failed)?.record;
    record.identity.tenant = entry.tenant;
    Ok(record)
}
