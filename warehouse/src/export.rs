//! An export: entries, committed so many at a time.
//!
//! Files are made in a directory where nobody reads. Then an intent says which entries they have and what they are called, the
//! files are shown, and a manifest commits them. Whoever is killed before the intent begins anew; whoever is killed
//! behind it makes the same commit again, under the same names: entries are never changed, so it has the same rows.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::files::{Bounds, Files};
use crate::log::{Intent, Log, Manifest};
use crate::place::Place;
use crate::row::{End, Position, Row};
use crate::selection::Selection;

/// How often somebody else may be at the same place.
const TRIES: u32 = 5;

/// Where entries come from: the chains of a ledger.
pub trait Source {
    /// The last entry of each chain, now.
    fn ends(&self) -> Result<Vec<Position>, Error>;
    /// The hash of an entry, if there is one.
    fn hash(&self, position: Position) -> Result<Option<[u8; 32]>, Error>;
    /// The entries of a chain behind one of them, up to number `until`, in their order. Each must be the one that was written.
    fn rows(&self, behind: &End, until: i64, each: &mut dyn FnMut(Row) -> Result<(), Error>) -> Result<(), Error>;
}

/// How far an export is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Entries read.
    pub read: u64,
    /// Of so many.
    pub of: u64,
}

/// A commit that was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Its number.
    pub number: u64,
    /// Entries in its files.
    pub rows: u64,
    /// Its files.
    pub files: u64,
    /// How long these are together.
    pub bytes: u64,
}

/// What an export has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// What it has committed.
    pub commits: Vec<Commit>,
    /// The last entry of each chain that is there now.
    pub to: Vec<End>,
}

/// Exports what is new. `progress` hears of every entry that is read.
pub fn export(
    source: &dyn Source,
    place: &dyn Place,
    selection: &Selection,
    bounds: Bounds,
    progress: &mut dyn FnMut(Progress),
) -> Result<Done, Error> {
    let mut log = Log::open(place, selection)?;
    let ends = source.ends()?;
    let mut done = Done::default();
    let mut here = Progress::default();
    let mut tries = TRIES;
    let mut is_known = false;
    loop {
        let from = log.last.as_ref().map(|last| last.to.clone()).unwrap_or_default();
        if !is_known {
            same_ledger(source, place, &from, log.intent.as_ref())?;
            here.of = distance(&from, &ends);
            is_known = true;
        }
        let to = match &log.intent {
            Some(intent) => intent.to.clone(),
            None => next(&from, &ends, bounds.commit),
        };
        if log.intent.is_none() && distance(&from, &to) == 0 {
            done.to = from;
            return Ok(done);
        }
        match make(source, place, &mut log, from, &to, bounds, &mut |more| {
            here.read = here.read.saturating_add(more);
            progress(here);
        })? {
            Some(commit) => done.commits.push(commit),
            // Somebody else was there first: it goes on from what that has made.
            None if tries > 0 => {
                tries = tries.saturating_sub(1);
                log.read()?;
                is_known = false;
                here = Progress::default();
            }
            None => return Err(Error::of(place.name(), "another export is writing to it")),
        }
    }
}

/// Makes a commit; `None` if somebody else is at it.
fn make(
    source: &dyn Source,
    place: &dyn Place,
    log: &mut Log<'_>,
    from: Vec<End>,
    to: &[Position],
    bounds: Bounds,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<Commit>, Error> {
    let (number, selection) = (log.next(), log.selection().clone());
    let staging = place.staging()?;
    let mut files = Files::new(&staging, &format!("{}-{number:08}", selection.id()), bounds)?;
    let mut ends = Vec::new();
    for position in to {
        let begin = end_of(&from, position.writer);
        let mut end = begin;
        if begin.position.entry < position.entry {
            source.rows(&begin, position.entry, &mut |row| {
                end = End { position: row.position, hash: row.hash };
                progress(1);
                if selection.includes(&row) { files.push(&row) } else { Ok(()) }
            })?;
        }
        if end.position != *position {
            return Err(Error::new(format!("entry {position} is not in the ledger, which had it before")));
        }
        ends.push(end);
    }
    let files = files.finish()?;
    let paths: BTreeSet<String> = files.iter().map(|file| file.path.clone()).collect();
    // If this was begun before, by another version, its files may have had other names.
    let stale: BTreeSet<String> =
        log.intent.iter().flat_map(|intent| intent.files.clone()).filter(|path| !paths.contains(path)).collect();
    let all = paths.iter().chain(&stale).cloned().collect();
    if !log.intend(Intent::new(number, &selection, to.to_vec(), all))? {
        return Ok(None);
    }
    for path in &stale {
        place.delete(path)?;
    }
    for file in &files {
        place.publish(&Files::staged(&staging, &file.path), &file.path)?;
    }
    let bytes = files.iter().map(|file| file.bytes).fold(0, u64::saturating_add);
    let manifest = Manifest::new(number, &selection, from, ends, files);
    let (rows, count) = (manifest.rows, u64::try_from(manifest.files.len()).unwrap_or(u64::MAX));
    Ok(log.commit(manifest)?.then_some(Commit { number, rows, files: count, bytes }))
}

/// Whether the ledger is the one that was exported before: it has the entry with which each chain ended.
fn same_ledger(source: &dyn Source, place: &dyn Place, from: &[End], intent: Option<&Intent>) -> Result<(), Error> {
    let other = |position: Position, why: &str| {
        Err(Error::of(
            place.name(),
            format!("was exported from another ledger, or this one was put back to an earlier state: {why} {position}"),
        ))
    };
    for end in from.iter().filter(|end| end.position.entry > 0) {
        match source.hash(end.position)? {
            None => return other(end.position, "there is no entry"),
            Some(hash) if hash != end.hash => return other(end.position, "there is another entry"),
            Some(_) => {}
        }
    }
    for position in intent.iter().flat_map(|intent| &intent.to).filter(|position| position.entry > 0) {
        if source.hash(*position)?.is_none() {
            return other(*position, "there is no entry");
        }
    }
    Ok(())
}

/// Where a chain was left.
fn end_of(from: &[End], writer: i64) -> End {
    from.iter().find(|end| end.position.writer == writer).copied().unwrap_or(End::before_all(writer))
}

/// How many entries are between.
fn distance(from: &[End], to: &[Position]) -> u64 {
    let one = |position: &Position| {
        let begin = end_of(from, position.writer).position.entry;
        u64::try_from(position.entry.saturating_sub(begin)).unwrap_or(0)
    };
    to.iter().map(one).fold(0, u64::saturating_add)
}

/// Where the next commit ends: chain after chain, so many entries together.
fn next(from: &[End], ends: &[Position], most: i64) -> Vec<Position> {
    let mut to: BTreeMap<i64, i64> = from.iter().map(|end| (end.position.writer, end.position.entry)).collect();
    let mut left = most;
    for end in ends {
        let begin = to.get(&end.writer).copied().unwrap_or(0);
        let more = end.entry.saturating_sub(begin).clamp(0, left);
        left = left.saturating_sub(more);
        to.insert(end.writer, begin.saturating_add(more));
    }
    to.into_iter().map(|(writer, entry)| Position { writer, entry }).collect()
}
