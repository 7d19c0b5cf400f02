//! Answers that Envoy gives itself are not the provider's: what was sent is estimated, what was not costs nothing.

use e2e::{Result, client::Call, exchange::Upload, script::Script, stack::Options, wire::Wire};
use serde_json::{Value, json};

/// The upstream's time, which Envoy takes from a client that it trusts.
const TIMEOUT: &str = "x-envoy-upstream-rq-timeout-ms";
const RETRIES: &str = "x-envoy-retry-on";

fn prompt(host: &str) -> Call {
    let body =
        json!({"model": "m", "messages": [{"role": "user", "content": "What is new in the world today? ".repeat(20)}]});
    Call::post(host, "/v1/chat/completions", &body)
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_call_that_envoy_answers_itself_says_what_became_of_it() -> Result<()> {
    let wire = Wire::with(Options { unreachable: Some("openai"), ..Options::default() }).await?;
    let answer = || Script::new("application/json", "{}");
    let host = "llm.internal";
    let cases = [
        ("timeout", prompt(host).header(TIMEOUT, "300"), answer().withheld(), 504, "timeout", true),
        ("reset", prompt(host).header(RETRIES, "none"), answer().pieces(&[]).reset(), 503, "upstream_reset", true),
        ("unreachable", prompt("api.openai.com"), answer(), 503, "not_sent", false),
        // An error of the provider's own stays what it is.
        ("error", prompt(host), answer().status(504), 504, "error_status", false),
        ("overloaded", prompt(host), answer().status(503), 503, "error_status", false),
    ];
    for (id, call, script, status, outcome, is_estimated) in &cases {
        let route = wire.stack.llm();
        let answer = wire.exchange(&route, hyper::Version::HTTP_11, id, call, Upload::WHOLE, script.clone()).await?;
        assert_eq!(answer.status, *status, "{id}");
        let event = wire.stack.event_of(id).await?;
        assert_eq!((event.text("outcome"), event.count("status")), (*outcome, Some((*status).into())), "{}", event.raw);
        let evidence = if *is_estimated { "estimated" } else { "missing" };
        assert_eq!(event.text("evidence"), evidence, "{}", event.raw);
        assert_eq!(event.count("input_tokens").is_some_and(|tokens| tokens > 50), *is_estimated, "{}", event.raw);
        assert_eq!(event.count("output_tokens"), None, "{}", event.raw);
        let reason = if *outcome == "error_status" { "error_status" } else { "no_response" };
        assert_eq!(event.text("missing_reason"), reason, "{}", event.raw);
        assert_eq!(event.get("response_id"), &Value::Null, "{}", event.raw);
    }
    wire.finish(cases.len() as u64).await
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_calls_that_nobody_is_charged_for_are_said_once_by_cluster() -> Result<()> {
    let wire = Wire::start(|_| {}).await?;
    let answer = r#"{"object":"chat.completion","usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
    for number in 0..3 {
        let script = Script::new("application/json", answer);
        let (_, _, event) =
            wire.send(&format!("call-{number}"), &prompt("llm.internal"), Upload::WHOLE, script).await?;
        assert_eq!(event.text("provider"), "openai_compatible");
    }
    let log = wire.stack.envoy.log();
    let said: Vec<&str> = log.lines().filter(|line| line.contains("are not attributed to a provider")).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("cluster self_hosted") && said[0].contains("\"providers\""), "{said:?}");
    wire.finish(3).await
}
