//! Connections that send: each the next batch when the last one is acknowledged, as a plugin's worker does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wire::emitter::EmitterKey;

use super::Outcome;
use super::calls::{self, Dice};
use super::server::TOKEN;

/// Emitters that take turns on a connection.
const EMITTERS: u64 = 25;

/// How many events in which time.
pub struct Sent {
    pub events: u64,
    pub elapsed: Duration,
}

impl Sent {
    pub fn rate(&self) -> f64 {
        self.events as f64 / self.elapsed.as_secs_f64()
    }
}

/// Connections to a collector, and who counts behind them.
pub struct Senders {
    all: Vec<Sender>,
    batch: u64,
    acknowledged: u64,
}

impl Senders {
    pub fn new(address: &str, connections: usize, batch: u64) -> Outcome<Senders> {
        let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?;
        let all = (0..).take(connections).map(|number| Sender::new(address, now, number)).collect();
        Ok(Senders { all, batch, acknowledged: 0 })
    }

    /// All events that were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Sends as fast as it goes for a while.
    pub fn send_for(&mut self, connections: usize, time: Duration, now_ns: u64) -> Outcome<Sent> {
        let batch = self.batch;
        let begun = Instant::now();
        self.send(connections, begun, move || (begun.elapsed() < time).then_some((batch, now_ns)))
    }

    /// Sends so many events, which began evenly between two times.
    pub fn send_events(&mut self, events: u64, from_ns: u64, to_ns: u64) -> Outcome<Sent> {
        let left = AtomicI64::new(i64::try_from(events)?);
        let batch = self.batch;
        let connections = self.all.len();
        self.send(connections, Instant::now(), || {
            let left = u64::try_from(left.fetch_sub(batch as i64, Ordering::Relaxed)).ok().filter(|left| *left > 0)?;
            let behind = u128::from(to_ns - from_ns) * u128::from(events - left) / u128::from(events);
            Some((batch.min(left), from_ns + behind as u64))
        })
    }

    /// Sends batches while there are: each has a number of events and the time at which they began.
    fn send(
        &mut self,
        connections: usize,
        begun: Instant,
        next: impl Fn() -> Option<(u64, u64)> + Sync,
    ) -> Outcome<Sent> {
        let events = std::thread::scope(|scope| -> Outcome<u64> {
            let next = &next;
            let all: Vec<_> =
                self.all.iter_mut().take(connections).map(|one| scope.spawn(move || one.run(next))).collect();
            all.into_iter().map(|one| one.join().map_err(|_| "a connection panicked")?).sum()
        })?;
        self.acknowledged += events;
        Ok(Sent { events, elapsed: begun.elapsed() })
    }
}

struct Counting {
    key: EmitterKey,
    name: String,
    node: String,
    next: u64,
}

struct Sender {
    address: String,
    /// Both ends of the connection, as long as there is one: a collector closes those that ask for nothing for a while.
    connection: Option<(TcpStream, BufReader<TcpStream>)>,
    dice: Dice,
    /// Each emitter's key and name, its node, and its next number.
    emitters: Vec<Counting>,
    turn: usize,
}

impl Sender {
    fn new(address: &str, now: u64, number: u64) -> Sender {
        let emitter = |of: u64| {
            let mut dice = Dice(now.wrapping_add(number * EMITTERS + of));
            let key = EmitterKey::new(dice.below(u64::MAX), dice.below(u64::MAX));
            let [a, b] = [number, of];
            let node = format!("sidecar~10.0.{a}.{b}~app-{a}-{b}.team~team.svc.cluster.local");
            Counting { name: key.emitter(), key, node, next: 1 }
        };
        Sender {
            address: address.to_owned(),
            connection: None,
            dice: Dice(number << 32),
            emitters: (0..EMITTERS).map(emitter).collect(),
            turn: 0,
        }
    }

    fn run(&mut self, next: impl Fn() -> Option<(u64, u64)>) -> Outcome<u64> {
        let mut acknowledged = 0;
        while let Some((batch, time_ns)) = next() {
            let body = self.body(batch, time_ns);
            // A batch that was not taken comes again.
            while !self.post(&body)? {}
            acknowledged += batch;
        }
        Ok(acknowledged)
    }

    /// The next numbers of the emitter whose turn it is.
    fn body(&mut self, batch: u64, time_ns: u64) -> Vec<u8> {
        self.turn = (self.turn + 1) % self.emitters.len();
        let Counting { name, node, next: number, .. } = &mut self.emitters[self.turn];
        let mut body = b"[".to_vec();
        for sequence in *number..*number + batch {
            if sequence > *number {
                body.push(b',');
            }
            // What a batch brings has begun within the last seconds.
            let started_ns = time_ns - self.dice.below(10_000_000_000);
            body.extend(wire::event::encode(
                &calls::call(&mut self.dice, started_ns, node, calls::TENANTS),
                name,
                sequence,
            ));
        }
        *number += batch;
        body.push(b']');
        body
    }

    /// Whether the batch was taken.
    fn post(&mut self, body: &[u8]) -> Outcome<bool> {
        let key = self.emitters[self.turn].key.secret();
        let head = format!(
            "POST /v1/events HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {TOKEN}\r\nmeshmeter-emitter-key: {key}\r\n\
             content-type: application/cloudevents-batch+json\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let request = [head.as_bytes(), body].concat();
        // One that was closed meanwhile is opened again; the collector knows what it has of a batch that comes twice.
        let (status, response) = match self.exchange(&request)? {
            Some(response) => response,
            None => self.exchange(&request)?.ok_or("the collector closes the connection and does not respond")?,
        };
        if status.starts_with("HTTP/1.1 503 ") {
            return Ok(false);
        }
        let taken: serde_json::Value = serde_json::from_slice(&response).unwrap_or_default();
        let accepted = taken["accepted"].as_u64().unwrap_or(0) + taken["duplicates"].as_u64().unwrap_or(0);
        if taken["dead_letters"] == 0 && taken["alarms"] == 0 && accepted > 0 {
            return Ok(true);
        }
        Err(format!("the collector responds with {}: {}", status.trim(), String::from_utf8_lossy(&response)).into())
    }

    /// Sends a request; returns the line of its status and the body of its response, and nothing if the connection was closed
    /// before.
    fn exchange(&mut self, request: &[u8]) -> Outcome<Option<(String, Vec<u8>)>> {
        let (mut stream, mut responses) = match self.connection.take() {
            Some(open) => open,
            None => {
                let stream = TcpStream::connect(&self.address)?;
                stream.set_nodelay(true)?;
                let responses = BufReader::new(stream.try_clone()?);
                (stream, responses)
            }
        };
        let mut status = String::new();
        if stream.write_all(request).is_err() || responses.read_line(&mut status).unwrap_or_default() == 0 {
            return Ok(None);
        }
        let (mut line, mut length) = (String::new(), 0);
        while responses.read_line(&mut line)? > 2 {
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse()?;
            }
            line.clear();
        }
        let mut response = vec![0; length];
        responses.read_exact(&mut response)?;
        self.connection = Some((stream, responses));
        Ok(Some((status, response)))
    }
}
