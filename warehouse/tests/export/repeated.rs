//! Exports to the same place: what is new is added, what would be there twice is refused.

use std::fs;

use jiff::civil::date;
use warehouse::{Bounds, End, Error, Position, Row, Selection, Source};

use crate::support::*;

fn with(
    ledger: &dyn Source,
    dir: &Temporary,
    month: Option<&str>,
    tenant: Option<&str>,
) -> Result<warehouse::Done, String> {
    let selection = Selection { month: month.map(str::to_owned), tenant: tenant.map(str::to_owned) };
    warehouse::export(ledger, &dir.place(), &selection, SMALL, &mut |_| ()).map_err(|error| error.to_string())
}

#[test]
fn contract_a_second_export_adds_what_is_new_and_changes_nothing() {
    let dir = Temporary::new();
    let ledger = Ledger::of(&[(1, 9)]);
    let first = export(&ledger, &dir.place()).unwrap();
    assert_eq!((first.commits.len(), first.commits.iter().map(|commit| commit.rows).sum::<u64>()), (2, 9));
    let before: Vec<(std::path::PathBuf, Vec<u8>)> =
        files(&dir.0).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    let again = export(&ledger, &dir.place()).unwrap();
    assert_eq!((again.commits.len(), again.to), (0, first.to));
    let grown = Ledger::of(&[(1, 12), (7, 3)]);
    let mut heard = Vec::new();
    let added = warehouse::export(&grown, &dir.place(), &Selection::default(), Bounds::default(), &mut |progress| {
        heard.push(progress)
    });
    let added = added.unwrap();
    assert_eq!((added.commits.len(), added.commits[0].number, added.commits[0].rows), (1, 3, 6));
    assert_eq!(
        heard.iter().map(|progress| (progress.read, progress.of)).collect::<Vec<_>>(),
        (1..=6).map(|read| (read, 6)).collect::<Vec<_>>()
    );
    for (path, bytes) in before {
        assert_eq!(fs::read(path).unwrap(), bytes);
    }
    assert_eq!(positions(&dir.0), all(&grown));
    manifests_are_true(&dir.0);
}

#[test]
fn contract_the_same_entries_make_the_same_files() {
    let of = |ledger: &Ledger| {
        let dir = Temporary::new();
        export(ledger, &dir.place()).unwrap();
        let name = |path: &std::path::Path| path.strip_prefix(&dir.0).unwrap().to_owned();
        files(&dir.0).iter().map(|path| (name(path), fs::read(path).unwrap())).collect::<Vec<_>>()
    };
    let ledger = Ledger::of(&[(1, 30), (2, 11)]);
    assert!(of(&ledger) == of(&ledger));
}

#[test]
fn contract_months_and_tenants_are_exported_by_themselves_and_never_twice() {
    let dir = Temporary::new();
    let ledger = Ledger::of(&[(1, 60)]);
    with(&ledger, &dir, Some("2026-10"), Some("acme")).unwrap();
    with(&ledger, &dir, Some("2026-11"), Some("acme")).unwrap();
    with(&ledger, &dir, None, Some("globex")).unwrap();
    let of_row = |(writer, entry): &(i64, i64)| ledger.row(Position { writer: *writer, entry: *entry });
    let is_meant = |row: &Row| row.tenant == "acme" || row.tenant == "acme/ml" || row.tenant == "globex";
    let meant: Vec<(i64, i64)> = all(&ledger).into_iter().filter(|position| is_meant(&of_row(position))).collect();
    assert!(meant.len() > 30);
    assert_eq!(positions(&dir.0), meant);
    manifests_are_true(&dir.0);
    for (month, tenant) in
        [(None, None), (Some("2026-10"), None), (None, Some("acme/ml")), (Some("2026-09"), Some("globex"))]
    {
        let refused = with(&ledger, &dir, month, tenant).unwrap_err();
        assert!(refused.contains(" would be there twice; export to another place"), "{refused}");
    }
    assert_eq!(positions(&dir.0), meant);
    // Each goes on by itself.
    let grown = Ledger::of(&[(1, 70)]);
    with(&grown, &dir, Some("2026-11"), Some("acme")).unwrap();
    let more = |position: &(i64, i64)| {
        let row = of_row(position);
        is_meant(&row) && (position.1 <= 60 || row.tenant != "globex" && row.month() == "2026-11")
    };
    assert_eq!(positions(&dir.0), all(&grown).into_iter().filter(more).collect::<Vec<_>>());
}

#[test]
fn contract_another_ledger_is_refused() {
    let dir = Temporary::new();
    export(&Ledger::of(&[(1, 9), (2, 4)]), &dir.place()).unwrap();
    for (other, why) in [
        (Ledger { salt: 1, ..Ledger::of(&[(1, 9), (2, 4)]) }, "there is another entry 1:9"),
        (Ledger::of(&[(1, 8), (2, 4)]), "there is no entry 1:9"),
        (Ledger::of(&[(1, 30)]), "there is no entry 2:4"),
    ] {
        let refused = export(&other, &dir.place()).unwrap_err().to_string();
        assert!(refused.contains("was exported from another ledger") && refused.ends_with(why), "{refused}");
    }
    assert_eq!(positions(&dir.0).len(), 13);
}

#[test]
fn contract_only_one_export_writes_to_a_directory() {
    let dir = Temporary::new();
    let place = dir.place();
    let refused = warehouse::place::Dir::open(&dir.0).unwrap_err().to_string();
    assert!(refused.ends_with(": another export is writing to it"), "{refused}");
    drop(place);
    dir.place();
}

#[test]
fn contract_a_place_of_a_later_version_is_refused() {
    let dir = Temporary::new();
    export(&Ledger::of(&[(1, 1)]), &dir.place()).unwrap();
    let manifest = dir.0.join("_meshmeter/manifests/all/00000001.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    let refused = export(&Ledger::of(&[(1, 2)]), &dir.place()).unwrap_err().to_string();
    assert!(refused.contains("is of format 2, which this version of meshmeter does not write"), "{refused}");
    fs::remove_file(&manifest).unwrap();
    fs::write(manifest.with_file_name("00000002.json"), text).unwrap();
    let refused = export(&Ledger::of(&[(1, 2)]), &dir.place()).unwrap_err().to_string();
    assert!(refused.ends_with("_meshmeter/manifests/all has no manifest of commit 1"), "{refused}");
}

#[test]
fn contract_an_entry_of_any_month_is_taken_with_few_files_open() {
    /// Each entry counts in a month of its own.
    struct Months;
    impl Source for Months {
        fn ends(&self) -> Result<Vec<Position>, Error> {
            Ok(vec![Position { writer: 1, entry: 300 }])
        }
        fn hash(&self, _: Position) -> Result<Option<[u8; 32]>, Error> {
            Ok(Some([0; 32]))
        }
        fn rows(&self, behind: &End, until: i64, each: &mut dyn FnMut(Row) -> Result<(), Error>) -> Result<(), Error> {
            (behind.position.entry + 1..=until).try_for_each(|entry| {
                let number = (entry * 7 % 150) as i16;
                each(note(Position { writer: 1, entry }, date(1700 + number / 12, (number % 12 + 1) as i8, 1), "acme"))
            })
        }
    }
    let dir = Temporary::new();
    let bounds = Bounds { commit: 1000, ..SMALL };
    warehouse::export(&Months, &dir.place(), &Selection::default(), bounds, &mut |_| ()).unwrap();
    assert_eq!(positions(&dir.0), (1..=300).map(|entry| (1, entry)).collect::<Vec<_>>());
    manifests_are_true(&dir.0);
}
