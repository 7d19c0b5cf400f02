//! Responses that other meters break on: the right record or an honest `missing`, and no byte changed.

use e2e::{Result, client::Call, exchange::Upload, expect, fixture::Classes, script::Script, wire::Wire};
use serde_json::json;

const CHAT: (&str, &str) = ("api.openai.com", "/v1/chat/completions");
const RESPONSES: (&str, &str) = ("api.openai.com", "/v1/responses");
const MESSAGES: (&str, &str) = ("api.anthropic.com", "/v1/messages");
const JSON: &str = "application/json";

/// What the record says.
enum Says {
    /// These counts of text in and out.
    Counts(u64, u64),
    /// A guess, and why.
    Guess(&'static str),
    /// Nothing, and why.
    Nothing(&'static str),
}

use Says::{Counts, Guess, Nothing};

/// Host and path, whether a stream is asked for, the response, the outcome, the record.
type Case = (&'static str, (&'static str, &'static str), bool, Script, &'static str, Says);

fn chat(usage: &str) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion","model":"m","choices":[{{"index":0,"message":{{"content":"Hallo"}}}}],"usage":{usage}}}"#
    )
}

fn messages_stream() -> String {
    concat!(
        "event: message_start\n",
        r#"data: {"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":7,"output_tokens":1}}}"#,
        "\n\nevent: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hallo"}}"#,
        "\n\nevent: message_delta\n",
        r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
        "\n\n"
    )
    .to_owned()
}

fn responses_stream() -> String {
    concat!(
        "event: response.output_text.delta\n",
        r#"data: {"type":"response.output_text.delta","delta":"Hallo \"usage\":{\"input_tokens\":9}"}"#,
        "\n\nevent: response.completed\n",
        r#"data: {"type":"response.completed","response":{"id":"resp_1","object":"response","model":"m","usage":{"input_tokens":7,"output_tokens":2,"total_tokens":9}}}"#,
        "\n\n"
    )
    .to_owned()
}

/// The meter did not ask here: the client does itself, so that all bytes are the provider's.
fn chat_stream() -> String {
    concat!(
        r#"data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Hallo"}}],"usage":null}"#,
        "\n\n",
        r#"data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}"#,
        "\n\ndata: [DONE]\n\n"
    )
    .to_owned()
}

fn counts() -> Vec<Case> {
    let json = |usage: &str| Script::new(JSON, chat(usage));
    let case = |name, usage, says| (name, CHAT, false, json(usage), "completed", says);
    vec![
        case("fraction", r#"{"prompt_tokens":4.0,"completion_tokens":2.00,"total_tokens":6.0}"#, Counts(4, 2)),
        case("texts", r#"{"prompt_tokens":"4","completion_tokens":"2","total_tokens":"6"}"#, Counts(4, 2)),
        case(
            "billions",
            r#"{"prompt_tokens":5000000000,"completion_tokens":4294967296,"total_tokens":9294967296}"#,
            Counts(5_000_000_000, 4_294_967_296),
        ),
        case("powers", r#"{"prompt_tokens":4e3,"completion_tokens":2E0,"total_tokens":4002}"#, Counts(4000, 2)),
        case("negative", r#"{"prompt_tokens":-4,"completion_tokens":-2}"#, Guess("absent")),
        case("nothing", "null", Guess("absent")),
        case("empty", "{}", Guess("absent")),
    ]
}

fn framings() -> Vec<Case> {
    let whole = |script| move |name, to, says| -> Case { (name, to, true, script, "completed", says) };
    let no_space = |text: String| Script::sse(text.replace("data: ", "data:").replace("event: ", "event:"));
    let unfinished = |text: String| Script::sse(text.trim_end().to_owned());
    let unfinished_chat = chat_stream().replace("\n\ndata: [DONE]\n\n", "");
    vec![
        whole(no_space(chat_stream()))("no-space-chat", CHAT, Counts(7, 2)),
        whole(no_space(responses_stream()))("no-space-responses", RESPONSES, Counts(7, 2)),
        whole(no_space(messages_stream()))("no-space-messages", MESSAGES, Counts(7, 2)),
        whole(unfinished(unfinished_chat))("no-last-line-end-chat", CHAT, Counts(7, 2)),
        whole(unfinished(responses_stream()))("no-last-line-end-responses", RESPONSES, Counts(7, 2)),
        whole(unfinished(messages_stream()))("no-last-line-end-messages", MESSAGES, Counts(7, 2)),
        // The other kind of response than was asked for.
        ("stream-unasked-chat", CHAT, false, Script::sse(chat_stream()), "completed", Counts(7, 2)),
        ("stream-unasked-messages", MESSAGES, false, Script::sse(messages_stream()), "completed", Counts(7, 2)),
        whole(Script::new(JSON, chat(r#"{"prompt_tokens":7,"completion_tokens":2}"#)))("json-chat", CHAT, Counts(7, 2)),
        // The content type says nothing, or a lie.
        whole(Script::new("text/plain", chat_stream()))("stream-as-text", CHAT, Counts(7, 2)),
        whole(Script::new(JSON, responses_stream()))("stream-as-json", RESPONSES, Counts(7, 2)),
        whole(Script::sse(chat(r#"{"prompt_tokens":7,"completion_tokens":2}"#)))("json-as-stream", CHAT, Counts(7, 2)),
    ]
}

fn errors() -> Vec<Case> {
    const ERROR: &str = r#"{"error":{"message":"\"usage\":{\"prompt_tokens\":9}","type":"server_error","code":null}}"#;
    const HTML: &str = r#"<html><body>"usage":{"prompt_tokens":9,"completion_tokens":9}</body></html>"#;
    let with_usage = r#"{"error":{"type":"server_error"},"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
    let words = r#"{"object":"chat.completion","choices":[{"message":{"content":"{\"usage\":{\"prompt_tokens\":9}}","usage":{"prompt_tokens":9},"tool_calls":[{"function":{"arguments":"{\"usage\":1}"}}]}}]}"#;
    vec![
        ("html", CHAT, false, Script::new("text/html", HTML), "completed", Nothing("unknown_format")),
        ("html-as-json", CHAT, false, Script::new(JSON, HTML), "completed", Nothing("unknown_format")),
        ("html-for-a-stream", MESSAGES, true, Script::new("text/html", HTML), "completed", Nothing("unknown_format")),
        ("error-with-200", CHAT, false, Script::new(JSON, ERROR), "completed", Nothing("absent")),
        ("error-with-200-for-a-stream", CHAT, true, Script::new(JSON, ERROR), "completed", Nothing("absent")),
        (
            "error-page",
            CHAT,
            false,
            Script::new("text/html", HTML).status(502),
            "error_status",
            Nothing("error_status"),
        ),
        ("error-with-usage", CHAT, false, Script::new(JSON, with_usage).status(500), "error_status", Counts(7, 2)),
        ("words", CHAT, false, Script::new(JSON, words), "completed", Guess("absent")),
    ]
}

async fn check(wire: &Wire, case: &Case, piece: usize) -> Result<()> {
    let (name, (host, path), stream, script, outcome, says) = case;
    let id = format!("{name}-{piece}");
    let mut body =
        json!({"model": "asked-for", "messages": [{"role": "user", "content": "Grüße \"usage\":{}"}], "input": "Hi"});
    if *stream {
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
    }
    let script = script.clone().split(piece);
    let (response, _, event) = wire.send(&id, &Call::post(host, path, &body), Upload::WHOLE, script.clone()).await?;
    assert!(response.whole && response.body == script.body(), "{id}: the response's bytes were changed");
    let classes = |input: u64, output: u64| -> Classes {
        [("input_text_tokens", input), ("output_text_tokens", output)].map(|(name, n)| (name.to_owned(), n)).into()
    };
    match says {
        Counts(input, output) => expect::usage(&event, outcome, "reported", &classes(*input, *output)),
        Guess(reason) => expect::estimated(&event, outcome, reason),
        Nothing(reason) => expect::missing(&event, outcome, reason),
    }
    .map_err(|error| format!("{id}: {error}").into())
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_what_other_meters_break_on_gives_the_right_record() -> Result<()> {
    let wire = Wire::start(|_| {}).await?;
    let (mut calls, mut problems) = (0, Vec::new());
    for case in [counts(), framings(), errors()].into_iter().flatten() {
        for piece in [usize::MAX, 1] {
            problems.extend(check(&wire, &case, piece).await.err().map(|error| error.to_string()));
            calls += 1;
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // No credential may charge billions of tokens in one call.
    wire.finish_but(calls, 2).await
}
