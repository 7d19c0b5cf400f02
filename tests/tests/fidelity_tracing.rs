//! Spans and log records as a real OpenTelemetry Collector gets them from Envoy, by `envoy/tracing.yaml`.

use e2e::{
    Result,
    bootstrap::Bootstrap,
    client::Call,
    otel::{Otel, Sent, socket},
    stack::{Options, Stack, with_request_id},
    wait,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The parts of `envoy/tracing.yaml`, with the collector at a socket of this process.
fn traced(bootstrap: &mut Bootstrap, name: &str) -> Result<()> {
    bootstrap.add_parts("tracing.yaml")?;
    bootstrap.point_at_socket("otel_collector", &socket(name));
    Ok(())
}

async fn otel(name: &str, processors: &Value) -> Result<(Otel, TempDir)> {
    let dir = tempfile::Builder::new().prefix("meshmeter-otel-").tempdir()?;
    let mut otel = Otel::start(dir.path(), &socket(name), processors)?;
    otel.ready().await?;
    Ok((otel, dir))
}

/// The id of a trace, and of its request: high, so that no share of all ids has it.
fn trace_of(number: u64) -> String {
    format!("ffffffff{number:024x}")
}

/// A call with a trace of its own that is sampled, by which its spans are found.
fn in_trace(call: Call, number: u64) -> Call {
    let trace = trace_of(number);
    with_request_id(call, &trace).header("traceparent", &format!("00-{trace}-00000000000000aa-01"))
}

/// The span of the call to the provider.
async fn client_span(otel: &Otel, number: u64) -> Result<Sent> {
    let trace = trace_of(number);
    wait::until(&format!("the span of {trace}"), || async {
        let mut spans = otel.spans()?.into_iter().filter(|span| span.trace == trace && span.kind == 3);
        Ok(spans.next().ok_or("it is not there")?)
    })
    .await
}

/// What docs/tracing.md gives the collector to make numbers of strings.
fn numbers() -> Result<Value> {
    let path = e2e::paths::workspace().join("docs/tracing.md");
    let text = std::fs::read_to_string(path)?;
    let block = text.split("```yaml\n").find(|block| block.starts_with("processors:")).ok_or("no processors")?;
    let block = block.split("```").next().unwrap_or_default();
    let parsed: Value = serde_saphyr::from_str(block)?;
    Ok(parsed["processors"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_spans_have_the_attributes_of_the_convention_for_streams_too() -> Result<()> {
    const NAME: &str = "spans";
    let (otel, _dir) = otel(NAME, &numbers()?).await?;
    let change = |bootstrap: &mut Bootstrap| traced(bootstrap, NAME);
    let stack = Stack::with(Options { change, ..Options::default() }).await?;
    // By the reverse proxy, where the route rewrites the host, and by the forward proxy.
    let fixtures = [
        ("chat_two.json", "/openai", &["stop"][..]),
        ("chat_stream.sse", "", &["tool_calls"]),
        ("messages_stream.sse", "", &["tool_use"]),
        // OpenAI's Responses say why only where something is missing.
        ("responses_stream.sse", "/openai", &[]),
    ];
    for (number, (fixture, prefix, finish_reasons)) in (1..).zip(fixtures) {
        let id = fixture;
        let mut call =
            stack.as_tenant(in_trace(stack.provider.catalogue().get(fixture)?.call(), number), "acme/search")?;
        call.path.insert_str(0, prefix);
        let route = if prefix.is_empty() { stack.llm() } else { stack.gateway() };
        let response = route.send(&call).await?;
        assert_eq!(response.status, 200, "{id}");
        let event = stack.event_of(&trace_of(number)).await?;
        let span = client_span(&otel, number).await?;
        let texts = [
            ("meshmeter.tenant", "tenant"),
            ("gen_ai.operation.name", "operation"),
            ("gen_ai.provider.name", "provider"),
            ("gen_ai.request.model", "request_model"),
            ("gen_ai.response.model", "response_model"),
            ("gen_ai.response.id", "response_id"),
        ];
        for (attribute, field) in texts {
            assert_eq!(span.text(attribute), event.text(field), "{id}: {attribute}: {span:?}");
        }
        assert_eq!(span.text("meshmeter.tenant"), "acme/search", "{id}");
        assert_eq!(span.texts("gen_ai.response.finish_reasons"), finish_reasons, "{id}: {span:?}");
        for (attribute, field) in
            [("gen_ai.usage.input_tokens", "input_tokens"), ("gen_ai.usage.output_tokens", "output_tokens")]
        {
            let expected = event.get(field).as_u64();
            assert!(expected.is_some(), "{id}: {}", event.raw);
            assert_eq!(span.number(attribute), expected, "{id}: {attribute}: {span:?}");
        }
    }
    stack.settled(fixtures.len() as u64).await?;
    stack.finish()?;
    otel.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_a_stream_that_breaks_off_has_a_span_with_what_was_known() -> Result<()> {
    const NAME: &str = "broken";
    let (otel, _dir) = otel(NAME, &json!({})).await?;
    let change = |bootstrap: &mut Bootstrap| traced(bootstrap, NAME);
    let stack = Stack::with(Options { change, ..Options::default() }).await?;
    let call = stack.provider.catalogue().get("chat_stream.sse")?.call();
    let call = stack.as_tenant(in_trace(call, 1), "acme")?;
    stack.llm().abort_after(&call, 100).await?;
    let event = stack.event_of(&trace_of(1)).await?;
    let span = client_span(&otel, 1).await?;
    for (attribute, field) in [("gen_ai.request.model", "request_model"), ("meshmeter.tenant", "tenant")] {
        assert_eq!(span.text(attribute), event.text(field), "{span:?}");
    }
    stack.finish()?;
    otel.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_log_records_are_the_records_of_all_calls() -> Result<()> {
    const NAME: &str = "logs";
    let (otel, _dir) = otel(NAME, &json!({})).await?;
    let change = |bootstrap: &mut Bootstrap| traced(bootstrap, NAME);
    let stack = Stack::with(Options { change, ..Options::default() }).await?;
    for number in 0..20 {
        let call = stack.provider.catalogue().get("vllm.json")?.call();
        let call = stack.as_tenant(with_request_id(call, &format!("call-{number}")), "acme")?;
        stack.llm().send(&call).await?;
    }
    stack.settled(20).await?;
    let logs = wait::until("20 log records", || async {
        let logs = otel.logs()?;
        wait::ensure(logs.len() >= 20, || format!("there are {}", logs.len()))?;
        Ok(logs)
    })
    .await?;
    let mut journal: Vec<String> = stack.journal()?.into_iter().map(|event| event.raw).collect();
    let mut bodies: Vec<String> = logs.iter().map(|log| log.text.clone()).collect();
    journal.sort_unstable();
    bodies.sort_unstable();
    assert_eq!(bodies, journal, "each record once");
    assert!(logs.iter().all(|log| log.text("meshmeter.tenant") == "acme"), "{logs:?}");
    stack.finish()?;
    otel.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_one_span_in_a_hundred_and_every_record() -> Result<()> {
    const NAME: &str = "sampled";
    const CALLS: u64 = 300;
    let (otel, _dir) = otel(NAME, &json!({})).await?;
    let change = |bootstrap: &mut Bootstrap| traced(bootstrap, NAME);
    let stack = Stack::with(Options { change, ..Options::default() }).await?;
    let call = stack.provider.catalogue().get("vllm.json")?.call();
    for _ in 0..CALLS {
        stack.llm().send(&call).await?;
    }
    // Whoever traces already decides by himself.
    stack.llm().send(&in_trace(call, 1)).await?;
    client_span(&otel, 1).await?;
    let report = stack.settled(CALLS + 1).await?;
    assert_eq!(report.calls(), CALLS + 1, "every call is in the ledger");
    let spans = otel.spans()?.into_iter().filter(|span| span.kind == 3).count() as u64;
    // With one in a hundred, more than 30 of 300 come once in 10^20 runs.
    assert!(spans <= 1 + CALLS / 10, "{spans} spans of {CALLS} calls");
    stack.finish()?;
    otel.stop()
}
