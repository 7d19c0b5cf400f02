//! The command line of those who measure by a corpus.

use std::path::{Path, PathBuf};

use crate::Result;

/// What to measure, and where the differences go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The directory of recordings.
    pub dir: PathBuf,
    /// The file for the differences.
    pub out: PathBuf,
    /// Whether bodies that are kept as they were on the wire are sent so, with their content encoding.
    pub encoded: bool,
    /// Whether the calls are rated, too; by these price books, or by the built-in one if there are none.
    pub prices: Option<Vec<PathBuf>>,
    /// A file for every record with what it is charged.
    pub records: Option<PathBuf>,
}

const HELP: &str = "\
Usage: just corpus DIR [--envoy | --prices [BOOK]...] [--encoded] [--out FILE]

Runs the recordings of DIR (index.jsonl, truth.jsonl, bodies/) through the meter, and compares the counts with the truth:
the totals of input and output, cache read, cache write and reasoning; absent equals 0 for the last three.

  --envoy     through a real Envoy with the plugin, from a server that responds as recorded
  --prices    rated too, by the collector's own code with these price books, the first that has an entry for a call; without
              BOOK with the built-in one. Prices are those of today. Compared is what is owed in USD, classes and units, and
              what the truth expects of provider, model and price
  --records FILE  with --prices: every record with what it is charged, one JSON object a line
  --encoded   bodies that are kept compressed, as they were on the wire, are sent so
  --out FILE  what differs, one JSON object a line [default: target/corpus-differences.jsonl]
  --help      this

The table says for each provider how many records have usage by the truth, and of those how many the meter has exact,
wrong or missed; false are counts where none were reported. The last line is the sum, in JSON.

With --prices a second table: cases are truths that say what is owed or which classes there are, and of those how many are
exact, wrong or unpriced; silent are wrong ones with no mark on the record. Calls are those with reported counts to providers
that sell by a list price, and priced are those of them of which everything has a price.";

impl Arguments {
    /// Reads the command line without the program's name; `None` if it asked for help, which was printed.
    pub fn read(arguments: impl IntoIterator<Item = String>) -> Result<Option<Arguments>> {
        let (mut dir, mut out, mut encoded, mut envoy, mut prices, mut records) =
            (None, None, false, false, None, None);
        let mut arguments = arguments.into_iter().peekable();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--help" | "-h" => {
                    println!("{HELP}");
                    return Ok(None);
                }
                "--out" => out = Some(arguments.next().ok_or("--out needs a file")?.into()),
                "--records" => records = Some(arguments.next().ok_or("--records needs a file")?.into()),
                "--encoded" => encoded = true,
                // The recipe chooses the program by it.
                "--envoy" => envoy = true,
                "--prices" => {
                    let books: &mut Vec<PathBuf> = prices.get_or_insert_default();
                    // The directory may stand behind them, too.
                    while let Some(book) = arguments.next_if(|next| !next.starts_with('-') && !Path::new(next).is_dir())
                    {
                        books.push(book.into());
                    }
                }
                option if option.starts_with('-') => return Err(format!("{option}: no such option; see --help").into()),
                _ if dir.is_some() => return Err(format!("{argument}: one directory is enough; see --help").into()),
                _ => dir = Some(PathBuf::from(argument)),
            }
        }
        let dir = dir.ok_or("which directory of recordings? See --help")?;
        if envoy && prices.is_some() {
            return Err("--prices: is for the meter alone, without --envoy".into());
        }
        Ok(Some(Arguments { dir, out: out.unwrap_or_else(default_out), encoded, prices, records }))
    }
}

fn default_out() -> PathBuf {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    top.unwrap_or(Path::new(".")).join("target/corpus-differences.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<Arguments>> {
        Arguments::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn contract_the_command_line() {
        let arguments = read("some/dir --envoy --out x.jsonl").unwrap().unwrap();
        let expected =
            Arguments { dir: "some/dir".into(), out: "x.jsonl".into(), encoded: false, prices: None, records: None };
        assert_eq!(arguments, expected);
        for (line, books) in
            [("d --prices", vec![]), ("--prices /", vec![]), ("d --prices a.toml b.toml", vec!["a.toml", "b.toml"])]
        {
            let books: Vec<PathBuf> = books.into_iter().map(PathBuf::from).collect();
            assert_eq!(read(line).unwrap().unwrap().prices, Some(books), "{line}");
        }
        assert!(read("dir").unwrap().unwrap().out.ends_with("target/corpus-differences.jsonl"));
        assert_eq!(read("dir --help").unwrap(), None);
        for (line, expected) in [
            ("", "which directory of recordings? See --help"),
            ("a b", "b: one directory is enough; see --help"),
            ("a --fast", "--fast: no such option; see --help"),
            ("a --out", "--out needs a file"),
            ("a --envoy --prices", "--prices: is for the meter alone, without --envoy"),
        ] {
            assert_eq!(read(line).unwrap_err().to_string(), expected);
        }
    }
}
