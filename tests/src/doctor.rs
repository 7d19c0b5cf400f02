//! `meshmeter doctor`, run on what a test has started.

use std::{collections::BTreeSet, net::SocketAddr};

use serde::Deserialize;
use tokio::process::Command;

use crate::{Result, collector::READ_TOKEN, paths, wait};

/// What it found.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// What it looked at.
    pub examined: Vec<serde_json::Value>,
    /// Its findings.
    pub findings: Vec<Found>,
    /// Its exit code.
    #[serde(skip)]
    pub code: i32,
}

/// A finding.
#[derive(Clone, Debug, Deserialize)]
pub struct Found {
    /// Its code.
    pub code: String,
    /// How serious it is.
    pub severity: String,
    /// What it is about.
    pub at: String,
    /// What was seen.
    pub what: String,
}

impl Report {
    /// The codes of all findings but notes.
    pub fn codes(&self) -> BTreeSet<&str> {
        self.findings.iter().filter(|found| found.severity != "note").map(|found| found.code.as_str()).collect()
    }

    /// The codes of the notes.
    pub fn notes(&self) -> BTreeSet<&str> {
        self.findings.iter().filter(|found| found.severity == "note").map(|found| found.code.as_str()).collect()
    }

    /// What was seen of a kind of finding.
    pub fn what(&self, code: &str) -> Result<String> {
        let found: Vec<&str> =
            self.findings.iter().filter(|found| found.code == code).map(|found| found.what.as_str()).collect();
        wait::ensure(!found.is_empty(), || format!("it did not find {code}, but {:?}", self.findings))?;
        Ok(found.join("\n"))
    }
}

/// The URL of an address.
pub fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// Runs it with these arguments and the read token.
pub async fn doctor(arguments: &[&str]) -> Result<Report> {
    doctor_as(Some(READ_TOKEN), arguments).await
}

/// The same with this token, or with none.
pub async fn doctor_as(token: Option<&str>, arguments: &[&str]) -> Result<Report> {
    let (code, out, err) = run(token, &[&["--format", "json"], arguments].concat()).await?;
    let report: std::result::Result<Report, _> = serde_json::from_str(&out);
    let report = report.map_err(|error| format!("meshmeter doctor ended with {code}: {error}: {out}{err}"))?;
    Ok(Report { code, ..report })
}

/// Its exit code, and what it prints.
pub async fn run(token: Option<&str>, arguments: &[&str]) -> Result<(i32, String, String)> {
    let mut command = Command::new(paths::collector()?);
    command.arg("doctor").args(arguments).env_remove("MESHMETER_READ_TOKEN").kill_on_drop(true);
    // It must not be asked about itself by way of this.
    command.env("http_proxy", "http://127.0.0.1:9");
    if let Some(token) = token {
        command.env("MESHMETER_READ_TOKEN", token);
    }
    let output = command.output().await?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr)))
}
