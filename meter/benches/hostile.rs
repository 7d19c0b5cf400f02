//! What hostile bodies cost per byte received, beside those of real encoders and real JSON: coded ones alone, JSON as whole calls.

#[path = "../src/encoding/tests/hostile.rs"]
mod hostile;

use std::io::Write;
use std::time::Instant;

use meter::call::{Call, Ended, RequestHead, ResponseHead};
use meter::encoding::Decoder;
use meter::estimate::Ratios;
use meter::provider::Detect;

const SIZE: usize = 1 << 20;
/// What Envoy hands over at once, bytes.
const READ: usize = 16 * 1024;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |kind: &str| words.is_empty() || words.iter().any(|word| word == kind);
    if wanted("coded") {
        coded();
    }
    if wanted("json") {
        json();
    }
}

fn coded() {
    println!("{:8} {:24} {:>9} {:>10} {:>8} {:>8}", "coding", "body", "read", "made", "ns/read", "ms");
    let events = events();
    let prose = include_str!("../../docs/performance.md").repeat(45);
    for (name, plain) in [("events", events.as_bytes()), ("prose", prose.as_bytes())] {
        decode(name, "gzip", &gzip(plain));
        decode(name, "br", &brotli(plain));
        decode(name, "zstd", &zstd::stream::encode_all(plain, 3).unwrap());
    }
    let mut flushed = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    for event in events.split_inclusive("\n\n") {
        flushed.write_all(event.as_bytes()).unwrap();
        flushed.flush().unwrap();
    }
    decode("events, flushed", "zstd", &flushed.finish().unwrap());
    for body in hostile::hostile(SIZE) {
        decode(body.name, body.coding, &body.body);
    }
}

fn events() -> String {
    let event = |number: u32| {
        let word = number * 7919 % 1000;
        format!(
            "data: {{\"id\":\"chatcmpl-CdRBw2LfQ\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4.1-mini\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" w{word}\"}},\"finish_reason\":null}}]}}\n\n"
        )
    };
    (0..20_000).map(event).collect()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut body = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    body.extend(miniz_oxide::deflate::compress_to_vec(plain, 6));
    body
}

fn brotli(plain: &[u8]) -> Vec<u8> {
    let parameters = brotli::enc::BrotliEncoderParams { quality: 5, ..Default::default() };
    let mut body = Vec::new();
    brotli::BrotliCompress(&mut &plain[..], &mut body, &parameters).unwrap();
    body
}

/// The best of five runs, nanoseconds, and what it came to.
fn best<T>(mut run: impl FnMut() -> T) -> (f64, T) {
    let runs = (0..5).map(|_| {
        let begun = Instant::now();
        let made = run();
        (begun.elapsed().as_nanos() as f64, made)
    });
    runs.min_by(|one, other| one.0.total_cmp(&other.0)).unwrap()
}

fn decode(name: &str, coding: &str, body: &[u8]) {
    let (nanoseconds, (read, made, ending)) = best(|| {
        let mut decoder = Decoder::new(Some(coding.as_bytes()));
        let (mut read, mut made) = (0u64, 0u64);
        for piece in body.chunks(READ) {
            if !decoder.reads() {
                break;
            }
            read += piece.len() as u64;
            decoder.feed(piece, &mut |plain| made += std::hint::black_box(plain).len() as u64);
        }
        (read, made, decoder.end())
    });
    let (each, whole) = (nanoseconds / read as f64, nanoseconds / 1e6);
    println!("{coding:8} {name:24} {read:>9} {made:>10} {each:>8.1} {whole:>8.2} {ending:?}");
}

fn json() {
    println!("\n{:34} {:>9} {:>8}", "json", "bytes", "ns/byte");
    let repeated = |head: &str, piece: &str, tail: &str| {
        let mut body = head.to_owned();
        while body.len() < SIZE {
            body.push_str(piece);
        }
        body + tail
    };
    let keys: String = (0..100_000).map(|number| format!("\"k{number}\":{number},")).collect();
    let long = "x".repeat(SIZE);
    for (name, body) in [
        (
            "prose shown",
            repeated(
                "{\"choices\":[{\"message\":{\"content\":\"",
                "The drops are so small that the wind holds them up.\\n\\n",
                "\"}}]}",
            ),
        ),
        ("events", events()),
        ("nesting off every path", repeated("{\"x\":", "[", "")),
        ("nesting on a path", repeated("", "{\"choices\":[{\"delta\":", "")),
        ("many keys", format!("{{{keys}\"x\":1}}")),
        ("one key again", repeated("{\"x\":1", ",\"model\":\"m\"", "}")),
        ("names of the same bucket", repeated("{\"x\":1", ",\"obxxct\":1,\"mxdel\":1,\"uxage\":1", "}")),
        ("a long key", format!("{{\"{long}\":1}}")),
        (
            "escaped keys",
            repeated("{\"x\":1", ",\"\\u0061\\u0062\\u0063\\u0064\\u0065\\u0066\\u0067\\u0068\\u0069\\u006a\":1", "}"),
        ),
        ("escaped values", repeated("{\"x\":1", ",\"model\":\"\\u0061\\u0062\\u0063\\u0064\"", "}")),
        ("two models in turns", repeated("{\"x\":1", ",\"model\":\"a\",\"model\":\"b\"", "}")),
        ("escapes shown", repeated("{\"choices\":[{\"message\":{\"content\":\"", "\\u0041", "\"}}]}")),
        ("escapes streamed", repeated("data: {\"choices\":[{\"delta\":{\"content\":\"", "\\u0041", "\"}}]}\n\n")),
        ("quotes streamed", repeated("data: {\"choices\":[{\"delta\":{\"content\":\"", "\\\"", "\"}}]}\n\n")),
        ("empty texts shown", repeated("{\"choices\":[{\"text\":\"\"}", ",{\"text\":\"\"}", "]}")),
        ("usage again", repeated("{\"x\":1", ",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}", "}")),
        ("events of usage", repeated("", "data: {\"usage\":{\"prompt_tokens\":1}}\n\n", "")),
        ("empty events", repeated("", "data:\n\n", "")),
        ("blank lines", repeated("data: 1", "\n", "")),
        ("lines of a byte", repeated("data: 1\n", "d\n", "")),
        ("data of a byte", repeated("", "data:1\n", "")),
        ("numbers", repeated("[1", ",1", "]")),
        ("objects of a line", repeated("", "{}\n", "")),
    ] {
        let (nanoseconds, ()) = best(|| call(body.as_bytes()));
        println!("{name:34} {:>9} {:>8.2}", body.len(), nanoseconds / body.len() as f64);
    }
}

/// A whole call with this response.
fn call(body: &[u8]) {
    let (method, host, path) = (b"POST".as_slice(), b"api.openai.com".as_slice(), b"/v1/chat/completions".as_slice());
    let rules = Detect { by_shape: true, trust_host: true, rules: Vec::new() };
    let mut call = Call::begin(&RequestHead { method, host, path, content_encoding: None }, &rules, 0).unwrap();
    call.response_head(&ResponseHead { status: Some(200), content_type: None, content_encoding: None });
    body.chunks(READ).for_each(|piece| call.response_body(piece));
    call.response_end();
    std::hint::black_box(call.finish(Ended::default(), &mut Ratios::default()));
}
