//! From the ledger to the topic, until somebody says stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::failure::Failure;
use crate::options::Options;
use crate::position::Position;
use crate::progress::Progress;
use crate::session::{Opened, Session, ask};
use crate::source::{End, Limit, Message, Source};

/// How often the ledger is looked at when everything in it is sent.
const IDLE: Duration = Duration::from_millis(500);
/// How often a log line says how far it is.
const TOLD: Duration = Duration::from_secs(10);
/// Bytes of a transaction; a single entry may be larger.
const BYTES: usize = 4 << 20;
/// How long a transaction that has begun may take when somebody has said stop.
const LAST: Duration = Duration::from_secs(5);
/// How long it waits before another session, at first and at most.
const BACKOFF: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];
/// After another one may have taken over it waits as after so many failures: that one has to say who it is.
const FENCED: u32 = 4;
/// Sessions in a row that may fail of a relay that is to end.
const TRIES: u32 = 6;

/// Where log lines go.
pub trait Log: Send + Sync {
    /// What an operator may want to know.
    fn info(&self, text: &str);
    /// What an operator should look at.
    fn warn(&self, text: &str);
}

/// How a relay ended that was not stopped by a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything was sent that was in the ledger.
    Done,
    /// Somebody said stop.
    Stopped,
}

/// Sends what the ledger has and what comes, until `stop` is true; or, with `once`, what it has.
pub async fn run(
    options: &Options,
    source: Arc<dyn Source>,
    progress: &Progress,
    log: &dyn Log,
    mut stop: watch::Receiver<bool>,
) -> Result<Ended, String> {
    let mut relay = Relay { options, source, progress, log, told: Instant::now(), is_current: false };
    let mut failures = 0_u32;
    loop {
        let before = progress.sent();
        let failure = match relay.session(&mut stop).await {
            Ok(ended) => return Ok(ended),
            Err(failure) => failure,
        };
        if progress.sent() > before {
            failures = 0;
        }
        failures = failures.saturating_add(1);
        let worked = progress.sessions() > 0;
        let problem = match failure {
            Failure::Broken(problem) => return Err(problem),
            Failure::Refused(problem) if !worked || options.once => return Err(problem),
            Failure::Passing(problem) if options.once && failures >= TRIES => return Err(problem),
            Failure::Passing(problem) | Failure::Refused(problem) => problem,
            // Whoever it was will have said so when this one looks.
            Failure::Fenced => {
                failures = failures.max(FENCED);
                "another relay has taken over, or a transaction took too long".to_owned()
            }
        };
        let [first, most] = BACKOFF;
        let pause = first.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(most);
        log.warn(&format!("{problem}; trying again in {:.1} s", pause.as_secs_f32()));
        tokio::select! {
            () = sleep(pause) => {}
            () = stopped(&mut stop) => return Ok(Ended::Stopped),
        }
    }
}

/// Waits until somebody says stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Nobody is left who could say it.
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

struct Relay<'a> {
    options: &'a Options,
    source: Arc<dyn Source>,
    progress: &'a Progress,
    log: &'a dyn Log,
    told: Instant,
    /// Everything was sent when it was last looked at.
    is_current: bool,
}

impl Relay<'_> {
    /// Opens a session, and sends until it fails, is over, or somebody says stop.
    async fn session(&mut self, stop: &mut watch::Receiver<bool>) -> Result<Ended, Failure> {
        let opening = Session::open(self.options, &self.source, self.progress.sessions() > 0);
        let (mut session, opened) = tokio::select! {
            opened = opening => opened?,
            () = stopped(stop) => return Ok(Ended::Stopped),
        };
        self.progress.opened();
        self.is_current = false;
        let (to, at) = (&self.options.to, places(session.position()));
        self.log.info(&match opened {
            Opened::Resumed => format!("{to}: goes on behind {at}"),
            Opened::Begun => format!("{to}: begins, {at} was sent"),
        });
        let ended = self.follow(&mut session, stop).await;
        session.close().await;
        ended
    }

    async fn follow(&mut self, session: &mut Session, stop: &mut watch::Receiver<bool>) -> Result<Ended, Failure> {
        loop {
            if *stop.borrow() {
                return Ok(Ended::Stopped);
            }
            let ends = ask(&self.source, Source::ends).await?;
            self.progress.looked(behind(session.position(), &ends)?);
            if self.progress.behind() == 0 {
                self.tell(session.position(), true);
                if self.options.once {
                    return Ok(Ended::Done);
                }
                tokio::select! { () = sleep(IDLE) => {} () = stopped(stop) => {} }
                continue;
            }
            // All that is there now, so that a stream of new entries does not keep one writer from its turn.
            while self.progress.behind() > 0 && !*stop.borrow() {
                let entries = self.read(session.position(), &ends).await?;
                let count = entries.len();
                if count == 0 {
                    return Err(Failure::Broken(missing(session.position(), &ends)));
                }
                {
                    let mut sending = std::pin::pin!(session.send(self.options, entries));
                    tokio::select! {
                        sent = &mut sending => sent?,
                        () = stopped(stop) => match timeout(LAST, sending).await {
                            Ok(sent) => sent?,
                            // The next one to start ends it.
                            Err(_) => return Ok(Ended::Stopped),
                        }
                    }
                }
                self.progress.committed(count);
                self.tell(session.position(), false);
            }
        }
    }

    /// The next entries, of each writer in turn.
    async fn read(&self, position: &Position, ends: &[End]) -> Result<Vec<Message>, Failure> {
        let mut entries: Vec<Message> = Vec::new();
        let mut room = BYTES;
        for End { writer, entry: until } in ends.iter().copied() {
            let behind = position.entry(writer);
            let limit = Limit { entries: self.options.entries.saturating_sub(entries.len()), bytes: room };
            if behind >= until || limit.entries == 0 || room == 0 {
                continue;
            }
            let more = ask(&self.source, move |source| source.behind(writer, behind, until, limit)).await?;
            let size = more.iter().fold(0_usize, |sum, message| sum.saturating_add(message.json.len()));
            room = room.saturating_sub(size);
            entries.extend(more);
        }
        Ok(entries)
    }

    /// Says how far it is: when everything is sent, and now and then before.
    fn tell(&mut self, position: &Position, is_current: bool) {
        let has_caught_up = is_current && !self.is_current;
        self.is_current = is_current;
        if has_caught_up || (!is_current && self.told.elapsed() >= TOLD) {
            self.told = Instant::now();
            let (sent, behind) = (self.progress.sent(), self.progress.behind());
            self.log.info(&format!("{sent} entries sent, {behind} behind, at {}", places(position)));
        }
    }
}

/// How many entries are not sent.
fn behind(position: &Position, ends: &[End]) -> Result<u64, Failure> {
    let mut sum = 0_u64;
    for End { writer, entry } in ends {
        let left = entry.saturating_sub(position.entry(*writer));
        let left = u64::try_from(left).map_err(|_| {
            let sent = position.entry(*writer);
            Failure::Broken(format!(
                "the ledger ends at {writer}:{entry}, and {writer}:{sent} was sent: it is an older state of it"
            ))
        })?;
        sum = sum.saturating_add(left);
    }
    Ok(sum)
}

/// What is to be sent next and is not there.
fn missing(position: &Position, ends: &[End]) -> String {
    let next = ends.iter().find(|end| end.entry > position.entry(end.writer));
    let next = next.map(|end| format!("{}:{}", end.writer, position.entry(end.writer).saturating_add(1)));
    format!("the ledger does not have entry {}, the next one to send", next.unwrap_or_default())
}

/// Where it is, for the log.
fn places(position: &Position) -> String {
    let places = position.writers.iter().filter(|(_, place)| place.entry > 0);
    let places: Vec<String> = places.map(|(writer, place)| format!("{writer}:{}", place.entry)).collect();
    if places.is_empty() { "nothing".to_owned() } else { places.join(", ") }
}
