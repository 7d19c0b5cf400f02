//! Long texts in gzip, for whoever takes it: a report of many lines is a tenth of its length then.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::http::response::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt;

use super::responses::blocking;

/// Bytes that are worth the work.
const LEAST: u64 = 1 << 10;
/// A quick level: higher ones take several times as long for a few percent.
const LEVEL: Compression = Compression::new(3);

/// A response that is always this text: it is compressed once, for anybody may ask for it.
#[derive(Clone, Copy, Debug)]
pub struct Same(pub &'static [u8]);

/// What was compressed of these texts.
static PACKED: Mutex<Vec<(Same, Bytes)>> = Mutex::new(Vec::new());

impl Same {
    fn packed(self) -> Option<Bytes> {
        let all = PACKED.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|(same, _)| std::ptr::eq(same.0, self.0)).map(|(_, packed)| packed.clone())
    }

    fn keep(self, packed: &Bytes) {
        if self.packed().is_none() {
            PACKED.lock().unwrap_or_else(PoisonError::into_inner).push((self, packed.clone()));
        }
    }
}

/// Compresses what a handler has made, if it is a text in memory.
pub async fn compress(request: Request, next: Next) -> Response {
    let is_wanted = takes_gzip(request.headers());
    let mut response = next.run(request).await;
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_text = kind.starts_with("text/") || kind.starts_with("application/json") || kind.starts_with("image/svg");
    let length = response.body().size_hint().exact().unwrap_or_default();
    if !is_text || length < LEAST || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    if !is_wanted {
        return response;
    }
    let same = response.extensions().get::<Same>().copied();
    let (parts, body) = response.into_parts();
    if let Some(packed) = same.and_then(Same::packed) {
        return packed_response(parts, packed);
    }
    // It is in memory: nothing is waited for.
    let Ok(bytes) = body.collect().await.map(|all| all.to_bytes()) else {
        return Response::from_parts(parts, Body::empty());
    };
    let plain = bytes.clone();
    let packed = blocking(move || {
        let mut encoder = GzEncoder::new(Vec::new(), LEVEL);
        encoder.write_all(&plain).and_then(|()| encoder.finish()).map_err(|error| error.to_string())
    });
    let Ok(packed) = packed.await else { return Response::from_parts(parts, Body::from(bytes)) };
    let packed = Bytes::from(packed);
    if let Some(same) = same {
        same.keep(&packed);
    }
    packed_response(parts, packed)
}

fn packed_response(mut parts: Parts, packed: Bytes) -> Response {
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(packed))
}

/// Whether gzip is among what is accepted. What says `q=0` is not.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|item| {
        let (name, quality) = item.split_once(';').unwrap_or((item, ""));
        let quality = quality.trim().trim_start_matches(['q', 'Q']).trim_start().trim_start_matches('=').trim();
        let is_refused = !quality.is_empty() && quality.trim_matches(['0', '.']).is_empty();
        matches!(name.trim().to_ascii_lowercase().as_str(), "gzip" | "x-gzip" | "*") && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_gzip_goes_to_whoever_takes_it() {
        let takes = |list: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(list).unwrap());
            takes_gzip(&headers)
        };
        for list in ["gzip", "br, GZIP;q=0.5", "deflate, gzip", "*", "x-gzip", "gzip;q=1.0"] {
            assert!(takes(list), "{list}");
        }
        for list in ["", "br", "gzip;q=0", "identity", "br;q=1, gzip; q=0.000", "gzipped"] {
            assert!(!takes(list), "{list}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn deterministic_a_text_that_never_changes_is_compressed_once() {
        let (text, other): (&'static [u8], &'static [u8]) = (b"always this", b"always that");
        assert!(Same(text).packed().is_none());
        Same(text).keep(&Bytes::from_static(b"packed"));
        Same(text).keep(&Bytes::from_static(b"again"));
        assert_eq!(Same(text).packed().as_deref(), Some(b"packed".as_slice()));
        assert!(Same(other).packed().is_none());
    }
}
