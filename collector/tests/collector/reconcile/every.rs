//! `--every` and names with `*`: beside Envoys that still write, in a container without a shell.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use super::faults::signal;
use super::*;

/// The names of files as a container's runtime gives them.
fn pods(dir: &Dir, pod: &str) -> PathBuf {
    let folder = dir.file("pods").join(pod).join("istio-proxy");
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn pattern(dir: &Dir) -> String {
    format!("{}/istio-egress_*/istio-proxy/*.log*", dir.file("pods").display())
}

#[test]
fn contract_a_star_in_a_name_needs_no_shell() {
    let ledger = Ledger::new();
    let Ledger { dir, gate, .. } = &ledger;
    let all = events(&emitter(1), 1..=4);
    let gateway = pods(dir, "istio-egress_gateway-1_uid");
    fs::write(gateway.join("0.log"), lines(&all[2..3])).unwrap();
    fs::write(gateway.join("0.log.20261129-050000.gz"), gzip(&lines(&all[..2]))).unwrap();
    // Of another namespace: what it says is not Envoy's word.
    fs::write(pods(dir, "team-a_istio-egress_1").join("0.log"), lines(&all[3..])).unwrap();
    let done = run(gate, &[Path::new(&pattern(dir))], &[]);
    assert_eq!((done.code, done.error.as_str()), (0, ""));
    done.counts(&[("files", 2), ("events", 3), ("accepted", 3)]);

    let done = run(gate, &[Path::new("/nowhere/*.log")], &[]);
    assert_eq!((done.code, done.error.contains("/nowhere/*.log: there is no such file")), (1, true), "{}", done.error);
    // A file may be called so.
    let odd = dir.write("odd*name", lines(&all[3..]));
    run(gate, &[&odd], &[]).counts(&[("files", 1), ("accepted", 1)]);
}

#[test]
fn contract_every_run_reads_names_and_files_anew_until_sigterm() {
    let ledger = Ledger::new();
    let Ledger { dir, gate, .. } = &ledger;
    let all = events(&emitter(1), 1..=3);
    let mut command = reconcile(gate, &["--live", "--every", "1", &pattern(dir)]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Nothing is there yet; then a file, with a line that is still being written; then its end, and another file.
    let gateway = pods(dir, "istio-egress_gateway-1_uid");
    let (whole, torn) = (lines(&all[..1]), &all[1][..100]);
    fs::write(gateway.join("0.log"), [b"[a foreign line]\n", whole.as_slice(), torn].concat()).unwrap();
    until("the first is in the ledger", || ledger.events().len() == 1);
    fs::write(gateway.join("0.log"), lines(&all[..2])).unwrap();
    fs::write(pods(dir, "istio-egress_gateway-2_uid").join("0.log"), lines(&all[2..])).unwrap();
    until("all are in the ledger", || ledger.events().len() == 3);
    assert_eq!(ledger.gaps()["totals"]["open_ends"], 0);
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(!printed.contains("foreign\":{"), "each run would name them again: {printed}");
    // A mistyped pattern is seen in the log, and only changes are.
    let said = String::from_utf8(output.stderr).unwrap();
    let counts: Vec<&str> = said.lines().filter(|line| line.contains("the names stand for")).collect();
    assert!(counts.ends_with(&["meshmeter: the names stand for 2 files"]) && counts.len() <= 3, "{said}");
    assert!(gate.calls().iter().all(|call| call.header("meshmeter-emitter").is_none()), "no end is declared");
}

#[test]
fn contract_every_goes_on_when_the_collector_is_away_and_asks_for_live_and_files() {
    let ledger = Ledger::new();
    let Ledger { dir, gate, .. } = &ledger;
    let journal = dir.write("journal", lines(&events(&emitter(1), 1..=2)));
    gate.let_happen(vec![Fate::Respond(503, ""); 2]);
    let mut command = reconcile(gate, &["--live", "--every", "1", "--patience", "0", journal.to_str().unwrap()]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("both are in the ledger", || ledger.events().len() == 2);
    signal(&child, "INT");
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));

    for (args, says) in
        [(&["--every", "1", "journal"][..], "--live"), (&["--live", "--every", "1", "-"], "standard input")]
    {
        let output = reconcile(gate, args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(says), "{args:?}: {said}");
    }
}
