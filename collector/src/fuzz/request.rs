//! Bytes as requests to `POST /v1/events`, through what the service reads them with.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use wire::statement::Statement;

use crate::ingest::request::{Form, Head, arrivals};
use crate::ledger::{Arrival, Delivery, Sender};
use crate::serve::{Scope, Token, Tokens};

/// What stands between two requests.
const SEPARATOR: &[u8] = b"\n---\n";
/// The most requests of an input.
const MAX_REQUESTS: usize = 16;

/// The deliveries that an input tells: requests, each of a token line, a content type, a statement and a body, and `---`
/// between two. What is missing is empty.
pub fn deliveries(input: &[u8]) -> Vec<Delivery> {
    let mut rest = Some(input);
    let requests = std::iter::from_fn(|| {
        let all = rest?;
        let end = all.windows(SEPARATOR.len()).position(|window| window == SEPARATOR);
        rest = end.map(|end| &all[end + SEPARATOR.len()..]);
        Some(&all[..end.unwrap_or(all.len())])
    });
    requests.take(MAX_REQUESTS).filter_map(delivery).collect()
}

/// What stands behind the last `---`.
pub fn last(input: &[u8]) -> &[u8] {
    let behind = input.windows(SEPARATOR.len()).rposition(|window| window == SEPARATOR);
    behind.map_or(input, |at| &input[at + SEPARATOR.len()..])
}

fn delivery(request: &[u8]) -> Option<Delivery> {
    let mut lines = request.splitn(4, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (token, content_type, header, body) = (line(), line(), line(), line());
    let sender = sender(token);
    let statement = statement(header);
    let head = Head { content_type: Some(content_type), ..Head::default() };
    let arrivals = body_of(head.form()?, body)?;
    Some(Delivery { sender, statement, arrivals })
}

/// The sender to whom a line gives a token; `journal` as its name is a journal's.
pub fn sender(line: &[u8]) -> Sender {
    let nobody = Sender::new("nobody", false);
    let Ok(text) = std::str::from_utf8(line) else { return nobody };
    let token = match Token::parse(text) {
        Ok(token) => token,
        Err(problem) => {
            assert!(problem.starts_with("a token"), "{problem}");
            return nobody;
        }
    };
    let name = name_of(text);
    assert_eq!(format!("{token:?}"), format!("Token({name})"), "only the name is shown");
    let scope = if name == "journal" { Scope::Journal } else { Scope::Ingest };
    let is_spiffe = token.is_spiffe();
    let secret = words(text).pop().unwrap();
    let tokens = Tokens::new(vec![(scope, token)], false);
    let header = HeaderValue::from_str(&format!("Bearer {secret}")).expect("a token that no header can carry");
    let headers = HeaderMap::from_iter([(AUTHORIZATION, header)]);
    assert!(tokens.authorize(&headers, None, &[Scope::Read]).is_err(), "a token of another scope");
    assert!(tokens.authorize(&HeaderMap::new(), None, &[scope]).is_err(), "without a token");
    let admitted = tokens.authorize(&headers, None, &[Scope::Ingest, Scope::Journal]);
    assert_eq!(admitted.is_err(), is_spiffe, "a SPIFFE id is no bearer token");
    admitted.map_or(nobody, |admitted| admitted.sender)
}

fn name_of(line: &str) -> &str {
    let words = words(line);
    if words.len() == 1 { "default" } else { words[0] }
}

/// Name and token of a line, without its options.
fn words(line: &str) -> Vec<&str> {
    let mut words: Vec<&str> = line.split_ascii_whitespace().collect();
    let is_option = |word: &str| ["tenants=", "rate=", "max_tokens=", "max_usd="].iter().any(|of| word.starts_with(of));
    while words.last().is_some_and(|word| is_option(word)) {
        words.pop();
    }
    words
}

/// The statement of a header, if it is one: then it is written as it was read.
pub fn statement(header: &[u8]) -> Option<Statement> {
    let statement: Statement = HeaderValue::from_bytes(header).ok()?.to_str().ok()?.parse().ok()?;
    assert_eq!(statement.to_string().as_bytes(), header.trim_ascii());
    Some(statement)
}

/// The arrivals of a body; every byte that is none of an element's is space, or the array's own.
pub fn body_of(form: Form, body: &[u8]) -> Option<Vec<Arrival>> {
    let elements = form.elements(body).ok();
    if form == Form::Batch {
        let values: Option<Vec<&serde_json::value::RawValue>> = serde_json::from_slice(body).ok();
        if let Some(values) = values {
            let texts: Vec<&[u8]> = values.iter().map(|value| value.get().as_bytes()).collect();
            assert_eq!(elements.as_deref(), Some(texts.as_slice()), "split as a reader of JSON does");
        }
    }
    let elements = elements?;
    let mut rest = body;
    for (number, element) in elements.iter().enumerate() {
        let begin = element.as_ptr() as usize - rest.as_ptr() as usize;
        let expected: &[u8] = match (form, number) {
            (Form::Single, _) => b"",
            (Form::Batch, 0) => b"[",
            (Form::Batch, _) => b",",
        };
        assert_eq!(rest[..begin].trim_ascii(), expected, "between two elements");
        rest = &rest[begin + element.len()..];
    }
    let expected: &[u8] = match (form, elements.is_empty()) {
        (Form::Single, _) => b"",
        (Form::Batch, false) => b"]",
        (Form::Batch, true) => b"[]",
    };
    let left: Vec<u8> = rest.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    assert_eq!(left, expected, "behind the last element");
    let arrivals = arrivals(&elements);
    assert!(arrivals.iter().map(|arrival| arrival.bytes.as_slice()).eq(elements), "bytes are kept as they were sent");
    Some(arrivals)
}
