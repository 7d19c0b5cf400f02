//! The arguments that several commands share.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use collector::database::Location;
use collector::report;
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
        hide_env_values = true
    )]
    pub(super) database: Location,
}

impl Database {
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
        Ok(self.database.reader())
    }
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
