//! Sealing while others write and report, and killed.

use std::process::Stdio;
use std::time::Duration;

use super::*;

/// Killed at any moment, and run again.
#[test]
fn race_whoever_is_killed_while_sealing_runs_it_again() {
    let dir = Dir::new();
    let server = closed(&dir);
    let heads = noted(&dir);
    let expected = told(&dir, &heads);
    let place = place(&dir);
    let database = dir.database();
    let mut rounds = [("seal", 0), ("unseal", 0)];
    for wait_ms in [1, 5, 10, 20, 30, 40, 50, 60, 80, 100, 150, 200] {
        for (command, ended) in &mut rounds {
            let args: &[&str] = match *command {
                "seal" => &["seal", "--before", "2026-03", "--to", &place, "--no-vacuum"],
                _ => &["unseal"],
            };
            let mut process = meshmeter(&[args, &["--database", &database, "--who", "ann"]].concat());
            let mut process = process.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(wait_ms));
            let _ = process.kill();
            *ended += usize::from(process.wait().unwrap().success());
            let (code, _, error) = run(&dir, &["verify"]);
            assert_eq!((code, error.as_str()), (0, ""), "{command} killed after {wait_ms} ms");
        }
    }
    sealed(&dir, "2026-03");
    assert_same(&told(&dir, &heads), &expected);
    unsealed(&dir, &[]);
    assert_same(&told(&dir, &heads), &expected);
    drop(server);
}

/// A collector that writes meanwhile is not in the way, and its report has everything once.
#[test]
fn race_a_collector_writes_and_reports_while_months_are_sealed() {
    let dir = Dir::new();
    let server = closed(&dir);
    let heads = noted(&dir);
    let question = "/v1/report?since=2026-01&until=2026-02&by=session&format=csv";
    let expected = server.get(question, Some(READ)).body;
    std::thread::scope(|scope| {
        let sealing = scope.spawn(|| {
            for _ in 0..3 {
                sealed(&dir, "2026-03");
                unsealed(&dir, &["--from", "2026-02"]);
                unsealed(&dir, &[]);
            }
            sealed(&dir, "2026-03");
        });
        let (mut next, mut answered) = (100, 0);
        while !sealing.is_finished() {
            assert_eq!(server.send(&events(&emitter(7), [next])).status, 200);
            next += 1;
            let found = server.get(question, Some(READ));
            // What is sealed between two questions is said, never left out.
            let is_said = found.status == 503 || found.status == 500;
            assert!(is_said || found.body == expected, "{} {}", found.status, found.body);
            answered += u64::from(!is_said);
        }
        sealing.join().unwrap();
        assert!(answered * 2 > next - 100, "{answered} of {}", next - 100);
    });
    assert_eq!(server.get(question, Some(READ)).body, expected);
    let notes: Vec<&str> = heads.iter().flat_map(|head| ["--noted", head]).collect();
    assert_eq!(run(&dir, &[&["verify"], &notes[..]].concat()).0, 0);
}
