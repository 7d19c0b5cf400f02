//! Any requests through decoding and the ledger: every event becomes exactly one thing, and the same again changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use meter::fuzz::{Draw, seed};

use super::laws::{self, Kept};
use super::{NOW_NS, request};
use crate::budget::Draft;
use crate::database::memory::Memory;
use crate::ingest::request::Form;
use crate::ledger::correct::Correction;
use crate::ledger::leases::LeaseRequest;
use crate::ledger::{Delivery, Ledger, Sender, Taken};
use crate::money::Charge;
use crate::prices::PriceBook;
use crate::store::{Reader, Selection};

/// The book by which calls are rated.
const BOOK: &str = include_str!("../../prices/example.toml");

thread_local! {
    static PRICES: Arc<PriceBook> = Arc::new(PriceBook::parse(BOOK).expect("the example"));
}

/// Takes the bytes as a sequence of requests, and as a body, a statement, a token line and a question about what is missing.
pub fn ingest(bytes: &[u8]) {
    request::sender(bytes);
    request::statement(bytes);
    let sender = request::sender(b"");
    let mut deliveries = request::deliveries(bytes);
    for form in [Form::Batch, Form::Single] {
        let arrivals = request::body_of(form, bytes);
        deliveries.extend(arrivals.map(|arrivals| Delivery { sender: sender.clone(), statement: None, arrivals }));
    }
    let mut ledger = Ledger::new(Memory::new());
    PRICES.with(|prices| ledger.set_prices(Some(prices.clone())));
    set_budgets(&mut ledger);
    let mut draw = Draw(seed(bytes));
    let mut rest = deliveries.as_slice();
    while !rest.is_empty() {
        // Those that wait together share a commit.
        let (group, more) = rest.split_at(1 + draw.below(rest.len().min(3)));
        rest = more;
        let group: Vec<&Delivery> = group.iter().collect();
        let first = take(&mut ledger, &group);
        let before = ledger.store().clone();
        let again = take(&mut ledger, &group);
        if let ([first], [again]) = (first.as_slice(), again.as_slice()) {
            assert_eq!(again.duplicates, first.accepted + first.duplicates, "what was taken is a duplicate");
            assert_eq!((again.dead_letters, again.alarms), (first.dead_letters, first.alarms), "the same again");
            assert_eq!(before.notes, ledger.store().notes, "the same again is told no other way");
        }
        assert!(again.iter().all(|taken| taken.accepted == 0), "an event was taken twice");
        laws::unchanged(&before, ledger.store());
    }
    lend(&mut ledger, bytes);
    laws::hold(ledger.store());
    laws::missing(ledger.store(), request::last(bytes));
    rate_anew(&mut ledger);
    release_all(&mut ledger);
}

/// Whatever comes counts in budgets; the laws look at their balances.
fn set_budgets(ledger: &mut Ledger<Memory>) {
    for (name, unit, window, per_tenant) in [("all", "usd", "month", false), ("each", "tokens", "hour", true)] {
        let [limit, unit, window] = ["1000", unit, window].map(|text| Some(text.to_owned()));
        let (name, who) = (name.to_owned(), "ann".to_owned());
        let draft = Draft { name, limit, unit, window, per_tenant: Some(per_tenant), who, ..Draft::default() };
        let set = ledger.set_budget(&draft, "a test", 0, &mut |_, _| Ok(BTreeMap::new()));
        assert!(set.expect("memory does not fail").is_ok());
    }
}

/// The bytes as a request for leases. Whatever is asked for, no more is granted than there is, and the same again gets the same.
fn lend(ledger: &mut Ledger<Memory>, bytes: &[u8]) {
    let Ok(request) = wire::lease::request(bytes) else { return };
    let request =
        LeaseRequest { sender: Sender { emitter: Some("a".repeat(32)), ..Sender::new("default", false) }, request };
    let first = ledger.lease(&[&request], NOW_NS).unwrap().remove(0);
    for lease in first.leases.iter().flatten() {
        assert!(lease.granted <= lease.limit.max(lease.charged), "{lease:?}");
    }
    assert_eq!(ledger.lease(&[&request], NOW_NS).unwrap().first(), Some(&first));
    assert_eq!(wire::lease::response(&wire::lease::encode_response(&first)).as_ref(), Ok(&first));
}

/// Everything that is quarantined is released, at most once each; the ledger is a ledger still.
fn release_all(ledger: &mut Ledger<Memory>) {
    for kept in ledger.store().quarantined.clone() {
        let before = ledger.store().entries.len();
        let released = ledger.release(&kept, "looked at", NOW_NS).unwrap();
        assert!(released.is_ok() || ledger.store().entries.len() == before, "{released:?}");
        assert!(ledger.release(&kept, "again", NOW_NS).unwrap().is_err(), "released twice");
    }
    laws::hold(ledger.store());
}

/// Without prices nothing is charged any more; by the same book again, all is as it was.
fn rate_anew(ledger: &mut Ledger<Memory>) {
    let total = |store: &Memory| {
        store
            .sums
            .values()
            .flat_map(|sums| sums.values())
            .fold(Charge::default(), |all, sum| all.checked_add(sum.charge).expect("more than a charge holds"))
    };
    let before = total(ledger.store());
    for (book, expected) in [(Arc::new(PriceBook::default()), Charge::default()), (PRICES.with(Arc::clone), before)] {
        let mut corrections = Vec::new();
        let each = &mut |entry| {
            corrections.extend(Correction::by(&book, entry, "re-rated").unwrap_or_else(|problem| panic!("{problem}")));
            Ok(())
        };
        ledger.store().standing(&Selection::default(), each).unwrap();
        assert_eq!(ledger.correct(&corrections, NOW_NS).unwrap(), corrections.len() as u64);
        assert_eq!(total(ledger.store()), expected);
        laws::hold(ledger.store());
    }
}

/// Takes a group in one commit; what is kept then is what came, and nothing else.
fn take(ledger: &mut Ledger<Memory>, group: &[&Delivery]) -> Vec<Taken> {
    let before = Kept::of(ledger.store());
    let all = ledger.append(group, NOW_NS).unwrap();
    let mut came: HashMap<&[u8], i64> = HashMap::new();
    let (mut accepted, mut duplicates, mut quarantined) = (0, 0, 0);
    for (delivery, taken) in group.iter().zip(&all) {
        let arrivals = delivery.arrivals.len() as u64;
        let sum = taken.accepted + taken.duplicates + taken.dead_letters + taken.alarms;
        // A statement of somebody else's emitter is an alarm too, and nothing that can be kept.
        let spoke = sum - arrivals;
        assert!(spoke == 0 || (spoke == 1 && delivery.statement.is_some() && taken.alarms > 0), "{taken:?}");
        accepted += taken.accepted;
        duplicates += taken.duplicates as i64;
        quarantined += taken.dead_letters + taken.alarms - spoke;
        delivery.arrivals.iter().for_each(|arrival| *came.entry(&arrival.bytes).or_default() += 1);
    }
    let store = ledger.store();
    let entries = &store.entries[before.entries..];
    let aside = &store.quarantined[before.quarantined..];
    assert_eq!(
        (entries.len() as u64, aside.len() as u64),
        (accepted, quarantined),
        "what is kept is what the response says"
    );
    let entered = entries.iter().map(|entry| entry.event.as_deref().expect("a call has its event").as_bytes());
    for bytes in entered.chain(aside.iter().map(|event| event.bytes.as_slice())) {
        let left = came.get_mut(bytes).expect("bytes that nobody sent");
        *left -= 1;
        assert!(*left >= 0, "kept more often than it came");
    }
    assert_eq!(came.values().sum::<i64>(), duplicates, "lost");
    all
}
