//! `stream_options.include_usage`: what a provider sends with and without it, and what the meter may do about it.
//!
//! OpenAI's stream has a last chunk with usage and no choices if it was asked to, and `"usage":null` in every other one.
//! The meter asks where the client did not, and takes the last chunk out again.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    Result,
    client::Call,
    fixture::{Api, events},
    provider::Served,
    strict,
    wait::ensure,
};

/// What the meter adds to a request that has no options. Every request that it may add to grows by as much.
pub const OPTION: &str = r#","stream_options":{"include_usage":true}"#;

/// Whether a request asks for usage in its stream.
pub fn is_asked(request: &Value) -> bool {
    request["stream_options"]["include_usage"] == true
}

/// A stream as it comes to those who did not ask.
pub fn not_asked(stream: &str) -> String {
    let chunks = without_last_chunk(stream);
    chunks.replace(r#""usage":null,"#, "").replace(r#","usage":null"#, "")
}

/// A stream without its last chunk, as the meter passes it on for a host of which it does not know where the nulls of the
/// other chunks come from.
pub fn taken_out(stream: &str) -> String {
    without_last_chunk(stream)
}

fn without_last_chunk(stream: &str) -> String {
    let is_usage_event = |event: &&str| event.contains(r#""choices":[],"usage":{"#);
    events(stream).into_iter().filter(|event| !is_usage_event(event)).collect()
}

/// The response that the client of a call must see, given what the provider sent for it.
pub fn seen(sent: &Call, served: &Served) -> Bytes {
    let asked = |body: &[u8]| serde_json::from_slice(body).is_ok_and(|request| is_asked(&request));
    match std::str::from_utf8(&served.body) {
        Ok(text) if asked(&served.request) && !asked(&sent.body) => match sent.host.as_str() {
            "api.openai.com" => not_asked(text).into(),
            _ => taken_out(text).into(),
        },
        _ => served.body.clone(),
    }
}

/// Fails unless the request of a call arrived as it may: untouched, or with the option and nothing else changed.
pub fn arrived(sent: &Call, served: &Served) -> Result<()> {
    let header = |name: &str| served.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let length = header("content-length");
    ensure(length == served.request.len().to_string(), || {
        format!("{} bytes arrived, {length} were announced", served.request.len())
    })?;
    let may_change = sent.host == "api.openai.com" && Api::of(&sent.path) == Some(Api::OpenaiChat);
    if !may_change || sent.body.is_empty() {
        return ensure(served.request == sent.body, || "the request's bytes were changed".to_owned());
    }
    differs_by_the_option(&sent.body, &served.request)
}

/// Fails unless a body is the other one, grown by the right length and with nothing but the option changed.
pub fn differs_by_the_option(before: &[u8], after: &[u8]) -> Result<()> {
    ensure(after.len() == before.len() + OPTION.len(), || format!("{} bytes became {}", before.len(), after.len()))?;
    let Ok(mut before) = strict::parse(before) else {
        let rest: Vec<u8> = before_and_spaces(before, after);
        return ensure(rest.is_empty(), || "a body that is no JSON was changed".to_owned());
    };
    let mut after = strict::parse(after).map_err(|error| format!("the rewritten body: {error}"))?;
    if before["stream"] == true {
        ensure(is_asked(&after), || "a stream was not asked for its usage".to_owned())?;
        for request in [&mut before, &mut after] {
            if !request["stream_options"].is_object() {
                request["stream_options"] = json!({});
            }
            request["stream_options"]["include_usage"] = Value::Bool(true);
        }
    }
    ensure(before == after, || format!("{before}\nbecame\n{after}"))
}

/// What of `after` is neither in `before`, in order, nor a space.
fn before_and_spaces(before: &[u8], after: &[u8]) -> Vec<u8> {
    let mut rest = before;
    let mut strange = Vec::new();
    for &byte in after {
        match rest.split_first() {
            Some((&next, behind)) if next == byte => rest = behind,
            _ if byte == b' ' => {}
            _ => strange.push(byte),
        }
    }
    strange.extend_from_slice(rest);
    strange
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Catalogue;

    #[test]
    fn contract_a_stream_has_usage_only_for_those_who_ask() {
        for fixture in Catalogue::load().unwrap().0.iter().filter(|fixture| fixture.is_chat_stream()) {
            let (asked, plain) = (fixture.response(7, true).1, fixture.response(7, false).1);
            let chunks = |text: &str| -> Vec<Value> {
                let payloads = text.lines().filter_map(|line| line.strip_prefix("data: "));
                payloads.filter(|payload| *payload != "[DONE]").map(|p| serde_json::from_str(p).unwrap()).collect()
            };
            let (with, without) = (chunks(&asked), chunks(&plain));
            assert_eq!(with.len(), without.len() + 1);
            let (last, others) = with.split_last().unwrap();
            assert!(last["choices"] == json!([]) && last["usage"].is_object());
            for (with, without) in others.iter().zip(&without) {
                assert!(with.get("usage").is_some_and(Value::is_null) && without.get("usage").is_none());
            }
            assert_eq!(not_asked(&taken_out(&asked)), plain);
        }
    }

    #[test]
    fn contract_only_the_option_may_differ() {
        let grown = |text: &str| format!("{text}{}", " ".repeat(OPTION.len()));
        let (before, option) = (br#"{"stream":true}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#);
        assert!(differs_by_the_option(before, option.as_bytes()).is_ok());
        assert!(differs_by_the_option(before, grown(r#"{"stream":true}"#).as_bytes()).is_err());
        assert!(differs_by_the_option(br#"{"model":1}"#, grown(r#"{"model":1}"#).as_bytes()).is_ok());
        assert!(differs_by_the_option(br#"{"model":1}"#, grown(r#"{"model":2}"#).as_bytes()).is_err());
        assert!(differs_by_the_option(b"<html", grown("<html").as_bytes()).is_ok());
        assert!(differs_by_the_option(b"<html", grown("<htnl").as_bytes()).is_err());
    }
}
