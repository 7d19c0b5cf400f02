//! Bodies: read within time and memory. A sender has as much memory as it has sent, or a little more; one that stops
//! sending is not waited for.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use tokio::time::{sleep_until, timeout};

use crate::ingest::refusal::{Busy, Refusal};
use crate::ingest::room::Place;

/// How long a body may take in all.
const TIMEOUT: Duration = Duration::from_secs(30);
/// In each of these it must end, or bring `PROGRESS`.
const PERIOD: Duration = Duration::from_secs(5);
/// Bytes: 13 KB a second, a fraction of what any link between a proxy and its collector carries.
const PROGRESS: usize = 64 << 10;
/// The memory that a body begins with, if it does not announce less.
const FIRST: usize = 16 << 10;
/// What is read and thrown away of a refused body, bytes: who is cut off in the middle of sending may never see the
/// response, and would send it again.
const DISCARDED: usize = 64 << 20;
/// The same of somebody unknown.
const DISCARDED_OF_STRANGERS: usize = 512 << 10;
/// How long that may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);

/// A body of at most so many bytes, in memory that its place is given as it comes.
pub async fn read(max: usize, headers: &HeaderMap, body: &mut Body, place: &Place) -> Result<Vec<u8>, Refusal> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|announced| announced > max) {
        return Err(Refusal::TooLarge(max));
    }
    let most = announced.unwrap_or(max);
    let mut bytes = Vec::new();
    let mut check = Check::new(Instant::now());
    let mut step = PROGRESS;
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = poll_fn(|context| place.poll_gives_way(context)) => return Err(Refusal::Busy(Busy::Bodies)),
            () = sleep_until(check.at.into()) => {
                check = check.next(bytes.len())?;
                continue;
            }
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| Refusal::BadRequest("the body broke off".to_owned()))?;
        let Some(chunk) = frame.data_ref() else { continue };
        let length = bytes.len().saturating_add(chunk.len());
        if length > max {
            return Err(Refusal::TooLarge(max));
        }
        if length > bytes.capacity() {
            let capacity = bytes.capacity().saturating_mul(2).max(FIRST).min(most).max(length);
            place.bytes(capacity.saturating_sub(bytes.capacity()), Instant::now())?;
            bytes.reserve_exact(capacity.saturating_sub(bytes.len()));
        }
        bytes.extend_from_slice(chunk);
        if bytes.len() >= step {
            place.progress(Instant::now());
            step = bytes.len().saturating_add(PROGRESS);
        }
    }
    place.whole()?;
    Ok(bytes)
}

/// When a body that comes is looked at, and how much of it must be there then.
struct Check {
    at: Instant,
    deadline: Instant,
    wanted: usize,
}

impl Check {
    fn new(begun: Instant) -> Check {
        let after = |period| begun.checked_add(period).unwrap_or(begun);
        Check { at: after(PERIOD), deadline: after(TIMEOUT), wanted: PROGRESS }
    }

    /// The next one, if enough is there.
    fn next(&self, length: usize) -> Result<Check, Refusal> {
        if self.at >= self.deadline || length < self.wanted {
            return Err(Refusal::TooSlow);
        }
        let at = self.at.checked_add(PERIOD).unwrap_or(self.at).min(self.deadline);
        Ok(Check { at, wanted: length.saturating_add(PROGRESS), ..*self })
    }
}

/// What a request came to. What is left of the body of one that is refused is read first, unless it was too slow.
pub async fn ended<T>(result: Result<T, Refusal>, body: Body, known: bool) -> Result<T, Refusal> {
    if result.as_ref().is_err_and(|refusal| *refusal != Refusal::TooSlow) {
        discard(body, known).await;
    }
    result
}

/// Reads what is left of a body that is refused, within bounds, and keeps nothing of it.
async fn discard(mut body: Body, known: bool) {
    let most = if known { DISCARDED } else { DISCARDED_OF_STRANGERS };
    let reading = async {
        let mut length = 0_usize;
        while length < most
            && let Some(Ok(frame)) = body.frame().await
        {
            length = length.saturating_add(frame.data_ref().map_or(0, |chunk| chunk.len()));
        }
    };
    let _ = timeout(DISCARD_TIMEOUT, reading).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::room::{Bounds, Room};
    use axum::body::Bytes;
    use futures_util::stream;

    const MAX: usize = 1 << 20;

    fn room() -> std::sync::Arc<Room> {
        Room::new(Bounds { bytes: 4 << 20, events: 1, batches: 1 })
    }

    fn body(chunks: usize, length: usize) -> Body {
        let chunk = move |_| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; length]));
        Body::from_stream(stream::iter((0..chunks).map(chunk)))
    }

    async fn outcome(mut body: Body, announced: Option<usize>) -> Result<usize, Refusal> {
        let headers: HeaderMap =
            announced.map(|length| (CONTENT_LENGTH, length.to_string().parse().unwrap())).into_iter().collect();
        read(MAX, &headers, &mut body, &room().place("one", None, Instant::now())).await.map(|bytes| bytes.len())
    }

    /// After how many seconds a body is given up of which so much is there after each, if it is.
    fn given_up(length: impl Fn(u64) -> usize) -> Option<u64> {
        let begun = Instant::now();
        let mut check = Check::new(begun);
        loop {
            let seconds = check.at.duration_since(begun).as_secs();
            let length = length(seconds);
            if length == MAX {
                return None;
            }
            match check.next(length) {
                Ok(next) => check = next,
                Err(_) => return Some(seconds),
            }
        }
    }

    #[test]
    fn contract_slow_bodies_are_given_up_and_those_that_get_on_are_not() {
        assert_eq!(given_up(|_| 0), Some(5), "announced only");
        assert_eq!(given_up(|seconds| seconds as usize), Some(5), "byte by byte");
        assert_eq!(given_up(|_| MAX - 1), Some(10), "nearly whole, then silence");
        assert_eq!(given_up(|seconds| seconds as usize * 20_000), Some(30), "longer than 30 s");
        assert_eq!(given_up(|seconds| (seconds as usize * 40_000).min(MAX)), None);
        assert_eq!(given_up(|seconds| if seconds > 4 { MAX } else { 0 }), None, "late, and whole");
    }

    #[tokio::test]
    async fn contract_a_body_takes_no_more_memory_than_it_has_sent_or_a_little_more() {
        for (chunks, length, announced, expected) in [
            (1, 100, Some(100), Ok(100)),
            (3, 100, Some(MAX), Ok(300)),
            (1024, 1024, Some(MAX), Ok(MAX)),
            (1024, 1024, None, Ok(MAX)),
            (1025, 1024, None, Err(Refusal::TooLarge(MAX))),
            (1, 1, Some(MAX + 1), Err(Refusal::TooLarge(MAX))),
        ] {
            assert_eq!(outcome(body(chunks, length), announced).await, expected);
        }
        let tight = Room::new(Bounds { bytes: 400_000, events: 1, batches: 1 });
        let place = tight.place("one", None, Instant::now());
        let mut large = body(400, 1024);
        let over_share = Refusal::Share { credential: "one".to_owned(), of: Busy::Bodies };
        assert_eq!(read(MAX, &HeaderMap::new(), &mut large, &place).await, Err(over_share));
        let mut fits = body(200, 1024);
        let place = tight.place("other", None, Instant::now());
        let bytes = read(MAX, &HeaderMap::new(), &mut fits, &place).await;
        assert!(bytes.is_err(), "the first still has what it had");
    }
}
