//! A row: an entry of the ledger, and what it adds to the ledger's sums.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wire::usage::Class;

/// Where an entry stands: its chain, and its number there. Number 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The chain: who wrote it.
    pub writer: i64,
    /// The number of the entry in it, from 1 without holes.
    pub entry: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.writer, self.entry)
    }
}

/// How far a chain is read, and the hash of its entry there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The entry.
    #[serde(flatten)]
    pub position: Position,
    /// Its hash; zeros before the first entry.
    #[serde(serialize_with = "as_hex", deserialize_with = "from_hex")]
    pub hash: [u8; 32],
}

impl End {
    /// Before the first entry of a chain.
    pub fn before_all(writer: i64) -> End {
        End { position: Position { writer, entry: 0 }, hash: [0; 32] }
    }
}

/// A hash as the ledger prints it.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn as_hex<S: serde::Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(hash))
}

fn from_hex<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    struct Hash([u8; 32]);
    impl FromStr for Hash {
        type Err = &'static str;
        fn from_str(text: &str) -> Result<Hash, &'static str> {
            const FORM: &str = "must be 64 hex digits";
            let mut hash = [0; 32];
            if text.len() != 64 || !text.is_ascii() {
                return Err(FORM);
            }
            for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                let digits = std::str::from_utf8(digits).map_err(|_| FORM)?;
                *byte = u8::from_str_radix(digits, 16).map_err(|_| FORM)?;
            }
            Ok(Hash(hash))
        }
    }
    let text = String::deserialize(deserializer)?;
    text.parse::<Hash>().map(|hash| hash.0).map_err(serde::de::Error::custom)
}

/// What an entry counts of a usage class, and what that costs; of a reversal the opposite of what it takes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The class.
    pub class: Class,
    /// How many.
    pub quantity: i64,
    /// What the tenant pays for them, yocto-USD.
    pub charge: i128,
    /// What the provider charges for them, yocto-USD.
    pub cost: i128,
    /// How many of them have no price.
    pub unpriced: i64,
    /// How many of them are charged by a price that stands in for their own.
    pub fallback: i64,
}

/// An entry of the ledger. All that its hash is over is in it; the counts are what it adds to the ledger's sums.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Where it stands.
    pub position: Position,
    /// Its hash.
    pub hash: [u8; 32],
    /// What it says, the ledger's word.
    pub kind: &'static str,
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
    pub evidence: &'static str,
    /// What the tenant pays, yocto-USD.
    pub charge: i128,
    /// What the provider charges, yocto-USD.
    pub cost: i128,
    /// How that was found, as JSON, as it is kept.
    pub rating: Option<String>,
    /// Why a person made it.
    pub reason: Option<String>,
    /// The event, as it was sent; of an entry about no call, what else it says.
    pub event: Option<String>,
    /// What the personal fields are salted with in its hash, as it is kept.
    pub salt: Option<Vec<u8>>,
    /// What the event of its call says (`data`), also for those entries that do not repeat the event.
    pub call: Option<Map<String, Value>>,
    /// Calls that it adds.
    pub calls: i64,
    /// What it adds by class.
    pub lines: Vec<Line>,
}

impl Row {
    /// The month in which it counts: `2026-11`.
    pub fn month(&self) -> String {
        format!("{:04}-{:02}", self.day.year(), self.day.month())
    }
}
