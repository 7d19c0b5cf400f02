//! The command line: what can be asked for, and how it ends: 0 done, 1 failed, 2 wrong use.

mod reconcile;

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, error::ErrorKind};
use collector::prices::PriceBook;
use collector::report::{self, Dimension, Format, Question, Report};
use collector::serve::{self, Options, Token};
use collector::store::Selection;
use collector::store::sqlite::Reader;
use jiff::civil::Date;

mod prices;

/// The billing-grade meter for LLM traffic: takes usage events from the mesh, keeps the ledger, rates it and reports.
#[derive(Parser)]
#[command(name = "meshmeter", version, after_help = "Exit codes: 0 done, 1 failed, 2 wrong use.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(Box<Serve>),
    Report(ReportArgs),
    Reconcile(reconcile::Reconcile),
    Check(Check),
    #[command(subcommand)]
    Prices(prices::Prices),
}

/// Takes usage events over HTTP, keeps them in the ledger and answers reports.
///
/// POST /v1/events takes CloudEvents and answers after the commit. GET /v1/report and /metrics need the read token;
/// /healthz is open. SIGTERM and SIGINT end it in order: what was taken is committed and answered.
#[derive(Args)]
struct Serve {
    /// Address to listen on; port 0 takes a free one. The address is printed when it is ready.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", env = "MESHMETER_LISTEN")]
    listen: SocketAddr,
    /// Database file of the ledger; made if there is none.
    #[arg(long, value_name = "FILE", default_value = "meshmeter.db", env = "MESHMETER_DATABASE")]
    database: PathBuf,
    /// Price book for /v1/report (TOML). It is read again for every report, so a new price needs no restart.
    #[arg(long, value_name = "FILE", env = "MESHMETER_PRICES")]
    prices: Option<PathBuf>,
    /// Environment variable that holds the token of those who may send events.
    #[arg(long, value_name = "NAME", default_value = "MESHMETER_INGEST_TOKEN")]
    ingest_token_env: String,
    /// File with the token of those who may send events, instead of the variable. One per line: several while you rotate.
    #[arg(long, value_name = "FILE")]
    ingest_token_file: Option<PathBuf>,
    /// Environment variable that holds the token of those who may read reports and metrics.
    #[arg(long, value_name = "NAME", default_value = "MESHMETER_READ_TOKEN")]
    read_token_env: String,
    /// File with the token of those who may read reports and metrics, instead of the variable.
    #[arg(long, value_name = "FILE")]
    read_token_file: Option<PathBuf>,
    /// Ask nobody for a token. Only on a loopback address.
    #[arg(long)]
    insecure_no_auth: bool,
    /// Batches that may wait for the disk; more are answered with 503 and come again.
    #[arg(long, value_name = "BATCHES", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    queue: u16,
}

/// Prints usage and cost from the ledger's sums.
///
/// Lines with different evidence (reported, partial, estimated, missing) are never added up. The columns are disjoint:
/// input is what no cache served, output is without reasoning. A model without a price is unpriced, not free.
#[derive(Args)]
struct ReportArgs {
    /// Database file of the ledger; it may be in use.
    #[arg(long, value_name = "FILE", default_value = "meshmeter.db", env = "MESHMETER_DATABASE")]
    database: PathBuf,
    /// Price book (TOML); without it everything is unpriced.
    #[arg(long, value_name = "FILE", env = "MESHMETER_PRICES")]
    prices: Option<PathBuf>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// First day (UTC, when the call began).
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = report::day)]
    since: Option<Date>,
    /// Last day.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = report::day)]
    until: Option<Date>,
    /// Only this tenant and what is below it: acme is acme, acme/ml and acme/ml/ann.
    #[arg(long)]
    tenant: Option<String>,
    /// What tells lines apart: any of day, month, tenant, provider, model, separated by commas.
    #[arg(long, value_name = "COLUMNS", default_value = report::DEFAULT_BY, value_parser = By::parse)]
    by: By,
}

/// Checks a plugin configuration (JSON), with the code that the plugin itself uses.
#[derive(Args)]
struct Check {
    /// The file, or - for standard input.
    file: PathBuf,
}

/// The columns of a report, as one argument.
#[derive(Clone)]
struct By(Vec<Dimension>);

impl By {
    fn parse(text: &str) -> Result<By, String> {
        report::dimensions(text).map(By)
    }
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
        Command::Serve(args) => serve(*args),
        Command::Report(args) => print_report(args),
        Command::Reconcile(args) => return reconcile::run(args),
        Command::Check(args) => check(&args.file),
        Command::Prices(command) => prices::run(command),
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

fn serve(args: Serve) -> Result<(), Failure> {
    let ingest = tokens(&args.ingest_token_env, args.ingest_token_file.as_deref())?;
    let read = tokens(&args.read_token_env, args.read_token_file.as_deref())?;
    if args.insecure_no_auth && !args.listen.ip().is_loopback() {
        return Err(Failure::Usage(format!(
            "--insecure-no-auth: must listen on a loopback address, not on {}",
            args.listen
        )));
    }
    if ingest.is_empty() && !args.insecure_no_auth {
        return Err(Failure::Usage(format!(
            "no ingest token: set {}, or name a file with --ingest-token-file, or give --insecure-no-auth on a loopback address",
            args.ingest_token_env
        )));
    }
    if read.iter().any(|token| ingest.contains(token)) {
        return Err(Failure::Usage("the read token must differ from the ingest token".to_owned()));
    }
    if let Some(prices) = &args.prices {
        PriceBook::load(prices).map_err(Failure::Failed)?;
    }
    serve::run(Options {
        listen: args.listen,
        database: args.database,
        prices: args.prices,
        ingest,
        read,
        open: args.insecure_no_auth,
        queue: usize::from(args.queue),
    })
    .map_err(Failure::Failed)
}

/// The tokens of a file, else of a variable. Never shown, not even in errors.
fn tokens(variable: &str, file: Option<&Path>) -> Result<Vec<Token>, Failure> {
    let (from, text) = match file {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))?;
            (file.display().to_string(), text)
        }
        None => (variable.to_owned(), std::env::var(variable).unwrap_or_default()),
    };
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let tokens: Result<Vec<Token>, _> = lines.map(|line| Token::new(line.trim())).collect();
    match tokens {
        Ok(tokens) if tokens.is_empty() && file.is_some() => {
            Err(Failure::Failed(format!("{from}: has no token in it")))
        }
        Ok(tokens) => Ok(tokens),
        Err(problem) => Err(Failure::Failed(format!("{from}: {problem}"))),
    }
}

fn print_report(args: ReportArgs) -> Result<(), Failure> {
    let prices = args.prices.as_deref().map(PriceBook::load).transpose().map_err(Failure::Failed)?;
    let selection = Selection { since: args.since, until: args.until, tenant: args.tenant };
    let question = Question { selection, by: args.by.0 };
    let report = Report::answer(&Reader::new(&args.database), prices.as_ref(), question).map_err(Failure::failed)?;
    print(&report.render(args.format).map_err(Failure::failed)?)
}

fn check(file: &Path) -> Result<(), Failure> {
    let (name, bytes) = if file.as_os_str() == OsStr::new("-") {
        let mut bytes = Vec::new();
        ("standard input".to_owned(), std::io::stdin().read_to_end(&mut bytes).map(|_| bytes))
    } else {
        (file.display().to_string(), std::fs::read(file))
    };
    let bytes = bytes.map_err(|error| Failure::Failed(format!("{name}: {error}")))?;
    match meter::config::parse(&bytes) {
        Ok(_) => print(&format!("{name}: ok\n")),
        Err(problems) => {
            let lines: Vec<String> = problems.to_string().lines().map(|problem| format!("{name}: {problem}")).collect();
            Err(Failure::Problems(lines.join("\n")))
        }
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // `meshmeter report | head` has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| Failure::Failed(format!("standard output: {error}"))),
    }
}
