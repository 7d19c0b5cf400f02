//! One transaction's decisions: each event is new, a duplicate, quarantined, or an alarm.

use std::collections::{BTreeMap, HashMap};

use wire::event::Event;

use super::budgets::Counting;
use super::correct::Correction;
use super::entering::{Entering, Terms, entering, number};
use super::share::{Share, Sums};
use super::spending::Spending;
use super::{Arrival, Delivery, MAX_EVENT, Sender, Taken, again, clock, responses};
use crate::money::Charge;
use crate::prices::{PriceBook, Rating, RatingInput};
use crate::store::emitters::{Emitter, Ended, Notes, NotesOf, What};
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::forgetting::ForgetChanges;
use crate::store::responses::{Holder, Place, PossibleCopy, PossibleKey, ResponseKey};
use crate::store::sealing::SealChanges;
use crate::store::sums::{Group, storable};
use crate::store::{Changes, Head, Known, QuarantinedEvent};

/// Whether an event is recognised that came before. Only a control run of the tests does without.
const RECOGNISES: bool = !cfg!(feature = "forgetful");

/// How far behind the last known number of an emitter its next may be: further, it is more likely invented than that so many
/// were lost, and each of them would be missing.
const MAX_LEAP: i64 = 1_000_000;

/// What is known so far, and what has changed.
pub struct Decision<'a> {
    pub(super) known: Known,
    pub(super) prices: Option<&'a PriceBook>,
    now_ns: i64,
    head: Head,
    sums: Sums,
    entries: Vec<Entry>,
    emitters: BTreeMap<String, Emitter>,
    pub(super) notes: Notes,
    pub(super) responses: BTreeMap<ResponseKey, Place>,
    pub(super) possible: BTreeMap<PossibleKey, PossibleCopy>,
    quarantined: Vec<QuarantinedEvent>,
    pub(super) released: BTreeMap<[u8; 32], EntryId>,
    pub(super) counting: Counting,
    pub(super) forget: ForgetChanges,
    pub(super) seal: SealChanges,
    /// What the delivery that is taken costs, charge and cost.
    charged: Charge,
    costs: Charge,
    spending: Spending,
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
        let counting = Counting::of(known.budgets.clone());
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
            possible: BTreeMap::new(),
            quarantined: Vec::new(),
            released: BTreeMap::new(),
            counting,
            forget: ForgetChanges::default(),
            seal: SealChanges::default(),
            charged: Charge::default(),
            costs: Charge::default(),
            spending: Spending::default(),
            fresh: HashMap::new(),
        }
    }

    pub fn changes(self) -> Changes {
        Changes {
            head: self.head,
            written_ns: self.known.written_ns.max(self.now_ns),
            entries: self.entries,
            emitters: self.emitters,
            notes: self.notes.into_vec(),
            responses: self.responses,
            possible: self.possible,
            sums: self.sums.changed().map(|(group, counted, sum)| (group.clone(), counted, sum)).collect(),
            quarantined: self.quarantined,
            released: self.released,
            budgets: self.counting.change,
            spent: self.counting.spent,
            leases: self.counting.leases,
            forget: self.forget,
            seal: self.seal,
            prune: Default::default(),
        }
    }

    /// Takes a delivery: first its events, then what the emitter says of itself.
    pub fn take(&mut self, delivery: &Delivery) -> Taken {
        let mut taken = Taken::default();
        (self.charged, self.costs, self.spending) = Default::default();
        for arrival in &delivery.arrivals {
            let outcome = match &arrival.decoded {
                Ok(event) => self.event(event, arrival, &delivery.sender),
                Err(reason) => Outcome::DeadLetter(reason.clone()),
            };
            let count = match outcome {
                Outcome::New => &mut taken.accepted,
                Outcome::Duplicate => &mut taken.duplicates,
                Outcome::DeadLetter(reason) => {
                    self.quarantine(arrival, &delivery.sender, false, reason);
                    &mut taken.dead_letters
                }
                Outcome::Alarm(reason) => {
                    let number = self.quarantine(arrival, &delivery.sender, true, reason);
                    taken.not_charged.extend(number);
                    &mut taken.alarms
                }
            };
            *count = count.saturating_add(1);
        }
        (taken.charge, taken.cost, taken.spending) = (self.charged, self.costs, std::mem::take(&mut self.spending));
        if let Some(statement) = &delivery.statement {
            let head = i64::try_from(statement.head).unwrap_or(i64::MAX);
            let is_leap = !delivery.sender.journal && self.is_leap(&statement.emitter, head);
            if statement.head == 0 && self.known_emitter(&statement.emitter).is_none() {
                self.ended_without_calls(&statement.emitter, &delivery.sender);
            } else if self.may_speak(&statement.emitter, &delivery.sender) && !is_leap {
                let by = if delivery.sender.journal { Ended::Journal } else { Ended::Emitter };
                let (emitter, notes) = self.emitter(&statement.emitter, &delivery.sender);
                emitter.state(statement, by, notes);
                self.ended(&statement.emitter, &delivery.sender);
            } else {
                taken.alarms = taken.alarms.saturating_add(1);
            }
        }
        taken
    }

    fn event(&mut self, event: &Event, arrival: &Arrival, sender: &Sender) -> Outcome {
        let entering = match entering(event, &arrival.bytes) {
            Ok(entering) => entering,
            Err(problem) => return Outcome::DeadLetter(problem),
        };
        if clock::is_future(entering.started_ns, self.now_ns) {
            return Outcome::DeadLetter("time: must not be more than an hour in the future".to_owned());
        }
        if !self.may_speak(&event.emitter, sender) {
            return Outcome::Alarm(QuarantinedEvent::FOREIGN.to_owned());
        }
        if RECOGNISES && self.has(&event.emitter, entering.sequence) {
            return match self.is_content(&event.emitter, entering.sequence, entering.text) {
                Some(false) => {
                    Outcome::Alarm("data.sequence: the ledger has another event under this number".to_owned())
                }
                _ => Outcome::Duplicate,
            };
        }
        if !sender.journal && self.is_leap(&event.emitter, entering.sequence) {
            return Outcome::Alarm(QuarantinedEvent::LEAP.to_owned());
        }
        if let Err(reason) = sender.limits.allow(&event.record) {
            return Outcome::Alarm(reason);
        }
        if sender.journal
            && let Some(reason) = self.quarantine_reason(event, arrival)
        {
            return Outcome::Alarm(reason);
        }
        let rating = self.rate(event, &entering.group);
        if let Err(reason) = sender.limits.allow_charge(rating.charge()) {
            return Outcome::Alarm(reason);
        }
        let terms = Terms { emitter: &event.emitter, sequence: entering.sequence, kind: Kind::Call, reason: None };
        let entry = self.next_id();
        if let Err(reason) = self.charge(&entering, rating, &terms) {
            return Outcome::DeadLetter(reason);
        }
        // What was quarantined for its number alone waits for nobody any more.
        let digest = QuarantinedEvent::digest_of_alarm(&event.emitter, &arrival.bytes);
        if sender.journal && self.known.kept.contains_key(&digest) {
            self.released.insert(digest, entry);
        }
        let what = if sender.journal { What::Recovered } else { What::Delivered };
        let (emitter, notes) = self.emitter(&event.emitter, sender);
        emitter.insert(entering.sequence, what, notes);
        if let Some(node) = &event.record.node {
            emitter.node = storable(node);
        }
        Outcome::New
    }

    /// Why this very event is quarantined, if it is: what its own sender may not charge no journal brings in, only a person.
    fn quarantine_reason(&self, event: &Event, arrival: &Arrival) -> Option<String> {
        let kept = self.known.kept.get(&QuarantinedEvent::digest_of_alarm(&event.emitter, &arrival.bytes))?;
        (!kept.is_leap()).then(|| kept.reason.clone())
    }

    /// Whether a number is so far beyond what is known of its emitter that the numbers between would be invented.
    fn is_leap(&self, emitter: &str, number: i64) -> bool {
        let last = self.known_emitter(emitter).map_or(0, |emitter| emitter.last.max(emitter.head));
        number.saturating_sub(last) > MAX_LEAP
    }

    /// Enters an event, as a copy if another meter's record of its call is charged; or the reason why it cannot be, and
    /// nothing has changed.
    pub(super) fn charge(
        &mut self,
        entering: &Entering<'_>,
        rating: Rating,
        terms: &Terms<'_>,
    ) -> Result<Option<EntryId>, String> {
        let Entering { event, group, .. } = entering;
        let id = self.next_id();
        let new = Holder::of(event, id);
        let places = responses::keys(&event.record);
        let first = if RECOGNISES { self.same_call(&places, &new, event) } else { None };
        // The other meter saw the call without its counts, or less of it: what is known now is charged instead.
        let worse = first.as_ref().filter(|first| first.is_worse_than(&new));
        let worse = worse.and_then(|first| self.standing(first.entry));
        let copy_of = if worse.is_some() { None } else { first.as_ref().map(|first| first.entry) };
        let rating = copy_of.is_none().then_some(rating);
        if let Some(rating) = &rating {
            let group = self.group(group);
            self.sums.add(&group, &Share::of(&event.record, rating))?;
            self.count(&event.record, &group.tenant, rating.charge(), Some(terms.emitter));
            self.charged = self.charged.checked_add(rating.charge()).unwrap_or(self.charged);
            self.costs = self.costs.checked_add(rating.cost()).unwrap_or(self.costs);
            self.spending.add(&group, &event.record, rating);
        }
        let billed = self.billed(entering.started_ns).filter(|_| copy_of.is_none());
        match &first {
            Some(first) => self.join(&places, first, &new, copy_of.is_none()),
            None => self.hold(&places, &new),
        }
        self.fresh.insert((terms.emitter.to_owned(), terms.sequence), self.entries.len());
        self.enter(Entry { billed, ..entering.entry(id, self.now_ns, terms, copy_of, rating) });
        if let Some(entry) = worse {
            let reason = again::SAW_MORE.to_owned();
            // It was charged as it stands there, so it can be taken back.
            let taken_back = self.correct(&Correction { entry, instead: None, reason });
            debug_assert_eq!(taken_back, Ok(true));
        }
        Ok(copy_of)
    }

    pub(super) fn rate(&self, event: &Event, group: &Group) -> Rating {
        let nothing = PriceBook::default();
        let call = RatingInput::of(&event.record, &group.tenant);
        call.map(|call| self.prices.unwrap_or(&nothing).rate(&call)).unwrap_or_default()
    }

    /// Puts an entry at the end of the chain: its number, salt and hash are what they must be there.
    pub fn enter(&mut self, mut entry: Entry) {
        entry.id = self.next_id();
        entry.names = self.known.secret.salt(&self.head.hash.0);
        entry.hash = entry.hash_after(&self.head.hash);
        self.head = Head { entry: entry.id, hash: entry.hash };
        self.entries.push(entry);
    }

    pub(super) fn next_id(&self) -> EntryId {
        let EntryId { writer, number } = self.head.entry;
        EntryId { writer, number: number.saturating_add(1) }
    }

    /// An entry of this transaction, or what stands now of one that was loaded.
    pub(super) fn standing(&self, id: EntryId) -> Option<Entry> {
        let fresh = self.entries.iter().find(|entry| entry.id == id);
        let entry = fresh.or_else(|| self.known.held.get(&id))?;
        (!self.known.reversed.contains(&entry.id)).then(|| entry.clone())
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

    /// The day on which what is booked now about a call counts, if that is not the day on which it began.
    pub(super) fn billed(&self, started_ns: i64) -> Option<String> {
        self.known.closed.billed(started_ns, self.now_ns)
    }

    /// Where what is booked now about a call counts; `began` is the group of its own day.
    pub(super) fn group(&self, began: &Group) -> Group {
        began.booked(&self.known.closed, self.now_ns)
    }

    pub(super) fn known_emitter(&self, name: &str) -> Option<&Emitter> {
        self.emitters.get(name).or_else(|| self.known.emitters.get(name))
    }

    /// Whether a number is taken.
    pub(super) fn has(&self, emitter: &str, sequence: i64) -> bool {
        self.known_emitter(emitter).is_some_and(|emitter| emitter.ranges.contains(sequence))
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
        let (emitter, notes) = self.emitter_of_others(name);
        // Who brings a journal speaks for others: the emitter itself may still come.
        if !sender.journal {
            emitter.heard_ns = emitter.heard_ns.max(now_ns);
            if sender.emitter.as_deref() == Some(name) {
                emitter.proven();
            } else if emitter.credential.is_empty() {
                emitter.credential = sender.credential.clone();
            }
        }
        (emitter, notes)
    }

    /// The same, when it has not spoken itself.
    pub(super) fn emitter_of_others<'n>(&'n mut self, name: &'n str) -> (&'n mut Emitter, NotesOf<'n>) {
        let now_ns = self.now_ns;
        let known = self.known.emitters.remove(name);
        let emitter = self.emitters.entry(name.to_owned()).or_insert_with(|| {
            known.unwrap_or_else(|| Emitter { first_ns: now_ns, heard_ns: now_ns, ..Emitter::default() })
        });
        (emitter, self.notes.of(name, now_ns))
    }

    /// Whether an event is the one that is under a number; nothing if none is.
    pub(super) fn is_content(&self, emitter: &str, sequence: i64, event: &str) -> Option<bool> {
        let key = (emitter.to_owned(), sequence);
        match self.fresh.get(&key) {
            Some(index) => Some(self.entries.get(*index)?.event.as_deref()? == event),
            None => self.known.contents.get(&key).map(|content| content.is(event)),
        }
    }

    /// Quarantines an event; returns the number that it names.
    fn quarantine(&mut self, arrival: &Arrival, sender: &Sender, alarm: bool, reason: String) -> Option<(String, i64)> {
        let number = match &arrival.decoded {
            Ok(event) => i64::try_from(event.sequence).ok().map(|sequence| (event.emitter.clone(), sequence)),
            Err(_) => number(&arrival.bytes),
        };
        // Whoever may not spend these numbers does not say what became of them.
        let number = number.filter(|(emitter, _)| alarm || self.may_speak(emitter, sender));
        self.quarantined.push(QuarantinedEvent {
            alarm,
            reason,
            number: number.clone(),
            credential: sender.credential.clone(),
            received_ns: self.now_ns,
            bytes: arrival.bytes.iter().copied().take(MAX_EVENT).collect(),
        });
        number
    }
}
