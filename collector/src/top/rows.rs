//! Rows: what was used, and how fast, by the difference of readings.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::money::Charge;

use super::read::Reading;

/// Rates are of the last minute: shorter ones jump.
const WINDOW: Duration = Duration::from_secs(60);
/// The most rows that are kept of all readings together.
const MAX_ROWS: usize = 1_000_000;
const MS_PER_HOUR: i128 = 3_600_000;
const MS_PER_MINUTE: i128 = 60_000;
const YOCTO_PER_FEMTO: i128 = 1_000_000_000;

/// Whose use it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Who is charged.
    pub tenant: String,
    /// Who responded.
    pub provider: String,
    /// The model.
    pub model: String,
}

/// What was used on a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Calls.
    pub calls: i128,
    /// Tokens, of all classes.
    pub tokens: i128,
    /// What the tenant pays, for all that has a price.
    pub charge: Charge,
    /// Something has no price.
    pub unpriced: bool,
}

impl Amounts {
    /// Adds others.
    pub fn add(&mut self, other: &Amounts) {
        self.calls = self.calls.saturating_add(other.calls);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.charge = self.charge.checked_add(other.charge).unwrap_or(Charge::MAX);
        self.unpriced |= other.unpriced;
    }
}

/// What tells rows apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Tenant and model.
    #[default]
    Both,
    /// The tenant.
    Tenant,
    /// The model.
    Model,
}

impl By {
    /// The next one.
    pub fn next(self) -> By {
        match self {
            By::Both => By::Tenant,
            By::Tenant => By::Model,
            By::Model => By::Both,
        }
    }

    fn of(self, key: &Key) -> Key {
        match self {
            By::Both => key.clone(),
            By::Tenant => Key { tenant: key.tenant.clone(), ..Key::default() },
            By::Model => Key { tenant: String::new(), ..key.clone() },
        }
    }
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The highest charge of the day.
    #[default]
    Spend,
    /// The most spent in the last minute.
    Rate,
    /// The most tokens.
    Tokens,
    /// The most calls.
    Calls,
    /// By name.
    Name,
}

/// A row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Whose it is.
    pub key: Key,
    /// What was used today.
    pub day: Amounts,
    /// How fast; none: there is one reading only.
    pub rate: Option<Rate>,
}

/// How fast something is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Calls a minute.
    pub calls: i128,
    /// Tokens a minute.
    pub tokens: i128,
    /// Charge an hour.
    pub charge: Charge,
}

/// The readings of the last minute.
#[derive(Debug, Default)]
pub struct Readings(VecDeque<Kept>);

#[derive(Debug)]
struct Kept {
    at: Instant,
    day: String,
    rows: BTreeMap<Key, Amounts>,
    refused: BTreeMap<String, i128>,
}

impl Readings {
    /// Takes a reading, if it has rows. On another day everything begins anew.
    pub fn take(&mut self, reading: &Reading) {
        let Ok(rows) = &reading.rows else { return };
        if self.0.back().is_some_and(|last| last.day != reading.day) {
            self.0.clear();
        }
        let (day, refused) = (reading.day.clone(), reading.refused.clone());
        self.0.push_back(Kept { at: reading.at, day, rows: rows.clone(), refused });
        while self.0.len() > 2 && (self.is_old(reading.at) || self.size() > MAX_ROWS) {
            self.0.pop_front();
        }
    }

    /// Whether the second reading alone is as old as the window is long.
    fn is_old(&self, now: Instant) -> bool {
        self.0.get(1).is_some_and(|second| now.saturating_duration_since(second.at) >= WINDOW)
    }

    fn size(&self) -> usize {
        self.0.iter().map(|kept| kept.rows.len()).sum()
    }

    /// How long rates are of; none: there is one reading only.
    pub fn span(&self) -> Option<Duration> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let span = last.at.saturating_duration_since(first.at);
        (!span.is_zero()).then_some(span)
    }

    /// How many calls a budget refuses a minute; none: there is one reading only.
    pub fn refused(&self, budget: &str) -> Option<i128> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let of = |kept: &Kept| kept.refused.get(budget).copied().unwrap_or_default();
        per(of(last).saturating_sub(of(first)), MS_PER_MINUTE, elapsed_ms(first, last))
    }

    /// The rows, in order, and all of them together.
    pub fn rows(&self, by: By, sort: Sort) -> (Vec<Row>, Row) {
        let (Some(first), Some(last)) = (self.0.front(), self.0.back()) else { return Default::default() };
        let elapsed_ms = elapsed_ms(first, last);
        let mut rows: BTreeMap<Key, (Amounts, Amounts)> = BTreeMap::new();
        let mut total = (Amounts::default(), Amounts::default());
        for (key, amounts) in &last.rows {
            let before = first.rows.get(key).copied().unwrap_or_default();
            for (now, earlier) in [&mut total, rows.entry(by.of(key)).or_default()] {
                now.add(amounts);
                earlier.add(&before);
            }
        }
        let row =
            |key: Key, (day, earlier): (Amounts, Amounts)| Row { key, day, rate: Rate::of(&day, &earlier, elapsed_ms) };
        let mut rows: Vec<Row> = rows.into_iter().map(|(key, amounts)| row(key, amounts)).collect();
        rows.sort_by(|one, other| sort.order(one, other).then_with(|| one.key.cmp(&other.key)));
        (rows, row(Key::default(), total))
    }
}

fn elapsed_ms(first: &Kept, last: &Kept) -> i128 {
    i128::try_from(last.at.saturating_duration_since(first.at).as_millis()).unwrap_or(i128::MAX)
}

/// What a difference is in so many milliseconds.
fn per(difference: i128, ms: i128, elapsed_ms: i128) -> Option<i128> {
    difference.max(0).saturating_mul(ms).checked_div(elapsed_ms)
}

impl Rate {
    fn of(now: &Amounts, before: &Amounts, elapsed_ms: i128) -> Option<Rate> {
        let per = |difference: i128, ms: i128| per(difference, ms, elapsed_ms);
        let spent = now.charge.checked_sub(before.charge)?.yocto_usd().checked_div(YOCTO_PER_FEMTO)?;
        Some(Rate {
            calls: per(now.calls.saturating_sub(before.calls), MS_PER_MINUTE)?,
            tokens: per(now.tokens.saturating_sub(before.tokens), MS_PER_MINUTE)?,
            charge: Charge::from_femto_usd(per(spent, MS_PER_HOUR)?)?,
        })
    }
}

impl Sort {
    fn order(self, one: &Row, other: &Row) -> std::cmp::Ordering {
        match self {
            Sort::Spend => other.day.charge.cmp(&one.day.charge),
            Sort::Rate => {
                let rate = |row: &Row| row.rate.map(|rate| (rate.charge, rate.tokens));
                rate(other).cmp(&rate(one))
            }
            Sort::Tokens => other.day.tokens.cmp(&one.day.tokens),
            Sort::Calls => other.day.calls.cmp(&one.day.calls),
            Sort::Name => std::cmp::Ordering::Equal,
        }
    }

    /// As a word.
    pub const fn word(self) -> &'static str {
        match self {
            Sort::Spend => "spend",
            Sort::Rate => "rate",
            Sort::Tokens => "tokens",
            Sort::Calls => "calls",
            Sort::Name => "name",
        }
    }
}

#[cfg(test)]
mod tests;
