//! What a request says that a call can use is no less than what real calls have used.
//!
//! `MESHMETER_CORPUS` names a directory of responses that providers really gave; without it there are the project's own.
#![cfg(not(target_arch = "wasm32"))]

#[path = "../examples/corpus/native.rs"]
#[allow(dead_code)] // The clients' side of it is another test's.
mod native;

use std::path::PathBuf;

use corpus::{Corpus, Recording};
use meter::call::{Bound, Call, RequestHead};
use meter::provider::Detect;
use native::Feed;

fn bound(recording: &Recording, request: &[u8], piece: usize) -> Option<Bound> {
    let head = RequestHead {
        method: recording.method.as_bytes(),
        host: recording.host.as_bytes(),
        path: recording.path.as_bytes(),
        content_encoding: None,
    };
    let rules = Detect { by_shape: true, trust_host: false, rules: Vec::new() };
    let mut call = Call::begin(&head, &rules, 0)?;
    request.chunks(piece).for_each(|piece| call.request_body(piece));
    Some(call.bound())
}

#[test]
fn fidelity_no_real_call_has_used_more_than_its_request_says_that_it_can() {
    let dir = std::env::var_os("MESHMETER_CORPUS").map_or_else(corpus::own, PathBuf::from);
    let corpus = Corpus::read(&dir).unwrap();
    let (mut inputs, mut outputs, mut open, mut beyond) = (0, 0, 0, Vec::new());
    for (recording, _) in corpus.recordings.iter().filter(|(recording, _)| recording.has_request()) {
        let request = corpus.request(recording).unwrap();
        let Some(bound) = bound(recording, &request, usize::MAX) else { continue };
        assert_eq!(Some(bound), self::bound(recording, &request, 7), "{}: pieces change it", recording.id);
        let run = native::run(&corpus, recording, Feed { piece: usize::MAX, encoded: false }).unwrap();
        let Some(record) = run.records.first() else { continue };
        let (input, output) = (record.usage.input_total().unwrap_or(0), record.usage.output_total().unwrap_or(0));
        if bound.is_open || request.windows(ELIDED.len()).any(|window| window == ELIDED) {
            open += 1;
        } else {
            inputs += usize::from(input > 0);
            if input > bound.input {
                beyond.push(format!("{}: {input} of input, {bound:?}", recording.id));
            }
        }
        if let Some(limit) = bound.output {
            outputs += usize::from(output > 0);
            if output > limit {
                beyond.push(format!("{}: {output} of output, {bound:?}", recording.id));
            }
        }
    }
    println!("{inputs} inputs and {outputs} outputs are within their bounds, {open} inputs have none");
    assert!(inputs >= 10 && outputs >= 3, "{inputs} inputs, {outputs} outputs");
    let excepted = |text: &&String| !EXCEPTIONS.iter().any(|(id, _)| text.starts_with(id));
    let beyond: Vec<&String> = beyond.iter().filter(excepted).collect();
    assert!(beyond.is_empty(), "{beyond:#?}");
}

/// Recordings whose request is not what the provider was sent, or who does not keep a limit, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("0d4000ba14bba1c2", "the recording has a placeholder in the place of a long system prompt"),
    ("148c70929e6fa728", "the same"),
    ("openai-chat-json:", "invented: its cache holds a longer prompt than it has"),
    ("openai-chat-sse-usage:", "the same"),
    ("anthropic-json-cache:", "the same"),
    ("anthropic-sse-thinking-cache:", "the same"),
    ("bedrock-converse-cache:", "the same"),
];

/// Stands in a recording in the place of a long text.
const ELIDED: &[u8] = b"<elided ";
