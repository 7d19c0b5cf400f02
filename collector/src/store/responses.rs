//! What is kept of the calls that providers responded to, so that another meter's record of one is known again.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::entry::EntryId;

const NS_PER_HOUR: i64 = 3_600_000_000_000;
const NS_PER_DAY: i64 = 24 * NS_PER_HOUR;

/// Where a call is kept, to be found by another meter's record. The day keeps what is looked for close together, and lets
/// old days be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseKey {
    /// The day on which the call began, counted from 1970-01-01.
    pub day: i64,
    /// The beginning of the SHA-256 of provider, response id and part.
    pub response: i64,
    /// The first call of a response id has no proof here (0); the others, if there are any, each have that of their own, so
    /// that calls of a server that repeats its ids do not meet.
    pub proof: i64,
}

/// What is known at a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The record that is charged for the call.
    pub holder: Holder,
    /// The last record that was charged under this response id, if it is another: only where the key has no proof.
    pub latest: Option<Holder>,
    /// How often a record was charged that may be a copy of another.
    pub possible: i64,
}

/// A record as far as it can prove that another is of the same call. Texts are hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its entry.
    pub entry: EntryId,
    /// Who counted it.
    pub emitter: i64,
    /// The proxies in which records of this call were made; none if it does not say.
    pub proxies: Vec<Proxy>,
    /// The mesh's request id, with the model that was asked for.
    pub request: Option<i64>,
    /// Trace and span, with the model that was asked for.
    pub trace: Option<i64>,
    /// When the call began.
    pub started_ns: i64,
    /// When it ended.
    pub ended_ns: i64,
    /// Whether the provider reported its counts.
    pub reported: bool,
    /// Its input and output, tokens.
    pub counts: [i64; 2],
    /// Who is to be charged; none if no source of identity told.
    pub tenant: Option<i64>,
    /// The model that responded, and every count.
    pub usage: i64,
}

/// A process in which a record was made, and whose replica it is, if it says so. A list of numbers is what was written before
/// records said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Proxy {
    /// The process alone.
    Process(i64),
    /// The process, and the service cluster of its Envoy.
    Replica(i64, i64),
}

impl Proxy {
    /// Whether both are one process.
    pub fn is(&self, other: &Proxy) -> bool {
        self.parts().0 == other.parts().0
    }

    /// Whether both are replicas of one workload.
    pub fn is_beside(&self, other: &Proxy) -> bool {
        let service = self.parts().1;
        service.is_some() && service == other.parts().1
    }

    fn parts(&self) -> (i64, Option<i64>) {
        match *self {
            Proxy::Process(process) => (process, None),
            Proxy::Replica(process, service) => (process, Some(service)),
        }
    }
}

/// A record that was charged although it may be of the same call as another: a person decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PossibleCopy {
    /// The record that was charged before.
    pub first: EntryId,
    /// The one that was charged besides.
    pub second: EntryId,
    /// How many there were: more than one only in the last slot, which shows the last of them.
    pub records: i64,
    /// When it was noted.
    pub noted_ns: i64,
}

/// Where possible copies are noted. Slots are few, however often a server repeats an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PossibleKey {
    /// As in [`ResponseKey`].
    pub day: i64,
    /// As in [`ResponseKey`].
    pub response: i64,
    /// From 0.
    pub slot: i64,
}

/// Possible copies of one response id and day that are noted one by one.
pub const SLOTS: i64 = 16;

impl Holder {
    /// As a text for the store: a JSON array.
    fn to_tuple(&self) -> HolderTuple {
        let Holder { entry, emitter, proxies, request, trace, started_ns, ended_ns, reported, counts, tenant, usage } =
            self;
        let id = (entry.writer, entry.number);
        let times = (*started_ns, *ended_ns);
        (id, *emitter, proxies.clone(), *request, *trace, times, *reported, *counts, *tenant, *usage)
    }

    fn from_tuple(tuple: HolderTuple) -> Holder {
        let ((writer, number), emitter, proxies, request, trace, times, reported, counts, tenant, usage) = tuple;
        let (entry, (started_ns, ended_ns)) = (EntryId { writer, number }, times);
        Holder { entry, emitter, proxies, request, trace, started_ns, ended_ns, reported, counts, tenant, usage }
    }
}

type HolderTuple =
    ((i64, i64), i64, Vec<Proxy>, Option<i64>, Option<i64>, (i64, i64), bool, [i64; 2], Option<i64>, i64);

impl Place {
    /// A place that nobody held.
    pub fn of(holder: Holder) -> Place {
        Place { holder, latest: None, possible: 0 }
    }

    /// The records that are charged here.
    pub fn entries(&self) -> impl Iterator<Item = EntryId> {
        std::iter::once(self.holder.entry).chain(self.latest.as_ref().map(|latest| latest.entry))
    }

    /// The last record that was charged here.
    pub fn latest(&self) -> &Holder {
        self.latest.as_ref().unwrap_or(&self.holder)
    }

    /// As the store keeps it: a JSON array. Nothing asks a database for a part of it.
    pub fn to_text(&self) -> String {
        let latest = self.latest.as_ref().map(Holder::to_tuple);
        serde_json::to_string(&(self.holder.to_tuple(), latest, self.possible)).unwrap_or_default()
    }

    /// Reads what the store keeps.
    pub fn from_text(text: &str) -> Option<Place> {
        let (holder, latest, possible): (HolderTuple, Option<HolderTuple>, i64) = serde_json::from_str(text).ok()?;
        Some(Place { holder: Holder::from_tuple(holder), latest: latest.map(Holder::from_tuple), possible })
    }
}

/// The entries of which another meter's record may be a copy: what it owes is compared with theirs, and some may be taken back.
pub fn to_compare<'a>(places: impl Iterator<Item = &'a Place>) -> BTreeSet<EntryId> {
    places.map(|place| place.holder.entry).collect()
}

/// The days on which the record of a call may be, its own first. Around midnight the other meter may have begun on the
/// other day.
pub fn days(started_ns: i64) -> Vec<i64> {
    let day = |ns: i64| ns.div_euclid(NS_PER_DAY);
    let own = day(started_ns);
    let near = [day(started_ns.saturating_sub(NS_PER_HOUR)), day(started_ns.saturating_add(NS_PER_HOUR))];
    std::iter::once(own).chain(near.into_iter().filter(|near| *near != own)).collect()
}
