//! `meshmeter report` and `audit`.

use std::io;

use clap::Args;
use collector::report::audit::Audit;
use collector::report::{self, BadParameter, Bounds, Dimension, Format, Kind, Question, Report, ReportError, focus};
use collector::store::months::Month;
use collector::terminal::{self, printable};
use indicatif::ProgressBar;

use super::args::{self, Calls, Database, Output, now_ns};
use super::{Failure, print};

/// Calls between two steps of the progress bar.
const STEP: u64 = 1000;

/// Prints usage, charge and cost from the ledger.
///
/// The charge is what the tenant pays, the cost what the provider charges.
/// Calls with different evidence (reported, partial, estimated, missing) have lines and totals of their own; only the last line,
/// `total all`, adds them up. The columns are disjoint:
/// input is what no cache served, output is without reasoning. A model without a price is unpriced, not free.
///
/// Days (UTC), months, tenants, providers and models come from the ledger's sums. Everything else, and days of another time
/// zone, comes from the calls themselves: every call of the period is read, which is the current month if --since does not say
/// otherwise.
#[derive(Args)]
pub struct ReportArgs {
    #[command(flatten)]
    database: Database,
    /// How to print it. What --by tells apart in focus is said in docs/focus.md.
    #[arg(long, value_enum, default_value_t = Written::Table)]
    format: Written,
    #[command(flatten)]
    asked: Asked,
    /// What tells lines apart, separated by commas: any of hour, day, month, tenant, tenant:DEPTH, principal, provider, model,
    /// operation, route, session, agent, trace, tag:NAME, node, emitter, evidence, outcome.
    #[arg(long, value_name = "COLUMNS", default_value = report::DEFAULT_BY)]
    by: String,
    /// Only so many lines, the largest; the others are one line.
    #[arg(long, value_name = "N")]
    top: Option<String>,
    /// What the lines of --top have most of: charge, cost, tokens or calls.
    #[arg(long, value_name = "WHAT", requires = "top")]
    sort: Option<String>,
    /// Beside each line what it was in the period before: of the same length, or as many months. Needs both --since and --until, or
    /// --month.
    #[arg(long)]
    compare: bool,
    /// Round to so many decimals, as on an invoice: what a tenant owes for a month is rounded once, and the lines add up to it,
    /// whatever they are. Without it amounts are exact.
    #[arg(long, value_name = "DECIMALS")]
    round: Option<String>,
    /// With --format focus: which amount BilledCost, EffectiveCost and ContractedCost are, charge (what tenants pay) or cost (what
    /// providers charge).
    #[arg(long, value_name = "WHAT")]
    billed: Option<String>,
    /// With --format focus: who issues the invoices.
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
}

/// Which calls a report is of.
#[derive(Args)]
pub(super) struct Asked {
    /// All of one month: as --since and --until.
    #[arg(long, value_name = "MONTH", conflicts_with_all = ["since", "until"])]
    month: Option<Month>,
    /// First day (when the call began; what came after its month was closed counts on the day on which it came), month, or
    /// moment (2026-11-01T12:00:00Z).
    #[arg(long, value_name = "DAY")]
    since: Option<String>,
    /// Last day or month, or the moment before which calls count.
    #[arg(long, value_name = "DAY")]
    until: Option<String>,
    /// Where days, months and hours are those of, such as Europe/Berlin.
    #[arg(long, value_name = "NAME", default_value = "UTC")]
    time_zone: String,
    /// Only this tenant and what is below it: acme is acme, acme/ml and acme/ml/ann. Several may be given.
    #[arg(long)]
    tenant: Vec<String>,
    /// Only calls that are so: provider=openai, model=gpt-4*, tag:task=T17, session= (none). Of one name any value will do; what
    /// --by takes can be named, but not times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    filter: Vec<(String, String)>,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Written {
    /// Columns for the eye.
    Table,
    /// JSON; amounts are decimal texts.
    Json,
    /// CSV with one column per usage class.
    Csv,
    /// A table of Markdown.
    Markdown,
    /// CSV of the FinOps Open Cost and Usage Specification.
    Focus,
}

/// Reads `NAME=VALUE`.
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Asked {
    /// As parameters of a question.
    pub(super) fn parameters(&mut self, kind: Kind) -> Result<Vec<(String, String)>, Failure> {
        // Filters are only what is no option of its own.
        if let Some((name, _)) = self.filter.iter().find(|(name, _)| Dimension::parse(name).is_err()) {
            let instead = match kind.parameters().find(|known| known.name == *name) {
                Some(known) => format!("see --{}", known.name.replace('_', "-")),
                None => format!("allowed: {}", report::filters()),
            };
            return Err(Failure::Usage(format!("--filter {}: is no filter; {instead}", printable(name))));
        }
        let mut given = vec![("time_zone".to_owned(), std::mem::take(&mut self.time_zone))];
        let month = self.month.map(|month| month.to_string());
        let ends = [("since", self.since.take().or(month.clone())), ("until", self.until.take().or(month))];
        given.extend(ends.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        given.extend(self.tenant.drain(..).map(|tenant| ("tenant".to_owned(), tenant)));
        given.append(&mut self.filter);
        Ok(given)
    }
}

impl ReportArgs {
    fn question(&mut self) -> Result<Question, Failure> {
        let kind = if self.format == Written::Focus { Kind::Focus } else { Kind::Report };
        let mut given = self.asked.parameters(kind)?;
        given.push(("by".to_owned(), std::mem::take(&mut self.by)));
        let mut compare = self.compare.then(|| "true".to_owned());
        let once =
            [("compare", &mut compare), ("top", &mut self.top), ("sort", &mut self.sort), ("round", &mut self.round)];
        given.extend(once.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.take()?))));
        Question::of(kind, given, now_ns()).map_err(usage)
    }

    /// The options of FOCUS, if that is what is printed.
    fn focus(&mut self) -> Result<Option<focus::Options>, Failure> {
        let given = [("billed", self.billed.take()), ("issuer", self.issuer.take())];
        let mut options = focus::Options::default();
        for (name, value) in given.iter().filter_map(|(name, value)| Some((name, value.as_deref()?))) {
            if self.format != Written::Focus {
                return Err(Failure::Usage(format!("--{name}: needs --format focus")));
            }
            options.set(name, value).map_err(usage)?;
        }
        Ok((self.format == Written::Focus).then_some(options))
    }
}

/// A bar that says how many calls were read, and what moves it.
pub(super) fn counting_bar(is_shown: bool) -> (ProgressBar, impl FnMut(u64) -> Result<(), String>) {
    let bar = if is_shown { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let moved = bar.clone();
    let each = move |calls: u64| {
        if calls.is_multiple_of(STEP) {
            moved.set_position(calls);
            moved.set_message(format!("{calls} calls read"));
        }
        Ok(())
    };
    (bar, each)
}

pub(super) fn usage(bad: BadParameter) -> Failure {
    let mut options = report::PARAMETERS.iter().map(|known| known.name).chain(focus::PARAMETERS.map(|(name, ..)| name));
    let is_option = options.any(|known| known == bad.name);
    let option = if is_option { format!("--{}", bad.name.replace('_', "-")) } else { format!("--filter {}", bad.name) };
    Failure::Usage(format!("{option}: {}", bad.problem))
}

pub fn run(mut args: ReportArgs) -> Result<(), Failure> {
    let question = args.question()?;
    let options = args.focus()?;
    let reader = args.database.reader()?;
    let (bar, mut each) = counting_bar(question.reads_entries());
    let mut bounds = Bounds { calls: u64::MAX, each: &mut each };
    if let Some(options) = options {
        let written = terminal::print_with(|out| {
            focus::write(&*reader, &question, &options, &mut bounds, None, out)?;
            Ok(())
        });
        bar.finish_and_clear();
        return ended(written);
    }
    let report = Report::within(&*reader, question, &mut bounds);
    bar.finish_and_clear();
    let report = report.map_err(Failure::failed)?;
    let format = match args.format {
        Written::Json => Format::Json,
        Written::Csv => Format::Csv,
        Written::Markdown => Format::Markdown,
        Written::Table | Written::Focus => Format::Table,
    };
    ended(terminal::print_with(|out| report.write(format, out)))
}

pub(super) fn ended(written: Result<(), ReportError>) -> Result<(), Failure> {
    match written {
        // Who reads it may have seen enough.
        Err(ReportError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(ReportError::Output(error)) => Err(Failure::Failed(format!("standard output: {error}"))),
        done => done.map_err(Failure::failed),
    }
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
