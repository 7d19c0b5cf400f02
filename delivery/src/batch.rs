//! What is sent to the collector, and what becomes of it.

use meter::config::Collector;
use meter::failures::CollectorFailure;
use wire::emitter::{self, EmitterKey};
use wire::event::BATCH_CONTENT_TYPE;
use wire::statement::{self, Statement};

/// The content of a dispatch: events, or the statement alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// A JSON array of events.
    pub body: Vec<u8>,
    /// How many; none where there is only the statement to send.
    pub events: usize,
    /// What the emitter states of itself, in the header [`statement::HEADER`].
    pub statement: Statement,
    /// What proves who it is, in the header [`emitter::KEY_HEADER`].
    pub key: EmitterKey,
}

impl Batch {
    /// The statement alone, for a dispatch whose response nobody waits for: so it names no drops, which have to be heard.
    pub(crate) fn to_statement(&self) -> Batch {
        let statement = Statement { drops: Vec::new(), ..self.statement.clone() };
        Batch { body: b"[]".to_vec(), events: 0, statement, key: self.key.clone() }
    }

    /// The request's headers. `statement` is [`Batch::statement`] as text.
    pub fn headers<'a>(
        &'a self,
        collector: &'a Collector,
        statement: &'a str,
        authorization: Option<&'a str>,
    ) -> Vec<(&'static str, &'a str)> {
        let mut headers = vec![
            (":method", "POST"),
            (":scheme", "http"),
            (":path", collector.path.as_str()),
            (":authority", collector.authority.as_str()),
            ("content-type", BATCH_CONTENT_TYPE),
            (emitter::KEY_HEADER, self.key.secret()),
            (statement::HEADER, statement),
        ];
        headers.extend(authorization.map(|value| ("authorization", value)));
        headers
    }
}

/// The headers of a request for leases, to this path of the collector.
pub fn lease_headers<'a>(
    collector: &'a Collector,
    path: &'a str,
    key: &'a EmitterKey,
    authorization: Option<&'a str>,
) -> Vec<(&'static str, &'a str)> {
    let mut headers = vec![
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", collector.authority.as_str()),
        ("content-type", "application/json"),
        (emitter::KEY_HEADER, key.secret()),
    ];
    headers.extend(authorization.map(|value| ("authorization", value)));
    headers
}

/// What became of the batch in flight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Events that the collector has taken.
    pub acknowledged: usize,
    /// Those of them that it has quarantined and not charged.
    pub quarantined: usize,
    /// Events that will be sent again.
    pub retried: usize,
    /// The id of the event that the collector refuses.
    pub rejected: Option<String>,
    /// Bytes that left the queue.
    pub freed: usize,
    /// Why the dispatch did not succeed.
    pub failure: Option<CollectorFailure>,
}
