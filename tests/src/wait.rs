//! Bounded waits by polling: nothing here asserts how long a thing takes, only that it comes.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};

use crate::Result;

/// Long enough for a slow machine under load; a healthy run never comes near it.
pub const PATIENCE: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(20);

/// Polls until `probe` gives a value; after [`PATIENCE`] fails with what was awaited and why it was not there.
pub async fn until<T, F, P>(what: &str, mut probe: P) -> Result<T>
where
    P: FnMut() -> F,
    F: Future<Output = Result<T>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        match probe().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => return Err(format!("waited for {what}: {error}").into()),
            Err(_) => sleep(STEP).await,
        }
    }
}

/// `Ok` when the condition holds, for use in a probe.
pub fn ensure(condition: bool, problem: impl FnOnce() -> String) -> Result<()> {
    if condition { Ok(()) } else { Err(problem().into()) }
}
