//! Connections to Envoy that calls are sent over, one after the other, as an SDK's pool does; what the client sees is
//! timed to the microsecond.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use e2e::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::{
    head::{Head, after_head},
    shape::TENANT,
};

/// The end of a chunked body.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(30);

/// One response, as the client saw it.
#[derive(Clone, Default)]
pub struct Seen {
    /// From the request to the first byte of the body.
    pub first: Duration,
    /// From the request to the last byte.
    pub whole: Duration,
    /// When each event of a stream was there.
    pub events: Vec<Instant>,
}

/// An open connection.
pub struct Line {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Line {
    /// Opens it.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, bytes: Vec::with_capacity(256 * 1024) })
    }

    /// Sends a request and reads its response to the end.
    pub async fn call(&mut self, request: &[u8], time_events: bool) -> Result<Seen> {
        timeout(PATIENCE, self.attempt(request, time_events)).await.map_err(|_| "a call hangs")?
    }

    async fn attempt(&mut self, request: &[u8], time_events: bool) -> Result<Seen> {
        let begun = Instant::now();
        self.stream.write_all(request).await?;
        self.bytes.clear();
        let body = loop {
            self.read().await?;
            if let Some(body) = after_head(&self.bytes) {
                break body;
            }
        };
        let head = Head::of(&self.bytes[..body]);
        if head.status() != 200 {
            return Err(format!("HTTP {}", head.status()).into());
        }
        let length = head.number("content-length");
        while self.bytes.len() == body {
            self.read().await?;
        }
        let mut seen = Seen { first: begun.elapsed(), ..Seen::default() };
        let mut read_to = body;
        loop {
            if time_events {
                let now = Instant::now();
                // An event that was cut between its two line ends counts when it is whole.
                let fresh = &self.bytes[read_to.saturating_sub(1).max(body)..];
                seen.events.extend(fresh.windows(2).filter(|two| two == b"\n\n").map(|_| now));
                read_to = self.bytes.len();
            }
            let whole = match length {
                Some(length) => self.bytes.len() >= body + length,
                None => self.bytes.ends_with(LAST_CHUNK),
            };
            if whole {
                seen.whole = begun.elapsed();
                return Ok(seen);
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.bytes).await? == 0 {
            return Err("the connection was closed in the middle of a response".into());
        }
        Ok(())
    }
}

/// What a connection is to do.
pub struct Task {
    /// The request.
    pub request: Vec<u8>,
    /// How often.
    pub times: usize,
    /// Before the first.
    pub delay: Duration,
    /// Whether events are timed.
    pub time_events: bool,
    /// Who calls.
    pub tenants: Tenants,
}

/// Whose turn it is, call by call.
#[derive(Clone, Copy)]
pub struct Tenants {
    /// The first of this connection.
    pub first: usize,
    /// The next are so far on.
    pub step: usize,
    /// How many there are.
    pub count: usize,
}

impl Tenants {
    /// Writes the tenant of the connection's call of this number into its request.
    fn name(self, request: &mut [u8], call: usize) {
        let digits = TENANT.len() - 6;
        let mut places = request.windows(TENANT.len());
        let Some(at) = places.position(|place| place.starts_with(&TENANT.as_bytes()[..digits])) else { return };
        let number = format!("{:06}", (self.first + call * self.step) % self.count);
        request[at + digits..at + TENANT.len()].copy_from_slice(number.as_bytes());
    }
}

/// Does the tasks, each on its own connection, all at once; gives the connections back.
pub async fn run(lines: Vec<Line>, tasks: Vec<Task>) -> Result<(Vec<Line>, Vec<Vec<Seen>>)> {
    let mut running = JoinSet::new();
    let (mut idle, count) = (lines, tasks.len());
    let rest = idle.split_off(count.min(idle.len()));
    for (number, (mut line, mut task)) in idle.into_iter().zip(tasks).enumerate() {
        running.spawn(async move {
            if !task.delay.is_zero() {
                tokio::time::sleep(task.delay).await;
            }
            let mut seen = Vec::with_capacity(task.times);
            for call in 0..task.times {
                if task.tenants.count > 1 {
                    task.tenants.name(&mut task.request, call);
                }
                seen.push(line.call(&task.request, task.time_events).await?);
            }
            Result::Ok((number, line, seen))
        });
    }
    let mut done = Vec::with_capacity(count);
    while let Some(ended) = running.join_next().await {
        done.push(ended??);
    }
    done.sort_by_key(|(number, ..)| *number);
    let (mut lines, mut all) = (Vec::new(), Vec::new());
    for (_, line, seen) in done {
        lines.push(line);
        all.push(seen);
    }
    lines.extend(rest);
    Ok((lines, all))
}
