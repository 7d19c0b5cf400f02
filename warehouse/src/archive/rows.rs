//! The rows of a file that are wanted, in their order.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::Kept;
use super::kept::{EMITTER, KIND, Leaves, SEQUENCE, TENANT, text};
use super::local::{Group, Opened};
use super::pages::Unfit;
use crate::error::Error;
use crate::row::Position;

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
    /// Whether a row group can have one of them.
    fn can_be_in_group(&self, group: &Group) -> bool {
        let overlaps = |range: &Option<RangeInclusive<i64>>, first: i64, last: i64| {
            range.as_ref().is_none_or(|range| *range.start() <= last && *range.end() >= first)
        };
        overlaps(&group.writers, self.writer, self.writer)
            && overlaps(&group.entries, self.behind.saturating_add(1), self.until)
    }
}

/// Reads a file's rows.
pub struct Rows {
    opened: Arc<Opened>,
    wanted: Wanted,
    /// The row group that is begun next.
    group: usize,
    /// The columns of this one.
    leaves: Leaves,
    /// The row of it that is read next, and how many there are.
    row: u64,
    rows: u64,
    /// Where the row before stands.
    last: Position,
    is_done: bool,
}

impl Rows {
    /// From the first row on.
    pub fn new(opened: &Arc<Opened>, wanted: Wanted) -> Rows {
        Rows {
            opened: opened.clone(),
            wanted,
            group: 0,
            leaves: Leaves(Vec::new()),
            row: 0,
            rows: 0,
            last: Position { writer: i64::MIN, entry: i64::MIN },
            is_done: false,
        }
    }

    /// The next entry that is wanted.
    pub fn next(&mut self) -> Result<Option<Kept>, Error> {
        let opened = self.opened.clone();
        while !self.is_done {
            if self.row == self.rows {
                let Some(group) = opened.plan()?.groups.get(self.group) else { break };
                self.group = self.group.saturating_add(1);
                if self.wanted.can_be_in_group(group) {
                    self.leaves = opened.leaves(group)?;
                    (self.row, self.rows) = (0, group.rows);
                }
                continue;
            }
            if let Some(kept) = self.read().map_err(|why| opened.unfit(why))? {
                return Ok(Some(kept));
            }
        }
        // What it holds of the file is given back.
        (self.leaves, self.is_done) = (Leaves(Vec::new()), true);
        Ok(None)
    }

    /// Reads a row; nothing if it is not wanted.
    fn read(&mut self) -> Result<Option<Kept>, Unfit> {
        let row = self.row;
        self.row = row.saturating_add(1);
        let position = self.leaves.position(row)?;
        if position <= self.last {
            return Err(format!("entry {position} is not in its place"));
        }
        self.last = position;
        let Wanted { writer, behind, until, .. } = self.wanted;
        if position > (Position { writer, entry: until }) {
            self.is_done = true;
            return Ok(None);
        }
        if position.writer != writer || position.entry <= behind {
            return Ok(None);
        }
        if self.wanted.tenant.is_some() {
            let tenant = text(self.leaves.value(TENANT, row)?.unwrap_or_default())?;
            if !self.wanted.has_tenant(&tenant) {
                return Ok(None);
            }
        }
        self.leaves.kept(row).map(Some)
    }
}

/// The record of a call in a file, by its emitter's number of it.
pub fn record(opened: &Arc<Opened>, emitter: &str, sequence: i64) -> Result<Option<Kept>, Error> {
    for group in &opened.plan()?.groups {
        let has_sequence = group.sequences.as_ref().is_none_or(|range| range.contains(&sequence));
        let has_emitter = group
            .emitters
            .as_ref()
            .is_none_or(|(first, last)| (first.as_slice()..=last.as_slice()).contains(&emitter.as_bytes()));
        if !has_sequence || !has_emitter {
            continue;
        }
        let mut leaves = opened.leaves(group)?;
        for row in 0..group.rows {
            let found = found(&mut leaves, row, emitter, sequence).map_err(|why| opened.unfit(why))?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}

fn found(leaves: &mut Leaves, row: u64, emitter: &str, sequence: i64) -> Result<Option<Kept>, Unfit> {
    let is_it = leaves.has(SEQUENCE, row, sequence)?
        && leaves.is(EMITTER, row, emitter)?
        && (leaves.is(KIND, row, "call")? || leaves.is(KIND, row, "copy")? || leaves.is(KIND, row, "release")?);
    if is_it { leaves.kept(row).map(Some) } else { Ok(None) }
}
