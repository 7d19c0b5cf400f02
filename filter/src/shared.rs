//! Texts in the memory that all VMs of the plugin share, changed by compare and swap.

use crate::host::{self, Failure};

/// A text there.
pub struct Shared {
    key: &'static str,
    /// How often a change is tried while other VMs change it too.
    tries: usize,
}

/// What becomes of the text, and what the change says.
pub enum Change<T> {
    Keep(T),
    Set(String, T),
}

/// Why a change did not come about.
pub enum Unchanged {
    /// Other VMs were faster each time.
    Contended,
    /// Envoy does not give or take the text.
    Failed,
}

impl Shared {
    pub const fn new(key: &'static str, tries: usize) -> Self {
        Shared { key, tries }
    }

    /// Makes the text, before there is anything to say: one that is not there yet cannot be compared and swapped. It is the
    /// VM on the main thread that does it, the one that is thrown away, before the workers have one.
    pub fn prepare(&self) {
        if matches!(host::shared(self.key), Ok(None)) {
            let _ = host::set_shared(self.key, b"", 0);
        }
    }

    /// What it is now, if Envoy gives it.
    pub fn get(&self) -> Option<String> {
        let (text, _) = host::shared(self.key).ok()??;
        String::from_utf8(text).ok()
    }

    /// Changes the text by what it is now.
    pub fn change<T>(&self, change: impl Fn(&str) -> Change<T>) -> Result<T, Unchanged> {
        for _ in 0..self.tries {
            let Ok(Some((text, version))) = host::shared(self.key) else { return Err(Unchanged::Failed) };
            let Ok(text) = std::str::from_utf8(&text) else { return Err(Unchanged::Failed) };
            let (text, said) = match change(text) {
                Change::Keep(said) => return Ok(said),
                Change::Set(text, said) => (text, said),
            };
            match host::set_shared(self.key, text.as_bytes(), version) {
                Ok(()) => return Ok(said),
                Err(Failure(host::CAS_MISMATCH)) => {}
                Err(_) => return Err(Unchanged::Failed),
            }
        }
        Err(Unchanged::Contended)
    }
}
