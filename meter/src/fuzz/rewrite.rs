//! The two changes to bodies: what is announced is kept, and nothing else is touched.

use serde_json::value::RawValue;

use super::oracle::{Inside, inside, text, value};
use super::splits;
use crate::rewrite::{Ask, Asking, Change, ROOM, Withhold};

/// Rewrites the bytes as a request and as a response in every split.
pub fn rewrite(bytes: &[u8]) {
    ask(bytes);
    withhold(bytes, false);
    withhold(bytes, true);
}

fn ask(bytes: &[u8]) {
    let sized = asked(bytes, true);
    if !bytes.is_empty() {
        assert_eq!(sized.0.len(), bytes.len() + ROOM, "the length that was announced");
    }
    for (out, asking) in [sized, asked(bytes, false)] {
        let Some(before) = value(bytes) else { continue };
        let after = value(&out).expect("valid before, and not behind");
        let (before, after) = (Request::of(before), Request::of(after));
        assert_eq!(before.rest, after.rest);
        match asking {
            Asking::Added => assert!(after.asks && !before.asks, "{after:?}"),
            Asking::Client => assert!(after.asks && before.asks, "{after:?}"),
            Asking::No => assert!(!before.streams, "{before:?}"),
            Asking::Not(_) => {}
            Asking::Open => panic!("the body is over"),
        }
    }
}

/// The bytes as they leave in every split, and what is asked for.
fn asked(bytes: &[u8], sized: bool) -> (Vec<u8>, Asking) {
    let [whole, single, pieces] = splits(bytes).map(|pieces| {
        let (mut ask, mut out) = (Ask::new(sized.then_some(bytes.len() as u64)), Vec::new());
        for piece in pieces {
            let mut written = Vec::new();
            if ask.feed(piece, &mut written) != Change::Whole {
                out.extend_from_slice(piece);
            }
            out.extend(written);
        }
        let mut written = Vec::new();
        ask.end(&mut written);
        out.extend(written);
        (out, ask.asking())
    });
    assert_eq!(single, whole, "byte by byte");
    assert_eq!(pieces, whole, "in pieces");
    whole
}

/// What a request says, repeated names and all: of those the last holds, as every reader has it.
#[derive(Debug, Default)]
struct Request {
    streams: bool,
    asks: bool,
    /// Everything beside `stream_options.include_usage`, in order. Options with nothing else in them are as good as none.
    rest: Vec<String>,
}

impl Request {
    fn of(value: &RawValue) -> Request {
        let mut request = Request::default();
        let Inside::Object(members) = inside(value) else {
            request.rest.push(value.get().to_owned());
            return request;
        };
        for (name, value) in members {
            let key = text(name);
            match (key.as_str(), inside(value)) {
                ("stream_options", Inside::Object(options)) => {
                    request.asks = false;
                    for (name, value) in options {
                        match text(name).as_str() {
                            "include_usage" => request.asks = value.get() == "true",
                            _ => request.rest.push(format!("stream_options.{}:{}", name.get(), value.get())),
                        }
                    }
                    continue;
                }
                ("stream_options", _) if value.get() == "null" => {
                    request.asks = false;
                    continue;
                }
                ("stream", _) => request.streams = value.get() == "true",
                _ => {}
            }
            request.rest.push(format!("{}:{}", name.get(), value.get()));
        }
        request
    }
}

fn withhold(bytes: &[u8], nulls: bool) {
    let [whole, single, pieces] = splits(bytes).map(|pieces| {
        let (mut withhold, mut out) = (Withhold::new(nulls), Vec::new());
        pieces.iter().for_each(|piece| withhold.feed(piece, &mut out));
        withhold.end(&mut out);
        out
    });
    assert_eq!(single, whole, "byte by byte");
    assert_eq!(pieces, whole, "in pieces");
    // What comes out went in, in the same order.
    let mut rest = bytes.iter();
    assert!(whole.iter().all(|byte| rest.any(|other| other == byte)), "something was added");
    if !bytes.windows(5).any(|window| window == b"usage") {
        assert!(bytes == whole || bytes.contains(&b'\\'), "taken out without a reason");
    }
}
