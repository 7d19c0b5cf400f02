//! The first lines of a report, and the others as one: nothing of the sums is lost.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use super::lines::{LineKey, Lines};
use super::question::{Sort, Top};
use super::sum::Sum;
use super::{Grade, Key, Line, ReportError};

/// What lines are ordered by: an amount in yocto-USD, or a count.
type Rank = i128;

/// The lines of the values that have most, in this order, and behind them the others. Evidence and adjustments of the same
/// values stay together.
pub fn top(lines: &Lines, width: usize, top: Top, compared: bool) -> Result<Vec<Line>, ReportError> {
    let mut first: BinaryHeap<Reverse<(Rank, Reverse<Vec<u8>>)>> = BinaryHeap::new();
    let mut groups = 0_u64;
    let mut group: Option<(Vec<u8>, Rank)> = None;
    let mut done = |group: (Vec<u8>, Rank)| {
        groups = groups.saturating_add(1);
        // Of those with the same rank the first.
        first.push(Reverse((group.1, Reverse(group.0))));
        if first.len() > top.lines {
            first.pop();
        }
    };
    lines.each(compared, &mut |key, line| {
        let rank = rank(&line.sum, top.sort)?;
        let columns = key.columns(width);
        match &mut group {
            Some((same, sum)) if same == columns => *sum = sum.saturating_add(rank),
            _ => {
                if let Some(complete) = group.replace((columns.to_vec(), rank)) {
                    done(complete);
                }
            }
        }
        Ok(())
    })?;
    group.into_iter().for_each(done);
    let kept = u64::try_from(first.len()).unwrap_or(u64::MAX);
    let mut order: Vec<_> = first.into_iter().map(|Reverse(ranked)| ranked).collect();
    order.sort_unstable_by(|one, other| other.cmp(one));
    let places: HashMap<Vec<u8>, usize> =
        order.into_iter().enumerate().map(|(place, (_, Reverse(columns)))| (columns, place)).collect();
    let mut chosen: BTreeMap<(usize, LineKey), Line> = BTreeMap::new();
    let mut others: BTreeMap<(String, Grade), Line> = BTreeMap::new();
    lines.each(compared, &mut |key, line| {
        if let Some(place) = places.get(key.columns(width)) {
            chosen.insert((*place, key.clone()), line);
            return Ok(());
        }
        let named =
            Key { columns: Vec::new(), adjusts: line.key.adjusts.clone(), others: Some(groups.saturating_sub(kept)) };
        let sum = others.entry((named.adjusts.clone(), line.grade));
        let sum = sum.or_insert_with(|| Line {
            key: named,
            grade: line.grade,
            sum: Sum::default(),
            before: compared.then(Sum::default),
        });
        sum.sum.merge(&line.sum)?;
        match (&mut sum.before, &line.before) {
            (Some(sum), Some(more)) => sum.merge(more),
            _ => Ok(()),
        }
    })?;
    // What one of the others takes back, another one of them lacks no more.
    others.values_mut().for_each(|line| lines.settle(line));
    Ok(chosen.into_values().chain(others.into_values()).map(Line::settled).collect())
}

fn rank(sum: &Sum, sort: Sort) -> Result<Rank, ReportError> {
    let amounts = sum.exact()?.unwrap_or_default();
    Ok(match sort {
        Sort::Charge => amounts.charge.yocto_usd(),
        Sort::Cost => amounts.cost.yocto_usd(),
        Sort::Tokens => sum.tokens(),
        Sort::Calls => sum.calls,
    })
}
