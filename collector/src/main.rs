//! `meshmeter`: the command line of the billing collector.

#![forbid(unsafe_code)]
#![deny(clippy::print_stderr, clippy::print_stdout)]

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    cli::run()
}
