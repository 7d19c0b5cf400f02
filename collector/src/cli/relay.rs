//! `meshmeter relay`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use collector::relay::{LedgerSource, metrics};
use collector::serve::log;
use collector::store::entry::EntryId;
use collector::terminal;
use relay::{Address, Beginning, Ended, Log, Mechanism, Options, Progress, Sasl, Security, Tls};
use tokio::sync::watch;

use super::Failure;
use super::args::{self, Database};

/// Sends the ledger's entries to a Kafka topic, in the order of each writer's chain, each exactly once.
///
/// Every entry becomes one message of JSON; docs/relay.md describes it. Entries and the relay's position are committed in one
/// transaction, so that a reader with isolation.level=read_committed has each entry once, however often the relay or a broker was
/// killed. It follows the ledger, which may be in use, until SIGTERM or SIGINT; --once ends it when everything is sent.
///
/// The topic must be there. One relay of a name can run: the one that was started last, the other one ends. Needs the permissions
/// WRITE and DESCRIBE on the topic, READ, WRITE, DESCRIBE and DESCRIBE_CONFIGS on the topic of positions, WRITE and DESCRIBE on the
/// transactional id meshmeter-relay-NAME, and CREATE once unless the topic of positions is there.
#[derive(Args)]
#[command(after_help = "Exit codes: 0 done, or ended by a signal; 1 failed; 2 wrong use.")]
pub struct RelayArgs {
    #[command(flatten)]
    database: Database,
    /// The brokers to ask first, and the topic.
    #[arg(long, value_name = "kafka://HOST:PORT[,HOST:PORT]/TOPIC", env = "MESHMETER_RELAY_TO")]
    to: Address,
    /// The relay's name, by which it finds its position again; without it, the topic's. Several ledgers may go to one topic by relays
    /// of different names.
    #[arg(long, value_name = "NAME", value_parser = name, env = "MESHMETER_RELAY_NAME")]
    name: Option<String>,
    /// The topic that keeps the positions of relays, which must be compacted. It is created if it is not there.
    #[arg(long, value_name = "TOPIC", value_parser = relay::topic)]
    positions_topic: Option<String>,
    /// On the first run, where it begins: `start`, or the first entry to send of each writer, WRITER:ENTRY, with commas between;
    /// of writers that are not named, the first. Has no effect once the relay has a position. Without it, it begins at the start, if
    /// the topic is empty.
    #[arg(long, value_name = "start|WRITER:ENTRY,…", value_parser = beginning)]
    from: Option<Beginning>,
    /// End when everything is sent.
    #[arg(long)]
    once: bool,
    /// Entries of one transaction, at most.
    #[arg(long, value_name = "ENTRIES", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: u32,
    /// Speak TLS with the brokers.
    #[arg(long)]
    tls: bool,
    /// File with the certificates (PEM) that vouch for the brokers, instead of the public ones.
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca_file: Option<PathBuf>,
    /// Certificate (PEM, with its chain) that the relay shows.
    #[arg(long, value_name = "FILE", requires_all = ["tls", "client_key"])]
    client_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// How the relay shows who it is.
    #[arg(long, value_enum, value_name = "MECHANISM", requires = "user")]
    sasl: Option<SaslName>,
    /// The user.
    #[arg(long, value_name = "USER", requires = "sasl")]
    user: Option<String>,
    /// Environment variable that holds the user's password.
    #[arg(long, value_name = "NAME", default_value = "MESHMETER_KAFKA_PASSWORD")]
    password_env: String,
    /// File with the password, instead of the variable.
    #[arg(long, value_name = "FILE", requires = "sasl")]
    password_file: Option<PathBuf>,
    /// Address to serve /metrics on, without a credential.
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics_listen: Option<SocketAddr>,
    /// How the log on standard error is written.
    #[arg(long, value_name = "text|json", default_value = "text", env = "MESHMETER_LOG_FORMAT")]
    log_format: log::Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum SaslName {
    /// PLAIN: the broker sees the password.
    Plain,
    /// SCRAM-SHA-256.
    #[value(name = "scram-sha-256")]
    ScramSha256,
    /// SCRAM-SHA-512.
    #[value(name = "scram-sha-512")]
    ScramSha512,
}

/// A name that can be part of a transactional id and the key of a message.
fn name(text: &str) -> Result<String, &'static str> {
    relay::topic(text).map_err(|_| "must have 1 to 249 letters, digits, dots, underscores and hyphens")
}

fn beginning(text: &str) -> Result<Beginning, String> {
    let mut beginning = Beginning::default();
    if text == "start" {
        return Ok(beginning);
    }
    for entry in text.split(',') {
        let EntryId { writer, number } = entry.trim().parse().map_err(|problem| format!("start, or each {problem}"))?;
        if writer < 1 || number < 1 || beginning.0.insert(writer, number).is_some() {
            return Err("must name each writer once, and numbers count from 1".to_owned());
        }
    }
    Ok(beginning)
}

/// A file's bytes.
fn file(path: Option<&Path>) -> Result<Option<Vec<u8>>, Failure> {
    path.map(args::read).transpose().map_err(Failure::Failed)
}

impl RelayArgs {
    fn security(&self) -> Result<Security, Failure> {
        let own = file(self.client_cert.as_deref())?.zip(file(self.client_key.as_deref())?);
        let tls = if self.tls { Some(Tls { authorities: file(self.ca_file.as_deref())?, own }) } else { None };
        let Some((sasl, user)) = self.sasl.zip(self.user.clone()) else { return Ok(Security { tls, sasl: None }) };
        let mechanism = match sasl {
            SaslName::Plain => Mechanism::Plain,
            SaslName::ScramSha256 => Mechanism::ScramSha256,
            SaslName::ScramSha512 => Mechanism::ScramSha512,
        };
        let password = match file(self.password_file.as_deref())? {
            Some(bytes) => String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned(),
            None => std::env::var(&self.password_env).unwrap_or_default(),
        };
        if password.is_empty() {
            return Err(Failure::Usage(format!(
                "--sasl: there is no password: set {}, or name a file with --password-file",
                self.password_env
            )));
        }
        Ok(Security { tls, sasl: Some(Sasl { mechanism, user, password }) })
    }
}

struct ServiceLog;

impl Log for ServiceLog {
    fn info(&self, text: &str) {
        log::info(text);
    }

    fn warn(&self, text: &str) {
        log::warn(text);
    }
}

pub fn run(args: RelayArgs) -> Result<(), Failure> {
    log::format(args.log_format);
    let security = args.security()?;
    if security.tls.is_none() && security.sasl.as_ref().is_some_and(|sasl| sasl.mechanism == Mechanism::Plain) {
        log::warn("--sasl plain without --tls: the network sees the password");
    }
    let source = Arc::new(LedgerSource::new(args.database.reader()?));
    let options = Options {
        security,
        name: args.name.unwrap_or_else(|| args.to.topic.clone()),
        positions: args.positions_topic.unwrap_or_else(|| format!("{}-positions", args.to.topic)),
        to: args.to,
        by: identity(),
        from: args.from,
        entries: usize::try_from(args.batch).unwrap_or(usize::MAX),
        once: args.once,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("threads: {error}")))?;
    let ended = runtime.block_on(async {
        let stop = signals().map_err(|error| format!("signals: {error}"))?;
        let progress = Arc::new(Progress::default());
        if let Some(address) = args.metrics_listen {
            log::info(&format!("metrics on http://{}/metrics", metrics::serve(address, progress.clone()).await?));
        }
        relay::run(&options, source, &progress, &ServiceLog, stop).await
    });
    // Threads that wait for the ledger are not waited for.
    runtime.shutdown_background();
    match ended {
        Ok(Ended::Done) => Ok(()),
        Ok(Ended::Stopped) => {
            log::info("stopped");
            Ok(())
        }
        Err(problem) if log::is_json() => {
            log::error(&problem);
            Err(Failure::Logged)
        }
        Err(problem) => Err(Failure::Failed(problem)),
    }
}

/// Which process this is, for the one that finds that this one has taken over.
fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let (host, now) = (terminal::printable(host.trim()), jiff::Timestamp::now());
    format!("process {} on {host}, started at {now:.6}", std::process::id())
}

/// Becomes true with SIGTERM and SIGINT.
fn signals() -> std::io::Result<watch::Receiver<bool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (say, stop) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
        say.send_replace(true);
        say.closed().await;
    });
    Ok(stop)
}
