//! Which records are of one call: only what is proven is not charged.

use super::*;
use crate::copies::{Pair, each};
use crate::store::responses::SLOTS;

/// What one meter saw of a call.
pub(super) fn seen() -> Record {
    let mut record = Record { provider: "openai".to_owned(), evidence: Evidence::Reported, ..Record::default() };
    (record.started_ns, record.duration_us) = (DAY_NS, 1_000_000);
    record.response_id = Some("chatcmpl-1".to_owned());
    record.request_id = Some("request-1".to_owned());
    (record.trace_id, record.span_id) = (Some("a".repeat(32)), Some("b".repeat(16)));
    record.proxy = Some(emitter(1));
    record.request_model = Some("asked".to_owned());
    (record.identity.tenant, record.identity.source) = ("acme".to_owned(), Source::Header);
    record.usage.set(Class::InputText, Some(100));
    record.usage.set(Class::OutputText, Some(10));
    record
}

/// The same input in another class.
fn split_otherwise() -> Usage {
    let mut usage = Usage::default();
    usage.set(Class::CacheRead, Some(100));
    usage.set(Class::OutputText, Some(10));
    usage
}

/// What the meter of the next proxy saw of it.
pub(super) fn seen_behind() -> Record {
    Record { proxy: Some(emitter(2)), started_ns: DAY_NS + 1000, ..seen() }
}

pub(super) fn send(ledger: &mut Ledger<Box<dyn Store>>, meter: u8, sequence: u64, record: &Record) {
    let arrivals = vec![Arrival::new(wire::event::encode(record, &emitter(meter), sequence))];
    let taken = ledger.append(&[&Delivery { sender: sender(false), statement: None, arrivals }], NOW_NS).unwrap();
    assert_eq!((taken.len(), taken[0].accepted, taken[0].duplicates, taken[0].alarms), (1, 1, 0, 0));
}

fn pairs(reader: &dyn Reader) -> Vec<Pair> {
    all(|row| each(reader, row))
}

pub fn run(fresh: Fresh<'_>) {
    only_what_is_proven_is_a_copy(fresh);
    the_tenant_that_is_known_is_charged(fresh);
    a_call_through_three_proxies_is_charged_once(fresh);
    the_larger_estimate_is_charged(fresh);
    counts_replace_an_estimate_that_was_rated_anew(fresh);
    a_server_that_repeats_its_ids_hides_no_pair(fresh);
    a_request_id_that_is_repeated_is_one_call_per_proxy(fresh);
    a_report_far_below_an_estimate_takes_no_place(fresh);
    no_call_passes_two_replicas_of_one_workload(fresh);
    what_both_owe_is_compared(fresh);
    responses_without_an_id_are_known_by_the_providers_id_of_the_request(fresh);
}

/// Embeddings, images, speech, Bedrock's Converse. A server that repeats the mesh's id has given none of its own.
fn responses_without_an_id_are_known_by_the_providers_id_of_the_request(fresh: Fresh<'_>) {
    let without = |record: Record, id: Option<&str>| Record {
        response_id: None,
        provider_request_id: id.map(str::to_owned),
        ..record
    };
    for (first, second, is_copy, noted) in [
        (Some("req-1"), Some("req-1"), true, 0),
        (Some("req-1"), Some("req-2"), false, 0),
        (Some("request-1"), Some("request-1"), false, 0),
        (None, None, false, 0),
    ] {
        let (store, reader) = fresh();
        let mut ledger = Ledger::new(store);
        send(&mut ledger, 1, 1, &without(seen(), first));
        send(&mut ledger, 2, 1, &without(seen_behind(), second));
        assert_eq!(kinds(&*reader), if is_copy { (1, 1) } else { (2, 0) }, "{first:?} {second:?}");
        assert_eq!(pairs(&*reader).len(), noted, "{first:?} {second:?}");
    }
    // Where the proof is missing, the pair is told.
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    send(&mut ledger, 1, 1, &without(seen(), Some("req-1")));
    send(&mut ledger, 2, 1, &without(Record { request_id: None, trace_id: None, ..seen_behind() }, Some("req-1")));
    let pairs = pairs(&*reader);
    assert_eq!((pairs.len(), pairs[0].response_id.as_str(), pairs[0].missing.len()), (1, "req-1", 2));
}

/// However alike they are; who gave two workloads one name is told.
fn no_call_passes_two_replicas_of_one_workload(fresh: Fresh<'_>) {
    let of = |record: Record, cluster: &str| Record { node_cluster: Some(cluster.to_owned()), ..record };
    let third = Record { proxy: Some(emitter(3)), ..seen() };
    for (clusters, due, told) in [
        (["edge", "edge", "edge"], (3, 0), 2),
        (["edge", "inner", "edge"], (2, 1), 1),
        (["a", "b", "c"], (1, 2), 0),
        (["", "", ""], (1, 2), 0),
    ] {
        let (store, reader) = fresh();
        let mut ledger = Ledger::new(store);
        for (meter, record) in [seen(), seen_behind(), third.clone()].into_iter().enumerate() {
            send(&mut ledger, 1 + meter as u8, 1, &of(record, clusters[meter]));
        }
        let noted: Vec<_> = pairs(&*reader).into_iter().map(|pair| pair.missing).collect();
        assert_eq!((kinds(&*reader), noted.len()), (due, told), "{clusters:?}: {noted:?}");
        assert!(noted.iter().all(|missing| *missing == ["node_cluster is the same"]), "{noted:?}");
    }
    // With other ids nobody would take them for one call, and they are not told.
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    let other = Record { request_id: Some("request-2".to_owned()), trace_id: None, ..seen_behind() };
    send(&mut ledger, 1, 1, &of(seen(), "edge"));
    send(&mut ledger, 2, 1, &of(other, "edge"));
    assert_eq!((kinds(&*reader), pairs(&*reader).len()), ((2, 0), 0));
}

/// A record whose facts make it cheaper is not of the call of a dearer one, whichever comes first; a fact that changes no price
/// is no matter.
fn what_both_owe_is_compared(fresh: Fresh<'_>) {
    const BOOK: &str = "
[[price]]
provider = 'openai'
model = '*'
valid_from = 1970-01-01
input_text = '1'
output_text = '2'
[[price]]
provider = 'openai'
model = '*'
valid_from = 1970-01-01
service_tier = 'batch'
input_text = '0.5'
output_text = '1'
";
    let prices = std::sync::Arc::new(crate::prices::PriceBook::parse(BOOK).unwrap());
    type Fact = (&'static str, fn(&mut Record), bool);
    let facts: [Fact; 5] = [
        ("the same", |_| {}, true),
        ("a region without prices of its own", |record| record.region = Some("eu".to_owned()), true),
        ("not billed", |record| record.flags.insert(Flag::NotBilled), false),
        ("prepaid", |record| record.service_tier = Some("provisioned_throughput".to_owned()), false),
        ("half the price", |record| record.service_tier = Some("batch".to_owned()), false),
    ];
    for (name, change, is_copy) in facts {
        for forged_first in [false, true] {
            for estimated in [false, true] {
                let (store, reader) = fresh();
                let mut ledger = Ledger::new(store);
                ledger.set_prices(Some(prices.clone()));
                let evidence = if estimated { Evidence::Estimated } else { Evidence::Reported };
                let (real, mut forged) = (Record { evidence, ..seen() }, seen_behind());
                change(&mut forged);
                let both = if forged_first { [&forged, &real] } else { [&real, &forged] };
                send(&mut ledger, 1, 1, both[0]);
                send(&mut ledger, 2, 1, both[1]);
                let standing = all(|each| reader.standing(&Selection::default(), each));
                let real = standing.iter().filter(|entry| entry.charge.to_string() == "0.00012").count();
                let due = if is_copy { (1, 1, 0) } else { (2, 1, 1) };
                let found = (standing.len(), real, pairs(&*reader).len());
                assert_eq!(found, due, "{name}, forged first: {forged_first}, estimated: {estimated}");
            }
        }
    }
}

/// Whoever may charge a tenant could forge a small report in the place of a large estimate, before it or behind it: both are
/// charged, and a person is told.
fn a_report_far_below_an_estimate_takes_no_place(fresh: Fresh<'_>) {
    let of = |record: Record, evidence, tokens| {
        let mut record = Record { evidence, ..record };
        record.usage = Usage::default();
        record.usage.set(Class::OutputText, Some(tokens));
        record
    };
    for (estimate, report, is_far) in [(4_101, 1_000, true), (4_100, 1_000, false), (100, 0, false), (101, 0, true)] {
        for report_first in [false, true] {
            let (store, reader) = fresh();
            let mut ledger = Ledger::new(store);
            let (estimated, reported) =
                (of(seen(), Evidence::Estimated, estimate), of(seen_behind(), Evidence::Reported, report));
            let both = if report_first { [&reported, &estimated] } else { [&estimated, &reported] };
            send(&mut ledger, 1, 1, both[0]);
            send(&mut ledger, 2, 1, both[1]);
            let standing = all(|each| reader.standing(&Selection::default(), each)).len();
            let noted: Vec<_> = pairs(&*reader).into_iter().map(|pair| pair.missing).collect();
            let told = vec![vec!["the estimate is far above the report".to_owned()]];
            let due = if is_far { (2, told) } else { (1, Vec::new()) };
            assert_eq!((standing, noted), due, "{estimate} {report} {report_first}");
        }
    }
}

/// What a second record changes, whether it is a copy then, and what is noted of it.
type Case = (&'static str, fn(&mut Record), bool, &'static [&'static str]);

fn only_what_is_proven_is_a_copy(fresh: Fresh<'_>) {
    let none: &[&str] = &[];
    let cases: &[Case] = &[
        ("all is the same", |_| {}, true, none),
        ("another request id, the same span", |second| second.request_id = Some("other".to_owned()), true, none),
        ("another span, the same request id", |second| second.span_id = Some("c".repeat(16)), true, none),
        ("counts that were not reported", |second| second.evidence = Evidence::Estimated, true, none),
        ("no tenant that is known", |second| second.identity = Default::default(), true, none),
        ("another tenant", |second| second.identity.tenant = "globex".to_owned(), false, &["tenant differs"]),
        ("another model that responded", |second| second.response_model = Some("free".to_owned()), false, none),
        ("other classes of the same sum", |second| second.usage = split_otherwise(), false, none),
        (
            "neither",
            |second| {
                second.request_id = Some("other".to_owned());
                second.span_id = None;
            },
            false,
            &["request_id differs", "span_id is missing"],
        ),
        (
            "no ids of the mesh",
            |second| (second.request_id, second.trace_id, second.span_id) = (None, None, None),
            false,
            &["request_id is missing", "trace_id is missing"],
        ),
        (
            "an empty request id",
            |second| (second.request_id, second.trace_id) = (Some(String::new()), None),
            false,
            &["request_id is missing", "trace_id is missing"],
        ),
        ("no proxy", |second| second.proxy = None, false, &["proxy is missing"]),
        ("the same proxy", |second| second.proxy = Some(emitter(1)), false, none),
        ("another model", |second| second.request_model = Some("dear".to_owned()), false, &["request_model differs"]),
        ("no model", |second| second.request_model = None, false, &["request_model is missing"]),
        ("other counts", |second| second.usage.set(Class::InputText, Some(1_000_000)), false, none),
        ("another time", |second| second.started_ns += 4_000_000_000, false, none),
        (
            "overlapping times, neither within the other",
            |second| (second.started_ns, second.duration_us) = (DAY_NS + 2_500_000_000, 10_000_000),
            false,
            &["neither was under way within the other's time"],
        ),
        (
            "around the first",
            |second| (second.started_ns, second.duration_us) = (DAY_NS - 5_000_000_000, 7_000_000),
            true,
            none,
        ),
        ("a workload, where the first names none", |second| second.node_cluster = Some("edge".to_owned()), true, none),
        ("not billed", |second| second.flags.insert(Flag::NotBilled), false, &["flags differs"]),
        ("another tier", |second| second.service_tier = Some("batch".to_owned()), false, &["service_tier differs"]),
        ("another region", |second| second.region = Some("eu-west-1".to_owned()), false, &["region differs"]),
        ("a failure", |second| second.status = Some(200), false, &["status differs"]),
        ("another cost", |second| second.provider_cost_nano_usd = Some(0), false, &["provider_cost_nano_usd differs"]),
        ("another provider", |second| second.provider = "azure".to_owned(), false, none),
        ("another part", |second| second.part = Some("advisor".to_owned()), false, none),
        ("another response", |second| second.response_id = Some("chatcmpl-2".to_owned()), false, none),
    ];
    for (name, change, is_copy, missing) in cases {
        let (store, reader) = fresh();
        let mut ledger = Ledger::new(store);
        let mut second = seen_behind();
        change(&mut second);
        send(&mut ledger, 1, 1, &seen());
        send(&mut ledger, 2, 1, &second);
        assert_eq!(kinds(&*reader), if *is_copy { (1, 1) } else { (2, 0) }, "{name}");
        let noted: Vec<Vec<String>> = pairs(&*reader).into_iter().map(|pair| pair.missing).collect();
        let expected: Vec<Vec<String>> = [*missing]
            .iter()
            .filter(|missing| !missing.is_empty())
            .map(|missing| missing.iter().map(|text| (*text).to_owned()).collect())
            .collect();
        assert_eq!(noted, expected, "{name}");
        crate::verify::verify(&*reader, &[], || ()).unwrap();
    }
}

/// In any order; a request id that changes on the way is no matter where the span does not, and the other way round.
/// Whichever came first, the tenant that one of the meters knows is charged, and a record of nobody known replaces none of a
/// tenant's.
fn the_tenant_that_is_known_is_charged(fresh: Fresh<'_>) {
    let nobody = || Record { identity: Default::default(), ..seen_behind() };
    for nobody_first in [false, true] {
        for estimated in [false, true] {
            let (store, reader) = fresh();
            let mut ledger = Ledger::new(store);
            let evidence = if estimated { Evidence::Estimated } else { Evidence::Reported };
            let known = Record { evidence, ..seen() };
            let stranger = Record { evidence, ..nobody() };
            let (first, second) = if nobody_first { (&stranger, &known) } else { (&known, &stranger) };
            send(&mut ledger, 1, 1, first);
            send(&mut ledger, 2, 1, second);
            let standing = all(|each| reader.standing(&Selection::default(), each));
            let tenants: Vec<_> = standing.iter().map(|entry| entry.tenant.as_str()).collect();
            assert_eq!(tenants, ["acme"], "{nobody_first} {estimated}");
        }
    }
    // The counts that only the stranger has do not take a tenant's estimate away.
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    send(&mut ledger, 1, 1, &Record { evidence: Evidence::Estimated, ..seen() });
    send(&mut ledger, 2, 1, &nobody());
    let standing = all(|each| reader.standing(&Selection::default(), each));
    assert_eq!(standing.iter().map(|entry| entry.tenant.as_str()).collect::<Vec<_>>(), ["acme"]);
}

fn a_call_through_three_proxies_is_charged_once(fresh: Fresh<'_>) {
    let third = Record { proxy: Some(emitter(3)), span_id: Some("c".repeat(16)), ..seen_behind() };
    let records = [seen(), seen_behind(), third];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (store, reader) = fresh();
        let mut ledger = Ledger::new(store);
        for at in order {
            send(&mut ledger, 1 + at as u8, 1, &records[at]);
        }
        assert_eq!((kinds(&*reader), pairs(&*reader)), ((1, 2), Vec::new()), "{order:?}");
    }
}

/// No cheap record stands for a dear one, whichever comes first.
fn the_larger_estimate_is_charged(fresh: Fresh<'_>) {
    let estimated = |record: Record, tokens| {
        let mut record = Record { evidence: Evidence::Estimated, ..record };
        record.usage.set(Class::OutputText, Some(tokens));
        record
    };
    for (first, second) in [(5, 90), (90, 5)] {
        let (store, reader) = fresh();
        let mut ledger = Ledger::new(store);
        send(&mut ledger, 1, 1, &estimated(seen(), first));
        send(&mut ledger, 2, 1, &estimated(seen_behind(), second));
        let sums = all(|each| reader.rollup(&Selection::default(), each));
        let count = |name: &str| sums.iter().find(|row| row.counted.name() == name).unwrap().sum.quantity;
        assert_eq!((count("calls"), count("output_text_tokens")), (1, 90), "{first} {second}");
    }
}

/// What stands is taken back, not what once stood. What a person has taken back stays so.
fn counts_replace_an_estimate_that_was_rated_anew(fresh: Fresh<'_>) {
    for is_void in [false, true] {
        let (store, reader) = fresh();
        let mut ledger = Ledger::new(store);
        send(&mut ledger, 1, 1, &Record { evidence: Evidence::Estimated, ..seen() });
        for tenant in ["acme", "globex"] {
            let entry = all(|each| reader.standing(&Selection::default(), each)).remove(0);
            let rating = crate::prices::Rating::default();
            let instead = Some(Instead { tenant: tenant.to_owned(), rating }).filter(|_| !is_void || tenant == "acme");
            let correction = Correction { entry, instead, reason: "it was wrong".to_owned() };
            assert_eq!(ledger.correct(&[correction], NOW_NS).unwrap(), 1);
        }
        send(&mut ledger, 2, 1, &seen_behind());
        let standing = all(|each| reader.standing(&Selection::default(), each));
        let found: Vec<_> = standing.iter().map(|entry| (entry.emitter.as_str(), entry.tenant.as_str())).collect();
        let expected = if is_void { vec![] } else { vec![(emitter(2), "acme")] };
        assert_eq!(found, expected.iter().map(|(emitter, tenant)| (emitter.as_str(), *tenant)).collect::<Vec<_>>());
        crate::verify::verify(&*reader, &[], || ()).unwrap();
    }
}

/// Every call has the same response id. Those of two tenants in one Envoy are charged each; of those that go through a second
/// one, each is charged once, however many lie between its two records.
fn a_server_that_repeats_its_ids_hides_no_pair(fresh: Fresh<'_>) {
    const CALLS: u64 = 60;
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    let of = |number: u64, record: Record| {
        let mut record = Record { request_id: Some(format!("request-{number}")), trace_id: None, ..record };
        record.identity.tenant = format!("tenant-{}", number % 2);
        record.identity.source = Source::Header;
        Record { started_ns: record.started_ns + number, ..record }
    };
    for number in 1..=CALLS {
        // Two workers of one process.
        send(&mut ledger, 1 + 9 * (number % 2) as u8, number, &of(number, seen()));
    }
    assert_eq!((kinds(&*reader), pairs(&*reader).len()), ((CALLS, 0), 0));
    for number in (1..=CALLS).rev() {
        send(&mut ledger, 2, number, &of(number, seen_behind()));
    }
    assert_eq!((kinds(&*reader), pairs(&*reader).len()), ((CALLS, CALLS), 0));
    // Calls of a third proxy that nobody else saw: each may be a copy, and few are told.
    for number in CALLS + 1..=CALLS + 40 {
        let other = Record { proxy: Some(emitter(3 + (number % 2) as u8)), ..seen() };
        send(&mut ledger, 3 + (number % 2) as u8, number, &of(number, other));
    }
    assert_eq!(kinds(&*reader), (CALLS + 40, CALLS));
    let noted = pairs(&*reader);
    assert_eq!((noted.len() as i64, noted.iter().map(|pair| pair.records).sum::<i64>()), (SLOTS, 40));
    assert!(noted.iter().all(|pair| pair.is_open() && pair.missing[0] == "request_id differs"), "{noted:?}");
    // A person decides.
    let second = all(|each| reader.standing(&Selection::default(), each))
        .into_iter()
        .find(|entry| format!("{}-{}", entry.emitter, entry.sequence) == noted[0].second.call)
        .unwrap();
    let void = Correction { entry: second, instead: None, reason: "the same call".to_owned() };
    assert_eq!(ledger.correct(&[void], NOW_NS).unwrap(), 1);
    assert_eq!(pairs(&*reader).iter().filter(|pair| pair.is_open()).count() as i64, SLOTS - 1);
    crate::verify::verify(&*reader, &[], || ()).unwrap();
}

/// Whoever repeats a request id at such a server has one call free for each that he pays, if it passed another proxy; none more.
fn a_request_id_that_is_repeated_is_one_call_per_proxy(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    send(&mut ledger, 1, 1, &seen());
    for sequence in 1..=5 {
        send(&mut ledger, 2, sequence, &seen_behind());
    }
    assert_eq!(kinds(&*reader), (5, 1));
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    for sequence in 1..=2 {
        send(&mut ledger, 1, sequence, &seen());
    }
    for sequence in 1..=2 {
        send(&mut ledger, 2, sequence, &seen_behind());
    }
    assert_eq!(kinds(&*reader), (2, 2), "two calls with one request id, each seen by two meters");
}
