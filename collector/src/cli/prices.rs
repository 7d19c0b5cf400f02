//! `meshmeter prices`: checks price books, explains what a call costs, and makes books from public price lists.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use collector::prices::PriceBook;
use collector::prices::import::{self, Imported, List, Options};
use collector::terminal::{self, complain};
use jiff::civil::Date;

use super::{Failure, print};

mod books;
mod explain;

pub use books::Books;

/// Checks price books, explains what a call costs, and makes books from public price lists.
#[derive(Subcommand)]
pub enum Prices {
    Check(Check),
    Explain(Box<explain::Explain>),
    Import(Import),
}

/// Checks price books (TOML): names every problem with its entry and field, or sums up what is in them.
///
/// Several files are checked each alone and then as layers of one, of which the first that has an entry decides.
#[derive(Args)]
pub struct Check {
    /// The files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Makes a price book from a public price list, exactly.
///
/// What cannot be taken over as it is stands on standard error, by name and with the reason. The lists are estimates of
/// others: check the prices that matter to you.
#[derive(Args)]
pub struct Import {
    /// The list.
    #[arg(value_enum)]
    list: List,
    /// Its JSON file.
    file: PathBuf,
    /// File to write; standard output without it.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// First day (UTC) of the prices for which the list has no date.
    #[arg(long, value_name = "YYYY-MM-DD", default_value = "1970-01-01", value_parser = collector::report::day)]
    valid_from: Date,
    /// Only this provider, by the meter's name such as gcp.vertex_ai; may be given several times.
    #[arg(long, value_name = "NAME")]
    provider: Vec<String>,
    /// Round prices that have more than 12 decimals, and name them, instead of leaving their models out.
    #[arg(long)]
    round: bool,
}

pub fn run(command: Prices) -> Result<(), Failure> {
    match command {
        Prices::Check(args) => check(&args.files),
        Prices::Explain(args) => explain::run(*args),
        Prices::Import(args) => import(args),
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
    if problems.is_empty()
        && let Err(found) = PriceBook::layers(files, true)
    {
        problems.push(found);
    }
    print(&text)?;
    if problems.is_empty() { Ok(()) } else { Err(Failure::Problems(problems.join("\n"))) }
}

fn import(args: Import) -> Result<(), Failure> {
    let Import { list, file, out, valid_from, provider, round } = args;
    let named = |problem: String| Failure::Failed(format!("{}: {problem}", terminal::file(&file)));
    let text = std::fs::read_to_string(&file).map_err(|error| named(error.to_string()))?;
    let imported = import::import(list, &text, &Options { valid_from, providers: provider, round }).map_err(named)?;
    let Imported { toml, models: (all, taken), entries, notes } = imported;
    if entries == 0 {
        return Err(named(format!("no price was taken over\n{notes}")));
    }
    match &out {
        Some(out) => {
            std::fs::write(out, toml).map_err(|error| Failure::Failed(format!("{}: {error}", terminal::file(out))))?
        }
        None => print(&toml)?,
    }
    complain(&format!("{notes}{taken} of {all} models taken over in {entries} entries"));
    Ok(())
}
