//! What was exported is read back, or what is wrong with it is said.

use std::fs;
use std::ops::RangeInclusive;
use std::sync::Arc;

use warehouse::place::Dir;
use warehouse::{Archive, Error, Kept, Position, Row, Selection};

use crate::support::*;

fn open(dir: &Temporary) -> Result<Archive, Error> {
    Archive::open(Arc::new(Dir::open_to_read(&dir.0)?))
}

/// The entries of a chain.
fn read(
    archive: &Archive,
    writer: i64,
    (behind, until): (i64, i64),
    months: Option<RangeInclusive<&str>>,
    tenant: Option<&str>,
) -> Result<Vec<Kept>, Error> {
    let months = months.map(|months| (*months.start()).to_owned()..=(*months.end()).to_owned());
    let mut found = Vec::new();
    archive.entries(writer, behind, until, months, tenant, &mut |kept| {
        found.push(kept);
        Ok(())
    })?;
    Ok(found)
}

fn all_of(archive: &Archive, writer: i64) -> Result<Vec<Kept>, Error> {
    read(archive, writer, (0, i64::MAX), None, None)
}

fn rows(ledger: &Ledger, writer: i64, span: (i64, i64), is_meant: impl Fn(&Row) -> bool) -> Vec<Kept> {
    let rows = (span.0 + 1..=span.1.min(ledger.chains[&writer])).map(|entry| ledger.row(Position { writer, entry }));
    rows.filter(is_meant).map(|row| kept(&row)).collect()
}

/// An export of several commits to which others of only a month or a tenant are no part.
fn exported(chains: &[(i64, i64)]) -> (Temporary, Ledger) {
    let dir = Temporary::new();
    let mut ledger = Ledger::default();
    for part in 1..=3 {
        ledger = Ledger::of(&chains.iter().map(|(writer, entries)| (*writer, entries * part / 3)).collect::<Vec<_>>());
        export(&ledger, &dir.place()).unwrap();
    }
    (dir, ledger)
}

#[test]
fn contract_what_was_exported_is_read_back_in_the_order_of_its_chain() {
    let (dir, ledger) = exported(&[(1, 211), (2, 60), (9, 3)]);
    let archive = open(&dir).unwrap();
    let ends: Vec<(i64, i64)> = archive.ends().iter().map(|end| (end.position.writer, end.position.entry)).collect();
    assert_eq!(ends, [(1, 211), (2, 60), (9, 3)]);
    assert!(archive.ends().iter().all(|end| end.hash == ledger.hash_of(end.position)));
    for writer in [1, 2, 9] {
        assert_eq!(all_of(&archive, writer).unwrap(), rows(&ledger, writer, (0, 211), |_| true));
    }
    assert_eq!(all_of(&archive, 3).unwrap(), []);
}
