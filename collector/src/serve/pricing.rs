//! The price book that new calls are rated by: read again when its file has changed, so that a new price needs no
//! restart.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::log;
use crate::prices::PriceBook;

/// How often to look.
const INTERVAL: Duration = Duration::from_secs(1);

/// A price book and its file.
pub struct Pricing {
    path: Option<PathBuf>,
    looked: Instant,
    modified: Option<SystemTime>,
    fresh: Option<Arc<PriceBook>>,
}

impl Pricing {
    /// No prices: everything is unpriced until it is rated anew.
    #[cfg(test)]
    pub fn none() -> Pricing {
        Pricing { path: None, looked: Instant::now(), modified: None, fresh: None }
    }

    /// Reads the book, if there is one; a book that cannot be used is an error now, and only now.
    pub fn load(path: Option<PathBuf>) -> Result<Pricing, String> {
        let fresh = path.as_deref().map(PriceBook::load).transpose()?.map(Arc::new);
        let mut pricing = Pricing { path, looked: Instant::now(), modified: None, fresh };
        pricing.modified = pricing.now_modified();
        Ok(pricing)
    }

    /// The book, if it is another than the last time. One that cannot be used is said, and the last one stays.
    pub fn changed(&mut self) -> Option<Arc<PriceBook>> {
        if self.fresh.is_none() && self.looked.elapsed() >= INTERVAL {
            self.looked = Instant::now();
            let modified = self.now_modified();
            if let (true, Some(path)) = (modified != self.modified, &self.path) {
                match PriceBook::load(path) {
                    Ok(book) => self.fresh = Some(Arc::new(book)),
                    Err(problems) => {
                        log::error("the new prices are not used, the old ones stay");
                        problems.lines().for_each(log::error);
                    }
                }
                self.modified = modified;
            }
        }
        self.fresh.take()
    }

    fn now_modified(&self) -> Option<SystemTime> {
        std::fs::metadata(self.path.as_ref()?).and_then(|file| file.modified()).ok()
    }
}
