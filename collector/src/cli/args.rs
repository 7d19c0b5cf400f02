//! The arguments that several commands share.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use collector::database::Location;
use collector::ledger::reason;
use collector::report;
use collector::sealed::{Settings, Whole};
use collector::store::{Reader, Selection};
use collector::terminal;
use jiff::civil::Date;

use super::Failure;

/// Where the ledger is kept.
#[derive(Args)]
pub(super) struct Database {
    /// Where the ledger is kept: a SQLite file, or the URL of a PostgreSQL database, postgres://USER@HOST/DATABASE. It may be
    /// in use. The variable, or PGPASSWORD, keeps a password out of the process list.
    #[arg(
        long,
        value_name = "FILE|URL",
        default_value = "meshmeter.db",
        env = "MESHMETER_DATABASE",
        hide_env_values = true,
        value_parser = location
    )]
    pub(super) database: Location,
    #[command(flatten)]
    archive: Archive,
}

/// Where the archive of sealed months is, if it is not where it was.
#[derive(Args)]
struct Archive {
    /// Where the archive of sealed months is, if it is not where they were sealed to: it was moved, or is another directory here.
    #[arg(long, value_name = "DIR|s3://BUCKET/PREFIX", env = "MESHMETER_ARCHIVE", hide_short_help = true)]
    archive: Option<String>,
    /// The URL of the archive's object store, if it is not Amazon's and not the one that months were sealed to.
    #[arg(long, value_name = "URL", env = "MESHMETER_ARCHIVE_ENDPOINT", hide_short_help = true)]
    archive_endpoint: Option<String>,
    /// File with the certificates (PEM) that vouch for the archive's object store, instead of the public ones.
    #[arg(long, value_name = "FILE", env = "MESHMETER_ARCHIVE_CA_FILE", hide_short_help = true)]
    archive_ca_file: Option<PathBuf>,
}

/// Where a ledger can be. SQLite says of a directory that it has an I/O error.
fn location(text: &str) -> Result<Location, String> {
    match text.parse()? {
        Location::Sqlite(path) if path.is_dir() => {
            Err("is a directory: name the ledger's file in it, such as meshmeter.db".to_owned())
        }
        location => Ok(location),
    }
}

impl Database {
    /// How sealed months are read.
    pub(super) fn archive(&self) -> Result<Settings, Failure> {
        let Archive { archive: place, archive_endpoint: endpoint, archive_ca_file } = &self.archive;
        let authorities = archive_ca_file.as_deref().map(read).transpose().map_err(Failure::Failed)?;
        Ok(Settings { place: place.clone(), endpoint: endpoint.clone(), authorities, ..Settings::default() })
    }

    /// The same as [`Database::reader`], as of one moment, whatever is written meanwhile.
    pub(super) fn reader_at_one_moment(&self) -> Result<Arc<dyn Reader>, Failure> {
        self.reader()?;
        Ok(Arc::new(Whole::at_one_moment(&self.database, self.archive()?).map_err(Failure::failed)?))
    }

    /// To read what is there. The file's default name means nothing to whoever keeps the ledger elsewhere.
    pub(super) fn reader(&self) -> Result<Arc<dyn Reader>, Failure> {
        if let Location::Sqlite(path) = &self.database
            && let Ok(false) = path.try_exists()
        {
            let file = terminal::file(path);
            return Err(Failure::Failed(format!(
                "{file}: there is no such file; --database or MESHMETER_DATABASE says where the ledger is"
            )));
        }
        Ok(Arc::new(Whole::of(&self.database, self.archive()?)))
    }
}

/// How to read from a collector.
#[derive(Args)]
pub(super) struct Reading {
    /// Environment variable that holds the read token.
    #[arg(long, value_name = "NAME", default_value = "MESHMETER_READ_TOKEN")]
    read_token_env: String,
    /// File with the read token, instead of the variable.
    #[arg(long, value_name = "FILE")]
    read_token_file: Option<PathBuf>,
    /// File with the certificates (PEM) that vouch for an https:// address, instead of the public ones.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl Reading {
    /// The read token, if there is one.
    pub(super) fn token(&self) -> Result<Option<String>, String> {
        token("the read token", self.read_token_file.as_deref(), &self.read_token_env)
    }

    /// The certificates.
    pub(super) fn authorities(&self) -> Result<Option<Vec<u8>>, String> {
        self.ca_file.as_deref().map(read).transpose()
    }
}

/// The token that a file or a variable holds: `what` names it.
pub(super) fn token(what: &str, file: Option<&Path>, variable: &str) -> Result<Option<String>, String> {
    let token = match file {
        Some(file) => {
            let text = String::from_utf8_lossy(&read(file)?).into_owned();
            Some(first_token(&text).ok_or_else(|| format!("{}: has no token in it", terminal::file(file)))?)
        }
        None => std::env::var(variable).ok().and_then(|text| first_token(&text)),
    };
    if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(format!("{what} must be of visible ASCII characters, without spaces"));
    }
    Ok(token)
}

/// A file's bytes.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("{}: {error}", terminal::file(file)))
}

/// The token of a text as the collector reads it: `TOKEN` or `NAME TOKEN`, options behind it, the first line that has one.
fn first_token(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    line.split_ascii_whitespace().rfind(|word| !collector::serve::is_option(word)).map(str::to_owned)
}

/// Whether the ledger takes a reason, before anything is done.
pub(super) fn check_reason(text: &str) -> Result<(), Failure> {
    reason::fits(text).map_err(|problem| Failure::Usage(format!("--reason: {problem}")))
}

/// How to print what was found.
#[derive(Args)]
pub(super) struct Output {
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Columns for the eye.
    Table,
    /// JSON.
    Json,
}

/// Which calls.
#[derive(Args)]
pub(super) struct Calls {
    /// First day (UTC, when the call began).
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = report::day)]
    since: Option<Date>,
    /// Last day.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = report::day)]
    until: Option<Date>,
    /// Only this tenant and what is below it.
    #[arg(long)]
    tenant: Option<String>,
}

impl Calls {
    pub(super) fn selection(self) -> Selection {
        Selection { since: self.since, until: self.until, tenant: self.tenant, call: None }
    }
}

/// The call of an event, by its id.
pub(super) fn call(text: &str) -> Result<(String, i64), String> {
    let read = || {
        let (emitter, sequence) = text.split_once('-')?;
        Some((emitter.to_owned(), sequence.parse().ok()?))
    };
    read().ok_or_else(|| "must be the id of an event, its emitter, a hyphen and its number".to_owned())
}

/// Now, for the ledger.
pub(super) fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

/// Who makes a change. With sudo it is who called it.
pub(super) fn who(told: Option<String>) -> Result<String, Failure> {
    let login = || ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let who = told.or_else(login).filter(|who| !who.trim().is_empty());
    who.ok_or_else(|| Failure::Usage("who: must say who you are: --who NAME, or MESHMETER_WHO".to_owned()))
}
