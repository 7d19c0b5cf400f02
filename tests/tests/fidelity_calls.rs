//! Every API, JSON and SSE: one event with the right classes, and not a byte changed on the way.

use e2e::{
    Result, expect,
    provider::FIXTURE,
    stack::{self, Stack, metered},
};

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_every_api_gives_one_event_with_the_right_classes() -> Result<()> {
    let stack = Stack::start().await?;
    let fixtures = stack.provider.catalogue().0.clone();
    for fixture in &fixtures {
        expect::faithful(&stack, fixture, &format!("call-{}", fixture.name)).await?;
    }
    let report = stack.settled(fixtures.len() as u64).await?;
    for class in e2e::event::CLASSES {
        let served: u64 = fixtures.iter().filter_map(|fixture| fixture.expected.usage.get(class)).sum();
        assert_eq!(report.count(class), served, "{class}");
    }
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_unknown_hosts_are_found_by_path_and_by_shape() -> Result<()> {
    let stack = Stack::with(stack::Options { everywhere: true, ..Default::default() }).await?;
    let mut calls = 0;
    for (path, by) in [("", "path"), ("/team-a/openai", "prefix"), ("/gateway/ask", "shape")] {
        for fixture in stack.provider.catalogue().0.clone() {
            if by == "shape" && fixture.is_chat_stream() && !fixture.expected.asks {
                // Without usage there is no proof that it was a call.
                continue;
            }
            let id = format!("{by}-{}", fixture.name);
            let mut call = fixture.call().header(FIXTURE, &fixture.name);
            call.host = "gateway.internal".to_owned();
            call.path = if by == "shape" { path.to_owned() } else { format!("{path}{}", call.path) };
            let (response, event) = metered(&stack, &stack.llm(), call.clone(), &id).await?;
            let served = stack.provider.served_to(&id)?;
            assert!(response.body == served.body, "{id}: the response's bytes were changed");
            assert!(served.request == call.body, "{id}: the request's bytes were changed");
            let mut expected = fixture.expected.clone();
            expected.provider = match expected.provider.as_str() {
                "anthropic" => "anthropic_compatible".to_owned(),
                _ => "openai_compatible".to_owned(),
            };
            expect::reported(&event, &served, &expected).map_err(|error| format!("{id}: {error}"))?;
            calls += 1;
        }
    }
    stack.settled(calls).await?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_what_is_no_call_leaves_no_record() -> Result<()> {
    let options = stack::Options {
        everywhere: true,
        plugin: |plugin| plugin["detect"] = serde_json::json!({"by_shape": false}),
        ..Default::default()
    };
    let stack = Stack::with(options).await?;
    let messages = stack.provider.catalogue().get("messages.json")?.clone();
    let responses = stack.provider.catalogue().get("responses.json")?.clone();
    let elsewhere = |path: &str| {
        let mut call = messages.call().header(FIXTURE, "messages.json");
        (call.host, call.path) = ("gateway.internal".to_owned(), path.to_owned());
        call
    };
    let mut counted = messages.call();
    counted.path.push_str("/count_tokens");
    let none = [
        ("a stored response read again", stack::retrieve("resp_0a7f31c2b9d44e10006920a000000000007")),
        ("its head", stack::retrieve("resp_1").method(hyper::Method::HEAD)),
        ("a HEAD of the API", responses.call().method(hyper::Method::HEAD)),
        ("an OPTIONS of the API", responses.call().method(hyper::Method::OPTIONS)),
        ("the list of models", e2e::client::Call::get("api.openai.com", "/v1/models")),
        ("a count of tokens", counted),
        ("a body that looks like a call, but not asked for by the configuration", elsewhere("/gateway/ask")),
    ];
    for (what, call) in none {
        let response = stack.llm().send(&call).await?;
        assert_eq!(response.status, 200, "{what}");
    }
    // The journal is written in order: when this call's event is there, the others' would be, too.
    expect::faithful(&stack, &messages, "the-only-call").await?;
    for line in stack.access_log()? {
        let is_call = line["request_id"] == "the-only-call";
        assert_eq!(line["meshmeter_record"].is_string(), is_call, "{line}");
    }
    stack.settled(1).await?;
    stack.finish()
}
