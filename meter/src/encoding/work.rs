//! What decoding a body may take: so much for each byte received, whatever those bytes ask for.
//!
//! Formats let few bytes ask for much: to repeat what was there, to build a code and not use it, to end a stream and begin
//! another. All of that is counted in one unit, the work of a byte that is decoded by copying and then read.

use std::cell::Cell;

/// Work that needs no bytes in: what begins with something repeated is no attack yet.
pub const FREE_WORK: u64 = 8 * 1024 * 1024;
/// Work for each byte in, beside [`FREE_WORK`]. Prose comes to 10, events of a stream to 50, and to 100 if each is flushed by
/// itself; more than this over many megabytes is no response.
pub const WORK_A_BYTE: u64 = 256;

/// The account of one body.
#[derive(Debug, Default)]
pub(super) struct Work {
    allowed: Cell<u64>,
    spent: Cell<u64>,
    refused: Cell<bool>,
}

impl Work {
    /// So many bytes of the body are there.
    pub(super) fn allow(&self, received: u64) {
        self.allowed.set(received.saturating_mul(WORK_A_BYTE).saturating_add(FREE_WORK));
    }

    /// Spends work that is going to be done; `None` if so much is not allowed any more.
    pub(super) fn spend(&self, units: u64) -> Option<()> {
        let fits = units <= self.left();
        if fits {
            self.spent.set(self.spent.get().saturating_add(units));
        } else {
            self.refused.set(true);
        }
        fits.then_some(())
    }

    /// How much is left.
    pub(super) fn left(&self) -> u64 {
        self.allowed.get().saturating_sub(self.spent.get())
    }

    /// How much was spent.
    pub(super) fn spent(&self) -> u64 {
        self.spent.get()
    }

    /// Whether more was asked for than is allowed.
    pub(super) fn is_exhausted(&self) -> bool {
        self.refused.get()
    }
}
