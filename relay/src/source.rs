//! Where entries come from.

/// An entry as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who wrote it.
    pub writer: i64,
    /// The writer's number of it, from 1 without holes.
    pub entry: i64,
    /// Its hash in the chain, in hexadecimal digits.
    pub hash: String,
    /// What kind of entry it is.
    pub kind: &'static str,
    /// The entry as JSON.
    pub json: String,
}

impl Message {
    /// Where it stands, `1:42`.
    pub fn id(&self) -> String {
        format!("{}:{}", self.writer, self.entry)
    }
}

/// Where a writer's chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The writer.
    pub writer: i64,
    /// The number of its last entry.
    pub entry: i64,
}

/// How much is read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many entries at most.
    pub entries: usize,
    /// When there are so many bytes, no more.
    pub bytes: usize,
}

/// Why a source could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// What is wrong.
    pub problem: String,
    /// Whether it can go away by itself, as a database that is being restarted.
    pub may_pass: bool,
}

/// A ledger, to read. Its methods may block: they are called on a thread of their own.
pub trait Source: Send + Sync + 'static {
    /// Where each writer's chain ends, as of one moment.
    fn ends(&self) -> Result<Vec<End>, SourceError>;
    /// The entries of a writer behind one of its numbers, in their order, none behind `until`.
    fn behind(&self, writer: i64, entry: i64, until: i64, limit: Limit) -> Result<Vec<Message>, SourceError>;
    /// The hash of an entry, if there is such an entry.
    fn hash(&self, writer: i64, entry: i64) -> Result<Option<String>, SourceError>;
}
