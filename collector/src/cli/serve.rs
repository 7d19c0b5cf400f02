//! `meshmeter serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use collector::serve::{self, Options, Problem, Scope, Source, Sources, TlsFiles, log};

use super::Failure;
use super::args::Database;
use super::prices::Books;

/// Takes usage events over HTTP, keeps them in the ledger and serves reports.
///
/// POST /v1/events takes CloudEvents and responds after the commit. GET /v1/report, /v1/budgets and /metrics need the read token (but see
/// --metrics-listen); /livez (the process works) and /readyz (what is sent will be stored) are open. SIGTERM and SIGINT end it in order: what
/// was taken is committed and acknowledged. A ledger that does not exist is created; several collectors may share one in
/// PostgreSQL.
///
/// A variable or file of tokens has one credential per line: `[NAME] TOKEN`, or NAME spiffe://TRUST-DOMAIN/PATH for a client
/// certificate (in PATH * stands for any text within a segment). It may be followed by tenants=acme,acme/*,beta (only calls
/// of these; a * at the end stands for any text, and acme/* does not mean acme itself), rate=N (events a second; a large body
/// counts as one for each 4 KiB), max_tokens=N and max_usd=DECIMAL (of one call). Files are read again when they change.
#[derive(Args)]
pub struct Serve {
    /// Address to listen on; port 0 takes a free one. The address is printed when it is ready.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", env = "MESHMETER_LISTEN")]
    listen: SocketAddr,
    /// Another address to listen on, for /metrics, /livez and /readyz only, without a credential and without TLS: for a Prometheus
    /// that has neither the read token nor a certificate. Let the network decide who reaches it.
    #[arg(long, value_name = "ADDRESS:PORT", env = "MESHMETER_METRICS_LISTEN")]
    metrics_listen: Option<SocketAddr>,
    /// At that address, say what each tenant is charged, too. At the other, the read token sees it in any case.
    #[arg(long, requires = "metrics_listen", env = "MESHMETER_METRICS_TENANTS")]
    metrics_tenants: bool,
    #[command(flatten)]
    database: Database,
    /// The books by which calls are rated as they come. They are read again when they change: a new price needs no restart.
    /// What came before it is re-rated by `meshmeter rerate`.
    #[command(flatten)]
    prices: Books,
    /// Environment variable that holds the token of those who may send events.
    #[arg(long, value_name = "NAME", default_value = "MESHMETER_INGEST_TOKEN")]
    ingest_token_env: String,
    /// File with the tokens of those who may send events, instead of the variable: one credential per line, several while
    /// you rotate. An emitter belongs to the name that first sent its events.
    #[arg(long, value_name = "FILE")]
    ingest_token_file: Option<PathBuf>,
    /// Environment variable that holds the token of those who may send journals, whichever emitter counted (`meshmeter reconcile`).
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
    /// Take files of tokens and keys that everybody on this machine may read, as Kubernetes mounts Secrets by default.
    #[arg(long)]
    allow_readable_token_files: bool,
    /// Certificate (PEM, with its chain) to speak TLS with. It is read again when it changes, as the key is.
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "MESHMETER_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "MESHMETER_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// Authorities (PEM) whose client certificates are believed: their SPIFFE ids are credentials, as tokens are. Who shows
    /// no certificate needs a token.
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "MESHMETER_TLS_CLIENT_CA")]
    tls_client_ca: Option<PathBuf>,
    /// Ask nobody for a token. Only on a loopback address.
    #[arg(long)]
    insecure_no_auth: bool,
    /// Batches that may wait for the disk; more are refused with 503 and retried by the sender.
    #[arg(long, value_name = "BATCHES", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    queue: u16,
    /// Bytes of the ledger's disk that must be free: with fewer, events are refused with 503 and retried by the sender. A number, or
    /// one with KiB, MiB or GiB. Not for PostgreSQL.
    #[arg(long, value_name = "BYTES", default_value = "256MiB", value_parser = bytes)]
    min_free: u64,
    /// How the log on standard error is written: a line of text, or of JSON, for each thing.
    #[arg(long, value_name = "text|json", default_value = "text", env = "MESHMETER_LOG_FORMAT")]
    log_format: log::Format,
}

pub fn run(args: Serve) -> Result<(), Failure> {
    log::format(args.log_format);
    let source = |scope, variable: String, file| Source { scope, variable, file };
    let ingest_variable = args.ingest_token_env.clone();
    let credentials = Sources {
        of: vec![
            source(Scope::Ingest, args.ingest_token_env, args.ingest_token_file),
            source(Scope::Journal, args.journal_token_env, args.journal_token_file),
            source(Scope::Read, args.read_token_env, args.read_token_file),
        ],
        allow_readable: args.allow_readable_token_files,
        client_certificates: args.tls_client_ca.is_some(),
    };
    let known = credentials.load().map_err(|problem| match problem {
        Problem::Usage(text) => Failure::Usage(text),
        Problem::Unreadable(text) => Failure::Failed(text),
    })?;
    if args.insecure_no_auth && !args.listen.ip().is_loopback() {
        return Err(Failure::Usage(format!(
            "--insecure-no-auth: must listen on a loopback address, not on {}",
            args.listen
        )));
    }
    if !args.insecure_no_auth && !known.iter().any(|(scope, _)| *scope == Scope::Ingest) {
        return Err(Failure::Usage(format!(
            "no ingest token: set {ingest_variable}, or name a file with --ingest-token-file, or give --insecure-no-auth on a loopback address"
        )));
    }
    let tls = args.tls_cert.zip(args.tls_key).map(|(cert, key)| TlsFiles {
        cert,
        key,
        client_ca: args.tls_client_ca,
        allow_readable: args.allow_readable_token_files,
    });
    let archive = args.database.archive()?;
    let ended = serve::run(Options {
        listen: args.listen,
        metrics_listen: args.metrics_listen,
        metrics_tenants: args.metrics_tenants,
        database: args.database.database,
        archive,
        prices: args.prices.into(),
        credentials,
        open: args.insecure_no_auth,
        tls,
        queue: usize::from(args.queue),
        min_free: args.min_free,
    });
    ended.map_err(|problem| {
        if !log::is_json() {
            return Failure::Failed(problem);
        }
        problem.lines().for_each(log::error);
        Failure::Logged
    })
}

/// A number of bytes such as `268435456` or `256MiB`.
fn bytes(text: &str) -> Result<u64, &'static str> {
    const FORM: &str = "must be a whole number of bytes, or one with KiB, MiB or GiB behind it, such as 256MiB";
    let units = [("KiB", 1_u64 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let with_unit = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)));
    let (number, unit) = with_unit.unwrap_or((text, 1));
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or(FORM)
}
