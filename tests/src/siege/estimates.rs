//! Calls that poison the estimates of others, and bodies that ask for more work than they are worth.

pub mod cut;

use std::{io::Write, net::Ipv4Addr};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::Version;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};

use super::Attack;
use crate::{
    Result,
    client::Call,
    event::Event,
    exchange::{self, Upload},
    script::Script,
    stack::{Options, Stack, with_request_id},
    wait,
    wire::Wire,
};

/// The attacks.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "popular-model-name",
        keeps: "what a self-hosted server counts changes no estimate of another tenant or upstream",
        short: true,
        run: || Box::pin(popular_model_name()),
    },
    Attack {
        name: "pictures-as-text",
        keeps: "calls with images, files, tools and kept context teach nothing about text",
        short: false,
        run: || Box::pin(pictures_as_text()),
    },
    Attack {
        name: "escaped-prompt",
        keeps: "an escape is the character it stands for, in what teaches and in what is estimated",
        short: true,
        run: || Box::pin(escaped_prompt()),
    },
    Attack {
        name: "limit-of-another-api",
        keeps: "a limit that the provider does not know lowers no estimate",
        short: false,
        run: || Box::pin(limit_of_another_api()),
    },
    Attack {
        name: "aborted-before-the-response",
        keeps: "a client that leaves before the response begins pays for the prompt that the provider has read",
        short: true,
        run: || Box::pin(aborted_before_the_response()),
    },
    Attack {
        name: "aborted-before-the-connection",
        keeps: "a prompt that no provider has got is not charged",
        short: false,
        run: || Box::pin(aborted_before_the_connection()),
    },
    Attack {
        name: "empty-members",
        keeps: "a body that decodes to nothing, or to too much, is given up; other calls are metered",
        short: true,
        run: || Box::pin(empty_members()),
    },
];

const MODEL: &str = "gpt-4.1-mini";
const OPENAI: &str = "api.openai.com";
const WORDS: &str = "words and more words ";

/// A chat whose response is a stream; `extra` is put into the request.
fn chat(host: &str, prompt: &str, extra: &Value) -> Call {
    let mut body = json!({"model": MODEL, "stream": true, "messages": [{"role": "user", "content": prompt}]});
    for (name, value) in extra.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    Call::post(host, "/v1/chat/completions", &body)
}

/// A stream that shows a text, with the counts of `usage` behind it, or cut.
fn stream(text: &str, usage: Option<(u64, u64)>) -> Script {
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut chunk =
            json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": MODEL, "choices": choices});
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let shown = chunk(json!([{"index": 0, "delta": {"content": text}}]), None);
    match usage {
        None => Script::sse(shown).reset(),
        Some((input, output)) => {
            let usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output});
            Script::sse(format!("{shown}{}data: [DONE]\n\n", chunk(json!([]), Some(usage))))
        }
    }
}

/// Calls of tenants on one worker, each with a name of its own.
struct Calls {
    wire: Wire,
    made: u64,
}

impl Calls {
    async fn start() -> Result<Self> {
        Ok(Self { wire: Wire::start(|_| {}).await?, made: 0 })
    }

    async fn send(&mut self, tenant: &str, call: Call, script: Script) -> Result<Event> {
        self.made += 1;
        let call = self.wire.stack.as_tenant(call, tenant)?;
        let (_, _, event) = self.wire.send(&format!("call-{}", self.made), &call, Upload::WHOLE, script).await?;
        Ok(event)
    }

    /// What a cut stream of a tenant is estimated at: input and output.
    async fn estimate(&mut self, tenant: &str) -> Result<(u64, u64)> {
        self.estimate_of(tenant, chat(OPENAI, &WORDS.repeat(50), &json!({})), &WORDS.repeat(30)).await
    }

    async fn estimate_of(&mut self, tenant: &str, call: Call, text: &str) -> Result<(u64, u64)> {
        let event = self.send(tenant, call, stream(text, None)).await?;
        wait::ensure(event.text("evidence") == "estimated", || format!("a cut stream is no estimate: {}", event.raw))?;
        let count = |name: &str| event.count(name).ok_or_else(|| format!("no {name}: {}", event.raw));
        Ok((count("input_tokens")?, count("output_tokens")?))
    }

    /// Whatever the collector makes of absurd counts: nothing crashed, and everything stops.
    fn finish(self) -> Result<()> {
        self.wire.stack.finish()
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, before: T, after: T) -> Result<()> {
    wait::ensure(before == after, || format!("{what}: {after:?} in place of {before:?}"))
}

fn flagged(event: &Event) -> bool {
    event.get("flags").as_array().is_some_and(|flags| flags.contains(&"implausible_count".into()))
}

async fn popular_model_name() -> Result<()> {
    let mut calls = Calls::start().await?;
    let before = calls.estimate("victim").await?;
    let (prompt, text) = (WORDS.repeat(50), WORDS.repeat(30));
    for host in ["llm.mallory.internal", OPENAI] {
        let absurd = stream(&text, Some((1 << 39, 1 << 40)));
        let event = calls.send("mallory", chat(host, &prompt, &json!({})), absurd).await?;
        let told = (event.text("evidence"), event.count("output_tokens"), flagged(&event));
        same("what the server says is reported as it is, and flagged", ("reported", Some(1 << 40), true), told)?;
        // As much as a text can be, so that nothing is absurd; and as little.
        for (input, output) in [(1050, 630), (66, 40), (100_000, 100_000)] {
            let event =
                calls.send("mallory", chat(host, &prompt, &json!({})), stream(&text, Some((input, output)))).await?;
            same("a count that can be", false, flagged(&event))?;
        }
    }
    // The same tenant, elsewhere.
    let event = calls
        .send("victim", chat("llm.mallory.internal", &prompt, &json!({})), stream(&text, Some((1050, 630))))
        .await?;
    same("evidence", "reported", event.text("evidence"))?;
    same("the victim's estimate", before, calls.estimate("victim").await?)?;
    // What its own calls to the same place were counted at does teach.
    calls.send("victim", chat(OPENAI, &prompt, &json!({})), stream(&text, Some((200, 150)))).await?;
    same("the victim's own calls", (200, 150), calls.estimate("victim").await?)?;
    calls.finish()
}

async fn pictures_as_text() -> Result<()> {
    let mut calls = Calls::start().await?;
    let before = calls.estimate("team").await?;
    let content = |part: Value| json!({"messages": [{"role": "user", "content": [{"type": "text", "text": WORDS.repeat(50)}, part]}]});
    let picture = json!({"type": "image_url", "image_url": {"url": "https://pictures.internal/1.png"}});
    let sound = json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}});
    let file = json!({"type": "file", "file": {"file_id": "file-1"}});
    let tools = json!({"tools": [{"type": "function", "function": {"name": "f"}}]});
    for extra in [content(picture), content(sound), content(file), tools, json!({"previous_response_id": "resp_1"})] {
        for _ in 0..3 {
            let call = chat(OPENAI, &WORDS.repeat(50), &extra);
            let event = calls.send("team", call, stream("", Some((1000, 10)))).await?;
            same("evidence", "reported", event.text("evidence"))?;
        }
    }
    same("the estimate of a text", before, calls.estimate("team").await?)?;
    calls.finish()
}

async fn escaped_prompt() -> Result<()> {
    let mut calls = Calls::start().await?;
    let escaped = |prompt: &str, escape: &str| {
        let mut call = chat(OPENAI, "TEXT", &json!({}));
        let text = String::from_utf8_lossy(&call.body).replace("TEXT", &escape.repeat(prompt.len()));
        call.body = text.into();
        call
    };
    // The same text, written in two ways.
    let plain = calls.estimate_of("team", chat(OPENAI, &"A".repeat(2000), &json!({})), "Hi").await?;
    let spelled = calls.estimate_of("team", escaped(&"A".repeat(2000), r"\u0041"), "Hi").await?;
    same("an escaped prompt", plain, spelled)?;
    // 4,000 blanks that the provider counts as 250 tokens: 24,000 bytes, but not of text.
    calls.send("team", escaped(&" ".repeat(4000), r"\u0020"), stream("Hi", Some((250, 1)))).await?;
    let text = "x".repeat(105_000);
    let (input, _) = calls.estimate_of("team", chat(OPENAI, &text, &json!({})), "Hi").await?;
    // Never less than text can be: 16 bytes a token.
    wait::ensure(input >= 105_000 / 16, || format!("105,000 bytes of text became {input} tokens"))?;
    same(
        "another tenant's prompt",
        26_250,
        calls.estimate_of("victim", chat(OPENAI, &text, &json!({})), "Hi").await?.0,
    )?;
    calls.finish()
}

async fn limit_of_another_api() -> Result<()> {
    let mut calls = Calls::start().await?;
    let text = WORDS.repeat(30);
    let mut output = async |extra: Value| {
        Ok::<_, crate::Error>(calls.estimate_of("team", chat(OPENAI, "Hi", &extra), &text).await?.1)
    };
    let whole = output(json!({})).await?;
    same("a limit that holds", 100, output(json!({"max_completion_tokens": 100})).await?)?;
    for extra in [
        json!({"max_output_tokens": 1}),
        json!({"options": {"num_predict": 1}}),
        json!({"max_tokens": 1}),
        json!({"n": 0}),
    ] {
        same(&extra.to_string(), whole, output(extra.clone()).await?)?;
    }
    calls.finish()
}

async fn empty_members() -> Result<()> {
    let mut calls = Calls::start().await?;
    let member = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x03\0\0\0\0\0\0\0\0\0";
    // Two blocks in codes of their own, with which they say nothing but that they are over.
    let block = b"\x04\xc0\x81\x08\x00\x00\x00\x00\x20\x7f\xeb\x43\x00\x1c\x88\x00\x00\x00\x00\x00\xf2\xb7\x3e";
    let blocks = [&member[..10], &block.repeat(40_000)].concat();
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 64 << 20])?;
    let bodies: [(&str, Bytes, &str); 3] = [
        ("3.9 MB of members without content", member.repeat(195_000).into(), "no_body"),
        ("blocks that bring codes and no content", blocks.into(), "body_too_large"),
        ("64 MiB of blanks", bomb.finish()?.into(), "body_too_large"),
    ];
    for (name, body, reason) in bodies {
        let attack = Script::new("application/json", body.clone()).header("content-encoding", "gzip");
        let mut call = Call::post(OPENAI, "/v1/chat/completions", &json!({"model": MODEL, "messages": []}));
        call.headers.push(("accept-encoding".to_owned(), "gzip".to_owned()));
        calls.made += 1;
        let id = format!("call-{}", calls.made);
        let (response, _, event) = calls.wire.send(&id, &call, Upload::WHOLE, attack).await?;
        wait::ensure(response.whole && response.body == body, || format!("{name}: the response was changed or cut"))?;
        let told = (event.text("evidence"), event.text("missing_reason"));
        same(name, ("missing", reason), told)?;
        let event = calls.send("team", chat(OPENAI, "Hi", &json!({})), stream("Hi", Some((9, 1)))).await?;
        same("a call behind it", ("reported", Some(1)), (event.text("evidence"), event.count("output_tokens")))?;
    }
    calls.finish()
}

async fn aborted_before_the_response() -> Result<()> {
    const ANTHROPIC: &str = "api.anthropic.com";
    let wire = Wire::with(Options { unreachable: Some("anthropic"), ..Options::default() }).await?;
    let prompt = chat(OPENAI, &WORDS.repeat(50), &json!({}));
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let (id, before) = (format!("left-{version:?}"), wire.server.arrived().len());
        let arrived = || async {
            let last = wire.server.arrived().into_iter().nth(before).ok_or("nothing arrived")?;
            wait::ensure(last.problem.is_none(), || format!("{id}: {:?}", last.problem))
        };
        let route = wire.stack.llm();
        tokio::select! {
            opened = wire.open(&route, version, &id, &prompt, Upload::WHOLE, stream("Hi", None).withheld()) => {
                return Err(format!("{id}: a response began: {}", opened.is_ok()).into());
            }
            arrived = wait::until("the prompt to arrive", arrived) => arrived?,
        }
        let event = wire.stack.event_of(&id).await?;
        let told = ["outcome", "evidence", "missing_reason"].map(|name| event.text(name));
        same(&event.raw, ["client_aborted", "estimated", "no_response"], told)?;
        let counts = (event.count("input_tokens"), event.count("output_tokens"));
        same(&event.raw, (Some(263), None), counts)?;
    }
    // Where the provider is not reached, there is nothing to pay.
    let lost = Call { host: ANTHROPIC.to_owned(), path: "/v1/messages".to_owned(), ..prompt.clone() };
    let route = wire.stack.llm();
    let response = wire.exchange(&route, Version::HTTP_11, "lost", &lost, Upload::WHOLE, stream("Hi", None)).await?;
    let event = wire.stack.event_of("lost").await?;
    same(&event.raw, (503, "not_sent", "missing"), (response.status, event.text("outcome"), event.text("evidence")))?;
    same(&event.raw, None, event.count("input_tokens"))?;
    wire.finish(3).await
}

/// The client leaves while Envoy still connects: a listener whose queue is full lets it wait.
async fn aborted_before_the_connection() -> Result<()> {
    let prompt = chat(OPENAI, &WORDS.repeat(50), &json!({}));
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let full = socket.listen(1)?;
    let address = full.local_addr()?;
    let _queued = [TcpStream::connect(address).await?, TcpStream::connect(address).await?];
    let stack =
        Stack::with(Options { upstream: Some(address), everywhere: true, workers: 1, ..Options::default() }).await?;
    let (route, call) = (stack.llm(), with_request_id(prompt, "unconnected"));
    let connecting = || async {
        let made =
            stack.envoy.metrics().await?.sum("envoy_cluster_upstream_cx_total", &[("envoy_cluster_name", "openai")]);
        wait::ensure(made > 0, || "it does not connect".to_owned())
    };
    tokio::select! {
        opened = exchange::open(&route, Version::HTTP_11, &call, Upload::WHOLE) => {
            return Err(format!("a response began: {}", opened.is_ok()).into());
        }
        connecting = wait::until("Envoy to connect", connecting) => connecting?,
    }
    let event = stack.event_of("unconnected").await?;
    let told = ["outcome", "evidence", "missing_reason"].map(|name| event.text(name));
    same(&event.raw, ["client_aborted", "missing", "no_response"], told)?;
    same(&event.raw, None, event.count("input_tokens"))?;
    stack.settled(1).await?;
    stack.finish()
}
