//! Whom the plugin asks for usage: only where that is known to be taken, and not again where it was refused.

use e2e::{
    Result,
    client::{Call, Response},
    event::Event,
    exchange::Upload,
    include_usage::is_asked,
    script::{Script, Server},
    stack::{Options, Stack},
    wire::Wire,
};
use hyper::Version;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";
const STREAM: &str = concat!(
    "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Fine.\"}}]}\n\n",
    "data: [DONE]\n\n"
);
const REFUSAL: &str =
    r#"{"object":"error","message":"[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options')}]"}"#;

fn chat(host: &str, path: &str, body: &Value) -> Call {
    Call::post(host, path, body)
}

fn stream(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "What is new?"}], "stream": true})
}

fn refuses(status: u16) -> Script {
    Script::new("application/json", REFUSAL).status(status).sized()
}

/// Sends a call and says whether it arrived asked.
async fn send(wire: &Wire, id: &str, call: &Call, script: Script) -> Result<(Response, bool, Event)> {
    let (response, arrived, event) = wire.send(id, call, Upload::WHOLE, script).await?;
    Ok((response, is_asked(&serde_json::from_slice(&arrived.body)?), event))
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_who_is_asked_depends_on_host_path_version_model_and_body() -> Result<()> {
    let wire = Wire::start(|_| {}).await?;
    let with = |model: &str, member: &str| {
        let mut body = stream(model);
        body[member] = json!([{"type": "azure_search"}]);
        body
    };
    let azure = |version: &str| format!("/openai/deployments/d/chat/completions?api-version={version}");
    let serving = |model: &str| format!("/serving-endpoints/{model}/invocations");
    let llama = "databricks-meta-llama-3-3-70b-instruct";
    let cases = [
        ("azure-old", chat("x.openai.azure.com", &azure("2023-05-15"), &stream("d")), false),
        ("azure", chat("x.openai.azure.com", &azure("2024-10-21"), &stream("d")), true),
        ("azure-data", chat("x.openai.azure.com", &azure("2024-10-21"), &with("d", "data_sources")), false),
        ("azure-gov", chat("x.openai.azure.us", &azure("2025-01-01-preview"), &stream("d")), true),
        ("azure-v1", chat("x.services.ai.azure.com", "/openai/v1/chat/completions", &stream("d")), true),
        ("foundry-models", chat("x.services.ai.azure.com", "/models/chat/completions", &stream("d")), false),
        ("claude", chat("x.cloud.databricks.com", &serving("databricks-claude-sonnet-4-5"), &stream("m")), false),
        (
            "claude-in-body",
            chat("x.cloud.databricks.com", "/serving-endpoints/chat/completions", &stream("databricks-claude")),
            false,
        ),
        ("llama", chat("x.cloud.databricks.com", &serving(llama), &stream(llama)), true),
        ("mantle", chat("bedrock-mantle.us-east-1.api.aws", CHAT, &stream("openai.gpt-oss-120b")), true),
        ("fireworks", chat("api.fireworks.ai", "/inference/v1/chat/completions", &stream("m")), true),
        ("moonshot", chat("api.moonshot.ai", CHAT, &stream("kimi-k2.6")), true),
        ("groq", chat("api.groq.com", "/openai/v1/chat/completions", &stream("m")), true),
        ("xai", chat("api.x.ai", CHAT, &stream("grok-4")), true),
        (
            "dashscope",
            chat("dashscope.aliyuncs.com", "/compatible-mode/v1/chat/completions", &stream("qwen-plus")),
            true,
        ),
        ("mistral", chat("api.mistral.ai", CHAT, &stream("m")), false),
        ("nobody", chat("vllm.internal:8000", CHAT, &stream("m")), false),
    ];
    for (id, call, expected) in &cases {
        let (response, asked, event) = send(&wire, id, call, Script::sse(STREAM)).await?;
        assert_eq!((asked, response.status), (*expected, 200), "{id}");
        assert!(response.body == STREAM, "{id}: the response's bytes were changed");
        // Of those that take it somewhere the record says why they were not asked.
        let not_known = id.starts_with("azure") || id.starts_with("claude");
        assert_eq!(event.text("usage_not_asked"), if !asked && not_known { "not_known" } else { "" }, "{id}");
    }
    wire.finish(cases.len() as u64).await
}

/// A self-hosted model of which the configuration says that it takes the option, in the words of a server that does not.
fn mapped(plugin: &mut Value) {
    plugin["providers"] = json!([{"host": "*.internal", "provider": "our_vllm", "include_usage": true}]);
    plugin["include_usage_else"] = json!("refuse");
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_refusal_is_learned_by_all_workers_for_that_host_and_model() -> Result<()> {
    let server = Server::start().await?;
    let options = Options {
        workers: 4,
        upstream: Some(server.address()),
        everywhere: true,
        plugin: mapped,
        ..Options::default()
    };
    let wire = Wire { stack: Stack::with(options).await?, server };
    let call = |host: &str, model: &str| chat(host, CHAT, &stream(model));
    let (response, asked, event) = send(&wire, "first", &call("a.internal", "m"), refuses(400)).await?;
    assert!(asked && response.status == 400 && response.body == REFUSAL, "the client sees the provider's own error");
    assert_eq!(event.text("outcome"), "error_status");
    // Each on a connection of its own, so that all workers have some.
    for number in 0..16 {
        let id = format!("next-{number}");
        let (response, asked, event) = send(&wire, &id, &call("a.internal", "m"), Script::sse(STREAM)).await?;
        assert!(!asked && response.status == 200 && response.body == STREAM, "{id}: asked again");
        assert_eq!(event.text("usage_not_asked"), "refused_before", "{id}");
    }
    for (id, call) in [("model", call("a.internal", "n")), ("host", call("b.internal", "m"))] {
        assert!(send(&wire, id, &call, Script::sse(STREAM)).await?.1, "another {id} is asked");
    }
    wire.stack.settled(19).await?;
    let metrics = wire.stack.envoy.metrics().await?;
    assert_eq!(metrics.sum("meshmeter_asking_refused_total", &[]), 1);
    let before = [("meshmeter_reason", "refused_before")];
    assert_eq!(metrics.sum("meshmeter_usage_not_asked_total", &before), 16);
    assert_eq!(wire.stack.envoy.log().matches("refuses stream_options.include_usage").count(), 1);
    wire.finish(19).await
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_nobody_can_switch_off_the_question_for_others() -> Result<()> {
    let wire = Wire::start(mapped).await?;
    let host = "a.internal";
    let with = |change: fn(&mut Value)| {
        let mut body = stream("m");
        change(&mut body);
        chat(host, CHAT, &body)
    };
    let raw = |body: &'static str| {
        let mut call = chat(host, CHAT, &json!({}));
        call.body = body.into();
        call
    };
    let attacks = [
        ("asks", with(|body| body["stream_options"] = json!({"include_usage": true})), refuses(400)),
        ("options", with(|body| body["stream_options"] = json!({"x": 1})), refuses(400)),
        ("null", with(|body| body["stream_options"] = Value::Null), refuses(400)),
        ("echo", with(|body| body["temperature"] = json!("stream_options")), refuses(400)),
        ("echo-name", with(|body| body["x_include_usage"] = json!(1)), refuses(422)),
        ("escaped", raw(r#"{"model":"m","stream":true,"temperature":"str\u0065am_options"}"#), refuses(400)),
        ("header", with(|_| {}).header("openai-beta", "stream_options"), refuses(400)),
        ("query", Call { path: format!("{CHAT}?stream_options=1"), ..with(|_| {}) }, refuses(400)),
        ("twice", raw(r#"{"model":"m","stream":false,"stream":true}"#), refuses(400)),
        ("behind", raw(r#"{"model":"m","stream":true} stream_options"#), refuses(400)),
        ("another-status", with(|_| {}), refuses(429)),
        ("another-reason", with(|_| {}), Script::new("application/json", r#"{"message":"no such model"}"#).status(400)),
        ("success", with(|_| {}), Script::new("application/json", r#"{"choices":[],"message":"stream_options"}"#)),
    ];
    for (id, call, script) in &attacks {
        send_raw(&wire, id, call, script.clone()).await?;
        let asked = send(&wire, &format!("after-{id}"), &chat(host, CHAT, &stream("m")), Script::sse(STREAM)).await?.1;
        assert!(asked, "{id}: switched off");
    }
    let calls = 2 * attacks.len() as u64;
    wire.stack.settled(calls).await?;
    assert_eq!(wire.stack.envoy.metrics().await?.sum("meshmeter_asking_refused_total", &[]), 0);
    wire.finish(calls).await
}

/// Sends what may be no JSON.
async fn send_raw(wire: &Wire, id: &str, call: &Call, script: Script) -> Result<Response> {
    wire.exchange(&wire.stack.llm(), Version::HTTP_11, id, call, Upload::WHOLE, script).await
}
