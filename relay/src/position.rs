//! How far a relay has come: what readers of the topic have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The last entry of a writer that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its number; 0: none yet.
    pub entry: i64,
    /// Its hash, by which the ledger is known again; empty if none was sent.
    pub hash: String,
    /// The partition that has the writer's entries. It stays when partitions are added, or order would be lost.
    pub partition: i32,
}

/// What a relay has sent, and who it is. It is committed together with what it says was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The topic's id: one that was deleted and created again has another.
    pub topic_id: String,
    /// The process that wrote it.
    pub by: String,
    /// By writer.
    pub writers: BTreeMap<i64, Place>,
}

/// Where a relay begins that has no position yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beginning(pub BTreeMap<i64, i64>);

impl Position {
    /// Where a relay begins: with the first entry of each writer, or with the one that is named.
    pub fn first(beginning: &Beginning, topic_id: &str, by: &str, partitions: i32) -> Position {
        let mut position = Position { topic_id: topic_id.to_owned(), by: by.to_owned(), writers: BTreeMap::new() };
        for (writer, first) in &beginning.0 {
            let entry = first.saturating_sub(1).max(0);
            let place = Place { entry, hash: String::new(), partition: partition(*writer, partitions) };
            position.writers.insert(*writer, place);
        }
        position
    }

    /// The last entry of a writer that was sent; 0: none.
    pub fn entry(&self, writer: i64) -> i64 {
        self.writers.get(&writer).map_or(0, |place| place.entry)
    }

    /// Takes an entry in: the partition that it goes to, or why it cannot be the next one.
    pub fn advance(&mut self, writer: i64, entry: i64, hash: &str, partitions: i32) -> Result<i32, String> {
        let new = || Place { entry: 0, hash: String::new(), partition: partition(writer, partitions) };
        let place = self.writers.entry(writer).or_insert_with(new);
        if place.entry.checked_add(1) != Some(entry) {
            let next = place.entry.saturating_add(1);
            return Err(format!(
                "the ledger does not have entry {writer}:{next}, the next one to send, but {writer}:{entry}"
            ));
        }
        *place = Place { entry, hash: hash.to_owned(), partition: place.partition };
        Ok(place.partition)
    }
}

/// The partition of a writer's entries. Writers are numbered from 1.
fn partition(writer: i64, partitions: i32) -> i32 {
    let index = writer.saturating_sub(1).checked_rem_euclid(i64::from(partitions)).unwrap_or(0);
    i32::try_from(index).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_only_the_next_entry_of_a_chain_is_taken_in() {
        let mut position = Position::default();
        assert_eq!(position.advance(1, 1, "aa", 4), Ok(0));
        assert_eq!(position.advance(6, 1, "bb", 4), Ok(1));
        assert_eq!(position.advance(1, 2, "cc", 4), Ok(0));
        for (writer, entry) in [(1, 2), (1, 1), (1, 4), (2, 2), (2, 0), (6, i64::MIN), (6, i64::MAX)] {
            let before = position.entry(writer);
            assert!(position.advance(writer, entry, "dd", 4).is_err(), "{writer}:{entry}");
            assert_eq!(position.entry(writer), before);
        }
        assert_eq!(position.writers[&1], Place { entry: 2, hash: "cc".to_owned(), partition: 0 });
    }

    #[test]
    fn contract_a_writer_stays_in_its_partition_when_there_are_more() {
        let mut position = Position::default();
        assert_eq!(position.advance(3, 1, "aa", 2), Ok(0));
        assert_eq!(position.advance(3, 2, "bb", 9), Ok(0));
        assert_eq!(position.advance(4, 1, "cc", 9), Ok(3));
    }

    #[test]
    fn contract_a_position_is_read_as_it_was_written() {
        let mut position = Position::first(&Beginning([(2, 7), (3, 0)].into()), "id", "me", 3);
        assert_eq!((position.entry(2), position.entry(3), position.entry(1)), (6, 0, 0));
        position.advance(2, 7, "aa", 3).unwrap();
        let text = serde_json::to_string(&position).unwrap();
        assert_eq!(serde_json::from_str::<Position>(&text).unwrap(), position);
        assert!(text.contains(r#""2":{"entry":7,"hash":"aa","partition":1}"#), "{text}");
    }
}
