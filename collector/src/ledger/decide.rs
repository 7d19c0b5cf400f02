//! One transaction's decisions: each event is new, a duplicate, kept apart, or an alarm.

use std::collections::{BTreeMap, HashMap};

use meter::event::Event;

use super::correct::Correction;
use super::emitters::{BY_KEY, Emitter, Ended, Notes, NotesOf, What};
use super::entry::{Entry, EntryId, Kind};
use super::responses::{self, Holder};
use super::sums::{Group, Share, storable};
use super::{Arrival, Changes, Delivery, Head, Known, Sender, SetAside, Sums, Taken};
use crate::prices::{Call, PriceBook, Rating};

/// Whether an event is recognised that came before. Only a control run of the tests does without.
const RECOGNISES: bool = !cfg!(feature = "forgetful");
/// How far in the future a call may have begun: clocks of hosts differ.
const MAX_FUTURE_NS: i64 = 3_600_000_000_000;

/// What is known so far, and what has changed.
pub struct Decision<'a> {
    known: Known,
    prices: Option<&'a PriceBook>,
    now_ns: i64,
    head: Head,
    sums: Sums,
    entries: Vec<Entry>,
    emitters: BTreeMap<String, Emitter>,
    notes: Notes,
    responses: BTreeMap<responses::ResponseKey, Holder>,
    set_aside: Vec<SetAside>,
    /// Where the events of this transaction stand in `entries`.
    fresh: HashMap<(String, i64), usize>,
}

enum Outcome {
    New,
    Duplicate,
    DeadLetter(String),
    Alarm(String),
}

impl<'a> Decision<'a> {
    pub fn new(mut known: Known, prices: Option<&'a PriceBook>, now_ns: i64) -> Self {
        let sums = Sums::stored(std::mem::take(&mut known.sums));
        Decision {
            head: known.head,
            known,
            prices,
            now_ns,
            sums,
            entries: Vec::new(),
            emitters: BTreeMap::new(),
            notes: Notes::default(),
            responses: BTreeMap::new(),
            set_aside: Vec::new(),
            fresh: HashMap::new(),
        }
    }

    pub fn changes(self) -> Changes {
        Changes {
            head: self.head,
            entries: self.entries,
            emitters: self.emitters,
            notes: self.notes.into_vec(),
            responses: self.responses,
            sums: self.sums.changed().map(|(group, counted, sum)| (group.clone(), counted, sum)).collect(),
            set_aside: self.set_aside,
        }
    }

    /// Takes a delivery: first its events, then what the emitter says of itself.
    pub fn take(&mut self, delivery: &Delivery) -> Taken {
        let mut taken = Taken::default();
        for arrival in &delivery.arrivals {
            let outcome = match &arrival.decoded {
                Ok(event) => self.event(event, arrival, &delivery.sender),
                Err(reason) => Outcome::DeadLetter(reason.clone()),
            };
            let count = match outcome {
                Outcome::New => &mut taken.accepted,
                Outcome::Duplicate => &mut taken.duplicates,
                Outcome::DeadLetter(reason) => {
                    self.set_aside(arrival, &delivery.sender, false, reason);
                    &mut taken.dead_letters
                }
                Outcome::Alarm(reason) => {
                    self.set_aside(arrival, &delivery.sender, true, reason);
                    &mut taken.alarms
                }
            };
            *count = count.saturating_add(1);
        }
        if let Some(statement) = &delivery.statement {
            if self.may_speak(&statement.emitter, &delivery.sender) {
                let by = if delivery.sender.journal { Ended::Journal } else { Ended::Emitter };
                let (emitter, notes) = self.emitter(&statement.emitter, &delivery.sender);
                emitter.state(statement, by, notes);
            } else {
                taken.alarms = taken.alarms.saturating_add(1);
            }
        }
        taken
    }

    fn event(&mut self, event: &Event, arrival: &Arrival, sender: &Sender) -> Outcome {
        let dead = |reason: &str| Outcome::DeadLetter(reason.to_owned());
        let Ok(sequence) = i64::try_from(event.sequence) else {
            return dead("data.sequence: does not fit in 64 bits");
        };
        let (Ok(started_ns), Some(group)) = (i64::try_from(event.record.started_ns), Group::of(&event.record)) else {
            return dead("time: must be before the year 2262");
        };
        let Ok(text) = std::str::from_utf8(&arrival.bytes) else { return dead("not readable as UTF-8") };
        if started_ns > self.now_ns.saturating_add(MAX_FUTURE_NS) {
            return dead("time: must not be more than an hour in the future");
        }
        if !self.may_speak(&event.emitter, sender) {
            return Outcome::Alarm("data.emitter: its numbers belong to another sender".to_owned());
        }
        if RECOGNISES && self.known_emitter(&event.emitter).is_some_and(|emitter| emitter.ranges.contains(sequence)) {
            return match self.content(&event.emitter, sequence) {
                Some(content) if content != text => {
                    Outcome::Alarm("data.sequence: the ledger has another event under this number".to_owned())
                }
                _ => Outcome::Duplicate,
            };
        }
        let id = self.next_id();
        let holder = Holder::of(event, id);
        let places = responses::keys(&event.record);
        let first = places.iter().find_map(|place| {
            let held = self.responses.get(place).or_else(|| self.known.responses.get(place))?;
            (RECOGNISES && held.is_same_call(&holder)).then(|| held.clone())
        });
        // The first saw the answer without its counts, this one with them: what is known now is charged instead.
        let worse = first.as_ref().filter(|first| first.reported.is_none() && holder.reported.is_some());
        let worse = worse.and_then(|first| self.standing(first.entry));
        let first = if worse.is_some() { None } else { first.map(|first| first.entry) };
        let rating = first.is_none().then(|| self.rate(event, &group));
        if let Some(rating) = &rating
            && let Err(reason) = self.sums.add(&group, &Share::of(&event.record, rating))
        {
            return Outcome::DeadLetter(reason);
        }
        let what = if sender.journal { What::Recovered } else { What::Delivered };
        let (emitter, notes) = self.emitter(&event.emitter, sender);
        emitter.insert(sequence, what, notes);
        if let Some(node) = &event.record.node {
            emitter.node = storable(node);
        }
        if let (None, Some(place)) = (first, places.first()) {
            self.responses.insert(*place, holder);
        }
        self.fresh.insert((event.emitter.clone(), sequence), self.entries.len());
        let evidence = group.evidence();
        self.enter(Entry {
            id,
            kind: if first.is_some() { Kind::Copy } else { Kind::Call },
            emitter: event.emitter.clone(),
            sequence,
            refers: first,
            started_ns,
            received_ns: self.now_ns,
            tenant: group.tenant,
            provider: group.provider,
            model: group.model,
            evidence,
            charge: rating.as_ref().map(Rating::charge).unwrap_or_default(),
            rating: rating.map(|rating| rating.to_json()),
            reason: None,
            event: Some(text.to_owned()),
            hash: Default::default(),
        });
        if let Some(entry) = worse {
            let reason = "another meter saw this answer with its counts".to_owned();
            // It was charged as it stands there, so it can be taken back.
            let taken_back = self.correct(&Correction { entry, instead: None, reason });
            debug_assert_eq!(taken_back, Ok(true));
        }
        Outcome::New
    }

    fn rate(&self, event: &Event, group: &Group) -> Rating {
        let record = &event.record;
        let nothing = PriceBook::default();
        let day = group.day.parse().unwrap_or_default();
        self.prices.unwrap_or(&nothing).rate(&Call {
            provider: &group.provider,
            model: &group.model,
            day,
            service_tier: record.service_tier.as_deref(),
            usage: &record.usage,
        })
    }

    /// Puts an entry at the end of the chain: its number and its hash are what they must be there.
    pub fn enter(&mut self, mut entry: Entry) {
        entry.id = self.next_id();
        entry.hash = entry.hash_after(&self.head.hash);
        self.head = Head { entry: entry.id, hash: entry.hash };
        self.entries.push(entry);
    }

    fn next_id(&self) -> EntryId {
        let EntryId { writer, number } = self.head.entry;
        EntryId { writer, number: number.saturating_add(1) }
    }

    /// An entry of this transaction, or one that was loaded, if it counts.
    fn standing(&self, id: EntryId) -> Option<Entry> {
        let fresh = self.entries.iter().find(|entry| entry.id == id);
        let entry = fresh.or_else(|| self.known.held.get(&id))?;
        (!self.known.reversed.contains(&id)).then(|| entry.clone())
    }

    /// Notes that an entry is taken back; false if it was before.
    pub fn take_back(&mut self, entry: EntryId) -> bool {
        self.known.reversed.insert(entry)
    }

    /// Adds to the sums.
    pub fn add(&mut self, group: &Group, share: &Share) -> Result<(), String> {
        self.sums.add(group, share)
    }

    pub fn now_ns(&self) -> i64 {
        self.now_ns
    }

    fn known_emitter(&self, name: &str) -> Option<&Emitter> {
        self.emitters.get(name).or_else(|| self.known.emitters.get(name))
    }

    /// Whether the sender may spend the emitter's numbers: they are of whoever has its key, and where nobody has shown one, of
    /// the credential that used them first.
    fn may_speak(&self, name: &str, sender: &Sender) -> bool {
        sender.journal
            || sender.emitter.as_deref() == Some(name)
            || self.known_emitter(name).is_none_or(|emitter| emitter.credential == sender.credential)
    }

    /// The emitter, to be changed, and what to write down of it.
    fn emitter<'n>(&'n mut self, name: &'n str, sender: &Sender) -> (&'n mut Emitter, NotesOf<'n>) {
        let now_ns = self.now_ns;
        let known = self.known.emitters.remove(name);
        let emitter = self.emitters.entry(name.to_owned()).or_insert_with(|| {
            known.unwrap_or_else(|| Emitter { first_ns: now_ns, heard_ns: now_ns, ..Emitter::default() })
        });
        // Who brings a journal speaks for others: the emitter itself may still come.
        if !sender.journal {
            emitter.heard_ns = emitter.heard_ns.max(now_ns);
            if sender.emitter.as_deref() == Some(name) {
                emitter.credential = BY_KEY.to_owned();
            } else if emitter.credential.is_empty() {
                emitter.credential = sender.credential.clone();
            }
        }
        (emitter, self.notes.of(name, now_ns))
    }

    fn content(&self, emitter: &str, sequence: i64) -> Option<&str> {
        let key = (emitter.to_owned(), sequence);
        match self.fresh.get(&key) {
            Some(index) => self.entries.get(*index)?.event.as_deref(),
            None => self.known.contents.get(&key).map(String::as_str),
        }
    }

    fn set_aside(&mut self, arrival: &Arrival, sender: &Sender, alarm: bool, reason: String) {
        let number = match &arrival.decoded {
            Ok(event) => i64::try_from(event.sequence).ok().map(|sequence| (event.emitter.clone(), sequence)),
            Err(_) => number(&arrival.bytes),
        };
        // Whoever may not spend these numbers does not say what became of them.
        let number = number.filter(|(emitter, _)| alarm || self.may_speak(emitter, sender));
        self.set_aside.push(SetAside {
            alarm,
            reason,
            number,
            credential: sender.credential.clone(),
            received_ns: self.now_ns,
            bytes: arrival.bytes.clone(),
        });
    }
}

/// The number of an event that cannot be taken, so that its hole has a name. Anything may stand there.
pub fn number(bytes: &[u8]) -> Option<(String, i64)> {
    #[derive(serde::Deserialize)]
    struct Id {
        id: String,
    }
    let Id { id } = serde_json::from_slice(bytes).ok()?;
    let (emitter, sequence) = id.split_once('-')?;
    let is_emitter = emitter.len() == 32 && emitter.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let sequence = sequence.parse().ok().filter(|sequence| (1..1 << 53).contains(sequence))?;
    is_emitter.then(|| (emitter.to_owned(), sequence))
}
