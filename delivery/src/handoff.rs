//! From a VM that ends to the next one, through the data that the VMs of one process share.
//!
//! Envoy destroys a VM as soon as its last stream is over, whatever `on_done` returns, and cuts its dispatch in flight: at an
//! update of the code, too, although the VM with the new code is there by then. So the old one writes what is not
//! acknowledged, and a new one takes it over at its next tick. At a shutdown nobody does, and the final flush must do.
//!
//! Each handoff lies under a key of its own; a list names them all, and is changed by compare and swap.

use crate::action::{Action, SharedValue, Unavailable, Written};

/// The list: a line `EMITTER BYTES ADDRESS` for each handoff.
const LIST: &str = "meshmeter: left";
/// The bound of all handoffs together, bytes; only updates of the code while the collector is away come near it.
const MAX_BYTES: usize = 64 << 20;
/// How often a change of the list is tried while other VMs change it too: few do at the same time.
const MAX_TRIES: usize = 100;

/// What the proxy said of an action.
pub enum Reply {
    Read(Result<Option<SharedValue>, Unavailable>),
    Written(Written),
}

/// What comes after a reply.
pub enum Next<T> {
    /// This action; its reply is awaited.
    Act(Action),
    /// Nothing more.
    Over(T),
}

/// Makes the list, before there is anything on it: a value that is not there yet cannot be compared and swapped. The first VM
/// to do so is that on the main thread, which is thrown away, before the workers have one.
pub fn prepare() -> Action {
    read_list()
}

/// Goes on after the list was read.
pub fn prepared(reply: Reply) -> Next<()> {
    match reply {
        Reply::Read(Ok(None)) => Next::Act(write_list(String::new(), 0)),
        _ => Next::Over(()),
    }
}

/// One handoff on its way from this VM.
#[derive(Debug)]
pub struct HandOff {
    emitter: String,
    address: String,
    bytes: usize,
    step: HandOffStep,
}

#[derive(Debug)]
enum HandOffStep {
    /// First the handoff, then the line that names it.
    Write,
    ReadList {
        tries: usize,
    },
    WriteList {
        tries: usize,
    },
    /// It cannot be named, so nobody would ever clear it.
    Clear,
}

impl HandOff {
    /// Hands off these bytes of an emitter, meant for the collector at this address.
    pub fn begin(emitter: &str, address: &str, bytes: Vec<u8>) -> (HandOff, Action) {
        let (emitter, address) = (emitter.to_owned(), address.to_owned());
        let hand_off = HandOff { emitter, address, bytes: bytes.len(), step: HandOffStep::Write };
        let action = hand_off.write(bytes);
        (hand_off, action)
    }

    /// Whose it is.
    pub fn emitter(&self) -> &str {
        &self.emitter
    }

    /// Goes on after a reply; in the end, whether it is handed off.
    pub fn next(&mut self, reply: Reply) -> Next<bool> {
        match (&self.step, reply) {
            (HandOffStep::Write, Reply::Written(Written::Done)) => self.read_list(0),
            (HandOffStep::Write, _) => Next::Over(false),
            (HandOffStep::ReadList { tries }, Reply::Read(list)) => {
                match list.ok().flatten().and_then(|list| self.add(list)) {
                    Some(action) => {
                        self.step = HandOffStep::WriteList { tries: *tries };
                        Next::Act(action)
                    }
                    None => self.clear(),
                }
            }
            (HandOffStep::WriteList { .. }, Reply::Written(Written::Done)) => Next::Over(true),
            (HandOffStep::WriteList { tries }, Reply::Written(Written::CasMismatch)) => {
                self.read_list(tries.saturating_add(1))
            }
            (HandOffStep::ReadList { .. } | HandOffStep::WriteList { .. }, _) => self.clear(),
            (HandOffStep::Clear, _) => Next::Over(false),
        }
    }

    fn write(&self, value: Vec<u8>) -> Action {
        Action::Write { key: key(&self.emitter), value, cas: 0 }
    }

    fn read_list(&mut self, tries: usize) -> Next<bool> {
        if tries >= MAX_TRIES {
            return self.clear();
        }
        self.step = HandOffStep::ReadList { tries };
        Next::Act(read_list())
    }

    fn clear(&mut self) -> Next<bool> {
        self.step = HandOffStep::Clear;
        Next::Act(self.write(Vec::new()))
    }

    /// The list with one more line, if there is room.
    fn add(&self, list: SharedValue) -> Option<Action> {
        let text = String::from_utf8(list.bytes).ok()?;
        let sizes = text.lines().filter_map(|line| line.split(' ').nth(1)?.parse::<usize>().ok());
        if sizes.fold(self.bytes, usize::saturating_add) > MAX_BYTES {
            return None;
        }
        let line = format!("{} {} {}", self.emitter, self.bytes, self.address);
        let text = if text.is_empty() { line } else { format!("{text}\n{line}") };
        Some(write_list(text, list.cas))
    }
}

/// A handoff on its way to this VM: one that is meant for its collector, if there is any. Another's, which a plugin with the
/// same `vm_id` has handed off, stays.
#[derive(Debug)]
pub struct TakeOver {
    address: String,
    /// Whose handoff may be taken over.
    emitter: Option<String>,
    step: TakeOverStep,
}

/// What has come of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing is there, or others were faster.
    Nothing,
    /// There is one of this emitter, which is not the one that may be taken over.
    Other(String),
    /// What was handed off.
    Handoff(Vec<u8>),
    /// The emitter's line is off the list, but what was handed off cannot be had.
    Lost,
}

#[derive(Debug)]
enum TakeOverStep {
    ReadList { tries: usize },
    WriteList { tries: usize },
    Read,
    Clear { bytes: Vec<u8> },
}

impl TakeOver {
    /// Looks for handoffs to the collector at this address, and takes over that of one emitter.
    pub fn begin(address: &str, emitter: Option<String>) -> (TakeOver, Action) {
        (TakeOver { address: address.to_owned(), emitter, step: TakeOverStep::ReadList { tries: 0 } }, read_list())
    }

    /// Goes on after a reply; in the end, what has come of it.
    pub fn next(&mut self, reply: Reply) -> Next<Found> {
        match (&mut self.step, reply) {
            (TakeOverStep::ReadList { tries }, Reply::Read(Ok(Some(list)))) => {
                let tries = *tries;
                self.remove(list, tries)
            }
            (TakeOverStep::WriteList { .. }, Reply::Written(Written::Done)) => {
                self.step = TakeOverStep::Read;
                Next::Act(Action::Read { key: self.key() })
            }
            (TakeOverStep::WriteList { tries }, Reply::Written(Written::CasMismatch)) => {
                let tries = tries.saturating_add(1);
                if tries >= MAX_TRIES {
                    return Next::Over(Found::Nothing);
                }
                self.step = TakeOverStep::ReadList { tries };
                Next::Act(read_list())
            }
            (TakeOverStep::Read, Reply::Read(Ok(Some(handoff)))) => {
                self.step = TakeOverStep::Clear { bytes: handoff.bytes };
                Next::Act(Action::Write { key: self.key(), value: Vec::new(), cas: 0 })
            }
            (TakeOverStep::Read, _) => Next::Over(Found::Lost),
            (TakeOverStep::Clear { bytes }, _) => Next::Over(Found::Handoff(std::mem::take(bytes))),
            _ => Next::Over(Found::Nothing),
        }
    }

    /// Takes the emitter's line off the list, if it is there.
    fn remove(&mut self, list: SharedValue, tries: usize) -> Next<Found> {
        let Ok(text) = String::from_utf8(list.bytes) else { return Next::Over(Found::Nothing) };
        let mut lines: Vec<&str> = text.lines().collect();
        let is_ours = |line: &&str| line.splitn(3, ' ').nth(2) == Some(self.address.as_str());
        let is_it = |line: &&str| is_ours(line) && line.split(' ').next() == self.emitter.as_deref();
        match lines.iter().position(is_it) {
            Some(place) => {
                lines.remove(place);
                let action = write_list(lines.join("\n"), list.cas);
                self.step = TakeOverStep::WriteList { tries };
                Next::Act(action)
            }
            None => {
                let other = lines.into_iter().find(is_ours).and_then(|line| line.split(' ').next());
                Next::Over(other.map_or(Found::Nothing, |emitter| Found::Other(emitter.to_owned())))
            }
        }
    }

    fn key(&self) -> String {
        key(self.emitter.as_deref().unwrap_or_default())
    }
}

fn read_list() -> Action {
    Action::Read { key: LIST.to_owned() }
}

fn write_list(text: String, cas: u32) -> Action {
    Action::Write { key: LIST.to_owned(), value: text.into_bytes(), cas }
}

fn key(emitter: &str) -> String {
    format!("meshmeter: left by {emitter}")
}
