//! A recording through the meter alone, as the filter would feed it.

use corpus::{Client, Corpus, Recording, Result};
use meter::call::{Call, Ended, RequestHead, ResponseHead};
use meter::estimate::Ratios;
use meter::provider::Detect;
use meter::rewrite::{Ask, Asking, Change, Withhold, changeable};
use serde_json::Value;
use wire::event::encode;
use wire::record::Record;

/// About what Envoy hands over at once, bytes.
#[allow(dead_code)] // Not by tests, which choose pieces of their own.
pub const PIECE: usize = 16 * 1024;

/// How a recording is fed.
#[derive(Clone, Copy, Debug)]
pub struct Feed {
    /// The longest piece of a body, bytes.
    pub piece: usize,
    /// Bodies that are kept compressed are fed so.
    pub encoded: bool,
}

/// What came of a recorded call.
#[derive(Debug, Default)]
pub struct Run {
    /// Its own record, then those of other models that were used in it.
    pub records: Vec<Record>,
    /// What its client would have seen otherwise without the meter.
    pub change: Option<String>,
}

impl Run {
    /// The event of the call, if it leaves one. What another model was used for in it is not this call's truth.
    pub fn event(&self) -> Result<Option<Value>> {
        let event = |record: &Record| serde_json::from_slice(&encode(record, "corpus", 1));
        Ok(self.records.first().map(event).transpose()?)
    }
}

/// A recorded call as the filter would treat it.
pub fn run(corpus: &Corpus, recording: &Recording, feed: Feed) -> Result<Run> {
    let head = RequestHead {
        method: recording.method.as_bytes(),
        host: recording.host.as_bytes(),
        path: recording.path.as_bytes(),
        content_encoding: None,
    };
    let rules = Detect { by_shape: true, trust_host: false, rules: Vec::new() };
    let Some(mut call) = Call::begin(&head, &rules, 0) else { return Ok(Run::default()) };
    let sent = corpus.request(recording)?;
    let (arrived, added) = asked(&mut call, &sent, feed.piece);
    let (served, without) =
        (corpus.serve(recording, &arrived, feed.encoded)?, corpus.serve(recording, &sent, feed.encoded)?);
    call.response_head(&ResponseHead {
        status: Some(served.status.into()),
        content_type: served.content_type.as_deref().map(str::as_bytes),
        content_encoding: served.encoding.as_deref().map(str::as_bytes),
    });
    for (name, value) in &served.headers {
        call.response_header(name, value.as_bytes());
    }
    served.body.chunks(feed.piece).for_each(|piece| call.response_body(piece));
    call.response_end();
    let is_stream = served.content_type.as_deref().is_some_and(|kind| kind.starts_with("text/event-stream"));
    let seen = match added && is_stream && served.encoding.is_none() {
        true => taken_out(&served.body, feed.piece, call.asking().says_null()),
        false => served.body,
    };
    let may_lack_usage = recording.when_asked.is_none();
    let change = Client { without: &without, arrived: &arrived, may_lack_usage }.difference(served.status, &seen);
    let records = call.finish(Ended::default(), &mut Ratios::default());
    Ok(Run { records, change })
}

/// The request as it leaves, and whether the question for usage was added to it.
fn asked(call: &mut Call, sent: &[u8], piece: usize) -> (Vec<u8>, bool) {
    let is_askable = call.may_be_asked() && changeable(|_| None).is_ok();
    let mut ask = is_askable.then(|| Ask::new(None));
    let mut arrived = Vec::new();
    for piece in sent.chunks(piece) {
        call.request_body(piece);
        let Some(ask) = &mut ask else { continue };
        ask.set_bar(call.bar());
        let mut out = Vec::new();
        match ask.feed(piece, &mut out) {
            Change::None => arrived.extend_from_slice(piece),
            Change::Behind => arrived.extend([piece, &out].concat()),
            Change::Whole => arrived.extend(out),
        }
    }
    let Some(mut ask) = ask else { return (sent.to_vec(), false) };
    ask.end(&mut arrived);
    if ask.asking() == Asking::Added {
        call.asked_for_usage();
    }
    (arrived, ask.is_added())
}

/// The response without what the question brought.
fn taken_out(body: &[u8], piece: usize, nulls: bool) -> Vec<u8> {
    let (mut withhold, mut seen) = (Withhold::new(nulls), Vec::new());
    body.chunks(piece).for_each(|piece| withhold.feed(piece, &mut seen));
    withhold.end(&mut seen);
    seen
}
