//! The data that the VMs of one Envoy share, as Envoy keeps it, and what must lie in there.

use std::collections::BTreeMap;

use delivery::{SharedValue, Written};

use crate::mirror::Mirror;

/// Under which key the plugin keeps the list of handoffs, and each of them.
const LIST: &str = "meshmeter: left";
const LEFT_BY: &str = "meshmeter: left by ";
/// The bound of all handoffs together, bytes: the plugin's own constant.
const MAX_BYTES: usize = 64 << 20;

/// What a VM has handed off.
#[derive(Clone, Debug)]
pub struct Handoff {
    /// What it must hold.
    pub mirror: Mirror,
    /// How long it is.
    pub bytes: usize,
}

/// The data of one Envoy.
#[derive(Debug, Default)]
pub struct Shared {
    values: BTreeMap<String, SharedValue>,
    version: u32,
    /// What the handoffs that lie there must hold, by their emitters.
    pub handoffs: BTreeMap<usize, Handoff>,
}

impl Shared {
    /// Data in which another plugin has left this many bytes.
    pub fn crowded(room: usize) -> Shared {
        let mut shared = Shared::default();
        let line = format!("{} {} somewhere else", "f".repeat(32), MAX_BYTES - room);
        shared.set(LIST, line.into_bytes(), 0);
        shared
    }

    /// Whether this is the key of the list.
    pub fn is_list(key: &str) -> bool {
        key == LIST
    }

    /// Whose handoff lies under a key.
    pub fn emitter(key: &str) -> Option<&str> {
        key.strip_prefix(LEFT_BY)
    }

    /// A value and its version.
    pub fn get(&self, key: &str) -> Option<SharedValue> {
        self.values.get(key).cloned()
    }

    /// Sets a value. A value that is not there yet has no version to differ from.
    pub fn set(&mut self, key: &str, bytes: Vec<u8>, cas: u32) -> Written {
        if cas != 0 && self.values.get(key).is_some_and(|value| value.cas != cas) {
            return Written::CasMismatch;
        }
        self.version += 1;
        self.values.insert(key.to_owned(), SharedValue { bytes, cas: self.version });
        Written::Done
    }

    /// What the list says: emitters, how many bytes each left, and for which collector.
    pub fn list(&self) -> Vec<(String, usize, String)> {
        let text = self.values.get(LIST).map(|list| String::from_utf8_lossy(&list.bytes).into_owned());
        let line = |line: &str| {
            let mut words = line.splitn(3, ' ');
            Some((words.next()?.to_owned(), words.next()?.parse().ok()?, words.next()?.to_owned()))
        };
        text.unwrap_or_default().lines().filter_map(line).collect()
    }

    /// Whether there is room for so many bytes more.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.list().iter().map(|(_, size, _)| size).sum::<usize>() + bytes <= MAX_BYTES
    }

    /// What is wrong in here, while nobody changes it: each handoff must be named with its size, and all must keep the bound.
    pub fn wrong(&self) -> Option<String> {
        let list = self.list();
        let unnamed = |(key, value): (&String, &SharedValue)| {
            let emitter = Shared::emitter(key).filter(|_| !value.bytes.is_empty())?;
            let is_named = list.iter().any(|(name, bytes, _)| name == emitter && *bytes == value.bytes.len());
            (!is_named).then(|| format!("{} bytes of {emitter} are not in the list", value.bytes.len()))
        };
        let full = || (!self.has_room(0)).then(|| format!("too much is left: {list:?}"));
        self.values.iter().find_map(unnamed).or_else(full)
    }
}
