//! The shapes of calls: what OpenAI responses, made as large as it takes, with the usage that must be found in it.

use std::{io::Write, time::Duration};

use e2e::Result;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::{
    server::{RESPONSE, Response, STREAM},
    text::{Words, floats},
};

/// The model of every response.
const MODEL: &str = "gpt-4.1-mini-2025-04-14";

/// Who calls; where there are several, the digits are theirs.
pub const TENANT: &str = "acme/team-000000";

/// A call that is measured.
pub struct Shape {
    /// Its name, on the command line and in the results.
    pub name: String,
    /// What it is.
    pub about: &'static str,
    /// Input and output tokens.
    pub usage: (u64, u64),
    /// Whether the response is a stream of events.
    pub stream: bool,
    /// Connections at once, while CPU is measured.
    pub connections: usize,
    /// Calls of each, while CPU is measured.
    pub calls: usize,
    /// Calls one after the other, while latency is measured; 0 if each event is timed.
    pub alone: usize,
    /// The body, as the client must get it.
    pub body: Vec<u8>,
    path: &'static str,
    request: Value,
    encoding: Option<&'static str>,
    gap: Option<Duration>,
}

/// All shapes, in the order in which they are shown.
pub fn all() -> Result<Vec<Shape>> {
    let json = chat("json_1k", "chat completion, JSON of 1 KB", 1_000);
    let large =
        Shape { connections: 4, calls: 30, alone: 40, ..chat("json_1m", "chat completion, JSON of 1 MB", 1_000_000) };
    let fast = stream("sse_fast", "stream of 200 events, as fast as it goes", 200);
    let paced = Shape {
        connections: 64,
        calls: 2,
        alone: 0,
        gap: Some(Duration::from_millis(2)),
        ..stream("sse_paced", "64 streams of 200 events, 2 ms apart", 200)
    };
    Ok(vec![json, large, embeddings("embeddings", 15), paced, fast, gzip("gzip")?])
}

/// A chat completion with a body of about so many bytes.
pub fn chat(name: &str, about: &'static str, bytes: usize) -> Shape {
    let usage = (1_117, (bytes as u64 / 5).max(46));
    let response = |text: &str| {
        json!({
            "id": "chatcmpl-C9qPpqTmGuA8yVd3hS0kXw1bZtR7e", "object": "chat.completion", "created": 1_789_201_537_u64,
            "model": MODEL,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []},
                "logprobs": null, "finish_reason": "stop",
            }],
            "usage": counts(usage),
            "service_tier": "default", "system_fingerprint": "fp_8fda4d3a21",
        })
    };
    let frame = response("").to_string().len();
    let body = ordered(&response(&Words::new(7).prose(bytes.saturating_sub(frame))));
    Shape {
        name: name.to_owned(),
        about,
        usage,
        stream: false,
        connections: 8,
        calls: 500,
        alone: 300,
        body: body.into_bytes(),
        path: "/v1/chat/completions",
        request: ask(false),
        encoding: None,
        gap: None,
    }
}

/// A stream of so many events, the last of which says that it is done.
pub fn stream(name: &str, about: &'static str, events: usize) -> Shape {
    let usage = (1_117, events as u64 - 4);
    let mut words = Words::new(11);
    let chunk = |choices: Value, usage: Value, pad: &str| {
        let chunk = json!({
            "id": "chatcmpl-C9qPpqTmGuA8yVd3hS0kXw1bZtR7e", "object": "chat.completion.chunk",
            "created": 1_789_201_537_u64, "model": MODEL, "service_tier": "default",
            "system_fingerprint": "fp_8fda4d3a21", "choices": choices, "usage": usage, "obfuscation": pad,
        });
        format!("data: {}\n\n", ordered(&chunk))
    };
    let choice =
        |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
    let mut text =
        chunk(choice(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null), Value::Null, "Kx0aVq");
    for _ in 0..usage.1 {
        let word = format!(" {}", words.word());
        let pad = "W3kTz9QbYhLm"[word.len().min(11)..].to_owned();
        text += &chunk(choice(json!({"content": word}), Value::Null), Value::Null, &pad);
    }
    text += &chunk(choice(json!({}), "stop".into()), Value::Null, "jR");
    text += &chunk(json!([]), counts(usage), "eG5s");
    text += "data: [DONE]\n\n";
    Shape {
        stream: true,
        usage,
        calls: 25,
        alone: 100,
        body: text.into_bytes(),
        request: ask(true),
        ..chat(name, about, 0)
    }
}

/// So many embeddings of 1,536 numbers.
fn embeddings(name: &str, inputs: usize) -> Shape {
    let vector = |index| {
        let numbers = floats(index, 1_536);
        format!(r#"{{"object":"embedding","index":{index},"embedding":[{numbers}]}}"#)
    };
    let vectors: Vec<String> = (0..inputs).map(vector).collect();
    let usage = (inputs as u64 * 73, 0);
    let model = "text-embedding-3-small";
    let counts = format!(r#"{{"prompt_tokens":{0},"total_tokens":{0}}}"#, usage.0);
    let data = vectors.join(",");
    let body = format!(r#"{{"object":"list","data":[{data}],"model":"{model}","usage":{counts}}}"#);
    let texts: Vec<String> = (0..inputs).map(|number| Words::new(number as u64 + 1).prose(300)).collect();
    Shape {
        usage,
        connections: 4,
        calls: 50,
        alone: 60,
        body: body.into_bytes(),
        path: "/v1/embeddings",
        request: json!({"model": model, "input": texts}),
        ..chat(name, "15 embeddings of 1,536 numbers, JSON of 300 KB", 0)
    }
}

/// A chat completion of 100 KB, compressed.
fn gzip(name: &str) -> Result<Shape> {
    let plain = chat(name, "chat completion, JSON of 100 KB, gzip", 100_000);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&plain.body)?;
    Ok(Shape { calls: 60, alone: 100, body: encoder.finish()?, encoding: Some("gzip"), ..plain })
}

impl Shape {
    /// Whether events come one by one, each in its time.
    pub fn is_paced(&self) -> bool {
        self.gap.is_some()
    }

    /// The same stream without an end, its events so far apart.
    pub fn endless(&self, gap: Duration) -> Response {
        let mut response = self.response();
        // Neither the end of the body nor the final flush before it.
        response.pieces.truncate(response.pieces.len().saturating_sub(3));
        Response { gap: Some(gap), endless: true, ..response }
    }

    /// The response as it is written.
    pub fn response(&self) -> Response {
        let kind = if self.stream { "text/event-stream; charset=utf-8" } else { "application/json" };
        let mut head = format!(
            "HTTP/1.1 200 OK\r\ndate: Fri, 20 Nov 2026 12:00:00 GMT\r\ncontent-type: {kind}\r\n\
             openai-organization: example\r\nopenai-processing-ms: 412\r\nopenai-version: 2020-10-01\r\n\
             x-request-id: req_4b1f0c5e9d8a4c6fb1e0a7d2c3954e10\r\n"
        );
        if let Some(encoding) = self.encoding {
            head += &format!("content-encoding: {encoding}\r\n");
        }
        if !self.stream {
            head += &format!("content-length: {}\r\n\r\n", self.body.len());
            return Response { pieces: vec![[head.as_bytes(), &self.body].concat()], gap: None, endless: false };
        }
        head += "transfer-encoding: chunked\r\n\r\n";
        let text = String::from_utf8_lossy(&self.body);
        let mut pieces: Vec<Vec<u8>> = text
            .split_inclusive("\n\n")
            .map(|event| format!("{:x}\r\n{event}\r\n", event.len()).into_bytes())
            .collect();
        if let Some(last) = pieces.last_mut() {
            last.extend_from_slice(b"0\r\n\r\n");
        }
        if let Some(first) = pieces.first_mut() {
            first.splice(0..0, head.into_bytes());
        }
        Response { pieces, gap: self.gap, endless: false }
    }

    /// The request; `stream` numbers it for the provider.
    pub fn request(&self, stream: Option<usize>) -> Vec<u8> {
        let body = self.request.to_string();
        let mut head = format!("POST {} HTTP/1.1\r\n", self.path);
        for (name, value) in self.headers() {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(stream) = stream {
            head += &format!("{STREAM}: {stream}\r\n");
        }
        format!("{head}host: api.openai.com\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    /// The same for the client of the tests.
    pub fn call(&self) -> e2e::client::Call {
        let call = e2e::client::Call::post("api.openai.com", self.path, &self.request);
        let headers = self.headers().into_iter().filter(|(name, _)| *name != "content-type");
        headers.fold(call, |call, (name, value)| call.header(name, &value))
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        vec![
            ("accept", "application/json".to_owned()),
            ("accept-encoding", "gzip, deflate".to_owned()),
            ("content-type", "application/json".to_owned()),
            ("user-agent", "OpenAI/Python 3.52.0".to_owned()),
            ("authorization", "Bearer sk-proj-0000000000000000000000000000000000000000".to_owned()),
            ("x-tenant-id", TENANT.to_owned()),
            (RESPONSE, self.name.clone()),
        ]
    }
}

/// The order in which OpenAI writes the members.
fn ordered(value: &Value) -> String {
    const ORDER: [&str; 30] = [
        "id",
        "object",
        "created",
        "model",
        "choices",
        "index",
        "message",
        "delta",
        "role",
        "content",
        "refusal",
        "annotations",
        "logprobs",
        "finish_reason",
        "usage",
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "cached_tokens",
        "completion_tokens_details",
        "reasoning_tokens",
        "audio_tokens",
        "accepted_prediction_tokens",
        "rejected_prediction_tokens",
        "service_tier",
        "system_fingerprint",
        "obfuscation",
        "",
        "",
    ];
    match value {
        Value::Object(members) => {
            let place = |name: &str| ORDER.iter().position(|candidate| *candidate == name).unwrap_or(ORDER.len());
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_by_key(|name| place(name));
            let list: Vec<String> =
                names.into_iter().map(|name| format!("\"{name}\":{}", ordered(&members[name]))).collect();
            format!("{{{}}}", list.join(","))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(ordered).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

fn counts((input, output): (u64, u64)) -> Value {
    json!({
        "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

/// A request of 2 KB.
fn ask(stream: bool) -> Value {
    let mut words = Words::new(3);
    let mut request = json!({
        "model": "gpt-4.1-mini",
        "messages": [
            {"role": "system", "content": words.prose(600)},
            {"role": "user", "content": words.prose(1_200)},
        ],
        "temperature": 0.2,
        "max_completion_tokens": 4096,
    });
    if stream {
        request["stream"] = true.into();
        request["stream_options"] = json!({"include_usage": true});
    }
    request
}
