//! However a call ends, there is one record, and it says how.

use e2e::{
    Result, expect,
    fault::Fault,
    fixture::{Classes, events},
    include_usage::seen,
    stack::{Options, Stack, metered, with_request_id},
};

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_broken_streams_give_one_record() -> Result<()> {
    let stack = Stack::start().await?;
    let streams: Vec<_> =
        stack.provider.catalogue().0.iter().filter(|fixture| fixture.expected.stream).cloned().collect();
    let mut calls = 0;
    for fixture in &streams {
        for whole_events in [1, 4] {
            for (outcome, fault) in [
                ("client_aborted", Fault::StallAfter(whole_events)),
                ("upstream_reset", Fault::ResetAfter(whole_events)),
            ] {
                let id = format!("{outcome}-{whole_events}-{}", fixture.name);
                let call = with_request_id(fixture.call().fault(fault), &id);
                // The client leaves when it has what will come; a reset ends the response by itself.
                let text = fixture.response(0, fixture.expected.asks).1;
                let bytes: usize = events(&text).iter().take(whole_events).map(|event| event.len()).sum();
                let limit = if outcome == "client_aborted" { bytes } else { usize::MAX };
                let response = stack.llm().abort_after(&call, limit).await?;
                let served = stack.provider.served_to(&id)?;
                assert!(!response.whole, "{id}: the response ended as if it were whole");
                assert!(response.body == seen(&call, &served)[..bytes], "{id}: the response's bytes were changed");
                let event = stack.event_of(&id).await?;
                let start = &fixture.expected.usage_at_start;
                if !start.is_empty() {
                    expect::at_start(&event, outcome, start)
                } else if whole_events >= fixture.expected.text_from {
                    expect::estimated(&event, outcome, "truncated_body")
                } else {
                    expect::input_estimated(&event, outcome, "truncated_body")
                }
                .map_err(|error| format!("{id}: {error}"))?;
                assert_eq!(event.get("stream"), true, "{id}");
                assert_eq!(event.get("response_id").as_str(), served.response_id.as_deref(), "{id}");
                calls += 1;
            }
        }
    }
    stack.settled(calls).await?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_clients_that_leave_before_the_response_give_one_record() -> Result<()> {
    let stack = Stack::start().await?;
    let fixture = stack.provider.catalogue().get("messages.json")?.clone();
    let call = with_request_id(fixture.call().fault(Fault::StallAfter(0)), "left-early");
    // The head arrives, no byte of the body ever does.
    let response = stack.llm().abort_after(&call, 0).await?;
    assert_eq!((response.status, response.body.len()), (200, 0));
    expect::input_estimated(&stack.event_of("left-early").await?, "client_aborted", "truncated_body")?;
    stack.settled(1).await?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_errors_give_one_record_with_the_providers_word() -> Result<()> {
    let stack = Stack::start().await?;
    let cases = [
        ("chat_tools.json", 401, "invalid_api_key"),
        ("chat_stream.sse", 429, "rate_limit_exceeded"),
        ("responses.json", 500, "server_error"),
        ("messages.json", 429, "rate_limit_error"),
        ("messages_stream.sse", 529, "overloaded_error"),
        ("vllm.json", 503, "server_error"),
    ];
    for (name, status, error_type) in cases {
        let fixture = stack.provider.catalogue().get(name)?.clone();
        let id = format!("error-{status}-{name}");
        let call = fixture.call().fault(Fault::Status(status));
        let (response, event) = metered(&stack, &stack.llm(), call, &id).await?;
        let served = stack.provider.served_to(&id)?;
        assert_eq!((response.status, response.whole), (status, true), "{id}");
        assert!(response.body == served.body, "{id}: the response's bytes were changed");
        expect::missing(&event, "error_status", "error_status").map_err(|error| format!("{id}: {error}"))?;
        assert_eq!(event.count("status"), Some(status.into()), "{id}");
        assert_eq!(event.text("error_type"), error_type, "{id}");
        assert_eq!(event.text("request_model"), fixture.expected.request_model, "{id}");
        assert!(!event.raw.contains("Incorrect API key"), "{id}: the event has the error's message");
    }
    let (response, event) = {
        let fixture = stack.provider.catalogue().get("chat_tools.json")?.clone();
        metered(&stack, &stack.llm(), fixture.call().fault(Fault::NoContent), "no-content").await?
    };
    assert_eq!((response.status, response.body.len()), (204, 0));
    expect::missing(&event, "completed", "no_body")?;
    stack.settled(cases.len() as u64 + 1).await?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_a_provider_that_cannot_be_reached_gives_a_record_without_a_response() -> Result<()> {
    let stack = Stack::with(Options { unreachable: Some("anthropic"), ..Options::default() }).await?;
    let fixture = stack.provider.catalogue().get("messages.json")?.clone();
    let (response, event) = metered(&stack, &stack.llm(), fixture.call(), "nobody-there").await?;
    assert_eq!(response.status, 503);
    assert_eq!(event.text("outcome"), "not_sent", "{}", event.raw);
    expect::usage(&event, "not_sent", "missing", &Classes::new())?;
    assert!(event.count("attempts") > Some(1), "retries on a refused connection are counted: {}", event.raw);
    assert!(stack.provider.served().is_empty());
    stack.settled(1).await?;
    stack.finish()
}
