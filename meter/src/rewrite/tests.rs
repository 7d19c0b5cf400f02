use super::*;

/// A request rewritten in chunks of a size, with what is asked for then.
fn ask(body: &str, size: usize) -> (String, Asking) {
    let mut ask = Ask::new(body.len() as u64);
    let mut out = Vec::new();
    body.as_bytes().chunks(size).for_each(|chunk| ask.feed(chunk, &mut out));
    if body.is_empty() {
        ask.feed(b"", &mut out);
    }
    assert!(ask.is_over());
    (String::from_utf8(out).unwrap(), ask.asking())
}

/// The same for every size of chunk, and always longer by the announced room.
fn every_ask(body: &str) -> (String, Asking) {
    let whole = ask(body, usize::MAX);
    for size in [1, 2, 3, 5, 8] {
        assert_eq!(ask(body, size), whole, "chunks of {size}");
    }
    assert_eq!(whole.0.len(), body.len() + ROOM, "{body}");
    whole
}

fn withhold(stream: &str, size: usize, nulls: bool) -> String {
    let mut withhold = Withhold::new(nulls);
    let mut out = Vec::new();
    stream.as_bytes().chunks(size).for_each(|chunk| withhold.feed(chunk, &mut out));
    withhold.end(&mut out);
    String::from_utf8(out).unwrap()
}

fn every_withhold(stream: &str) -> String {
    every_withhold_of(stream, false)
}

fn every_withhold_of(stream: &str, nulls: bool) -> String {
    let whole = withhold(stream, usize::MAX, nulls);
    for size in 1..=stream.len().min(64) {
        assert_eq!(withhold(stream, size, nulls), whole, "chunks of {size}: {stream:?}");
    }
    whole
}

const CHOICE: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"}\\\"usage\\\"\"}}],\"usage\":null}\n\n";
const ANSWER: &str = "data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"details\":{\"a\":[1]}}}\n\n";

cases! {
    fn deterministic_a_stream_is_asked_for_its_usage() {
        for (body, expected) in [
            (r#"{"stream":true}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
            ("{\"model\":\"m\",\"stream\" : true ,\"x\":[{\"stream\":false}]}\n", "{\"model\":\"m\",\"stream\" : true ,\"x\":[{\"stream\":false}],\"stream_options\":{\"include_usage\":true}}\n"),
            (r#"{"stream_options":{},"stream":true}"#, r#"{"stream_options":{"include_usage":true},"stream":true                    }"#),
            (r#"{"stream":true,"stream_options":{"a":{"include_usage":1}}}"#, r#"{"stream":true,"stream_options":{"a":{"include_usage":1},"include_usage":true}                   }"#),
            (r#"{"stream":true,"stream_options":{"include_usage":false,"b":1}}"#, r#"{"stream":true,"stream_options":{"include_usage":true ,"b":1}                                        }"#),
            (r#"{"stream":true,"stream_options":{"include_usage":null}}"#, r#"{"stream":true,"stream_options":{"include_usage":true}                                        }"#),
            (r#"{"stream":true,"stream_options":null}"#, r#"{"stream":true,"stream_options":{"include_usage":true}                   }"#),
            (r#"{"stream":true,"stream_options":{},"met\u0061 \"data":{}}"#, r#"{"stream":true,"stream_options":{"include_usage":true},"met\u0061 \"data":{}}"#),
        ] {
            let (out, asking) = every_ask(body);
            assert_eq!(asking, Asking::Added, "{body}");
            assert_eq!(out.split_whitespace().collect::<String>(), expected.split_whitespace().collect::<String>(), "{body}");
            let value: serde_json::Value = serde_json::from_str(&out).unwrap();
            assert_eq!(value["stream_options"]["include_usage"], true, "{body}");
        }
    }

    fn deterministic_others_get_white_space_only() {
        for body in [
            r#"{"stream":false}"#, r#"{"model":"m"}"#, "{}", r#"{"stream":1}"#, r#"{"content":"\"stream\":true}"}"#,
            r#"{"stream":false,"stream_options":{"include_usage":false}}"#, r#"{"stream_options":null,"stream":true}"#,
            r#"{"str\u0065am":true,"stream":true}"#, r#"{"stream":true,"stream_options":7}"#,
        ] {
            let (out, asking) = every_ask(body);
            assert_eq!(asking, Asking::No, "{body}");
            let (before, after): (serde_json::Value, serde_json::Value) = (serde_json::from_str(body).unwrap(), serde_json::from_str(&out).unwrap());
            assert_eq!(before, after);
        }
        let asked = r#"{"stream":true,"stream_options":{"include_usage":true}}"#;
        assert_eq!(every_ask(asked).1, Asking::Client);
    }

    fn deterministic_a_body_that_cannot_ask_for_a_stream_stays_as_it_is() {
        for (body, passes) in [(r#"{"model":"m"}"#, true), ("oops", true), (r#"{"stream":false}"#, false), (r#"{"x":"stream"}"#, false)] {
            let mut ask = Ask::new(body.len() as u64);
            assert_eq!((ask.passes(body.as_bytes()), ask.is_over(), ask.asking()), (passes, passes, Asking::No), "{body}");
            let mut out = Vec::new();
            ask.feed(if passes { b"" } else { body.as_bytes() }, &mut out);
            assert_eq!(out.len(), if passes { 0 } else { body.len() + ROOM }, "{body}");
        }
        let mut ask = Ask::new(20);
        assert!(!ask.passes(br#"{"model":"m""#), "half a body");
        ask.feed(br#"{"model":"m""#, &mut Vec::new());
        assert!(!ask.passes(b"      }"), "its other half");
    }

    fn contract_bytes_that_could_not_be_had_keep_the_length() {
        let mut ask = Ask::new(20);
        let mut out = Vec::new();
        ask.feed(b"{\"stream\":", &mut out);
        assert!(!ask.is_over());
        ask.missed(10, &mut out);
        assert_eq!((out.len(), ask.asking(), ask.is_over()), (10 + ROOM, Asking::No, true));
    }

    fn contract_what_is_no_object_passes_with_its_length_kept() {
        for body in ["", "[1,2]", "<html>", "{\"stream\":true", "{\"stream\":true}{\"x\":1}", "{\"a\" 1}", "\u{feff}{}", "{\"a\":,}"] {
            let (out, _) = every_ask(body);
            let mut rest = out.as_str();
            // Every byte of the body is there, in order; what is between them is the option or white space.
            for character in body.chars() {
                let at = rest.find(character).unwrap();
                rest = &rest[at + character.len_utf8()..];
            }
        }
    }

    fn deterministic_the_answer_is_taken_out_and_nothing_else() {
        let done = "data: [DONE]\n\n";
        for (stream, expected) in [
            (format!("{CHOICE}{CHOICE}{ANSWER}{done}"), format!("{CHOICE}{CHOICE}{done}")),
            (format!(": comment\n\n{CHOICE}{ANSWER}"), format!(": comment\n\n{CHOICE}")),
            (format!("{CHOICE}{}", ANSWER.trim_end()), CHOICE.to_owned()),
            (format!("{CHOICE}{ANSWER}{done}").replace('\n', "\r\n"), format!("{CHOICE}{done}").replace('\n', "\r\n")),
            (format!("{CHOICE}{ANSWER}{done}").replace('\n', "\r"), format!("{CHOICE}{done}").replace('\n', "\r")),
            ("data: {\"choices\":[]}\n\n".into(), "data: {\"choices\":[]}\n\n".into()),
            ("data: {\"choices\":[],\"usage\":null}\n\n".into(), "data: {\"choices\":[],\"usage\":null}\n\n".into()),
            ("data: {\"usage\":{},\"choices\":[{}]}\n\n".into(), "data: {\"usage\":{},\"choices\":[{}]}\n\n".into()),
            ("event: x\ndata: {\"error\":{}}\n\nretry: 5\n".into(), "event: x\ndata: {\"error\":{}}\n\nretry: 5\n".into()),
            ("data: {\"choices\":[{\"cut".into(), "data: {\"choices\":[{\"cut".into()),
            ("no stream at all".into(), "no stream at all".into()),
        ] {
            assert_eq!(every_withhold(&stream), expected, "{stream:?}");
        }
    }

    fn deterministic_nulls_are_taken_out_where_they_answer_too() {
        let event = |members: &str| format!("data: {{\"id\":\"x\",\"choices\":[{{\"usage\":null,\"t\":\",\\\"usage\\\":null\"}}]{members}}}\n\n");
        for (members, expected) in [
            (",\"usage\":null", ""),
            (", \"usage\" : null , \"y\":1", " , \"y\":1"),
            (",\"usage\":null,\"obfuscation\":\"abc\"", ",\"obfuscation\":\"abc\""),
            (",\"usage\":nullx", ",\"usage\":nullx"),
            (",\"usage\":{\"a\":null}", ",\"usage\":{\"a\":null}"),
            (",\"usage\":7,\"us\\u0061ge\":null,\"z\":null", ",\"usage\":7,\"us\\u0061ge\":null,\"z\":null"),
            (",\"usage_of_a_very_long_name\":null", ",\"usage_of_a_very_long_name\":null"),
        ] {
            let stream = format!("{}{ANSWER}data: [DONE]\n\n", event(members));
            assert_eq!(every_withhold_of(&stream, true), format!("{}data: [DONE]\n\n", event(expected)));
            assert_eq!(every_withhold_of(&stream, false), format!("{}data: [DONE]\n\n", event(members)));
        }
        let far = format!(",{}\"usage\":null", " ".repeat(100));
        assert_eq!(every_withhold_of(&event(&far), true), event(&far), "white space without end is no null");
    }

    fn contract_a_long_event_does_not_wait() {
        let long = format!("data: {{\"x\":\"{}\"", "y".repeat(20_000));
        let mut withhold = Withhold::new(true);
        let mut out = Vec::new();
        long.as_bytes().chunks(1000).for_each(|chunk| withhold.feed(chunk, &mut out));
        assert_eq!(out.len(), long.len());
    }

    fn contract_a_choice_passes_at_once() {
        let mut withhold = Withhold::new(true);
        let mut out = Vec::new();
        withhold.feed(b"data: {\"id\":\"x\",\"choices\":[{\"delta\"", &mut out);
        assert_eq!(out, b"data: {\"id\":\"x\",\"choices\":[{\"delta\"");
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    proptest! {
        #![proptest_config(crate::testing::properties())]

        #[test]
        fn deterministic_the_rewritten_body_differs_only_where_it_should(
            stream in prop_oneof![Just(Value::Null), Just(json!(true)), Just(json!(false)), Just(json!("true"))],
            options in prop_oneof![
                Just(None), Just(Some(Value::Null)), Just(Some(json!({}))), Just(Some(json!({"include_usage":false}))),
                Just(Some(json!({"include_usage":true,"x":1}))), Just(Some(json!({"x":{"y":[1,"}"]}}))), Just(Some(json!([])))],
            text in "\\PC{0,20}", pretty in any::<bool>(),
        ) {
            let mut body = json!({"a": text, "messages": [{"content": "x\"}{"}], "stream": stream, "z": {"stream": true}});
            if let Some(options) = options {
                body["stream_options"] = options;
            }
            let written = if pretty { serde_json::to_string_pretty(&body) } else { serde_json::to_string(&body) }.unwrap();
            let (out, asking) = every_ask(&written);
            let mut after: Value = serde_json::from_str(&out).unwrap();
            if asking == Asking::Added {
                prop_assert_eq!(&after["stream_options"]["include_usage"], &json!(true));
            }
            // Without the option, both are the same.
            for value in [&mut after, &mut body] {
                if let Some(options) = value.get_mut("stream_options").and_then(Value::as_object_mut) {
                    options.remove("include_usage");
                }
                let none = value.get("stream_options").is_none_or(|options| options.is_null() || *options == json!({}));
                if none {
                    value.as_object_mut().unwrap().remove("stream_options");
                }
            }
            prop_assert_eq!(after, body);
        }

        #[test]
        fn contract_any_stream_is_survived_and_split_alike(stream in "(data: ?|\\{\"choices\":\\[\\]|\\{\"choices\":\\[\\{|\\}\\]|,\"usage\":\\{\\}\\}|\r|\n|\n\n|\\[DONE\\]|x){0,24}") {
            for nulls in [false, true] {
                let out = every_withhold_of(&stream, nulls);
                prop_assert!(out.len() <= stream.len());
            }
        }
    }
}
