//! Envoy's own rate limit service, with a Redis in its memory.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{Result, otel::listens, paths, process::Process};

/// The running service.
pub struct RateLimit {
    process: Process,
    socket: String,
}

impl RateLimit {
    /// Starts it with these limits; it listens at an abstract socket.
    pub fn start(dir: &Path, socket: &str, limits: &Value) -> Result<Self> {
        let config = dir.join("runtime/meshmeter/config");
        fs::create_dir_all(&config)?;
        // JSON is YAML.
        fs::write(config.join("limits.yaml"), limits.to_string())?;
        let mut command = Command::new(paths::ratelimit()?);
        let root = dir.join("runtime");
        command.env("RUNTIME_ROOT", root).env("RUNTIME_SUBDIRECTORY", "meshmeter").env("RUNTIME_WATCH_ROOT", "false");
        command.env("GRPC_UDS", socket).env("HOST", "127.0.0.1").env("PORT", "0");
        command.env("DEBUG_HOST", "127.0.0.1").env("DEBUG_PORT", "0").env("USE_STATSD", "false");
        Ok(Self { process: Process::start("ratelimit", dir, &mut command)?, socket: socket.to_owned() })
    }

    /// Waits until it listens.
    pub async fn ready(&mut self) -> Result<()> {
        listens(&self.socket).await?;
        self.process.alive()
    }

    /// Ends it.
    pub fn stop(mut self) -> Result<()> {
        self.process.quiet();
        self.process.stop().map(drop)
    }
}
