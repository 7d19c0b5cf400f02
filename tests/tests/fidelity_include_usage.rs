//! Asking streams for their usage: a request arrives with the length that was announced, and differs by the option only.

use std::io::Write;

use bytes::Bytes;
use e2e::{
    Result,
    client::Call,
    exchange::{self, Upload},
    include_usage::{OPTION, differs_by_the_option},
    script::{self, Arrived, Script},
    stack::with_request_id,
    wait,
    wire::Wire,
};
use hyper::Version;
use serde_json::json;
use tokio::sync::oneshot;

const JSON: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;
const ENCODINGS: &str = "gzip, br";
const CHAT: &str = "/v1/chat/completions";
const SERVING: &str = "/serving-endpoints/databricks-claude-sonnet-4-5/invocations";
const AZURE_OLD: &str = "/openai/deployments/d/chat/completions?api-version=2024-02-01";

fn call(host: &str, body: impl Into<Bytes>) -> Call {
    let mut call = Call::post(host, CHAT, &json!({})).header("accept-encoding", ENCODINGS);
    call.body = body.into();
    call
}

fn script() -> Script {
    Script::new("application/json", JSON)
}

/// Fails unless a request is what was sent, head and body.
fn untouched(id: &str, sent: &Call, arrived: &Arrived) {
    assert!(arrived.body == sent.body, "{id}: the request's bytes were changed");
    assert_eq!(arrived.header("accept-encoding"), ENCODINGS, "{id}");
    for (name, value) in &sent.headers {
        assert_eq!(arrived.header(name), value, "{id}: {name}");
    }
}

/// Fails unless a request differs by the option only.
fn rewritten(id: &str, sent: &Call, arrived: &Arrived) -> Result<()> {
    assert_eq!(arrived.header("content-length"), arrived.body.len().to_string(), "{id}");
    assert_eq!(arrived.header("accept-encoding"), "identity", "{id}");
    differs_by_the_option(&sent.body, &arrived.body).map_err(|error| format!("{id}: {error}").into())
}

/// 20 MB that look like everything the filter searches for.
fn huge(tail: &str) -> String {
    let text =
        r#"\"stream\":true,\"stream_options\":{\"include_usage\":false}}],\\\" 漢字 \ud83d\ude00 "#.repeat(230_000);
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]{tail}}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_requests_differ_by_the_option_only() -> Result<()> {
    let wire = Wire::start(|_| {}).await?;
    let pretty = serde_json::to_string_pretty(&json!({"stream": true, "messages": [{"content": "}\"{"}], "n": [1]}))?;
    let small = [
        r#"{"model":"m","stream":true}"#,
        r#"{"stream":true,"model":"m","messages":[{"role":"user","content":"\"stream\":false}"}]}"#,
        &pretty,
        "{ \"stream\" :\ttrue\r\n}\r\n\r\n",
        r#"{"stream":true,"stream_options":{"include_usage":false}}"#,
        r#"{"stream_options":{"include_usage":false,"include_obfuscation":false},"stream":true}"#,
        r#"{"stream":true,"stream_options":{"include_usage":null}}"#,
        r#"{"stream":true,"stream_options":{}}"#,
        r#"{"stream":true,"stream_options":null}"#,
        r#"{"stream_options":{ },"stream":true,"stop":["}"]}"#,
        r#"{"stream":true,"stream_options":{"x":{"include_usage":false},"y":[{}]}}"#,
        r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#,
        r#"{"nested":{"stream":false,"stream_options":null},"stream":true}"#,
        // No streams: white space only.
        r#"{"model":"m"}"#,
        r#"{"stream":false,"messages":[{"content":"\"stream\":true"}]}"#,
        r#"{"stream":null}"#,
        r#"{"nested":{"stream":true}}"#,
        "{}",
    ];
    let mut calls = 0;
    for (number, body) in small.into_iter().enumerate() {
        for upload in [Upload::WHOLE, Upload::pieces(1)] {
            let (id, call) = (format!("small-{number}-{}", upload.piece), call("api.openai.com", body.to_owned()));
            let (response, arrived, _) = wire.send(&id, &call, upload, script()).await?;
            assert!(response.whole && response.body == JSON, "{id}: the response's bytes were changed");
            rewritten(&id, &call, &arrived).map_err(|error| format!("{error}\nfor {body}"))?;
            let value: serde_json::Value = serde_json::from_str(body)?;
            if value["stream"] != true {
                // Before the last brace; behind it if the body was there whole and does not speak of streams.
                let (head, tail) = body.split_at(body.rfind('}').ok_or("an object")?);
                let space = " ".repeat(OPTION.len());
                let padded = [format!("{head}{space}{tail}"), format!("{body}{space}")];
                assert!(padded.iter().any(|body| arrived.body == *body), "{id}: {}", arrived.body.escape_ascii());
            }
            calls += 1;
        }
    }
    for (id, tail) in [("huge", ""), ("huge-stream", r#","stream":true"#)] {
        let call = call("api.openai.com", huge(tail));
        assert!(call.body.len() > 20_000_000);
        let (_, arrived, event) = wire.send(id, &call, Upload::pieces(70_001), script()).await?;
        rewritten(id, &call, &arrived)?;
        assert_eq!(event.text("request_model"), "m", "{id}");
        calls += 1;
    }
    wire.finish(calls).await
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_what_is_no_json_object_keeps_its_bytes_and_its_length() -> Result<()> {
    let wire = Wire::start(|_| {}).await?;
    let bodies = [
        r#"{"stream":true"#,
        r#"{"stream":true,"stream_options":{"incl"#,
        r#"{"stream":true,"messages":["#,
        r#"[{"stream":true}]"#,
        "<html>",
        "\u{feff}{\"stream\":true}",
        r#"{"stream" true}"#,
        r#"{"stream":true}{"stream":true}"#,
        r#"{stream:true}"#,
        "   ",
        "\u{0}",
    ];
    let mut calls = 0;
    for (number, body) in bodies.into_iter().enumerate() {
        for upload in [Upload::WHOLE, Upload::pieces(1)] {
            let (id, call) = (format!("broken-{number}-{}", upload.piece), call("api.openai.com", body));
            let (response, arrived, _) = wire.send(&id, &call, upload, script()).await?;
            assert!(response.body == JSON, "{id}: the response's bytes were changed");
            assert_eq!(arrived.header("content-length"), arrived.body.len().to_string(), "{id}");
            assert_eq!(arrived.body.len(), body.len() + OPTION.len(), "{id}");
            let text = String::from_utf8_lossy(&arrived.body).replace(OPTION, "");
            assert_eq!(text.replace(' ', ""), body.replace(' ', ""), "{id}");
            calls += 1;
        }
    }
    let (response, arrived, _) = wire.send("empty", &call("api.openai.com", ""), Upload::WHOLE, script()).await?;
    assert!(response.body == JSON && arrived.body.is_empty());
    untouched("empty", &call("api.openai.com", ""), &arrived);
    wire.finish(calls + 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_a_client_that_leaves_while_it_sends_gives_one_record() -> Result<()> {
    let wire = Wire::start(|_| {}).await?;
    let call = call("api.openai.com", format!(r#"{{"stream":true,"model":"m","x":"{}"}}"#, "y".repeat(400_000)));
    let upload = Upload { leaves_after: 200_000, ..Upload::pieces(10_000) };
    let leaving = with_request_id(call.clone(), "left").header(script::HEADER, &wire.server.add(script()));
    let (leave, may_leave) = oneshot::channel();
    let route = wire.stack.llm();
    let half = wait::until("half of it to arrive", || async {
        let received = wire.server.last()?.received;
        wait::ensure(received >= 100_000, || format!("{received} bytes are there"))
    });
    let (left, half) =
        tokio::join!(exchange::open_until(&route, Version::HTTP_11, &leaving, upload, Some(may_leave)), async {
            half.await.map(|()| leave.send(()))
        },);
    assert!(half.is_ok_and(|left| left.is_ok()) && left?.is_none());
    let event = wire.stack.event_of("left").await?;
    assert_eq!(
        (event.text("outcome"), event.text("missing_reason")),
        ("client_aborted", "no_response"),
        "{}",
        event.raw
    );
    wait::until("the provider to see the end", || async { wire.server.last() }).await?;
    assert!(wire.server.last()?.problem.is_some(), "half a request arrived as if it were whole");
    let (_, arrived, _) = wire.send("stayed", &call, Upload::WHOLE, script()).await?;
    rewritten("stayed", &call, &arrived)?;
    wire.finish(2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_what_must_not_be_changed_is_untouched() -> Result<()> {
    const STREAM: &str = r#"{"model":"m","stream":true,"stream_options":{"include_usage":false}}"#;
    let wire = Wire::start(|_| {}).await?;
    let openai = || call("api.openai.com", STREAM);
    let elsewhere = |host: &str| call(host, STREAM);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(STREAM.as_bytes())?;
    let mut compressed = openai().header("content-encoding", "gzip");
    compressed.body = gzip.finish()?.into();
    let at = |path: &str| Call { path: path.to_owned(), ..openai() };
    let of_type = |kind: &str| {
        let mut call = openai();
        call.headers[0].1 = kind.to_owned();
        call
    };
    let cases = [
        (
            "aws",
            openai()
                .header("authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20261120/us-east-1/bedrock/aws4_request"),
        ),
        ("sha256", openai().header("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb924")),
        ("digest", openai().header("digest", "SHA-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=")),
        ("content-digest", openai().header("content-digest", "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:")),
        ("content-md5", openai().header("content-md5", "Q2hlY2sgSW50ZWdyaXR5IQ==")),
        ("signature", openai().header("signature", "sig1=:LAH8BjcfcOcLojiuOBFWn0P5keD3xAOuJRGziCLuD8r5MW9S0:")),
        ("compressed", compressed),
        ("form", of_type("multipart/form-data; boundary=x")),
        ("responses", at("/v1/responses")),
        ("embeddings", at("/v1/embeddings")),
        ("anthropic", Call { path: "/v1/messages".to_owned(), ..elsewhere("api.anthropic.com") }),
        ("claude", Call { path: SERVING.to_owned(), ..elsewhere("adb-1.azuredatabricks.net") }),
        ("azure-old", Call { path: AZURE_OLD.to_owned(), ..elsewhere("x.openai.azure.com") }),
        ("mistral", elsewhere("api.mistral.ai")),
        ("self-hosted", elsewhere("llm.internal")),
        ("looks-alike", elsewhere("api.openai.com.example.org")),
        ("repr-digest", openai().header("repr-digest", "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:")),
    ];
    for (id, call) in &cases {
        let (response, arrived, _) = wire.send(id, call, Upload::WHOLE, script()).await?;
        assert!(response.body == JSON, "{id}: the response's bytes were changed");
        assert_eq!(arrived.header("content-length"), call.body.len().to_string(), "{id}");
        untouched(id, call, &arrived);
    }
    wire.finish(cases.len() as u64).await
}

/// Where no length is announced, the body grows by what it takes.
#[tokio::test(flavor = "multi_thread")]
async fn fidelity_requests_of_unknown_length_differ_by_the_option_only() -> Result<()> {
    const INNER: &str = r#","include_usage":true"#;
    let wire = Wire::start(|_| {}).await?;
    let mtls = wire.stack.llm_mtls("spiffe://cluster.local/ns/team-a/sa/alice")?;
    let (all, asks) = (huge(r#","stream":true"#), r#"{"stream":true,"stream_options":{"include_usage":true}}"#);
    let bodies = [
        (r#"{"model":"m","stream":true}"#, OPTION.len(), 1),
        (r#"{"stream":true,"stream_options":{"x":1},"stream_options":{"y":1}}"#, 2 * INNER.len(), 1),
        (&all, OPTION.len(), 70_001),
        (r#"{"stream_options":null,"stream":false}"#, 0, 1),
        (r#"{"stream":false}"#, 0, 3),
        (asks, 0, 1),
        (r#"{"stream":tru"#, 0, 1),
        (r#"{"stream":true,"stream_opt"#, 0, 1),
        ("[1]", 0, 1),
    ];
    let mut calls = 0;
    for (number, (body, grows, piece)) in bodies.into_iter().enumerate() {
        for (version, trailers) in [(Version::HTTP_11, false), (Version::HTTP_2, false), (Version::HTTP_2, true)] {
            let (id, call) = (format!("{number}-{version:?}-{trailers}"), call("api.openai.com", body.to_owned()));
            let route = if version == Version::HTTP_2 { &mtls } else { &wire.stack.llm() };
            let upload = Upload { sized: false, trailers, ..Upload::pieces(piece) };
            let response = wire.exchange(route, version, &id, &call, upload, script()).await?;
            assert!(response.whole && response.body == JSON, "{id}: the response's bytes were changed");
            let arrived = wire.server.last()?;
            assert_eq!((arrived.header("content-length"), arrived.header("accept-encoding")), ("", "identity"), "{id}");
            // Of a body that ends in the middle of such a name, trailers leave no place for the name.
            let lost = if trailers && body.ends_with("_opt") { r#""stream_opt"#.len() } else { 0 };
            assert_eq!(arrived.body.len() + lost, body.len() + grows, "{id}: {}", arrived.body.escape_ascii());
            let read = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).ok();
            let is_asked = read(&arrived.body).is_some_and(|request| e2e::include_usage::is_asked(&request));
            assert_eq!(is_asked, grows > 0 || body == asks, "{id}");
            calls += 1;
        }
    }
    wire.finish(calls).await
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_requests_over_h2_keep_their_promise_too() -> Result<()> {
    let wire = Wire::start(|_| {}).await?;
    let mtls = wire.stack.llm_mtls("spiffe://cluster.local/ns/team-a/sa/alice")?;
    let trailers = Upload { trailers: true, ..Upload::WHOLE };
    let cases = [
        ("whole", r#"{"stream":true}"#, Upload::WHOLE),
        ("pieces", r#"{"stream":true,"stream_options":{}}"#, Upload::pieces(1)),
        ("broken", r#"{"stream":true"#, Upload::WHOLE),
        ("trailers", r#"{"stream":true}"#, trailers),
        ("broken-trailers", r#"{"stream":true"#, trailers),
    ];
    for (id, body, upload) in cases {
        let call = call("api.openai.com", body);
        wire.exchange(&mtls, Version::HTTP_2, id, &call, upload, script()).await?;
        let arrived = wire.server.last()?;
        rewritten(id, &call, &arrived)?;
    }
    wire.finish(cases.len() as u64).await
}

/// Sends the same stream to two hosts and says which of them was asked for its usage.
async fn asked(wire: &Wire, hosts: [&str; 2]) -> Result<[bool; 2]> {
    let mut asked = [false; 2];
    for (host, asked) in hosts.iter().zip(&mut asked) {
        let call = call(host, r#"{"model":"m","stream":true}"#);
        let (_, arrived, _) = wire.send(host, &call, Upload::WHOLE, script()).await?;
        if arrived.body == call.body {
            untouched(host, &call, &arrived);
        } else {
            rewritten(host, &call, &arrived)?;
            *asked = true;
        }
    }
    Ok(asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_the_configuration_says_who_is_asked() -> Result<()> {
    let hosts = ["api.openai.com", "llm.internal"];
    let never = Wire::start(|plugin| plugin["include_usage"] = json!(false)).await?;
    assert_eq!(asked(&never, hosts).await?, [false, false]);
    never.finish(2).await?;
    let mapped = |plugin: &mut serde_json::Value| {
        plugin["providers"] = json!([
            {"host": "*.internal", "provider": "our_vllm", "include_usage": true},
            {"host": "api.openai.com", "provider": "openai", "include_usage": false},
        ]);
    };
    let mapped = Wire::start(mapped).await?;
    assert_eq!(asked(&mapped, hosts).await?, [false, true]);
    assert_eq!(mapped.stack.event_of("llm.internal").await?.text("provider"), "our_vllm");
    mapped.finish(2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_proxy_that_changes_no_request_can_refuse_some() -> Result<()> {
    let wire = Wire::start(|plugin| {
        plugin["include_usage"] = json!(false);
        plugin["include_usage_else"] = json!("refuse");
    })
    .await?;
    let asks = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    let calls = [(r#"{"model":"m","stream":true}"#, 400), (asks, 200), (r#"{"model":"m"}"#, 200), ("no JSON", 400)];
    for (body, status) in calls {
        let (id, call) = (format!("call-{status}-{}", body.len()), call("api.openai.com", body));
        let response = wire.exchange(&wire.stack.llm(), Version::HTTP_11, &id, &call, Upload::WHOLE, script()).await?;
        assert_eq!(response.status, status, "{body}");
        let event = wire.stack.event_of(&id).await?;
        let refused = (event.text("outcome"), event.text("usage_not_asked")) == ("refused", "disabled");
        assert_eq!(refused, status == 400, "{}", event.raw);
        if status == 200 {
            untouched(&id, &call, &wire.server.last()?);
        }
    }
    wire.finish(4).await
}
