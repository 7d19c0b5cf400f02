use super::*;
use crate::scan::{Piece, Scalar};

/// The values of a body as text, one entry a value, with the end marker.
#[derive(Default)]
struct Found {
    values: Vec<String>,
    current: String,
}

impl Sink<char> for Found {
    fn scalar(&mut self, leaf: char, value: Scalar<'_>) {
        let value = match value {
            Scalar::Number(digits) => String::from_utf8_lossy(digits).into_owned(),
            other => format!("{other:?}"),
        };
        self.current.push_str(&format!("{leaf}{value} "));
    }
    fn raw_begin(&mut self, _: char) {}
    fn raw(&mut self, _: char, _: &[u8]) {}
    fn raw_end(&mut self, _: char) {}
    fn flow(&mut self, _: char, _: Piece<'_>) {}
}

impl Values<char> for Found {
    fn value_end(&mut self) {
        self.values.push(std::mem::take(&mut self.current).trim_end().to_owned());
    }
    fn done(&mut self) {
        self.values.push("DONE".to_owned());
    }
    fn exception(&mut self, name: &[u8]) {
        self.values.push(format!("!{}", String::from_utf8_lossy(name)));
    }
    fn is_wrapped(leaf: char) -> bool {
        leaf == 'w'
    }
}

fn read(content_type: &str, chunks: &[&[u8]]) -> (Vec<String>, Format, Ending) {
    let paths = Paths::new(&[("n", 'n'), ("m", 'm')], &[], &[("bytes", 'w')]);
    let mut body = Body::new(Some(content_type.as_bytes()));
    let mut found = Found::default();
    for chunk in chunks {
        body.feed(&paths, chunk, &mut found);
    }
    let ending = body.end(&paths, &mut found);
    if !found.current.is_empty() {
        found.values.push(format!("({})", found.current.trim_end()));
    }
    (found.values, body.format(), ending)
}

/// One response, whatever the split.
fn every_split(content_type: &str, body: impl AsRef<[u8]>) -> (Vec<String>, Format, Ending) {
    let body = body.as_ref();
    let text = String::from_utf8_lossy(body);
    let whole = read(content_type, &[body]);
    let single: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(read(content_type, &single), whole, "byte by byte: {text:?}");
    for cut in 0..=body.len() {
        let (head, tail) = body.split_at(cut);
        assert_eq!(read(content_type, &[head, tail]), whole, "cut at {cut}: {text:?}");
    }
    whole
}

/// A frame of an AWS event stream; the checksums are those of the AWS SDK's own test vectors' algorithm (zlib's CRC-32).
fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(name.len() as u8);
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&(value.len() as u16).to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let mut frame = ((head.len() + payload.len() + 16) as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(&(head.len() as u32).to_be_bytes());
    let checksum = crc32(&frame);
    frame.extend_from_slice(&checksum.to_be_bytes());
    frame.extend_from_slice(&head);
    frame.extend_from_slice(payload);
    let checksum = crc32(&frame);
    frame.extend_from_slice(&checksum.to_be_bytes());
    frame
}

/// CRC-32 by polynomial division, written apart from the one it checks.
fn crc32(bytes: &[u8]) -> u32 {
    let mut remainder = 0xffff_ffffu32;
    for bit in bytes.iter().flat_map(|byte| (0..8).map(move |at| (byte >> at) & 1)) {
        let low = (remainder & 1) as u8 ^ bit;
        remainder >>= 1;
        if low == 1 {
            remainder ^= 0xedb8_8320;
        }
    }
    !remainder
}

const EVENTS: &str = "text/event-stream; charset=utf-8";

cases! {
    fn deterministic_sse_lines_of_every_kind() {
        for (text, expected) in [
            ("data: {\"n\":1}\n\ndata: {\"n\":2}\n\ndata: [DONE]\n\n", vec!["n1", "n2", "DONE"]),
            ("data:{\"n\":1}\r\n\r\ndata:[DONE]\r\n\r\n", vec!["n1", "DONE"]),
            ("data: {\"n\":1}\r\rdata: {\"n\":2}\r\r", vec!["n1", "n2"]),
            ("\u{feff}data: {\"n\":1}\n\n", vec!["n1"]),
            (": comment\n\n:\nevent: x\nid: 7\nretry: 1\ndata: {\"n\":1}\n\n", vec!["n1"]),
            ("data: {\"n\":1,\ndata: \"m\":2}\n\n", vec!["n1 m2"]),
            ("data: {\"n\":1}", vec!["n1"]),
            ("data: {\"n\":1}\n", vec!["n1"]),
            ("data\n\ndata:\n\ndata: {\"n\":1}\n\n", vec!["", "", "n1"]),
            ("database: {\"n\":9}\ndat: {\"n\":9}\ndata: {\"n\":1}\n\n", vec!["n1"]),
            ("\n\n\nevent: ping\n\ndata: {\"n\":1}\n\n", vec!["n1"]),
            ("data:  [DONE] \n\n", vec!["DONE"]),
        ] {
            let (values, format, ending) = every_split(EVENTS, text);
            assert_eq!((values, format, ending), (expected.iter().map(|v| v.to_string()).collect(), Format::Sse, Ending::Whole), "{text:?}");
        }
    }

    fn deterministic_framing_is_found_by_content_not_by_header() {
        assert_eq!(every_split("application/json", "data: {\"n\":1}\n\n").1, Format::Sse);
        assert_eq!(every_split(EVENTS, " {\"n\":1}"), (vec!["n1".to_owned()], Format::Json, Ending::Whole));
        assert_eq!(every_split("application/json", "<html>").1, Format::Unknown);
        assert_eq!(every_split("application/json", "\n \n").1, Format::Empty);
        assert_eq!(every_split("TEXT/Event-Stream", "oddity: 1\n\n").1, Format::Sse);
    }

    fn deterministic_json_values_one_by_one() {
        for (text, expected, is_stream) in [
            ("{\"n\":1}", vec!["n1"], false),
            ("\u{feff} {\"n\":1} \n", vec!["n1"], false),
            ("{\"n\":1}\n{\"n\":2}\r\n", vec!["n1", "n2"], true),
            ("{\"n\":1}{\"n\":2}", vec!["n1", "n2"], true),
            ("[{\"n\":1},\r\n{\"n\":2}\n]", vec!["n1", "n2"], true),
            ("[0.5,-1e3,\"x\",[1,2],null]", vec!["", "", "", "", ""], true),
        ] {
            let expected: Vec<String> = expected.iter().map(|value| value.to_string()).collect();
            assert_eq!(every_split("application/json", text), (expected, Format::Json, Ending::Whole), "{text:?}");
            let mut body = Body::new(None);
            body.feed(&Paths::new(&[], &[], &[]), text.as_bytes(), &mut Found::default());
            assert_eq!(body.is_stream(), is_stream, "{text:?}");
        }
        assert_eq!(every_split("", "[{\"n\":1},{\"n\":2"), (vec!["n1".into()], Format::Json, Ending::Cut));
        assert_eq!(every_split("", "[{\"n\":1}"), (vec!["n1".into()], Format::Json, Ending::Cut));
        assert_eq!(every_split("", "{\"n\":1}\n{\"n\":2} oops").2, Ending::Broken);
    }

    fn deterministic_aws_frames_and_what_is_wrapped_in_them() {
        let mut stream = frame(&[(":event-type", "metadata"), (":message-type", "event")], b"{\"n\":1}");
        stream.extend(frame(&[], b""));
        // {"n":2,"m":"??>"} with a slash that JSON may escape, and padding beside it.
        stream.extend(frame(&[(":event-type", "chunk")], br#"{"bytes":"eyJuIjoyLCJtIjoiPz8+In0=","p":"abc"}"#));
        stream.extend(frame(&[(":message-type", "exception"), (":exception-type", "throttlingException")], b"{}"));
        let (values, format, ending) = every_split("application/vnd.amazon.eventstream", &stream);
        assert_eq!(values, ["n1", "n2 mText(\"??>\")", "", "!throttlingException", ""]);
        assert_eq!((format, ending), (Format::EventStream, Ending::Whole));
        assert_eq!(every_split("", &stream[..stream.len() - 1]).2, Ending::Cut);
        stream[5] ^= 1;
        assert_eq!(every_split("", &stream), (vec![], Format::EventStream, Ending::Broken));
        let mut huge = u32::MAX.to_be_bytes().to_vec();
        huge.extend([0; 100]);
        huge[0] = 0;
        assert_eq!(every_split("", &huge).2, Ending::Broken);
    }

    fn contract_endings_tell_whole_from_cut_and_broken() {
        for (text, expected) in [
            ("{\"n\":1", Ending::Cut),
            ("{\"n\":1}}", Ending::Broken),
            ("data: {\"n\":1}\n\ndata: {\"n\"", Ending::Cut),
            ("data: {\"n\":1}\n\ndata: {\"n\"\n\ndata: {\"n\":2}\n\n", Ending::Broken),
            ("data: oops\n\n", Ending::Broken),
        ] {
            assert_eq!(every_split("", text).2, expected, "{text:?}");
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(cases::properties())]

        #[test]
        fn contract_any_bytes_are_survived_and_split_alike(text in "(data:? ?|[\r\n]|\\{\"n\":1\\}|\\[DONE\\]|event|:|\u{feff}|[a-z]){0,20}") {
            every_split(EVENTS, &text);
            every_split("application/json", &text);
        }
    }
}
