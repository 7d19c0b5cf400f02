//! What can go wrong at a provider, on demand: a call names the fault in a request header.

use std::{fmt, io::Write, str::FromStr};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

use crate::{
    Error,
    fixture::{Api, events},
};

/// The request header that names a fault.
pub const HEADER: &str = "x-fault";
const HUGE: usize = 10 << 20;
const BINARY: usize = 64 << 10;

/// One kind of misbehaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status with the provider's own error body.
    Status(u16),
    /// 200 with a page of HTML.
    Html,
    /// A JSON body that ends half way, with a content-length that agrees.
    Truncated,
    /// A body that stops being JSON before its usage.
    Malformed,
    /// The usual response with 10 MB of text in front, which looks like usage and is not.
    Huge,
    /// 64 KiB that are no text.
    Binary,
    /// The usual response, compressed.
    Gzip,
    /// The same, and its encoding in capitals.
    GzipInCapitals,
    /// A stream that has an error instead of its rest, after this many events.
    ErrorAfter(usize),
    /// 200 with JSON of no known shape.
    UnknownShape,
    /// 204 without a body.
    NoContent,
    /// The connection is reset after this many events (of a stream) or after half the body.
    ResetAfter(usize),
    /// Nothing moves any more after this many events, until the client leaves.
    StallAfter(usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => write!(f, "status-{code}"),
            Self::Html => f.write_str("html"),
            Self::Truncated => f.write_str("truncated"),
            Self::Malformed => f.write_str("malformed"),
            Self::Huge => f.write_str("huge"),
            Self::Binary => f.write_str("binary"),
            Self::Gzip => f.write_str("gzip"),
            Self::GzipInCapitals => f.write_str("gzip-in-capitals"),
            Self::ErrorAfter(events) => write!(f, "error-after-{events}"),
            Self::UnknownShape => f.write_str("unknown-shape"),
            Self::NoContent => f.write_str("no-content"),
            Self::ResetAfter(events) => write!(f, "reset-after-{events}"),
            Self::StallAfter(events) => write!(f, "stall-after-{events}"),
        }
    }
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(code) = text.strip_prefix("status-") {
            return Ok(Self::Status(code.parse()?));
        }
        if let Some(events) = text.strip_prefix("reset-after-") {
            return Ok(Self::ResetAfter(events.parse()?));
        }
        if let Some(events) = text.strip_prefix("stall-after-") {
            return Ok(Self::StallAfter(events.parse()?));
        }
        if let Some(events) = text.strip_prefix("error-after-") {
            return Ok(Self::ErrorAfter(events.parse()?));
        }
        [
            Self::Html,
            Self::Truncated,
            Self::Malformed,
            Self::Huge,
            Self::Binary,
            Self::Gzip,
            Self::GzipInCapitals,
            Self::UnknownShape,
            Self::NoContent,
        ]
        .into_iter()
        .find(|fault| fault.to_string() == text)
        .ok_or_else(|| format!("{HEADER}: no fault is called {text:?}").into())
    }
}

impl Fault {
    /// Whether the usage still reaches the client.
    pub fn leaves_usage(self) -> bool {
        matches!(self, Self::Huge | Self::Gzip | Self::GzipInCapitals)
    }

    /// The response that takes the place of `text`: status, content type (if another one), content encoding, body.
    pub fn body(self, api: Api, text: &str) -> Altered {
        let plain = |status, content_type, body: Bytes| Altered { status, content_type, encoding: None, body };
        match self {
            Self::Status(status) => plain(status, Some("application/json"), api.error(status).into()),
            Self::Html => plain(200, Some("text/html"), "<html><body>usage: you are offline</body></html>".into()),
            Self::Truncated => plain(200, None, Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2])),
            Self::Malformed => plain(200, None, malformed(text)),
            Self::Huge => plain(200, None, huge(text)),
            Self::Binary => plain(200, Some("application/octet-stream"), noise()),
            Self::Gzip => Altered { status: 200, content_type: None, encoding: Some("gzip"), body: gzip(text) },
            Self::GzipInCapitals => {
                Altered { status: 200, content_type: None, encoding: Some("GZIP"), body: gzip(text) }
            }
            Self::ErrorAfter(whole) => plain(200, None, error_after(api, text, whole).into()),
            Self::UnknownShape => {
                plain(200, Some("application/json"), r#"{"ok":true,"result":[1,2,{"tokens":3}]}"#.into())
            }
            Self::NoContent => plain(204, None, Bytes::new()),
            Self::ResetAfter(_) | Self::StallAfter(_) => plain(200, None, Bytes::copy_from_slice(text.as_bytes())),
        }
    }
}

/// A response that is not the fixture's.
#[derive(Clone, Debug)]
pub struct Altered {
    /// The status code.
    pub status: u16,
    /// The content type, if it is not the fixture's.
    pub content_type: Option<&'static str>,
    /// The content encoding.
    pub encoding: Option<&'static str>,
    /// The body's bytes.
    pub body: Bytes,
}

fn error_after(api: Api, text: &str, whole: usize) -> String {
    let events: String = events(text).into_iter().take(whole).collect();
    format!("{events}data: {}\n\n", api.error(500))
}

/// The last key called `usage`, the real one, gets two colons: what comes behind it cannot be read.
fn malformed(text: &str) -> Bytes {
    let (before, after) = text.rsplit_once("\"usage\":").unwrap_or((text, ""));
    format!("{before}\"usage\"::{after}").into()
}

fn huge(text: &str) -> Bytes {
    const LINE: &str = r#"\"usage\":{\"prompt_tokens\":9999,\"input_tokens\":9999},\\ 漢字 \ud83d\ude00 "#;
    let padding = LINE.repeat(HUGE / LINE.len() + 1);
    text.replacen('{', &format!("{{\"padding\":\"{padding}\","), 1).into()
}

/// Bytes of a small generator: every run sees the same ones.
fn noise() -> Bytes {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .take(BINARY / 8)
    .flatten()
    .collect()
}

fn gzip(text: &str) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to a Vec does not fail; if it did, the length would tell.
    let written = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    written.unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_names_of_faults_read_back() {
        for fault in [Fault::Status(429), Fault::Html, Fault::Gzip, Fault::ResetAfter(3), Fault::StallAfter(0)] {
            assert_eq!(fault.to_string().parse::<Fault>().unwrap(), fault);
        }
        assert!("teapot".parse::<Fault>().is_err());
    }

    #[test]
    fn fidelity_huge_stays_json_with_the_usage_of_the_fixture() {
        let body = Fault::Huge.body(Api::OpenaiChat, r#"{"usage":{"prompt_tokens":1}}"#).body;
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert!(body.len() > HUGE && json["usage"]["prompt_tokens"] == 1);
    }
}
