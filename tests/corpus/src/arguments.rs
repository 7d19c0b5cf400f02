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
}

const HELP: &str = "\
Usage: just corpus DIR [--envoy] [--encoded] [--out FILE]

Runs the recordings of DIR (index.jsonl, truth.jsonl, bodies/) through the meter, and compares the counts with the truth:
the totals of input and output, cache read, cache write and reasoning; absent equals 0 for the last three.

  --envoy     through a real Envoy with the plugin, from a server that answers as recorded
  --encoded   bodies that are kept compressed, as they were on the wire, are sent so
  --out FILE  what differs, one JSON object a line [default: target/corpus-differences.jsonl]
  --help      this

The table says for each provider how many records have usage by the truth, and of those how many the meter has exact,
wrong or missed; false are counts where none were reported. The last line is the sum, in JSON.";

impl Arguments {
    /// Reads the command line without the program's name; `None` if it asked for help, which was printed.
    pub fn read(arguments: impl IntoIterator<Item = String>) -> Result<Option<Arguments>> {
        let (mut dir, mut out, mut encoded) = (None, None, false);
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--help" | "-h" => {
                    println!("{HELP}");
                    return Ok(None);
                }
                "--out" => out = Some(arguments.next().ok_or("--out needs a file")?.into()),
                "--encoded" => encoded = true,
                // The recipe chooses the program by it.
                "--envoy" => {}
                option if option.starts_with('-') => return Err(format!("{option}: no such option; see --help").into()),
                _ if dir.is_some() => return Err(format!("{argument}: one directory is enough; see --help").into()),
                _ => dir = Some(PathBuf::from(argument)),
            }
        }
        let dir = dir.ok_or("which directory of recordings? See --help")?;
        Ok(Some(Arguments { dir, out: out.unwrap_or_else(default_out), encoded }))
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
        assert_eq!(arguments, Arguments { dir: "some/dir".into(), out: "x.jsonl".into(), encoded: false });
        assert!(read("dir").unwrap().unwrap().out.ends_with("target/corpus-differences.jsonl"));
        assert_eq!(read("dir --help").unwrap(), None);
        for (line, expected) in [
            ("", "which directory of recordings? See --help"),
            ("a b", "b: one directory is enough; see --help"),
            ("a --fast", "--fast: no such option; see --help"),
            ("a --out", "--out needs a file"),
        ] {
            assert_eq!(read(line).unwrap_err().to_string(), expected);
        }
    }
}
