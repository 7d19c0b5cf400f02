//! The name of the Envoy process, in the memory that all VMs of the plugin share.
//!
//! Two records of one call are of one call only if two processes saw it; emitters do not tell, for each worker has its own.

use crate::shared::{Change, Shared};

/// The name. Workers that name the process at the same time are few, and the first one wins.
pub const NAME: Shared = Shared::new("meshmeter: process", 8);

/// The name that stands there; if there is none yet, this one.
pub fn agree(drawn: &str) -> Option<String> {
    let named = NAME.change(|name| match name {
        "" => Change::Set(drawn.to_owned(), drawn.to_owned()),
        name => Change::Keep(name.to_owned()),
    });
    named.ok()
}
