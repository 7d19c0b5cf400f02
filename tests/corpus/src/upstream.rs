//! What an upstream returns for a request as it arrives: some refuse what a meter may add, some give counts only for it.

use serde_json::Value;

use crate::{Corpus, Recording, Result};

/// A response on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The status.
    pub status: u16,
    /// The content type.
    pub content_type: Option<String>,
    /// The content encoding of the body.
    pub encoding: Option<String>,
    /// The headers that carry counts, and others that say something.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Corpus {
    /// What the upstream of a recording returns for this request; `encoded`: bodies that are kept compressed are sent so.
    pub fn serve(&self, recording: &Recording, arrived: &[u8], encoded: bool) -> Result<Served> {
        if let Some(text) = recording.rejects.as_deref().filter(|text| contains(arrived, text.as_bytes())) {
            let body = self.rejected(recording).map_err(|error| format!("{text} is refused: {error}"))?;
            let content_type = Some("application/json".to_owned());
            return Ok(Served { status: 400, content_type, encoding: None, headers: Vec::new(), body });
        }
        let recording = match &recording.when_asked {
            Some(id) if asks(arrived) => self.recording(id).ok_or_else(|| format!("{}: no {id}", recording.id))?,
            _ => recording,
        };
        let raw = if encoded { self.encoded(recording)? } else { None };
        let (body, encoding) = match raw {
            Some((body, encoding)) => (body, Some(encoding)),
            None => (self.response(recording)?, None),
        };
        let headers = recording.usage_headers.iter().chain(&recording.response_headers).flatten();
        Ok(Served {
            status: recording.status,
            content_type: recording.content_type.clone().filter(|kind| !kind.is_empty()),
            encoding,
            headers: headers.map(|(name, value)| (name.to_lowercase(), value.clone())).collect(),
            body,
        })
    }

    fn recording(&self, id: &str) -> Option<&Recording> {
        self.recordings.iter().map(|(recording, _)| recording).find(|recording| recording.id == id)
    }
}

/// What the client of a call must see, whatever a meter does.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// What the upstream returns for the request as it was sent.
    pub without: &'a Served,
    /// The request as it arrived.
    pub arrived: &'a [u8],
    /// The recording does not say how it was asked, so what is known to come only if asked may be missing.
    pub may_lack_usage: bool,
}

impl Client<'_> {
    /// How what the client got differs from that, if it does.
    pub fn difference(&self, status: u16, body: &[u8]) -> Option<String> {
        let Client { without, .. } = self;
        if status != without.status {
            return Some(format!("the client got {status}, not {}", without.status));
        }
        let is_same = body == without.body
            || (self.may_lack_usage && asks(self.arrived) && not_asked(body) == not_asked(&without.body));
        (!is_same).then(|| format!("the response was changed: {} bytes, not {}", body.len(), without.body.len()))
    }
}

/// The events of a stream without the response to the question for usage.
fn not_asked(stream: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(stream);
    let payloads = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let mut events: Vec<Value> =
        payloads.map(|payload| serde_json::from_str(payload).unwrap_or_else(|_| payload.trim().into())).collect();
    events.retain(|event| !(event["choices"].as_array().is_some_and(Vec::is_empty) && event["usage"].is_object()));
    for event in &mut events {
        if let Some(event) = event.as_object_mut().filter(|event| event.get("usage").is_some_and(Value::is_null)) {
            event.remove("usage");
        }
    }
    events
}

/// Whether a request asks for usage in its stream.
fn asks(request: &[u8]) -> bool {
    serde_json::from_slice::<Value>(request).is_ok_and(|request| request["stream_options"]["include_usage"] == true)
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    !text.is_empty() && bytes.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(status: u16, body: &str) -> Served {
        Served { status, content_type: None, encoding: None, headers: Vec::new(), body: body.into() }
    }

    #[test]
    fn contract_what_a_client_must_see() {
        let chunk = r#"data: {"choices":[{"delta":{}}],"usage":null}"#;
        let counts = r#"data: {"choices":[],"usage":{"prompt_tokens":1}}"#;
        let whole = format!("{chunk}\n\n{counts}\n\ndata: [DONE]\n\n");
        let without = served(200, &whole);
        let asked = br#"{"stream":true,"stream_options":{"include_usage":true}}"#;
        let sees = |may_lack_usage, arrived, status, body: &str| {
            Client { without: &without, arrived, may_lack_usage }.difference(status, body.as_bytes())
        };
        let taken_out = r#"data: {"choices":[{"delta":{}}]}"#.to_owned() + "\n\ndata: [DONE]\n\n";
        assert_eq!(sees(false, b"{}", 200, &whole), None);
        assert_eq!(sees(true, asked, 200, &taken_out), None);
        assert_eq!(sees(true, asked, 400, &whole).unwrap(), "the client got 400, not 200");
        assert!(sees(false, asked, 200, &taken_out).is_some() && sees(true, b"{}", 200, &taken_out).is_some());
        assert!(sees(true, asked, 200, "data: [DONE]\n\n").is_some(), "a choice is missing");
    }
}
