//! Writes paced streams, each piece in its own time: a thread of its own, because the timers of the runtime go by the
//! millisecond and would write the events of many streams at once.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    fs,
    io::Write,
    net::TcpStream,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use e2e::Result;
use tokio::sync::oneshot;

use crate::server::Response;

/// Streams that begin together are spread over the gap between two pieces: whatever their number, evenly.
const GOLDEN: f64 = 0.618_033_988_749_895;

#[derive(Default)]
struct Written {
    /// When each piece of a numbered stream was written.
    times: Mutex<HashMap<usize, Vec<Instant>>>,
    /// All pieces of all streams.
    pieces: AtomicU64,
    /// Streams that were handed over and have not ended.
    open: AtomicU64,
}

/// Hands streams to the thread, which ends with it.
pub struct Pacer {
    streams: Sender<Stream>,
    written: Arc<Written>,
}

struct Stream {
    number: usize,
    wire: TcpStream,
    response: Arc<Response>,
    gap: Duration,
    next: usize,
    written: Vec<Instant>,
    done: oneshot::Sender<TcpStream>,
}

impl Pacer {
    /// Starts the thread.
    pub fn start() -> Self {
        let (streams, open) = channel();
        let written = Arc::new(Written::default());
        let pacer = Self { streams, written: written.clone() };
        thread::spawn(move || {
            // Else the kernel wakes it up to 50 µs late, and events of several streams go out together.
            let _ = fs::write("/proc/thread-self/timerslack_ns", "1");
            work(&open, &written);
        });
        pacer
    }

    /// Writes a response, and gives the connection back: a copy of it would take a file for each of very many streams.
    pub async fn write(
        &self,
        number: usize,
        wire: TcpStream,
        response: Arc<Response>,
        gap: Duration,
    ) -> Result<TcpStream> {
        let (done, ended) = oneshot::channel();
        let stream = Stream { number, wire, response, gap, next: 0, written: Vec::new(), done };
        self.written.open.fetch_add(1, Relaxed);
        self.streams.send(stream)?;
        let ended = ended.await;
        self.written.open.fetch_sub(1, Relaxed);
        ended.map_err(|_| "a paced stream could not be written".into())
    }

    /// When the pieces of a stream were written; forgotten here.
    pub fn written(&self, number: usize) -> Vec<Instant> {
        lock(&self.written.times).remove(&number).unwrap_or_default()
    }

    /// How many streams have not ended, nor been left by their client.
    pub fn open(&self) -> u64 {
        self.written.open.load(Relaxed)
    }

    /// How many pieces were written so far.
    pub fn pieces(&self) -> u64 {
        self.written.pieces.load(Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(streams: &Receiver<Stream>, written: &Written) {
    let mut open: Vec<Option<Stream>> = Vec::new();
    let mut free = Vec::new();
    let mut due: BinaryHeap<Reverse<(Instant, usize)>> = BinaryHeap::new();
    loop {
        let next = due.peek().map(|Reverse((at, _))| *at);
        let wait = next.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
        match if wait.is_zero() { Err(RecvTimeoutError::Timeout) } else { streams.recv_timeout(wait) } {
            Ok(mut stream) => {
                // One that never ends responses at once: very many are opened one after the other.
                if stream.response.endless && stream.write(written).is_none() {
                    continue;
                }
                let phase = stream.gap.mul_f64((stream.number as f64 * GOLDEN).fract());
                let place = free.pop().unwrap_or(open.len());
                if place == open.len() {
                    open.push(None);
                }
                due.push(Reverse((Instant::now() + phase, place)));
                open[place] = Some(stream);
            }
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let Some(Reverse((at, place))) = due.pop() else { continue };
                let Some(mut stream) = open[place].take() else { continue };
                let more = stream.write(written);
                if more == Some(true) {
                    // Late ones do not catch up: events would come in bursts.
                    due.push(Reverse(((at + stream.gap).max(Instant::now()), place)));
                    open[place] = Some(stream);
                    continue;
                }
                free.push(place);
                if more == Some(false) {
                    let _ = stream.done.send(stream.wire);
                }
            }
        }
    }
}

impl Stream {
    /// Writes the next piece; returns whether there is another. `None`: the client has left.
    fn write(&mut self, written: &Written) -> Option<bool> {
        let pieces = &self.response.pieces;
        // The first has the head.
        let piece = if self.next < pieces.len() { self.next } else { 1 };
        self.next = piece + 1;
        let last = self.next == pieces.len() && !self.response.endless;
        if !self.response.endless {
            self.written.push(Instant::now());
        }
        if last {
            // Before the client can ask for it.
            lock(&written.times).insert(self.number, std::mem::take(&mut self.written));
        }
        // Small pieces on a connection that is read all the time: there is always room.
        if (&self.wire).write_all(&pieces[piece]).is_err() {
            return None;
        }
        written.pieces.fetch_add(1, Relaxed);
        Some(!last)
    }
}
