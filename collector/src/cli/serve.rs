//! `meshmeter serve`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use collector::serve::{self, Options, Scope, Token, Tokens};
use collector::store::Location;
use collector::terminal;

use super::Failure;

/// Takes usage events over HTTP, keeps them in the ledger and answers reports.
///
/// POST /v1/events takes CloudEvents and answers after the commit. GET /v1/report and /metrics need the read token;
/// /healthz is open. SIGTERM and SIGINT end it in order: what was taken is committed and answered.
#[derive(Args)]
pub struct Serve {
    /// Address to listen on; port 0 takes a free one. The address is printed when it is ready.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", env = "MESHMETER_LISTEN")]
    listen: SocketAddr,
    /// Where the ledger is kept: a SQLite file, made if there is none, or the URL of a PostgreSQL database,
    /// postgres://USER@HOST/DATABASE, which several collectors may share. The variable, or PGPASSWORD, keeps a password
    /// out of the process list.
    #[arg(
        long,
        value_name = "FILE|URL",
        default_value = "meshmeter.db",
        env = "MESHMETER_DATABASE",
        hide_env_values = true
    )]
    database: Location,
    /// Price book (TOML) by which calls are rated as they come. It is read again when it changes: a new price needs no
    /// restart. What came before it is rated anew by `meshmeter rerate`.
    #[arg(long, value_name = "FILE", env = "MESHMETER_PRICES")]
    prices: Option<PathBuf>,
    /// Environment variable that holds the token of those who may send events.
    #[arg(long, value_name = "NAME", default_value = "MESHMETER_INGEST_TOKEN")]
    ingest_token_env: String,
    /// File with the token of those who may send events, instead of the variable: one TOKEN or NAME TOKEN a line,
    /// several while you rotate. An emitter belongs to the name that first sent its events.
    #[arg(long, value_name = "FILE")]
    ingest_token_file: Option<PathBuf>,
    /// Environment variable that holds the token of those who may send journals, whoever counted (`meshmeter reconcile`).
    #[arg(long, value_name = "NAME", default_value = "MESHMETER_JOURNAL_TOKEN")]
    journal_token_env: String,
    /// File with the token of those who may send journals, instead of the variable.
    #[arg(long, value_name = "FILE")]
    journal_token_file: Option<PathBuf>,
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

pub fn run(args: Serve) -> Result<(), Failure> {
    let sources = [
        (Scope::Ingest, &args.ingest_token_env, &args.ingest_token_file),
        (Scope::Journal, &args.journal_token_env, &args.journal_token_file),
        (Scope::Read, &args.read_token_env, &args.read_token_file),
    ];
    let mut known: Vec<(Scope, Token)> = Vec::new();
    for (scope, variable, file) in sources {
        for token in tokens(variable, file.as_deref())? {
            if known.iter().any(|(_, other)| other.is_same(&token)) {
                return Err(Failure::Usage(format!(
                    "{token:?}: no two tokens may be the same: each has one name and one scope"
                )));
            }
            known.push((scope, token));
        }
    }
    if args.insecure_no_auth && !args.listen.ip().is_loopback() {
        return Err(Failure::Usage(format!(
            "--insecure-no-auth: must listen on a loopback address, not on {}",
            args.listen
        )));
    }
    if !args.insecure_no_auth && !known.iter().any(|(scope, _)| *scope == Scope::Ingest) {
        return Err(Failure::Usage(format!(
            "no ingest token: set {}, or name a file with --ingest-token-file, or give --insecure-no-auth on a loopback address",
            args.ingest_token_env
        )));
    }
    serve::run(Options {
        listen: args.listen,
        database: args.database,
        prices: args.prices,
        tokens: Tokens::new(known, args.insecure_no_auth),
        queue: usize::from(args.queue),
    })
    .map_err(Failure::Failed)
}

/// The tokens of a file, else of a variable. Never shown, not even in errors.
fn tokens(variable: &str, file: Option<&Path>) -> Result<Vec<Token>, Failure> {
    let (from, text) = match file {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::Failed(format!("{}: {error}", terminal::file(file))))?;
            (terminal::file(file), text)
        }
        None => (variable.to_owned(), std::env::var(variable).unwrap_or_default()),
    };
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let tokens: Result<Vec<Token>, _> = lines.map(Token::parse).collect();
    match tokens {
        Ok(tokens) if tokens.is_empty() && file.is_some() => {
            Err(Failure::Failed(format!("{from}: has no token in it")))
        }
        Ok(tokens) => Ok(tokens),
        Err(problem) => Err(Failure::Failed(format!("{from}: {problem}"))),
    }
}
