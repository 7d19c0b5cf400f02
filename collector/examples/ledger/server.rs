//! The collector that is asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::Outcome;

const TOKEN: &str = "read-token-of-the-bench";
const LISTENING: &str = "http://";

/// A collector on a ledger that is there.
pub struct Server {
    process: Child,
    address: String,
}

impl Server {
    pub fn start(program: &Path, prices: &Path, database: &Path) -> Outcome<Server> {
        let mut process = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--no-builtin-prices", "--prices"])
            .arg(prices)
            .env("MESHMETER_DATABASE", database)
            .env("MESHMETER_INGEST_TOKEN", "ingest-token-of-the-bench")
            .env("MESHMETER_READ_TOKEN", TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let address = line.split_once(LISTENING).and_then(|(_, rest)| rest.split([',', ' ', '\n']).next());
        let address = address.unwrap_or_default().to_owned();
        let server = Server { process, address };
        if server.address.is_empty() { Err(format!("the collector does not start: {line}").into()) } else { Ok(server) }
    }

    /// Asks; returns how many bytes came.
    pub fn get(&self, path: &str) -> Outcome<usize> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {TOKEN}\r\naccept-encoding: gzip\r\n\
             connection: close\r\n\r\n"
        )?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response)?;
        if !response.starts_with(b"HTTP/1.1 200 ") {
            return Err(format!("{path}: {}", String::from_utf8_lossy(&response[..response.len().min(300)])).into());
        }
        Ok(response.len())
    }

    /// What the system says of its memory, KiB; 0 where it does not.
    pub fn memory_kib(&self, what: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(what));
        line.and_then(|line| line.split_whitespace().find_map(|word| word.parse().ok())).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
