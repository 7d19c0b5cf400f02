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
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use e2e::Result;
use tokio::sync::oneshot;

use crate::server::Answer;

/// Phases of streams that begin together.
const PHASES: u32 = 64;

/// When each piece of a numbered stream was written.
type Written = Mutex<HashMap<usize, Vec<Instant>>>;

/// Hands streams to the thread, which ends with it.
pub struct Pacer {
    streams: Sender<Stream>,
    written: Arc<Written>,
}

struct Stream {
    number: usize,
    wire: TcpStream,
    answer: Arc<Answer>,
    gap: Duration,
    written: Vec<Instant>,
    done: oneshot::Sender<()>,
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

    /// Writes an answer.
    pub async fn write(&self, number: usize, wire: TcpStream, answer: Arc<Answer>, gap: Duration) -> Result<()> {
        let (done, ended) = oneshot::channel();
        let written = Vec::with_capacity(answer.pieces.len());
        self.streams.send(Stream { number, wire, answer, gap, written, done })?;
        ended.await.map_err(|_| "a paced stream could not be written".into())
    }

    /// When the pieces of a stream were written; forgotten here.
    pub fn written(&self, number: usize) -> Vec<Instant> {
        lock(&self.written).remove(&number).unwrap_or_default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(streams: &Receiver<Stream>, written: &Written) {
    let mut open: Vec<Option<Stream>> = Vec::new();
    let mut due: BinaryHeap<Reverse<(Instant, usize)>> = BinaryHeap::new();
    loop {
        let next = due.peek().map(|Reverse((at, _))| *at);
        let wait = next.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
        match if wait.is_zero() { Err(RecvTimeoutError::Timeout) } else { streams.recv_timeout(wait) } {
            Ok(stream) => {
                let place = open.iter().position(Option::is_none).unwrap_or(open.len());
                if place == open.len() {
                    open.push(None);
                }
                let phase = stream.number as u32 % PHASES;
                due.push(Reverse((Instant::now() + stream.gap * phase / PHASES, place)));
                open[place] = Some(stream);
            }
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let Some(Reverse((at, place))) = due.pop() else { continue };
                let Some(mut stream) = open[place].take() else { continue };
                let piece = stream.written.len();
                stream.written.push(Instant::now());
                let last = stream.written.len() == stream.answer.pieces.len();
                if last {
                    // Before the client can ask for it.
                    lock(written).insert(stream.number, std::mem::take(&mut stream.written));
                }
                // Small pieces on a connection that is read all the time: there is always room.
                if (&stream.wire).write_all(&stream.answer.pieces[piece]).is_err() {
                    continue;
                }
                if last {
                    let _ = stream.done.send(());
                } else {
                    // Late ones do not catch up: events would come in bursts.
                    due.push(Reverse(((at + stream.gap).max(Instant::now()), place)));
                    open[place] = Some(stream);
                }
            }
        }
    }
}
