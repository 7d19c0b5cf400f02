//! An entry of the ledger, and the hash that ties it to the one before.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use wire::record::Evidence;

use super::names::{Names, fields};
use crate::money::Charge;

/// The hash of an entry.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Hash {
    /// Reads 64 hex digits.
    pub fn from_hex(text: &str) -> Option<Hash> {
        let mut hash = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Hash(hash))
    }
}

/// Where an entry stands: its writer's number of it. A writer is a collector's place at the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// Who wrote it.
    pub writer: i64,
    /// The writer's number of it, from 1 without holes.
    pub number: i64,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.writer, self.number)
    }
}

/// Reads `1:42`.
impl FromStr for EntryId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<EntryId, &'static str> {
        let number = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let read = || {
            let (writer, entry) = text.split_once(':')?;
            Some(EntryId { writer: number(writer)?, number: number(entry)? })
        };
        read().ok_or("must be an entry, its writer and its number, such as 1:42")
    }
}

wire::words! {
    /// What an entry says.
    Kind {
        /// A record was taken, and is charged.
        Call "call",
        /// A record was taken whose response another meter had reported already: `refers` is charged, this is not.
        Copy "copy",
        /// `refers` is taken back.
        Reversal "reversal",
        /// What stands instead of `refers`, which a reversal has taken back.
        Correction "correction",
        /// A record that was quarantined was released by a person, and is charged.
        Release "release",
        /// A month was closed: what comes later about its calls counts in one that is open. `started_ns` is its begin.
        MonthClosed "month_closed",
        /// A person says of an emitter that what is missing of it up to `sequence` will not come, and that it has ended.
        EmitterClosed "emitter_closed",
        /// An event that was quarantined and cannot be read was dismissed by a person.
        Dismissal "dismissal",
        /// A person set a budget, or changed it: `event` says all of it.
        BudgetSet "budget_set",
        /// A person removed a budget.
        BudgetRemoved "budget_removed",
        /// A person's name was replaced in entries: `event` says by what, and has a digest of what was replaced.
        Forgotten "forgotten",
        /// Months were sealed: `event` says up to which entries, and where these are.
        Sealed "sealed",
        /// Months were brought back: `event` says up to which entries they are sealed still.
        Unsealed "unsealed",
    }
}

impl Kind {
    /// Whether it is the record of a call, with its event, and takes its number.
    pub const fn is_record(self) -> bool {
        matches!(self, Kind::Call | Kind::Copy | Kind::Release)
    }

    /// Whether it is charged, as long as no reversal takes it back.
    pub const fn is_charged(self) -> bool {
        matches!(self, Kind::Call | Kind::Correction | Kind::Release)
    }
}

/// An entry of the ledger. Never changed, never taken out; only names in it may be replaced, which an entry says then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub id: EntryId,
    /// What it says.
    pub kind: Kind,
    /// Who counted the call.
    pub emitter: String,
    /// The emitter's number of it.
    pub sequence: i64,
    /// The entry that this one is about.
    pub refers: Option<EntryId>,
    /// When the call began.
    pub started_ns: i64,
    /// When this was written.
    pub received_ns: i64,
    /// Who is charged.
    pub tenant: String,
    /// The provider.
    pub provider: String,
    /// The model that is charged for.
    pub model: String,
    /// How good the counts are.
    pub evidence: Evidence,
    /// What the tenant pays; a reversal's is negative.
    pub charge: Charge,
    /// What the provider charges.
    pub cost: Charge,
    /// How that was found, as JSON.
    pub rating: Option<String>,
    /// Why a person made it.
    pub reason: Option<String>,
    /// The event as it was sent; of an entry about no call, what else there is to say, as JSON.
    pub event: Option<String>,
    /// The day on which it counts, if that is not the day on which the call began: its month was closed before.
    pub billed: Option<String>,
    /// Over the hash before it and all of the above.
    pub hash: Hash,
    /// How its personal fields are in that: the tenant, and those of the event.
    pub names: Names,
}

impl Entry {
    /// An entry that is about no call.
    pub fn about_no_call(kind: Kind, emitter: &str, sequence: i64, now_ns: i64, reason: &str) -> Entry {
        Entry {
            id: EntryId::default(),
            kind,
            emitter: emitter.to_owned(),
            sequence,
            refers: None,
            started_ns: now_ns,
            received_ns: now_ns,
            tenant: String::new(),
            provider: String::new(),
            model: String::new(),
            evidence: Evidence::Missing,
            charge: Charge::default(),
            cost: Charge::default(),
            rating: None,
            reason: Some(reason.to_owned()),
            event: None,
            billed: None,
            hash: Hash::default(),
            names: Names::default(),
        }
    }

    /// What the provider charges, if that is another amount than the tenant pays.
    pub fn own_cost(&self) -> Option<Charge> {
        (self.cost != self.charge).then_some(self.cost)
    }

    /// Whether it is what was written behind `before`. Of an entry that had no salts yet, a name that is replaced takes away what
    /// its hash is over: what it says is only as the entry about that name has it, see [`Entry::content`].
    pub fn follows(&self, before: &Hash) -> bool {
        match self.names {
            Names::Replaced { was_plain: true, .. } => self.content(before).is_some(),
            _ => self.content(before) == Some(self.hash),
        }
    }

    /// The hash that the entry must have behind `before`.
    ///
    /// SHA-256 over the hash before it, then every field in the order of the struct as a text, numbers in decimal: its length
    /// in 8 bytes, little endian, then its bytes; what is absent as eight bytes 0xff. Cost and billing day come last, `cost `
    /// and `billed ` before them, and only where they say something: the cost if it is not the charge. So entries that were
    /// written before there were any have the hashes that they had.
    ///
    /// Where there are salts, the text `personal fields by digest` comes before all others, and in place of each personal field
    /// `#` and its digest, 32 bytes.
    pub fn hash_after(&self, before: &Hash) -> Hash {
        self.content(before).unwrap_or_default()
    }

    /// The same; nothing if the personal fields are not those that were sealed.
    pub fn content(&self, before: &Hash) -> Option<Hash> {
        let personal = if self.names == Names::Plain { None } else { Some(self.digests()?) };
        let mut sha = Sha256::new();
        sha.update(before.0);
        let mut put = |bytes: Option<&[u8]>| match bytes {
            Some(bytes) => {
                sha.update((bytes.len() as u64).to_le_bytes());
                sha.update(bytes);
            }
            None => sha.update([0xff; 8]),
        };
        let mut text = |text: Option<&str>| put(text.map(str::as_bytes));
        let number = |number: i64| number.to_string();
        let refers = self.refers.map(|id| id.to_string());
        if personal.is_some() {
            text(Some("personal fields by digest"));
        }
        text(Some(&self.id.to_string()));
        text(Some(self.kind.as_str()));
        text(Some(&self.emitter));
        text(Some(&number(self.sequence)));
        text(refers.as_deref());
        text(Some(&number(self.started_ns)));
        text(Some(&number(self.received_ns)));
        match personal.as_deref().and_then(<[_]>::first) {
            Some((_, digest)) => put(Some(&[b"#".as_slice(), digest].concat())),
            None => put(Some(self.tenant.as_bytes())),
        }
        let mut text = |text: Option<&str>| put(text.map(str::as_bytes));
        text(Some(&self.provider));
        text(Some(&self.model));
        text(Some(self.evidence.as_str()));
        text(Some(&self.charge.to_string()));
        text(self.rating.as_deref());
        text(self.reason.as_deref());
        match (self.event.as_deref(), personal.as_deref()) {
            (Some(event), Some([_, personal @ ..])) => put(Some(&by_digest(event, personal)?)),
            (event, _) => put(event.map(str::as_bytes)),
        }
        let mut text = |text: &str| put(Some(text.as_bytes()));
        if let Some(cost) = self.own_cost() {
            text(&format!("cost {cost}"));
        }
        if let Some(day) = &self.billed {
            text(&format!("billed {day}"));
        }
        Some(Hash(sha.finalize().into()))
    }

    /// Of each personal field where it stands in the event (the tenant, which is the first, nowhere) and its digest.
    fn digests(&self) -> Option<Vec<Digested>> {
        let event = self.event.as_deref().unwrap_or_default();
        let fields = fields(event);
        let sealed = self.names.sealed(fields.len().saturating_add(1), &Names::Plain)?;
        let (tenant, others) = sealed.split_first()?;
        let mut all = Vec::with_capacity(sealed.len());
        all.push((0..0, tenant.digest(&self.tenant)));
        for (field, sealed) in fields.into_iter().zip(others) {
            let digest = sealed.digest(event.get(field.at.clone())?);
            all.push((field.at, digest));
        }
        Some(all)
    }
}

/// Where a personal field stands in an event, and its digest.
type Digested = (Range<usize>, [u8; 32]);

/// An event with digests in place of its personal fields.
fn by_digest(event: &str, personal: &[Digested]) -> Option<Vec<u8>> {
    let mut shown = Vec::with_capacity(event.len().saturating_add(personal.len().saturating_mul(33)));
    let mut end = 0;
    for (at, digest) in personal {
        shown.extend_from_slice(event.get(end..at.start)?.as_bytes());
        shown.push(b'#');
        shown.extend_from_slice(digest);
        end = at.end;
    }
    shown.extend_from_slice(event.get(end..)?.as_bytes());
    Some(shown)
}
