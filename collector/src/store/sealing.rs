//! Sealed months: a part of each chain, from its beginning on, whose entries are in an archive, and only those in the database too
//! that it needs itself.

use serde::{Deserialize, Serialize};

use super::Head;
use super::entry::{Entry, EntryId, Hash, Kind};
use super::months::Month;

/// How far a chain is sealed, and where its entries are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The last entry that is sealed, with its hash; all before it are, too.
    pub end: Head,
    /// All of it counts before this month.
    pub before: Month,
    /// The entry that says so.
    pub said: EntryId,
    /// The archive, as it was named.
    pub place: String,
    /// The address of its object store, if that is not Amazon's.
    pub endpoint: Option<String>,
    /// When it was sealed.
    pub at_ns: i64,
    /// Behind this number entries are on their way back.
    pub behind: Option<i64>,
    /// Which files of the archive have them.
    pub pin: Pin,
}

/// Which files of an archive are meant: those of its first commits, by the digest of their manifests, which name each file's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// How many commits.
    pub commits: i64,
    /// SHA-256 over their manifests, see [`warehouse::Archive::digest`].
    pub manifests: Hash,
}

impl Sealed {
    /// Whether something of it may count in a month or a later one; without a month in any.
    pub fn counts_from(&self, month: Option<Month>) -> bool {
        month.is_none_or(|month| month < self.before)
    }

    /// Whether an entry is sealed.
    pub fn covers(&self, id: EntryId) -> bool {
        id.writer == self.end.entry.writer && id.number <= self.end.entry.number
    }
}

/// Entries of a chain, behind a number up to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Whose chain.
    pub writer: i64,
    /// Behind this one.
    pub behind: i64,
    /// Up to this one.
    pub until: i64,
}

/// What a transaction does about sealed months.
#[derive(Clone, Debug, Default)]
pub struct SealChanges {
    /// How far each chain is sealed from now on; of a chain that is not named nothing is.
    pub sealed: Option<Vec<Sealed>>,
    /// Entries that are in the archive: those go that the database does not need.
    pub moved: Option<Piece>,
    /// Records that come back, unless they are there.
    pub returned: Vec<Entry>,
}

/// What must not change between what was checked and what is sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// How far chains are sealed.
    pub sealed: Vec<Sealed>,
    /// Names that are being replaced.
    pub forgetting: usize,
    /// Names that were replaced.
    pub forgotten: usize,
}

/// What an entry says of sealed months, as JSON: how far each chain is sealed then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Who did it.
    pub who: String,
    /// The archive.
    pub place: String,
    /// The address of its object store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// All that is sealed counts before this month; absent where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The commits of the archive that have it, and the SHA-256 over their manifests.
    pub archive: (i64, String),
    /// Writer, last entry and its hash, of each chain of which anything is sealed.
    pub chains: Vec<(i64, i64, String)>,
}

impl Said {
    /// What an entry says.
    pub fn read(entry: &Entry) -> Option<Said> {
        let is_one = matches!(entry.kind, Kind::Sealed | Kind::Unsealed);
        serde_json::from_str(entry.event.as_deref()?).ok().filter(|_| is_one)
    }

    /// As it stands in the entry.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Of these ends.
    pub fn chains(ends: impl IntoIterator<Item = Head>) -> Vec<(i64, i64, String)> {
        let mut chains: Vec<_> =
            ends.into_iter().map(|end| (end.entry.writer, end.entry.number, end.hash.to_string())).collect();
        chains.sort_unstable();
        chains
    }

    /// The files that it names.
    pub fn pin(&self) -> Option<Pin> {
        let (commits, manifests) = &self.archive;
        Some(Pin { commits: *commits, manifests: Hash::from_hex(manifests)? })
    }

    /// The month that it names.
    pub fn before(&self) -> Option<Month> {
        self.before.as_deref()?.parse().ok()
    }

    /// The ends that it names.
    pub fn ends(&self) -> Option<Vec<Head>> {
        let end = |(writer, number, hash): &(i64, i64, String)| {
            Some(Head { entry: EntryId { writer: *writer, number: *number }, hash: Hash::from_hex(hash)? })
        };
        self.chains.iter().map(end).collect()
    }
}

impl Pin {
    /// As it stands in an entry.
    pub fn said(&self) -> (i64, String) {
        (self.commits, self.manifests.to_string())
    }
}

/// The month in which an entry counts; nothing for one that does not count, and is about no call.
pub fn counts_in(entry: &Entry) -> Option<Month> {
    let is_about_a_call = entry.kind.is_record() || matches!(entry.kind, Kind::Reversal | Kind::Correction);
    match &entry.billed {
        _ if !is_about_a_call => None,
        Some(day) => Month::of_day(day),
        None => Month::of(entry.started_ns),
    }
}

/// What to say of an entry that the database does not have itself.
pub fn refusal(entry: &Entry) -> String {
    format!("entry {} is sealed: `{}` brings it back", entry.id, unsealing(entry))
}

/// The command that brings an entry back.
pub fn unsealing(entry: &Entry) -> String {
    let from = counts_in(entry).map(|month| format!(" --from {month}")).unwrap_or_default();
    format!("meshmeter unseal{from}")
}
