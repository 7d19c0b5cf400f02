//! The files of a commit: each row goes to the file of its partition. How many are open, and how much waits in memory, is bounded.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::buffer::Buffer;
use crate::columns::{self, Column};
use crate::error::Error;
use crate::file::{File, Form};
use crate::row::{Position, Row};

/// How much an export holds at once.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Entries of a commit: what is done again if an export is killed.
    pub commit: i64,
    /// Rows that wait in memory before some are written, bytes, in all partitions together.
    pub waiting: usize,
    /// A file ends when it is as long as this, bytes; with the row group that makes it so.
    pub file: u64,
    /// Partitions that are written to at the same time.
    pub open: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { commit: 2_000_000, waiting: 192 << 20, file: 128 << 20, open: 256 }
    }
}

/// Rows of one partition that wait at most, bytes.
const GROUP: usize = 64 << 20;

/// A month, and one of sixteen parts of the tenants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Partition {
    month: String,
    tenant_hash: u8,
}

/// The part of a tenant, 0 to 15: the first hex digit of the SHA-256 of its path's first segment. Tenants that belong together
/// are in one part: `acme` and `acme/ml`.
pub fn tenant_hash(tenant: &str) -> u8 {
    let first = tenant.split('/').next().unwrap_or_default();
    Sha256::digest(first).first().copied().unwrap_or_default() >> 4
}

/// What the paths of a partition's files begin with.
pub fn partition_path(month: &str, tenant_hash: u8) -> String {
    format!("month={month}/tenant_hash={tenant_hash}/")
}

/// A whole file, as a manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Its path below the place of the export.
    pub path: String,
    /// Its partition: the month in which its entries count.
    pub month: String,
    /// Its partition: which part of the tenants.
    pub tenant_hash: u8,
    /// How many entries it has.
    pub rows: u64,
    /// How long it is.
    pub bytes: u64,
    /// SHA-256 over it, hex digits.
    pub sha256: String,
    /// Its first entry.
    pub first: Position,
    /// Its last entry.
    pub last: Position,
}

/// The files of a commit that are being written, in a directory where nobody reads.
pub struct Files {
    staging: PathBuf,
    /// What each file's name begins with.
    name: String,
    bounds: Bounds,
    form: Form,
    columns: Vec<Column>,
    open: BTreeMap<Partition, Open>,
    waiting: usize,
    begun: u32,
    turn: u64,
    done: Vec<Written>,
}

/// A file that is not whole yet.
struct Open {
    file: File,
    buffer: Buffer,
    path: String,
    rows: u64,
    first: Position,
    last: Position,
    /// When it last got a row.
    used: u64,
}

impl Files {
    /// None yet. The names are made of `name` and a number: the same rows make the same files.
    pub fn new(staging: &Path, name: &str, bounds: Bounds) -> Result<Files, Error> {
        let form = Form::new().map_err(|error| Error::of("the schema", error))?;
        Ok(Files {
            staging: staging.to_owned(),
            name: name.to_owned(),
            bounds,
            form,
            columns: columns::columns(),
            open: BTreeMap::new(),
            waiting: 0,
            begun: 0,
            turn: 0,
            done: Vec::new(),
        })
    }

    /// Where a file waits until it is whole and can be shown. No pattern for Parquet files matches the name.
    pub fn staged(staging: &Path, path: &str) -> PathBuf {
        staging.join(format!("{}.part", path.replace('/', "+")))
    }

    /// Takes a row.
    pub fn push(&mut self, row: &Row) -> Result<(), Error> {
        let partition = Partition { month: row.month(), tenant_hash: tenant_hash(&row.tenant) };
        if !self.open.contains_key(&partition) {
            self.begin(&partition, row)?;
        }
        self.turn = self.turn.saturating_add(1);
        let Some(open) = self.open.get_mut(&partition) else { return Ok(()) };
        let before = open.buffer.bytes();
        open.buffer.push(&self.columns, row)?;
        (open.last, open.used) = (row.position, self.turn);
        open.rows = open.rows.saturating_add(1);
        let after = open.buffer.bytes();
        self.waiting = self.waiting.saturating_add(after.saturating_sub(before));
        if after >= GROUP {
            self.write(&partition)?;
        }
        while self.waiting > self.bounds.waiting {
            let largest =
                self.open.iter().max_by_key(|(_, open)| open.buffer.bytes()).map(|(partition, _)| partition.clone());
            let Some(largest) = largest else { break };
            self.write(&largest)?;
        }
        Ok(())
    }

    /// Ends all files; returns what they are, in the order of their paths.
    pub fn finish(mut self) -> Result<Vec<Written>, Error> {
        while let Some((partition, open)) = self.open.pop_first() {
            self.close(partition, open)?;
        }
        self.done.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(self.done)
    }

    fn begin(&mut self, partition: &Partition, row: &Row) -> Result<(), Error> {
        if self.open.len() >= self.bounds.open {
            let oldest = self.open.iter().min_by_key(|(_, open)| open.used).map(|(partition, _)| partition.clone());
            if let Some((oldest, open)) = oldest.and_then(|oldest| self.open.remove_entry(&oldest)) {
                self.close(oldest, open)?;
            }
        }
        self.begun = self.begun.saturating_add(1);
        let Partition { month, tenant_hash } = partition;
        let path = format!("{}{}-{:04}.parquet", partition_path(month, *tenant_hash), self.name, self.begun);
        let staged = Files::staged(&self.staging, &path);
        let file = File::create(&staged, &self.form).map_err(|error| failed(&staged, &error))?;
        let buffer = Buffer::new(&self.columns);
        let open = Open { file, buffer, path, rows: 0, first: row.position, last: row.position, used: 0 };
        self.open.insert(partition.clone(), open);
        Ok(())
    }

    /// Writes what waits of a partition, and ends its file if that is long enough.
    fn write(&mut self, partition: &Partition) -> Result<(), Error> {
        let Some(open) = self.open.get_mut(partition) else { return Ok(()) };
        self.waiting = self.waiting.saturating_sub(open.buffer.bytes());
        let written = open.file.write(&mut open.buffer);
        written.map_err(|error| failed(&Files::staged(&self.staging, &open.path), &error))?;
        if open.file.bytes() >= self.bounds.file
            && let Some((partition, open)) = self.open.remove_entry(partition)
        {
            self.close(partition, open)?;
        }
        Ok(())
    }

    fn close(&mut self, partition: Partition, mut open: Open) -> Result<(), Error> {
        let staged = Files::staged(&self.staging, &open.path);
        self.waiting = self.waiting.saturating_sub(open.buffer.bytes());
        let closed = open.file.write(&mut open.buffer).and_then(|()| open.file.close());
        let digested = closed.map_err(|error| failed(&staged, &error))?;
        let Partition { month, tenant_hash } = partition;
        let Open { path, rows, first, last, .. } = open;
        self.done.push(Written {
            path,
            month,
            tenant_hash,
            rows,
            bytes: digested.bytes,
            sha256: digested.sha256,
            first,
            last,
        });
        Ok(())
    }
}

fn failed(file: &Path, error: &ParquetError) -> Error {
    Error::of(file.display(), error)
}

/// Empties a directory for staging, or makes it. Nobody else may look into it: it may be where everybody's files are.
pub fn empty(staging: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::of(staging.display(), error);
    match fs::remove_dir_all(staging) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    fs::DirBuilder::new().mode(0o700).create(staging).map_err(failed)
}
