//! What delivery wants of the proxy, and what the proxy says of it.

use crate::batch::{Batch, Settled};
use crate::response::Response;

/// Something for the driver to do, at once and in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a batch to the collector of the root context whose callback this is, then say by
    /// [`Delivery::dispatched`](crate::Delivery::dispatched) what came of it.
    Dispatch {
        /// What to send.
        batch: Batch,
        /// It goes beside another, to keep a second connection warm: its response is of no interest.
        is_beside: bool,
    },
    /// Read shared data, then call [`Delivery::read`](crate::Delivery::read).
    Read {
        /// Its key.
        key: String,
    },
    /// Write shared data, then call [`Delivery::written`](crate::Delivery::written).
    Write {
        /// Its key.
        key: String,
        /// What to write.
        value: Vec<u8>,
        /// Only if this is its version still; 0: in any case.
        cas: u32,
    },
    /// Let the proxy delete the root context whose callback this is (`proxy_done`).
    Done,
    /// Nothing to do: a dispatch is over.
    Settled(Outcome),
    /// Nothing to do: there was no room for what this emitter has not delivered, or it cannot be had any more; only the journal
    /// has it.
    NotHandedOff {
        /// Whose.
        emitter: String,
    },
}

/// A dispatch that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whose events they were.
    pub emitter: String,
    /// What became of them.
    pub settled: Settled,
    /// What the collector said.
    pub response: Response,
    /// The VM ends and waits no longer: that is no failure of the collector's.
    pub is_abandoned: bool,
}

/// A value of shared data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedValue {
    /// What it is.
    pub bytes: Vec<u8>,
    /// Its version, for compare and swap.
    pub cas: u32,
}

/// The proxy does not give a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is there.
    Done,
    /// Another VM has written meanwhile.
    CasMismatch,
    /// The proxy does not take it.
    Failed,
}
