use wire::record::NotAsked;

use super::*;

/// A chunk as it leaves.
fn changed(change: Change, bytes: &[u8], written: Vec<u8>) -> Vec<u8> {
    match change {
        Change::None => {
            assert!(written.is_empty());
            bytes.to_vec()
        }
        Change::Behind => [bytes, &written].concat(),
        Change::Whole => written,
    }
}

/// A request rewritten in chunks of a size, with what is asked for then; its length was announced, or not.
fn ask(body: &[u8], size: usize, sized: bool) -> (Vec<u8>, Asking) {
    let mut ask = Ask::new(sized.then_some(body.len() as u64));
    let mut out = Vec::new();
    for chunk in body.chunks(size) {
        let mut written = Vec::new();
        let change = ask.feed(chunk, &mut written);
        out.extend(changed(change, chunk, written));
    }
    assert_eq!(ask.is_over(), sized);
    let mut written = Vec::new();
    let change = ask.end(&mut written);
    out.extend(changed(change, b"", written));
    (out, ask.asking())
}

/// The same for every size of chunk, and, where it was announced, always longer by the room.
fn every_ask(body: &str) -> (String, Asking) {
    let [sized, free] = [true, false].map(|sized| {
        let whole = ask(body.as_bytes(), usize::MAX, sized);
        for size in [1, 2, 3, 5, 8, 64] {
            let split = ask(body.as_bytes(), size, sized);
            assert_eq!(split, whole, "chunks of {size}: {} became {}", body, String::from_utf8_lossy(&split.0));
        }
        (String::from_utf8(whole.0).unwrap(), whole.1)
    });
    if !body.is_empty() {
        assert_eq!(sized.0.len(), body.len() + ROOM, "{body}");
    }
    if !matches!(sized.1, Asking::Not(_)) {
        let words = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!((words(&sized.0), sized.1), (words(&free.0), free.1), "{body}");
    }
    sized
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
const RESPONSE: &str =
    "data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"details\":{\"a\":[1]}}}\n\n";

cases! {
    fn contract_a_request_that_is_barred_keeps_what_it_has() {
        let barred = |body: &str| {
            let (mut ask, mut out) = (Ask::new(None), Vec::new());
            ask.set_bar(Some(NotAsked::NotKnown));
            let change = ask.feed(body.as_bytes(), &mut out);
            (String::from_utf8(changed(change, body.as_bytes(), out)).unwrap(), ask.asking(), ask.is_added())
        };
        let not = Asking::Not(NotAsked::NotKnown);
        assert_eq!(barred(r#"{"stream":true}"#), (r#"{"stream":true}"#.into(), not, false));
        assert_eq!(barred(r#"{"stream_options":null,"stream":true}"#).1, not);
        let moved = barred(r#"{"stream_options":{},"stream":true}"#).0;
        assert_eq!(moved, r#"{"stream":true,"stream_options":{}}"#);
        // A client that has options of its own knows that they are taken.
        assert_eq!(barred(r#"{"stream":true,"stream_options":{"x":1}}"#).1, Asking::Added);
        assert_eq!(barred(r#"{"stream":true,"stream_options":{"include_usage":true}}"#).1, Asking::Client);
        assert_eq!(barred(r#"{"stream":false}"#).1, Asking::No);
        assert_eq!(barred(r#"{"stream":true,"Stream":true}"#).1, Asking::Not(NotAsked::Ambiguous));
        // Go's reader folds the case as Unicode does: this is `stream` again.
        for again in ["\u{17f}tream", "\\u017ftream", "\\u017FTREAM"] {
            let body = format!(r#"{{"stream":true,"{again}":true}}"#);
            assert_eq!(barred(&body).1, Asking::Not(NotAsked::Ambiguous), "{body}");
        }
    }

    fn contract_a_question_is_alone_where_the_client_has_no_word_of_it() {
        for (body, alone) in [
            (r#"{"stream":true}"#, true),
            (r#"{"model":"m","stream":true,"x":{"stream_options":1}}"#, true),
            (r#"{"stream":false,"stream":true}"#, false),
            (r#"{"stream":true,"Stream":false}"#, false),
            (r#"{"stream":true,"\u017ftream":false}"#, false),
            (r#"{"stream":true,"stream_options":null}"#, false),
            (r#"{"stream":true,"stream_options":{"x":1}}"#, false),
            (r#"{"stream":true,"stream_options":{"include_usage":false}}"#, false),
            (r#"{"stream":true,"stream_options":{"include_usage":true}}"#, false),
            (r#"{"stream":false}"#, false),
        ] {
            let (mut ask, mut out) = (Ask::new(None), Vec::new());
            ask.feed(body.as_bytes(), &mut out);
            assert_eq!(ask.is_alone(), alone, "{body}");
        }
    }

    fn deterministic_a_stream_is_asked_for_its_usage() {
        let spaces = " ".repeat(80);
        for (body, expected) in [
            (r#"{"stream":true}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
            ("{\"model\":\"m\",\"stream\" : true ,\"x\":[{\"stream\":false}]}\n", "{\"model\":\"m\",\"stream\" : true ,\"x\":[{\"stream\":false}],\"stream_options\":{\"include_usage\":true}}\n"),
            (r#"{"stream_options":{},"stream":true}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
            (r#"{"stream":true,"stream_options":{"a":{"include_usage":1}}}"#, r#"{"stream":true,"stream_options":{"a":{"include_usage":1},"include_usage":true}}"#),
            (r#"{"stream":true,"stream_options":{"include_usage":false,"b":1}}"#, r#"{"stream":true,"stream_options":{"include_usage":true ,"b":1}}"#),
            (r#"{"stream":true,"stream_options":{"include_usage":null}}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
            (r#"{"stream":true,"stream_options":null}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
            // Options that say nothing, before it is known that there will be a stream.
            (r#"{"stream_options":null,"stream":true}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
            (r#"{ "a":1, "stream_options" : null , "stream":true}"#, r#"{ "a":1,  "stream":true,"stream_options":{"include_usage":true}}"#),
            (r#"{"stream":true,"stream_options":{ },"a":{}}"#, r#"{"stream":true,"a":{},"stream_options":{"include_usage":true}}"#),
            (r#"{"stream_options":null,"stream_options":null,"stream":true}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
            // Names as any reader decodes them.
            (r#"{"str\u0065am":true}"#, r#"{"str\u0065am":true,"stream_options":{"include_usage":true}}"#),
            (r#"{"stream":true,"stream_options":{},"met\u0061 \"data":{}}"#, r#"{"stream":true,"met\u0061 \"data":{},"stream_options":{"include_usage":true}}"#),
            (r#"{"stream":true,"\u0073\u0074\u0072\u0065\u0061\u006d\u005f\u006f\u0070\u0074\u0069\u006F\u006E\u0073":null}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
            (r#"{"stream":true,"stream_options":{"\u0069nclude_usage":false}}"#, r#"{"stream":true,"stream_options":{"\u0069nclude_usage":true }}"#),
            // Repeated names: each reading that streams has the option.
            (r#"{"stream":true,"stream":true}"#, r#"{"stream":true,"stream":true,"stream_options":{"include_usage":true}}"#),
            (r#"{"stream":false,"stream":true}"#, r#"{"stream":false,"stream":true,"stream_options":{"include_usage":true}}"#),
            (r#"{"stream":true,"stream_options":{"include_usage":true,"include_usage":false}}"#, r#"{"stream":true,"stream_options":{"include_usage":true,"include_usage":true }}"#),
            (r#"{"stream":true,"stream_options":{"include_usage":true},"stream_options":{"x":1}}"#, r#"{"stream":true,"stream_options":{"include_usage":true},"stream_options":{"x":1,"include_usage":true}}"#),
            (r#"{"stream":true,"stream_options":{"x":1},"stream_options":null}"#, r#"{"stream":true,"stream_options":{"x":1,"include_usage":true},"stream_options":{"include_usage":true}}"#),
            // What readers that are not strict take.
            ("\u{feff}{\"stream\":true,\"x\":NaN}", "\u{feff}{\"stream\":true,\"x\":NaN,\"stream_options\":{\"include_usage\":true}}"),
            (&format!(r#"{{"stream":true,"stream_options":{{{spaces}{spaces}}}}}"#), r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
        ] {
            let (out, asking) = every_ask(body);
            assert_eq!(asking, Asking::Added, "{body}");
            assert_eq!(out.split_whitespace().collect::<String>(), expected.split_whitespace().collect::<String>(), "{body}");
            if !body.contains("NaN") {
                let value: serde_json::Value = serde_json::from_str(&out).unwrap();
                assert_eq!(value["stream_options"]["include_usage"], true, "{body}");
            }
        }
    }

    fn deterministic_others_get_white_space_only() {
        for body in [
            r#"{"stream":false}"#, r#"{"model":"m"}"#, "{}", r#"{"stream":null}"#, r#"{"content":"\"stream\":true}"}"#,
            r#"{"stream":false,"stream_options":{"include_usage":false}}"#, r#"{"str\u0065am":false,"streams":true,"nested":{"stream":true}}"#,
            r#"{"Stream":false}"#, r#"{"stream_options":7}"#,
        ] {
            let (out, asking) = every_ask(body);
            assert_eq!((out.trim_end(), asking), (body, Asking::No));
        }
        // Options that say nothing may have moved.
        for body in [
            r#"{"stream_options":{"x":1},"stream_options":null,"stream":false}"#, r#"{"stream":false,"stream_options":{"x":1},"stream_options":{}}"#,
            r#"{"stream_options":null}"#, r#"{"stream_options":null,"a":1}"#, r#"{"a":1,"stream_options":{},"stream":false}"#,
        ] {
            let (out, asking) = every_ask(body);
            let [before, after] = [body, &out].map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap());
            assert_eq!((before, asking), (after, Asking::No), "{out}");
        }
        for body in [
            r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":false,"include_usage":true}}"#,
        ] {
            assert_eq!(every_ask(body).1, Asking::Client);
        }
    }

    fn contract_what_cannot_be_asked_says_why() {
        let long = " ".repeat(200);
        for (body, reason) in [
            (r#"{"stream":true,"stream":false}"#, NotAsked::Ambiguous),
            (r#"{"stream":"true"}"#, NotAsked::Ambiguous),
            (r#"{"stream":1}"#, NotAsked::Ambiguous),
            (r#"{"stream":true,"stream_options":7}"#, NotAsked::Ambiguous),
            (r#"{"stream":true,"stream_options":[{}]}"#, NotAsked::Ambiguous),
            (r#"{"stream":true,"stream_options":{"include_usage":"yes"}}"#, NotAsked::Ambiguous),
            (r#"{"stream":true,"stream_options":{"a":1},"stream_options":{"b":1}}"#, NotAsked::Ambiguous),
            (r#"{"stream":false,"stream_options":{"a":1},"stream":true}"#, NotAsked::Ambiguous),
            (r#"{"STREAM":true}"#, NotAsked::Ambiguous),
            (r#"{"\u017ftream":true}"#, NotAsked::Ambiguous),
            ("{\"stream\":true,\"\u{17f}tream_option\u{17f}\":{\"include_usage\":false}}", NotAsked::Ambiguous),
            (r#"{"stream":true,"Stream_Options":{"include_usage":false}}"#, NotAsked::Ambiguous),
            (&format!(r#"{{"stream_options":{long}null,"stream":true}}"#), NotAsked::Ambiguous),
            (&format!(r#"{{"stream_options":null{long},"stream":true}}"#), NotAsked::Ambiguous),
            (&format!(r#"{{"stream_options":{{}}{long},"stream":true}}"#), NotAsked::Ambiguous),
            ("[1]", NotAsked::Unreadable),
            ("{\"stream\":true // yes\n}", NotAsked::Unreadable),
            ("{'stream':true}", NotAsked::Unreadable),
            (r#"{"stream":true,}"#, NotAsked::Unreadable),
            (r#"{"stream":true"#, NotAsked::Unreadable),
        ] {
            let (_, asking) = every_ask(body);
            assert_eq!(asking, Asking::Not(reason), "{body}");
        }
    }

    fn contract_bytes_that_could_not_be_had_keep_the_length() {
        for begun in [&b"{\"stream\":"[..], b"{\"stream_o"] {
            let length = (begun.len() + 10) as u64;
            let mut ask = Ask::new(Some(length));
            let (mut first, mut second) = (Vec::new(), Vec::new());
            let change = ask.feed(begun, &mut first);
            let passed = changed(change, begun, first).len();
            assert!(!ask.is_over());
            assert_eq!(ask.pass(10, &mut second), Change::Behind);
            assert_eq!((passed + 10 + second.len()) as u64, length + ROOM as u64);
            assert_eq!((ask.asking(), ask.is_over()), (Asking::Not(NotAsked::Unreadable), true));
        }
    }

    fn contract_what_is_no_object_passes_with_its_length_kept() {
        for body in ["", "[1,2]", "<html>", "{\"stream\":true", "{\"stream\":true}{\"x\":1}", "{\"a\" 1}", "\u{feff}{}", "{\"a\":,}", "{\"stream_options\":nul", "{\"stream_options\":null"] {
            let (out, _) = every_ask(body);
            let mut rest = out.as_str();
            // Every byte of the body is there, in order; what is between them is the option or white space.
            for character in body.chars() {
                let at = rest.find(character).unwrap();
                rest = &rest[at + character.len_utf8()..];
            }
        }
    }

    fn contract_headers_say_what_may_be_changed() {
        let may = |headers: &[(&str, &'static str)]| changeable(|name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_bytes()));
        for (headers, expected) in [
            (&[("content-type", "application/json"), ("content-length", "7")][..], Ok(Some(7))),
            (&[("transfer-encoding", "chunked")], Ok(None)),
            (&[("content-type", "text/plain"), ("content-encoding", "identity"), ("authorization", "Bearer x")], Ok(None)),
            (&[("content-encoding", "gzip"), ("content-md5", "x")], Err(NotAsked::Encoded)),
            (&[("content-encoding", "pigeon")], Err(NotAsked::Encoded)),
            (&[("transfer-encoding", "gzip, chunked")], Err(NotAsked::Encoded)),
            (&[("content-md5", "x")], Err(NotAsked::Signed)),
            (&[("authorization", "aws4-HMAC-SHA256 Credential=x")], Err(NotAsked::Signed)),
            (&[("content-type", "Multipart/form-data; boundary=x")], Err(NotAsked::NotJson)),
            (&[("content-length", "many")], Err(NotAsked::Failed)),
        ] {
            assert_eq!(may(headers), expected, "{headers:?}");
        }
    }

    fn deterministic_the_response_is_taken_out_and_nothing_else() {
        let done = "data: [DONE]\n\n";
        for (stream, expected) in [
            (format!("{CHOICE}{CHOICE}{RESPONSE}{done}"), format!("{CHOICE}{CHOICE}{done}")),
            (format!(": comment\n\n{CHOICE}{RESPONSE}"), format!(": comment\n\n{CHOICE}")),
            (format!("{CHOICE}{}", RESPONSE.trim_end()), CHOICE.to_owned()),
            (format!("{CHOICE}{RESPONSE}{done}").replace('\n', "\r\n"), format!("{CHOICE}{done}").replace('\n', "\r\n")),
            (format!("{CHOICE}{RESPONSE}{done}").replace('\n', "\r"), format!("{CHOICE}{done}").replace('\n', "\r")),
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

    fn deterministic_nulls_are_taken_out_where_they_response_too() {
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
            let stream = format!("{}{RESPONSE}data: [DONE]\n\n", event(members));
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

    /// A name as JSON, with the letters escaped that `escapes` has a bit for.
    fn spelled(name: &str, escapes: u32) -> String {
        let letter = |(place, letter): (usize, char)| match escapes >> (place % 32) & 1 {
            1 => format!("\\u{:04x}", u32::from(letter)),
            _ => letter.to_string(),
        };
        format!("\"{}\"", name.chars().enumerate().map(letter).collect::<String>())
    }

    fn object(members: &[(String, String)], spaces: &[&str]) -> String {
        let mut space = spaces.iter().cycle();
        let mut space = || *space.next().unwrap();
        let members: Vec<String> = members
            .iter()
            .map(|(name, value)| format!("{}{name}{}:{}{value}{}", space(), space(), space(), space()))
            .collect();
        format!("{{{}}}", members.join(","))
    }

    /// What a request says beside what may be changed.
    fn without_the_option(mut request: Value) -> Value {
        let Some(members) = request.as_object_mut() else { return request };
        if let Some(options) = members.get_mut("stream_options").and_then(Value::as_object_mut) {
            options.remove("include_usage");
        }
        members.retain(|name, value| name != "stream_options" || !(value.is_null() || *value == json!({})));
        request
    }

    proptest! {
        #![proptest_config(cases::properties())]

        /// Whatever the spelling of a document, the same is asked of it, and nothing else is changed.
        #[test]
        fn deterministic_every_spelling_is_asked_alike(
            stream in prop_oneof![Just(None), Just(Some("true")), Just(Some("false")), Just(Some("null")), Just(Some("\"true\""))],
            options in prop_oneof![
                Just(None), Just(Some("null")), Just(Some("{}")), Just(Some(r#"{"include_usage":false}"#)), Just(Some(r#"{"x":1,"include_usage":null}"#)),
                Just(Some(r#"{"include_usage":true,"x":1}"#)), Just(Some(r#"{"x":{"y":[1,"}"]}}"#)), Just(Some("[]"))],
            escapes in any::<u32>(), order in Just(vec![0usize, 1, 2, 3]).prop_shuffle(), spaces in proptest::collection::vec(prop_oneof![Just(""), Just(" "), Just("\n\t")], 5),
        ) {
            let mut members = vec![("model", "\"m\"".to_owned()), ("messages", r#"[{"stream":false,"content":"x\"}{"}]"#.to_owned())];
            members.extend(stream.map(|stream| ("stream", stream.to_owned())));
            members.extend(options.map(|options| ("stream_options", options.to_owned())));
            let plain: Vec<_> = members.iter().map(|(name, value)| (spelled(name, 0), value.clone())).collect();
            let mut odd: Vec<_> = members.iter().map(|(name, value)| (spelled(name, escapes), value.replace("include_usage", spelled("include_usage", escapes).trim_matches('"')))).collect();
            let mut places: Vec<usize> = order.into_iter().filter(|place| *place < odd.len()).collect();
            odd = places.drain(..).map(|place| odd[place].clone()).collect();
            let (plain, odd) = (object(&plain, &[""]), object(&odd, &spaces.iter().map(|space| &**space).collect::<Vec<_>>()));
            let ((plain_out, plain_asking), (out, asking)) = (every_ask(&plain), every_ask(&odd));
            prop_assert_eq!(asking, plain_asking, "{} against {}", odd, plain);
            let [before, after, plain_after]: [Value; 3] = [&plain, &out, &plain_out].map(|text| serde_json::from_str(text).unwrap());
            if stream == Some("true") {
                prop_assert_eq!(&plain_after, &after);
            }
            prop_assert_eq!(without_the_option(before), without_the_option(after.clone()));
            if stream == Some("true") && options != Some("[]") {
                prop_assert_eq!(&after["stream_options"]["include_usage"], &json!(true));
                let who = if options.is_some_and(|options| options.contains("true")) { Asking::Client } else { Asking::Added };
                prop_assert_eq!(asking, who);
            }
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
