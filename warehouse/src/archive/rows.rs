//! The rows of a file that are wanted, in their order.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use super::Kept;
use super::groups::{Batches, Group, Source, Unfit, Value};
use super::kept::{Batch, EMITTER, ENTRY, KIND, SEQUENCE, TENANT, WRITER};
use super::local::Opened;
use crate::error::Error;
use crate::selection::is_within;

/// Which entries are wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Of this chain.
    pub writer: i64,
    /// Behind this number.
    pub behind: i64,
    /// Up to this one.
    pub until: i64,
    /// Only of this tenant and those below it.
    pub tenant: Option<String>,
}

impl Wanted {
    /// Which rows of a row group are those.
    fn rows(&self, source: &Source, group: &Group) -> Result<Vec<Range<usize>>, Unfit> {
        let mut rows = group.all();
        for (column, meant) in
            [(WRITER, self.writer..=self.writer), (ENTRY, self.behind.saturating_add(1)..=self.until)]
        {
            rows = match overlap(group.numbers(column), &meant) {
                Overlap::None => return Ok(Vec::new()),
                Overlap::All => rows,
                Overlap::Some => group.filter(source, column, rows, |value| is_in(value, &meant))?,
            };
        }
        match &self.tenant {
            Some(path) => group.filter(source, TENANT, rows, |value| match value {
                Value::Bytes(bytes) => bytes.as_utf8().is_ok_and(|tenant| is_within(tenant, path)),
                _ => false,
            }),
            None => Ok(rows),
        }
    }
}

fn is_in(value: &Value, meant: &RangeInclusive<i64>) -> bool {
    matches!(value, Value::Number(number) if meant.contains(number))
}

/// How many of a column's numbers can be, by its lowest and highest, those that are meant.
enum Overlap {
    None,
    Some,
    All,
}

fn overlap(numbers: Option<RangeInclusive<i64>>, meant: &RangeInclusive<i64>) -> Overlap {
    match numbers {
        Some(numbers) if numbers.end() < meant.start() || numbers.start() > meant.end() => Overlap::None,
        Some(numbers) if meant.contains(numbers.start()) && meant.contains(numbers.end()) => Overlap::All,
        _ => Overlap::Some,
    }
}

/// Reads a file's rows.
pub struct Rows {
    opened: Arc<Opened>,
    wanted: Wanted,
    /// The row group that is begun next.
    group: usize,
    /// What is left of this one.
    batches: Option<Batches>,
    batch: Batch,
}

impl Rows {
    /// From the first row on.
    pub fn new(opened: &Arc<Opened>, wanted: Wanted) -> Rows {
        Rows { opened: opened.clone(), wanted, group: 0, batches: None, batch: Batch::default() }
    }

    /// The next entry that is wanted.
    pub fn next(&mut self) -> Result<Option<Kept>, Error> {
        let opened = self.opened.clone();
        let groups = opened.groups()?;
        let found = self.read(opened.source(), groups).and_then(|found| {
            found.as_ref().map_or(Ok(()), |kept| opened.has(kept))?;
            Ok(found)
        });
        found.map_err(|why| opened.unfit(why))
    }

    fn read(&mut self, source: &Source, groups: &[Group]) -> Result<Option<Kept>, Unfit> {
        loop {
            if let Some(kept) = self.batch.next()? {
                return Ok(Some(kept));
            }
            if let Some(batches) = &mut self.batches
                && let Some(batch) = batches.next()?
            {
                self.batch = batch;
                continue;
            }
            // What it holds of the file is given back.
            (self.batches, self.batch) = (None, Batch::default());
            let Some(group) = groups.get(self.group) else { return Ok(None) };
            self.group = self.group.saturating_add(1);
            let rows = self.wanted.rows(source, group)?;
            if !rows.is_empty() {
                self.batches = Some(group.batches(source, rows)?);
            }
        }
    }
}

/// The record of a call in a file, by its emitter's number of it.
pub fn record(opened: &Arc<Opened>, emitter: &str, sequence: i64) -> Result<Option<Kept>, Error> {
    let in_group = |group: &Group| -> Result<Option<Kept>, Unfit> {
        let has_number = group.numbers(SEQUENCE).is_none_or(|numbers| numbers.contains(&sequence));
        if !has_number || !group.can_have(EMITTER, emitter) {
            return Ok(None);
        }
        let source = opened.source();
        let rows = group.filter(source, SEQUENCE, group.all(), |value| is_in(value, &(sequence..=sequence)))?;
        let rows = group.filter(source, EMITTER, rows, |value| value.is(emitter))?;
        let is_record = |value: &Value| ["call", "copy", "release"].iter().any(|kind| value.is(kind));
        let rows = group.filter(source, KIND, rows, is_record)?;
        if rows.is_empty() {
            return Ok(None);
        }
        match group.batches(source, rows)?.next()? {
            Some(mut batch) => batch.next(),
            None => Ok(None),
        }
    };
    for group in opened.groups()? {
        let found = in_group(group).map_err(|why| opened.unfit(why))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
