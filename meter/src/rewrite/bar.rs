//! What keeps a request from being changed, by its headers.

use wire::record::NotAsked;

use crate::encoding::Decoder;

/// Headers that vouch for the very bytes of the body.
const SIGNED: &[&str] = &[
    "signature",
    "signature-input",
    "x-signature",
    "digest",
    "content-digest",
    "repr-digest",
    "content-md5",
    "x-amz-content-sha256",
    "x-ms-content-sha256",
    "x-content-sha256",
];

/// How the header `authorization` begins where it does.
const SIGNED_AUTHORIZATIONS: &[&[u8]] = &[b"AWS4-", b"Signature ", b"HMAC"];

/// Types of bodies that are no JSON document, whatever is in them.
const FORMS: &[&[u8]] = &[b"multipart/", b"application/x-www-form-urlencoded"];

/// Whether a body may be changed, and its announced length; `header` gives the request's headers.
pub fn changeable<'a>(header: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Option<u64>, NotAsked> {
    let begins = |name: &str, starts: &[&[u8]]| {
        let value = header(name).unwrap_or_default().trim_ascii_start();
        let is_start = |start: &&[u8]| value.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
        starts.iter().any(is_start)
    };
    let coded = header("transfer-encoding").is_some_and(|value| !value.eq_ignore_ascii_case(b"chunked"));
    if coded || !Decoder::new(header("content-encoding")).is_identity() {
        return Err(NotAsked::Encoded);
    }
    if SIGNED.iter().any(|name| header(name).is_some()) || begins("authorization", SIGNED_AUTHORIZATIONS) {
        return Err(NotAsked::Signed);
    }
    if begins("content-type", FORMS) {
        return Err(NotAsked::NotJson);
    }
    let Some(length) = header("content-length") else { return Ok(None) };
    let length = std::str::from_utf8(length).ok().and_then(|length| length.parse::<u64>().ok());
    length.map(Some).ok_or(NotAsked::Failed)
}
