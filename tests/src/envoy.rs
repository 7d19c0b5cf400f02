//! A real Envoy: started, asked, stopped.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{
    Result,
    bootstrap::Bootstrap,
    client::{Call, Route},
    paths,
    process::{Cpu, Process},
    prometheus::Scrape,
    wait,
};

/// Two workers, as the smallest proxy that can get a race wrong.
pub const WORKERS: u8 = 2;

/// A running Envoy.
pub struct Envoy {
    process: Process,
    admin: PathBuf,
}

impl Envoy {
    /// Starts it; `token` is what the plugin finds in its environment.
    pub fn start(dir: &Path, bootstrap: &Bootstrap, token: Option<&str>) -> Result<Self> {
        Self::with_workers(dir, bootstrap, token, WORKERS)
    }

    /// Starts it with so many workers.
    pub fn with_workers(dir: &Path, bootstrap: &Bootstrap, token: Option<&str>, workers: u8) -> Result<Self> {
        Self::of(&paths::envoy()?, dir, bootstrap, token, workers)
    }

    /// The same with this program.
    pub fn of(program: &Path, dir: &Path, bootstrap: &Bootstrap, token: Option<&str>, workers: u8) -> Result<Self> {
        // As envoy.yaml tells its users.
        Self::with_arguments(program, dir, bootstrap, token, workers, &["--file-flush-min-size-kb", "0"])
    }

    /// The same with other arguments than those that envoy.yaml tells its users.
    pub fn with_arguments(
        program: &Path,
        dir: &Path,
        bootstrap: &Bootstrap,
        token: Option<&str>,
        workers: u8,
        arguments: &[&str],
    ) -> Result<Self> {
        let (config, admin) = (dir.join("envoy.json"), dir.join("admin"));
        bootstrap.write(&config)?;
        let mut command = Command::new(program);
        command.arg("-c").arg(config).arg("--admin-address-path").arg(&admin).args(arguments);
        // The base id lets several Envoys share a machine.
        command.args(["--use-dynamic-base-id", "--concurrency", &workers.to_string()]);
        command.args(["--log-level", "info", "--drain-time-s", "1", "--parent-shutdown-time-s", "2"]);
        command.env_remove("MESHMETER_INGEST_TOKEN");
        if let Some(token) = token {
            command.env("MESHMETER_INGEST_TOKEN", token);
        }
        Ok(Self { process: Process::start("envoy", dir, &mut command)?, admin })
    }

    /// Waits until it serves.
    pub async fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + wait::PATIENCE;
        loop {
            self.process.alive()?;
            match self.get("/ready").await {
                Ok(text) if text.contains("LIVE") => return Ok(()),
                response if Instant::now() >= deadline => {
                    return Err(format!("Envoy is not ready: {response:?}").into());
                }
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What its threads have used of the CPU so far.
    pub fn cpu(&self) -> Result<Cpu> {
        self.process.cpu()
    }

    /// How it ended by itself.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        self.process.ended().await
    }

    /// What it logged.
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// The admin page's address.
    pub fn admin(&self) -> Result<SocketAddr> {
        Ok(fs::read_to_string(&self.admin)?.trim().parse()?)
    }

    /// Reads from the admin page.
    pub async fn get(&self, path: &str) -> Result<String> {
        let response = Route::plain(self.admin()?).send(&Call::get("admin", path)).await?;
        Ok(String::from_utf8_lossy(&response.body).into_owned())
    }

    /// Writes to the admin page.
    pub async fn post(&self, path: &str) -> Result<String> {
        let call = Call::get("admin", path).method(hyper::Method::POST);
        let response = Route::plain(self.admin()?).send(&call).await?;
        Ok(String::from_utf8_lossy(&response.body).into_owned())
    }

    /// Where a listener listens.
    pub async fn listener(&self, name: &str) -> Result<SocketAddr> {
        let page: Value = serde_json::from_str(&self.get("/listeners?format=json").await?)?;
        let listeners = page["listener_statuses"].as_array().into_iter().flatten();
        let socket = listeners
            .filter(|listener| listener["name"] == name)
            .map(|listener| &listener["local_address"]["socket_address"])
            .next()
            .ok_or_else(|| format!("Envoy has no listener {name}"))?;
        let text = format!("{}:{}", socket["address"].as_str().unwrap_or_default(), socket["port_value"]);
        Ok(text.parse()?)
    }

    /// The Prometheus metrics as they are. The plugin reports what it counted once a tick: what is to come is waited for.
    pub async fn metrics(&self) -> Result<Scrape> {
        Ok(Scrape::parse(&self.get("/stats/prometheus").await?))
    }

    /// The Prometheus metrics with all that was counted of so many records. A worker reports one counter after the other, so
    /// they are read until nothing changes any more.
    pub async fn metrics_of(&self, records: u64) -> Result<Scrape> {
        let last = Mutex::new(None);
        wait::until(&format!("the metrics of {records} records"), || async {
            let now = self.metrics().await?;
            let have = now.sum("meshmeter_records_total", &[]);
            let counts = now.counts();
            let before = last.lock().unwrap_or_else(PoisonError::into_inner).replace(counts.clone());
            wait::ensure(have >= records, || format!("there are {have}"))?;
            wait::ensure(before.as_ref() == Some(&counts), || "they still change".to_owned())?;
            Ok(now)
        })
        .await
    }

    /// Asks it to stop; an Envoy that crashed, or had to be killed, is an error.
    pub fn stop(&mut self) -> Result<()> {
        self.process.alive()?;
        let status = self.process.stop()?;
        if !status.success() {
            return Err(format!("Envoy ended with {status}:\n{}", self.process.tail()).into());
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

/// Lets Envoy check a bootstrap; what it says goes into the error.
pub fn validate(dir: &Path, bootstrap: &Bootstrap) -> Result<()> {
    let config = dir.join("validate.json");
    bootstrap.write(&config)?;
    let output = Command::new(paths::envoy()?).args(["--mode", "validate", "-c"]).arg(&config).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}
