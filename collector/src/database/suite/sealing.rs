//! Months that are sealed: whoever fails at any step goes on, and meanwhile everybody reads everything once.

use std::path::PathBuf;

use super::*;
use crate::database::Location;
use crate::sealed::{self, Archived, Failure, Request, Settings, Whole, bring_back_by, run_by};
use crate::store::months::Month;
use crate::store::{Booked, Changes, Keys, Known, Span};

/// When the month of all calls is over.
const LATER_NS: i64 = 40 * DAY_NS as i64;
const CALLS: u64 = 24;

/// A store that fails at one of its transactions: before it is made, or behind it.
struct Failing {
    store: Box<dyn Store + Send>,
    left: usize,
    is_made: bool,
}

impl Store for Failing {
    fn transact(&mut self, keys: &Keys, decide: &mut dyn FnMut(Known) -> Changes) -> Result<(), StoreError> {
        let fails = self.left == 0;
        self.left = self.left.saturating_sub(1);
        if !fails || self.is_made {
            self.store.transact(keys, decide)?;
        }
        if fails { Err(StoreError::Unusable("it fails here".to_owned())) } else { Ok(()) }
    }
}

/// A directory of a test, gone at its end.
struct Place(PathBuf);

impl Place {
    fn new(location: &Location) -> Place {
        let kind = if matches!(location, Location::Sqlite(_)) { "sqlite" } else { "postgres" };
        Place(std::env::temp_dir().join(format!("meshmeter-sealing-{kind}-{}", std::process::id())))
    }

    fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What reports are made from, and the first entries of each chain.
fn told(reader: &dyn Reader, ends: &[EntryId]) -> Vec<String> {
    let mut told = Vec::new();
    let every = Selection::default();
    told.extend(all(|each| reader.standing(&every, each)).iter().map(|entry| format!("stands {entry:?}")));
    let span = Span { from_ns: 0, until_ns: i64::MAX, tenant: None };
    let mut counted: Vec<String> =
        all(|each| reader.counted(&span, each)).iter().map(|entry| format!("counts {entry:?}")).collect();
    counted.sort();
    told.extend(counted);
    for end in ends {
        let begin = EntryId { number: 0, ..*end };
        told.extend(all(|each| reader.written(begin, end.number, each)).iter().map(|entry| format!("{entry:?}")));
        let tenant = String::new();
        for (month, below) in [("1970-01", true), ("1970-02", true)] {
            let which = Booked { month: month.parse().unwrap(), tenant: tenant.clone(), below, until: *end };
            told.extend(all(|each| reader.booked(&which, each)).iter().map(|entry| format!("booked {entry:?}")));
        }
        for number in 1..=end.number {
            told.push(format!("{:?}", reader.entry(EntryId { number, ..*end }).unwrap()));
        }
    }
    for number in 1..=CALLS {
        told.push(format!("{:?}", reader.record(&(emitter(1), i64::try_from(number).unwrap())).unwrap()));
    }
    told
}

fn fill(location: &Location) {
    let mut ledger = Ledger::new(location.open().unwrap());
    ledger.set_prices(Some(std::sync::Arc::new(PriceBook::parse(BOOK).unwrap())));
    for number in 1..=CALLS {
        assert_eq!(ledger.append(&[&delivery_of(number)], NOW_NS).unwrap()[0].accepted, 1);
    }
    let reader = location.reader();
    let standing = all(|each| reader.standing(&Selection::default(), each));
    let void = |entry: &Entry| Correction { entry: entry.clone(), instead: None, reason: "a test".to_owned() };
    assert_eq!(ledger.correct(&standing[3..6].iter().map(void).collect::<Vec<_>>(), NOW_NS).unwrap(), 3);
    assert_eq!(ledger.append(&[&delivery_of(CALLS + 1)], NOW_NS).unwrap()[0].accepted, 1);
    ledger.close_month("1970-01".parse().unwrap(), "a test", LATER_NS).unwrap().unwrap();
    // In February, for January.
    assert_eq!(ledger.correct(&[void(&standing[8])], LATER_NS + 1).unwrap(), 1);
}

fn sealed_by(location: &Location, place: &Place, store: Failing) -> Result<(), Failure> {
    let reader = Whole::of(location, Settings::default());
    let before: Month = "1970-02".parse().unwrap();
    let plan = sealed::plan(&reader, before, LATER_NS + 2)?;
    let to = warehouse::place::open(place.name(), &Default::default()).unwrap();
    let bounds = warehouse::Bounds { commit: 7, ..Default::default() };
    let source = crate::export::Ledger(&reader);
    warehouse::export(&source, &*to, &Default::default(), bounds, &mut |_| ()).unwrap();
    let archived = Archived::open(place.name(), &Default::default())?;
    let (place, reason) = (place.name().to_owned(), "a test".to_owned());
    let request = Request { before, place, endpoint: None, who: "ann".to_owned(), reason };
    let checked = sealed::check(&reader, &archived, &plan, &request, &mut || ())?;
    let mut ledger = Ledger::new(store);
    run_by(&reader, &mut ledger, &plan, &checked, &request, LATER_NS + 2, 9, &mut |_, _| ()).map(drop)
}

fn brought_back_by(location: &Location, store: Failing) -> Result<(), Failure> {
    let reader = Whole::of(location, Settings::default());
    let archived = sealed::open(&Settings::default(), &reader.sealed()?)?;
    let back = sealed::come_back(&reader, &archived, None)?;
    let mut ledger = Ledger::new(store);
    let by = ("ann", "a test");
    bring_back_by(&reader, &mut ledger, &archived, &back, by, LATER_NS + 3, 9, &mut || ()).map(drop)
}

/// Fails at each transaction, before it or behind it.
pub fn steps(location: &Location) {
    let place = Place::new(location);
    drop(location.open().unwrap());
    fill(location);
    let reader = Whole::of(location, Settings::default());
    let heads = crate::verify::verify(&reader, &[], || ()).unwrap();
    let ends: Vec<EntryId> = heads.iter().map(|head| head.entry).filter(|end| end.number > 0).collect();
    let expected = told(&reader, &ends);
    // With what exports and the relay make of it, which must add up to the sums.
    let sums = |reader: &Whole| {
        let mut seen = seen(reader);
        seen.retain(|what, _| !["heads", "entries", "written"].contains(&what.as_str()));
        seen
    };
    let expected_sums = sums(&reader);
    let check = |what: &str| {
        assert_eq!(told(&reader, &ends), expected, "{what}");
        assert_eq!(sums(&reader), expected_sums, "{what}");
        crate::verify::verify(&reader, &heads, || ()).unwrap_or_else(|failure| panic!("{what}: {failure}"));
    };
    let failing = |left, is_made| Failing { store: location.open().unwrap(), left, is_made };
    let count = || location.reader().present_count(&ends);
    let whole = count();
    let mut failed = [0, 0];
    for is_made in [false, true] {
        // One half of the steps before it, the other behind it.
        for left in (usize::from(is_made)..).step_by(2) {
            let sealing = sealed_by(location, &place, failing(left, is_made));
            check(&format!("sealing fails at {left}, {is_made}"));
            failed[0] += usize::from(sealing.is_err());
            // Whoever runs it again.
            sealed_by(location, &place, failing(usize::MAX, false)).unwrap();
            check("sealed");
            // Four were taken back: they stay, as do what took them back and the note.
            assert_eq!(count(), whole - i64::try_from(CALLS).unwrap() - 1 + 4, "what stays");
            let back = brought_back_by(location, failing(left, is_made));
            check(&format!("unsealing fails at {left}, {is_made}"));
            failed[1] += usize::from(back.is_err());
            if left % 3 == 2 && back.is_err() {
                // Or does not want them back any more.
                sealed_by(location, &place, failing(usize::MAX, false)).unwrap();
                check("sealed again");
            }
            match brought_back_by(location, failing(usize::MAX, false)) {
                Ok(()) => {}
                Err(failure) => assert_eq!(failure.to_string(), "nothing is sealed"),
            }
            check("brought back");
            assert_eq!(count(), whole, "all is back");
            if sealing.is_ok() && back.is_ok() {
                break;
            }
        }
    }
    assert!(failed[0] >= 4 && failed[1] >= 4, "{failed:?}");
}

trait Count {
    fn present_count(&self, ends: &[EntryId]) -> i64;
}

impl Count for std::sync::Arc<dyn Reader> {
    /// How many of the first entries the database has itself.
    fn present_count(&self, ends: &[EntryId]) -> i64 {
        let piece = |end: &EntryId| crate::store::sealing::Piece { writer: end.writer, behind: 0, until: end.number };
        ends.iter().map(|end| all(|each| self.present(piece(end), each)).len() as i64).sum()
    }
}
