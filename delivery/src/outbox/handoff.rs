//! What an emitter that ends leaves to whoever goes on in its place, as bytes: what is not acknowledged, and how far it
//! had counted. The events keep their emitter and their numbers.

use std::collections::VecDeque;

use super::drops::Drops;
use super::{Entry, Limits, Outbox};
use wire::emitter::EmitterKey;
use wire::statement::Statement;

impl Outbox {
    /// Everything that the collector has not heard of; nothing, if it has heard everything.
    ///
    /// A line says whether the collector reads statements, the emitter's key, and the statement; each further line is a number
    /// and its event, which has no line break inside.
    pub fn handoff(&self) -> Option<Vec<u8>> {
        if self.is_done() {
            return None;
        }
        let listens = if self.listens { "listens" } else { "deaf" };
        let mut bytes = format!("{listens} {} {}\n", self.key.secret(), self.statement(self.queue.len())).into_bytes();
        bytes.reserve(self.bytes.saturating_add(self.queue.len().saturating_mul(20)));
        for entry in &self.queue {
            bytes.extend_from_slice(entry.sequence.to_string().as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(&entry.event);
            bytes.push(b'\n');
        }
        Some(bytes)
    }

    /// An outbox that sends what another has left, and then that it has ended; none, if this is no handoff.
    pub fn from_handoff(handoff: &[u8], limits: Limits) -> Option<Self> {
        let mut lines = handoff.strip_suffix(b"\n")?.split(|byte| *byte == b'\n');
        let (listens, rest) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
        let (key, statement) = rest.split_once(' ')?;
        let key = EmitterKey::parse(key.as_bytes()).ok()?;
        let Statement { emitter, head, dropped, drops, .. } = statement.parse().ok()?;
        if key.emitter() != emitter {
            return None;
        }
        let mut queue = VecDeque::new();
        let mut bytes = 0usize;
        for line in lines {
            let space = line.iter().position(|byte| *byte == b' ')?;
            let (sequence, event) = line.split_at_checked(space)?;
            let event = event.get(1..)?.to_vec();
            bytes = bytes.saturating_add(event.len());
            let sequence = std::str::from_utf8(sequence).ok()?.parse().ok()?;
            queue.push_back(Entry { sequence, event, queued_ms: 0 });
        }
        Some(Outbox {
            sequence: head,
            queue,
            bytes,
            drops: Drops::of(drops, dropped),
            listens: listens == "listens",
            ending: true,
            ..Outbox::new(key, limits)
        })
    }
}
