//! A real Prometheus, with the shipped configuration and rules, and what it answers.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::Command,
    time::Duration,
};

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{
    Result,
    client::{Call, Route},
    collector::READ_TOKEN,
    paths,
    process::Process,
    prometheus::Sample,
    wait,
};

/// A port that was free may be taken by somebody else before Prometheus has it.
const TRIES: usize = 5;

/// A running Prometheus.
pub struct Prometheus {
    process: Process,
    address: SocketAddr,
}

/// The shipped configuration for this Envoy and this collector, scraped every second.
pub fn shipped(dir: &Path, envoy: SocketAddr, collector: SocketAddr) -> Result<String> {
    let token = dir.join("read-token");
    fs::write(&token, READ_TOKEN)?;
    let shipped = paths::workspace().join("envoy/prometheus");
    let files = ["recording.yaml", "collector.yaml", "plugin.yaml"].map(|name| shipped.join(name));
    let files = files.map(|file| quoted(&file));
    let mut config = fs::read_to_string(shipped.join("prometheus.yaml"))?;
    let changes = [
        ("scrape_interval: 15s", "scrape_interval: 1s".to_owned()),
        ("evaluation_interval: 15s", "evaluation_interval: 1s".to_owned()),
        ("[recording.yaml, collector.yaml, plugin.yaml]", format!("[{}]", files.join(", "))),
        ("\"127.0.0.1:9901\"", quoted_text(&envoy.to_string())),
        ("\"127.0.0.1:8080\"", quoted_text(&collector.to_string())),
        ("/etc/prometheus/meshmeter-read-token", quoted(&token)),
    ];
    for (from, to) in changes {
        wait::ensure(config.matches(from).count() == 1, || format!("prometheus.yaml has not one {from}"))?;
        config = config.replace(from, &to);
    }
    Ok(config)
}

fn quoted(path: &Path) -> String {
    quoted_text(&path.to_string_lossy())
}

fn quoted_text(text: &str) -> String {
    Value::from(text).to_string()
}

impl Prometheus {
    /// Starts it with this configuration, and waits until it serves.
    pub async fn start(dir: &Path, config: &str) -> Result<Self> {
        let (file, data) = (dir.join("prometheus.yaml"), dir.join("prometheus"));
        fs::write(&file, config)?;
        for _ in 0..TRIES {
            let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            let mut command = Command::new(paths::prometheus("prometheus")?);
            command.arg(format!("--config.file={}", file.display()));
            command.arg(format!("--storage.tsdb.path={}", data.display()));
            command.arg(format!("--web.listen-address={address}")).arg("--log.level=warn");
            let mut started = Self { process: Process::start("prometheus", dir, &mut command)?, address };
            if started.ready().await? {
                return Ok(started);
            }
        }
        Err("Prometheus found no free port".into())
    }

    /// Whether it serves; false: it ended because its port is taken.
    async fn ready(&mut self) -> Result<bool> {
        let deadline = Instant::now() + wait::PATIENCE;
        loop {
            if self.process.exit()?.is_some() {
                let log = self.process.stderr();
                self.process.quiet();
                wait::ensure(log.contains("address already in use"), || format!("Prometheus ended: {log}"))?;
                return Ok(false);
            }
            let response = Route::plain(self.address).send(&Call::get("prometheus", "/-/ready")).await;
            match response {
                Ok(response) if response.status == 200 => return Ok(true),
                _ if Instant::now() >= deadline => return Err("Prometheus is not ready".into()),
                _ => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// What a page of its API says.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let response = Route::plain(self.address).send(&Call::get("prometheus", path)).await?;
        let json = response.json()?;
        wait::ensure(json["status"] == "success", || format!("{path}: {json}"))?;
        Ok(json["data"].clone())
    }

    /// What an expression gives now.
    pub async fn query(&self, expression: &str) -> Result<Vec<Sample>> {
        let data = self.get(&format!("/api/v1/query?query={}", percent(expression))).await?;
        let problem = || format!("{expression}: {data}");
        if data["resultType"] == "scalar" {
            let value = data["result"][1].as_str().and_then(|value| value.parse().ok()).ok_or_else(problem)?;
            return Ok(vec![Sample { name: String::new(), labels: Default::default(), value }]);
        }
        let sample = |row: &Value| {
            let mut labels: std::collections::BTreeMap<String, String> =
                serde_json::from_value(row["metric"].clone()).ok()?;
            let value = row["value"][1].as_str()?.parse().ok()?;
            Some(Sample { name: labels.remove("__name__").unwrap_or_default(), labels, value })
        };
        let rows = data["result"].as_array().ok_or_else(problem)?;
        rows.iter().map(sample).collect::<Option<_>>().ok_or_else(|| problem().into())
    }

    /// The one number that an expression gives.
    pub async fn number(&self, expression: &str) -> Result<f64> {
        let samples = self.query(expression).await?;
        match &samples[..] {
            [sample] => Ok(sample.value),
            _ => Err(format!("{expression} gives {} samples", samples.len()).into()),
        }
    }

    /// Stops it.
    pub fn stop(mut self) -> Result<()> {
        self.process.alive()?;
        self.process.quiet();
        self.process.stop()?;
        Ok(())
    }
}

fn percent(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
