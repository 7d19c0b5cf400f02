//! The price book that new calls are rated by: read again when its file has changed, so that a new price needs no
//! restart.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::log;
use crate::prices::PriceBook;
use crate::terminal;

/// How often to look.
const INTERVAL: Duration = Duration::from_secs(1);

/// A price book and its file.
pub struct Pricing {
    path: Option<PathBuf>,
    looked: Instant,
    /// The file that was read last, whatever came of it.
    read: Option<Stamp>,
    /// The file at the last look.
    seen: Option<Stamp>,
    fresh: Option<Arc<PriceBook>>,
}

/// By what a file is known to be the same: another one, or one that is written to, has another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        let about = std::fs::metadata(path).ok()?;
        Some(Stamp { file: (about.dev(), about.ino()), length: about.len(), modified: about.modified().ok() })
    }
}

impl Pricing {
    /// No prices: everything is unpriced until it is rated anew.
    #[cfg(test)]
    pub fn none() -> Pricing {
        Pricing { path: None, looked: Instant::now(), read: None, seen: None, fresh: None }
    }

    /// Reads the book, if there is one; a book that cannot be used is an error now, and only now.
    pub fn load(path: Option<PathBuf>) -> Result<Pricing, String> {
        // Before it is read: what is written meanwhile is seen at the next look.
        let read = path.as_deref().and_then(Stamp::of);
        let fresh = path.as_deref().map(PriceBook::load).transpose()?.map(Arc::new);
        Ok(Pricing { path, looked: Instant::now(), read, seen: read, fresh })
    }

    /// The book, if it is another than the last time. One that cannot be used is said, and the last one stays.
    pub fn changed(&mut self) -> Option<Arc<PriceBook>> {
        if self.fresh.is_none() && self.looked.elapsed() >= INTERVAL {
            self.looked = Instant::now();
            self.look();
        }
        self.fresh.take()
    }

    /// Reads the book if its file is another one, but not while it is being written: only as it was at two looks.
    fn look(&mut self) {
        let Some(path) = &self.path else { return };
        let now = Stamp::of(path);
        let still = std::mem::replace(&mut self.seen, now) == now;
        if now == self.read || !still {
            return;
        }
        let book = PriceBook::load(path);
        if Stamp::of(path) != now {
            return;
        }
        self.read = now;
        match book {
            Ok(book) => {
                log(&format!("new prices, {}: {}", terminal::file(path), book.summary()));
                self.fresh = Some(Arc::new(book));
            }
            Err(problems) => log(&format!("the new prices are not used:\n{problems}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A directory of a test, gone at its end.
    struct Dir(PathBuf);

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn entry(model: &str) -> String {
        format!("[[price]]\nprovider = \"p\"\nmodel = \"{model}\"\nvalid_from = 2026-01-01\ninput_text = \"1\"\n")
    }

    #[test]
    fn contract_a_book_that_is_being_written_is_not_read_and_one_that_is_cut_off_changes_nothing() {
        let dir = Dir(std::env::temp_dir().join(format!("meshmeter-pricing-{}", std::process::id())));
        fs::create_dir_all(&dir.0).unwrap();
        let file = dir.0.join("prices.toml");
        let whole = [entry("a"), entry("b")].concat();
        fs::write(&file, entry("a")).unwrap();
        let mut pricing = Pricing::load(Some(file.clone())).unwrap();
        assert!(pricing.changed().is_some());
        let mut look = |text: Option<&str>| {
            if let Some(text) = text {
                fs::write(&file, text).unwrap();
            }
            pricing.look();
            pricing.fresh.take().map(|book| book.summary())
        };
        let two = Some("2 entries, 1 provider, 2 models and patterns".to_owned());
        assert_eq!(look(None), None, "it was read at the start");
        // Written in pieces, each of which would be a book, or none.
        for length in [0, entry("a").len() - 1, entry("a").len() + 9, whole.len()] {
            assert_eq!(look(Some(&whole[..length])), None, "{length}");
        }
        assert_eq!((look(None), look(None)), (two.clone(), None));
        // Nobody goes on with it: it is read, and refused once.
        assert_eq!((look(Some(&whole[..9])), look(None), look(None)), (None, None, None));
        assert_eq!((look(Some(&whole)), look(None)), (None, two.clone()));
        // Another file in its place, as large and as old.
        let other = dir.0.join("other.toml");
        fs::write(&other, whole.replace("\"b\"", "\"c\"")).unwrap();
        let times = fs::FileTimes::new().set_modified(fs::metadata(&file).unwrap().modified().unwrap());
        fs::File::options().write(true).open(&other).unwrap().set_times(times).unwrap();
        fs::rename(&other, &file).unwrap();
        assert_eq!((look(None), look(None)), (None, two));
    }
}
