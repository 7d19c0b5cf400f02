//! `meshmeter latency`: how long calls took.

use clap::Args;
use collector::report::latency::{self, Latency};
use collector::report::{Bounds, Format, Question};
use collector::store::months::Month;
use collector::terminal;

use super::Failure;
use super::args::{Database, now_ns};
use super::report::{counting_bar, ended, pair};

/// Prints percentiles of the duration of calls, of the time to the first token, and of the time per output token.
///
/// Of completed calls: those that broke off, failed or were refused are counted below. They are read from the calls
/// themselves: every call of the period is read, which is the current month if --since does not say otherwise.
#[derive(Args)]
pub struct LatencyArgs {
    #[command(flatten)]
    database: Database,
    /// How to print it. JSON and CSV have microseconds, the others milliseconds.
    #[arg(long, value_enum, default_value_t = Written::Table)]
    format: Written,
    /// All of one month: as --since and --until.
    #[arg(long, value_name = "MONTH", conflicts_with_all = ["since", "until"])]
    month: Option<Month>,
    /// First day (when the call began), month, or moment (2026-11-01T12:00:00Z).
    #[arg(long, value_name = "DAY")]
    since: Option<String>,
    /// Last day or month, or the moment before which calls count.
    #[arg(long, value_name = "DAY")]
    until: Option<String>,
    /// Where days, months and hours are those of, such as Europe/Berlin.
    #[arg(long, value_name = "NAME", default_value = "UTC")]
    time_zone: String,
    /// Only this tenant and what is below it. Several may be given.
    #[arg(long)]
    tenant: Vec<String>,
    /// Only calls that are so, as in meshmeter report: provider=openai, model=gpt-4*.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    filter: Vec<(String, String)>,
    /// What tells lines apart, separated by commas, as in meshmeter report.
    #[arg(long, value_name = "COLUMNS", default_value = latency::DEFAULT_BY)]
    by: String,
}

/// How it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Written {
    /// Columns for the eye.
    Table,
    /// JSON.
    Json,
    /// CSV.
    Csv,
    /// A table of Markdown.
    Markdown,
}

pub fn run(args: LatencyArgs) -> Result<(), Failure> {
    let LatencyArgs { database, format, month, since, until, time_zone, tenant, filter, by } = args;
    let mut given = vec![("time_zone".to_owned(), time_zone), ("by".to_owned(), by)];
    let month = month.map(|month| month.to_string());
    let ends = [("since", since.or(month.clone())), ("until", until.or(month))];
    given.extend(ends.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    given.extend(tenant.into_iter().map(|tenant| ("tenant".to_owned(), tenant)));
    given.extend(super::report::filters(filter)?);
    let usage = super::report::usage;
    let now_ns = now_ns();
    let parameters = latency::parameters(given).map_err(usage)?;
    let question = latency::begun(Question::parse(parameters, now_ns).map_err(usage)?, now_ns);
    let reader = database.reader()?;
    let (bar, mut each) = counting_bar(true);
    let found = Latency::within(&*reader, question, &mut Bounds { calls: u64::MAX, each: &mut each });
    bar.finish_and_clear();
    let found = found.map_err(Failure::failed)?;
    let format = match format {
        Written::Table => Format::Table,
        Written::Json => Format::Json,
        Written::Csv => Format::Csv,
        Written::Markdown => Format::Markdown,
    };
    ended(terminal::print_with(|out| found.write(format, out)))
}
