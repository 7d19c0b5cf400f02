//! A recording through the meter alone, as the filter would feed it.

use corpus::{Corpus, Recording, Result};
use meter::call::{Call, Ended, RequestHead, ResponseHead};
use meter::config::Detect;
use meter::estimate::Ratios;
use meter::event::encode;
use meter::record::Record;
use serde_json::Value;

/// How a recording is fed.
#[derive(Clone, Copy, Debug)]
pub struct Feed {
    /// The longest piece of a body, bytes.
    pub piece: usize,
    /// Bodies that are kept compressed are fed so.
    pub encoded: bool,
}

/// The event of a recorded call, if it leaves one. What another model was used for in it is not this call's truth.
pub fn event(corpus: &Corpus, recording: &Recording, feed: Feed) -> Result<Option<Value>> {
    match records(corpus, recording, feed)?.first() {
        Some(record) => Ok(Some(serde_json::from_slice(&encode(record, "corpus", 1))?)),
        None => Ok(None),
    }
}

/// The records of a recorded call: its own, then those of other models that were used in it.
pub fn records(corpus: &Corpus, recording: &Recording, feed: Feed) -> Result<Vec<Record>> {
    let head = RequestHead {
        method: recording.method.as_bytes(),
        host: recording.host.as_bytes(),
        path: recording.path.as_bytes(),
        content_encoding: None,
    };
    let rules = Detect { by_shape: true, trust_host: false, rules: Vec::new() };
    let Some(mut call) = Call::begin(&head, &rules, 0) else { return Ok(Vec::new()) };
    corpus.request(recording)?.chunks(feed.piece).for_each(|piece| call.request_body(piece));
    let encoded = if feed.encoded { corpus.encoded(recording)? } else { None };
    let (body, encoding) = match encoded {
        Some((body, encoding)) => (body, Some(encoding)),
        None => (corpus.response(recording)?, None),
    };
    call.response_head(&ResponseHead {
        status: Some(recording.status.into()),
        content_type: recording.content_type.as_deref().map(str::as_bytes),
        content_encoding: encoding.as_deref().map(str::as_bytes),
    });
    for (name, value) in recording.usage_headers.iter().chain(&recording.response_headers).flatten() {
        call.response_header(&name.to_lowercase(), value.as_bytes());
    }
    body.chunks(feed.piece).for_each(|piece| call.response_body(piece));
    call.response_end();
    Ok(call.finish(Ended::default(), &mut Ratios::default()))
}
