//! `meshmeter latency`: how long calls took.

use clap::Args;
use collector::report::latency::{self, Latency};
use collector::report::{Bounds, Format, Kind, Question};
use collector::terminal;

use super::Failure;
use super::args::{Database, now_ns};
use super::report::{Asked, counting_bar, ended, usage};

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
    #[command(flatten)]
    asked: Asked,
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
    let LatencyArgs { database, format, mut asked, by } = args;
    let mut given = asked.parameters(Kind::Latency)?;
    given.push(("by".to_owned(), by));
    let question = Question::of(Kind::Latency, given, now_ns()).map_err(usage)?;
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
