//! Calls that are left before their counts, and the client's words in the place of the provider's.

use super::{Attack, Calls, MODEL, OPENAI, chat, flagged, same};
use crate::{Result, client::Call, script::Script, wait};
use serde_json::{Value, json};

/// The attacks.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "usage-in-metadata",
        keeps: "a usage that the client writes and the server repeats is not the call's",
        short: true,
        run: || Box::pin(usage_in_metadata()),
    },
    Attack {
        name: "left-before-the-counts",
        keeps: "whoever leaves before the counts pays for what was delivered, in whatever member it stands, and for the prompt",
        short: true,
        run: || Box::pin(left_before_the_counts()),
    },
    Attack {
        name: "prompt-in-odd-members",
        keeps: "no place and no encoding of a prompt makes it free",
        short: true,
        run: || Box::pin(prompt_in_odd_members()),
    },
    Attack {
        name: "cheap-teacher",
        keeps: "a tenant's cheap calls do not make its own cut calls cheap",
        short: false,
        run: || Box::pin(cheap_teacher()),
    },
];

async fn usage_in_metadata() -> Result<()> {
    let mut calls = Calls::start().await?;
    let forged = json!({"usage": {"input_tokens": 1, "output_tokens": 1, "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}});
    for (path, object, usage) in [
        ("/v1/responses", "response", json!({"input_tokens": 1000, "output_tokens": 9000, "total_tokens": 10_000})),
        ("/v1/chat/completions", "chat.completion", json!({"prompt_tokens": 1000, "completion_tokens": 9000})),
    ] {
        let request = json!({"model": MODEL, "input": "Hi", "messages": [], "metadata": forged});
        // A map of serde_json is sorted: what is behind is written by hand.
        let whole =
            format!(r#"{{"id":"r","object":"{object}","model":"{MODEL}","usage":{usage},"metadata":{forged}}}"#);
        let script = Script::new("application/json", whole);
        let event = calls.send("mallory", Call::post(OPENAI, path, &request), script).await?;
        let counts = (event.text("evidence"), event.count("input_tokens"), event.count("output_tokens"));
        same(&event.raw, ("reported", Some(1000), Some(9000)), counts)?;
        same(&event.raw, true, event.get("flags").is_null())?;
    }
    calls.finish()
}

async fn left_before_the_counts() -> Result<()> {
    let mut calls = Calls::start().await?;
    let text = "word ".repeat(1000);
    let deltas = [
        json!({"content": text}),
        json!({"content": [{"type": "text", "text": text}]}),
        json!({"tool_calls": [{"index": 0, "type": "custom", "custom": {"name": "f", "input": text}}]}),
        json!({"audio": {"id": "audio_1", "transcript": text}}),
        json!({"reasoning_details": [{"type": "reasoning.text", "text": text}]}),
        json!({"nobody_knows": {"it": [text]}}),
    ];
    let prompt = "ask ".repeat(400);
    for delta in deltas {
        let chunk = json!({"id": "c", "object": "chat.completion.chunk", "model": MODEL, "choices": [{"index": 0, "delta": delta}]});
        let script = Script::sse(format!("data: {chunk}\n\n")).reset();
        let event = calls.send("mallory", chat(OPENAI, &prompt, &json!({})), script).await?;
        same(&event.raw, ("estimated", false), (event.text("evidence"), flagged(&event)))?;
        let (input, output) = (event.count("input_tokens"), event.count("output_tokens"));
        wait::ensure(input == Some(400) && output >= Some(1000), || {
            format!("{input:?} and {output:?}: {}", event.raw)
        })?;
    }
    // Nothing of the text: a comment, vectors, half of a list of images.
    let call = |path: &str| Call::post(OPENAI, path, &json!({"model": MODEL, "input": prompt, "prompt": "a cat"}));
    let vectors = r#"{"object":"list","data":[{"object":"embedding","embedding":[0.1,"#;
    let images = r#"{"data":[{"b64_json":"QUJD"},{"b64_json":"QU"#;
    for (call, script) in [
        (chat(OPENAI, &prompt, &json!({})), Script::sse(": waiting\n\n")),
        (call("/v1/embeddings"), Script::new("application/json", vectors)),
        (call("/v1/images/generations"), Script::new("application/json", images)),
    ] {
        let event = calls.send("mallory", call, script.reset()).await?;
        same(&event.raw, "estimated", event.text("evidence"))?;
        let counted = event.count("input_tokens").or(event.count("output_images"));
        wait::ensure(counted > Some(0), || format!("free: {}", event.raw))?;
    }
    calls.finish()
}

async fn prompt_in_odd_members() -> Result<()> {
    let mut calls = Calls::start().await?;
    let text = "word ".repeat(3200);
    let requests: [(&str, Value); 7] = [
        ("/v1/chat/completions", json!({"messages": [{"role": "assistant", "reasoning_content": text}]})),
        ("/v1/chat/completions", json!({"messages": [{"role": "user", "name": text}]})),
        ("/v1/chat/completions", json!({"messages": [], "prediction": {"type": "content", "content": text}})),
        ("/v1/chat/completions", json!({"messages": [], "nobody_knows": [{"it": [text]}]})),
        ("/v1/responses", json!({"prompt": {"id": "p", "variables": {"id": text}}})),
        ("/v1/responses", json!({"input": [{"type": "custom_tool_call", "input": text}]})),
        ("/v1/completions", json!({"prompt": vec![7; 4000]})),
    ];
    let mut all: Vec<Call> = Vec::new();
    for (path, mut request) in requests {
        request["model"] = MODEL.into();
        request["stream"] = true.into();
        all.push(Call::post(OPENAI, path, &request));
    }
    let mut wide = chat(OPENAI, &text, &json!({}));
    let letters = String::from_utf8_lossy(&wide.body).into_owned();
    wide.body = letters.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>().into();
    all.push(wide);
    for call in all {
        let event = calls.send("mallory", call, Script::sse(": waiting\n\n").reset()).await?;
        let input = event.count("input_tokens");
        wait::ensure((Some(4000)..Some(4200)).contains(&input), || format!("{input:?}: {}", event.raw))?;
    }
    calls.finish()
}

async fn cheap_teacher() -> Result<()> {
    let mut calls = Calls::start().await?;
    let text = "The quick brown fox said something of use to all, and then left. ".repeat(200);
    let (_, honest) = calls.estimate_of("victim", chat(OPENAI, "Hi", &json!({})), &text).await?;
    for taught in 1..=8 {
        let cheap = super::stream(&"=".repeat(6400), Some((20, 400)));
        let event = calls.send("mallory", chat(OPENAI, "Hi", &json!({})), cheap).await?;
        same("evidence", "reported", event.text("evidence"))?;
        let (_, now) = calls.estimate_of("mallory", chat(OPENAI, "Hi", &json!({})), &text).await?;
        wait::ensure(now >= honest / 2, || format!("{now} in place of {honest} after {taught} calls"))?;
    }
    calls.finish()
}
