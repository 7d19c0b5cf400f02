//! The name of the Envoy process, in the memory that all VMs of the plugin share.
//!
//! Two records of one call are of one call only if two processes saw it; emitters do not tell, for each worker has its own.

use crate::host::{self, Failure};

/// Where the name stands.
const KEY: &str = "meshmeter: process";
/// Workers that name the process at the same time are few, and the first one wins.
const TRIES: usize = 8;

/// Makes the place for the name: what is not there yet cannot be compared and swapped. As for [`crate::estate::prepare`].
pub fn prepare() {
    if matches!(host::shared(KEY), Ok(None)) {
        let _ = host::set_shared(KEY, b"", 0);
    }
}

/// The name that stands there; if there is none yet, this one.
pub fn agree(drawn: &str) -> Option<String> {
    for _ in 0..TRIES {
        let (name, version) = host::shared(KEY).ok()??;
        if !name.is_empty() {
            return String::from_utf8(name).ok();
        }
        match host::set_shared(KEY, drawn.as_bytes(), version) {
            Ok(()) => return Some(drawn.to_owned()),
            Err(Failure(host::CAS_MISMATCH)) => {}
            Err(_) => return None,
        }
    }
    None
}
