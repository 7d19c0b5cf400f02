//! What a database gives beside what an archive gives, one after the other, without either of them in memory.

use std::sync::mpsc::sync_channel;
use std::thread;

use crate::store::{Each, StoreError};

/// Items that wait between the two.
const WAITING: usize = 256;

/// What gives the next item of the database; nothing at the end.
pub type Next<'n, T> = &'n mut dyn FnMut() -> Result<Option<T>, StoreError>;

/// Asks a database on a thread of its own, and works with what it gives.
pub fn beside<T: Send>(
    ask: &(dyn Fn(Each<'_, T>) -> Result<(), StoreError> + Sync),
    work: impl FnOnce(Next<'_, T>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let ended = || StoreError::Unusable("the reading was ended".to_owned());
    thread::scope(|scope| {
        let (send, receive) = sync_channel(WAITING);
        let mut asking = Some(scope.spawn(move || ask(&mut |item| send.send(item).map_err(|_| ended()))));
        let done = work(&mut || match receive.recv() {
            Ok(item) => Ok(Some(item)),
            Err(_) => match asking.take() {
                Some(asking) => asking.join().unwrap_or_else(|_| Err(ended())).map(|()| None),
                None => Ok(None),
            },
        });
        // Whoever still sends hears that nobody listens.
        drop(receive);
        done
    })
}
