//! An export that ends at any of its steps, and is started again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use warehouse::{Error, Place};

use crate::support::*;

/// A place where the step with this number is the last: done or not done, nothing comes behind it.
struct Killed<'p> {
    place: &'p dyn Place,
    left: AtomicU32,
    is_done: bool,
}

impl Killed<'_> {
    fn step<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        match self.left.load(Ordering::Relaxed) {
            0 => Err(Error::new("killed before")),
            1 => {
                self.left.store(0, Ordering::Relaxed);
                if self.is_done {
                    work()?;
                }
                Err(Error::new("killed"))
            }
            left => {
                self.left.store(left - 1, Ordering::Relaxed);
                work()
            }
        }
    }
}

impl Place for Killed<'_> {
    fn name(&self) -> String {
        self.place.name()
    }
    fn staging(&self) -> Result<PathBuf, Error> {
        self.step(|| self.place.staging())
    }
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        self.step(|| self.place.get(path))
    }
    fn size(&self, path: &str) -> Result<Option<u64>, Error> {
        self.step(|| self.place.size(path))
    }
    fn fetch(&self, path: &str, copy: &dyn Fn() -> Result<PathBuf, Error>) -> Result<Option<PathBuf>, Error> {
        self.step(|| self.place.fetch(path, copy))
    }
    fn create(&self, path: &str, bytes: &[u8]) -> Result<bool, Error> {
        self.step(|| self.place.create(path, bytes))
    }
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        self.step(|| self.place.replace(path, bytes))
    }
    fn list(&self, directory: &str) -> Result<Vec<String>, Error> {
        self.step(|| self.place.list(directory))
    }
    fn delete(&self, path: &str) -> Result<(), Error> {
        self.step(|| self.place.delete(path))
    }
    fn publish(&self, staged: &Path, path: &str) -> Result<(), Error> {
        self.step(|| self.place.publish(staged, path))
    }
}

/// Exports with so many steps; whether it came to its end.
fn killed_after(ledger: &Ledger, dir: &Temporary, steps: u32, is_done: bool) -> bool {
    let place = dir.place();
    let killed = Killed { place: &place, left: AtomicU32::new(steps), is_done };
    match export(ledger, &killed) {
        Ok(_) => true,
        Err(error) => {
            assert!(error.to_string().starts_with("killed"), "{error}");
            false
        }
    }
}

#[test]
fn race_killed_at_any_step_and_started_again_has_each_entry_once() {
    let ledger = Ledger::of(&[(1, 9), (2, 5)]);
    for is_done in [false, true] {
        for steps in 1.. {
            let dir = Temporary::new();
            if killed_after(&ledger, &dir, steps, is_done) {
                assert!(steps > 20, "it has that many steps");
                break;
            }
            // Whatever was shown is whole, and nothing is there twice.
            let mut shown = positions(&dir.0);
            let length = shown.len();
            shown.dedup();
            assert_eq!(shown.len(), length, "{steps}");
            // The ledger has grown meanwhile.
            let grown = Ledger::of(&[(1, 13), (2, 5), (3, 1)]);
            export(&grown, &dir.place()).unwrap();
            assert_eq!(positions(&dir.0), all(&grown), "killed at step {steps}");
            manifests_are_true(&dir.0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn race_killed_again_and_again_while_the_ledger_grows_has_each_entry_once(
        kills in prop::collection::vec((1..60_u32, any::<bool>(), 0..9_i64, 0..9_i64), 1..10),
    ) {
        let dir = Temporary::new();
        let mut ledger = Ledger::of(&[(1, 5)]);
        for (steps, is_done, first, second) in kills {
            *ledger.chains.entry(1).or_default() += first;
            *ledger.chains.entry(2).or_default() += second;
            killed_after(&ledger, &dir, steps, is_done);
        }
        export(&ledger, &dir.place()).unwrap();
        prop_assert_eq!(positions(&dir.0), all(&ledger));
        manifests_are_true(&dir.0);
    }
}
