//! A request to `POST /v1/leases`: what its head and its body must be, and what it takes of the collector's limits.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use wire::emitter::{EmitterKey, KEY_HEADER};
use wire::lease::{self, Wanted};

use super::queue::Whose;
use super::rate::Admitted;
use super::refusal::{Busy, Refusal};
use super::request::Head;
use super::room::{Place, Room};
use crate::ledger::leases::LeaseRequest;

/// The largest body, bytes: more than the most leases and prices take with the longest names.
pub const MAX_BODY: usize = 512 << 10;
/// The type of bodies, both ways.
pub const CONTENT_TYPE: &str = "application/json";
/// Leases and prices of a request that count as one at its credential's rate.
const PER_EVENT: usize = 16;

/// A request whose body is still to come.
#[derive(Debug)]
pub struct Request {
    admitted: Admitted,
    place: Place,
}

/// A request that can be granted.
#[derive(Debug)]
pub struct Asked {
    /// What the ledger is given.
    pub request: LeaseRequest,
    /// The room that its body was given, until the response.
    pub(super) place: Place,
}

impl Asked {
    /// Whose turn it waits for.
    pub(super) fn whose(&self) -> Whose {
        let LeaseRequest { sender, request } = &self.request;
        let mut subjects = request.leases.iter().map(|wanted| wanted.subject.as_str());
        let first = subjects.next().filter(|first| !first.is_empty() && subjects.all(|subject| subject == *first));
        Whose::of(sender, first)
    }
}

impl Request {
    /// The head has come from somebody who was let in. Nobody gets a lease who does not show whose it will be.
    pub fn begin(
        head: &Head<'_>,
        mut admitted: Admitted,
        disk_is_full: bool,
        room: &Arc<Room>,
        now: Instant,
    ) -> Result<Request, Refusal> {
        if !head.essence().is_some_and(|essence| essence.eq_ignore_ascii_case(CONTENT_TYPE)) {
            return Err(Refusal::UnsupportedType(CONTENT_TYPE));
        }
        let key = head.emitter_key.ok_or_else(|| Refusal::BadRequest(format!("{KEY_HEADER}: is missing")))?;
        let key = EmitterKey::parse(key).map_err(|invalid| Refusal::BadRequest(invalid.to_string()))?;
        admitted.sender.emitter = Some(key.emitter());
        if disk_is_full {
            return Err(Refusal::Busy(Busy::Disk));
        }
        admitted.take_for_leases(0, now)?;
        let place = room.place(&admitted.sender.credential, admitted.sender.emitter.as_deref(), now);
        Ok(Request { admitted, place })
    }

    /// The room from which the body takes its memory as it comes.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The body is whole: it is decoded, and has its place in the queue.
    pub fn finish(self, body: &[u8], now: Instant) -> Result<Asked, Refusal> {
        let Request { admitted, place } = self;
        let request = lease::request(body);
        let things = request.as_ref().map_or(0, |request| request.leases.len().saturating_add(request.prices.len()));
        admitted.take_for_leases(things.div_ceil(PER_EVENT).max(1), now)?;
        let request = request.map_err(|invalid| Refusal::BadRequest(invalid.to_string()))?;
        place.queue()?;
        Ok(Asked { request: LeaseRequest { sender: admitted.sender, request }, place })
    }
}

/// The windows that a commit looks up for the requests that it takes. A fleet asks for the same ones: they are looked up once.
#[derive(Debug, Default)]
pub(super) struct Windows {
    hasher: RandomState,
    /// Hashes of budget, subject and minute: what they are taken for costs too little, at worst.
    seen: HashSet<u64>,
}

impl Windows {
    /// What one costs, where a lease costs 1.
    pub(super) const COST: usize = 8;

    /// What the commit does more for these.
    pub(super) fn cost(&mut self, leases: &[Wanted]) -> usize {
        let key = |wanted: &Wanted| self.hasher.hash_one((&wanted.budget, &wanted.subject, wanted.at_s / 60));
        let new = leases.iter().map(key).filter(|key| self.seen.insert(*key)).count();
        leases.len().saturating_add(new.saturating_mul(Windows::COST))
    }
}

#[cfg(test)]
mod tests {
    use super::super::rate::Bucket;
    use super::super::room::Bounds;
    use super::*;
    use crate::ledger::Sender;

    const HEAD: Head<'static> = Head {
        content_type: Some(b"application/json; charset=utf-8"),
        content_encoding: None,
        emitter_key: Some(b"00000000000000000000000000000abc"),
        statement: None,
    };

    fn admitted(bucket: Option<Arc<Bucket>>) -> Admitted {
        Admitted { sender: Sender::new("default", false), bucket }
    }

    fn begin(head: &Head<'_>) -> Result<Request, Refusal> {
        let room = Room::new(Bounds { bytes: 1000, events: 8, batches: 4 });
        Request::begin(head, admitted(None), false, &room, Instant::now())
    }

    #[test]
    fn contract_nobody_asks_without_a_key_and_a_body_that_can_be_read() {
        let refused = |head: Head<'_>| begin(&head).map(drop).unwrap_err();
        for head in [
            Head { content_type: None, ..HEAD },
            Head { content_type: Some(b"application/cloudevents+json"), ..HEAD },
            Head { content_type: Some(b"application/json; charset=\xff"), ..HEAD },
            Head { content_type: Some(b"application/json;\x7f"), ..HEAD },
            Head { content_encoding: Some(b"gzip"), ..HEAD },
        ] {
            assert_eq!(refused(head), Refusal::UnsupportedType(CONTENT_TYPE), "{head:?}");
        }
        let missing = "meshmeter-emitter-key: is missing".to_owned();
        assert_eq!(refused(Head { emitter_key: None, ..HEAD }), Refusal::BadRequest(missing));
        for key in [&b""[..], b"abc", b"00000000000000000000000000000ABC", b"\xff"] {
            let wrong = "meshmeter-emitter-key: must be 32 lower-case hex digits".to_owned();
            assert_eq!(refused(Head { emitter_key: Some(key), ..HEAD }), Refusal::BadRequest(wrong));
        }
        let finish = |body: &str| begin(&HEAD).unwrap().finish(body.as_bytes(), Instant::now());
        let wrong = finish("[]").map(drop).unwrap_err();
        assert_eq!(wrong.status(), 400, "{wrong:?}");
        let body = r#"{"number": 1, "acknowledged": 0, "revision": 0}"#;
        let Asked { request, .. } = finish(body).unwrap();
        assert_eq!(request.sender.emitter.as_deref(), Some("a23bee2b24db041e1c3d9748ab7ffa99"), "the hash of the key");
    }

    #[test]
    fn contract_requests_take_of_the_credentials_rate() {
        let now = Instant::now();
        let bucket = Arc::new(Bucket::new(1, now));
        let room = Room::new(Bounds { bytes: 1000, events: 8, batches: 40 });
        let body = br#"{"number": 1, "acknowledged": 0, "revision": 0}"#;
        let mut passed = 0;
        while let Ok(request) = Request::begin(&HEAD, admitted(Some(bucket.clone())), false, &room, now) {
            request.finish(body, now).unwrap();
            passed += 1;
        }
        assert_eq!(passed, 10, "the burst of 10 seconds");
    }

    #[test]
    fn contract_events_that_use_up_the_rate_keep_nobody_from_leases_nor_leases_from_events() {
        let now = Instant::now();
        let room = Room::new(Bounds { bytes: 1000, events: 8, batches: 40 });
        let bucket = Arc::new(Bucket::new(1, now));
        bucket.take(1000, now).unwrap();
        assert!(bucket.take(0, now).is_err(), "events have used it up");
        let body = br#"{"number": 1, "acknowledged": 0, "revision": 0}"#;
        Request::begin(&HEAD, admitted(Some(bucket)), false, &room, now).unwrap().finish(body, now).unwrap();
        let bucket = Bucket::new(1, now);
        bucket.take_for_leases(1000, now).unwrap();
        assert!(bucket.take_for_leases(0, now).is_err(), "requests for leases have used it up");
        assert_eq!(bucket.take(1, now), Ok(()));
    }

    #[test]
    fn contract_windows_that_many_ask_for_are_counted_once_for_a_commit() {
        let wanted = |subject: &str, at_s| Wanted {
            budget: "day".to_owned(),
            subject: subject.to_owned(),
            at_s,
            up_to: 1,
            need: 1,
        };
        let mut windows = Windows::default();
        let costs: Vec<usize> = [
            vec![wanted("a", 60), wanted("b", 60), wanted("a", 61)],
            vec![wanted("a", 119), wanted("b", 90)],
            vec![wanted("a", 120)],
            Vec::new(),
        ]
        .iter()
        .map(|leases| windows.cost(leases))
        .collect();
        assert_eq!(costs, [3 + 16, 2, 1 + 8, 0]);
    }
}
