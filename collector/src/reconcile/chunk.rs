//! The events that are asked about and sent together.

use std::collections::BTreeMap;

use super::line::Id;

/// The numbers of each emitter, as ranges from first to last: what the ledger is asked, and what it returns.
pub type Ranges = BTreeMap<String, Vec<(u64, u64)>>;

/// Enough to make a question worth its way, few enough to keep: bytes, and events, whose numbers the collector takes in
/// 1 MiB however they are spread.
const MAX_BYTES: usize = 16 << 20;
const MAX_EVENTS: usize = 10_000;

/// Numbers so close are asked for as one range: a ledger that has every other one is asked once, not a thousand times,
/// and its response stays small.
const BRIDGED: u64 = 64;

/// Events in the order of emitter and number.
#[derive(Default)]
pub struct Chunk {
    events: BTreeMap<Id, Vec<Box<str>>>,
    count: usize,
    bytes: usize,
}

impl Chunk {
    /// Takes an event; false: the very same is here already. Another with the same number is taken too: whether that is
    /// an alarm is for the ledger to say.
    pub fn add(&mut self, id: Id, event: &str) -> bool {
        let same = self.events.entry(id).or_default();
        if same.iter().any(|other| **other == *event) {
            return false;
        }
        same.push(event.into());
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(event.len());
        true
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_full(&self) -> bool {
        self.count >= MAX_EVENTS || self.bytes >= MAX_BYTES
    }

    /// Its numbers, and few that are not its own.
    pub fn ranges(&self) -> Ranges {
        let mut ranges = Ranges::new();
        for id in self.events.keys() {
            let list = ranges.entry(Id::emitter(id.emitter)).or_default();
            match list.last_mut() {
                Some((_, last)) if id.sequence.saturating_sub(*last) <= BRIDGED => *last = id.sequence,
                _ => list.push((id.sequence, id.sequence)),
            }
        }
        ranges
    }

    /// Its events; with ranges, only those whose numbers are in them.
    pub fn into_events(self, only: Option<Ranges>) -> Vec<Box<str>> {
        let Some(only) = only else { return self.events.into_values().flatten().collect() };
        let parsed = only
            .into_iter()
            .filter_map(|(emitter, list)| Some((u128::from_str_radix(&emitter, 16).ok()?, apart(list))));
        let only: BTreeMap<u128, Vec<(u64, u64)>> = parsed.collect();
        let is_wanted = |id: &Id| {
            only.get(&id.emitter).is_some_and(|list| {
                let behind = list.partition_point(|(first, _)| *first <= id.sequence);
                behind.checked_sub(1).and_then(|at| list.get(at)).is_some_and(|(_, last)| id.sequence <= *last)
            })
        };
        self.events.into_iter().filter(|(id, _)| is_wanted(id)).flat_map(|(_, events)| events).collect()
    }
}

/// Ranges in ascending order, none touching another.
fn apart(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut apart: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match apart.last_mut() {
            Some((_, end)) if first <= *end => *end = last.max(*end),
            _ => apart.push((first, last)),
        }
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_numbers_become_ranges_and_only_the_missing_are_sent() {
        let mut chunk = Chunk::default();
        let id = |emitter, sequence| Id { emitter, sequence };
        for (emitter, sequence) in [(2, 5), (1, 3), (1, 1), (2, 6), (1, 2), (1, 9), (1, 74)] {
            assert!(chunk.add(id(emitter, sequence), &format!("{emitter}-{sequence}")));
        }
        assert!(!chunk.add(id(1, 1), "1-1"), "the very same");
        assert!(chunk.add(id(2, 6), "another"));
        let (one, two) = (Id::emitter(1), Id::emitter(2));
        let expected = [(one.clone(), vec![(1, 9), (74, 74)]), (two.clone(), vec![(5, 6)])];
        assert_eq!(chunk.ranges(), Ranges::from(expected));
        let missing = Ranges::from([(one, vec![(9, 12), (3, 3), (2, 4), (2, 2)]), (two, vec![(6, 6)])]);
        let events: Vec<String> = chunk.into_events(Some(missing)).into_iter().map(String::from).collect();
        assert_eq!(events, ["1-2", "1-3", "1-9", "2-6", "another"]);
    }

    #[test]
    fn contract_a_chunk_is_bounded_in_events_and_bytes() {
        let mut chunk = Chunk::default();
        for sequence in 1.. {
            chunk.add(Id { emitter: 1, sequence }, "{}");
            if chunk.is_full() {
                assert_eq!(sequence, MAX_EVENTS as u64);
                break;
            }
        }
        let mut chunk = Chunk::default();
        for _ in 0..16 {
            assert!(!chunk.is_full());
            let sequence = chunk.count as u64;
            chunk.add(Id { emitter: 1, sequence }, &"x".repeat(1 << 20));
        }
        assert!(chunk.is_full());
    }
}
