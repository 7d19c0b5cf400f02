//! What a collector says of events that it has stored and not charged, in the header of its response.

/// The response header: numbers of the sender's emitter, in ascending order, as `3,7-9`.
pub const HEADER: &str = "meshmeter-quarantined";

/// How many numbers a value of the header names; what cannot be read names one.
pub fn count(value: &[u8]) -> u64 {
    let range = |range: &[u8]| {
        let (first, last) = std::str::from_utf8(range).ok()?.trim().split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    value.split(|byte| *byte == b',').map(|item| range(item).unwrap_or(1)).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    cases! {
        fn contract_numbers_are_counted_and_nonsense_is_one() {
            for (value, expected) in [("3", 1), ("3,7-9", 4), ("9-7", 1), ("0-18446744073709551615", 1), ("?", 1), ("", 1)] {
                assert_eq!(count(value.as_bytes()), expected, "{value}");
            }
        }
    }
}
