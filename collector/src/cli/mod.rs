//! The command line: what can be asked for, and how it ends: 0 done, 1 failed, 2 wrong use.

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};

mod check;
mod kept;
mod ledger;
mod prices;
mod reconcile;
mod report;
mod serve;

/// The billing-grade meter for LLM traffic: takes usage events from the mesh, keeps the ledger, rates it and reports.
#[derive(Parser)]
#[command(name = "meshmeter", version, after_help = "Exit codes: 0 done, 1 failed, 2 wrong use.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Report(report::ReportArgs),
    Reconcile(reconcile::Reconcile),
    #[command(subcommand)]
    Prices(prices::Prices),
    Gaps(ledger::Gaps),
    Verify(ledger::Verify),
    Rerate(ledger::Rerate),
    Correct(ledger::Correct),
    Copies(kept::Copies),
    Alarms(kept::Alarms),
    Release(kept::Release),
    Check(check::Check),
}

/// How a command ends when it does not work out.
enum Failure {
    /// It was asked for something it does not do.
    Usage(String),
    /// It could not be done.
    Failed(String),
    /// What was checked is wrong.
    Problems(String),
}

impl Failure {
    fn failed(error: impl std::fmt::Display) -> Failure {
        Failure::Failed(error.to_string())
    }
}

pub fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(args) => serve::run(*args),
        Command::Report(args) => report::run(args),
        Command::Reconcile(args) => return reconcile::run(args),
        Command::Prices(command) => prices::run(command),
        Command::Gaps(args) => ledger::gaps(args),
        Command::Verify(args) => ledger::verify(args),
        Command::Rerate(args) => ledger::rerate(args),
        Command::Correct(args) => ledger::correct(args),
        Command::Copies(args) => kept::copies(args),
        Command::Alarms(args) => kept::alarms(args),
        Command::Release(args) => kept::release(args),
        Command::Check(args) => check::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(problem)) => fail(&prefixed(&problem)),
        Err(Failure::Problems(problems)) => fail(&problems),
        Err(Failure::Usage(problem)) => refuse(&problem),
    }
}

fn fail(text: &str) -> ExitCode {
    // Without standard error there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::from(1)
}

/// Only `serve` has rules that the parser does not know.
fn refuse(problem: &str) -> ! {
    let mut command = Cli::command();
    command.build();
    let error = |command: &mut clap::Command| command.error(ErrorKind::InvalidValue, problem);
    let error = match command.find_subcommand_mut("serve") {
        Some(serve) => error(serve),
        None => error(&mut command),
    };
    error.exit()
}

fn prefixed(problem: &str) -> String {
    problem.lines().map(|line| format!("meshmeter: {line}")).collect::<Vec<_>>().join("\n")
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // `meshmeter report | head` has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| Failure::Failed(format!("standard output: {error}"))),
    }
}
