//! The sums say what the entries say.

use std::collections::{BTreeMap, HashMap};

use collector::money::Charge;
use collector::store::sums::{Counted, Group, Sum};

use super::{Held, When, broken, femto};
use crate::calls::Counts;
use crate::closing::LAST_DAY;
use crate::disk::Disk;
use crate::oracle::Oracle;

/// What the tokens of a group cost.
pub fn charges(
    group: (&'static str, &'static str, &'static str, bool),
    sum: [u64; 4],
    late: bool,
) -> [Option<i128>; 3] {
    let (day, tenant, model, reported) = group;
    let tokens = [sum[1], sum[2], sum[3]];
    Counts { tenant, model, second_day: day > "2026-01-31", reported, tokens, part: false }.charges(late)
}

/// The sums say what the entries say.
pub fn sums(disk: &Disk, oracle: &Oracle, when: When) -> Held {
    const LAW: &str = "the sums are the sums of the entries";
    let mut rows = 0;
    for (group, sums) in &by_own_day(disk) {
        let reported = match group.evidence {
            "reported" => true,
            "missing" => false,
            other => return broken(LAW, format!("nothing is {other}")),
        };
        let known = oracle.sums.iter().find(|((day, tenant, model, of), _)| {
            (*day, *tenant, *model, *of) == (&group.day, &group.tenant, &group.model, reported)
        });
        let Some((key, due)) = known else {
            if sums.values().all(|sum| sum.quantity == 0 && sum.charge == Charge::default()) {
                continue;
            }
            return broken(LAW, format!("{group:?} was never used"));
        };
        rows += 1;
        let get = |counted| sums.get(&counted).copied().unwrap_or_default();
        if get(Counted::Calls).quantity != due[0] as i64 {
            return broken(LAW, format!("{group:?}: {} calls instead of {}", get(Counted::Calls).quantity, due[0]));
        }
        let charges = charges(*key, *due, when.late_price);
        for ((class, tokens), charge) in Counts::CLASSES.into_iter().zip(&due[1..]).zip(charges) {
            let sum = get(Counted::Usage(class));
            let unpriced = if charge.is_none() { *tokens as i64 } else { 0 };
            let found = (sum.quantity, femto(sum.charge), sum.unpriced, sum.fallback);
            if found != (*tokens as i64, charge.unwrap_or(0), unpriced, 0) {
                return broken(LAW, format!("{group:?} {}: {found:?} instead of {tokens} {charge:?}", class.name()));
            }
        }
    }
    if rows != oracle.sums.len() {
        return broken(LAW, format!("{rows} groups instead of {}", oracle.sums.len()));
    }
    Ok(())
}

/// The sums by the day on which calls began, whatever month they count in. In a month that is closed none begins but on its last
/// day.
fn by_own_day(disk: &Disk) -> BTreeMap<Group, HashMap<Counted, Sum>> {
    let mut all: BTreeMap<Group, HashMap<Counted, Sum>> = BTreeMap::new();
    for (group, sums) in &disk.memory.sums {
        let own = match group.adjusts.as_str() {
            "" => group.clone(),
            _ => Group { day: LAST_DAY.to_owned(), adjusts: String::new(), ..group.clone() },
        };
        let of_day = all.entry(own).or_default();
        for (counted, more) in sums {
            let sum = of_day.entry(counted.clone()).or_default();
            *sum = Sum {
                quantity: sum.quantity + more.quantity,
                charge: sum.charge.checked_add(more.charge).unwrap_or_default(),
                cost: sum.cost.checked_add(more.cost).unwrap_or_default(),
                unpriced: sum.unpriced + more.unpriced,
                fallback: sum.fallback + more.fallback,
            };
        }
    }
    all
}
