//! A request to `POST /v1/events`: what its head and its body must be, and what it takes of the collector's limits.

use std::sync::Arc;
use std::time::Instant;

use wire::emitter::EmitterKey;
use wire::event::BATCH_CONTENT_TYPE;
use wire::statement::Statement;

use super::queue::Whose;
use super::rate::Admitted;
use super::refusal::{Busy, Refusal};
use super::room::{Place, Room};
use super::split;
use crate::ledger::{Arrival, Delivery};

/// The largest body, bytes: many times what a filter sends, and decoded in a fraction of a second.
pub const MAX_BODY: usize = 8 << 20;
/// Bytes of a body that count as an event where the events are fewer.
const BYTES_PER_EVENT: usize = 4096;
/// The type of a body that is one event.
pub const EVENT_CONTENT_TYPE: &str = "application/cloudevents+json";
/// Both types, for who sent another.
const CONTENT_TYPES: &str = "application/cloudevents-batch+json or application/cloudevents+json";

/// The headers that decide, as they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'h> {
    /// `content-type`.
    pub content_type: Option<&'h [u8]>,
    /// `content-encoding`.
    pub content_encoding: Option<&'h [u8]>,
    /// The emitter's key.
    pub emitter_key: Option<&'h [u8]>,
    /// What the emitter says of itself.
    pub statement: Option<&'h [u8]>,
}

impl Head<'_> {
    /// The type of the body without its parameters, if it can be read and the body is not encoded.
    pub(super) fn essence(&self) -> Option<&str> {
        if !matches!(self.content_encoding, None | Some(b"identity")) {
            return None;
        }
        Some(visible(self.content_type?)?.split(';').next()?.trim())
    }

    /// How the events come, if that can be read.
    pub fn form(&self) -> Option<Form> {
        let essence = self.essence()?;
        if essence.eq_ignore_ascii_case(BATCH_CONTENT_TYPE) {
            Some(Form::Batch)
        } else if essence.eq_ignore_ascii_case(EVENT_CONTENT_TYPE) {
            Some(Form::Single)
        } else {
            None
        }
    }

    /// The emitter whose key the request shows. One that cannot be read proves nothing.
    fn proven_emitter(&self) -> Option<String> {
        EmitterKey::parse(self.emitter_key?).ok().map(|key| key.emitter())
    }

    /// What the emitter says of itself, or that it cannot be read.
    fn statement(&self) -> Result<Option<Statement>, ()> {
        let Some(bytes) = self.statement else { return Ok(None) };
        visible(bytes).and_then(|text| text.parse().ok()).map(Some).ok_or(())
    }
}

/// A header's value, if it is text that can be seen.
fn visible(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')).then_some(text)
}

/// How events come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A JSON array of events.
    Batch,
    /// One event.
    Single,
}

impl Form {
    /// The bytes of each event of a body.
    pub fn elements(self, body: &[u8]) -> Result<Vec<&[u8]>, Refusal> {
        match self {
            Form::Batch => split::elements(body).map_err(|problem| Refusal::BadRequest(format!("the body: {problem}"))),
            Form::Single => Ok(vec![body.trim_ascii()]),
        }
    }
}

/// A request whose body is still to come.
#[derive(Debug)]
pub struct Request {
    form: Form,
    statement: Option<Statement>,
    /// Whether there is a statement that cannot be read. That must not hold up the events: they are taken.
    pub statement_refused: bool,
    admitted: Admitted,
    place: Place,
}

/// A batch that can be stored.
#[derive(Debug)]
pub struct Batch {
    /// What the ledger is given.
    pub delivery: Delivery,
    /// The room that its body and its events were given, until the response.
    pub(super) place: Place,
}

impl Batch {
    /// Whose turn it waits for.
    pub(super) fn whose(&self) -> Whose {
        let Delivery { sender, arrivals, .. } = &self.delivery;
        let events = arrivals.iter().filter_map(|arrival| arrival.decoded.as_ref().ok());
        let mut tenants = events.map(|event| event.record.identity.tenant.as_str());
        let first = tenants.next().filter(|first| tenants.all(|tenant| tenant == *first));
        Whose::of(sender, first)
    }
}

impl Request {
    /// The head has come from somebody who was let in. What cannot be taken is refused now, so that its body need not come.
    pub fn begin(
        head: &Head<'_>,
        mut admitted: Admitted,
        disk_is_full: bool,
        room: &Arc<Room>,
        now: Instant,
    ) -> Result<Request, Refusal> {
        admitted.sender.emitter = head.proven_emitter();
        let form = head.form().ok_or(Refusal::UnsupportedType(CONTENT_TYPES))?;
        if disk_is_full {
            return Err(Refusal::Busy(Busy::Disk));
        }
        admitted.take(0, now)?;
        let (statement, statement_refused) = match head.statement() {
            Ok(statement) => (statement, false),
            Err(()) => (None, true),
        };
        let place = room.place(&admitted.sender.credential, admitted.sender.emitter.as_deref(), now);
        Ok(Request { form, statement, statement_refused, admitted, place })
    }

    /// The room from which the body takes its memory as it comes.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The body is whole: it is split and decoded, and has its place in the queue.
    pub fn finish(self, body: &[u8], now: Instant) -> Result<Batch, Refusal> {
        let Request { form, statement, admitted, place, .. } = self;
        let elements = match form.elements(body) {
            Ok(elements) => elements,
            Err(refusal) => {
                admitted.take(cost(0, body.len()), now)?;
                return Err(refusal);
            }
        };
        place.events(elements.len())?;
        admitted.take(cost(elements.len(), body.len()), now)?;
        let arrivals = arrivals(&elements);
        place.queue()?;
        Ok(Batch { delivery: Delivery { sender: admitted.sender, statement, arrivals }, place })
    }
}

/// For how many events of its credential's rate a body counts. A batch without events costs a transaction as well.
fn cost(events: usize, bytes: usize) -> usize {
    events.max(bytes.div_ceil(BYTES_PER_EVENT)).max(1)
}

/// Events, each with its bytes as sent, decoded or with the reason why not.
pub fn arrivals(elements: &[&[u8]]) -> Vec<Arrival> {
    elements.iter().map(|event| Arrival::new(event.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::rate::Bucket;
    use super::super::room::Bounds;
    use super::*;
    use crate::ledger::Sender;

    const HEAD: Head<'static> = Head {
        content_type: Some(b"Application/CloudEvents-Batch+JSON; charset=utf-8"),
        content_encoding: None,
        emitter_key: None,
        statement: None,
    };

    fn room(batches: usize) -> Arc<Room> {
        Room::new(Bounds { bytes: 1000, events: 8, batches })
    }

    fn admitted(bucket: Option<Arc<Bucket>>) -> Admitted {
        Admitted { sender: Sender::new("default", false), bucket }
    }

    fn begin(head: &Head<'_>) -> Result<Request, Refusal> {
        Request::begin(head, admitted(None), false, &room(4), Instant::now())
    }

    #[test]
    fn contract_a_body_counts_by_its_events_or_its_bytes_whichever_are_more() {
        for (events, bytes, expected) in [
            (0, 0, 1),
            (0, 2, 1),
            (1, 4096, 1),
            (1, 4097, 2),
            (100, 200_000, 100),
            (1, MAX_BODY, 2048),
            (0, MAX_BODY, 2048),
        ] {
            assert_eq!(cost(events, bytes), expected, "{events} events, {bytes} bytes");
        }
    }

    #[test]
    fn contract_what_cannot_be_taken_is_refused_with_its_head() {
        let other = |content_type: &'static [u8]| Head { content_type: Some(content_type), ..HEAD };
        for head in [
            Head { content_type: None, ..HEAD },
            other(b"application/json"),
            other(b"application/cloudevents-batch+json\xff"),
            Head { content_encoding: Some(b"gzip"), ..HEAD },
        ] {
            assert_eq!(begin(&head).err(), Some(Refusal::UnsupportedType(CONTENT_TYPES)), "{head:?}");
        }
        let now = Instant::now();
        let full = Request::begin(&HEAD, admitted(None), true, &room(4), now);
        assert_eq!(full.err(), Some(Refusal::Busy(Busy::Disk)));
        let bucket = Arc::new(Bucket::new(1, now));
        bucket.take(100, now).unwrap();
        let fast = Request::begin(&HEAD, admitted(Some(bucket)), false, &room(4), now);
        assert_eq!(fast.err(), Some(Refusal::TooMany(Duration::from_secs(90))));
    }

    #[test]
    fn contract_what_an_emitter_says_of_itself_holds_up_no_events() {
        let unreadable = Head { statement: Some(b"\xff"), emitter_key: Some(b"no key"), ..HEAD };
        let request = begin(&unreadable).unwrap();
        assert!(request.statement_refused);
        let Batch { delivery, .. } = request.finish(b"[{}, {}]", Instant::now()).unwrap();
        assert_eq!((delivery.arrivals.len(), delivery.statement, delivery.sender.emitter), (2, None, None));
    }

    #[test]
    fn contract_a_body_that_cannot_be_taken_leaves_nothing_in_the_room() {
        let room = room(1);
        let begin = || Request::begin(&HEAD, admitted(None), false, &room, Instant::now()).unwrap();
        let finish = |request: Request, body: &str| request.finish(body.as_bytes(), Instant::now());
        assert_eq!(finish(begin(), "[{}").err().map(|refusal| refusal.status()), Some(400));
        let over_share = |of| Some(Refusal::Share { credential: "default".to_owned(), of });
        assert_eq!(finish(begin(), "[1,2,3,4,5,6,7]").err(), over_share(Busy::Events));
        let first = finish(begin(), "[1,2,3]").unwrap();
        assert_eq!(finish(begin(), "[1]").err(), over_share(Busy::Queue));
        drop(first);
        assert!(finish(begin(), "[1,2,3,4,5]").is_ok());
    }
}
