use super::*;
use crate::scan::Scalar;

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
}

impl Values<char> for Found {
    fn value_end(&mut self) {
        self.values.push(std::mem::take(&mut self.current).trim_end().to_owned());
    }
    fn done(&mut self) {
        self.values.push("DONE".to_owned());
    }
}

fn read(content_type: &str, chunks: &[&[u8]]) -> (Vec<String>, Format, Ending) {
    let paths = Paths::new(&[("n", 'n'), ("m", 'm')], &[]);
    let mut body = Body::new(Some(content_type.as_bytes()));
    let mut found = Found::default();
    for chunk in chunks {
        body.feed(&paths, chunk, &mut found);
    }
    let ending = body.end(&paths, &mut found);
    if !found.current.is_empty() {
        found.value_end();
    }
    (found.values, body.format(), ending)
}

/// One answer, whatever the split.
fn every_split(content_type: &str, text: &str) -> (Vec<String>, Format, Ending) {
    let whole = read(content_type, &[text.as_bytes()]);
    let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    assert_eq!(read(content_type, &single), whole, "byte by byte: {text:?}");
    for cut in 0..=text.len() {
        let (head, tail) = text.as_bytes().split_at(cut);
        assert_eq!(read(content_type, &[head, tail]), whole, "cut at {cut}: {text:?}");
    }
    whole
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
        #![proptest_config(crate::testing::properties())]

        #[test]
        fn contract_any_bytes_are_survived_and_split_alike(text in "(data:? ?|[\r\n]|\\{\"n\":1\\}|\\[DONE\\]|event|:|\u{feff}|[a-z]){0,20}") {
            every_split(EVENTS, &text);
            every_split("application/json", &text);
        }
    }
}
