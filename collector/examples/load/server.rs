//! The collector that is measured: started on a database of its own, asked for a report, stopped, its ledger weighed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Outcome;

pub const TOKEN: &str = "ingest-token-of-the-bench";
const LISTENING: &str = "http://";

/// A collector, and where its ledger is.
pub struct Server {
    program: PathBuf,
    database: String,
    process: Child,
    address: String,
}

impl Server {
    /// Starts it on an empty database: that at the URL, else a SQLite file in the directory.
    pub fn start(program: &Path, prices: &Path, url: Option<&str>, dir: &Path) -> Outcome<Server> {
        if let Some(url) = url {
            // What the benchmark makes it removes, so nothing may be there before.
            let none = ask(url, "SELECT (to_regnamespace('meshmeter') IS NULL)::int::bigint")? == 1;
            if !none {
                return Err("the database has a schema meshmeter: give one without, it is filled and emptied".into());
            }
        }
        let file = dir.join("ledger.db");
        let database = url.map_or_else(|| file.display().to_string(), str::to_owned);
        let mut process = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--no-builtin-prices", "--prices"])
            .arg(prices)
            .env("MESHMETER_DATABASE", &database)
            .env("MESHMETER_INGEST_TOKEN", TOKEN)
            .env("MESHMETER_READ_TOKEN", "read-token-of-the-bench")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let address = line.split_once(LISTENING).map(|(_, address)| address.trim().to_owned());
        let address = address.unwrap_or_default();
        let server = Server { program: program.to_owned(), database, process, address };
        if server.address.is_empty() { Err("the collector does not start".into()) } else { Ok(server) }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// The CPU that the collector has used, where the system tells.
    pub fn cpu(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).ok()?;
        // Behind the program's name, which may hold anything: user and system time, in ticks of 10 ms.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
        let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
        Some(Duration::from_millis(ticks * 10))
    }

    /// The report by tenant of so many days up to today, and how long the command took.
    pub fn report(&self, days: u64) -> Outcome<(Duration, Value)> {
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let since = today.checked_sub(jiff::Span::new().days(i64::try_from(days)?))?;
        let begun = Instant::now();
        let output = Command::new(&self.program)
            .args(["report", "--by", "tenant", "--format", "json", "--since", &since.to_string()])
            .args(["--until", &today.to_string()])
            .env("MESHMETER_DATABASE", &self.database)
            .stderr(Stdio::inherit())
            .output()?;
        let elapsed = begun.elapsed();
        if !output.status.success() {
            return Err(format!("the report ends with {}", output.status).into());
        }
        Ok((elapsed, serde_json::from_slice(&output.stdout)?))
    }

    /// Ends the collector; how many bytes its ledger takes.
    pub fn stop(&mut self) -> Outcome<u64> {
        let told = Command::new("kill").arg(self.process.id().to_string()).status()?;
        if !told.success() || !self.process.wait()?.success() {
            return Err("the collector did not end as it should".into());
        }
        if self.is_sqlite() {
            return Ok(std::fs::metadata(&self.database)?.len());
        }
        let tables = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
            WHERE c.relnamespace = 'meshmeter'::regnamespace AND c.relkind = 'r'";
        Ok(u64::try_from(ask(&self.database, tables)?)?)
    }

    fn is_sqlite(&self) -> bool {
        !self.database.starts_with("postgres")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended, unless something went wrong.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if !self.is_sqlite()
            && let Err(error) = ask(&self.database, "DROP SCHEMA IF EXISTS meshmeter CASCADE; SELECT 0::bigint")
        {
            eprintln!("the schema meshmeter is left behind: {error}");
        }
    }
}

/// One number of a PostgreSQL database; a database to be measured is near and needs no TLS.
fn ask(url: &str, sql: &str) -> Outcome<i64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        let connection = tokio::spawn(connection);
        let messages = client.simple_query(sql).await?;
        drop(client);
        connection.await??;
        let row = messages.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        Ok(row.ok_or("no response")?.parse()?)
    })
}
