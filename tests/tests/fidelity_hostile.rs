//! Bodies that are broken, huge, compressed or no bodies of an API at all: the bytes arrive, and the record says why
//! there are no counts.

use bytes::Bytes;
use e2e::{
    Result, expect,
    fault::Fault,
    stack::{Stack, metered},
};

/// What a record says about the usage.
enum Says {
    /// The provider's counts.
    Counts,
    /// A guess, and why.
    Guess(&'static str),
    /// Nothing, and why.
    Nothing(&'static str),
}

/// What is compressed is read as if it were not.
const GZIP: Says = Says::Counts;

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_hostile_responses_pass_untouched_and_the_record_says_why() -> Result<()> {
    let stack = Stack::start().await?;
    let json = ["chat_tools.json", "responses.json", "messages.json"];
    let streams = ["chat_stream.sse", "responses_stream.sse", "messages_stream.sse"];
    let mut cases = Vec::new();
    for name in json {
        cases.extend([
            (name, Fault::Truncated, Says::Guess("truncated_body")),
            (name, Fault::Malformed, Says::Guess("malformed_body")),
            (name, Fault::Huge, Says::Counts),
            (name, Fault::Binary, Says::Nothing("unknown_format")),
            (name, Fault::Gzip, GZIP),
            (name, Fault::GzipInCapitals, GZIP),
            (name, Fault::Html, Says::Nothing("unknown_format")),
            (name, Fault::UnknownShape, Says::Nothing("absent")),
        ]);
    }
    for name in streams {
        cases.extend([
            (name, Fault::Gzip, GZIP),
            (name, Fault::GzipInCapitals, GZIP),
            (name, Fault::Binary, Says::Nothing("unknown_format")),
            (name, Fault::Html, Says::Nothing("unknown_format")),
        ]);
    }
    for (name, fault, says) in &cases {
        let fixture = stack.provider.catalogue().get(name)?.clone();
        let id = format!("{fault}-{name}");
        let (response, event) = metered(&stack, &stack.llm(), fixture.call().fault(*fault), &id).await?;
        let served = stack.provider.served_to(&id)?;
        assert!(response.whole && response.status == 200, "{id}: HTTP {}", response.status);
        assert!(response.body == served.body, "{id}: the response's bytes were changed");
        match says {
            Says::Counts => expect::reported(&event, &served, &fixture.expected),
            Says::Guess(reason) => expect::estimated(&event, "completed", reason),
            Says::Nothing(reason) => expect::missing(&event, "completed", reason),
        }
        .map_err(|error| format!("{id}: {error}"))?;
    }
    stack.settled(cases.len() as u64).await?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_a_stream_that_ends_in_the_middle_keeps_what_it_told() -> Result<()> {
    let stack = Stack::start().await?;
    let cases = [("chat_stream.sse", false), ("responses_stream.sse", false), ("messages_stream.sse", true)];
    for (name, tells_at_start) in cases {
        let fixture = stack.provider.catalogue().get(name)?.clone();
        let call = fixture.call().fault(Fault::Truncated);
        let (response, event) = metered(&stack, &stack.llm(), call, name).await?;
        assert!(response.body == stack.provider.served_to(name)?.body, "{name}: the response's bytes were changed");
        if tells_at_start {
            expect::at_start(&event, "completed", &fixture.expected.usage_at_start)
        } else {
            expect::estimated(&event, "completed", "truncated_body")
        }
        .map_err(|error| format!("{name}: {error}"))?;
    }
    stack.settled(cases.len() as u64).await?;
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_hostile_requests_reach_the_provider_byte_for_byte() -> Result<()> {
    let stack = Stack::start().await?;
    let fixture = stack.provider.catalogue().get("messages.json")?.clone();
    let filler = "\\\"model\\\":\\\"fake\\\",\\ud83d\\ude00 ".repeat(250_000);
    let long = format!(r#"{{"messages":[{{"role":"user","content":"{filler}"}}],"model":"claude-sonnet-4-5"}}"#);
    let bodies: [(&str, Bytes, Option<&str>); 5] = [
        ("huge", long.into(), Some("claude-sonnet-4-5")),
        ("empty", Bytes::new(), None),
        ("binary", (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect(), None),
        ("truncated", r#"{"model":"claude-sonnet-4-5","messages":[{"role"#.into(), Some("claude-sonnet-4-5")),
        ("deep", "[".repeat(200_000).into(), None),
    ];
    let calls = bodies.len() as u64;
    for (id, body, model) in bodies {
        // The fixture is named: a provider would respond such requests with an error, a lenient one might not.
        let mut call = fixture.call().header(e2e::provider::FIXTURE, "messages.json");
        call.body = body.clone();
        let (response, event) = metered(&stack, &stack.llm(), call, id).await?;
        let served = stack.provider.served_to(id)?;
        assert!(served.request == body, "{id}: the request's bytes were changed");
        assert!(response.body == served.body, "{id}: the response's bytes were changed");
        expect::usage(&event, "completed", "reported", &fixture.expected.usage)?;
        assert_eq!(event.get("request_model").as_str(), model, "{id}");
    }
    stack.settled(calls).await?;
    stack.finish()
}
