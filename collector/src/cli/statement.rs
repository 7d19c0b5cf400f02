//! `meshmeter statement`: what a tenant is charged for in a month, line by line.

use std::io::{BufWriter, ErrorKind, Write};

use clap::Args;
use collector::statement::position::Asked;
use collector::statement::{self, BillingStatement, Format, Question};
use collector::store::months::Month;
use collector::terminal;
use indicatif::ProgressBar;

use super::args::Database;
use super::{Failure, print};

/// Prints the billing statement of a tenant for a month: quantity times price by entry of the price book.
///
/// Its total is what `meshmeter report --round` says of the tenant and the month. The same ledger gives the same bytes: a closed
/// month is computed at the position of its closing, an open one at the present position, or at the one that --at names. It reads
/// the entries of the ledger: some minutes for ten millions.
#[derive(Args)]
pub struct Statement {
    #[command(flatten)]
    database: Database,
    /// Who is charged.
    #[arg(long)]
    tenant: String,
    /// Include the tenants below it: acme/ml is below acme. Each is rounded by itself.
    #[arg(long)]
    below: bool,
    /// The month (UTC). A call counts in the month in which it began; what came after that was closed, in a later one.
    #[arg(long, value_name = "YYYY-MM")]
    month: Month,
    /// Round to so many decimals.
    #[arg(long, value_name = "DECIMALS", default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=15))]
    round: u8,
    /// The position at which to compute it, as a statement prints it: the last entry of each chain, separated by commas.
    #[arg(long, value_name = "WRITER:ENTRY[:HASH],…")]
    at: Option<Asked>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print instead which entries each line is made of, as CSV, in the order of the ledger.
    #[arg(long, conflicts_with = "format")]
    records: bool,
}

pub fn run(args: Statement) -> Result<(), Failure> {
    let Statement { database, tenant, below, month, round, at, format, records } = args;
    let reader = database.reader()?;
    let bar = ProgressBar::new_spinner();
    let question = Question { tenant, below, month, round, at };
    let statement = BillingStatement::of(&*reader, question, || bar.inc(1));
    bar.finish_and_clear();
    let statement = statement.map_err(Failure::failed)?;
    if !records {
        return print(&statement.render(format).map_err(Failure::failed)?);
    }
    let mut out = BufWriter::new(terminal::out());
    let written = statement.records(&*reader, &mut out).and_then(|()| Ok(out.flush()?));
    match written {
        // Who reads it may have seen enough.
        Err(statement::Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Failure::failed),
    }
}
