//! The command line of those who measure by a corpus.

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

/// Runs the recordings of DIR (index.jsonl, truth.jsonl, bodies/) through the meter, and compares the counts with the truth: the
/// totals of input and output, cache read, cache write and reasoning; absent equals 0 for the last three.
///
/// The table says for each provider how many records have usage by the truth, and of those how many the meter has exact,
/// wrong or missed; false are counts where none were reported. The last line is the sum, in JSON.
///
/// With --prices a second table: cases are truths that say what is owed or which classes there are, and of those how many are
/// exact, wrong or unpriced; silent are wrong ones with no mark on the record. Calls are those with reported counts to providers
/// that sell by a list price, and priced are those of them of which everything has a price.
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(name = "corpus", bin_name = "just corpus")]
pub struct Arguments {
    /// The directory of recordings.
    dir: Option<PathBuf>,
    /// The file for the differences, one JSON object a line.
    #[arg(long, value_name = "FILE", default_value_os_t = default_out())]
    pub out: PathBuf,
    /// Send bodies that are kept as they were on the wire so, with their content encoding.
    #[arg(long)]
    pub encoded: bool,
    /// Through a real Envoy with the plugin, from a server that responds as recorded.
    // The recipe chooses the program by it.
    #[arg(long, conflicts_with = "prices")]
    pub envoy: bool,
    /// Rate the calls too, by the collector's own code with these price books, the first that has an entry for a call; without
    /// BOOK with the built-in one. Prices are those of today. Compared is what is owed in USD, classes and units, and what
    /// the truth expects of provider, model and price.
    #[arg(long, value_name = "BOOK", num_args = 0..)]
    pub prices: Option<Vec<PathBuf>>,
    /// With --prices: every record with what it is charged, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub records: Option<PathBuf>,
}

impl Arguments {
    /// Reads the command line; help and wrong use end the program.
    pub fn read() -> Arguments {
        Self::read_from(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn read_from<T: Into<std::ffi::OsString> + Clone>(
        arguments: impl IntoIterator<Item = T>,
    ) -> Result<Arguments, clap::Error> {
        let mut arguments = Arguments::try_parse_from(arguments)?;
        if arguments.dir.is_none() {
            // The directory may stand behind the price books.
            let books = arguments.prices.as_mut().filter(|books| books.last().is_some_and(|last| last.is_dir()));
            arguments.dir = books.and_then(Vec::pop);
        }
        match arguments.dir {
            Some(_) => Ok(arguments),
            None => {
                let problem = "which directory of recordings?";
                Err(Arguments::command().error(ErrorKind::MissingRequiredArgument, problem))
            }
        }
    }

    /// The directory of recordings.
    pub fn dir(&self) -> &Path {
        self.dir.as_deref().unwrap_or(Path::new("."))
    }
}

fn default_out() -> PathBuf {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    top.unwrap_or(Path::new(".")).join("target/corpus-differences.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments, ErrorKind> {
        let words = ["corpus"].into_iter().chain(line.split_whitespace());
        Arguments::read_from(words).map_err(|error| error.kind())
    }

    #[test]
    fn contract_the_command_line() {
        let arguments = read("some/dir --envoy --out x.jsonl").unwrap();
        let (dir, out) = (Some("some/dir".into()), "x.jsonl".into());
        let expected = Arguments { dir, out, encoded: false, envoy: true, prices: None, records: None };
        assert_eq!(arguments, expected);
        for (line, books) in
            [("d --prices", vec![]), ("--prices /", vec![]), ("d --prices a.toml b.toml", vec!["a.toml", "b.toml"])]
        {
            let books: Vec<PathBuf> = books.into_iter().map(PathBuf::from).collect();
            let arguments = read(line).unwrap();
            assert_eq!(arguments.prices, Some(books), "{line}");
            assert!(arguments.dir().to_str().is_some_and(|dir| dir == "d" || dir == "/"), "{line}");
        }
        assert!(read("dir").unwrap().out.ends_with("target/corpus-differences.jsonl"));
        for (line, expected) in [
            ("", ErrorKind::MissingRequiredArgument),
            ("--prices a.toml", ErrorKind::MissingRequiredArgument),
            ("a b", ErrorKind::UnknownArgument),
            ("a --fast", ErrorKind::UnknownArgument),
            ("a --out", ErrorKind::InvalidValue),
            ("a --envoy --prices", ErrorKind::ArgumentConflict),
            ("dir --help", ErrorKind::DisplayHelp),
        ] {
            assert_eq!(read(line), Err(expected), "{line}");
        }
    }
}
