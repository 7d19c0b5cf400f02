//! The lines of a report while they are added up. A report by session has a million of them.

use std::collections::BTreeMap;

use wire::record::Evidence;

use super::spill::{LOST, Spill, Stored};
use super::sum::{self, Amounts, Sum};
use super::unpriced::Open;
use super::{Grade, Key, Line, ReportError};

/// Ends each text of a key. No text has it, and it comes before all others: keys are in the order of their texts.
const END: u8 = 0;

/// What tells a line apart, as bytes in the order of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineKey(pub(super) Vec<u8>);

impl LineKey {
    /// Adds a text, without the byte that ends it.
    pub fn push(&mut self, text: &str) {
        self.0.extend(text.bytes().filter(|byte| *byte != END));
        self.0.push(END);
    }

    /// Adds the last part.
    pub fn end(&mut self, grade: Grade) {
        self.0.push(u8::try_from(grade.rank()).unwrap_or(u8::MAX));
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The texts of so many columns: lines that have the same differ in nothing but evidence and what they adjust.
    pub fn columns(&self, width: usize) -> &[u8] {
        let ends = self.0.iter().enumerate().filter(|(_, byte)| **byte == END);
        let end = match width.checked_sub(1) {
            Some(last) => ends.map(|(at, _)| at.saturating_add(1)).nth(last).unwrap_or(self.0.len()),
            None => 0,
        };
        self.0.get(..end).unwrap_or_default()
    }

    /// The texts, and the evidence.
    pub fn read(&self) -> Option<(Key, Grade)> {
        let (rank, texts) = self.0.split_last()?;
        let grade = Grade(*Evidence::ALL.get(usize::from(*rank))?);
        let texts = texts.strip_suffix(&[END])?.split(|byte| *byte == END);
        let mut columns = texts.map(|text| String::from_utf8(text.to_vec()).ok()).collect::<Option<Vec<_>>>()?;
        let adjusts = columns.pop()?;
        Some((Key { columns, adjusts, others: None }, grade))
    }
}

/// The sums of a line: of the period, and of the one before.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    pub now: Sum,
    pub before: Option<Box<Sum>>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Now,
    Before,
}

impl Sums {
    pub fn of(&mut self, which: Which) -> &mut Sum {
        match which {
            Which::Now => &mut self.now,
            Which::Before => self.before.get_or_insert_default(),
        }
    }
}

impl Stored for Sums {
    fn merge(&mut self, other: &Sums) -> Result<(), ReportError> {
        self.now.merge(&other.now)?;
        other.before.as_ref().map_or(Ok(()), |before| self.of(Which::Before).merge(before))
    }

    fn to_text(&self) -> String {
        let stored = (self.now.stored(), self.before.as_ref().map(|before| before.stored()));
        serde_json::to_string(&stored).unwrap_or_default()
    }

    fn from_text(text: &str) -> Option<Sums> {
        let (now, before): (sum::Stored, Option<sum::Stored>) = serde_json::from_str(text).ok()?;
        let before = match before {
            Some(before) => Some(Box::new(Sum::of_stored(before)?)),
            None => None,
        };
        Some(Sums { now: Sum::of_stored(now)?, before })
    }
}

/// The amounts of lines as they are rounded, of both periods.
pub type Rounded = [BTreeMap<LineKey, Amounts>; 2];

/// The lines, by their keys.
#[derive(Debug, Default)]
pub struct Lines {
    sums: Spill<Sums>,
    rounded: Rounded,
    /// What has no price in the periods.
    open: [Open; 2],
}

impl Lines {
    /// The sum of a line, to add to.
    pub fn line(&mut self, key: &LineKey, which: Which) -> Result<&mut Sum, ReportError> {
        Ok(self.sums.of(key)?.of(which))
    }

    /// How many there are; one of which a part is in the file may count twice.
    pub fn len(&self) -> usize {
        self.sums.len()
    }

    /// A name was counted that may be new.
    pub fn named(&mut self) {
        self.sums.grown();
    }

    /// Settles the sum of several lines.
    pub fn settle(&self, line: &mut Line) {
        let [now, before] = &self.open;
        line.sum.settle(now);
        if let Some(sum) = &mut line.before {
            sum.settle(before);
        }
    }

    /// From now on amounts are shown so.
    pub fn round(&mut self, rounded: Rounded) {
        self.rounded = rounded;
    }

    /// What both periods have no price for, when all of it is known.
    pub fn lack(&mut self, open: [Open; 2]) {
        self.open = open;
    }

    /// All lines in their order, added up. `compared`: whether each has its period before.
    pub fn each(
        &self,
        compared: bool,
        each: &mut dyn FnMut(&LineKey, Line) -> Result<(), ReportError>,
    ) -> Result<(), ReportError> {
        self.sums.each(&mut |key, sums| {
            let Some((named, grade)) = key.read() else { return Err(ReportError::Stopped(LOST.to_owned())) };
            let settled = |mut sum: Sum, rounded: &BTreeMap<LineKey, Amounts>, open: &Open| {
                sum.settle(open);
                if !sum.amounts.is_empty() {
                    sum.rounded = rounded.get(key).copied();
                }
                sum
            };
            let [now, before] = &self.rounded;
            let [open, open_before] = &self.open;
            let former = |sum: Option<Box<Sum>>| settled(sum.map(|sum| *sum).unwrap_or_default(), before, open_before);
            let before = compared.then(|| former(sums.before));
            let line = Line { key: named, grade, sum: settled(sums.now, now, open), before };
            // Credits and debits that are nothing together were made all the same.
            let is_nothing = line.sum.is_nothing() && line.before.as_ref().is_none_or(Sum::is_nothing);
            if is_nothing && line.key.adjusts.is_empty() {
                return Ok(());
            }
            each(key, line)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wire::usage::Class;

    use super::*;
    use crate::store::Total;
    use crate::store::sums::Counted;

    fn total(class: Option<Class>, quantity: i64, charge: i64) -> Total {
        let counted = class.map_or(Counted::Unknown("pixels".to_owned()), Counted::Usage);
        let charge = crate::money::Charge::from_yocto_usd(charge.into());
        let sum =
            crate::store::sums::Sum { quantity, charge, cost: charge, unpriced: quantity / 2, fallback: quantity / 3 };
        Total::of(Vec::new(), Evidence::Reported, counted, &sum)
    }

    proptest! {
        /// Three lines are in memory in tests: what comes more than once comes from several runs.
        #[test]
        fn deterministic_lines_from_a_file_are_those_that_were_added(
            added in prop::collection::vec((0..12_u8, 0..4_usize, any::<bool>(), any::<bool>(), -9..99_i64, any::<i64>()), 0..200)
        ) {
            let mut lines = Lines::default();
            let mut expected: BTreeMap<(String, usize), [Sum; 2]> = BTreeMap::new();
            for (name, rank, before, unknown, quantity, charge) in added {
                let name = ["a", "a\u{1}", "", "\u{10ffff}", "b|\n", "acme/ml"][usize::from(name) % 6].to_owned();
                let mut key = LineKey::default();
                [name.as_str(), "x"].iter().for_each(|text| key.push(text));
                key.push("");
                key.end(Grade(Evidence::ALL[rank]));
                let which = if before { Which::Before } else { Which::Now };
                let total = total((!unknown).then_some(Class::InputText), quantity, charge / 256);
                lines.line(&key, which).unwrap().add(&total, None).unwrap();
                expected.entry((name, rank)).or_default()[usize::from(before)].add(&total, None).unwrap();
            }
            let mut found = Vec::new();
            lines.each(true, &mut |_, line| {
                found.push(((line.key.columns[0].clone(), line.grade.rank()), [line.sum, line.before.unwrap()]));
                Ok(())
            }).unwrap();
            let mut expected: Vec<_> = expected.into_iter().collect();
            expected.iter_mut().for_each(|(_, sums)| sums.iter_mut().for_each(|sum| sum.settle(&Open::default())));
            expected.retain(|(_, sums)| !sums.iter().all(Sum::is_nothing));
            prop_assert_eq!(found, expected);
        }
    }
}
