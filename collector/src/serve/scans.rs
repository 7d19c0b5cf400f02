//! Reports that read calls take as long as there are calls. A credential has one at a time, and all together have a few: who asks
//! much waits for himself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// How many there are at a time.
const MOST: usize = 3;

/// Who may read calls now.
#[derive(Debug)]
pub struct Scans {
    all: Arc<Semaphore>,
    own: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// May read until it is dropped.
#[derive(Debug)]
pub struct Scanning {
    _own: OwnedSemaphorePermit,
    _one: OwnedSemaphorePermit,
}

impl Default for Scans {
    fn default() -> Scans {
        Scans { all: Arc::new(Semaphore::new(MOST)), own: Mutex::default() }
    }
}

impl Scans {
    /// Waits for the turn of a credential.
    pub async fn acquire(&self, credential: &str) -> Result<Scanning, AcquireError> {
        let own = {
            let mut known = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody has or waits for one of these.
            known.retain(|_, own| Arc::strong_count(own) > 1 || own.available_permits() == 0);
            known.entry(credential.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
        };
        let own = own.acquire_owned().await?;
        Ok(Scanning { _own: own, _one: self.all.clone().acquire_owned().await? })
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    /// What a turn is, if it has come.
    fn now(scans: &Scans, credential: &str) -> Option<Scanning> {
        match pin!(scans.acquire(credential)).poll(&mut Context::from_waker(Waker::noop())) {
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
}
