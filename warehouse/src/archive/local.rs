//! Files of an archive on this machine: where they lie, or copies of those of a bucket.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use sha2::{Digest, Sha256};

use super::Kept;
use super::groups::{self, Group, Source, Unfit};
use crate::error::Error;
use crate::files::{self, Written};
use crate::place;
use crate::row::hex;

/// How many files stay open that nobody reads: the next question is often about the same ones, those of a month.
const RECENT: usize = 64;
/// The same of copies, which take room in TMPDIR.
const RECENT_COPIES: usize = 16;

/// The files.
pub struct Local {
    place: Arc<dyn place::Place>,
    state: Mutex<State>,
    /// Which files were found to be those that were committed, by their paths.
    checked: Mutex<BTreeMap<String, Identity>>,
}

#[derive(Default)]
struct State {
    recent: VecDeque<Arc<Opened>>,
    copies: Option<Copies>,
}

impl Local {
    /// None yet.
    pub fn new(place: Arc<dyn place::Place>) -> Local {
        Local { place, state: Mutex::default(), checked: Mutex::default() }
    }

    /// How the place is called in messages.
    pub fn name(&self) -> String {
        self.place.name()
    }

    /// Whether a file is there, and as long as its manifest says.
    pub fn is_there(&self, written: &Written) -> Result<(), Error> {
        let length = self.place.size(&written.path)?.ok_or_else(|| self.missing(written))?;
        self.has_length(written, length)
    }

    fn name_of(&self, written: &Written) -> String {
        format!("{}/{}", self.place.name().trim_end_matches('/'), written.path)
    }

    fn missing(&self, written: &Written) -> Error {
        Error::of(self.name_of(written), "is missing, which its manifest names")
    }

    fn has_length(&self, written: &Written, length: u64) -> Result<(), Error> {
        if length == written.bytes {
            return Ok(());
        }
        let why = format!("was altered: it has {length} bytes, and {} by its manifest", written.bytes);
        Err(Error::of(self.name_of(written), why))
    }

    /// Opens a file, and checks that it is, byte for byte, the one that was committed.
    pub fn open(&self, written: &Arc<Written>) -> Result<Arc<Opened>, Error> {
        let opened = self.find(written)?;
        if opened.is_checked.load(Ordering::Acquire) {
            return Ok(opened);
        }
        if lock(&self.checked).get(&written.path) != Some(&opened.identity) {
            if !opened.has_digest().map_err(|error| Error::of(&opened.name, error))? {
                return Err(Error::of(&opened.name, "was altered: its SHA-256 is not that of its manifest"));
            }
            lock(&self.checked).insert(written.path.clone(), opened.identity);
        }
        opened.is_checked.store(true, Ordering::Release);
        Ok(opened)
    }

    /// The file, on this machine. Whoever wants another one does not wait for it: a store can be slow to respond.
    fn find(&self, written: &Arc<Written>) -> Result<Arc<Opened>, Error> {
        let copy = {
            let mut state = lock(&self.state);
            if let Some(opened) = state.known(written) {
                return Ok(opened);
            }
            state.copies.get_or_insert_default().next()
        };
        let opened = Arc::new(self.fetch(written, copy)?);
        let mut state = lock(&self.state);
        // Somebody else may have fetched it meanwhile.
        if let Some(opened) = state.known(written) {
            return Ok(opened);
        }
        let most = if opened.copy.is_made() { RECENT_COPIES } else { RECENT };
        state.recent.push_back(opened.clone());
        while state.recent.len() > most {
            state.recent.pop_front();
        }
        Ok(opened)
    }

    fn fetch(&self, written: &Arc<Written>, copy: Copy) -> Result<Opened, Error> {
        let name = self.name_of(written);
        let path = self.place.fetch(&written.path, &|| copy.make())?.ok_or_else(|| self.missing(written))?;
        let failed = |error: io::Error| Error::of(&name, error);
        let file = File::open(&path).map_err(failed)?;
        let identity = Identity::of(&file).map_err(failed)?;
        self.has_length(written, identity.length)?;
        Ok(Opened {
            name,
            written: written.clone(),
            source: Source { file: Arc::new(file), length: identity.length, at: 0 },
            identity,
            is_checked: AtomicBool::new(false),
            groups: OnceLock::new(),
            copy,
        })
    }
}

impl State {
    /// A file that was read lately, if it is still the same.
    fn known(&mut self, written: &Written) -> Option<Arc<Opened>> {
        let at = self.recent.iter().position(|opened| opened.written.path == written.path)?;
        let opened = self.recent.remove(at).filter(|opened| opened.is_unchanged())?;
        self.recent.push_back(opened.clone());
        Some(opened)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What tells whether a file is still the one that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    number: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(file: &File) -> io::Result<Identity> {
        let found = file.metadata()?;
        Ok(Identity {
            device: found.dev(),
            number: found.ino(),
            length: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// Where copies are made.
#[derive(Default)]
struct Copies {
    directory: Arc<Directory>,
    next: u64,
}

/// A directory in TMPDIR, where nobody else may look; made with the first copy, removed with the last.
#[derive(Default)]
struct Directory(OnceLock<PathBuf>);

/// A copy, if it is made; removed when nobody reads it any more.
struct Copy {
    directory: Arc<Directory>,
    name: String,
}

impl Copies {
    fn next(&mut self) -> Copy {
        self.next = self.next.saturating_add(1);
        Copy { directory: self.directory.clone(), name: format!("{}.parquet", self.next) }
    }
}

impl Directory {
    fn make(&self) -> Result<&Path, Error> {
        if let Some(path) = self.0.get() {
            return Ok(path);
        }
        let parent = std::env::temp_dir();
        let mut number = 0_u64;
        loop {
            // Where something is already, nobody knows who made it.
            let path = parent.join(format!("meshmeter-archive-{}-{number}", std::process::id()));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(self.0.get_or_init(|| path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number = number.saturating_add(1),
                Err(error) => return Err(Error::of(path.display(), error)),
            }
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Some(path) = self.0.get() {
            let _ = fs::remove_dir_all(path);
        }
    }
}

impl Copy {
    fn is_made(&self) -> bool {
        self.directory.0.get().is_some()
    }

    fn make(&self) -> Result<PathBuf, Error> {
        self.directory.make().map(|directory| directory.join(&self.name))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Some(directory) = self.directory.0.get() {
            let _ = fs::remove_file(directory.join(&self.name));
        }
    }
}

/// A file that is read. Only one that was checked is given away.
pub struct Opened {
    name: String,
    written: Arc<Written>,
    source: Source,
    identity: Identity,
    is_checked: AtomicBool,
    groups: OnceLock<Vec<Group>>,
    copy: Copy,
}

impl Opened {
    /// That something in the file is not as an export writes it.
    pub fn unfit(&self, why: Unfit) -> Error {
        Error::of(&self.name, why)
    }

    /// Whether an entry can be in it, by what its manifest says: whoever asks for a part of the archive chooses files by that.
    pub fn has(&self, kept: &Kept) -> Result<(), Unfit> {
        let Written { first, last, month, tenant_hash, .. } = &*self.written;
        let is_there = (first..=last).contains(&&kept.position);
        let is_of_part = kept.month() == *month && files::tenant_hash(&kept.tenant) == *tenant_hash;
        match is_there && is_of_part {
            true => Ok(()),
            false => Err(format!("has entry {}, which its manifest does not say", kept.position)),
        }
    }

    /// Where it is read.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Its row groups.
    pub fn groups(&self) -> Result<&[Group], Error> {
        if let Some(groups) = self.groups.get() {
            return Ok(groups);
        }
        let groups = groups::read(&self.source, self.written.rows).map_err(|why| self.unfit(why))?;
        Ok(self.groups.get_or_init(|| groups))
    }

    /// Whether the file is still the one that was opened.
    fn is_unchanged(&self) -> bool {
        Identity::of(&self.source.file).is_ok_and(|now| now == self.identity)
    }

    /// Whether it is the one that was committed, by its SHA-256.
    fn has_digest(&self) -> io::Result<bool> {
        let mut reading = BufReader::with_capacity(1 << 17, self.source.clone());
        let mut sha = Sha256::new();
        loop {
            let part = reading.fill_buf()?;
            if part.is_empty() {
                return Ok(hex(&sha.finalize()) == self.written.sha256);
            }
            sha.update(part);
            let length = part.len();
            reading.consume(length);
        }
    }
}
