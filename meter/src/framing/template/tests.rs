use super::*;
use crate::framing::{Body, Values};
use crate::fuzz;
use crate::scan::Paths;

/// Counts how often a text is told of, and keeps what flows.
#[derive(Default)]
struct Told {
    texts: usize,
    flow: String,
    values: usize,
}

impl Sink<char> for Told {
    fn scalar(&mut self, _: char, _: Scalar<'_>) {
        self.texts += 1;
    }
    fn raw_begin(&mut self, _: char) {}
    fn raw(&mut self, _: char, _: &[u8]) {}
    fn raw_end(&mut self, _: char) {}
    fn flow(&mut self, _: char, Piece { bytes, .. }: Piece<'_>) {
        self.flow.push_str(&String::from_utf8_lossy(bytes));
        self.flow.push('|');
    }
}

impl Values<char> for Told {
    fn value_end(&mut self) {
        self.values += 1;
    }
}

fn read(stream: &str) -> Told {
    let (mut body, mut told) = (Body::new(None), Told::default());
    let paths = Paths::new(&[("model", 'm'), ("n", 'n')], &[("usage", 'u')], &[("choices[].text", 't')]);
    body.feed(&paths, stream.as_bytes(), &mut told);
    told
}

cases! {
    fn deterministic_events_that_repeat_are_not_walked_again() {
        let event = |id: &str, text: &str, pad: &str| {
            format!("data: {{\"id\":\"{id}\",\"model\":\"m\",\"choices\":[{{\"i\":0,\"text\":\"{text}\"}}],\"pad\":\"{pad}\"}}\n\n")
        };
        // The second event shows that the padding differs, the last one that the id does.
        let words = [("1", "The", "x"), ("1", " \\\"fox\\\"", "xyz"), ("1", "", ""), ("1", "\\u00e9", "x\\ny"), ("2", ".", "")];
        for end in ["\n\n", "\r\n\r\n", "\r\r"] {
            let stream = words.map(|(id, text, pad)| event(id, text, pad).replace("\n\n", end)).concat();
            let told = read(&stream);
            assert_eq!((told.texts, told.values), (3, 5), "{end:?}");
            assert_eq!(told.flow, "The| \\\"fox\\\"||\\u00e9|.|");
        }
        let numbers: String = (0..9).map(|k| format!("event: x\ndata: {{\"model\":\"m\",\"k\":{k}}}\n\n")).collect();
        assert_eq!(read(&numbers).texts, 2);
    }

    fn contract_what_adds_up_is_walked_every_time() {
        for event in [r#"{"model":"m","n":1}"#, r#"{"model":"m","usage":{}}"#, r#"{"model":"m","n":true}"#, r#"{"n":"m","n":2}"#] {
            let told = read(&format!("data: {event}\n\n").repeat(4));
            assert_eq!(told.texts % 4, 0, "{event}");
        }
        // Too long to be kept, and broken.
        let long = format!("{{\"model\":\"m\",\"pad\":\"{}\"}}", "x".repeat(MAX_EVENT));
        assert_eq!(read(&format!("data: {long}\n\n").repeat(4)).texts, 4);
        assert_eq!(read("data: {\"model\":\"m\"}}\n\n".repeat(4).as_str()).texts, 4);
    }

    fn contract_what_only_looks_alike_is_walked() {
        let first = r#"{"type":"a","text":"b","k":1,"l":"c"}"#;
        for second in [
            // The text ends elsewhere, or its line does.
            r#"{"type":"a","text":"b\","k":1,"l":"c"}"#,
            r#"{"type":"a","text":"b","n":7,"k":1,"l":"c"}"#,
            "{\"type\":\"a\",\"text\":\"b\ndata: \",\"k\":1,\"l\":\"c\"}",
            "{\"type\":\"a\",\"text\":\"b\\\ndata: \",\"k\":1,\"l\":\"c\"}",
            // No number, no literal, and other values in their place.
            r#"{"type":"a","text":"b","k":1x,"l":"c"}"#,
            r#"{"type":"a","text":"b","k":,"l":"c"}"#,
            r#"{"type":"a","text":"b","k":"1","l":"c"}"#,
            r#"{"type":"a","text":null,"k":null,"l":"c"}"#,
            r#"{"type":"a","text":"b","k":[2],"l":{}}"#,
            // More behind it, or less.
            r#"{"type":"a","text":"b","k":1,"l":"c","n":5}"#,
            r#"{"type":"a","text":"b","k":1,"l":"c"} "#,
            r#"{"type":"a","text":"b","k":1,"l":"c"}}"#,
            r#"{"type":"a","text":"b","k":1,"l":"c""#,
            r#"{"type":"z","text":"b","k":1,"l":"c"}"#,
        ] {
            // A third one shows first what differs.
            let third = r#"{"type":"a","text":"bb","k":22,"l":"cc"}"#;
            for events in [[first, third, second, first], [first, first, second, third], [second, second, first, third]] {
                for end in ["\n\n", "\r\n\r\n"] {
                    fuzz::framing(events.map(|event| format!("data: {event}{end}")).concat().as_bytes());
                }
            }
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use super::*;
    use proptest::prelude::*;

    /// Members that a reader wants, or not; few enough that events repeat.
    fn event() -> impl Strategy<Value = String> {
        let value = "\"[a-b]{0,3}\"|\"\\\\\\\\\"|\"\\\\\"\"|-?[0-9]{1,3}|null|true|[xX]|\\[1\\]|\\{\"n\":3\\}";
        let member = ("type|text|n|k|l|bytes|usage", value).prop_map(|(name, value)| format!("\"{name}\":{value}"));
        proptest::collection::vec(member, 1..4).prop_map(|members| format!("{{{}}}", members.join(",")))
    }

    proptest! {
        #![proptest_config(cases::properties())]

        #[test]
        fn contract_repeating_streams_are_read_as_byte_by_byte(
            events in proptest::collection::vec(event(), 1..4),
            order in proptest::collection::vec((0..4usize, 0..6usize), 1..12),
        ) {
            let changed = |(which, change): &(usize, usize)| {
                let event = &events[which % events.len()];
                // The same event with a digit or a letter that differs.
                match change {
                    0 => event.replace('1', "2"),
                    1 => event.replace('a', "ab"),
                    2 => event.replace('a', ""),
                    _ => event.clone(),
                }
            };
            let stream: String = order.iter().map(|step| format!("data: {}\n\n", changed(step))).collect();
            fuzz::framing(stream.as_bytes());
        }
    }
}
