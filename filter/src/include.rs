//! Asks a stream for its usage where the client did not, and takes the answer to that out again.
//!
//! The request's length is announced with its head, before anybody knows whether it asks for a stream; so the body grows
//! by the same number of bytes in any case. See `meter::rewrite`.

use meter::call::ResponseHead;
use meter::rewrite::{Ask, Asking, ROOM, Withhold};

use crate::host::{self, Buffer, Failure, HeaderMap, Headers};

/// What becomes of one stream.
pub struct Include {
    ask: Ask,
    withhold: Option<Withhold>,
}

impl Include {
    /// Announces the longer body, if the request may be changed: JSON of known length, neither compressed nor signed.
    pub fn begin(headers: &HeaderMap) -> Option<Include> {
        let is_json = headers.get("content-type").is_some_and(|value| starts_with(value, b"application/json"));
        let signed = ["signature", "digest", "content-digest", "content-md5", "x-amz-content-sha256"]
            .iter()
            .any(|name| headers.get(name).is_some())
            || headers.get("authorization").is_some_and(|value| starts_with(value, b"AWS4-"));
        let encoded = headers.get("content-encoding").is_some() || headers.get("transfer-encoding").is_some();
        if !is_json || signed || encoded {
            return None;
        }
        let length = std::str::from_utf8(headers.get("content-length")?).ok()?.parse::<u64>().ok()?;
        let longer = length.checked_add(u64::try_from(ROOM).ok()?).filter(|_| length > 0)?;
        // First what only changes the answer: a compressed one could not be changed back.
        if headers.get("accept-encoding").is_some() {
            host::set_header(Headers::Request, "accept-encoding", "identity").ok()?;
        }
        host::set_header(Headers::Request, "content-length", &longer.to_string()).ok()?;
        Some(Include { ask: Ask::default(), withhold: None })
    }

    /// Whether the option was added.
    pub fn is_added(&self) -> bool {
        self.ask.asking() == Asking::Added
    }

    /// A chunk of the request's body, the first `size` bytes of the buffer. If they could not be had they pass as they are.
    pub fn request_body(&mut self, bytes: &[u8], size: usize, end_of_stream: bool) -> Result<(), Failure> {
        let mut out = Vec::with_capacity(bytes.len().saturating_add(ROOM));
        self.ask.feed(bytes, &mut out);
        if end_of_stream {
            self.ask.end(&mut out);
        }
        match bytes.len() == size {
            true if out == bytes => Ok(()),
            true => host::set_buffer(Buffer::RequestBody, size, &out),
            // The bytes are there, but not known: what is added goes behind them. White space it is then.
            false if out.is_empty() => Ok(()),
            false => host::append_buffer(Buffer::RequestBody, size, &out),
        }
    }

    /// The head of the answer: decides whether there will be something to take out.
    pub fn response_head(&mut self, head: &ResponseHead<'_>) -> Result<(), Failure> {
        let is_stream = head.content_type.is_some_and(|value| starts_with(value, b"text/event-stream"));
        if !(self.is_added() && is_stream && head.content_encoding.is_none()) {
            return Ok(());
        }
        self.withhold = Some(Withhold::default());
        // It will be shorter than was said.
        host::remove_header(Headers::Response, "content-length")
    }

    /// Whether something may be taken out of the answer.
    pub fn withholds(&self) -> bool {
        self.withhold.is_some()
    }

    /// A chunk of the answer's body, the first `size` bytes of the buffer.
    pub fn response_body(&mut self, bytes: &[u8], size: usize, end_of_stream: bool) -> Result<(), Failure> {
        let Some(withhold) = &mut self.withhold else { return Ok(()) };
        let mut out = Vec::with_capacity(bytes.len());
        withhold.feed(bytes, &mut out);
        if end_of_stream {
            withhold.end(&mut out);
        }
        match bytes.len() == size {
            true if out == bytes => Ok(()),
            true => host::set_buffer(Buffer::ResponseBody, size, &out),
            false => Ok(()),
        }
    }
}

fn starts_with(value: &[u8], prefix: &[u8]) -> bool {
    let value = value.trim_ascii_start();
    value.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
