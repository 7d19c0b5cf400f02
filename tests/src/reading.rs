//! A request as servers read it, whatever its spelling: path and body decoded, and of repeated names the one that holds.

use std::io::Read;

use bytes::Bytes;
use hyper::{HeaderMap, header::CONTENT_ENCODING};
use serde_json::Value;

use crate::{Result, strict};

/// The request header that says which of a repeated name holds: `first`, `last`; without it such a request is refused.
pub const HEADER: &str = "x-reading";

/// The body's JSON.
pub fn json(headers: &HeaderMap, body: &Bytes) -> Result<Value> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let body = match header(CONTENT_ENCODING.as_str()) {
        Some("gzip") => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain)?;
            plain.into()
        }
        _ => body.clone(),
    };
    match header(HEADER) {
        Some("first") => strict::parse_first(&body),
        Some("last") => strict::parse_last(&body),
        _ => strict::parse(&body),
    }
}

/// The path, percent-decoded and without empty segments.
pub fn path(path: &str) -> String {
    let bytes = path.as_bytes();
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        let (byte, used) = hex.filter(|_| bytes[at] == b'%').map_or((bytes[at], 1), |byte| (byte, 3));
        decoded.push(byte);
        at += used;
    }
    let decoded = String::from_utf8_lossy(&decoded).into_owned();
    let segments = decoded.split('/').filter(|segment| !segment.is_empty() && *segment != ".");
    segments.map(|segment| format!("/{segment}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_spellings_of_a_path_are_one_path() {
        for spelling in
            ["/v1/chat/completions", "/v1/chat/complet%69ons", "//v1/./chat%2Fcompletions/", "/v1/%63hat//completions"]
        {
            assert_eq!(path(spelling), "/v1/chat/completions", "{spelling}");
        }
        assert_eq!(path("/a%zz/%"), "/a%zz/%");
    }
}
