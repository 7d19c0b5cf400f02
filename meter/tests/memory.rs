//! The memory that one stream takes, whatever its body is: at most 64 KiB beside a decoder's window.
//!
//! Bodies are made on the fly. What is counted is what the reader of a body has allocated at its peak.
#![cfg(not(target_arch = "wasm32"))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;
use std::time::Instant;

use meter::call::{Call, RequestHead, ResponseHead};
use meter::encoding::{Coding, Decoder, Ending, MAX_OUTPUT};
use meter::provider::Detect;
use meter::rewrite::{Ask, Asking};

/// The bound per stream, beside a decoder's window.
const MAX_STREAM: usize = 64 * 1024;
/// What Envoy hands to a filter at once, bytes.
const CHUNK: usize = 16 * 1024;
const MIB: usize = 1024 * 1024;

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    /// What makes bodies is not counted.
    static COUNTS: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: isize) {
    if !COUNTS.get() {
        return;
    }
    let now = NOW.get() + bytes;
    NOW.set(now);
    PEAK.set(PEAK.get().max(now));
}

#[expect(unsafe_code, reason = "an allocator is; it hands everything to the system's")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(memory, layout) }
    }

    /// Old and new are there at the same time, as an allocator without luck has them.
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize);
        let moved = unsafe { System.realloc(memory, layout, size) };
        count(-(layout.size() as isize));
        moved
    }
}

/// Runs what reads a body.
fn counted<T>(run: impl FnOnce() -> T) -> T {
    COUNTS.set(true);
    let result = run();
    COUNTS.set(false);
    result
}

/// Another body begins.
fn begin() {
    // Tables that all streams share are made once.
    call("").response_body(b"{}");
    NOW.set(0);
    PEAK.set(0);
}

/// The peak since the body began, bytes.
fn peak() -> usize {
    usize::try_from(PEAK.get()).unwrap()
}

fn call(content_type: &str) -> Call {
    let head =
        RequestHead { method: b"POST", host: b"api.openai.com", path: b"/v1/chat/completions", content_encoding: None };
    let mut call = Call::begin(&head, &Detect { by_shape: false, trust_host: false, rules: Vec::new() }, 0).unwrap();
    call.request_body(br#"{"model":"gpt-4o","stream":true}"#);
    let content_type = Some(content_type.as_bytes());
    call.response_head(&ResponseHead { status: Some(200), content_type, content_encoding: None });
    call
}

/// Hands pieces on in chunks of one size.
struct Chunks<F> {
    chunk: Vec<u8>,
    total: usize,
    take: F,
}

impl<F: FnMut(&[u8])> Chunks<F> {
    fn new(take: F) -> Self {
        Chunks { chunk: Vec::with_capacity(CHUNK), total: 0, take }
    }

    fn put(&mut self, piece: &[u8], times: usize) {
        // Many short pieces at once, as far as they fit.
        let many = piece.repeat(times.min(4096 / piece.len()).max(1));
        let mut left = piece.len() * times;
        while left > 0 {
            let mut rest = &many[..many.len().min(left)];
            left -= rest.len();
            self.total += rest.len();
            while !rest.is_empty() {
                let (head, behind) = rest.split_at(rest.len().min(CHUNK - self.chunk.len()));
                self.chunk.extend_from_slice(head);
                rest = behind;
                if self.chunk.len() == CHUNK {
                    self.flush();
                }
            }
        }
    }

    fn flush(&mut self) {
        (self.take)(&self.chunk);
        self.chunk.clear();
    }
}

const USAGE: &[u8] = br#""usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}"#;
const EVENT: &[u8] = b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"}}]}\n\n";

/// Puts a piece so many times.
type Put<'a> = &'a mut dyn FnMut(&[u8], usize);

/// A body: its name, its content type, and what makes it but for the usage at the end.
type Hard = (&'static str, &'static str, fn(Put<'_>));

/// Bodies that are hard on something.
const BODIES: [Hard; 10] = [
    ("100 MB of text in JSON", "application/json", |put| {
        put(br#"{"object":"chat.completion","model":"m","choices":[{"message":{"content":""#, 1);
        put(br"word \u00e9\n ", 7 * MIB);
        put(br#""}}],"#, 1);
    }),
    ("100 MB of numbers in JSON", "application/json", |put| {
        put(br#"{"object":"list","model":"m","data":[{"embedding":[0"#, 1);
        put(b",-0.0123456789", 7 * MIB);
        put(b"]}],", 1);
    }),
    ("100 MB of events", "text/event-stream", |put| {
        put(EVENT, MIB);
        put(b"data: {", 1);
    }),
    ("ten events of 10 MB", "text/event-stream", |put| {
        for _ in 0..10 {
            put(br#"data: {"model":"m","choices":[{"delta":{"content":""#, 1);
            put(b"ten bytes ", MIB);
            put(b"\"}}]}\n\n", 1);
        }
        put(b"data: {", 1);
    }),
    ("200,000 levels off the paths", "application/json", |put| {
        put(br#"{"model":"m","x":"#, 1);
        put(br#"[{"y":"#, 100_000);
        put(b"1", 1);
        put(b"}]", 100_000);
        put(b",", 1);
    }),
    ("100,000 levels inside usage", "application/json", |put| {
        put(br#"{"model":"m","usage":{"x":"#, 1);
        put(b"[", 100_000);
        put(b"]", 100_000);
        put(b"},", 1);
    }),
    ("a usage object of 10 MB", "application/json", |put| {
        put(br#"{"model":"m","usage":{"x":"1""#, 1);
        put(br#","prompt_tokens_details":{"y":[1,2,"z"]}"#, MIB / 4);
        put(b"},", 1);
    }),
    ("usage of 1 MB in every place", "application/json", |put| {
        put(br#"{"model":"m""#, 1);
        for place in ["response", "message", "interaction", "delta", "result", "x_groq", "data", "metadata"] {
            put(format!(",\"{place}\":{{\"usage\":{{\"x\":1").as_bytes(), 1);
            put(br#","a":"text""#, MIB / 11);
            put(b"}}", 1);
        }
        put(b",", 1);
    }),
    ("a million names, each another", "application/json", |put| {
        put(br#"{"model":"m","#, 1);
        for name in 0..1_000_000 {
            put(format!("\"name-{name}\":{{\"usage\":{name}}},").as_bytes(), 1);
        }
    }),
    ("a name, an id and a model of 10 MB", "application/json", |put| {
        put(br#"{""#, 1);
        put(b"name", MIB * 5 / 2);
        put(br#"":1,"id":""#, 1);
        put(br"\u00e9", MIB * 5 / 3);
        put(br#"","model":""#, 1);
        put(b"model", 2 * MIB);
        put(br#"","#, 1);
    }),
];

#[test]
fn contract_a_stream_takes_at_most_64_kib() {
    for (name, content_type, body) in BODIES {
        begin();
        let mut call = counted(|| crate::call(content_type));
        let mut chunks = Chunks::new(|chunk: &[u8]| counted(|| call.response_body(chunk)));
        let started = Instant::now();
        body(&mut |piece, times| chunks.put(piece, times));
        chunks.put(USAGE, 1);
        chunks.put(if content_type == "text/event-stream" { b"}\n\n" } else { b"}" }, 1);
        chunks.flush();
        let size = chunks.total;
        counted(|| call.response_end());
        let usage = call.usage().unwrap_or_else(|| panic!("{name}: no usage"));
        assert_eq!((usage.input_total(), usage.output_total()), (Some(7), Some(5)), "{name}");
        println!("{name}: {size} bytes, peak {}, {:?}", peak(), started.elapsed());
        assert!(peak() <= MAX_STREAM, "{name}: {} bytes", peak());
    }
}

/// Writes a body through an encoder: so many bytes of events, no two of which are alike, and the usage at the end.
/// Requests that are hard to ask take no more than a chunk and what is added to it.
#[test]
fn contract_a_request_that_is_asked_takes_a_chunk() {
    let requests: [(&str, &[u8]); 5] = [
        ("names", br#""strea":1,"#),
        ("options that say nothing", br#""stream_options":null,"#),
        ("escapes", br#""\u0073\u0074\u0072\u0065\u0061\u006d\u005f\u006f":{"a":[]},"#),
        ("white space", b" \n\t"),
        ("levels", br#""a":[[[["#),
    ];
    let sizes = [None, Some(u64::MAX)];
    for ((name, piece), length) in requests.into_iter().flat_map(|request| sizes.map(|size| (request, size))) {
        begin();
        let (mut ask, mut out) = (Ask::new(length), Vec::new());
        let mut chunks = Chunks::new(|chunk: &[u8]| {
            counted(|| {
                ask.feed(chunk, &mut out);
                out.clear();
            });
        });
        chunks.put(b"{", 1);
        chunks.put(piece, 4 * MIB / piece.len());
        chunks.put(br#""stream":true}"#, 1);
        chunks.flush();
        assert!(peak() <= 2 * CHUNK, "{name}: {} bytes", peak());
        assert_eq!(ask.asking() == Asking::Added, name != "levels", "{name}");
    }
}

fn events(size: usize, mut to: impl Write) {
    let mut state = 1u64;
    let mut written = 0;
    while written < size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let event = format!(
            "data: {{\"id\":\"chatcmpl-{:x}\",\"model\":\"m\",\"choices\":[{{\"delta\":{{\"content\":\" {:x}\"}}}}]}}\n\n",
            state >> 50,
            state >> 20
        );
        to.write_all(event.as_bytes()).unwrap();
        written += event.len();
    }
    to.write_all(b"data: {").unwrap();
    to.write_all(USAGE).unwrap();
    to.write_all(b"}\n\n").unwrap();
}

/// A member of gzip; its last eight bytes, checksum and size, are left out.
fn gzip(plain: &[u8]) -> Vec<u8> {
    [GZIP_HEAD, &miniz_oxide::deflate::compress_to_vec(plain, 6)].concat()
}

const GZIP_HEAD: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\xff";

fn brotli(write: impl FnOnce(&mut dyn Write), quality: u32, window: u32) -> Vec<u8> {
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, quality, window);
    write(&mut encoder);
    encoder.into_inner()
}

fn zstd(write: impl FnOnce(&mut dyn Write), level: i32, window: u32) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), level).unwrap();
    encoder.window_log(window).unwrap();
    write(&mut encoder);
    encoder.finish().unwrap()
}

fn zeros(size: usize, to: &mut dyn Write) {
    for _ in 0..size / MIB {
        to.write_all(&[0; MIB]).unwrap();
    }
}

/// Decodes a body into a call; the bytes that came out, the end, and whether the usage was found.
fn decode(coding: &str, body: &[u8]) -> (u64, Ending, bool) {
    begin();
    counted(|| {
        let mut call = call("text/event-stream");
        let mut decoder = Decoder::new(Some(coding.as_bytes()));
        let mut made = 0;
        for chunk in body.chunks(CHUNK) {
            decoder.feed(chunk, &mut |piece| {
                made += piece.len() as u64;
                call.response_body(piece);
            });
        }
        (made, decoder.end(), call.usage().and_then(|usage| usage.output_total()) == Some(5))
    })
}

fn check(name: &str, coding: Coding, header: &str, body: &[u8], expected: Ending) {
    let started = Instant::now();
    let (made, ending, found) = decode(header, body);
    let beside = peak().saturating_sub(coding.window());
    let took = started.elapsed();
    println!("{name}: {} bytes to {made}, peak {}, {beside} beside the window, {took:?}", body.len(), peak());
    assert_eq!(ending, expected, "{name}");
    assert!(made <= MAX_OUTPUT, "{name}");
    assert!(beside <= MAX_STREAM, "{name}: {beside} bytes beside the window");
    assert!(found || expected == Ending::TooLarge, "{name}: no usage");
}

#[test]
fn contract_long_encoded_bodies_take_a_window_and_at_most_64_kib() {
    let size = 20 * MIB;
    let mut plain = Vec::new();
    events(size, &mut plain);
    let zlib = miniz_oxide::deflate::compress_to_vec_zlib(&plain, 6);
    check("deflate", Coding::Deflate, "deflate", &zlib, Ending::Whole);
    check("gzip", Coding::Gzip, "gzip", &gzip(&plain), Ending::Cut);
    for (quality, window) in [(1, 22), (5, 18), (9, 22)] {
        let body = brotli(|to| events(size, to), quality, window);
        check(&format!("brotli, quality {quality}, window {window}"), Coding::Brotli, "br", &body, Ending::Whole);
    }
    for (level, window) in [(1, 19), (3, 21), (17, 23)] {
        let body = zstd(|to| events(size, to), level, window);
        check(&format!("zstd, level {level}, window {window}"), Coding::Zstd, "zstd", &body, Ending::Whole);
    }
}

#[test]
fn contract_bombs_take_a_window_and_at_most_64_kib() {
    let bomb = [GZIP_HEAD, &deflate_zeros(1024 * MIB)].concat();
    check("gzip bomb", Coding::Gzip, "gzip", &bomb, Ending::TooLarge);
    check("gzip bomb, twice", Coding::Gzip, "gzip, gzip", &gzip(&bomb), Ending::TooLarge);
    let bomb = brotli(|to| zeros(1024 * MIB, to), 3, 22);
    check("brotli bomb", Coding::Brotli, "br", &bomb, Ending::TooLarge);
    let bomb = zstd(|to| zeros(1024 * MIB, to), 3, 23);
    check("zstd bomb", Coding::Zstd, "zstd", &bomb, Ending::TooLarge);
}

/// So many zeros, never whole in memory; the stream has no end.
fn deflate_zeros(size: usize) -> Vec<u8> {
    use miniz_oxide::deflate::core::{
        CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
    };
    let mut body = Vec::new();
    let mut encoder = CompressorOxide::new(create_comp_flags_from_zip_params(9, -15, 0));
    for _ in 0..size / MIB {
        let mut input = [0u8; MIB].as_slice();
        while !input.is_empty() {
            let (_, used) = compress_to_output(&mut encoder, input, TDEFLFlush::None, |piece| {
                body.extend_from_slice(piece);
                true
            });
            input = &input[used..];
        }
    }
    body
}
