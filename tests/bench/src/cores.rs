//! Which core does what: Envoy has one to itself, load and provider the other.

use e2e::Result;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Envoy's.
pub const PROXY: usize = 0;
/// The bench's own.
pub const LOAD: usize = 1;

/// Pins this thread, and what it starts from here on, to a core.
pub fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|error| format!("core {core}: {error}"))?;
    Ok(())
}

/// Takes the load's core; fails if there are not two cores to share out.
pub fn take() -> Result<()> {
    let have = sched_getaffinity(None)?;
    if !have.is_set(PROXY) || !have.is_set(LOAD) {
        return Err("the bench needs the first two cores of the machine, one for Envoy and one for the load".into());
    }
    pin(LOAD)
}
