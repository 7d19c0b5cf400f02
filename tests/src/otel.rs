//! A real OpenTelemetry Collector, which writes what it is sent into files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{Result, paths, process::Process, wait};

/// The running collector.
pub struct Otel {
    process: Process,
    dir: PathBuf,
    socket: String,
}

/// A span, or a log record: its name or body, and its attributes.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The span's name, or the log's body.
    pub text: String,
    /// The kind of a span, in OTLP's numbers: 2 server, 3 client.
    pub kind: u64,
    /// The trace it belongs to.
    pub trace: String,
    /// The attributes, as OTLP writes them in JSON.
    pub attributes: BTreeMap<String, Value>,
}

impl Sent {
    /// An attribute that is a string; empty if there is none.
    pub fn text(&self, name: &str) -> &str {
        self.attributes.get(name).and_then(|value| value["stringValue"].as_str()).unwrap_or_default()
    }

    /// An attribute that is a list of strings; empty if there is none.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        let values = self.attributes.get(name).and_then(|value| value["arrayValue"]["values"].as_array());
        values.into_iter().flatten().filter_map(|value| value["stringValue"].as_str()).collect()
    }

    /// An attribute that is a whole number. OTLP's JSON has these as strings.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.attributes.get(name)?["intValue"].as_str()?.parse().ok()
    }
}

impl Otel {
    /// Starts it; it listens at an abstract socket. `processors` go between what it gets and what it writes.
    pub fn start(dir: &Path, socket: &str, processors: &Value) -> Result<Self> {
        let names: Vec<&String> = processors.as_object().map(|all| all.keys().collect()).unwrap_or_default();
        let pipeline = |exporter| json!({"receivers": ["otlp"], "processors": names, "exporters": [exporter]});
        let file = |name: &str| json!({"path": dir.join(name), "flush_interval": "50ms"});
        let endpoint = json!({"endpoint": socket, "transport": "unix"});
        let config = json!({
            "receivers": {"otlp": {"protocols": {"grpc": endpoint}}},
            "processors": processors,
            "exporters": {"file/spans": file("spans.json"), "file/logs": file("logs.json")},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"traces": pipeline("file/spans"), "logs": pipeline("file/logs")},
            },
        });
        let path = dir.join("otelcol.json");
        fs::write(&path, config.to_string())?;
        let mut command = Command::new(paths::otelcol()?);
        command.arg("--config").arg(format!("file:{}", path.display()));
        let process = Process::start("otelcol", dir, &mut command)?;
        Ok(Self { process, dir: dir.to_path_buf(), socket: socket.to_owned() })
    }

    /// Waits until it listens.
    pub async fn ready(&mut self) -> Result<()> {
        listens(&self.socket).await?;
        self.process.alive()
    }

    /// The spans that it was sent.
    pub fn spans(&self) -> Result<Vec<Sent>> {
        self.read("spans.json", ["resourceSpans", "scopeSpans", "spans"], |span| {
            span["name"].as_str().unwrap_or_default().to_owned()
        })
    }

    /// The log records that it was sent.
    pub fn logs(&self) -> Result<Vec<Sent>> {
        self.read("logs.json", ["resourceLogs", "scopeLogs", "logRecords"], |log| {
            log["body"]["stringValue"].as_str().unwrap_or_default().to_owned()
        })
    }

    fn read(&self, file: &str, path: [&str; 3], text: impl Fn(&Value) -> String) -> Result<Vec<Sent>> {
        let content = fs::read_to_string(self.dir.join(file)).unwrap_or_default();
        let mut all = Vec::new();
        // The last line may be half written.
        for line in content.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            all.push(serde_json::from_str::<Value>(line)?);
        }
        for name in path {
            let inner = all.iter().flat_map(|value| value[name].as_array().into_iter().flatten().cloned());
            all = inner.collect();
        }
        let sent = |value: &Value| {
            let attributes = value["attributes"].as_array().into_iter().flatten();
            let attributes =
                attributes.filter_map(|pair| Some((pair["key"].as_str()?.to_owned(), pair["value"].clone())));
            Sent {
                text: text(value),
                kind: value["kind"].as_u64().unwrap_or_default(),
                trace: value["traceId"].as_str().unwrap_or_default().to_owned(),
                attributes: attributes.collect(),
            }
        };
        Ok(all.iter().map(sent).collect())
    }

    /// Ends it in order.
    pub fn stop(mut self) -> Result<()> {
        let status = self.process.stop()?;
        self.process.quiet();
        wait::ensure(status.success(), || format!("the OpenTelemetry Collector ended with {status}"))
    }
}

/// An abstract socket for this process alone.
pub fn socket(name: &str) -> String {
    format!("@meshmeter-{name}-{}", std::process::id())
}

/// Waits until somebody listens at an abstract socket.
pub async fn listens(socket: &str) -> Result<()> {
    wait::until(&format!("somebody at {socket}"), || async {
        let all = fs::read_to_string("/proc/net/unix")?;
        wait::ensure(all.lines().any(|line| line.ends_with(socket)), || "nobody listens".to_owned())
    })
    .await
}
