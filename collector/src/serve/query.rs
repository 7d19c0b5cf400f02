//! The parameters in the query of a request, read as they were meant or not at all: a value that cannot be read is not replaced by
//! another one, which would be asked for then.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;

use crate::ingest::refusal::Refusal;

/// Names and values, in their order.
#[derive(Debug)]
pub struct Parameters(pub Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Parameters, Refusal> {
        read(parts.uri.query().unwrap_or_default()).map(Parameters).map_err(Refusal::BadRequest)
    }
}

/// The pairs of a query, or what is wrong with one of them.
fn read(query: &str) -> Result<Vec<(String, String)>, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .map(|(name, value)| match (decoded(name), decoded(value)) {
            (Some(name), Some(value)) => Ok((name, value)),
            // As it was written, if the name is what is wrong.
            (known, _) => {
                Err(format!("{}: must be UTF-8 without NUL, percent-encoded", known.unwrap_or_else(|| name.to_owned())))
            }
        })
        .collect()
}

/// A name or a value. None if it is not UTF-8, or has a NUL, which no database keeps.
fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let text = percent_decode_str(&text).decode_utf8().ok()?;
    (!text.contains('\0')).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_a_query_is_read_as_forms_write_it() {
        let pairs = |query: &str| read(query).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs(""), []);
        assert_eq!(pairs("&by=day%2Ctenant%3A1&&x"), [pair("by", "day,tenant:1"), pair("x", "")]);
        assert_eq!(
            pairs("tag:t=a+b%2B=c&model=%F0%9F%98%80é%EF%BF%BD"),
            [pair("tag:t", "a b+=c"), pair("model", "\u{1F600}é\u{fffd}")]
        );
        assert_eq!(pairs("a=50%&b=%zz"), [pair("a", "50%"), pair("b", "%zz")]);
    }

    #[test]
    fn contract_what_cannot_be_read_is_refused_by_its_name() {
        for (query, named) in [
            ("since=2026-01&tenant=%00", "tenant"),
            ("tenant=a%00b&since=2026-01", "tenant"),
            ("tag%3At=%FF", "tag:t"),
            ("model=%C3", "model"),
            ("model=%ED%A0%80", "model"),
            ("f%FFormat=csv", "f%FFormat"),
            ("by%00=day", "by%00"),
        ] {
            assert_eq!(read(query), Err(format!("{named}: must be UTF-8 without NUL, percent-encoded")), "{query}");
        }
    }
}
