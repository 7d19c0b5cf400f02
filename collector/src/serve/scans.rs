//! Reports that read calls take as long as there are calls. A credential has one at a time, and all together have a few: who asks
//! much waits for himself. Of these few not all may wait for the archive of sealed months: it may not respond, and what is asked of
//! other months does not need it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// How many there are at a time.
const MOST: usize = 3;
/// How many of them may need the archive.
const OF_ARCHIVE: usize = 2;
const _: () = assert!(OF_ARCHIVE < MOST);

/// Who may read calls now.
#[derive(Debug)]
pub struct Scans {
    all: Arc<Semaphore>,
    of_archive: Arc<Semaphore>,
    own: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The turn of a credential, which has one at a time; ends when it is dropped.
#[derive(Debug)]
pub struct Own {
    _one: OwnedSemaphorePermit,
}

/// A place among all, until it is dropped: when the reading has ended, which may be after whoever asked has gone.
#[derive(Debug)]
pub struct Place {
    _of_archive: Option<OwnedSemaphorePermit>,
    _one: OwnedSemaphorePermit,
}

impl Default for Scans {
    fn default() -> Scans {
        let places = |count| Arc::new(Semaphore::new(count));
        Scans { all: places(MOST), of_archive: places(OF_ARCHIVE), own: Mutex::default() }
    }
}

impl Scans {
    /// Waits until a credential has no other.
    pub async fn own(&self, credential: &str) -> Result<Own, AcquireError> {
        let own = {
            let mut known = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody has or waits for one of these.
            known.retain(|_, own| Arc::strong_count(own) > 1 || own.available_permits() == 0);
            known.entry(credential.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
        };
        Ok(Own { _one: own.acquire_owned().await? })
    }

    /// Waits for a place. Who needs the archive waits first until few others do, and takes no place meanwhile.
    pub async fn place(&self, needs_archive: bool) -> Result<Place, AcquireError> {
        let of_archive = if needs_archive { Some(self.of_archive.clone().acquire_owned().await?) } else { None };
        Ok(Place { _of_archive: of_archive, _one: self.all.clone().acquire_owned().await? })
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    /// What a turn is, if it has come.
    fn now(scans: &Scans, credential: &str) -> Option<(Own, Place)> {
        begun(scans, credential, false)
    }

    fn begun(scans: &Scans, credential: &str, needs_archive: bool) -> Option<(Own, Place)> {
        let turn = async { Ok::<_, AcquireError>((scans.own(credential).await?, scans.place(needs_archive).await?)) };
        match pin!(turn).poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(turn) => Some(turn.unwrap()),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn contract_a_credential_has_one_turn_and_keeps_nobody_else_from_theirs() {
        let scans = Scans::default();
        let finance = now(&scans, "finance").unwrap();
        assert!(now(&scans, "finance").is_none() && now(&scans, "finance").is_none());
        let page = now(&scans, "page").unwrap();
        let _third = now(&scans, "third").unwrap();
        assert!(now(&scans, "fourth").is_none(), "all together have a few");
        drop(page);
        let _fourth = now(&scans, "fourth").unwrap();
        assert!(now(&scans, "finance").is_none());
        drop(finance);
        assert!(now(&scans, "finance").is_some());
        assert!(scans.own.lock().unwrap().len() <= 4);
    }

    #[test]
    fn contract_who_waits_for_the_archive_leaves_a_place_for_who_does_not() {
        let scans = Scans::default();
        let first = begun(&scans, "one", true).unwrap();
        let _second = begun(&scans, "two", true).unwrap();
        assert!(begun(&scans, "three", true).is_none());
        let other = now(&scans, "four").unwrap();
        assert!(now(&scans, "five").is_none(), "all together have a few");
        drop(other);
        drop(first);
        let _third = begun(&scans, "three", true).unwrap();
        assert!(now(&scans, "five").is_some());
    }
}
