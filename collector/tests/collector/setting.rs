//! `meshmeter budgets set` and its like: what is said to who sets a budget, and how wrong words end.

use wire::emitter::EmitterKey;
use wire::usage::Class;

use crate::auditing::run;
use crate::budgets::{ask, asks, set, wanted};
use crate::support::*;

const DAY: [&str; 6] = ["--limit", "1000000", "--unit", "tokens", "--window", "day"];
const OFF: &str = "\"budgets\": {}";

#[test]
fn contract_who_sets_a_budget_hears_that_no_worker_asks_and_no_more_once_one_has() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let (code, out, error) = set(&dir, "day", &DAY);
    assert!(code == 0 && out.starts_with("day is set") && error.contains(OFF), "{code} {out}{error}");
    let (_, _, error) = set(&dir, "soft", &[&DAY[..], &["--mode", "soft"]].concat());
    assert_eq!(error, "", "it refuses nothing anyway");
    let lease = ask(&server, INGEST, &EmitterKey::new(1, 1), &asks(1, vec![wanted("day", "", 10, 10)]));
    assert!(lease.leases[0].is_some());
    let (_, _, error) = set(&dir, "day", &["--limit", "2000000"]);
    assert_eq!(error, "");
    let (code, _, error) = set(&dir, "day", &["--limit", "9999"]);
    assert!(code == 0 && error.contains("few calls fit in 9999 tokens") && !error.contains(OFF), "{code} {error}");
}

#[test]
fn contract_a_provider_that_nobody_knows_is_named_with_the_one_that_was_meant() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let note = |provider: &str| {
        let more = ["--window", "day", "--unit", "usd", "--limit", "5", "--mode", "soft", "--provider", provider];
        let (code, _, error) = set(&dir, provider, &more);
        assert_eq!(code, 0, "{error}");
        error
    };
    let azure = note("azure");
    assert!(azure.starts_with("note: meshmeter knows no provider \"azure\""), "{azure}");
    assert!(azure.contains("is it azure.ai.openai?"), "{azure}");
    let ours = note("our_vllm");
    assert!(ours.starts_with("note: ") && !ours.contains("is it"), "{ours}");
    assert_eq!([note("openai"), note("anthropic_compatible")], [""; 2]);
    // A name of the plugin's configuration, once a call has it.
    let mut call = record("qwen3", &[(Class::InputText, 3)]);
    call.provider = "our_vllm".to_owned();
    assert_eq!(server.send(&[wire::event::encode(&call, &emitter(1), 1)]).taken(), (1, 0, 0));
    let changed = set(&dir, "our_vllm", &["--limit", "6"]);
    assert_eq!((changed.0, changed.2.as_str()), (0, ""));
}

#[test]
fn contract_what_no_ledger_takes_is_wrong_use_and_named() {
    let dir = Dir::new();
    drop(Server::start(&dir, &[]));
    assert_eq!(set(&dir, "day", &DAY).0, 0);
    let (long, most) = ("x".repeat(1001), "x".repeat(1000));
    let remove = ["budgets", "remove", "day", "--who", "ann", "--why"];
    let close = ["gaps", "close", "nobody", "--reason"];
    for (args, problem) in [
        (&["budgets", "explain", "day", "--tenant", "zz//"][..], "error: tenant: \"zz//\" must be"),
        (&[&remove[..], &[long.as_str()]].concat(), "error: why: must have at most 1000 characters, not 1001"),
        (&[&close[..], &[long.as_str()]].concat(), "error: --reason: must have at most 1000 characters, not 1001"),
    ] {
        let (code, out, error) = run(&dir, args);
        assert!(code == 2 && out.is_empty() && error.starts_with(problem) && error.len() < 500, "{code} {out}{error}");
    }
    assert_eq!(run(&dir, &["budgets", "explain", "day", "--tenant", "unknown"]).0, 0);
    assert_eq!(run(&dir, &[&remove[..], &[most.as_str()]].concat()).0, 0);
    let file = dir.file("x");
    let directory = file.parent().unwrap().to_str().unwrap();
    for args in [&["budgets"][..], &["report"], &["serve"]] {
        let output = meshmeter(&[args, &["--database", directory]].concat()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains("is a directory: name the ledger's file"), "{error}");
    }
}
