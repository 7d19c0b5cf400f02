//! Names that are replaced: nothing else changes, and nothing of them is left.

use std::collections::BTreeMap;

use wire::identity::Identity;
use wire::record::{Tag, TagSource};

use super::budgets::{NOON_NS, draft, set};
use super::*;
use crate::budget::Draft;
use crate::forget::{self, Failure, Request};
use crate::ledger::forget::{Of, Target};
use crate::ledger::limits::Limits;
use crate::store::Head;
use crate::store::forgetting::Forgotten;
use crate::tenant::TenantPattern;
use crate::verify::verify;

mod meanwhile;

pub use meanwhile::while_others_write;

/// A segment of a path that nothing else has in it.
const NAME: &str = "zoe.quux";
const HOUR_NS: i64 = 3_600_000_000_000;
const MONTH_NS: i64 = 31 * DAY_NS as i64;

pub fn run(fresh: Fresh<'_>) {
    nothing_but_the_name_changes_and_nothing_of_it_is_left(fresh);
    what_was_interrupted_goes_on_and_ends_as_if_it_had_not_been(fresh);
    what_comes_again_is_recognised_and_what_comes_later_keeps_the_name(fresh);
    principals_tags_and_paths_are_replaced_one_after_the_other(fresh);
    what_cannot_be_replaced_is_refused_and_nothing_has_changed(fresh);
    meanwhile::run(fresh);
}

pub fn tenant(path: &str) -> Target {
    Target::new(Of::Tenant, path).unwrap()
}

pub fn request(target: Target) -> Request {
    let (who, reason) = ("the officer".to_owned(), "asked for on 2026-11-29".to_owned());
    Request { target, pseudonym: None, who, reason }
}

fn called(tenant: &str, began_ns: i64, tokens: u64) -> Record {
    let mut record = Record { provider: "openai".to_owned(), evidence: Evidence::Reported, ..Record::default() };
    record.started_ns = u64::try_from(began_ns).unwrap();
    let principal = Some(format!("spiffe://mesh/{tenant}"));
    record.identity = Identity { tenant: tenant.to_owned(), source: Source::Spiffe, principal };
    record.response_model = Some("responded".to_owned());
    record.response_id = Some(format!("chatcmpl-{tokens}"));
    record.request_id = Some(format!("request-{tokens}"));
    record.duration_us = 1;
    record.tags = vec![
        Tag { name: "user".to_owned(), value: tenant.to_owned(), source: TagSource::Jwt },
        Tag { name: "team".to_owned(), value: "blue".to_owned(), source: TagSource::Header },
    ];
    record.usage.set(Class::InputText, Some(tokens));
    record.usage.set(Class::CacheRead, Some(0));
    record
}

fn of_meter(meter: u8, sequence: u64, record: &Record) -> Delivery {
    let record = Record { proxy: Some(emitter(meter)), ..record.clone() };
    let arrivals = vec![Arrival::new(wire::event::encode(&record, &emitter(meter), sequence))];
    Delivery { sender: sender(false), statement: None, arrivals }
}

/// Calls of the person and of others: copies, corrections, some after their month was closed, an alarm, budgets.
pub fn filled<S: Store>(ledger: &mut Ledger<S>, reader: &dyn Reader) -> i64 {
    ledger.set_prices(Some(std::sync::Arc::new(PriceBook::parse(BOOK).unwrap())));
    let person = format!("acme/{NAME}");
    let some = |text: &str| Some(text.to_owned());
    let each =
        Draft { per_tenant: Some(true), tenant: some("acme"), window: some("month"), ..draft("each", "1000000") };
    let budget = set(ledger, &each, NOON_NS - HOUR_NS).unwrap();
    set(ledger, &Draft { tenant: Some(person.clone()), ..draft("hers", "5") }, NOON_NS - HOUR_NS).unwrap();
    ledger.remove_budget("hers", "ann", "no more", NOON_NS - HOUR_NS).unwrap().unwrap();
    let (below, other) = (format!("{person}/laptop"), format!("acme/{NAME}y"));
    for (sequence, (tenant, at_ns, tokens)) in (1..).zip([
        (&person, NOON_NS - MONTH_NS, 100),
        (&person, NOON_NS - HOUR_NS, 200),
        (&below, NOON_NS, 300),
        (&other, NOON_NS, 400),
        (&person, NOON_NS + 1, 500),
    ]) {
        let taken = ledger.append(&[&of_meter(1, sequence, &called(tenant, at_ns, tokens))], NOON_NS + 2).unwrap();
        assert_eq!(taken[0].accepted, 1);
    }
    // Seen by another meter: a copy.
    let copy = ledger.append(&[&of_meter(2, 1, &called(&person, NOON_NS + 1, 500))], NOON_NS + 3).unwrap();
    assert_eq!(copy[0].accepted, 1);
    ledger.close_month("2026-10".parse().unwrap(), "invoiced", NOON_NS + 4).unwrap().unwrap();
    let standing = all(|each| reader.standing(&Selection::default(), each));
    let rating = |entry: &Entry| crate::ledger::correct::rating_of(entry).unwrap();
    let to = |entry: &Entry, tenant: &str| Some(Instead { tenant: tenant.to_owned(), rating: rating(entry) });
    let by_sequence = |sequence: i64| {
        standing.iter().find(|entry| entry.sequence == sequence && entry.emitter == emitter(1)).unwrap().clone()
    };
    let reason = "a test".to_owned();
    let corrections = [
        Correction { instead: None, entry: by_sequence(1), reason: reason.clone() },
        Correction { instead: to(&by_sequence(2), &other), entry: by_sequence(2), reason: reason.clone() },
        Correction { instead: to(&by_sequence(4), &person), entry: by_sequence(4), reason },
    ];
    assert_eq!(ledger.correct(&corrections, NOON_NS + 5).unwrap(), 3);
    let limits = Limits { tenants: vec![TenantPattern::parse("globex").unwrap()], ..Limits::default() };
    let bound = Sender { limits: std::sync::Arc::new(limits), ..Sender::new("default", false) };
    let alarm = Delivery { sender: bound, ..of_meter(1, 6, &called(&person, NOON_NS, 600)) };
    assert_eq!(ledger.append(&[&alarm], NOON_NS + 6).unwrap()[0].alarms, 1);
    budget
}

pub fn forget_all<S: Store>(reader: &dyn Reader, ledger: &mut Ledger<S>, request: Request) -> Result<String, Failure> {
    let plan = forget::plan(reader, request, NOON_NS + 9, &mut || Ok(()))?;
    let (_, entries) = forget::run(reader, ledger, &plan, NOON_NS + 9, &mut || Ok(()))?;
    assert_eq!(entries, plan.found.entries);
    Ok(plan.pseudonym().to_owned())
}

/// The person's name is replaced wherever it is known as one.
pub fn forget_person<S: Store>(reader: &dyn Reader, ledger: &mut Ledger<S>) {
    let path = format!("acme/{NAME}");
    for below in ["", "/laptop"] {
        for (of, name) in [
            (Of::Principal, format!("spiffe://mesh/{path}{below}")),
            (Of::Tag("user".to_owned()), format!("{path}{below}")),
        ] {
            forget_all(reader, ledger, request(Target::new(of, &name).unwrap())).unwrap();
        }
    }
    forget_all(reader, ledger, request(tenant(&path))).unwrap();
}

/// How often the name is in a file's bytes, but not the other one that begins so.
pub fn count_name(bytes: &[u8]) -> usize {
    let name = NAME.as_bytes();
    let is_it = |at: usize| bytes.get(at + name.len()) != Some(&b'y');
    bytes.windows(name.len()).enumerate().filter(|(at, part)| *part == name && is_it(*at)).count()
}

/// Sums, entries that stand, and balances: as text.
fn counted(reader: &dyn Reader, budget: i64) -> Vec<String> {
    let every = Selection::default();
    let mut counted: Vec<String> =
        all(|each| reader.rollup(&every, each)).iter().map(|row| format!("{row:?}")).collect();
    counted.extend(totals::reports(reader));
    counted.extend(all(|each| reader.standing(&every, each)).iter().map(|entry| {
        let Entry { id, tenant, charge, cost, billed, rating, .. } = entry;
        format!("{id} {tenant} {charge} {cost} {billed:?} {rating:?}")
    }));
    counted.extend(budgets::balances(reader, budget).iter().map(|balance| format!("{balance:?}")));
    counted.sort();
    counted
}

/// With another name.
fn named(counted: &[String], name: &str, new: &str) -> Vec<String> {
    let other = format!("{name}y");
    let mut counted: Vec<String> = counted
        .iter()
        .map(|line| line.replace(&other, "(other)").replace(name, new).replace("(other)", &other))
        .collect();
    counted.sort();
    counted
}

fn heads(reader: &dyn Reader) -> Vec<Head> {
    verify(reader, &[], || ()).unwrap_or_else(|failure| panic!("{failure}"))
}

fn everything(reader: &dyn Reader) -> String {
    let mut text: Vec<String> = seen(reader).into_values().flatten().collect();
    text.extend(reader.budget_changes().unwrap().iter().map(|entry| format!("{entry:?}")));
    let quarantined = all(|each| reader.quarantined(Whose::All, each));
    text.extend(quarantined.iter().map(|kept| String::from_utf8_lossy(&kept.last.bytes).into_owned()));
    text.join("\n")
}

/// The name, but not the other one that begins so.
fn has_name(text: &str) -> bool {
    text.replace(&format!("{NAME}y"), "").contains(NAME)
}

fn nothing_but_the_name_changes_and_nothing_of_it_is_left(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    let budget = filled(&mut ledger, &*reader);
    let (noted, before) = (heads(&*reader), counted(&*reader, budget));
    assert!(has_name(&everything(&*reader)));
    let path = format!("acme/{NAME}");
    let drawn = forget_all(&*reader, &mut ledger, request(tenant(&path))).unwrap();
    assert!(drawn.starts_with("forgotten-") && drawn.len() == 26, "{drawn}");
    assert_eq!(counted(&*reader, budget), named(&before, NAME, &drawn), "only the name is another");
    verify(&*reader, &noted, || ()).unwrap_or_else(|failure| panic!("{failure}"));
    // Principal and tag have the path in them, and are names of their own.
    for target in
        [Target::new(Of::Principal, &format!("spiffe://mesh/{path}")), Target::new(Of::Tag("user".into()), &path)]
    {
        forget_all(&*reader, &mut ledger, request(target.unwrap())).unwrap();
    }
    for below in [
        Target::new(Of::Principal, &format!("spiffe://mesh/{path}/laptop")),
        Target::new(Of::Tag("user".into()), &format!("{path}/laptop")),
    ] {
        forget_all(&*reader, &mut ledger, request(below.unwrap())).unwrap();
    }
    verify(&*reader, &noted, || ()).unwrap_or_else(|failure| panic!("{failure}"));
    let left = everything(&*reader);
    assert!(!has_name(&left), "{left}");
    let said: Vec<Forgotten> = reader.forgotten().unwrap().iter().filter_map(Forgotten::read).collect();
    assert_eq!((said.len(), said[0].what.as_str(), said[0].who.as_str()), (5, "tenant", "the officer"));
    assert_eq!(said[0].pseudonym, drawn);
    assert!(reader.forgetting().unwrap().is_empty());
    // What is charged is corrected and released as before.
    let alarm = all(|each| reader.quarantined(Whose::All, each)).remove(0).last;
    ledger.release(&alarm, "she pays", NOON_NS + 20).unwrap().unwrap();
    let standing = all(|each| reader.standing(&Selection::default(), each));
    let hers = standing.iter().find(|entry| entry.tenant == format!("acme/{drawn}")).unwrap().clone();
    ledger.correct(&[Correction { entry: hers, instead: None, reason: "void".to_owned() }], NOON_NS + 21).unwrap();
    verify(&*reader, &noted, || ()).unwrap_or_else(|failure| panic!("{failure}"));
}

fn what_was_interrupted_goes_on_and_ends_as_if_it_had_not_been(fresh: Fresh<'_>) {
    let path = format!("acme/{NAME}");
    for killed_at in [0, 3, 9, 14] {
        let (store, reader) = fresh();
        let mut ledger = Ledger::new(store);
        let budget = filled(&mut ledger, &*reader);
        let (noted, before) = (heads(&*reader), counted(&*reader, budget));
        let asked = request(tenant(&path));
        let plan = forget::plan(&*reader, asked.clone(), NOON_NS + 9, &mut || Ok(())).unwrap();
        let mut entries = 0;
        let killed = forget::run_by(&*reader, &mut ledger, &plan, NOON_NS + 9, 2, &mut || {
            entries += 1;
            if entries > killed_at { Err(StoreError::Unusable("killed".to_owned())) } else { Ok(()) }
        });
        assert!(killed.is_err_and(|failure| failure.to_string() == "killed"));
        assert_eq!(reader.forgetting().unwrap().len(), 1);
        if killed_at > 9 {
            let told = verify(&*reader, &noted, || ()).unwrap_err().to_string();
            assert!(told.ends_with("if meshmeter forget was interrupted, run it again"), "{told}");
        }
        let other = Request { pseudonym: Some("other".to_owned()), ..asked.clone() };
        let told = forget::plan(&*reader, other, NOON_NS + 9, &mut || Ok(())).unwrap_err().to_string();
        assert!(told.starts_with("it was begun with the pseudonym forgotten-"), "{told}");
        let again = forget::plan(&*reader, asked, NOON_NS + 9, &mut || Ok(())).unwrap();
        assert_eq!(again.pseudonym(), plan.pseudonym());
        let (_, entries) = forget::run(&*reader, &mut ledger, &again, NOON_NS + 9, &mut || Ok(())).unwrap();
        assert_eq!(entries, plan.found.entries, "{killed_at}: those of both runs");
        assert_eq!(counted(&*reader, budget), named(&before, NAME, plan.pseudonym()), "{killed_at}");
        verify(&*reader, &noted, || ()).unwrap_or_else(|failure| panic!("{killed_at}: {failure}"));
        assert!(reader.forgetting().unwrap().is_empty());
    }
}

fn what_comes_again_is_recognised_and_what_comes_later_keeps_the_name(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    filled(&mut ledger, &*reader);
    let path = format!("acme/{NAME}");
    let again = called(&path, NOON_NS + 1, 500);
    let drawn = forget_all(&*reader, &mut ledger, request(tenant(&path))).unwrap();
    let kept = all(|each| reader.quarantined(Whose::All, each)).len();
    let taken = ledger.append(&[&of_meter(1, 5, &again), &of_meter(2, 1, &again)], NOON_NS + 10).unwrap();
    assert_eq!(taken.iter().map(|taken| (taken.duplicates, taken.alarms)).collect::<Vec<_>>(), [(1, 0), (1, 0)]);
    assert_eq!(all(|each| reader.quarantined(Whose::All, each)).len(), kept, "nothing brings the name back");
    // Another content under the number is one still, whatever its name.
    let mut forged = again.clone();
    forged.usage.set(Class::InputText, Some(501));
    assert_eq!(ledger.append(&[&of_meter(1, 5, &forged)], NOON_NS + 11).unwrap()[0].alarms, 1);
    let mut forged = again.clone();
    forged.identity.principal = Some("spiffe://mesh/mallory".to_owned());
    assert_eq!(ledger.append(&[&of_meter(1, 5, &forged)], NOON_NS + 11).unwrap()[0].alarms, 1);
    assert_eq!(ledger.append(&[&of_meter(1, 7, &called(&path, NOON_NS, 700))], NOON_NS + 12).unwrap()[0].accepted, 1);
    let sums: BTreeMap<String, i64> = all(|each| reader.rollup(&Selection::default(), each))
        .into_iter()
        .filter(|row| row.counted.name() == "input_text_tokens" && row.adjusts.is_empty())
        .filter(|row| row.tenant == path || row.tenant == format!("acme/{drawn}"))
        .fold(BTreeMap::new(), |mut sums, row| {
            *sums.entry(row.tenant).or_default() += row.sum.quantity;
            sums
        });
    assert_eq!(sums, BTreeMap::from([(path.clone(), 700), (format!("acme/{drawn}"), 100 + 400 + 500)]));
    heads(&*reader);
    // And can be replaced in its turn, by another pseudonym.
    let second = forget_all(&*reader, &mut ledger, request(tenant(&path))).unwrap();
    assert_ne!(drawn, second);
    heads(&*reader);
}

fn principals_tags_and_paths_are_replaced_one_after_the_other(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    filled(&mut ledger, &*reader);
    ledger.remove_budget("each", "ann", "it is for acme", NOON_NS + 7).unwrap().unwrap();
    let path = format!("acme/{NAME}");
    let noted = heads(&*reader);
    let mut ask = |target: Target, pseudonym: &str| {
        let request = Request { pseudonym: Some(pseudonym.to_owned()), ..request(target) };
        forget_all(&*reader, &mut ledger, request).unwrap();
        verify(&*reader, &noted, || ()).unwrap_or_else(|failure| panic!("{pseudonym}: {failure}"));
    };
    ask(Target::new(Of::Tag("user".to_owned()), &path).unwrap(), "tag-1");
    ask(tenant(&path), "person-1");
    ask(tenant("acme/person-1/laptop"), "thing-1");
    ask(tenant("acme"), "company-1");
    let tenants: BTreeSet<String> =
        all(|each| reader.standing(&Selection::default(), each)).into_iter().map(|entry| entry.tenant).collect();
    let (person, thing) = ("company-1/person-1".to_owned(), "company-1/person-1/thing-1".to_owned());
    assert_eq!(tenants, BTreeSet::from([person, thing, format!("company-1/{NAME}y")]));
    let event = entries(&*reader).into_iter().rfind(|entry| entry.kind == Kind::Call).unwrap().event.unwrap();
    assert!(event.contains(r#"["user","tag-1","jwt"],["team","blue","header"]"#), "{event}");
}

fn what_cannot_be_replaced_is_refused_and_nothing_has_changed(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    filled(&mut ledger, &*reader);
    let path = format!("acme/{NAME}");
    let before = everything(&*reader);
    let mut told = |target: Target, pseudonym: Option<&str>| {
        let request = Request { pseudonym: pseudonym.map(str::to_owned), ..request(target) };
        forget_all(&*reader, &mut ledger, request).unwrap_err().to_string()
    };
    assert_eq!(told(tenant("acme/nobody"), None), "the ledger has no tenant acme/nobody");
    assert_eq!(told(Target::new(Of::Tag("team".into()), NAME).unwrap(), None), format!("the ledger has no tag {NAME}"));
    assert_eq!(told(tenant(&path), Some("acme")), "acme is in the ledger already: choose another with --as");
    assert_eq!(told(tenant("acme"), None), "the budget each is for acme: remove it, or set it for another tenant");
    assert_eq!(everything(&*reader), before);
    assert!(reader.forgetting().unwrap().is_empty());
    for bad in ["", "unknown", "a b", "/a", "a/"] {
        assert!(Target::new(Of::Tenant, bad).is_err(), "{bad}");
    }
    let pseudonym = forget_all(&*reader, &mut ledger, request(tenant(&path))).unwrap();
    let mut told = |target: Target| forget_all(&*reader, &mut ledger, request(target)).unwrap_err().to_string();
    let of_pseudonym = format!("acme/{pseudonym}");
    assert_eq!(told(tenant(&of_pseudonym)), format!("{of_pseudonym} is a pseudonym already"));
}
