//! A bucket of a real object store, read back.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use warehouse::place::{Bucket, Settings};
use warehouse::{Archive, Place, Position, Row};

use crate::support::*;

/// The object store that tools/setup brings.
struct Store {
    process: Child,
    endpoint: String,
}

impl Store {
    fn start(directory: &Path) -> Store {
        let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/versitygw");
        let tool = std::env::var_os("MESHMETER_VERSITYGW").map_or(usual, PathBuf::from);
        assert!(
            tool.is_file(),
            "no file at {}: tools/setup unit brings it, or set MESHMETER_VERSITYGW",
            tool.display()
        );
        for part in ["data/billing", "meta"] {
            std::fs::create_dir_all(directory.join(part)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(tool);
        command.args(["--access", "key", "--secret", "secret", "--port", &format!("127.0.0.1:{port}")]);
        // Without extended attributes, which not every file system has.
        command.args(["posix", "--sidecar"]).arg(directory.join("meta")).arg(directory.join("data"));
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let store = Store { process, endpoint: format!("http://127.0.0.1:{port}") };
        for _ in 0..1200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return store;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the object store does not listen");
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What is in TMPDIR, of this process.
fn copies(temporary: &Path) -> Vec<PathBuf> {
    let directories = std::fs::read_dir(temporary).unwrap().map(|entry| entry.unwrap().path());
    directories
        .filter(|path| path.is_dir())
        .flat_map(|path| std::fs::read_dir(path).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[test]
fn fidelity_a_bucket_is_read_back_and_its_copies_are_removed() {
    let name = "fidelity_a_bucket_is_read_back_and_its_copies_are_removed";
    let dir = Temporary::new();
    // In a process of its own: the environment is its.
    if std::env::var_os("MESHMETER_TEST_ENDPOINT").is_none() {
        let store = Store::start(&dir.0);
        let temporary = dir.0.join("tmp");
        std::fs::create_dir_all(&temporary).unwrap();
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args([&format!("bucket::{name}"), "--exact", "--nocapture"]);
        again.env("MESHMETER_TEST_ENDPOINT", &store.endpoint).env("TMPDIR", &temporary);
        again.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret").env("AWS_REGION", "us-east-1");
        let output = again.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "{text}{error}");
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "all that was copied is gone");
        return;
    }
    let endpoint = std::env::var("MESHMETER_TEST_ENDPOINT").unwrap();
    let temporary = std::env::temp_dir();
    let bucket =
        || Bucket::open("billing/p", &Settings { endpoint: Some(endpoint.clone()), ..Settings::default() }).unwrap();
    let ledger = Ledger::of(&[(1, 40), (2, 11)]);
    export(&ledger, &bucket()).unwrap();
    assert!(
        Archive::open(Arc::new(
            Bucket::open("billing/q", &Settings { endpoint: Some(endpoint.clone()), ..Settings::default() }).unwrap()
        ))
        .is_err()
    );
    let archive = Archive::open(Arc::new(bucket())).unwrap();
    for (writer, end) in [(1, 40), (2, 11)] {
        let mut found = Vec::new();
        let mut most = 0;
        archive
            .entries(writer, 0, i64::MAX, None, None, &mut |kept| {
                found.push(kept);
                most = most.max(copies(&temporary).len());
                Ok(())
            })
            .unwrap();
        let rows: Vec<Row> = (1..=end).map(|entry| ledger.row(Position { writer, entry })).collect();
        assert_eq!(found, rows.iter().map(kept).collect::<Vec<_>>());
        assert!((1..40).contains(&most), "{most}");
    }
    let row = ledger.row(Position { writer: 1, entry: 17 });
    assert_eq!(archive.entry(row.position).unwrap(), Some(kept(&row)));
    assert!(copies(&temporary).len() <= 16);
    drop(archive);
    assert_eq!(copies(&temporary), Vec::<PathBuf>::new());
    // What was altered, cut off, lost.
    let place = bucket();
    let path = place.list("month=2026-10").unwrap().remove(0);
    let whole = place.get(&path).unwrap().unwrap();
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    for (bytes, why) in [
        (Some(altered), "was altered: its SHA-256 is not that of its manifest"),
        (Some(whole[1..].to_vec()), "was altered: it has "),
        (None, "is missing, which its manifest names"),
    ] {
        match bytes {
            Some(bytes) => place.replace(&path, &bytes).unwrap(),
            None => place.delete(&path).unwrap(),
        }
        let archive = Archive::open(Arc::new(bucket())).unwrap();
        let read = |writer| archive.entries(writer, 0, i64::MAX, None, None, &mut |_| Ok(()));
        let said = read(1).and_then(|()| read(2)).unwrap_err().to_string();
        assert!(said.starts_with(&format!("s3://billing/p/{path}: {why}")), "{said}");
    }
    // A long one comes in parts.
    let long: Vec<u8> = (0..40_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let staged = place.staging().unwrap().join("long.part");
    std::fs::write(&staged, &long).unwrap();
    place.publish(&staged, "long").unwrap();
    let copy = temporary.join("copy");
    assert_eq!(place.fetch("long", &|| Ok(copy.clone())).unwrap(), Some(copy.clone()));
    assert!(std::fs::read(&copy).unwrap() == long);
    std::fs::remove_file(&copy).unwrap();
    assert_eq!(place.fetch("nothing", &|| Ok(copy.clone())).unwrap(), None);
    assert!(!copy.exists());
}
