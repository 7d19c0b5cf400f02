//! `meshmeter reconcile` and what gives no more bytes: it ends when it is told to, and what came is in the ledger.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use super::{Done, Ledger, lines, reconcile, run};
use crate::support::*;

fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

/// Whether the process waits for a signal in order: before that one would end it at once.
fn catches_signals(child: &Child) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << 14) != 0
}

/// Bytes that the process has read so far, whatever from.
fn read_by(child: &Child) -> u64 {
    let counts = std::fs::read_to_string(format!("/proc/{}/io", child.id())).unwrap();
    counts.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

fn fifo(dir: &Dir, name: &str) -> std::path::PathBuf {
    let path = dir.file(name);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

fn start(ledger: &Ledger, args: &[&str]) -> Child {
    let mut command = reconcile(&ledger.gate, args);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("it hears signals", || catches_signals(&child));
    child
}

fn is_interrupted(child: Child) -> Done {
    let done = Done::of(child.wait_with_output().unwrap());
    assert_eq!(done.code, 1, "{}", done.error);
    assert!(done.error.contains("interrupted: what is counted here as accepted is in the ledger"), "{}", done.error);
    done.counts(&[("torn", 0), ("emitters_closed", 0)]);
    assert_eq!(done.summary["complete"], false);
    done
}

#[test]
fn race_a_pipe_that_nobody_writes_to_holds_nothing_up() {
    let ledger = Ledger::new();
    let pipe = fifo(&ledger.dir, "pipe");
    let journal = ledger.dir.write("journal", lines(&events(&emitter(1), 1..=5)));
    for name in ["TERM", "INT"] {
        for files in [vec![&pipe], vec![&journal, &pipe]] {
            let files: Vec<&str> = files.into_iter().map(|file| file.to_str().unwrap()).collect();
            let child = start(&ledger, &files);
            signal(&child, name);
            is_interrupted(child);
        }
        let mut child = start(&ledger, &["-"]);
        let input = child.stdin.take();
        signal(&child, name);
        is_interrupted(child);
        drop(input);
    }
}

#[test]
fn race_what_a_pipe_gave_is_in_the_ledger_when_it_is_ended() {
    for standard_input in [true, false] {
        let ledger = Ledger::new();
        let pipe = fifo(&ledger.dir, "pipe");
        let mut child = start(&ledger, &[if standard_input { "-" } else { pipe.to_str().unwrap() }]);
        let mut input: Box<dyn Write> = match child.stdin.take() {
            Some(input) if standard_input => Box::new(input),
            _ => Box::new(std::fs::File::options().write(true).open(&pipe).unwrap()),
        };
        // Whole lines and a half, in one piece.
        let bytes = [lines(&events(&emitter(1), 1..=60)), event(&emitter(1), 61)[..100].to_vec()].concat();
        let before = read_by(&child);
        input.write_all(&bytes).unwrap();
        until("it has read them", || read_by(&child) >= before + bytes.len() as u64);
        signal(&child, "TERM");
        let done = is_interrupted(child);
        done.counts(&[("lines", 60), ("events", 60), ("accepted", 60)]);
        assert_eq!(ledger.events().len(), 60);
        drop(input);
    }
}

#[test]
fn contract_a_named_pipe_is_read_to_its_end_by_one_reader() {
    let ledger = Ledger::new();
    let pipe = fifo(&ledger.dir, "pipe");
    let journal = lines(&events(&emitter(1), 1..=3000));
    let child = start(&ledger, &[pipe.to_str().unwrap()]);
    std::fs::write(&pipe, journal).unwrap();
    let done = Done::of(child.wait_with_output().unwrap());
    assert_eq!(done.code, 0, "{}", done.error);
    done.counts(&[("lines", 3000), ("accepted", 3000), ("emitters_closed", 1)]);
}

#[test]
fn race_a_line_without_an_end_is_left_when_it_is_told_to() {
    let ledger = Ledger::new();
    let child = start(&ledger, &["/dev/zero"]);
    signal(&child, "TERM");
    is_interrupted(child);
}

#[test]
fn race_a_collector_that_hangs_and_a_reader_that_does_not_read_hold_it_up_for_seconds_only() {
    let ledger = Ledger::new();
    // It takes connections, and never responds.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", deaf.local_addr().unwrap());
    let journal = ledger.dir.write("journal", lines(&events(&emitter(1), 1..=5)));
    let mut command = meshmeter(&["reconcile", "--collector", &url, journal.to_str().unwrap()]);
    let hangs = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // More findings than a pipe holds, and nobody who takes them out of it.
    let foreign = ledger
        .dir
        .write("torn", format!("{}\n", &String::from_utf8(event(&emitter(1), 1)).unwrap()[..99]).repeat(9999));
    let mut reader = reconcile(&ledger.gate, &[foreign.to_str().unwrap()]);
    let unread = reader.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _connection = deaf.accept().unwrap();
    for mut child in [hangs, unread] {
        until("it hears signals", || catches_signals(&child));
        signal(&child, "TERM");
        let status = child.wait().unwrap();
        let mut error = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut error).unwrap();
        assert!(status.code() == Some(1) && error.contains("interrupted"), "{status} {error}");
    }
    assert_eq!(run(&ledger.gate, &[&journal], &[]).code, 0);
}
