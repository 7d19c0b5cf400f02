//! `meshmeter prices import`: makes a price book from public price lists.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use collector::prices::import::{self, Imported, List, Options};
use collector::terminal::{self, complain};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::super::{Failure, print};

/// Makes a price book from public price lists, exactly.
///
/// Of a model that several lists name, the first one's prices are taken. What cannot be taken over as it is stands on
/// standard error, by name and with the reason, and so do the differences between the lists. The lists are estimates of
/// others: check the prices that matter to you.
#[derive(Args)]
pub struct Import {
    /// A list and its file: `litellm FILE`, `genai-prices FILE` (JSON) or `fees FILE` (TOML); several pairs make one book.
    #[arg(required_unless_present = "list", value_name = "LIST FILE")]
    pairs: Vec<String>,
    /// The same as one word; may be given several times, and stands behind the pairs.
    #[arg(long, value_name = "LIST=FILE", value_parser = pair)]
    list: Vec<(List, PathBuf)>,
    /// File to write; standard output without it.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A book that this command made before: it keeps its history, and what has changed is said.
    ///
    /// Prices that are others now end yesterday, and the new ones hold from today. What no list has any more keeps its price.
    #[arg(long, value_name = "BOOK")]
    update: Option<PathBuf>,
    /// First day (UTC) of the prices for which the list has no date.
    #[arg(long, value_name = "YYYY-MM-DD", default_value = "1970-01-01", value_parser = collector::report::day)]
    valid_from: Date,
    /// The day (UTC) from which what has changed holds; today without it.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = collector::report::day)]
    today: Option<Date>,
    /// Only this provider, by the meter's name such as gcp.vertex_ai; may be given several times.
    #[arg(long, value_name = "NAME")]
    provider: Vec<String>,
    /// Round prices that have more than 12 decimals, and name them, instead of leaving their models out.
    #[arg(long)]
    round: bool,
    /// A line for the beginning of the book, such as the versions of the lists; may be given several times.
    #[arg(long, value_name = "TEXT")]
    comment: Vec<String>,
}

/// `litellm=FILE`.
fn pair(text: &str) -> Result<(List, PathBuf), String> {
    let (list, file) = text.split_once('=').ok_or("must be a list and its file, such as litellm=prices.json")?;
    Ok((named(list)?, file.into()))
}

fn named(list: &str) -> Result<List, String> {
    List::from_str(list, false).map_err(|_| {
        format!("{}: is no list that is known; allowed are litellm, genai-prices and fees", terminal::printable(list))
    })
}

pub fn run(args: Import) -> Result<(), Failure> {
    let Import { pairs, list, out, update, valid_from, today, provider, round, comment } = args;
    let mut files = Vec::new();
    for pair in pairs.chunks(2) {
        let [list, file] = pair else {
            return Err(Failure::Failed("import: each list needs its file, such as `litellm prices.json`".to_owned()));
        };
        files.push((named(list).map_err(Failure::Failed)?, PathBuf::from(file)));
    }
    files.extend(list);
    let named = |files: &[(List, PathBuf)], problem: &str| {
        let names: Vec<String> = files.iter().map(|(_, file)| terminal::file(file).to_string()).collect();
        Failure::Failed(format!("{}: {problem}", names.join(", ")))
    };
    let read = |file: &PathBuf| {
        let problem = |error: std::io::Error| Failure::Failed(format!("{}: {error}", terminal::file(file)));
        std::fs::read_to_string(file).map_err(problem)
    };
    let texts = files.iter().map(|(list, file)| Ok((*list, read(file)?))).collect::<Result<Vec<_>, Failure>>()?;
    let texts: Vec<(List, &str)> = texts.iter().map(|(list, text)| (*list, text.as_str())).collect();
    let options = Options {
        valid_from,
        providers: provider,
        round,
        update: update.as_ref().map(read).transpose()?,
        today: today.unwrap_or_else(|| Timestamp::now().to_zoned(TimeZone::UTC).date()),
        comments: comment,
    };
    let imported = import::import_all(&texts, &options).map_err(|problem| named(&files, &problem))?;
    let Imported { toml, models, entries, notes, changes } = imported;
    if entries == 0 {
        return Err(named(&files, &format!("no price was taken over\n{notes}")));
    }
    match &out {
        Some(out) => {
            std::fs::write(out, toml).map_err(|error| Failure::Failed(format!("{}: {error}", terminal::file(out))))?
        }
        None => print(&toml)?,
    }
    let mut text = notes.to_string();
    if let Some(changes) = changes {
        text.push_str(&changes.to_string());
    }
    for (list, all, taken) in models {
        text.push_str(&format!("{}: {taken} of {all} models taken over\n", list.name()));
    }
    complain(&format!("{text}{entries} {}", if entries == 1 { "entry" } else { "entries" }));
    Ok(())
}
