//! `meshmeter export`: the ledger's entries as Parquet files, for a warehouse.

use std::path::PathBuf;

use clap::Args;
use collector::export::Ledger;
use collector::store::months::Month;
use collector::terminal::printable;
use indicatif::ProgressBar;
use warehouse::place::{self, Settings};
use warehouse::{Bounds, Done, Progress, Selection};

use super::args::{Database, read};
use super::{Failure, print};

/// Writes the ledger's entries as Parquet files, which DuckDB, Spark, ClickHouse or Trino read where they lie.
///
/// Run again it adds what is new. It may be killed at any moment: no entry is there twice, and none is left out. The files are
/// in month=…/tenant_hash=…/; docs/warehouse.md has the columns, and how to ask for the ledger's sums.
#[derive(Args)]
#[command(
    after_help = "Credentials for s3:// are taken as the AWS command line takes them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
                  AWS_PROFILE and ~/.aws, a web identity, or the role of the container or the machine. AWS_REGION is the region."
)]
pub struct Export {
    #[command(flatten)]
    database: Database,
    /// Where the files go: a directory, or a bucket of an object store.
    #[arg(long, value_name = "DIR|s3://BUCKET/PREFIX")]
    to: String,
    /// Only the entries that count in this month (UTC).
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<Month>,
    /// Only the entries of this tenant and what is below it.
    #[arg(long)]
    tenant: Option<String>,
    /// The URL of an object store that is not Amazon's.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// File with the certificates (PEM) that vouch for an object store, instead of the public ones.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Entries that are written before they are committed: what is done again after a crash, and what waits in the directory
    /// TMPDIR before it is sent to a bucket.
    #[arg(long, value_name = "ENTRIES", default_value_t = Bounds::default().commit, value_parser = clap::value_parser!(i64).range(1..))]
    commit_every: i64,
}

pub fn run(args: Export) -> Result<(), Failure> {
    let Export { database, to, month, tenant, endpoint, ca_file, commit_every } = args;
    let authorities = ca_file.as_deref().map(read).transpose().map_err(Failure::Failed)?;
    let reader = database.reader()?;
    // A mistyped name of a ledger makes no directory.
    reader.ping().map_err(Failure::failed)?;
    let place =
        place::open(&to, &Settings { endpoint, authorities, ..Settings::default() }).map_err(|error| failed(&error))?;
    let selection = Selection { month: month.map(|month| month.to_string()), tenant };
    let bounds = Bounds { commit: commit_every, ..Bounds::default() };
    let bar = ProgressBar::new(0);
    let mut progress = |progress: Progress| {
        if bar.length() != Some(progress.of) {
            bar.set_length(progress.of);
        }
        bar.set_position(progress.read);
    };
    let done = warehouse::export(&Ledger(&*reader), &*place, &selection, bounds, &mut progress);
    bar.finish_and_clear();
    print(&said(&done.map_err(|error| failed(&error))?))
}

fn failed(error: &warehouse::Error) -> Failure {
    Failure::Failed(printable(error.to_string()))
}

/// What was done, in a line.
fn said(done: &Done) -> String {
    let to: Vec<String> = done.to.iter().map(|end| end.position.to_string()).collect();
    let to = if to.is_empty() { "the ledger has no entries".to_owned() } else { format!("up to {}", to.join(", ")) };
    let sum = |of: fn(&warehouse::Commit) -> u64| done.commits.iter().map(of).fold(0, u64::saturating_add);
    match done.commits.len() {
        0 => format!("nothing new, {to}\n"),
        _ => format!(
            "{} entries in {} files, {} bytes, {to}\n",
            sum(|commit| commit.rows),
            sum(|commit| commit.files),
            sum(|commit| commit.bytes)
        ),
    }
}
