//! The command line: what can be asked for, and how it ends: 0 done, 1 failed, 2 wrong use, 3 done, and there is something to
//! look at, 4 done, and `doctor` has found errors.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};
use collector::secret;
use collector::terminal::{self, complain};

mod args;
mod backup;
mod budgets;
mod changes;
mod check;
mod close;
mod correct;
mod doctor;
mod explain;
mod export;
mod forget;
mod gaps;
mod hash_key;
mod latency;
mod ledger;
mod prices;
mod prune;
mod quarantine;
mod reconcile;
mod relay;
mod report;
mod seal;
mod serve;
mod statement;
mod top;

/// The billing-grade meter for LLM traffic: takes usage events from the mesh, keeps the ledger, rates it and reports.
#[derive(Parser)]
#[command(
    name = "meshmeter",
    version,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong use, 3 done, and there is something to look at (gaps, alarms, copies, close, \
                  reconcile, rerate, correct, prices explain, budgets, doctor), 4 done, and doctor has found errors."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Report(report::ReportArgs),
    Statement(statement::Statement),
    Latency(latency::LatencyArgs),
    Audit(report::AuditArgs),
    Reconcile(reconcile::Reconcile),
    Relay(Box<relay::RelayArgs>),
    #[command(subcommand)]
    Prices(prices::Prices),
    Gaps(gaps::Gaps),
    Budgets(budgets::Budgets),
    Explain(explain::Explain),
    Export(export::Export),
    Verify(ledger::Verify),
    Rerate(ledger::Rerate),
    Correct(correct::Correct),
    Close(close::Close),
    Forget(Box<forget::Forget>),
    Seal(Box<seal::Seal>),
    Unseal(seal::Unseal),
    Prune(prune::Prune),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Copies(quarantine::Copies),
    Alarms(quarantine::Alarms),
    Release(quarantine::Release),
    Check(check::Check),
    Doctor(Box<doctor::Doctor>),
    HashKey(hash_key::HashKeys),
    Top(top::Top),
}

/// How a command ends when it does not work out.
enum Failure {
    /// It was asked for something it does not do.
    Usage(String),
    /// It could not be done.
    Failed(String),
    /// What was checked is wrong.
    Problems(String),
    /// It could not be done, and the log says why.
    Logged,
}

impl Failure {
    fn failed(error: impl std::fmt::Display) -> Failure {
        Failure::Failed(error.to_string())
    }
}

pub fn run() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => return say(&error),
    };
    let result = match command {
        Command::Serve(args) => serve::run(*args),
        Command::Report(args) => report::run(args),
        Command::Statement(args) => statement::run(args),
        Command::Latency(args) => latency::run(args),
        Command::Audit(args) => report::audit(args),
        Command::Reconcile(args) => return reconcile::run(args),
        Command::Doctor(args) => return doctor::run(*args),
        Command::Top(args) => return top::run(args),
        Command::Prices(command) => return looked(prices::run(command)),
        Command::Gaps(args) => return looked(gaps::gaps(args)),
        Command::Budgets(args) => return looked(budgets::run(args)),
        Command::Rerate(args) => return looked(ledger::rerate(args)),
        Command::Correct(args) => return looked(correct::correct(args)),
        Command::Close(args) => return looked(close::close(args)),
        Command::Copies(args) => return looked(quarantine::copies(args)),
        Command::Alarms(args) => return looked(quarantine::alarms(args)),
        Command::Explain(args) => explain::run(args),
        Command::Export(args) => export::run(args),
        Command::Relay(args) => relay::run(*args),
        Command::Forget(args) => forget::forget(*args),
        Command::Seal(args) => seal::seal(*args),
        Command::Unseal(args) => seal::unseal(args),
        Command::Prune(args) => prune::prune(args),
        Command::Verify(args) => ledger::verify(args),
        Command::Release(args) => quarantine::release(args),
        Command::Backup(args) => backup::backup(args),
        Command::Restore(args) => backup::restore(args),
        Command::Check(args) => check::run(args),
        Command::HashKey(args) => hash_key::run(args),
    };
    ended(result)
}

/// How a command ends that may have found something to look at.
fn looked(result: Result<bool, Failure>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::from(3),
        done => ended(done.map(drop)),
    }
}

fn ended(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(problem)) => fail(&prefixed(&problem)),
        Err(Failure::Problems(problems)) => fail(&problems),
        Err(Failure::Logged) => ExitCode::from(1),
        Err(Failure::Usage(problem)) => refuse(&problem),
    }
}

fn fail(text: &str) -> ExitCode {
    complain(text);
    ExitCode::from(1)
}

/// What the parser says: help, or what is wrong with the arguments, which it repeats.
fn say(error: &clap::Error) -> ExitCode {
    let variables = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MESHMETER_"));
    let arguments = std::env::args_os().chain(variables.map(|(_, value)| value));
    let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    let text = secret::masked_in(error.render().to_string(), arguments);
    if error.use_stderr() {
        complain(text.trim_end());
    } else if let Err(problem) = terminal::print(&text) {
        return fail(&prefixed(&problem));
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
}

/// Some commands have rules that the parser does not know.
fn refuse(problem: &str) -> ExitCode {
    let mut command = Cli::command();
    command.build();
    say(&refused(&mut command, &mut std::env::args_os().skip(1), problem))
}

/// With the usage of the command that was asked for: of `budgets set`, not of `budgets`.
fn refused(command: &mut clap::Command, words: &mut dyn Iterator<Item = OsString>, problem: &str) -> clap::Error {
    if let Some(asked) = words.next().and_then(|word| command.find_subcommand_mut(word)) {
        return refused(asked, words, problem);
    }
    command.error(ErrorKind::InvalidValue, problem)
}

fn prefixed(problem: &str) -> String {
    problem.lines().map(|line| format!("meshmeter: {line}")).collect::<Vec<_>>().join("\n")
}

fn print(text: &str) -> Result<(), Failure> {
    terminal::print(text).map_err(Failure::Failed)
}
