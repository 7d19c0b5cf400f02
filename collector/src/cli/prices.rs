//! `meshmeter prices`: checks price books, explains what a call costs, and makes books from public price lists.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use collector::prices::PriceBook;
use collector::terminal::{self, complain};

use super::{Failure, print};

mod books;
mod explain;
mod import;

pub use books::Books;

/// Checks price books, explains what a call costs, and makes books from public price lists.
#[derive(Subcommand)]
pub enum Prices {
    Check(Check),
    Explain(Box<explain::Explain>),
    Import(import::Import),
}

/// Checks price books (TOML): names every problem with its entry and field, or sums up what is in them.
///
/// Several files are checked each alone and then as layers of one, of which the first that has an entry decides.
/// What is most often a mistake is a warning: providers that nobody has, aliases that lead to no entry, and entries without prices of
/// caches where the entries behind them have some.
#[derive(Args)]
pub struct Check {
    /// The files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Says whether there is something to look at.
pub fn run(command: Prices) -> Result<bool, Failure> {
    match command {
        Prices::Check(args) => check(&args.files).map(|()| false),
        Prices::Explain(args) => explain::run(*args),
        Prices::Import(args) => import::run(args).map(|()| false),
    }
}

fn check(files: &[PathBuf]) -> Result<(), Failure> {
    let mut problems = Vec::new();
    let mut text = String::new();
    for file in files {
        match PriceBook::load(file) {
            Ok(book) => text.push_str(&format!("{}: ok: {}\n", terminal::file(file), book.summary())),
            Err(found) => problems.push(found),
        }
    }
    // What only together is wrong: aliases that come back to themselves, factors with too many decimals.
    let mut warnings = Vec::new();
    if problems.is_empty() {
        match PriceBook::layers(files, true) {
            Ok(book) => warnings = book.warnings(),
            Err(found) => problems.push(found),
        }
    }
    print(&text)?;
    for warning in warnings {
        complain(&format!("warning: {warning}"));
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::Problems(problems.join("\n"))) }
}
