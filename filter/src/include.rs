//! Asks a stream for its usage where the client did not, and takes the answer to that out again.
//!
//! The request's length is announced with its head, before anybody knows whether it asks for a stream; so the body grows
//! by the same number of bytes in any case. See `meter::rewrite`.

use meter::call::ResponseHead;
use meter::rewrite::{Ask, Asking, ROOM, Withhold};
use meter::scan::is_same;

use crate::host::{self, Buffer, Failure, HeaderMap, Headers};

/// Headers that vouch for the very bytes of the body.
const SIGNED: [&str; 7] =
    ["signature", "signature-input", "digest", "content-digest", "repr-digest", "content-md5", "x-amz-content-sha256"];

/// What becomes of one stream.
pub struct Include {
    ask: Ask,
    /// The answer says `"usage":null` in every other chunk.
    nulls: bool,
    /// For an answer from which something may have to be taken out.
    withhold: Option<Withhold>,
}

impl Include {
    /// Announces the longer body, if the request may be changed: JSON of known length, neither compressed nor signed.
    pub fn begin(headers: &HeaderMap, nulls: bool) -> Option<Include> {
        let is_json = headers.get("content-type").is_some_and(|value| starts_with(value, b"application/json"));
        let signed = SIGNED.iter().any(|name| headers.get(name).is_some())
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
        Some(Include { ask: Ask::new(length), nulls, withhold: None })
    }

    /// Whether the option was added.
    pub fn is_added(&self) -> bool {
        self.ask.asking() == Asking::Added
    }

    /// A chunk of the request's body, the first `size` bytes of the buffer; `None`: they could not be had and pass as they
    /// are.
    pub fn request_body(&mut self, bytes: Option<&[u8]>, size: usize) -> Result<(), Failure> {
        if self.ask.is_over() {
            return Ok(());
        }
        if bytes.is_some_and(|bytes| self.ask.passes(bytes)) {
            return host::append_buffer(Buffer::RequestBody, size, &[b' '; ROOM]);
        }
        let mut out = Vec::with_capacity(size.saturating_add(ROOM));
        match bytes {
            Some(bytes) => {
                self.ask.feed(bytes, &mut out);
                if is_same(&out, bytes) { Ok(()) } else { host::set_buffer(Buffer::RequestBody, size, &out) }
            }
            None => {
                self.ask.missed(size, &mut out);
                if out.is_empty() { Ok(()) } else { host::append_buffer(Buffer::RequestBody, size, &out) }
            }
        }
    }

    /// The head of the answer: decides whether there will be something to take out.
    pub fn response_head(&mut self, head: &ResponseHead<'_>) -> Result<(), Failure> {
        let is_stream = head.content_type.is_some_and(|value| starts_with(value, b"text/event-stream"));
        // An answer may begin before the request is over.
        let may_be_added = self.is_added() || !self.ask.is_over();
        if !(may_be_added && is_stream && head.content_encoding.is_none()) {
            return Ok(());
        }
        self.withhold = Some(Withhold::new(self.nulls));
        // It will be shorter than was said.
        host::remove_header(Headers::Response, "content-length")
    }

    /// Whether something may be taken out of the answer.
    pub fn withholds(&self) -> bool {
        self.withhold.is_some() && self.is_added()
    }

    /// A chunk of the answer's body, the first `size` bytes of the buffer; `None`: they could not be had and pass as they
    /// are.
    pub fn response_body(&mut self, bytes: Option<&[u8]>, size: usize, end_of_stream: bool) -> Result<(), Failure> {
        let (Some(withhold), Some(bytes)) = (&mut self.withhold, bytes) else { return Ok(()) };
        let mut out = Vec::with_capacity(size);
        withhold.feed(bytes, &mut out);
        if end_of_stream {
            withhold.end(&mut out);
        }
        if is_same(&out, bytes) { Ok(()) } else { host::set_buffer(Buffer::ResponseBody, size, &out) }
    }
}

fn starts_with(value: &[u8], prefix: &[u8]) -> bool {
    let value = value.trim_ascii_start();
    value.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
