//! `meshmeter reconcile` and a collector that is away, cut off, or of another opinion.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::json;

use super::gate::{Fate, Gate};
use super::{Done, Ledger, lines, reconcile, run};
use crate::support::*;

#[test]
fn race_what_can_pass_is_tried_again_and_counts_once() {
    let ledger = Ledger::new();
    let Ledger { dir, gate, .. } = &ledger;
    let journal = dir.write("journal", lines(&events(&emitter(1), 1..=700)));
    gate.let_happen([
        Fate::Respond(503, r#"{"error":"busy"}"#),
        Fate::Cut,
        Fate::Respond(429, ""),
        Fate::CutResponse,
        Fate::Pass,
        // Committed, and the response lost: it comes again, as duplicates.
        Fate::CutResponse,
        Fate::Pass,
        Fate::Respond(500, "oops"),
    ]);
    let done = run(gate, &[&journal], &[]);
    assert_eq!(done.code, 0, "{}", done.error);
    assert!(done.error.contains("/v1/missing: returned 503: busy; trying again for 300 s"), "{}", done.error);
    done.counts(&[("sent", 700), ("accepted", 200), ("duplicates", 500), ("emitters_closed", 1)]);
    assert_eq!(ledger.events().len(), 700);
}

#[test]
fn contract_a_collector_that_stays_away_ends_it_with_what_was_wrong() {
    let ledger = Ledger::new();
    let Ledger { dir, gate, .. } = &ledger;
    let journal = dir.write("journal", lines(&events(&emitter(1), 1..=3)));
    let cases = [
        (
            Fate::Respond(503, r#"{"error":"too many batches are waiting"}"#),
            "returned 503: too many batches are waiting",
        ),
        (Fate::Respond(401, "{}"), "returned 401 (is the journal token right?)"),
        (
            Fate::Respond(403, r#"{"error":"not for this"}"#),
            "returned 403 (the token must be one of the journal's): not",
        ),
        (Fate::Respond(404, "<html>"), "returned 404 (is this a collector of this version?)"),
        (Fate::Respond(200, "<html>"), "/v1/missing does not respond like a collector"),
        (Fate::Respond(302, ""), "returned 302"),
        (Fate::Cut, "gave up"),
    ];
    for (fate, expected) in cases {
        // What can pass is asked once more with no patience at all.
        gate.let_happen([fate]);
        let done = run(gate, &[&journal], &["--patience", "0"]);
        assert_eq!(done.code, 1, "{expected}: {}", done.summary);
        assert!(done.error.contains(expected), "{expected:?} is not in {}", done.error);
        assert!(!done.error.contains(JOURNAL) && done.error.lines().count() == 1, "{}", done.error);
        assert_eq!((done.summary["complete"].as_bool(), done.summary["sent"].as_u64()), (Some(false), Some(0)));
    }
    assert!(ledger.events().is_empty());
}

#[test]
fn contract_an_event_that_the_collector_refuses_stands_alone() {
    let ledger = Ledger::new();
    let Ledger { dir, gate, .. } = &ledger;
    gate.poison("a1-77\"");
    let journal = dir.write("journal", lines(&events(&emitter(0xa1), 1..=600)));
    let done = run(gate, &[&journal], &[]);
    assert_eq!(done.code, 3, "{}", done.error);
    done.counts(&[("accepted", 599), ("refused", 1), ("sent", 599)]);
    let id = format!("{}-77", emitter(0xa1));
    assert_eq!(done.found("refused"), [&json!({ "id": id, "problem": "returned 400: poison" })]);
    assert!(gate.batches().len() < 25, "{} batches", gate.batches().len());
    assert_eq!(ledger.events().len(), 599);
}

#[test]
fn contract_https_goes_only_to_whom_a_known_authority_vouches_for() {
    let ledger = Ledger::new();
    let dir = &ledger.dir;
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = own.signing_key.serialize_der().try_into().unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let versions = rustls::ServerConfig::builder_with_provider(ring).with_safe_default_protocol_versions().unwrap();
    let tls = versions.with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key).unwrap();
    let gate = Gate::open_tls(ledger.server.address, tls);
    let url = format!("https://localhost:{}", gate.address.port());
    let journal = dir.write("journal", lines(&events(&emitter(1), 1..=3)));
    let reconcile = |authority: Option<&str>| {
        let mut command = meshmeter(&["reconcile", "--collector", &url, "--format", "json"]);
        command.arg(&journal).env("MESHMETER_JOURNAL_TOKEN", JOURNAL);
        if let Some(pem) = authority {
            command.arg("--ca-file").arg(dir.write("ca.pem", pem));
        }
        Done::of(command.output().unwrap())
    };
    for (authority, expected) in [
        (None, "certificate"),
        (Some(other.cert.pem()), "certificate"),
        (Some("no certificate".to_owned()), "--ca-file: has no certificate in PEM"),
    ] {
        let done = reconcile(authority.as_deref());
        assert!(done.code == 1 && done.error.contains(expected), "{}", done.error);
    }
    assert!(gate.calls().is_empty());
    // It does not try for minutes what can never work.
    let plain = url.replace("https:", "http:");
    let mut command = meshmeter(&["reconcile", "--collector", &plain, "--format", "json"]);
    let done = Done::of(command.arg(&journal).env("MESHMETER_JOURNAL_TOKEN", JOURNAL).output().unwrap());
    assert!(done.code == 1 && done.error.contains("does it speak TLS? Then name it https://"), "{}", done.error);
    let done = reconcile(Some(&own.cert.pem()));
    assert_eq!((done.code, done.error.as_str(), ledger.events().len()), (0, "", 3));
}

pub(super) fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

#[test]
fn race_killed_or_interrupted_in_the_middle_it_is_run_again() {
    for name in ["KILL", "INT", "TERM"] {
        let ledger = Ledger::new();
        let Ledger { dir, gate, server } = &ledger;
        let journal = dir.write("journal", lines(&events(&emitter(1), 1..=3000)));
        // Asked, one batch taken, and then nothing more goes.
        gate.let_happen([Fate::Pass, Fate::Pass]);
        gate.let_happen(vec![Fate::Respond(503, ""); 1000]);
        let mut command = reconcile(gate, &[journal.to_str().unwrap()]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        until("it was refused", || gate.calls().len() > 3);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        if name != "KILL" {
            let done = Done::of(output);
            assert_eq!(done.code, 1);
            assert!(
                done.error.contains("interrupted: what is counted here as accepted is in the ledger"),
                "{}",
                done.error
            );
            done.counts(&[("accepted", 500), ("sent", 500), ("emitters_closed", 0)]);
        }
        assert_eq!(ledger.events().len(), 500);
        let gate = Gate::open(server.address);
        run(&gate, &[&journal], &[]).counts(&[("accepted", 2500), ("duplicates", 500), ("emitters_closed", 1)]);
        assert_eq!(ledger.events().len(), 3000);
    }
}
