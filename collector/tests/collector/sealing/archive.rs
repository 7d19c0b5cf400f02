//! The archive of sealed months: altered, gone, silent.

use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::*;

fn parquet(place: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            parquet(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            found.push(path);
        }
    }
}

#[test]
fn contract_an_archive_that_was_altered_or_is_gone_is_named() {
    let dir = Dir::new();
    let _server = closed(&dir);
    sealed(&dir, "2026-02");
    let expected = noted(&dir);
    let mut files = Vec::new();
    parquet(Path::new(&place(&dir)), &mut files);
    let file = files.into_iter().find(|file| file.to_string_lossy().contains("month=2026-01")).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    let right = std::fs::read(&file).unwrap();
    let mut wrong = right.clone();
    let middle = wrong.len() / 2;
    wrong[middle] ^= 1;
    let asked: [&[&str]; 3] = [
        &["verify"],
        &["report", "--month", "2026-01", "--by", "session"],
        &["report", "--month", "2026-01", "--format", "focus"],
    ];
    for damaged in [Some(&wrong[..]), Some(&right[..100]), None] {
        match damaged {
            Some(bytes) => std::fs::write(&file, bytes).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        for args in asked {
            let (code, _, error) = run(&dir, args);
            assert!(
                code == 1 && error.contains("the archive of sealed months: ") && error.contains(&name),
                "{args:?}: {error}"
            );
        }
        let (code, _, error) = run(&dir, &["unseal", "--who", "ann"]);
        assert!(code == 1 && error.contains(&name), "{error}");
        // What the sums say needs no archive.
        assert_eq!(run(&dir, &["report", "--month", "2026-01", "--by", "tenant"]).0, 0);
    }
    std::fs::write(&file, &right).unwrap();
    assert_eq!(noted(&dir), expected);
    // Whoever alters a file may alter its manifest, too. The ledger knows the manifests with which it was sealed.
    let manifest = Path::new(&place(&dir)).join("_meshmeter/manifests/all/00000001.json");
    let right = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, [&right[..], b" "].concat()).unwrap();
    for args in asked {
        let (code, _, error) = run(&dir, args);
        assert!(code == 1 && error.contains("has other manifests of its first 1 commits"), "{args:?}: {error}");
    }
    std::fs::write(&manifest, &right).unwrap();
    assert_eq!(noted(&dir), expected);
    std::fs::rename(place(&dir), dir.file("moved")).unwrap();
    let (code, _, error) = run(&dir, &["verify"]);
    assert!(code == 1 && error.contains("the archive of sealed months: ") && error.contains(&place(&dir)), "{error}");
    // What is not sealed needs no archive.
    assert_eq!(run(&dir, &["report", "--month", "2026-02", "--by", "session"]).0, 0);
    assert_eq!(run(&dir, &["statement", "--tenant", "acme", "--month", "2026-02"]).0, 0);
    let (code, _, error) = run(&dir, &["explain", &format!("{}-9999", emitter(1))]);
    assert!(code == 1 && error.contains("the ledger has no record of this event"), "{error}");
    let moved = dir.file("moved").to_str().unwrap().to_owned();
    let (code, out, error) = run(&dir, &["verify", "--archive", &moved]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(out.lines().map(str::to_owned).collect::<Vec<_>>(), expected);
    // Nor is a place made anew that is away: without --to it is where the archive is now.
    let again = ["seal", "--before", "2026-02", "--who", "ann", "--no-vacuum"];
    let (code, _, error) = run(&dir, &again);
    assert!(code == 1 && error.contains(&place(&dir)), "{error}");
    let (code, out, error) = run(&dir, &[&again[..], &["--archive", &moved]].concat());
    assert!(code == 0 && out.contains(&moved), "{out} {error}");
    assert!(!Path::new(&place(&dir)).exists());
    assert_eq!(run(&dir, &["verify"]).0, 0);
    // An archive of another ledger.
    let other = Dir::of_file();
    let _other_server = varied(&other);
    let (code, _, error) =
        run(&other, &["seal", "--before", "2026-02", "--to", &place(&other), "--who", "ann", "--no-vacuum"]);
    assert_eq!(code, 0, "{error}");
    let (code, _, error) = run(&dir, &["verify", "--archive", &place(&other)]);
    assert!(code == 1 && error.contains("has other manifests"), "{error}");
}

const MONTHS: &str = "meshmeter_collector_sealed_months";
const BROKEN: &str = "meshmeter_collector_sealed_months_broken";
const CHECKED: &str = "meshmeter_collector_archive_checked_timestamp_seconds";

/// A collector that has looked at the archive.
fn looking(dir: &Dir, more: &[&str]) -> Server {
    let server = Server::start(dir, more);
    until("the archive was looked at", || server.metric(CHECKED) > 0);
    server
}

#[test]
fn contract_a_collector_tells_of_an_archive_that_is_not_there_before_a_report_does() {
    let dir = Dir::new();
    let server = closed(&dir);
    assert!(!server.get("/metrics", Some(READ)).body.contains(MONTHS), "nothing is sealed");
    drop(server);
    sealed(&dir, "2026-03");
    let mut files = Vec::new();
    parquet(Path::new(&place(&dir)), &mut files);
    let file = files.into_iter().find(|file| file.to_string_lossy().contains("month=2026-02")).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    let right = std::fs::read(&file).unwrap();
    let finds = |server: &Server| doctor(READ, &["--collector", &url(server.address)]).1;
    let is_whole = |more: &[&str]| {
        let server = looking(&dir, more);
        assert_eq!((server.metric(MONTHS), server.metric(BROKEN)), (2, 0));
        assert!(!codes(&finds(&server)).contains(&"archive_broken"));
    };
    let is_broken = |months: u64, why: &str| {
        let before = std::fs::read_to_string(dir.file("log")).unwrap().len();
        let server = looking(&dir, &[]);
        assert_eq!((server.metric(MONTHS), server.metric(BROKEN)), (2, months), "{why}");
        let log = server.log().split_off(before);
        assert!(log.contains("the archive of sealed months: ") && log.contains(why), "{log}");
        let found = finds(&server);
        let said = format!("sealed months that cannot be read: {months} of 2");
        assert!(found.iter().any(|[code, _, what]| code == "archive_broken" && *what == said), "{found:?}");
        // What is sent is stored, and what the sums say is reported.
        assert_eq!(server.get("/readyz", None).status, 200);
        assert_eq!(server.get("/v1/report?since=2026-02&until=2026-02&by=tenant", Some(READ)).status, 200);
    };
    is_whole(&[]);
    std::fs::remove_file(&file).unwrap();
    is_broken(1, &format!("{name}: is missing"));
    std::fs::write(&file, &right[..right.len() - 1]).unwrap();
    is_broken(1, &format!("{name}: was altered: it has "));
    std::fs::write(&file, &right).unwrap();
    let manifest = Path::new(&place(&dir)).join("_meshmeter/manifests/all/00000001.json");
    let right = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, [&right[..], b" "].concat()).unwrap();
    is_broken(2, "has other manifests of its first 1 commits");
    std::fs::write(&manifest, &right).unwrap();
    std::fs::rename(place(&dir), dir.file("moved")).unwrap();
    is_broken(2, "No such file or directory");
    is_whole(&["--archive", dir.file("moved").to_str().unwrap()]);
}

#[test]
fn contract_how_many_months_are_sealed_is_known_at_once() {
    let dir = Dir::new();
    let server = closed(&dir);
    let is_said = || server.get("/metrics", Some(READ)).body.contains(MONTHS);
    assert!(!is_said());
    sealed(&dir, "2026-02");
    assert_eq!(server.metric(MONTHS), 1);
    sealed(&dir, "2026-03");
    assert_eq!(server.metric(MONTHS), 2);
    unsealed(&dir, &["--from", "2026-02"]);
    assert_eq!(server.metric(MONTHS), 1);
    unsealed(&dir, &[]);
    assert!(!is_said(), "nothing is sealed");
}

/// An object store that takes connections and never says a word.
fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // Read until the other end has given up.
            std::thread::spawn(move || std::io::copy(&mut Read::by_ref(&mut stream), &mut std::io::sink()));
        }
    });
    format!("http://{address}")
}

#[test]
fn race_an_archive_that_hangs_holds_nobody_for_long_and_only_who_needs_it() {
    const OTHER: &str = "read-token-of-another-one";
    const SECOND: &str = "read-token-of-a-second-one";
    const THIRD: &str = "read-token-of-a-third-one";
    let dir = Dir::new();
    drop(closed(&dir));
    sealed(&dir, "2026-02");
    let readers = dir.write_secret("readers", format!("one {READ}\ntwo {SECOND}\nthree {THIRD}\nother {OTHER}\n"));
    let endpoint = silent();
    let archive = ["--archive", "s3://billing/mesh", "--archive-endpoint", &endpoint];
    let aws = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "us-east-1")];
    let server =
        Server::start_in(&dir, &[&["--read-token-file", readers.to_str().unwrap()], &archive[..]].concat(), &aws);
    let needs = |month: &str| format!("/v1/report?since={month}&until={month}&by=session");
    let is_away = |response: Response| {
        assert_eq!((response.status, response.header("retry-after")), (503, Some("30")), "{response:?}");
        assert!(response.body.contains("the archive of sealed months does not respond"), "{response:?}");
        assert!(!response.body.contains("billing"), "where it is, is not for every reader: {response:?}");
    };
    let (begun, server) = (Instant::now(), &server);
    std::thread::scope(|scope| {
        // More than there are places.
        for token in [READ, READ, READ, SECOND, THIRD] {
            scope.spawn(move || is_away(server.get(&needs("2026-01"), Some(token))));
        }
        std::thread::sleep(Duration::from_millis(500));
        // Another one gets what needs no archive meanwhile.
        for path in [needs("2026-02"), needs("2026-11"), "/v1/report?since=2026-01&until=2026-01&by=tenant".to_owned()]
        {
            let asked = Instant::now();
            let response = server.get(&path, Some(OTHER));
            assert_eq!(response.status, 200, "{response:?}");
            assert!(asked.elapsed() < Duration::from_secs(8), "{path}: {:?}", asked.elapsed());
        }
        assert_eq!(server.send(&events(&emitter(7), 1..=3)).taken(), (3, 0, 0));
        assert_eq!(server.get("/readyz", None).status, 200);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        // And who needs it waits no longer than whoever asked first: not for one after the other.
        is_away(server.get("/v1/costs?since=2026-01&until=2026-01&format=focus", Some(OTHER)));
    });
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(12) && took < Duration::from_secs(28), "{took:?}");
    // Now it is known.
    let asked = Instant::now();
    is_away(server.get("/v1/latency?since=2026-01&until=2026-01&by=session", Some(OTHER)));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert!(server.log().contains("the archive of sealed months: s3://billing/mesh"), "the log says where");
    until("the archive was looked at", || server.metric(CHECKED) > 0);
    assert_eq!(server.metric(BROKEN), 1);
}
