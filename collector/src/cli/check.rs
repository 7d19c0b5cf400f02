//! `meshmeter check`.

use std::ffi::OsStr;
use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use collector::terminal::{self, printable};

use super::{Failure, print};

/// Checks a plugin configuration (JSON), with the code that the plugin itself uses.
#[derive(Args)]
pub struct Check {
    /// The file, or - for standard input.
    file: PathBuf,
}

pub fn run(args: Check) -> Result<(), Failure> {
    let file = args.file;
    let (name, bytes) = if file.as_os_str() == OsStr::new("-") {
        let mut bytes = Vec::new();
        ("standard input".to_owned(), std::io::stdin().read_to_end(&mut bytes).map(|_| bytes))
    } else {
        (terminal::file(&file), std::fs::read(&file))
    };
    let bytes = bytes.map_err(|error| Failure::Failed(format!("{name}: {error}")))?;
    match meter::config::parse(&bytes) {
        Ok(_) => print(&format!("{name}: ok\n")),
        Err(problems) => {
            let problems = problems.to_string();
            let lines: Vec<String> =
                problems.lines().map(|problem| format!("{name}: {}", printable(problem))).collect();
            Err(Failure::Problems(lines.join("\n")))
        }
    }
}
