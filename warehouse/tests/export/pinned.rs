//! An archive whose manifests are known by their digest.

use std::fs;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use warehouse::place::Dir;
use warehouse::{Archive, End, Error, Position};

use crate::archive::*;
use crate::support::*;

fn open_pinned(dir: &Temporary, commits: u64, digest: &[u8; 32]) -> Result<Archive, Error> {
    Archive::open_pinned(Arc::new(Dir::open_to_read(&dir.0)?), commits, digest)
}

fn said(result: Result<Archive, Error>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn contract_the_digest_is_over_the_manifests_and_stays_the_same_when_more_is_exported() {
    let (dir, _) = exported(&[(1, 60), (2, 20)]);
    let manifest = |commit: u64| fs::read(dir.0.join(format!("_meshmeter/manifests/all/{commit:08}.json"))).unwrap();
    let commits = fs::read_dir(dir.0.join("_meshmeter/manifests/all")).unwrap().count() as u64;
    let archive = open(&dir).unwrap();
    let mut all = Vec::new();
    for commit in 1..=commits {
        let bytes = manifest(commit);
        all.extend((bytes.len() as u64).to_be_bytes());
        all.extend(bytes);
        assert_eq!(archive.digest(commit), Some(Sha256::digest(&all).into()), "{commit}");
    }
    assert_eq!((archive.digest(0), archive.digest(commits + 1), archive.digest(u64::MAX)), (None, None, None));
    export(&Ledger::of(&[(1, 90), (2, 31), (3, 1)]), &dir.place()).unwrap();
    let grown = open(&dir).unwrap();
    assert!((1..=commits).all(|commit| grown.digest(commit) == archive.digest(commit)));
    assert!(grown.digest(commits + 1).is_some());
}

#[test]
fn contract_the_first_commit_that_has_some_entries_is_found() {
    let (dir, ledger) = exported(&[(1, 60), (2, 20)]);
    let archive = open(&dir).unwrap();
    let end = |writer, entry| {
        let position = Position { writer, entry };
        End { position, hash: ledger.hash_of(position) }
    };
    let commits = (1..).take_while(|commit| archive.digest(*commit).is_some()).count() as u64;
    let of = |commit| open_pinned(&dir, commit, &archive.digest(commit).unwrap()).unwrap();
    let has = |commit, end: &End| {
        let ends = of(commit).ends().to_vec();
        ends.iter().any(|to| to.position.writer == end.position.writer && to.position.entry >= end.position.entry)
    };
    for (one, two) in [(1, 1), (7, 1), (8, 3), (20, 6), (33, 6), (60, 1), (1, 20), (60, 20)] {
        let ends = [end(1, one), end(2, two)];
        let expected = (1..=commits).find(|commit| ends.iter().all(|end| has(*commit, end)));
        assert!(expected.is_some());
        assert_eq!(archive.commit_of(&ends).unwrap(), expected, "{one}, {two}");
    }
    assert_eq!(archive.commit_of(&[end(1, 60), end(2, 20)]).unwrap(), Some(commits));
    for none in [end(1, 61), end(2, 21), end(3, 1)] {
        assert_eq!(archive.commit_of(&[end(1, 1), none]).unwrap(), None);
    }
    assert_eq!(archive.commit_of(&[End::before_all(1), End::before_all(7)]).unwrap(), Some(1));
    // A ledger that has the same numbers, and is another one.
    let last = End { hash: [1; 32], ..end(1, 60) };
    let why = archive.commit_of(&[last]).unwrap_err().to_string();
    assert!(why.contains(": has another entry 1:60 as the last one of commit "), "{why}");
}

#[test]
fn contract_manifests_that_are_not_those_that_were_pinned_are_refused_and_no_file_is_read() {
    let (dir, ledger) = exported(&[(1, 60), (2, 20)]);
    let archive = open(&dir).unwrap();
    let (commits, ends) = ((1..).take_while(|commit| archive.digest(*commit).is_some()).count() as u64, archive.ends());
    let digest = archive.digest(commits).unwrap();
    let whole = |writer| rows(&ledger, writer, (0, 60), |_| true);
    let pinned = open_pinned(&dir, commits, &digest).unwrap();
    assert_eq!((all_of(&pinned, 1).unwrap(), all_of(&pinned, 2).unwrap()), (whole(1), whole(2)));
    // What is exported behind them is no part of it, whatever it is.
    export(&Ledger::of(&[(1, 99), (2, 44)]), &dir.place()).unwrap();
    let path = |commit: u64| dir.0.join(format!("_meshmeter/manifests/all/{commit:08}.json"));
    fs::write(path(commits + 1), "no manifest").unwrap();
    fs::remove_file(path(commits + 2)).unwrap();
    assert!(open(&dir).is_err());
    let pinned = open_pinned(&dir, commits, &digest).unwrap();
    assert_eq!(pinned.ends(), ends);
    assert_eq!((all_of(&pinned, 1).unwrap(), all_of(&pinned, 2).unwrap()), (whole(1), whole(2)));
    assert_eq!(pinned.entry(Position { writer: 1, entry: 61 }).unwrap(), None);
    // Other commits, another digest.
    let why = format!("has other manifests of its first {commits} commits: their SHA-256 is ");
    assert!(said(open_pinned(&dir, commits, &[7; 32])).contains(&why));
    assert!(said(open_pinned(&dir, commits - 1, &digest)).contains("has other manifests of its first "));
    assert!(said(open_pinned(&dir, 0, &digest)).ends_with(": has no export of all entries"));
    assert!(said(open_pinned(&dir, u64::MAX, &digest)).contains("has no manifest of commit "));
    // The files are not looked at: they are gone.
    for file in files(&dir.0) {
        fs::remove_file(file).unwrap();
    }
    for commit in 1..=commits {
        let before = fs::read(path(commit)).unwrap();
        // A space more is another manifest.
        for altered in [[&before[..], b" "].concat(), before[1..].to_vec(), Vec::new()] {
            fs::write(path(commit), altered).unwrap();
            assert!(said(open_pinned(&dir, commits, &digest)).contains(&why), "{commit}");
        }
        fs::remove_file(path(commit)).unwrap();
        let missing = format!("has no manifest of commit {commit}");
        assert!(said(open_pinned(&dir, commits, &digest)).ends_with(&missing), "{commit}");
        fs::write(path(commit), before).unwrap();
    }
    let said = all_of(&open_pinned(&dir, commits, &digest).unwrap(), 1).unwrap_err().to_string();
    assert!(said.ends_with("is missing, which its manifest names"), "{said}");
}
