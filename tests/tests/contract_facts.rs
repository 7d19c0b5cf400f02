//! What a record keeps beside counts: where a call went, what its path names, sessions, agents and tags.

use e2e::{
    Result,
    client::Call,
    provider::FIXTURE,
    stack::{Options, Stack, TOKEN_HEADER, metered},
};
use serde_json::{Value, json};

const HOST: &str = "bedrock-runtime.eu-central-1.amazonaws.com";
const PATH: &str =
    "/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A1%3Ainference-profile%2Feu.anthropic.claude-sonnet-4-6/converse";

fn plugin(plugin: &mut Value) {
    plugin["providers"] = json!([{"cluster": "self_hosted", "provider": "aws.bedrock"}]);
    plugin["tags"] = json!([
        {"name": "team", "from": "jwt", "claim": ["org", "team"]},
        {"name": "project", "from": "jwt"},
        {"name": "app", "from": "header", "header": "X-App", "trusted": true},
        {"name": "stage", "from": "header", "header": "x-stage"},
    ]);
}

fn call(stack: &Stack) -> Result<Call> {
    let call = stack.provider.catalogue().get("vllm.json")?.call().header(FIXTURE, "vllm.json");
    Ok(Call { host: HOST.to_owned(), path: PATH.to_owned(), ..call })
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_facts_of_the_request_reach_the_ledger() -> Result<()> {
    let stack = Stack::with(Options { everywhere: true, plugin, ..Options::default() }).await?;
    let token = stack.identity.token(&json!({"tenant": "acme", "org": {"team": "search \u{e9}"}, "project": 42}))?;
    let full = call(&stack)?
        .header(TOKEN_HEADER, &token)
        .header("x-app", "web")
        .header("x-stage", "by anybody")
        .header("x-claude-code-session-id", "s-1")
        .header("x-claude-code-agent-id", "a-1")
        .header("x-amzn-bedrock-service-tier", "flex");
    let (response, event) = metered(&stack, &stack.llm(), full, "full").await?;
    assert_eq!((response.status, event.text("tenant")), (200, "acme"), "{}", event.raw);
    let tags = json!([["team", "search \u{e9}", "jwt"], ["project", "42", "jwt"], ["app", "web", "header"]]);
    assert_eq!(event.get("tags"), &tags, "{}", event.raw);
    assert_eq!((event.text("session_id"), event.text("agent_id")), ("s-1", "a-1"));
    assert_eq!((event.text("upstream_host"), event.text("region")), (HOST, "eu-central-1"));
    let arn = "arn:aws:bedrock:eu-central-1:1:inference-profile/eu.anthropic.claude-sonnet-4-6";
    assert_eq!((event.text("path_model"), event.text("service_tier_asked")), (arn, "flex"));

    let (_, event) = metered(&stack, &stack.llm(), call(&stack)?, "bare").await?;
    for absent in ["tags", "session_id", "agent_id", "service_tier_asked"] {
        assert!(event.get(absent).is_null(), "{absent}: {}", event.raw);
    }
    assert_eq!(event.text("region"), "eu-central-1");
    stack.settled(2).await?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_speech_in_bytes_and_a_background_response_are_calls() -> Result<()> {
    let stack = Stack::start().await?;
    let speech = json!({"model": "tts-1", "input": "Bonjour \u{1f600}", "voice": "coral"});
    let speech = Call::post("api.openai.com", "/v1/audio/speech", &speech).header(FIXTURE, "chat_stream_unasked.sse");
    let (_, event) = metered(&stack, &stack.llm(), speech, "speech").await?;
    assert_eq!((event.count("characters"), event.text("evidence")), (Some(9), "reported"), "{}", event.raw);
    assert_eq!((event.text("provider"), event.text("request_model")), ("openai", "tts-1"));
    stack.settled(1).await?;
    stack.finish()
}
