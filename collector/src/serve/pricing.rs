//! The price books that new calls are rated by: read again when one of their files has changed, so that a new price needs
//! no restart.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::files::Watched;
use super::log;
use crate::prices::{Books, PriceBook};
use crate::terminal;

/// How often to look.
const INTERVAL: Duration = Duration::from_secs(1);

/// A book that was read since it was last asked for, if there is one.
#[derive(Default)]
pub struct Fresh(Arc<Mutex<Option<Arc<PriceBook>>>>);

impl Fresh {
    /// Takes it.
    pub fn take(&self) -> Option<Arc<PriceBook>> {
        held(&self.0).take()
    }
}

fn held(slot: &Mutex<Option<Arc<PriceBook>>>) -> MutexGuard<'_, Option<Arc<PriceBook>>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The price books and their files.
pub struct Pricing {
    books: Books,
    watched: Watched,
    fresh: Option<Arc<PriceBook>>,
}

impl Pricing {
    /// Reads the books, if there are any; one that cannot be used is an error now, and only now.
    pub fn load(books: Books) -> Result<Pricing, String> {
        // Before they are read: what is written meanwhile is seen at the next look.
        let watched = Watched::new(books.files.clone());
        let fresh = books.load()?.map(Arc::new);
        Ok(Pricing { books, watched, fresh })
    }

    /// The book that was read last, if it is another than the last time.
    pub fn changed(&mut self) -> Option<Arc<PriceBook>> {
        self.fresh.take()
    }

    /// Looks every second until nobody wants a book any more: a thread of its own, so that nobody waits for a file.
    pub fn start(mut self) -> Result<Fresh, String> {
        let fresh = Fresh::default();
        if self.books.files.is_empty() {
            return Ok(fresh);
        }
        let wanted = Arc::downgrade(&fresh.0);
        let thread = std::thread::Builder::new().name("prices".to_owned());
        let started = thread.spawn(move || {
            while let Some(fresh) = wanted.upgrade() {
                self.look();
                if let Some(book) = self.changed() {
                    *held(&fresh) = Some(book);
                }
                drop(fresh);
                std::thread::sleep(INTERVAL);
            }
        });
        started.map(|_| fresh).map_err(|error| format!("no thread to watch price books: {error}"))
    }

    /// Reads the books if one of their files is another one, but not while it is being written: only as it was at two looks.
    fn look(&mut self) {
        if self.books.files.is_empty() || !self.watched.changed() {
            return;
        }
        let book = self.books.load();
        // What was written to meanwhile is read at a later look.
        if self.watched.moves() {
            return;
        }
        match book {
            Ok(book) => {
                let book = book.unwrap_or_default();
                log::info(&format!("new prices, {}: {}", names(&self.books.files), book.summary()));
                self.fresh = Some(Arc::new(book));
            }
            Err(problems) => {
                log::error("the new prices are not used, the old ones stay");
                problems.lines().for_each(log::error);
            }
        }
    }
}

fn names(files: &[PathBuf]) -> String {
    files.iter().map(|file| terminal::file(file).to_string()).collect::<Vec<_>>().join(", ")
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
        let mut pricing = Pricing::load(Books { files: vec![file.clone()], with_built_in: false }).unwrap();
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

    #[test]
    fn contract_any_book_of_several_is_read_again_and_a_wrong_one_leaves_all_as_they_are() {
        let dir = Dir(std::env::temp_dir().join(format!("meshmeter-layers-{}", std::process::id())));
        fs::create_dir_all(&dir.0).unwrap();
        let files = ["first.toml", "second.toml"].map(|name| dir.0.join(name));
        fs::write(&files[0], entry("a")).unwrap();
        fs::write(&files[1], entry("b")).unwrap();
        let books = Books { files: files.to_vec(), with_built_in: false };
        let mut pricing = Pricing::load(books).unwrap();
        let summary = |pricing: &mut Pricing| {
            pricing.look();
            pricing.look();
            pricing.fresh.take().map(|book| book.summary())
        };
        assert_eq!(summary(&mut pricing).as_deref(), Some("2 entries, 1 provider, 2 models and patterns"));
        fs::write(&files[1], [entry("b"), entry("c")].concat()).unwrap();
        assert_eq!(summary(&mut pricing).as_deref(), Some("3 entries, 1 provider, 3 models and patterns"));
        fs::write(&files[0], [entry("a"), entry("a")].concat()).unwrap();
        assert_eq!(summary(&mut pricing), None);
        fs::write(&files[0], entry("d")).unwrap();
        assert_eq!(summary(&mut pricing).as_deref(), Some("3 entries, 1 provider, 3 models and patterns"));
    }

    #[test]
    fn race_a_book_that_cannot_be_read_keeps_nobody_waiting_and_the_next_one_holds() {
        let dir = Dir(std::env::temp_dir().join(format!("meshmeter-pipe-{}", std::process::id())));
        fs::create_dir_all(&dir.0).unwrap();
        let (file, pipe) = (dir.0.join("prices.toml"), dir.0.join("pipe"));
        fs::write(&file, entry("a")).unwrap();
        let mut pricing = Pricing::load(Books { files: vec![file.clone()], with_built_in: false }).unwrap();
        assert!(pricing.changed().is_some());
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
        fs::rename(&pipe, &file).unwrap();
        let fresh = pricing.start().unwrap();
        std::thread::sleep(3 * INTERVAL);
        assert!(fresh.take().is_none());
        let other = dir.0.join("other.toml");
        fs::write(&other, [entry("a"), entry("b")].concat()).unwrap();
        fs::rename(&other, &file).unwrap();
        let until = std::time::Instant::now() + Duration::from_secs(60);
        let book = loop {
            if let Some(book) = fresh.take() {
                break book;
            }
            assert!(std::time::Instant::now() < until, "it is not read");
            std::thread::sleep(Duration::from_millis(50));
        };
        assert_eq!(book.summary(), "2 entries, 1 provider, 2 models and patterns");
    }
}
