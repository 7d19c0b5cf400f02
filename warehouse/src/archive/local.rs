//! Files of an archive on this machine: where they lie, or copies of those of a bucket.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use parquet::basic::Type;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;
use sha2::{Digest, Sha256};

use super::kept::{COLUMNS, EMITTER, ENTRY, Leaves, SALT, SEQUENCE, WRITER};
use super::pages::{self, Chunk, Leaf, Physical, Unfit};
use crate::error::Error;
use crate::files::Written;
use crate::place;
use crate::row::hex;

/// How many files stay open that nobody reads: the next question is often about the same ones, those of a month.
const RECENT: usize = 64;
/// The same of copies, which take room in TMPDIR.
const RECENT_COPIES: usize = 16;
/// The longest end of a file, in which it says what is where, bytes.
const LONGEST_FOOTER: u64 = 64 << 20;

/// The files.
pub struct Local {
    place: Arc<dyn place::Place>,
    state: Mutex<State>,
    checked: Arc<Mutex<BTreeMap<String, Identity>>>,
}

#[derive(Default)]
struct State {
    recent: VecDeque<Arc<Opened>>,
    copies: Option<Copies>,
}

impl Local {
    /// None yet.
    pub fn new(place: Arc<dyn place::Place>) -> Local {
        Local { place, state: Mutex::default(), checked: Arc::default() }
    }

    /// How the place is called in messages.
    pub fn name(&self) -> String {
        self.place.name()
    }

    /// Opens a file, which is not checked yet unless it was before.
    pub fn open(&self, written: &Arc<Written>) -> Result<Arc<Opened>, Error> {
        let mut state = lock(&self.state);
        if let Some(at) = state.recent.iter().position(|opened| opened.written.path == written.path)
            && let Some(opened) = state.recent.remove(at)
            && opened.is_unchanged()
        {
            state.recent.push_back(opened.clone());
            return Ok(opened);
        }
        let name = format!("{}/{}", self.place.name().trim_end_matches('/'), written.path);
        let copy = state.copies.get_or_insert_default().next();
        let path = self.place.fetch(&written.path, &|| copy.make())?;
        let path = path.ok_or_else(|| Error::of(&name, "is missing, which its manifest names"))?;
        let failed = |error: io::Error| Error::of(&name, error);
        let file = File::open(&path).map_err(failed)?;
        let identity = Identity::of(&file).map_err(failed)?;
        if identity.length != written.bytes {
            let why = format!("was altered: it has {} bytes, and {} by its manifest", identity.length, written.bytes);
            return Err(Error::of(&name, why));
        }
        let opened = Arc::new(Opened {
            name,
            written: written.clone(),
            file: Arc::new(pages::Place { file, length: identity.length }),
            identity,
            is_checked: AtomicBool::new(false),
            checked: self.checked.clone(),
            plan: OnceLock::new(),
            copy,
        });
        let most = if opened.copy.is_made() { RECENT_COPIES } else { RECENT };
        state.recent.push_back(opened.clone());
        while state.recent.len() > most {
            state.recent.pop_front();
        }
        Ok(opened)
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

/// A file that is read.
pub struct Opened {
    name: String,
    written: Arc<Written>,
    file: Arc<pages::Place>,
    identity: Identity,
    is_checked: AtomicBool,
    /// Which files were, by their paths.
    checked: Arc<Mutex<BTreeMap<String, Identity>>>,
    plan: OnceLock<Plan>,
    copy: Copy,
}

/// Where everything is in a file.
pub struct Plan {
    /// Its row groups.
    pub groups: Vec<Group>,
    columns: Vec<ColumnDescPtr>,
}

/// Where a row group is, and what can be in it.
pub struct Group {
    /// How many rows it has.
    pub rows: u64,
    /// From the lowest to the highest chain.
    pub writers: Option<RangeInclusive<i64>>,
    /// From the lowest to the highest number of an entry.
    pub entries: Option<RangeInclusive<i64>>,
    /// From the lowest to the highest number of an emitter's.
    pub sequences: Option<RangeInclusive<i64>>,
    /// No emitter comes before the one or behind the other.
    pub emitters: Option<(Vec<u8>, Vec<u8>)>,
    chunks: Vec<Chunk>,
}

impl Opened {
    /// That something in the file is not as an export writes it.
    pub fn unfit(&self, why: Unfit) -> Error {
        Error::of(&self.name, why)
    }

    /// Whether the file is still the one that was opened.
    fn is_unchanged(&self) -> bool {
        Identity::of(&self.file.file).is_ok_and(|now| now == self.identity)
    }

    /// Whether the file is the one that was committed, by its SHA-256; found out once.
    pub fn check(&self) -> Result<(), Error> {
        if self.is_checked.load(Ordering::Acquire) {
            return Ok(());
        }
        if lock(&self.checked).get(&self.written.path) != Some(&self.identity) {
            let mut reading = pages::Reading { place: self.file.clone(), at: 0 };
            let mut sha = Sha256::new();
            let mut part = vec![0; 1 << 17];
            loop {
                match reading.read(&mut part) {
                    Ok(0) => break,
                    Ok(length) => sha.update(part.get(..length).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(Error::of(&self.name, error)),
                }
            }
            if hex(&sha.finalize()) != self.written.sha256 {
                return Err(Error::of(&self.name, "was altered: its SHA-256 is not that of its manifest"));
            }
            lock(&self.checked).insert(self.written.path.clone(), self.identity);
        }
        self.is_checked.store(true, Ordering::Release);
        Ok(())
    }

    /// Where everything is in it.
    pub fn plan(&self) -> Result<&Plan, Error> {
        if let Some(plan) = self.plan.get() {
            return Ok(plan);
        }
        let plan = Plan::read(&self.file, self.written.rows).map_err(|why| self.unfit(why))?;
        Ok(self.plan.get_or_init(|| plan))
    }

    /// The columns of one of its row groups.
    pub fn leaves(&self, group: &Group) -> Result<Leaves, Error> {
        let columns = self.plan()?.columns.iter().zip(&group.chunks).zip(COLUMNS);
        let leaf = |((column, chunk), (_, physical)): ((&ColumnDescPtr, &Chunk), (&str, Physical))| {
            Leaf::new(&self.file, column, *chunk, physical)
        };
        Ok(Leaves(columns.map(leaf).collect()))
    }
}

impl Plan {
    fn read(file: &Arc<pages::Place>, rows: u64) -> Result<Plan, Unfit> {
        let metadata = metadata(file)?;
        let found = metadata.file_metadata().schema_descr().columns();
        let mut places = Vec::with_capacity(COLUMNS.len());
        for (at, (name, physical)) in COLUMNS.iter().enumerate() {
            let place = found.iter().position(|column| matches!(column.path().parts(), [only] if only == name));
            let Some((place, column)) = place.and_then(|place| Some((place, found.get(place)?))) else {
                return Err(match at {
                    SALT => {
                        "has no column salt, as it was written by an earlier version, so its entries are not complete: \
                             export all of them to another place"
                            .to_owned()
                    }
                    _ => format!("has no column {name}"),
                });
            };
            let is_of_type = match physical {
                Physical::Int32 => column.physical_type() == Type::INT32,
                Physical::Int64 => column.physical_type() == Type::INT64,
                Physical::Usd => column.physical_type() == Type::FIXED_LEN_BYTE_ARRAY && column.type_length() == 16,
                Physical::Text => column.physical_type() == Type::BYTE_ARRAY,
            };
            if !is_of_type || column.max_rep_level() != 0 || column.max_def_level() > 1 {
                return Err(format!("column {name}: is of another type"));
            }
            places.push((place, column.clone()));
        }
        let group = |group: &RowGroupMetaData| Group::read(group, &places, file.length);
        let groups: Vec<Group> = metadata.row_groups().iter().map(group).collect::<Result<_, Unfit>>()?;
        let all = groups.iter().try_fold(0_u64, |all, group| all.checked_add(group.rows));
        if all != Some(rows) {
            return Err(format!("has not the {rows} rows that it has by its manifest"));
        }
        Ok(Plan { groups, columns: places.into_iter().map(|(_, column)| column).collect() })
    }
}

/// What the end of a file says.
fn metadata(file: &Arc<pages::Place>) -> Result<ParquetMetaData, Unfit> {
    let mut end = [0; 8];
    let at = file.length.checked_sub(8).ok_or("is too short")?;
    let mut reading = pages::Reading { place: file.clone(), at };
    reading.read_exact(&mut end).map_err(|error| error.to_string())?;
    let [a, b, c, d, magic @ ..] = end;
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if magic != *b"PAR1" {
        return Err("does not end as a Parquet file does".to_owned());
    }
    if length > LONGEST_FOOTER.min(at) {
        return Err("ends with more than there can be".to_owned());
    }
    reading.at = at.saturating_sub(length);
    let mut footer = vec![0; usize::try_from(length).map_err(|error| error.to_string())?];
    reading.read_exact(&mut footer).map_err(|error| error.to_string())?;
    pages::check_footer(&footer)?;
    ParquetMetaDataReader::decode_metadata(&footer).map_err(|error| error.to_string())
}

impl Group {
    fn read(group: &RowGroupMetaData, places: &[(usize, ColumnDescPtr)], length: u64) -> Result<Group, Unfit> {
        let rows = u64::try_from(group.num_rows()).map_err(|_| "has a row group of less than no rows")?;
        let mut chunks = Vec::with_capacity(places.len());
        let mut statistics = Vec::with_capacity(places.len());
        for (place, _) in places {
            let column = group.columns().get(*place).ok_or("has a row group without a column")?;
            chunks.push(chunk(column, length)?);
            if u64::try_from(column.num_values()) != Ok(rows) {
                return Err("has a column with another number of rows".to_owned());
            }
            statistics.push(column.statistics());
        }
        let numbers = |column: usize| match statistics.get(column).copied().flatten() {
            Some(Statistics::Int64(found)) => Some(*found.min_opt()?..=*found.max_opt()?),
            _ => None,
        };
        let current = statistics.get(EMITTER).copied().flatten().filter(|found| !found.is_min_max_deprecated());
        let emitters = match current {
            Some(Statistics::ByteArray(found)) => {
                found.min_opt().zip(found.max_opt()).map(|(min, max)| (min.data().to_vec(), max.data().to_vec()))
            }
            _ => None,
        };
        let (writers, entries, sequences) = (numbers(WRITER), numbers(ENTRY), numbers(SEQUENCE));
        Ok(Group { rows, writers, entries, sequences, emitters, chunks })
    }
}

fn chunk(column: &ColumnChunkMetaData, length: u64) -> Result<Chunk, Unfit> {
    let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
    let place = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
    let place = place.filter(|(start, bytes)| start.checked_add(*bytes).is_some_and(|end| end <= length));
    let (start, length) = place.ok_or("has a column that lies outside of it")?;
    Ok(Chunk { start, length, compression: column.compression() })
}
