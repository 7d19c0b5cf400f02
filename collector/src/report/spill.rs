//! What is added up by key: in memory as long as it is little, then in a temporary file.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::ReportError;
use super::lines::LineKey;

/// Keys in memory, and names of their own in their values. In tests nearly every report has more.
const IN_MEMORY: usize = if cfg!(test) { 3 } else { 1 << 16 };
/// Lines of one report at most, in whatever file.
const MOST: usize = 20_000_000;
/// Pages of the temporary file in memory, KiB.
const CACHE_KIB: i64 = 8 << 10;
/// What is wrong if what is read is not what was written.
pub const LOST: &str = "the report's temporary file is not what was written";

/// What a file keeps for each key.
pub trait Stored: Clone + Default {
    /// Adds another part.
    fn merge(&mut self, other: &Self) -> Result<(), ReportError>;
    /// As a text that [`Stored::from_text`] reads.
    fn to_text(&self) -> String;
    /// Reads what was stored.
    fn from_text(text: &str) -> Option<Self>;
}

/// Values by key.
#[derive(Debug, Default)]
pub struct Spill<V> {
    memory: HashMap<LineKey, V>,
    file: Option<File>,
    /// How much the values in memory have grown.
    grown: usize,
}

impl<V: Stored> Spill<V> {
    /// The value of a key, to add to.
    pub fn of(&mut self, key: &LineKey) -> Result<&mut V, ReportError> {
        if !self.memory.contains_key(key) {
            if self.memory.len().saturating_add(self.grown) >= IN_MEMORY {
                let file = match &mut self.file {
                    Some(file) => file,
                    none => none.insert(File::new()?),
                };
                file.put(&mut self.memory)?;
                self.grown = 0;
            }
            self.memory.insert(key.clone(), V::default());
        }
        // Looked up once more rather than allocating a key for each total.
        self.memory.get_mut(key).ok_or_else(|| ReportError::Stopped(LOST.to_owned()))
    }

    /// How many keys there are; one that is in memory and in the file counts for each.
    pub fn len(&self) -> usize {
        self.memory.len().saturating_add(self.file.as_ref().map_or(0, |file| file.lines))
    }

    /// A value has grown by as much as a key takes.
    pub fn grown(&mut self) {
        self.grown = self.grown.saturating_add(1);
    }

    /// All values in the order of their keys, added up.
    pub fn each(&self, done: &mut dyn FnMut(&LineKey, V) -> Result<(), ReportError>) -> Result<(), ReportError> {
        let mut memory: Vec<(&LineKey, &V)> = self.memory.iter().collect();
        memory.sort_unstable_by_key(|(key, _)| *key);
        let Some(file) = &self.file else {
            return memory.into_iter().try_for_each(|(key, value)| done(key, value.clone()));
        };
        let mut memory = memory.into_iter().peekable();
        file.each(&mut |key, mut value: V| {
            while let Some((first, more)) = memory.next_if(|(first, _)| **first < key) {
                done(first, more.clone())?;
            }
            if let Some((_, more)) = memory.next_if(|(first, _)| **first == key) {
                value.merge(more)?;
            }
            done(&key, value)
        })?;
        memory.try_for_each(|(key, value)| done(key, value.clone()))
    }
}

/// Values in a temporary file, which SQLite keeps: it is gone when this is dropped, and when the process ends.
#[derive(Debug)]
struct File {
    connection: Connection,
    lines: usize,
    runs: i64,
}

impl From<rusqlite::Error> for ReportError {
    fn from(error: rusqlite::Error) -> ReportError {
        ReportError::Stopped(format!("the report's temporary file: {error}; SQLITE_TMPDIR says where there is room"))
    }
}

impl File {
    fn new() -> Result<File, ReportError> {
        // Without a name it is a file that only this connection has.
        let connection = Connection::open("")?;
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.pragma_update(None, "cache_size", CACHE_KIB.checked_neg().unwrap_or_default())?;
        connection.execute_batch(
            "CREATE TABLE lines (key BLOB NOT NULL, run INTEGER NOT NULL, value TEXT NOT NULL,
             PRIMARY KEY (key, run)) WITHOUT ROWID",
        )?;
        Ok(File { connection, lines: 0, runs: 0 })
    }

    /// Takes values: one that is there already has another part.
    fn put<V: Stored>(&mut self, values: &mut HashMap<LineKey, V>) -> Result<(), ReportError> {
        self.lines = self.lines.saturating_add(values.len());
        if self.lines > MOST {
            let problem = format!("more than {MOST} lines: fewer columns, or a shorter period");
            return Err(ReportError::TooMuch(problem));
        }
        self.runs = self.runs.saturating_add(1);
        let mut sorted: Vec<(LineKey, V)> = values.drain().collect();
        sorted.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let tx = self.connection.transaction()?;
        let mut insert = tx.prepare_cached("INSERT INTO lines VALUES (?1, ?2, ?3)")?;
        for (key, value) in sorted {
            insert.execute(params![key.0, self.runs, value.to_text()])?;
        }
        drop(insert);
        tx.commit()?;
        Ok(())
    }

    fn each<V: Stored>(&self, each: &mut dyn FnMut(LineKey, V) -> Result<(), ReportError>) -> Result<(), ReportError> {
        let lost = || ReportError::Stopped(LOST.to_owned());
        let mut select = self.connection.prepare("SELECT key, value FROM lines ORDER BY key")?;
        let mut rows = select.query([])?;
        let mut last: Option<(LineKey, V)> = None;
        while let Some(row) = rows.next()? {
            let key = LineKey(row.get(0)?);
            let value = V::from_text(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?).ok_or_else(lost)?;
            match &mut last {
                Some((same, all)) if *same == key => all.merge(&value)?,
                _ => {
                    if let Some((key, value)) = last.replace((key, value)) {
                        each(key, value)?;
                    }
                }
            }
        }
        last.map_or(Ok(()), |(key, value)| each(key, value))
    }
}
