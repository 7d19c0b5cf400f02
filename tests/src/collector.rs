//! The real collector on a temporary database, and its command line.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    Result,
    client::{Call, Response, Route},
    fixture::Classes,
    paths,
    process::Process,
    wait,
};

/// The token of those who send events.
pub const INGEST_TOKEN: &str = "ingest-e2e-3f9c-8d21";
/// The token of those who read reports.
pub const READ_TOKEN: &str = "read-e2e-71aa-0b6e";

/// The token of those who read of the tenant `acme` and those below it only.
pub const ACME_READ_TOKEN: &str = "read-e2e-acme-5d0c";

/// The token of those who send journals.
pub const JOURNAL_TOKEN: &str = "journal-e2e-c05d-47f3";

/// A running collector.
pub struct Collector {
    process: Process,
    address: SocketAddr,
    database: PathBuf,
}

/// A line of a report by tenant and model.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Line {
    /// Who is charged.
    #[serde(default)]
    pub tenant: String,
    /// The provider.
    #[serde(default)]
    pub provider: String,
    /// The model that responded.
    #[serde(default)]
    pub model: String,
    /// How good the counts are.
    pub evidence: String,
    /// How many calls.
    pub calls: u64,
    /// The counts.
    pub usage: Classes,
    /// The exact cost of what has a price.
    pub cost: Option<String>,
    /// The counts without a price.
    #[serde(default)]
    pub unpriced: Classes,
    /// The exact cost by class.
    #[serde(default)]
    pub costs: BTreeMap<String, String>,
    /// Classes charged by the price of another.
    #[serde(default)]
    pub fallback: Vec<String>,
}

/// A whole report.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// One per tenant, provider, model and evidence.
    pub lines: Vec<Line>,
}

impl Report {
    /// All calls.
    pub fn calls(&self) -> u64 {
        self.lines.iter().map(|line| line.calls).sum()
    }

    /// A count over all lines.
    pub fn count(&self, class: &str) -> u64 {
        self.lines.iter().filter_map(|line| line.usage.get(class)).sum()
    }
}

impl Collector {
    /// Starts it on a free port and waits until it listens. It rates by the example price book.
    pub async fn start(dir: &Path) -> Result<Self> {
        Self::with_credential(dir, INGEST_TOKEN).await
    }

    /// The same with this credential for those who send events.
    pub async fn with_credential(dir: &Path, line: &str) -> Result<Self> {
        Self::run(&paths::collector()?, dir, &dir.join("ledger.db"), line).await
    }

    /// The same with this program, with its logs in `dir` and this database, which may be there already.
    pub async fn of(program: &Path, dir: &Path, database: &Path) -> Result<Self> {
        Self::run(program, dir, database, INGEST_TOKEN).await
    }

    async fn run(program: &Path, dir: &Path, database: &Path, ingest: &str) -> Result<Self> {
        let (database, prices) = (database.to_owned(), paths::prices());
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--database"]).arg(&database).arg("--prices").arg(&prices);
        command.env("MESHMETER_NO_BUILTIN_PRICES", "true");
        let readers = format!("{READ_TOKEN}\nacme {ACME_READ_TOKEN} tenants=acme,acme/*");
        command.env("MESHMETER_INGEST_TOKEN", ingest).env("MESHMETER_READ_TOKEN", readers);
        command.env("MESHMETER_JOURNAL_TOKEN", JOURNAL_TOKEN);
        let mut process = Process::start("collector", dir, &mut command)?;
        loop {
            if let Some(address) = listening(&process.stdout()).or_else(|| listening(&process.stderr())) {
                return Ok(Self { process, address, database });
            }
            process.alive()?;
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its database.
    pub fn database(&self) -> &Path {
        &self.database
    }

    /// What `meshmeter report` prints, with further arguments.
    pub fn report_text(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(paths::collector()?);
        command.args(["report", "--database"]).arg(&self.database).args(arguments);
        let output = command.output()?;
        if !output.status.success() {
            return Err(format!("meshmeter report: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// `meshmeter reconcile` with these files; what it did.
    pub fn reconcile(&self, files: &[PathBuf]) -> Result<Value> {
        let mut command = Command::new(paths::collector()?);
        command.args(["reconcile", "--format", "json", "--collector", &format!("http://{}", self.address)]).args(files);
        let output = command.env("MESHMETER_JOURNAL_TOKEN", JOURNAL_TOKEN).output()?;
        let (said, complained) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            return Err(format!("meshmeter reconcile: {}: {complained}{said}", output.status).into());
        }
        Ok(serde_json::from_str(said.lines().last().unwrap_or_default())?)
    }

    /// What another command prints about its ledger: `gaps`, `verify`.
    pub fn about(&self, command: &str, arguments: &[&str]) -> Result<String> {
        let mut asked = Command::new(paths::collector()?);
        let output = asked.args([command, "--database"]).arg(&self.database).args(arguments).output()?;
        // `gaps` ends with 3 when something is missing.
        if !matches!(output.status.code(), Some(0 | 3)) {
            return Err(format!("meshmeter {command}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The report by tenant and model.
    pub fn report(&self) -> Result<Report> {
        Ok(serde_json::from_str(&self.report_text(&["--format", "json", "--by", "tenant,model"])?)?)
    }

    /// Waits until its ledger holds at least so many calls.
    pub async fn holds(&self, calls: u64) -> Result<Report> {
        wait::until(&format!("{calls} calls in the ledger"), || async {
            let report = self.report()?;
            wait::ensure(report.calls() >= calls, || format!("it holds {}", report.calls()))?;
            Ok(report)
        })
        .await
    }

    /// Reads a page with the read token.
    pub async fn get(&self, path: &str) -> Result<Response> {
        let call = Call::get("collector", path).header("authorization", &format!("Bearer {READ_TOKEN}"));
        Route::plain(self.address).send(&call).await
    }

    /// Stops it in order.
    pub fn stop(&mut self) -> Result<()> {
        self.process.alive()?;
        let status = self.process.stop()?;
        if !status.success() {
            return Err(format!("the collector ended with {status}").into());
        }
        Ok(())
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.process.alive()?;
        self.process.kill()
    }

    /// No log on drop.
    pub fn quiet(&mut self) {
        self.process.quiet();
    }
}

/// `meshmeter check FILE`.
pub fn check(file: &Path) -> Result<Output> {
    Ok(Command::new(paths::collector()?).arg("check").arg(file).output()?)
}

fn listening(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("listening on ")?;
    let rest = rest.split_whitespace().next()?;
    rest.trim_start_matches("http://").trim_end_matches(['/', ',', '"']).parse().ok()
}
