//! The lines of a report while they are added up: in memory as long as they are few, then in a temporary file. A report by
//! session has a million of them.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, params};
use wire::record::Evidence;

use super::sum::{Amounts, Sum};
use super::{Grade, Key, Line, ReportError};

/// Lines in memory, and counts with names of their own in them. In tests nearly every report has more.
const IN_MEMORY: usize = if cfg!(test) { 3 } else { 1 << 16 };
/// Lines of one report at most, in whatever file.
const MOST: usize = 20_000_000;
/// Pages of the temporary file in memory, KiB.
const CACHE_KIB: i64 = 8 << 10;
/// Ends each text of a key. No text has it, and it comes before all others: keys are in the order of their texts.
const END: u8 = 0;

/// What tells a line apart, as bytes in the order of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineKey(Vec<u8>);

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

    fn read(&self) -> Option<(Key, Grade)> {
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

    pub fn merge(&mut self, other: &Sums) -> Result<(), ReportError> {
        self.now.merge(&other.now)?;
        other.before.as_ref().map_or(Ok(()), |before| self.of(Which::Before).merge(before))
    }
}

/// The amounts of lines as they are rounded, of both periods.
pub type Rounded = [BTreeMap<LineKey, Amounts>; 2];

/// The lines, by their keys.
#[derive(Debug, Default)]
pub struct Lines {
    memory: HashMap<LineKey, Sums>,
    spilled: Option<Spilled>,
    /// Counts with names of their own, in memory.
    named: usize,
    rounded: Rounded,
}

impl Lines {
    /// The sum of a line, to add to.
    pub fn line(&mut self, key: &LineKey, which: Which) -> Result<&mut Sum, ReportError> {
        if !self.memory.contains_key(key) {
            if self.memory.len().saturating_add(self.named) >= IN_MEMORY {
                self.spill()?;
            }
            self.memory.insert(key.clone(), Sums::default());
        }
        // Looked up once more rather than allocating a key for each total.
        let sums = self.memory.get_mut(key).ok_or_else(|| ReportError::Stopped(LOST.to_owned()))?;
        Ok(sums.of(which))
    }

    /// A name was counted that may be new.
    pub fn named(&mut self) {
        self.named = self.named.saturating_add(1);
    }

    fn spill(&mut self) -> Result<(), ReportError> {
        let spilled = match &mut self.spilled {
            Some(spilled) => spilled,
            none => none.insert(Spilled::new()?),
        };
        spilled.put(&mut self.memory)?;
        self.named = 0;
        Ok(())
    }

    /// From now on amounts are shown so.
    pub fn round(&mut self, rounded: Rounded) {
        self.rounded = rounded;
    }

    /// All lines in their order, added up. `compared`: whether each has its period before.
    pub fn each(
        &self,
        compared: bool,
        each: &mut dyn FnMut(&LineKey, Line) -> Result<(), ReportError>,
    ) -> Result<(), ReportError> {
        let mut done = |key: &LineKey, sums: Sums| {
            let Some((named, grade)) = key.read() else { return Err(ReportError::Stopped(LOST.to_owned())) };
            let settled = |mut sum: Sum, rounded: &BTreeMap<LineKey, Amounts>| {
                sum.settle();
                if !sum.amounts.is_empty() {
                    sum.rounded = rounded.get(key).copied();
                }
                sum
            };
            let [now, before] = &self.rounded;
            let before = compared.then(|| settled(sums.before.map(|sum| *sum).unwrap_or_default(), before));
            let line = Line { key: named, grade, sum: settled(sums.now, now), before };
            // Credits and debits that are nothing together were made all the same.
            let is_nothing = line.sum.is_nothing() && line.before.as_ref().is_none_or(Sum::is_nothing);
            if is_nothing && line.key.adjusts.is_empty() {
                return Ok(());
            }
            each(key, line)
        };
        let mut memory: Vec<(&LineKey, &Sums)> = self.memory.iter().collect();
        memory.sort_unstable_by_key(|(key, _)| *key);
        let Some(spilled) = &self.spilled else {
            return memory.into_iter().try_for_each(|(key, sums)| done(key, sums.clone()));
        };
        let mut memory = memory.into_iter().peekable();
        spilled.each(&mut |key, mut sums| {
            while let Some((first, more)) = memory.next_if(|(first, _)| **first < key) {
                done(first, more.clone())?;
            }
            if let Some((_, more)) = memory.next_if(|(first, _)| **first == key) {
                sums.merge(more)?;
            }
            done(&key, sums)
        })?;
        memory.try_for_each(|(key, sums)| done(key, sums.clone()))
    }
}

const LOST: &str = "the report's temporary file is not what was written";

/// Lines in a temporary file, which SQLite keeps: it is gone when this is dropped, and when the process ends.
#[derive(Debug)]
struct Spilled {
    file: Connection,
    lines: usize,
    runs: i64,
}

impl From<rusqlite::Error> for ReportError {
    fn from(error: rusqlite::Error) -> ReportError {
        ReportError::Stopped(format!("the report's temporary file: {error}; SQLITE_TMPDIR says where there is room"))
    }
}

impl Spilled {
    fn new() -> Result<Spilled, ReportError> {
        // Without a name it is a file that only this connection has.
        let file = Connection::open("")?;
        file.pragma_update(None, "journal_mode", "OFF")?;
        file.pragma_update(None, "cache_size", CACHE_KIB.checked_neg().unwrap_or_default())?;
        file.execute_batch(
            "CREATE TABLE lines (key BLOB NOT NULL, run INTEGER NOT NULL, now TEXT NOT NULL, before TEXT,
             PRIMARY KEY (key, run)) WITHOUT ROWID",
        )?;
        Ok(Spilled { file, lines: 0, runs: 0 })
    }

    /// Takes lines: one that is there already has another part.
    fn put(&mut self, lines: &mut HashMap<LineKey, Sums>) -> Result<(), ReportError> {
        self.lines = self.lines.saturating_add(lines.len());
        if self.lines > MOST {
            let problem = format!("more than {MOST} lines: fewer columns, or a shorter period");
            return Err(ReportError::TooMuch(problem));
        }
        self.runs = self.runs.saturating_add(1);
        let mut sorted: Vec<(LineKey, Sums)> = lines.drain().collect();
        sorted.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let tx = self.file.transaction()?;
        let mut insert = tx.prepare_cached("INSERT INTO lines VALUES (?1, ?2, ?3, ?4)")?;
        for (key, sums) in sorted {
            let before = sums.before.as_ref().map(|before| before.to_text());
            insert.execute(params![key.0, self.runs, sums.now.to_text(), before])?;
        }
        drop(insert);
        tx.commit()?;
        Ok(())
    }

    fn each(&self, each: &mut dyn FnMut(LineKey, Sums) -> Result<(), ReportError>) -> Result<(), ReportError> {
        let lost = || ReportError::Stopped(LOST.to_owned());
        let mut select = self.file.prepare("SELECT key, now, before FROM lines ORDER BY key")?;
        let mut rows = select.query([])?;
        let mut last: Option<(LineKey, Sums)> = None;
        while let Some(row) = rows.next()? {
            let key = LineKey(row.get(0)?);
            let now = Sum::from_text(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?).ok_or_else(lost)?;
            let before: Option<String> = row.get(2)?;
            let before = before.map(|text| Sum::from_text(&text).map(Box::new).ok_or_else(lost)).transpose()?;
            let sums = Sums { now, before };
            match &mut last {
                Some((same, all)) if *same == key => all.merge(&sums)?,
                _ => {
                    if let Some((key, sums)) = last.replace((key, sums)) {
                        each(key, sums)?;
                    }
                }
            }
        }
        last.map_or(Ok(()), |(key, sums)| each(key, sums))
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
                lines.line(&key, which).unwrap().add(&total).unwrap();
                expected.entry((name, rank)).or_default()[usize::from(before)].add(&total).unwrap();
            }
            let mut found = Vec::new();
            lines.each(true, &mut |_, line| {
                found.push(((line.key.columns[0].clone(), line.grade.rank()), [line.sum, line.before.unwrap()]));
                Ok(())
            }).unwrap();
            let mut expected: Vec<_> = expected.into_iter().collect();
            expected.iter_mut().for_each(|(_, sums)| sums.iter_mut().for_each(Sum::settle));
            expected.retain(|(_, sums)| !sums.iter().all(Sum::is_nothing));
            prop_assert_eq!(found, expected);
        }
    }
}
