use std::sync::LazyLock;

use proptest::prelude::*;
use wire::identity::{Identity, Source};
use wire::record::{Evidence, Outcome, Record};
use wire::usage::{Class, Usage};

use super::super::wrapping::{Joiner, Unwrapped};
use super::*;

const EMITTER: &str = "000000000000000000000000000000a1";

fn event(sequence: u64) -> String {
    let mut usage = Usage::default();
    usage.set(Class::InputText, Some(3));
    let record = Record {
        started_ns: 1_769_903_999_999_999_999,
        identity: Identity { tenant: "acme".to_owned(), source: Source::Header, principal: None },
        provider: "openai".to_owned(),
        api: "openai_chat".to_owned(),
        operation: "chat".to_owned(),
        // What a client may write into a log: quotes, backslashes, control characters, an event.
        request_model: Some("a \"model\" \\ \u{1}\u{7f} {\"specversion\":\"1.0\"}".to_owned()),
        response_model: Some("modèle".to_owned()),
        status: Some(200),
        outcome: Outcome::Completed,
        evidence: Evidence::Reported,
        usage,
        raw_usage: Some(r#"{"usage":{"prompt_tokens":3}}"#.to_owned()),
        ..Record::default()
    };
    String::from_utf8(wire::event::encode(&record, EMITTER, sequence)).unwrap()
}

fn id(sequence: u64) -> Id {
    Id { emitter: 0xa1, sequence }
}

fn access(record: &serde_json::Value) -> String {
    serde_json::json!({
        "time": "2026-11-20T19:35:00.000Z", "method": "POST", "authority": "api.openai.com",
        "path": "/v1/chat/completions", "status": 200, "details": "via_upstream", "flags": "-", "cluster": "openai",
        "meshmeter_tenant": null, "meshmeter_record": record,
    })
    .to_string()
}

/// The events of a line and what else it is.
fn look(line: impl AsRef<[u8]>) -> (Vec<(Id, String)>, &'static str) {
    let found = read(line.as_ref());
    let kind = match (&found.call, &found.torn, found.blank) {
        (None, None, false) if found.is_foreign() => "foreign",
        (None, None, false) => "",
        (Some(_), None, false) => "call",
        (None, Some(None), false) => "torn",
        (None, Some(Some(id)), false) if *id == self::id(1) => "torn 1",
        (None, None, true) => "blank",
        _ => "mixed",
    };
    (found.events.into_iter().map(|(id, event)| (id, event.into_owned())).collect(), kind)
}

fn events(sequences: &[u64]) -> Vec<(Id, String)> {
    sequences.iter().map(|sequence| (id(*sequence), event(*sequence))).collect()
}

#[test]
fn contract_an_event_is_taken_byte_for_byte() {
    let spaced = event(1).replacen(':', " : ", 1);
    assert_eq!(look(event(1)), (events(&[1]), ""));
    assert_eq!(look(format!("  {}\r", event(1))), (events(&[1]), ""));
    assert_eq!(look(&spaced), (vec![(id(1), spaced.clone())], ""));
    let later = event(7).replace("meshmeter.call.v1", "meshmeter.call.v2");
    assert_eq!(look(&later), (vec![(id(7), later.clone())], ""), "the collector says what is too new for it");
}

#[test]
fn contract_the_access_log_gives_the_events_of_a_call() {
    assert_eq!(look(access(&event(1).into())), (events(&[1]), ""));
    let with_parts = format!("{}\n{}\n{}", event(1), event(2), event(3));
    assert_eq!(look(access(&with_parts.into())), (events(&[1, 2, 3]), ""));
    for none in [serde_json::Value::Null, "-".into(), "".into()] {
        assert_eq!(look(access(&none)), (vec![], "call"));
    }
    for broken in [serde_json::json!("{\"specversion\":"), serde_json::json!({"a": 1}), 5.into()] {
        assert_eq!(look(access(&broken)), (vec![], "torn"), "a record that cannot be read is no call without one");
    }
}

#[test]
fn contract_shippers_may_wrap_the_line_and_parse_the_record() {
    let parsed: serde_json::Value = serde_json::from_str(&event(1)).unwrap();
    let sorted = parsed.to_string();
    assert_ne!(sorted, event(1), "serde_json sorts the names");
    for line in [
        access(&parsed),
        serde_json::json!({ "log": parsed }).to_string(),
        serde_json::json!({ "message": event(1), "host": "gateway" }).to_string(),
        serde_json::json!({ "log": { "message": access(&event(1).into()) } }).to_string(),
        serde_json::json!({ "message": serde_json::from_str::<serde_json::Value>(&access(&parsed)).unwrap() })
            .to_string(),
    ] {
        assert_eq!(look(&line), (events(&[1]), ""), "{line}");
    }
    let later = sorted.replace("meshmeter.call.v1", "meshmeter.call.v2");
    assert_eq!(look(format!("{{\"log\":{later}}}")), (vec![(id(1), later)], ""), "of another version: as it stands");
    let deep = (0..9).fold(event(1), |line, _| serde_json::json!({ "log": line }).to_string());
    assert_eq!(look(deep), (vec![], "foreign"));
}

#[test]
fn contract_torn_lines_are_known_and_whole_ones_behind_them_are_taken() {
    let whole = event(1);
    // The id is told as soon as it is whole.
    let told = whole.find("a1-1\"").unwrap() + "a1-1\"".len();
    for end in 1..whole.len() {
        let head = &whole.as_bytes()[..end];
        let kind = if end >= told { "torn 1" } else { "torn" };
        assert_eq!(look(head), (vec![], kind), "{}", String::from_utf8_lossy(head));
        let glued = [head, event(2).as_bytes()].concat();
        assert_eq!(look(&glued), (events(&[2]), kind), "{}", String::from_utf8_lossy(&glued));
    }
    let line = access(&event(1).into());
    for end in 1..line.len() {
        let glued = [&line.as_bytes()[..end], access(&event(2).into()).as_bytes()].concat();
        assert_eq!(look(&glued), (events(&[2]), "torn"), "{}", String::from_utf8_lossy(&glued));
    }
    assert_eq!(look(&whole[10..]), (vec![], "torn"), "the beginning is missing");
    let zeros = [&[0; 512], whole.as_bytes()].concat();
    assert_eq!(look(zeros), (events(&[1]), "torn"));
}

#[test]
fn contract_nothing_is_taken_out_of_the_middle_of_a_line() {
    let forged = event(1);
    for line in [
        format!("[2026-11-20T19:35:00.000Z] \"POST /v1/chat HTTP/1.1\" 200 \"{forged}"),
        format!("{{\"agent\":\"curl\" {forged}"),
        format!("{{\"agent\":\"{forged}\"}}"),
        format!("agent={forged}"),
        serde_json::json!({ "agent": forged }).to_string(),
        serde_json::json!([forged]).to_string(),
        format!("[{forged}]"),
    ] {
        assert_eq!(look(&line).0, vec![], "{line}");
    }
}

#[test]
fn contract_foreign_lines_are_told_from_torn_ones() {
    for foreign in
        ["hello", "{}", "[]", "5", "{ not json", "[2026] warning", "{\"id\":1,\"id\":2}", "\"text\"", "\u{fffd}"]
    {
        assert_eq!(look(foreign), (vec![], "foreign"), "{foreign}");
    }
    let other = event(1).replace("meshmeter.call.v1", "com.example.other");
    assert_eq!(look(other), (vec![], "foreign"));
    for id in ["", "a1-1", "000000000000000000000000000000A1-1", "000000000000000000000000000000a1-01"] {
        let renamed = event(1).replace(&format!("{EMITTER}-1"), id);
        assert_eq!(look(renamed), (vec![], "foreign"), "{id}");
    }
    for blank in ["", "-", " \t", "-\r"] {
        assert_eq!(look(blank), (vec![], "blank"));
    }
}

/// Pieces of which hostile lines are made.
static PIECES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let words = ["{\"", "\":", "{", "}", "\"", "\\", "[", ",", "null", "\0", "\u{fffd}", "-", " ", "1e999"];
    let more = [event(1), access(&event(2).into()), access(&serde_json::Value::Null), "{\"log\":".to_owned()];
    let cri = "2026-11-20T19:35:00.1Z stdout P ".to_owned();
    words.map(str::to_owned).into_iter().chain(more).chain([cri]).map(String::into_bytes).collect()
});

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        (0..PIECES.len()).prop_map(|index| PIECES[index].clone()),
        (0..PIECES.len(), any::<prop::sample::Index>())
            .prop_map(|(index, cut)| PIECES[index][..cut.index(PIECES[index].len())].to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    let line = prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat());
    line.prop_map(|line| line.into_iter().filter(|byte| *byte != b'\n').collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Any bytes: no panic, and what is taken are bytes of an event that stand in the line.
    #[test]
    fn deterministic_hostile_lines_give_nothing_that_is_not_in_them(line in hostile()) {
        for (found, bytes) in read(&line).events {
            prop_assert!(found == id(1) && bytes == event(1) || found == id(2) && bytes == event(2), "{bytes}");
        }
    }

    /// Whatever comes before, whole lines are found.
    #[test]
    fn deterministic_whole_lines_are_found_between_hostile_ones(lines in prop::collection::vec(hostile(), 0..6)) {
        let mut file = Vec::new();
        for line in &lines {
            file.extend_from_slice(line);
            file.extend_from_slice(format!("\n{}\n", event(9)).as_bytes());
        }
        let mut joiner = Joiner::default();
        let mut count = 0;
        for line in file.split(|byte| *byte == b'\n') {
            if let Unwrapped::Line(line) = joiner.unwrap(line) {
                count += read(&line).events.iter().filter(|(found, _)| *found == id(9)).count();
            }
        }
        prop_assert_eq!(count, lines.len());
    }
}

#[test]
fn contract_records_in_envoys_own_log_are_found_and_nothing_that_only_looks_so() {
    let place = "source/extensions/common/wasm/context.cc:1157";
    let names = "wasm log meshmeter meshmeter meshmeter";
    let standalone = format!("[2026-11-20 19:51:59.135][19989][info][wasm] [{place}] {names}: {LOGGED}{}", event(1));
    let istio =
        format!("2026-11-20T19:51:59.135Z\tinfo\tenvoy wasm external/envoy/{place}\t{names}: {LOGGED}{}", event(1));
    for line in [&standalone, &istio] {
        assert_eq!(look(line), (vec![(id(1), event(1))], ""), "{line}");
    }
    assert_eq!(look(&standalone[..standalone.len() - 9]), (vec![], "torn 1"));
    let others = [
        format!("[2026-11-20 19:51:59.135][19989][info][wasm] [{place}] wasm log other: path \"{LOGGED}{}", event(1)),
        format!(
            "[2026-11-20 19:51:59.135][19989][info][wasm] [{place}] wasm log other: agent curl: {LOGGED}{}",
            event(1)
        ),
        format!("[2026-11-20 19:51:59.135][19989][info][http] [source/common/http.cc:1] {names}: {LOGGED}{}", event(1)),
        format!("{LOGGED}{}", event(1)),
        format!("[2026-11-20T19:51:59.135Z] \"GET /{place} {names}: {LOGGED}{}", event(1)),
        format!("[2026-11-20 19:51:59.135][19989][info][wasm] [{place}] {names}: something else"),
    ];
    for line in others {
        assert!(look(&line).0.is_empty(), "{line}");
    }
}

/// A client may write the words of Envoy's own log into each of a record's texts: its line stays what it is.
#[test]
fn contract_no_client_hides_its_record_behind_the_words_of_envoys_own_log() {
    let words = "source/extensions/common/wasm/ wasm log a: meshmeter: record {\"";
    let mut record = wire::event::decode(event(1).as_bytes()).unwrap().record;
    let place = |record: &mut Record, at: usize| {
        let texts: [&mut Option<String>; 3] =
            [&mut record.request_id, &mut record.session_id, &mut record.request_model];
        *texts.into_iter().nth(at).unwrap() = Some(words.to_owned());
    };
    for at in 0..3 {
        place(&mut record, at);
        let event = String::from_utf8(wire::event::encode(&record, EMITTER, 1)).unwrap();
        let held = (vec![(id(1), event.clone())], "");
        let mut call: serde_json::Value = serde_json::from_str(&access(&serde_json::json!(event))).unwrap();
        call["path"] = words.into();
        for line in [event.clone(), access(&serde_json::json!(event)), call.to_string()] {
            assert_eq!(look(&line), held, "{line}");
            let wrapped = serde_json::json!({"log": format!("{line}\n"), "stream": "stdout"}).to_string();
            assert_eq!(look(&wrapped), held, "{wrapped}");
        }
        assert_eq!(look(&event[..event.len() - 9]), (vec![], "torn 1"));
    }
    // What is left of a line whose beginning was never written.
    let event = String::from_utf8(wire::event::encode(&record, EMITTER, 1)).unwrap();
    assert_eq!(look(&event[40..]), (vec![], "torn"));
}
