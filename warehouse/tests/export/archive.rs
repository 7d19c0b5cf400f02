//! What was exported is read back, or what is wrong with it is said.

use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use warehouse::place::Dir;
use warehouse::{Archive, Bounds, Error, Kept, Position, Row, Selection};

use crate::support::*;

pub fn open(dir: &Temporary) -> Result<Archive, Error> {
    Archive::open(Arc::new(Dir::open_to_read(&dir.0)?))
}

/// The entries of a chain.
pub fn read(
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

pub fn all_of(archive: &Archive, writer: i64) -> Result<Vec<Kept>, Error> {
    read(archive, writer, (0, i64::MAX), None, None)
}

pub fn rows(ledger: &Ledger, writer: i64, span: (i64, i64), is_meant: impl Fn(&Row) -> bool) -> Vec<Kept> {
    let rows = (span.0 + 1..=span.1.min(ledger.chains[&writer])).map(|entry| ledger.row(Position { writer, entry }));
    rows.filter(is_meant).map(|row| kept(&row)).collect()
}

/// An export of several commits to which others of only a month or a tenant are no part.
pub fn exported(chains: &[(i64, i64)]) -> (Temporary, Ledger) {
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
    // What ends early is not read further.
    let mut left = 5;
    let stopped = archive.entries(1, 0, 211, None, None, &mut |_| {
        left -= 1;
        if left == 0 { Err(Error::new("enough")) } else { Ok(()) }
    });
    assert_eq!((stopped, left), (Err(Error::new("enough")), 0));
}

#[test]
fn contract_any_span_of_any_months_and_tenants_is_read() {
    let (dir, ledger) = exported(&[(1, 90), (2, 20)]);
    // Exports of other selections at other places are no part of it, nor is what is not committed.
    fs::write(dir.0.join("month=2026-10/left.parquet"), "what is this").unwrap();
    let archive = open(&dir).unwrap();
    let months = [None, Some("2026-10"..="2026-10"), Some("2026-11"..="2027-01"), Some("2025-01"..="2026-09")];
    let tenants = [None, Some("acme"), Some("acme/ml"), Some("globex"), Some("acm"), Some(""), Some("nobody")];
    let mut turn = 0;
    for (writer, end) in [(1, 90), (2, 20)] {
        for behind in [-5, 0, 1, 6, 7, 8, 49, 50, end - 1, end, end + 7] {
            for until in [0, 1, 7, 8, 33, 51, end - 1, end, end + 1, i64::MAX] {
                for month in &months {
                    for tenant in tenants {
                        // Not each with each other: that takes too long.
                        turn += 1;
                        if turn % 23 != 0 && (month.is_some() || tenant.is_some()) {
                            continue;
                        }
                        let is_meant = |row: &Row| {
                            month.as_ref().is_none_or(|months| months.contains(&&*row.month()))
                                && tenant.is_none_or(|path| {
                                    row.tenant == path || row.tenant.starts_with(&format!("{path}/"))
                                })
                        };
                        let found = read(&archive, writer, (behind, until), month.clone(), tenant).unwrap();
                        let expected = rows(&ledger, writer, (behind.max(0), until), is_meant);
                        assert!(found == expected, "{writer}: {behind} to {until}, {month:?}, {tenant:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn contract_one_entry_is_found_by_its_number_and_by_that_of_its_emitter() {
    let (dir, ledger) = exported(&[(1, 50), (2, 17)]);
    let archive = open(&dir).unwrap();
    for (writer, entry) in all(&ledger) {
        let row = ledger.row(Position { writer, entry });
        assert_eq!(archive.entry(row.position).unwrap(), Some(kept(&row)));
        let is_record = ["call", "copy", "release"].contains(&row.kind);
        let found = archive.record(&row.emitter, entry, None).unwrap();
        assert_eq!(found, is_record.then(|| kept(&row)), "{writer}:{entry}");
        let month = row.month();
        let found = archive.record(&row.emitter, entry, Some(month.clone()..=month)).unwrap();
        assert_eq!(found, is_record.then(|| kept(&row)));
        let before = "2020-01".to_owned()..="2026-09".to_owned();
        assert_eq!(archive.record(&row.emitter, entry, Some(before)).unwrap(), None);
    }
    for (writer, entry) in [(1, 0), (1, -1), (1, 51), (1, i64::MAX), (0, 1), (3, 1), (2, 18)] {
        assert_eq!(archive.entry(Position { writer, entry }).unwrap(), None);
    }
    assert_eq!(archive.record("nobody", 1, None).unwrap(), None);
    assert_eq!(archive.record(&format!("{:032x}", 1), 51, None).unwrap(), None);
}

#[test]
fn contract_row_groups_of_many_pages_are_read_from_any_row_on() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    // As large as rows become that are read in several parts, and whose columns have dictionaries.
    let ledger = Ledger::of(&[(1, 6000), (2, 2500)]);
    let dir = Temporary::new();
    let bounds = Bounds { commit: 8000, waiting: 5 << 20, file: 1 << 20, open: 16 };
    warehouse::export(&ledger, &dir.place(), &Selection::default(), bounds, &mut |_| ()).unwrap();
    let is_large = |path: &PathBuf| {
        let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
        reader.metadata().row_groups().iter().filter(|group| group.num_rows() > 600).count() > 1
    };
    assert!(files(&dir.0).iter().any(is_large));
    let archive = open(&dir).unwrap();
    for (writer, end) in [(1, 6000), (2, 2500)] {
        assert!(all_of(&archive, writer).unwrap() == rows(&ledger, writer, (0, end), |_| true));
        for (behind, until) in [(0, 1), (255, 256), (700, 2100), (1031, 1290), (end - 1, end)] {
            let found = read(&archive, writer, (behind, until), None, None).unwrap();
            assert!(found == rows(&ledger, writer, (behind, until), |_| true), "{writer}: {behind} to {until}");
        }
        let found = read(&archive, writer, (3, end), Some("2026-11"..="2026-11"), Some("acme/ml")).unwrap();
        assert!(found == rows(&ledger, writer, (3, end), |row| row.tenant == "acme/ml" && row.month() == "2026-11"));
        for entry in (1..=end).step_by(211).chain([end]) {
            let row = ledger.row(Position { writer, entry });
            assert_eq!(archive.entry(row.position).unwrap(), Some(kept(&row)));
            let is_record = ["call", "copy", "release"].contains(&row.kind);
            assert_eq!(archive.record(&row.emitter, entry, None).unwrap(), is_record.then(|| kept(&row)));
        }
    }
}
