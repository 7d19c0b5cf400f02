//! Errors that a client provokes, so that a provider seems to refuse the question for usage.

use serde_json::{Value, json};

use crate::{
    Result, client::Call, exchange::Upload, include_usage::is_asked, script::Script, stack::Options, wait::ensure,
    wire::Wire,
};

const CHAT: &str = "/v1/chat/completions";
const STREAM: &str = concat!(
    "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Fine.\"}}]}\n\n",
    "data: {\"object\":\"chat.completion.chunk\",\"choices\":[],",
    "\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":500,\"total_tokens\":1500}}\n\n",
    "data: [DONE]\n\n"
);
/// What servers say to a request without messages that repeat their input, or list what they take, the first as FastAPI does.
#[rustfmt::skip]
const ECHOES: &[(&str, u16, &str)] = &[
    ("json", 422, r#"{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required","input":{"model":"m","stream":true,"stream_options":{"include_usage":true}}}]}"#),
    ("python", 400, r#"{"object":"error","message":"[{'type': 'missing', 'loc': ('body', 'messages'), 'input': {'model': 'm', 'stream': True, 'stream_options': {'include_usage': True}}}]"}"#),
    ("escaped", 400, r#"{"error":"bad request: {\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}"}"#),
    ("cut", 400, r#"{"error":"bad request: {\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_us..."}"#),
    ("go", 400, "bad request: map[model:m stream:true stream_options:map[include_usage:true]]"),
    ("names", 422, "missing field `messages`; unknown field `x`, expected one of `messages`, `model`, `stream_options`"),
];
/// What a server says that does not take the option.
const REFUSAL: &str = r#"{"error":{"message":"Unknown parameter: 'stream_options'.","param":"stream_options"}}"#;

fn call(body: &Value) -> Call {
    Call::post("a.internal", CHAT, body)
}

fn mapped(plugin: &mut Value) {
    plugin["providers"] = json!([{"host": "*.internal", "provider": "our_vllm", "include_usage": true}]);
}

/// Sends a call; fails unless it arrived asked or not, as is said.
async fn send(wire: &Wire, id: &str, call: &Call, script: Script, asked: bool) -> Result<()> {
    let (_, arrived, _) = wire.send(id, call, Upload::WHOLE, script).await?;
    ensure(is_asked(&serde_json::from_slice(&arrived.body)?) == asked, || format!("{id}: asked is not {asked}"))
}

pub(super) async fn provoked() -> Result<()> {
    let wire = Wire::with(Options { plugin: mapped, workers: 2, ..Options::default() }).await?;
    let honest = |model: &str| call(&json!({"model": model, "stream": true, "messages": []}));
    let counted = || Script::sse(STREAM);
    let refuses = |status: u16, body: &'static str| Script::new("application/json", body).status(status).sized();
    let mut calls = 0;
    for (id, status, echo) in ECHOES {
        let attack = call(&json!({"model": "m", "stream": true}));
        send(&wire, &format!("attack-{id}"), &attack, refuses(*status, echo), true).await?;
        for number in 0..4 {
            send(&wire, &format!("after-{id}-{number}"), &honest("m"), Script::sse("data: [DONE]\n\n"), true).await?;
        }
        calls += 5;
    }
    // Where calls were counted, nothing that an error says is believed; all workers know.
    send(&wire, "counted", &honest("m"), counted(), true).await?;
    wire.stack.settled(calls + 1).await?;
    for number in 0..4 {
        send(&wire, &format!("refused-{number}"), &honest("m"), refuses(400, REFUSAL), true).await?;
        send(&wire, &format!("still-{number}"), &honest("m"), counted(), true).await?;
    }
    // What was learned of another model is taken back by the first count of a client that asks itself.
    send(&wire, "learned", &honest("n"), refuses(400, REFUSAL), true).await?;
    send(&wire, "not-asked", &honest("n"), Script::sse("data: [DONE]\n\n"), false).await?;
    let mut asks = honest("n");
    asks.body = json!({"model": "n", "stream": true, "stream_options": {"include_usage": true}}).to_string().into();
    send(&wire, "asks", &asks, counted(), true).await?;
    wire.stack.settled(calls + 12).await?;
    send(&wire, "asked-again", &honest("n"), counted(), true).await?;
    wire.stack.settled(calls + 13).await?;
    let learned = wire.stack.envoy.metrics().await?.sum("meshmeter_usage_not_asked_total", &[]);
    ensure(learned == 1, || format!("{learned} calls were not asked"))?;
    wire.finish(calls + 13).await
}
