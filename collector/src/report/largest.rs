//! The first lines of a report of the sums, found before the lines are made: of a hundred thousand tenants ten have lines, and the
//! others are one. So there is a number for each tenant in memory, and no line.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::gather::{key, totals};
use super::lines::{LineKey, Which};
use super::question::{Sort, Top};
use super::sum::Amounts;
use super::{Question, ReportError};
use crate::store::sums::Counted;
use crate::store::{self, Reader};
use crate::store::{Selection, Total};
use wire::usage::{Class, Kind};

/// Lines that are looked at; of more the lines are made, in a file.
const MOST: usize = if cfg!(test) { 20 } else { 1 << 20 };

/// Which lines are the first.
#[derive(Debug, Default)]
pub struct Largest {
    /// The columns of those that are.
    first: HashSet<Vec<u8>>,
    /// Lines of which nothing is left.
    nothing: HashSet<LineKey>,
    /// How many others there are.
    pub others: u64,
}

/// What is known of a line.
#[derive(Default)]
struct Seen {
    rank: i128,
    /// Zero if all that was added up is.
    mark: u128,
    adjusts: bool,
}

impl Largest {
    /// Finds them in the sums; `None` if there are too many lines.
    pub fn of(
        reader: &dyn Reader,
        question: &Question,
        top: Top,
        periods: &[(Which, Selection)],
        columns: &[store::Dimension],
    ) -> Result<Option<Largest>, ReportError> {
        let mut seen: HashMap<LineKey, Seen> = HashMap::new();
        let mut line = LineKey::default();
        let mut is_too_much = false;
        for (which, selection) in periods {
            totals(reader, question, selection, columns, &mut |facts, total| {
                let adjusts = key(&mut line, question, facts, columns, total);
                if is_too_much || !seen.contains_key(&line) && seen.len() >= MOST {
                    is_too_much = true;
                    return Ok(());
                }
                let seen = match seen.get_mut(&line) {
                    Some(seen) => seen,
                    None => seen.entry(line.clone()).or_default(),
                };
                seen.adjusts = adjusts;
                seen.mark = seen.mark.wrapping_add(mark(total, *which));
                if *which == Which::Now {
                    seen.rank = seen.rank.saturating_add(rank(total, top.sort));
                }
                Ok(())
            })?;
        }
        Ok((!is_too_much).then(|| Largest::first(seen, question.by.len(), top.lines)))
    }

    fn first(seen: HashMap<LineKey, Seen>, width: usize, lines: usize) -> Largest {
        let mut largest = Largest::default();
        let mut groups: HashMap<Vec<u8>, i128> = HashMap::new();
        for (key, seen) in seen {
            if seen.mark == 0 && !seen.adjusts {
                largest.nothing.insert(key);
                continue;
            }
            let rank = groups.entry(key.columns(width).to_vec()).or_default();
            *rank = rank.saturating_add(seen.rank);
        }
        let count = groups.len();
        // Of those with the same rank the first.
        let mut first: BinaryHeap<Reverse<(i128, Reverse<Vec<u8>>)>> = BinaryHeap::new();
        for (columns, rank) in groups {
            first.push(Reverse((rank, Reverse(columns))));
            if first.len() > lines {
                first.pop();
            }
        }
        largest.first = first.into_iter().map(|Reverse((_, Reverse(columns)))| columns).collect();
        largest.others = u64::try_from(count.saturating_sub(largest.first.len())).unwrap_or(u64::MAX);
        largest
    }

    /// Whether a line is one of them; `None` if nothing is left of it.
    pub fn has(&self, line: &LineKey, width: usize) -> Option<bool> {
        (!self.nothing.contains(line)).then(|| self.first.contains(line.columns(width)))
    }
}

fn rank(total: &Total, sort: Sort) -> i128 {
    let amounts = || Amounts::of(total).unwrap_or_default();
    match (sort, &total.counted) {
        (Sort::Charge, _) => amounts().charge.yocto_usd(),
        (Sort::Cost, _) => amounts().cost.yocto_usd(),
        (Sort::Calls, Counted::Calls) => total.quantity,
        (Sort::Tokens, Counted::Usage(class)) if is_token(*class) => total.quantity,
        _ => 0,
    }
}

fn is_token(class: Class) -> bool {
    matches!(class.kind(), Kind::Input | Kind::Output)
}

/// A number that adds up to zero over all totals of a line if each of their quantities and amounts does, and else hardly ever: each
/// is multiplied by a number of its own.
fn mark(total: &Total, which: Which) -> u128 {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let mut factor: u128 = if which == Which::Now { 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d } else { PRIME };
    for byte in total.counted.name().bytes() {
        factor = (factor ^ u128::from(byte)).wrapping_mul(PRIME);
    }
    let amounts = Amounts::of(total).unwrap_or_default();
    let numbers = [total.quantity, amounts.charge.yocto_usd(), amounts.cost.yocto_usd(), total.unpriced];
    numbers.into_iter().fold(0, |sum: u128, number| {
        factor = factor.wrapping_mul(PRIME) | 1;
        sum.wrapping_add(number.cast_unsigned().wrapping_mul(factor))
    })
}
