//! What a run tells: what it finds, how far it is, what it did.

use serde::Serialize;

use super::access::Unmetered;

/// What was done. `events` is the sum of `duplicates`, `accepted`, `dead_letters`, `alarms` and `refused`, if the run is
/// complete and was no dry one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Whether everything was read, sent and closed.
    pub complete: bool,
    /// Files that were opened.
    pub files: u64,
    /// Lines in them.
    pub lines: u64,
    /// Events in the lines, the same event as often as it stands there.
    pub events: u64,
    /// Events that the ledger did not have when it was asked.
    pub missing: u64,
    /// Events that were sent and acknowledged.
    pub sent: u64,
    /// Events that are new in the ledger.
    pub accepted: u64,
    /// Events that the ledger had already, or that stood in the files more than once.
    pub duplicates: u64,
    /// Events that the collector keeps aside as unreadable.
    pub dead_letters: u64,
    /// Events that contradict the ledger: kept aside, never charged.
    pub alarms: u64,
    /// Events that the collector does not even keep aside.
    pub refused: u64,
    /// Lines of which a part is missing.
    pub torn: u64,
    /// Lines that are neither of a journal nor of an access log in JSON.
    pub foreign: u64,
    /// Lines over the bound.
    pub too_long: u64,
    /// Calls to models without a record, which the provider may have charged.
    pub unmetered: u64,
    /// Calls to models without a record, to which Envoy itself responded.
    pub not_reached: u64,
    /// Calls to models in lines that have no field for a record.
    pub unknown: u64,
    /// Emitters in the files.
    pub emitters: u64,
    /// Emitters whose end was closed.
    pub emitters_closed: u64,
}

impl Summary {
    /// Whether there is something that a person should look at.
    pub fn needs_attention(&self) -> bool {
        [self.dead_letters, self.alarms, self.refused, self.unmetered].iter().any(|count| *count > 0)
    }
}

/// Something found on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// A call to a model that has no record.
    Unmetered(Unmetered),
    /// A line of which a part is missing.
    Torn {
        /// File and line.
        at: String,
        /// Of which event, if that can be read.
        id: Option<String>,
    },
    /// A line that is none of ours.
    Foreign {
        /// File and line.
        at: String,
    },
    /// A line over the bound.
    TooLong {
        /// File and line.
        at: String,
    },
    /// A file that could not be read to its end.
    Broken {
        /// Which.
        file: String,
        /// Why.
        problem: String,
    },
    /// An event that the collector does not take.
    Refused {
        /// Which.
        id: String,
        /// Why.
        problem: String,
    },
}

/// Who is told what happens.
pub trait Watch {
    /// Comes with each finding, counted already.
    fn found(&mut self, finding: &Finding, summary: &Summary);
    /// The collector is not there; comes once per outage.
    fn waits(&mut self, problem: &str);
    /// Comes often.
    fn progress(&mut self, at: Progress, summary: &Summary);
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Bytes read from the disk.
    pub read: u64,
    /// Of how many, if known.
    pub total: Option<u64>,
}
