//! What was exported, read back: the entries of a chain in their order, from the files that the manifests name.
//!
//! A file is read only if it is, byte for byte, the one that was committed: its length and its SHA-256 are those of the manifest.
//! That is always checked, also for reports: the pages of a file have no checksums of their own, so a byte that was altered on the
//! way could become another amount, and the Parquet library is not made for hostile files. It is done once for each file as long
//! as the archive is open, unless the file has changed. That the manifests are those of an export, too, is known of an archive
//! that is opened by their digest.

use std::collections::BinaryHeap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use jiff::civil::Date;

use crate::error::Error;
use crate::files::{Written, tenant_hash};
use crate::place::Place;
use crate::row::{End, Position};

mod groups;
mod kept;
mod local;
mod manifests;
mod rows;

use local::{Local, Opened};
use manifests::Manifests;
use rows::{Rows, Wanted};

/// An entry, as the ledger kept it: all that its hash is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Where it stands.
    pub position: Position,
    /// Its hash.
    pub hash: [u8; 32],
    /// What it says, the ledger's word.
    pub kind: String,
    /// The entry that it is about.
    pub refers: Option<Position>,
    /// Who counted the call.
    pub emitter: String,
    /// The emitter's number of it.
    pub sequence: i64,
    /// The day on which it counts, UTC.
    pub day: Date,
    /// The month of its call, if that was closed before, so that it counts on another day.
    pub adjusts: Option<String>,
    /// When the call began, ns since 1970.
    pub started_ns: i64,
    /// When the entry was written, ns since 1970.
    pub received_ns: i64,
    /// Who is charged.
    pub tenant: String,
    /// The provider.
    pub provider: String,
    /// The model that is charged for.
    pub model: String,
    /// How good the counts are.
    pub evidence: String,
    /// What the tenant pays, yocto-USD.
    pub charge: i128,
    /// What the provider charges, yocto-USD.
    pub cost: i128,
    /// How that was found, as JSON, as it was kept.
    pub rating: Option<String>,
    /// Why a person made it.
    pub reason: Option<String>,
    /// The event, as it was sent; of an entry about no call, what else it says.
    pub event: Option<String>,
    /// What the personal fields are salted with in its hash, as it was kept.
    pub salt: Option<Vec<u8>>,
}

impl Kept {
    /// The month in which it counts: `2026-11`.
    pub fn month(&self) -> String {
        format!("{:04}-{:02}", self.day.year(), self.day.month())
    }

    /// The day on which it counts, if that is not the day on which its call began: a part of its hash.
    pub fn billed(&self) -> Option<Date> {
        self.adjusts.is_some().then_some(self.day)
    }
}

/// An export of all entries, that is read.
///
/// Calls wait for files and for an object store, so they belong on a thread where waiting is allowed.
pub struct Archive {
    local: Local,
    manifests: Manifests,
}

impl Archive {
    /// Opens the export of all entries at a place. Exports of only a month or a tenant are passed over. Every manifest is
    /// read, and each must go on where the one before ended.
    pub fn open(place: Arc<dyn Place>) -> Result<Archive, Error> {
        let manifests = Manifests::read(&*place)?;
        Ok(Archive { local: Local::new(place), manifests })
    }

    /// The same of an export whose first commits are known by their [digest](Archive::digest): what was exported behind them is
    /// no part of it. An error if these manifests are others, before any file is read.
    pub fn open_pinned(place: Arc<dyn Place>, commits: u64, digest: &[u8; 32]) -> Result<Archive, Error> {
        let manifests = Manifests::read_pinned(&*place, commits, digest)?;
        Ok(Archive { local: Local::new(place), manifests })
    }

    /// The last entry of each chain that it has, in the order of the chains.
    pub fn ends(&self) -> &[End] {
        self.manifests.ends()
    }

    /// The SHA-256 over the manifests of the first commits, as they are there, each behind its length: 64 bits, the highest
    /// first. It stays the same when more is exported. `None` if there are no commits to be digested, or fewer.
    pub fn digest(&self, commits: u64) -> Option<[u8; 32]> {
        self.manifests.digest(commits)
    }

    /// The first commit with which all entries up to these are there; `None` if not all are. An error if a commit ends with
    /// another entry of such a number.
    pub fn commit_of(&self, ends: &[End]) -> Result<Option<u64>, Error> {
        self.manifests.commit_of(ends).map_err(|why| Error::of(self.name(), why))
    }

    /// Its files, in the order of the commits.
    pub fn files(&self) -> &[Arc<Written>] {
        &self.manifests.files
    }

    /// Whether a file is there, and as long as its manifest says: an error if not. What is in it is not read.
    pub fn is_there(&self, file: &Written) -> Result<(), Error> {
        self.local.is_there(file)
    }

    /// How the place is called in messages.
    pub fn name(&self) -> String {
        self.local.name()
    }

    /// The entries of a chain behind number `behind`, up to number `until` or to the last that there is, in their order.
    ///
    /// With `months` only those that count in these months, such as `2026-10`; with `tenant` only those of this tenant and all
    /// below it. Without both none may be missing between.
    pub fn entries(
        &self,
        writer: i64,
        behind: i64,
        until: i64,
        months: Option<RangeInclusive<String>>,
        tenant: Option<&str>,
        each: &mut dyn FnMut(Kept) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let end = self.end_of(writer);
        let (behind, until) = (behind.max(0), until.min(end));
        if behind >= until {
            return Ok(());
        }
        let wanted = Wanted { writer, behind, until, tenant: tenant.map(str::to_owned) };
        let is_whole = months.is_none() && tenant.is_none();
        let mut expected = behind.saturating_add(1);
        let mut merge = Merge::new(self, &wanted, months.as_ref());
        while let Some(kept) = merge.next()? {
            let number = kept.position.entry;
            if number < expected {
                return Err(Error::of(self.name(), format!("entry {} is there twice", kept.position)));
            }
            if is_whole && number > expected {
                return Err(self.missing(Position { writer, entry: expected }));
            }
            expected = number.saturating_add(1);
            each(kept)?;
        }
        if is_whole && expected <= until {
            return Err(self.missing(Position { writer, entry: expected }));
        }
        Ok(())
    }

    /// An entry; `None` if it is behind the last of its chain.
    pub fn entry(&self, position: Position) -> Result<Option<Kept>, Error> {
        if position.entry < 1 || position.entry > self.end_of(position.writer) {
            return Ok(None);
        }
        let Position { writer, entry } = position;
        let wanted = Wanted { writer, behind: entry.saturating_sub(1), until: entry, tenant: None };
        let files: Vec<&Arc<Written>> = self.manifests.files.iter().filter(|file| wanted.can_be_in(file)).collect();
        let found = self.first(&files, |opened| Rows::new(opened, wanted.clone()).next())?;
        found.map(Some).ok_or_else(|| self.missing(position))
    }

    /// The record of a call, by its emitter's number of it: of kind `call`, `copy` or `release`. With `months` it is looked for
    /// only among those that count in these months. That there is none is known only when every file that could have it is
    /// checked.
    pub fn record(
        &self,
        emitter: &str,
        sequence: i64,
        months: Option<RangeInclusive<String>>,
    ) -> Result<Option<Kept>, Error> {
        let is_meant = |file: &&Arc<Written>| months.as_ref().is_none_or(|months| months.contains(&file.month));
        let files: Vec<&Arc<Written>> = self.manifests.files.iter().filter(is_meant).collect();
        self.first(&files, |opened| rows::record(opened, emitter, sequence))
    }

    /// What is found in the first file that has it.
    fn first<T>(
        &self,
        files: &[&Arc<Written>],
        mut find: impl FnMut(&Arc<Opened>) -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        for file in files {
            let found = find(&self.local.open(file)?)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn end_of(&self, writer: i64) -> i64 {
        let of_it = self.ends().iter().find(|end| end.position.writer == writer);
        of_it.map_or(0, |end| end.position.entry)
    }

    fn missing(&self, position: Position) -> Error {
        Error::of(self.name(), format!("entry {position} is in none of the files"))
    }
}

/// Files that have entries of a chain, read together: each is opened when the entries before it are passed, and left at its end.
struct Merge<'a> {
    archive: &'a Archive,
    wanted: &'a Wanted,
    /// Those that are not open yet, and with which number they begin at the earliest; the first at the end.
    waiting: Vec<(i64, &'a Arc<Written>)>,
    open: BinaryHeap<Head>,
}

/// The next entry of a file. The one with the lowest number comes first.
struct Head {
    kept: Kept,
    rows: Rows,
}

impl<'a> Merge<'a> {
    fn new(archive: &'a Archive, wanted: &'a Wanted, months: Option<&RangeInclusive<String>>) -> Merge<'a> {
        let part = wanted.tenant.as_deref().map(tenant_hash);
        let is_meant = |file: &&Arc<Written>| {
            wanted.can_be_in(file)
                && months.is_none_or(|months| months.contains(&file.month))
                && part.is_none_or(|part| file.tenant_hash == part)
        };
        let first = |file: &Arc<Written>| match file.first.writer == wanted.writer {
            true => file.first.entry.max(wanted.behind.saturating_add(1)),
            false => wanted.behind.saturating_add(1),
        };
        let mut waiting: Vec<(i64, &Arc<Written>)> =
            archive.manifests.files.iter().filter(is_meant).map(|file| (first(file), file)).collect();
        waiting.sort_by_key(|(first, _)| std::cmp::Reverse(*first));
        Merge { archive, wanted, waiting, open: BinaryHeap::new() }
    }

    fn next(&mut self) -> Result<Option<Kept>, Error> {
        let is_next = |waiting: i64, open: &BinaryHeap<Head>| match open.peek() {
            Some(head) => waiting <= head.kept.position.entry,
            None => true,
        };
        while let Some((first, file)) = self.waiting.last()
            && is_next(*first, &self.open)
        {
            let opened = self.archive.local.open(file)?;
            self.waiting.pop();
            let mut rows = Rows::new(&opened, self.wanted.clone());
            if let Some(kept) = rows.next()? {
                self.open.push(Head { kept, rows });
            }
        }
        let Some(mut head) = self.open.peek_mut() else { return Ok(None) };
        match head.rows.next()? {
            Some(after) => Ok(Some(std::mem::replace(&mut head.kept, after))),
            None => Ok(Some(std::collections::binary_heap::PeekMut::pop(head).kept)),
        }
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Head) -> std::cmp::Ordering {
        other.kept.position.cmp(&self.kept.position)
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Head) -> bool {
        self.kept.position == other.kept.position
    }
}

impl Eq for Head {}

impl Wanted {
    /// Whether a file can have one of them, by its first and last entry.
    fn can_be_in(&self, file: &Written) -> bool {
        let Wanted { writer, behind, until, .. } = *self;
        file.first <= Position { writer, entry: until }
            && file.last >= Position { writer, entry: behind.saturating_add(1) }
    }
}
