//! Where an entry stands, as one number: SQLite's key of the ledger. The collector has the first chain, whose entries have their own
//! numbers; the others are of a ledger that was restored from PostgreSQL, and grow no more.

use crate::store::entry::EntryId;

/// Bits of the number of an entry: above them is the writer, from 0.
pub const BITS: u32 = 50;
const NUMBER: i64 = (1 << BITS) - 1;
/// What is before each entry of the collector's own chain, and behind it.
pub const OWN_END: i64 = 1 << BITS;

/// The number of an entry. One that no ledger can have gets a number that none has.
pub fn key(id: EntryId) -> i64 {
    let place = id.writer.checked_sub(1).filter(|writer| (0..1 << 12).contains(writer));
    let number = (0..=NUMBER).contains(&id.number).then_some(id.number);
    place.zip(number).map_or(i64::MAX, |(writer, number)| writer << BITS | number)
}

/// The entry of a number.
pub fn id(key: i64) -> EntryId {
    EntryId { writer: (key >> BITS).saturating_add(1), number: key & NUMBER }
}

/// The last number of a writer's chain, whether there is such an entry or not.
pub fn end(writer: i64) -> i64 {
    key(EntryId { writer, number: NUMBER })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_the_first_chain_has_its_own_numbers_and_all_chains_stay_in_order() {
        let of = |writer, number| EntryId { writer, number };
        let ids = [of(1, 0), of(1, 1), of(1, 42), of(1, NUMBER), of(2, 0), of(2, 7), of(4096, NUMBER)];
        let keys = ids.map(key);
        assert_eq!(keys[..3], [0, 1, 42]);
        assert!(keys.is_sorted() && keys.iter().all(|key| *key < i64::MAX));
        assert_eq!(keys.map(id), ids);
        for none in [of(0, 1), of(4097, 1), of(1, -1), of(1, NUMBER + 1), of(i64::MIN, 1), of(i64::MAX, i64::MAX)] {
            assert_eq!(key(none), i64::MAX, "{none}");
        }
        assert_eq!((end(1), end(0)), (OWN_END - 1, i64::MAX));
    }
}
