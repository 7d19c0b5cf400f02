//! The ledger once more, as naive as can be: number by number, in the order of the commits. It reads the requests by its
//! own means and shares no code with the collector.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Deserialize;
use serde_json::value::RawValue;
use wire::emitter::EmitterKey;

use crate::calls::{Counts, Kind};
use crate::nature::Request;
use crate::truth::{Told, Truth};
use crate::twins::{Twin, Twins};

/// No schedule lasts until then: an event of a later time is of a clock that is ahead.
const FUTURE: &str = "2026-02-01T01";

/// A request that a collector has committed.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Who sent it.
    pub credential: &'static str,
    /// Whether it brings a journal.
    pub journal: bool,
    /// The emitter's key, if the sender has it.
    pub key: Option<EmitterKey>,
    /// What the emitter says of itself.
    pub header: Option<String>,
    /// A JSON array.
    pub body: Rc<[u8]>,
    /// When it was committed.
    pub at_ns: i64,
}

impl Committed {
    /// A request, committed now.
    pub fn of(request: &Request, at_ns: i64) -> Committed {
        let (key, header, body) = (request.key.clone(), request.header.clone(), request.body.clone());
        Committed { credential: request.credential, journal: false, key, header, body, at_ns }
    }
}

/// What is known of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    pub entered: bool,
    /// As a copy: another meter's record of the same call is charged.
    pub copy: bool,
    pub dead: bool,
    /// It is quarantined, for it is beyond what its sender may charge.
    pub beyond: bool,
    pub released: bool,
    pub opened: bool,
    pub delivered: bool,
    pub recovered: bool,
    pub full: bool,
    pub refused: bool,
}

/// What is known of an emitter.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Whether anything is known.
    pub known: bool,
    /// Who may spend its numbers.
    pub credential: &'static str,
    /// What is known of its numbers; the first is number 0, which is never given out.
    pub marks: Vec<Mark>,
    /// The highest number that came in.
    pub last: u64,
    /// The highest number that was said.
    pub head: u64,
    /// The highest count of drops that was said.
    pub dropped: u64,
    /// Whether it had a final flush, and whether the journal's bearer said it.
    pub ended: Option<bool>,
    /// When it last spoke itself, ns.
    pub heard_ns: i64,
}

impl Seen {
    /// What is known of a number.
    pub fn mark(&mut self, number: u64) -> &mut Mark {
        let at = number as usize;
        if self.marks.len() <= at {
            self.marks.resize(at + 1, Mark::default());
        }
        &mut self.marks[at]
    }

    /// What is known of a number, if anything is.
    pub fn get(&self, number: u64) -> Mark {
        self.marks.get(number as usize).copied().unwrap_or_default()
    }
}

/// Sums of what is alike in day, tenant, model and evidence: calls, then tokens.
pub type Sums = BTreeMap<(&'static str, &'static str, &'static str, bool), [u64; 4]>;

/// What the ledger must hold.
#[derive(Debug, Default)]
pub struct Oracle {
    /// What is known of the emitters, in the order of the truth.
    pub seen: Vec<Seen>,
    /// What must be charged.
    pub sums: Sums,
    /// What must be quarantined: alarms, and events that cannot be read.
    pub alarms: u64,
    /// Deliveries of events that cannot be read.
    pub dead: u64,
    /// Records in the ledger.
    pub entered: u64,
    /// Records that it had before.
    pub duplicates: u64,
    /// Which records are of one call.
    pub twins: Twins,
    /// What was quarantined and is released, by what it says, and whether it stands under a name of its own, as no copy.
    pub released: BTreeMap<Vec<u8>, Option<Counts>>,
    /// What every record counts that came in.
    charged: Vec<Counts>,
}

#[derive(Deserialize)]
struct Name<'a> {
    id: &'a str,
    r#type: &'a str,
    #[serde(default)]
    time: &'a str,
}

impl Oracle {
    /// A request is committed.
    pub fn take(&mut self, truth: &Truth, request: &Committed) {
        self.seen.resize(truth.emitters.len(), Seen::default());
        let events: Vec<&RawValue> = serde_json::from_slice(&request.body).unwrap_or_default();
        for event in events {
            self.event(truth, request, event.get());
        }
        if let Some(header) = &request.header {
            self.statement(truth, request, header);
        }
    }

    fn event(&mut self, truth: &Truth, request: &Committed, event: &str) {
        let Ok(Name { id, r#type, time }) = serde_json::from_str(event) else { return };
        let Some((emitter, number)) = number_of(truth, id) else { return };
        let (seen, told) = (&mut self.seen[emitter], truth.of(emitter, number));
        let own = proves(truth, request, emitter);
        let foreign = is_foreign(seen, request, own);
        if r#type != "meshmeter.call.v1" || time > FUTURE {
            // Whoever may not spend a number does not say what became of it.
            seen.mark(number).dead |= !foreign;
            self.dead += 1;
            return;
        }
        if foreign {
            self.alarms += 1;
            return;
        }
        let Some(told) = told else { return };
        if seen.get(number).entered {
            let same = told.event.as_ref() == event.as_bytes();
            *(if same { &mut self.duplicates } else { &mut self.alarms }) += 1;
            return;
        }
        if told.kind == Kind::Beyond {
            seen.mark(number).beyond = true;
            self.alarms += 1;
            return;
        }
        bind(seen, request, own);
        enter(seen, number, |mark| if request.journal { &mut mark.recovered } else { &mut mark.delivered });
        let copy = self.charge(event, &told.counts);
        self.seen[emitter].mark(number).copy = copy;
    }

    /// A record is charged, or is a copy.
    fn charge(&mut self, event: &str, counts: &Counts) -> bool {
        self.entered += 1;
        let record = self.charged.len();
        self.charged.push(*counts);
        let twin = self.twins.take(event, record);
        if let Twin::Instead(other) = twin {
            take_back(&mut self.sums, &self.charged[other]);
        }
        if twin != Twin::Copy {
            add(&mut self.sums, counts);
        }
        twin == Twin::Copy
    }

    /// Whether a person would release it: what is not what its number was given for only if that is charged.
    pub fn may_release(&self, truth: &Truth, bytes: &[u8]) -> bool {
        let Some((emitter, number, told)) = named(truth, bytes) else {
            // What cannot be read is refused; what was never counted was invented.
            return !serde_json::from_slice::<Name<'_>>(bytes).is_ok_and(|name| name.r#type == "meshmeter.call.v1");
        };
        told.event.as_ref() == bytes || self.seen.get(emitter).is_some_and(|seen| seen.get(number).entered)
    }

    /// Somebody wants an event charged that is quarantined: whether it is.
    pub fn release(&mut self, truth: &Truth, bytes: &[u8], credential: &'static str, at_ns: i64) -> bool {
        let Some((emitter, number, told)) = named(truth, bytes) else { return false };
        let is_told = told.event.as_ref() == bytes;
        let seen = &mut self.seen[emitter];
        let entered = seen.get(number).entered;
        if self.released.contains_key(bytes) || entered && is_told {
            return false;
        }
        let event = String::from_utf8_lossy(bytes);
        if entered {
            let copy = self.charge(&event, &told.counts);
            self.released.insert(bytes.to_vec(), Some(told.counts).filter(|_| !copy));
            return true;
        }
        if !seen.known {
            (seen.known, seen.heard_ns, seen.credential) = (true, at_ns, credential);
        }
        enter(seen, number, |mark| &mut mark.released);
        let copy = self.charge(&event, &told.counts);
        self.seen[emitter].mark(number).copy = copy;
        self.released.insert(bytes.to_vec(), None);
        true
    }

    fn statement(&mut self, truth: &Truth, request: &Committed, header: &str) {
        let mut items = header.split("; ");
        let Some(emitter) = items.next().and_then(|name| truth.names.get(name)) else { return };
        let own = proves(truth, request, *emitter);
        let seen = &mut self.seen[*emitter];
        if is_foreign(seen, request, own) {
            // It is counted, and not kept.
            return;
        }
        bind(seen, request, own);
        let (mut head, mut ended) = (0, false);
        for item in items {
            match item.split_once('=') {
                Some(("head", number)) => head = number.parse().unwrap_or(0),
                Some(("dropped", number)) => seen.dropped = seen.dropped.max(number.parse().unwrap_or(0)),
                Some(("drops", ranges)) => ranges.split(',').for_each(|range| drop_range(seen, range)),
                _ => ended |= item == "end",
            }
        }
        if ended {
            seen.ended = Some(request.journal);
        } else if head > seen.head && !request.journal {
            seen.ended = None;
        }
        seen.head = seen.head.max(head);
    }
}

/// A number comes in: what lies before it is open, or it was, and `how` it is not.
fn enter(seen: &mut Seen, number: u64, how: impl Fn(&mut Mark) -> &mut bool) {
    let last = seen.last;
    if number > last + 1 {
        (last + 1..number).for_each(|missing| seen.mark(missing).opened = true);
    } else if number <= last {
        *how(seen.mark(number)) = true;
    }
    if number > seen.head {
        // Whoever counts on has not ended.
        seen.ended = None;
    }
    seen.mark(number).entered = true;
    seen.last = last.max(number);
}

/// Whoever has the key is who may, else whoever first uses an emitter's numbers; a journal's bearer speaks for others.
fn bind(seen: &mut Seen, request: &Committed, own: bool) {
    seen.known = true;
    if !request.journal {
        seen.heard_ns = request.at_ns;
        if own {
            seen.credential = "(key)";
        } else if seen.credential.is_empty() {
            seen.credential = request.credential;
        }
    }
}

/// Whether a request shows the key of an emitter.
fn proves(truth: &Truth, request: &Committed, emitter: usize) -> bool {
    request.key.as_ref().is_some_and(|key| key.emitter() == truth.emitters[emitter].name)
}

fn drop_range(seen: &mut Seen, range: &str) {
    let Some((numbers, reason)) = range.split_once(':') else { return };
    let Some((first, last)) = numbers.split_once('-') else { return };
    for number in first.parse().unwrap_or(1)..=last.parse().unwrap_or(0) {
        let mark = seen.mark(number);
        *(if reason == "full" { &mut mark.full } else { &mut mark.refused }) = true;
    }
}

/// Whether it is somebody else's emitter.
fn is_foreign(seen: &Seen, request: &Committed, own: bool) -> bool {
    !request.journal && !own && seen.known && seen.credential != request.credential
}

fn number_of(truth: &Truth, id: &str) -> Option<(usize, u64)> {
    let (emitter, number) = id.split_once('-')?;
    Some((*truth.names.get(emitter)?, number.parse().ok()?))
}

fn named<'t>(truth: &'t Truth, bytes: &[u8]) -> Option<(usize, u64, &'t Told)> {
    let Name { id, r#type, .. } = serde_json::from_slice(bytes).ok()?;
    let (emitter, number) = number_of(truth, id).filter(|_| r#type == "meshmeter.call.v1")?;
    Some((emitter, number, truth.of(emitter, number)?))
}

fn take_back(sums: &mut Sums, counts: &Counts) {
    let group = (counts.day(), counts.tenant, counts.model, counts.reported);
    let sum = sums.entry(group).or_default();
    sum[0] -= u64::from(!counts.part);
    for (sum, tokens) in sum[1..].iter_mut().zip(counts.tokens) {
        *sum -= tokens;
    }
}

fn add(sums: &mut Sums, counts: &Counts) {
    let group = (counts.day(), counts.tenant, counts.model, counts.reported);
    let sum = sums.entry(group).or_default();
    sum[0] += u64::from(!counts.part);
    for (sum, tokens) in sum[1..].iter_mut().zip(counts.tokens) {
        *sum += tokens;
    }
}
