//! `meshmeter report` and `audit`.

use clap::Args;
use collector::report::audit::Audit;
use collector::report::{self, Dimension, Format, Question, Report};
use collector::store::Selection;
use indicatif::ProgressBar;
use jiff::civil::Date;

use super::args::{self, Calls, Database, Output};
use super::{Failure, print};

/// Prints usage, charge and cost from the ledger's sums.
///
/// The charge is what the tenant pays, the cost what the provider charges.
/// Calls with different evidence (reported, partial, estimated, missing) have lines and totals of their own; only the last line,
/// `total all`, adds them up. The columns are disjoint:
/// input is what no cache served, output is without reasoning. A model without a price is unpriced, not free.
#[derive(Args)]
pub struct ReportArgs {
    #[command(flatten)]
    database: Database,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// First day (UTC, when the call began; what came after its month was closed counts on the day on which it came).
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = report::day)]
    since: Option<Date>,
    /// Last day.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = report::day)]
    until: Option<Date>,
    /// Only this tenant and what is below it: acme is acme, acme/ml and acme/ml/ann.
    #[arg(long)]
    tenant: Option<String>,
    /// What tells lines apart: any of day, month, tenant, provider, model, separated by commas.
    #[arg(long, value_name = "COLUMNS", default_value = report::DEFAULT_BY, value_parser = By::parse)]
    by: By,
    /// Round to so many decimals, as on an invoice: what a tenant owes for a month is rounded once, and the lines add up to it,
    /// whatever they are. Without it amounts are exact.
    #[arg(long, value_name = "DECIMALS", value_parser = clap::value_parser!(u8).range(0..=15))]
    round: Option<u8>,
}

/// The columns of a report, as one argument.
#[derive(Clone)]
struct By(Vec<Dimension>);

impl By {
    fn parse(text: &str) -> Result<By, String> {
        report::dimensions(text).map(By)
    }
}

pub fn run(args: ReportArgs) -> Result<(), Failure> {
    let selection = Selection { since: args.since, until: args.until, tenant: args.tenant, call: None };
    let question = Question { selection, by: args.by.0, round: args.round };
    let report = Report::of(&*args.database.reader()?, question).map_err(Failure::failed)?;
    print(&report.render(args.format).map_err(Failure::failed)?)
}

/// Compares what providers say that calls cost with what the price book says.
///
/// Of the calls whose response names its cost, by provider and model. It reads every call: some minutes for ten millions.
#[derive(Args)]
pub struct AuditArgs {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    calls: Calls,
}

pub fn audit(args: AuditArgs) -> Result<(), Failure> {
    let bar = ProgressBar::new_spinner();
    let audit = Audit::of(&*args.database.reader()?, &args.calls.selection(), || bar.inc(1));
    bar.finish_and_clear();
    let audit = audit.map_err(Failure::failed)?;
    let text = match args.output.format {
        args::Format::Table => audit.table(),
        args::Format::Json => audit.json(),
    };
    print(&text.map_err(Failure::failed)?)
}
