//! Sums of the sums, for reports of many tenants: by day without tenants, and by month with them. All of a group's counts are in one
//! row, packed, so that a report of a month reads one row for each tenant and model rather than one for each day and class.
//!
//! They are made of `rollup`, in the transaction that changes it, and of nothing else: [`refill`] makes them anew.

use std::collections::{BTreeMap, HashMap};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Transaction, params, params_from_iter};

use super::read::sum;
use crate::store::StoreError;
use crate::store::sums::{Counted, Group, GroupSums, Sum};

/// Quantity, charge, cost less charge, unpriced, fallback, and how many rows of the rollup these are of: without any it is absent,
/// which is not nothing.
pub type Amounts = [i128; 6];
/// What of a group is counted, by its word in the database.
pub type Packed = Vec<(String, Amounts)>;

/// What is added, in the order of the fields.
pub fn amounts(sum: &Sum) -> Amounts {
    let (charge, cost) = (sum.charge.yocto_usd(), sum.cost.yocto_usd());
    [sum.quantity.into(), charge, cost.saturating_sub(charge), sum.unpriced.into(), sum.fallback.into(), 1]
}

/// Adds; an amount that 128 bits do not hold stays at their end, where whoever reads it finds it.
pub fn add(sum: &mut Amounts, more: &Amounts) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
}

/// Adds what is counted under a word.
pub fn add_to(all: &mut Packed, word: &str, more: &Amounts) {
    match all.iter_mut().find(|(known, _)| known == word) {
        Some((_, sum)) => add(sum, more),
        None => all.push((word.to_owned(), *more)),
    }
}

/// As bytes: the length of each word, the word, and its numbers, each as short as it is.
pub fn pack(all: &Packed) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(all.len().saturating_mul(48));
    for (word, amounts) in all {
        write(&mut bytes, u128::try_from(word.len()).unwrap_or_default());
        bytes.extend_from_slice(word.as_bytes());
        for amount in amounts {
            // The sign in the last bit: small numbers are short, whatever their sign.
            let is_negative = u128::from(*amount < 0);
            let magnitude = amount.unsigned_abs().saturating_sub(is_negative);
            write(&mut bytes, magnitude << 1 | is_negative);
        }
    }
    bytes
}

/// Hears of every count in bytes that [`pack`] made: its word and its amounts.
pub fn unpack(bytes: &[u8], mut each: impl FnMut(&str, Amounts) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut next = || -> Option<(&str, Amounts)> {
            let length = usize::try_from(read(&mut rest)?).ok()?;
            let (word, behind) = rest.split_at_checked(length)?;
            rest = behind;
            let mut amounts = Amounts::default();
            for amount in &mut amounts {
                let coded = read(&mut rest)?;
                let magnitude = i128::try_from(coded >> 1).ok()?;
                *amount = if coded & 1 == 1 { magnitude.checked_neg()?.checked_sub(1)? } else { magnitude };
            }
            Some((std::str::from_utf8(word).ok()?, amounts))
        };
        let Some((word, amounts)) = next() else {
            return Err(StoreError::Unusable("a sum of sums is not what was written: meshmeter verify".to_owned()));
        };
        each(word, amounts)?;
    }
    Ok(())
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn write(bytes: &mut Vec<u8>, mut number: u128) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn read(bytes: &mut &[u8]) -> Option<u128> {
    let mut number = 0_u128;
    for place in 0..19_u32 {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u128::from(first & 0x7f).checked_shl(place.checked_mul(7)?)?;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Adds what a transaction changes. `before`: the sums of the same groups as they were.
pub fn changed(
    tx: &Transaction<'_>,
    before: &HashMap<Group, GroupSums>,
    after: &[(Group, Counted, Sum)],
) -> Result<(), StoreError> {
    let mut days: BTreeMap<[&str; 5], Packed> = BTreeMap::new();
    let mut months: BTreeMap<[&str; 6], Packed> = BTreeMap::new();
    for (group, counted, sum) in after {
        let known = before.get(group).and_then(|sums| sums.get(counted)).map(amounts).unwrap_or_default();
        let mut more = amounts(sum);
        more.iter_mut().zip(known).for_each(|(more, known)| *more = more.saturating_sub(known));
        let word = counted.name();
        let Group { day, adjusts, tenant, provider, model, evidence } = group;
        let month = day.get(..7).unwrap_or_default();
        add_to(days.entry([day, adjusts, provider, model, evidence]).or_default(), &word, &more);
        add_to(months.entry([month, tenant, adjusts, provider, model, evidence]).or_default(), &word, &more);
    }
    let mut read = tx.prepare_cached(
        "SELECT counts FROM rollup_days WHERE day = ?1 AND adjusts = ?2 AND provider = ?3 AND model = ?4 AND evidence = ?5",
    )?;
    let mut put = tx.prepare_cached("INSERT OR REPLACE INTO rollup_days VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for ([day, adjusts, provider, model, evidence], more) in days {
        let known = read.query_row(params![day, adjusts, provider, model, evidence], |row| row.get(0)).optional()?;
        put.execute(params![day, adjusts, provider, model, evidence, merged(known, &more)?])?;
    }
    let mut read = tx.prepare_cached(
        "SELECT counts FROM rollup_months
         WHERE month = ?1 AND tenant = ?2 AND adjusts = ?3 AND provider = ?4 AND model = ?5 AND evidence = ?6",
    )?;
    let mut put = tx.prepare_cached("INSERT OR REPLACE INTO rollup_months VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for ([month, tenant, adjusts, provider, model, evidence], more) in months {
        let key = params![month, tenant, adjusts, provider, model, evidence];
        let known = read.query_row(key, |row| row.get(0)).optional()?;
        put.execute(params![month, tenant, adjusts, provider, model, evidence, merged(known, &more)?])?;
    }
    Ok(())
}

fn merged(known: Option<Vec<u8>>, more: &Packed) -> Result<Vec<u8>, StoreError> {
    let Some(known) = known else { return Ok(pack(more)) };
    let mut all = Packed::with_capacity(more.len());
    unpack(&known, |word, amounts| {
        all.push((word.to_owned(), amounts));
        Ok(())
    })?;
    more.iter().for_each(|(word, more)| add_to(&mut all, word, more));
    Ok(pack(&all))
}

/// Makes all of them anew, of `rollup`: after whatever else has written to it.
pub fn refill(tx: &Connection) -> Result<(), StoreError> {
    tx.execute_batch("DELETE FROM rollup_days; DELETE FROM rollup_months")?;
    let mut put = tx.prepare("INSERT INTO rollup_days VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let days = ["day", "adjusts", "provider", "model", "evidence"];
    grouped(tx, &days, &mut |key, counts| {
        let values = key.iter().cloned().map(Value::from).chain([pack(counts).into()]);
        put.execute(params_from_iter(values))?;
        Ok(())
    })?;
    let mut put = tx.prepare("INSERT INTO rollup_months VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    let months = ["substr(day, 1, 7)", "tenant", "adjusts", "provider", "model", "evidence"];
    grouped(tx, &months, &mut |key, counts| {
        let values = key.iter().cloned().map(Value::from).chain([pack(counts).into()]);
        put.execute(params_from_iter(values))?;
        Ok(())
    })
}

/// What takes one group after the other: what tells it apart, and all that it counts.
type EachGroup<'a> = &'a mut dyn FnMut(&[String], &Packed) -> Result<(), StoreError>;

/// Adds up every group that these columns tell apart, one after the other.
fn grouped(connection: &Connection, columns: &[&str], each: EachGroup<'_>) -> Result<(), StoreError> {
    let width = columns.len();
    let columns = columns.join(", ");
    let sql =
        format!("SELECT {columns}, class, quantity, charge, cost, unpriced, fallback FROM rollup ORDER BY {columns}");
    let mut select = connection.prepare(&sql)?;
    let mut rows = select.query([])?;
    let mut group: Option<(Vec<String>, Packed)> = None;
    while let Some(row) = rows.next()? {
        let key = (0..width).map(|column| row.get(column)).collect::<Result<Vec<String>, _>>()?;
        let word: String = row.get(width)?;
        let more = amounts(&sum(row, width.saturating_add(1))?);
        match &mut group {
            Some((same, counts)) if *same == key => add_to(counts, &word, &more),
            _ => {
                if let Some((key, counts)) = group.replace((key, vec![(word, more)])) {
                    each(&key, &counts)?;
                }
            }
        }
    }
    group.map_or(Ok(()), |(key, counts)| each(&key, &counts))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn deterministic_what_is_packed_is_unpacked(
            all in prop::collection::vec(("[a-z:é]{0,20}", any::<[i64; 6]>(), 0..64_u32, any::<bool>()), 0..6)
        ) {
            let all: Packed = all
                .into_iter()
                .map(|(word, amounts, shift, far)| {
                    (word, amounts.map(|amount| if far { i128::from(amount) << shift } else { i128::from(amount) >> shift }))
                })
                .collect();
            let mut found = Packed::new();
            unpack(&pack(&all), |word, amounts| {
                found.push((word.to_owned(), amounts));
                Ok(())
            }).unwrap();
            prop_assert_eq!(found, all);
        }

        #[test]
        fn deterministic_bytes_of_others_are_refused_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = unpack(&bytes, |_, _| Ok(()));
        }
    }

    #[test]
    fn deterministic_the_ends_of_128_bits_are_kept() {
        let all = vec![("calls".to_owned(), [i128::MAX, i128::MIN, 0, -1, 1, 2])];
        let mut found = Packed::new();
        unpack(&pack(&all), |word, amounts| {
            found.push((word.to_owned(), amounts));
            Ok(())
        })
        .unwrap();
        assert_eq!(found, all);
    }
}
