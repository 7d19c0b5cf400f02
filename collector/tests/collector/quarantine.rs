//! What is quarantined: said in the log, listed, and charged or dismissed by a person.

use wire::usage::Class;

use crate::auditing::run;
use crate::support::*;

#[test]
fn contract_what_is_quarantined_is_said_in_the_log_and_charged_or_dismissed_once() {
    let dir = Dir::new();
    let file = dir.write_secret("tokens", "east token-of-the-east max_tokens=4\nwest token-of-the-west\n");
    let server = Server::start(&dir, &["--ingest-token-file", file.to_str().unwrap()]);
    let send = |token: &str, sequences: &[u64]| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", BATCH)];
        server.post(&headers, &array(&events(&emitter(1), sequences.iter().copied()))).json()
    };
    assert_eq!(send("token-of-the-east", &[1, 2, 3])["alarms"], 3, "five tokens each");
    let said = format!(
        "warn  alarm: 3 events of the credential east are quarantined and not charged, the first is {}-1; \
         `meshmeter alarms` says why",
        emitter(1)
    );
    assert!(server.log().contains(&said), "{}", server.log());
    let table = run(&dir, &["alarms"]).1;
    assert!(table.contains("meshmeter release CALL --reason TEXT --prices FILE\n"), "{table}");
    assert!(
        table.contains("meshmeter release CALL --reason TEXT --void (or --digest DIGEST in CALL's place)\n"),
        "{table}"
    );
    let id = |number: u64| format!("{}-{number}", emitter(1));
    let release =
        |number, more: &[&str]| run(&dir, &[&["release", &id(number), "--reason", "looked at"], more].concat());
    let (code, out, _) = release(1, &[]);
    assert!(code == 0 && out.contains("it has no price, for no book was named: rate it with"), "{out}");
    let (code, out, _) = release(2, &["--prices", price_book().to_str().unwrap()]);
    assert!(code == 0 && out.ends_with(", charged 0.000022 USD\n"), "{out}");
    let (code, out, _) = release(3, &["--prices", price_book().to_str().unwrap(), "--void"]);
    let end = format!(":3, call {}, charged to nobody\n", id(3));
    assert!(code == 0 && out.starts_with("dismissed: entry ") && out.ends_with(&end), "{out}");
    let (code, _, error) = release(3, &["--void"]);
    let nothing = format!("meshmeter: nothing is quarantined under {}, or it was released before\n", id(3));
    assert_eq!((code, error), (1, nothing));
    assert_eq!(dir.texts("SELECT kind FROM ledger ORDER BY entry"), ["release", "release", "release", "reversal"]);
    assert_eq!(dir.number("SELECT count(*) FROM ledger WHERE reason = 'looked at'"), 4);
    assert_eq!(dir.number("SELECT sum(quantity) FROM rollup WHERE class = 'calls'"), 2);
    assert_eq!(run(&dir, &["gaps"]).0, 0, "{}", run(&dir, &["gaps"]).1);
    assert_eq!(send("token-of-the-east", &[3])["duplicates"], 1, "its number is spent");
    // A stranger's event that is dismissed spends no number of whoever has the emitter.
    assert_eq!(send("token-of-the-west", &[4])["alarms"], 1);
    assert_eq!(release(4, &["--void"]).0, 0);
    let small = wire::event::encode(&record("gpt-4.1", &[(Class::InputText, 1)]), &emitter(1), 4);
    let headers = [("authorization", "Bearer token-of-the-east"), ("content-type", BATCH)];
    assert_eq!(server.post(&headers, &array(&[small])).taken(), (1, 0, 0));
    assert_eq!((run(&dir, &["verify"]).0, run(&dir, &["gaps"]).0), (0, 0));
}

#[test]
fn contract_a_dismissed_event_does_not_replace_what_another_meter_saw_of_its_call() {
    let dir = Dir::new();
    let file = dir.write_secret("tokens", "east token-of-the-east\nwest token-of-the-west max_tokens=4\n");
    let server = Server::start(&dir, &["--ingest-token-file", file.to_str().unwrap()]);
    let mut seen = record("gpt-4.1", &[(Class::InputText, 3)]);
    seen.response_id = Some("chatcmpl-1".to_owned());
    seen.request_id = Some("request-1".to_owned());
    seen.proxy = Some("sidecar".to_owned());
    seen.evidence = wire::record::Evidence::Estimated;
    let honest = wire::event::encode(&seen, &emitter(1), 1);
    seen.proxy = Some("gateway".to_owned());
    seen.evidence = wire::record::Evidence::Reported;
    seen.usage.set(Class::InputText, Some(9));
    let better = wire::event::encode(&seen, &emitter(2), 1);
    for (token, event, alarms) in [("token-of-the-east", honest, 0), ("token-of-the-west", better, 1)] {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", BATCH)];
        assert_eq!(server.post(&headers, &array(&[event])).json()["alarms"], alarms);
    }
    assert_eq!(run(&dir, &["release", &format!("{}-1", emitter(2)), "--reason", "x", "--void"]).0, 0);
    assert_eq!(dir.number("SELECT sum(quantity) FROM rollup WHERE class = 'input_text_tokens'"), 3);
    assert_eq!(run(&dir, &["verify"]).0, 0);
}
