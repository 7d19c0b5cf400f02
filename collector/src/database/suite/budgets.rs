//! Budgets: balances are those of the entries that stand, leases those that were granted, whatever comes in whatever order.

use std::collections::BTreeMap;

use wire::identity::Identity;
use wire::lease::{Request, Response, Wanted};

use super::*;
use crate::budget::period::second;
use crate::budget::{Amount, Draft};
use crate::ledger::leases::LeaseRequest;
use crate::ledger::scan::Scan;
use crate::store::budgets::Lease;
use crate::store::entry::EntryId;

mod tenants;

/// 2026-11-29T12:00:00Z.
pub const NOON_NS: i64 = 1_795_953_600_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

pub fn run(fresh: Fresh<'_>) {
    a_budget_is_set_changed_and_removed_by_entries(fresh);
    calls_corrections_and_releases_count_where_they_began(fresh);
    a_budget_that_is_set_late_counts_its_running_window(fresh);
    leases_are_granted_once_and_paid_by_events(fresh);
    who_ends_or_falls_silent_holds_nothing(fresh);
    who_ends_without_a_call_holds_nothing(fresh);
    tenants::a_credential_of_one_tenant_gets_no_others_lease(fresh);
    windows_that_are_far_are_not_granted(fresh);
    a_clock_that_is_set_back_frees_nothing(fresh);
    verify_finds_a_balance_that_is_not_that_of_its_entries(fresh);
}

pub fn draft(name: &str, limit: &str) -> Draft {
    let some = |text: &str| Some(text.to_owned());
    let (unit, window) = (some("tokens"), some("day"));
    Draft { name: name.to_owned(), limit: some(limit), unit, window, who: "ann".to_owned(), ..Draft::default() }
}

pub fn set<S: Store>(ledger: &mut Ledger<S>, draft: &Draft, now_ns: i64) -> Result<i64, String> {
    let none = &mut |_: &crate::budget::Definition, _: &[EntryId]| Ok(BTreeMap::new());
    ledger.set_budget(draft, "a test", now_ns, none).unwrap().map(|set| set.budget.id)
}

/// A call of a tenant that began at a time, with so many tokens.
fn call(emitter: &str, sequence: u64, tenant: &str, began_ns: i64, tokens: u64) -> Arrival {
    let mut record = Record { provider: "openai".to_owned(), evidence: Evidence::Reported, ..Record::default() };
    record.started_ns = began_ns as u64;
    record.identity = Identity { tenant: tenant.to_owned(), source: Source::Spiffe, principal: None };
    record.response_model = Some("responded".to_owned());
    record.usage.set(Class::InputText, Some(tokens));
    Arrival::new(wire::event::encode(&record, emitter, sequence))
}

pub fn by_key(emitter: &str) -> Sender {
    Sender { emitter: Some(emitter.to_owned()), ..sender(false) }
}

fn send(emitter: &str, arrivals: Vec<Arrival>) -> Delivery {
    Delivery { sender: by_key(emitter), statement: None, arrivals }
}

/// A delivery of one call that began at a time, with so many tokens.
pub fn spends(emitter: &str, sequence: u64, began_ns: i64, tokens: u64) -> Delivery {
    send(emitter, vec![call(emitter, sequence, "acme", began_ns, tokens)])
}

pub fn ask(emitter: &str, number: u64, budget: &str, at_ns: i64, up_to: u64, need: u64) -> LeaseRequest {
    let at_s = second(at_ns) as u64;
    let wanted = Wanted { budget: budget.to_owned(), subject: String::new(), at_s, up_to, need };
    LeaseRequest { sender: by_key(emitter), request: Request { number, leases: vec![wanted], ..Request::default() } }
}

/// What the first lease of a response says: granted, charged, left.
fn said(response: &Response) -> Option<(u64, u64, u64)> {
    response.leases[0].map(|lease| (lease.granted, lease.charged, lease.left))
}

pub fn balances(reader: &dyn Reader, budget: i64) -> Vec<(i64, String, Amount)> {
    let all = all(|each| reader.balances(budget, i64::MIN, each));
    let counts = all.into_iter().filter(|(_, spent)| !spent.is_zero());
    counts.map(|(key, spent)| (key.begins_s, key.subject, spent)).collect()
}

fn tokens(reader: &dyn Reader, budget: i64) -> Vec<String> {
    let text = |(_, subject, spent): (i64, String, Amount)| format!("{subject}={}", spent.stored());
    balances(reader, budget).into_iter().map(text).collect()
}

fn leases(reader: &dyn Reader, budget: i64) -> Vec<(String, Lease)> {
    let all = all(|each| reader.leases(budget, i64::MIN, each));
    all.into_iter().map(|(_, emitter, lease)| (emitter, lease)).collect()
}

/// The same on a database and in memory.
struct Both {
    ledger: Ledger<Box<dyn Store>>,
    memory: Ledger<Memory>,
    reader: Box<dyn Reader>,
}

impl Both {
    fn new(fresh: Fresh<'_>) -> Both {
        let (store, reader) = fresh();
        let (mut ledger, mut memory) = (Ledger::new(store), Ledger::new(Memory::new()));
        let book = std::sync::Arc::new(PriceBook::parse(BOOK).unwrap());
        ledger.set_prices(Some(book.clone()));
        memory.set_prices(Some(book));
        Both { ledger, memory, reader }
    }

    fn set(&mut self, draft: &Draft, now_ns: i64) -> i64 {
        let id = set(&mut self.ledger, draft, now_ns);
        assert_eq!(set(&mut self.memory, draft, now_ns), id);
        id.unwrap()
    }

    fn append(&mut self, delivery: &Delivery, now_ns: i64) -> Taken {
        let taken = self.ledger.append(&[delivery], now_ns).unwrap().remove(0);
        assert_eq!(self.memory.append(&[delivery], now_ns).unwrap().first(), Some(&taken));
        taken
    }

    fn lease(&mut self, request: &LeaseRequest, now_ns: i64) -> Response {
        let response = self.ledger.lease(&[request], now_ns).unwrap().remove(0);
        assert_eq!(self.memory.lease(&[request], now_ns).unwrap().first(), Some(&response));
        response
    }

    fn assert_same(&self) {
        crate::verify::verify(&*self.reader, &[], || ()).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(seen(&*self.reader), seen(self.memory.store()));
        let budgets = self.reader.budgets().unwrap();
        assert_eq!(budgets, Reader::budgets(self.memory.store()).unwrap());
        for budget in budgets.iter() {
            assert_eq!(balances(&*self.reader, budget.id), balances(self.memory.store(), budget.id));
            assert_eq!(leases(&*self.reader, budget.id), leases(self.memory.store(), budget.id));
        }
    }
}

fn a_budget_is_set_changed_and_removed_by_entries(fresh: Fresh<'_>) {
    let mut both = Both::new(fresh);
    assert_eq!(both.reader.budgets().unwrap().revision(), 0);
    let first = both.set(&draft("a", "100"), NOON_NS);
    both.set(&Draft { tenant: Some("acme".to_owned()), ..draft("b", "100") }, NOON_NS);
    let raised =
        Draft { name: "a".to_owned(), limit: Some("200".to_owned()), who: "bob".to_owned(), ..Draft::default() };
    assert_eq!(both.set(&raised, NOON_NS), first, "its balances go on");
    assert_eq!(set(&mut both.ledger, &raised, NOON_NS), Err("a is so already: nothing was changed".to_owned()));
    let budgets = both.reader.budgets().unwrap();
    assert_eq!((budgets.revision(), budgets.get("a").unwrap().limit), (3, 200));
    let taken = both.append(&send(&emitter(1), vec![call(&emitter(1), 1, "acme", NOON_NS, 5)]), NOON_NS);
    assert_eq!(taken.budgets, 3, "whoever sends hears the revision");
    both.assert_same();
    for ledger_removes in [true, false] {
        let remove = |name: &str, who: &str, why: &str, both: &mut Both| match ledger_removes {
            true => both.ledger.remove_budget(name, who, why, NOON_NS).unwrap(),
            false => both.memory.remove_budget(name, who, why, NOON_NS).unwrap(),
        };
        assert_eq!(remove("c", "ann", "x", &mut both), Err("there is no budget c".to_owned()));
        assert!(remove("a", "ann", " ", &mut both).is_err() && remove("a", "", "x", &mut both).is_err());
        assert!(remove("a", "ann", "no more", &mut both).is_ok());
    }
    assert_eq!(tokens(&*both.reader, first), [""; 0], "its balances are gone");
    let changes: Vec<_> =
        both.reader.budget_changes().unwrap().into_iter().map(|entry| (entry.kind, entry.reason.unwrap())).collect();
    let set = || (Kind::BudgetSet, "a test".to_owned());
    assert_eq!(changes, [set(), set(), set(), (Kind::BudgetRemoved, "no more".to_owned())]);
    both.assert_same();
}

fn calls_corrections_and_releases_count_where_they_began(fresh: Fresh<'_>) {
    let mut both = Both::new(fresh);
    let day = both.set(&draft("day", "100"), NOON_NS);
    let each = both.set(&Draft { per_tenant: Some(true), ..draft("each", "100") }, NOON_NS);
    let usd = Draft { unit: Some("usd".to_owned()), tenant: Some("acme".to_owned()), ..draft("usd", "1") };
    let usd = both.set(&usd, NOON_NS);
    let day_ns = DAY_NS as i64;
    let calls = vec![
        call(&emitter(1), 1, "acme", NOON_NS, 10),
        call(&emitter(1), 2, "acme/ml", NOON_NS + SECOND_NS, 20),
        call(&emitter(1), 3, "globex", NOON_NS + day_ns / 2, 40),
        // It began before the window in which the budgets were set.
        call(&emitter(1), 4, "acme", NOON_NS - day_ns, 80),
        call(&emitter(1), 1, "acme", NOON_NS, 10),
    ];
    both.append(&send(&emitter(1), calls), NOON_NS + day_ns);
    assert_eq!(tokens(&*both.reader, day), ["=30", "=40"]);
    assert_eq!(tokens(&*both.reader, each), ["acme=10", "acme/ml=20", "globex=40"]);
    let text = |both: &Both| -> Vec<String> {
        balances(&*both.reader, usd).into_iter().map(|(.., spent)| spent.text(wire::lease::Unit::Usd)).collect()
    };
    assert_eq!(text(&both), ["0.000075"]);
    both.assert_same();
    let selected = |number: i64| Selection { call: Some((emitter(1), number)), ..Selection::default() };
    let standing = |reader: &dyn Reader, number| all(|each| reader.standing(&selected(number), each)).remove(0);
    let entry = standing(&*both.reader, 1);
    let rating = Correction::rated(&PriceBook::parse(&BOOK.replace("2.50", "5")).unwrap(), &entry, "globex").unwrap();
    let instead = Some(Instead { tenant: "globex".to_owned(), rating });
    let moved = Correction { entry, instead, reason: "theirs".to_owned() };
    let void = Correction { entry: standing(&*both.reader, 2), instead: None, reason: "nobody's".to_owned() };
    for corrections in [[moved], [void]] {
        assert_eq!(both.ledger.correct(&corrections, NOON_NS + 3 * day_ns).unwrap(), 1);
        assert_eq!(both.memory.correct(&corrections, NOON_NS + 3 * day_ns).unwrap(), 1);
    }
    assert_eq!(tokens(&*both.reader, day), ["=10", "=40"], "in the window in which the calls began");
    assert_eq!(tokens(&*both.reader, each), ["globex=10", "globex=40"]);
    assert_eq!(text(&both), [""; 0]);
    both.assert_same();
}

fn a_budget_that_is_set_late_counts_its_running_window(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    let calls = (1..=4).map(|number| call(&emitter(1), number, "acme", NOON_NS, 10 * number)).collect();
    ledger.append(&[&send(&emitter(1), calls)], NOON_NS).unwrap();
    let selection = Selection { call: Some((emitter(1), 4)), ..Selection::default() };
    let entry = all(|each| reader.standing(&selection, each)).remove(0);
    ledger.correct(&[Correction { entry, instead: None, reason: "nobody's".to_owned() }], NOON_NS).unwrap();
    let draft = draft("day", "100");
    let wanted = draft.complete(&reader.budgets().unwrap(), second(NOON_NS)).unwrap();
    let mut scan = Scan::new(&*reader, &wanted);
    let heads: Vec<EntryId> = reader.heads().unwrap().iter().map(|head| head.entry).collect();
    scan.read_to(&heads, &mut || ()).unwrap();
    // What comes between the reading and the setting counts as well, and no call twice.
    ledger.append(&[&send(&emitter(1), vec![call(&emitter(1), 5, "acme", NOON_NS, 100)])], NOON_NS).unwrap();
    let so_far = &mut |budget: &crate::budget::Definition, heads: &[EntryId]| scan.balances(budget, heads);
    let set = ledger.set_budget(&draft, "late", NOON_NS, so_far).unwrap().unwrap();
    assert_eq!(tokens(&*reader, set.budget.id), ["=160"]);
    ledger.append(&[&send(&emitter(1), vec![call(&emitter(1), 6, "acme", NOON_NS, 1)])], NOON_NS).unwrap();
    assert_eq!(tokens(&*reader, set.budget.id), ["=161"]);
    crate::verify::verify(&*reader, &[], || ()).unwrap();
}

fn leases_are_granted_once_and_paid_by_events(fresh: Fresh<'_>) {
    let mut both = Both::new(fresh);
    let unknown = both.lease(&ask(&emitter(1), 1, "day", NOON_NS, 10, 0), NOON_NS);
    assert_eq!((said(&unknown), unknown.revision, unknown.budgets), (None, 0, None));
    let id = both.set(&draft("day", "100"), NOON_NS);
    let one = |number, up_to, need| ask(&emitter(1), number, "day", NOON_NS, up_to, need);
    let first = both.lease(&one(2, 80, 60), NOON_NS);
    assert_eq!((said(&first), first.revision), (Some((60, 0, 100)), 1));
    assert_eq!(first.budgets.unwrap()[0].name, "day");
    // The same again, and an older one: nothing changes, and what stands is told.
    for again in [one(2, 100, 100), one(1, 0, 0)] {
        assert_eq!(said(&both.lease(&again, NOON_NS)), Some((60, 0, 100)));
    }
    let two = |number, up_to, need| ask(&emitter(2), number, "day", NOON_NS, up_to, need);
    assert_eq!(said(&both.lease(&two(1, 90, 50), NOON_NS)), Some((10, 0, 100)), "a quarter of the 40 that nobody has");
    both.append(&send(&emitter(1), vec![call(&emitter(1), 1, "acme", NOON_NS, 25)]), NOON_NS);
    both.append(&send(&emitter(3), vec![call(&emitter(3), 1, "acme", NOON_NS, 5)]), NOON_NS);
    // 30 are spent, 35 and 10 held: 25 are left.
    assert_eq!(said(&both.lease(&one(3, 85, 85), NOON_NS)), Some((85, 25, 70)));
    assert_eq!(said(&both.lease(&two(2, 20, 11), NOON_NS)), Some((10, 0, 70)), "nothing is left");
    assert_eq!(said(&both.lease(&one(4, 30, 0), NOON_NS)), Some((30, 25, 70)), "given back");
    assert_eq!(said(&both.lease(&two(3, 60, 60), NOON_NS)), Some((60, 0, 70)));
    both.assert_same();
    let held: Vec<u64> = leases(&*both.reader, id).iter().map(|(_, lease)| lease.granted).collect();
    assert_eq!(held, [30, 60]);
}

fn who_ends_or_falls_silent_holds_nothing(fresh: Fresh<'_>) {
    let mut both = Both::new(fresh);
    both.set(&draft("day", "100"), NOON_NS);
    let minute_ns = 60 * SECOND_NS;
    let asks = |emitter_number, number, up_to, at_ns| ask(&emitter(emitter_number), number, "day", at_ns, up_to, up_to);
    assert_eq!(said(&both.lease(&asks(1, 1, 100, NOON_NS), NOON_NS)), Some((100, 0, 100)));
    let at = NOON_NS + 15 * minute_ns;
    assert_eq!(said(&both.lease(&asks(2, 1, 10, at), at)), Some((0, 0, 100)), "it may still spend");
    let at = at + 1;
    assert_eq!(said(&both.lease(&asks(2, 2, 90, at), at)), Some((90, 0, 100)), "it was silent for too long");
    assert_eq!(said(&both.lease(&asks(1, 2, 100, at), at)), Some((3, 0, 100)), "and begins anew");
    // A final flush of somebody else ends nothing, nor does one of which a number is missing.
    let end = |of: u8, by: u8, head| {
        let statement = Statement { emitter: emitter(of), head, dropped: 0, drops: Vec::new(), ended: true };
        Delivery { sender: by_key(&emitter(by)), statement: Some(statement), arrivals: Vec::new() }
    };
    both.append(&end(2, 3, 0), at);
    assert_eq!(said(&both.lease(&asks(1, 3, 100, at), at)), Some((5, 0, 100)));
    both.append(&send(&emitter(2), vec![call(&emitter(2), 1, "acme", NOON_NS, 40)]), at);
    both.append(&end(2, 2, 2), at);
    assert_eq!(said(&both.lease(&asks(1, 4, 100, at), at)), Some((7, 0, 60)));
    both.append(&send(&emitter(2), vec![call(&emitter(2), 2, "acme", NOON_NS, 10)]), at);
    both.append(&end(2, 2, 2), at);
    assert_eq!(said(&both.lease(&asks(1, 5, 50, at), at)), Some((50, 0, 50)));
    assert_eq!(said(&both.lease(&asks(2, 9, 10, at), at)), Some((0, 0, 50)), "nothing is left for it");
    both.assert_same();
    // Windows that are long over are forgotten, their leases with them; their balances stay.
    let id = both.reader.budgets().unwrap().get("day").unwrap().id;
    let tomorrow = NOON_NS + DAY_NS as i64;
    both.lease(&asks(3, 1, 1, tomorrow), tomorrow);
    assert_eq!(leases(&*both.reader, id).len(), 1);
    assert_eq!(tokens(&*both.reader, id), ["=50"]);
    both.assert_same();
}

/// A worker to which no call came.
fn who_ends_without_a_call_holds_nothing(fresh: Fresh<'_>) {
    let mut both = Both::new(fresh);
    both.set(&draft("day", "100"), NOON_NS);
    let asks = |of: u8, number| ask(&emitter(of), number, "day", NOON_NS, 100, 100);
    assert_eq!(said(&both.lease(&asks(1, 1), NOON_NS)), Some((100, 0, 100)));
    let end = |by: u8| {
        let statement = Statement { emitter: emitter(1), head: 0, dropped: 0, drops: Vec::new(), ended: true };
        Delivery { sender: by_key(&emitter(by)), statement: Some(statement), arrivals: Vec::new() }
    };
    both.append(&end(2), NOON_NS);
    assert_eq!(said(&both.lease(&asks(2, 1), NOON_NS)), Some((0, 0, 100)), "only itself can say so");
    both.append(&end(1), NOON_NS);
    assert_eq!(said(&both.lease(&asks(2, 2), NOON_NS)), Some((100, 0, 100)));
    both.assert_same();
}

fn windows_that_are_far_are_not_granted(fresh: Fresh<'_>) {
    let mut both = Both::new(fresh);
    both.set(&Draft { window: Some("minute".to_owned()), ..draft("minute", "100") }, NOON_NS);
    let cases = [(-3601, false), (-3600, true), (0, true), (600, true), (601, false), (86_400, false)];
    for (number, (seconds, is_near)) in (1..).zip(cases) {
        let response = both.lease(&ask(&emitter(1), number, "minute", NOON_NS + seconds * SECOND_NS, 1, 1), NOON_NS);
        assert_eq!(response.leases[0].is_some(), is_near, "{seconds}");
        if let Some(lease) = response.leases[0] {
            let at_s = second(NOON_NS) + seconds;
            assert_eq!((lease.window_s as i64, lease.until_s as i64), (at_s - at_s % 60, at_s - at_s % 60 + 60));
        }
    }
    both.assert_same();
}

/// The collector's clock goes back over the end of a month, and on again.
fn a_clock_that_is_set_back_frees_nothing(fresh: Fresh<'_>) {
    let mut both = Both::new(fresh);
    both.set(&Draft { window: Some("month".to_owned()), ..draft("month", "100") }, NOON_NS);
    let asks = |of: u8, number, at_ns, up_to| ask(&emitter(of), number, "month", at_ns, up_to, up_to);
    let back = NOON_NS - 35 * DAY_NS as i64;
    assert_eq!(said(&both.lease(&asks(1, 1, NOON_NS, 60), NOON_NS)), Some((60, 0, 100)));
    assert_eq!(both.lease(&asks(2, 1, NOON_NS, 100), back).leases, [None], "that window is far ahead of it");
    // October is another window, and what is granted there is no part of November.
    assert_eq!(said(&both.lease(&asks(2, 2, back, 100), back)), Some((100, 0, 100)));
    assert_eq!(said(&both.lease(&asks(2, 3, NOON_NS, 100), NOON_NS)), Some((10, 0, 100)), "40 are left for it");
    assert_eq!(said(&both.lease(&asks(1, 2, NOON_NS, 60), NOON_NS)), Some((60, 0, 100)), "and nobody has lost any");
    both.assert_same();
}

fn verify_finds_a_balance_that_is_not_that_of_its_entries(fresh: Fresh<'_>) {
    let mut both = Both::new(fresh);
    both.set(&draft("day", "100"), NOON_NS);
    both.append(&send(&emitter(1), vec![call(&emitter(1), 1, "acme", NOON_NS, 25)]), NOON_NS);
    both.assert_same();
    let id = both.reader.budgets().unwrap().get("day").unwrap().id;
    let key =
        crate::budget::balance::WindowKey { budget: id, begins_s: second(NOON_NS) - 43_200, subject: String::new() };
    let mut keep = |known: crate::store::Known| crate::store::Changes {
        head: known.head,
        spent: [(key.clone(), Amount::of_tokens(1))].into(),
        ..Default::default()
    };
    both.ledger.store_mut().transact(&Default::default(), &mut keep).unwrap();
    let failure = crate::verify::verify(&*both.reader, &[], || ()).unwrap_err().to_string();
    let expected =
        "the balance of the budget day, the window from 2026-11-29 00:00:00 +00:00 is not that of its entries";
    assert_eq!(failure, expected);
}
