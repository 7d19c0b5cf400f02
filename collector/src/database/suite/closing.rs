//! What a person closes: months and emitters.

use super::*;
use crate::report::{Dimension, Format, Period, Question, Report, dimensions};
use crate::store::months::Month;

/// 2026-11-03, in the middle of a day.
const NOVEMBER_NS: i64 = 1_793_664_000_000_000_000 + 43_200_000_000_000;
const OCTOBER_NS: u64 = 1_793_000_000_000_000_000;
const DECEMBER_NS: i64 = NOVEMBER_NS + 30 * DAY_NS as i64;

pub fn run(fresh: Fresh<'_>) {
    only_a_month_that_is_over_is_closed_and_once(fresh);
    the_report_of_a_closed_month_never_changes(fresh);
    a_call_that_is_priced_after_its_month_was_closed_is_unpriced_no_more(fresh);
    a_late_call_without_a_price_keeps_the_month_open_in_which_it_counts(fresh);
    what_later_months_take_back_is_no_lack_of_a_price(fresh);
    who_is_charged_instead_lacks_a_price_too(fresh);
    an_emitter_that_a_person_closed_lacks_nothing(fresh);
    a_number_far_beyond_is_quarantined(fresh);
    what_cannot_be_read_is_dismissed_once(fresh);
}

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

fn record(tokens: u64) -> Record {
    let mut record = Record { provider: "openai".to_owned(), evidence: Evidence::Reported, ..Record::default() };
    record.response_model = Some("responded".to_owned());
    record.started_ns = OCTOBER_NS;
    record.usage.set(Class::InputText, Some(tokens));
    record
}

fn deliver(number: u64, record: &Record) -> Delivery {
    let arrivals = vec![Arrival::new(wire::event::encode(record, &emitter(1), number))];
    Delivery { sender: sender(false), statement: None, arrivals }
}

fn only_a_month_that_is_over_is_closed_and_once(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    let mut close = |text: &str| ledger.close_month(month(text), "the books are closed", NOVEMBER_NS).unwrap();
    for open in ["2026-11", "2026-12", "2027-01"] {
        let problem = format!("{open} is not over: only a month before this one can be closed");
        assert_eq!(close(open), Err(problem));
    }
    assert!(close("2026-10").is_ok() && close("2026-08").is_ok());
    assert_eq!(close("2026-10"), Err("2026-10 was closed before".to_owned()));
    let found: Vec<_> = reader.closings().unwrap().into_iter().map(|entry| (entry.started_ns, entry.reason)).collect();
    let due = |text: &str| (month(text).begins_ns(), Some("the books are closed".to_owned()));
    assert_eq!(found, [due("2026-08"), due("2026-10")]);
    crate::verify::verify(&*reader, &[], || ()).unwrap();
}

fn a_late_call_without_a_price_keeps_the_month_open_in_which_it_counts(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    ledger.append(&[&deliver(1, &record(1000))], OCTOBER_NS as i64).unwrap();
    assert!(ledger.close_month(month("2026-10"), "", NOVEMBER_NS).unwrap().is_ok());
    ledger.append(&[&deliver(2, &record(10))], NOVEMBER_NS).unwrap();
    let open = |text: &str| -> Vec<String> {
        let question = crate::gaps::Question { now_ns: NOVEMBER_NS, silent_after_ns: i64::MAX };
        let open = crate::open::find(&*reader, month(text), question).unwrap();
        open.iter().flat_map(crate::open::Open::lines).filter(|line| line.contains(", 2026-10-")).collect()
    };
    for (text, sequence) in [("2026-10", 1), ("2026-11", 2)] {
        let open = open(text);
        let named = format!("  {}-{sequence}, ", emitter(1));
        assert!(open.len() == 1 && open[0].starts_with(&named), "{open:?}");
    }
}

fn report(reader: &dyn Reader, text: &str, by: &[Dimension]) -> String {
    let month = month(text);
    let period = Period::days(Some(month.first_day()), Some(month.last_day()));
    let question = Question { period, by: by.to_vec(), round: Some(4), ..Question::default() };
    Report::of(reader, question).unwrap().render(Format::Json).unwrap()
}

fn standing(reader: &dyn Reader) -> Vec<Entry> {
    all(|each| reader.standing(&Selection::default(), each))
}

/// The adjustment counts on a later day; what it adjusts keeps its row.
fn a_call_that_is_priced_after_its_month_was_closed_is_unpriced_no_more(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let (mut ledger, mut memory) = (Ledger::new(store), Ledger::new(Memory::new()));
    let book = PriceBook::parse(BOOK).unwrap();
    let unpriced = |memory: &Ledger<Memory>| {
        let tallies = [reader.tally().unwrap(), memory.store().tally().unwrap()];
        assert_eq!(tallies[0], tallies[1]);
        tallies[0].unpriced_calls
    };
    for number in 1..=2 {
        let delivery = deliver(number, &record(1000));
        ledger.append(&[&delivery], OCTOBER_NS as i64).unwrap();
        memory.append(&[&delivery], OCTOBER_NS as i64).unwrap();
    }
    assert_eq!(unpriced(&memory), 2);
    assert!(ledger.close_month(month("2026-10"), "", NOVEMBER_NS).unwrap().is_ok());
    assert!(memory.close_month(month("2026-10"), "", NOVEMBER_NS).unwrap().is_ok());
    let corrections: Vec<Correction> = standing(&*reader)
        .into_iter()
        .map(|entry| Correction::by(&book, entry, "the price came late").unwrap().unwrap())
        .collect();
    // Of what was not priced one half still is not: its row counts whole.
    for (correction, left) in corrections.iter().zip([2, 0]) {
        ledger.correct(std::slice::from_ref(correction), NOVEMBER_NS).unwrap();
        memory.correct(std::slice::from_ref(correction), NOVEMBER_NS).unwrap();
        assert_eq!(unpriced(&memory), left);
    }
    // Another one of that month comes late, and has no price.
    let delivery = deliver(3, &record(1000));
    ledger.append(&[&delivery], NOVEMBER_NS + DAY_NS as i64).unwrap();
    memory.append(&[&delivery], NOVEMBER_NS + DAY_NS as i64).unwrap();
    assert!(unpriced(&memory) > 0);
}

/// The texts of a report of some months: as JSON, CSV, table and Markdown.
fn written(reader: &dyn Reader, since: &str, until: &str, by: &str) -> (serde_json::Value, [String; 3]) {
    let period = Period::days(Some(month(since).first_day()), Some(month(until).last_day()));
    let report = Report::of(reader, Question { period, by: dimensions(by).unwrap(), ..Question::default() }).unwrap();
    let json = serde_json::from_str(&report.render(Format::Json).unwrap()).unwrap();
    (json, [Format::Csv, Format::Table, Format::Markdown].map(|format| report.render(format).unwrap()))
}

/// One is priced, one is void, both after October was closed; November has one that has no price.
fn what_later_months_take_back_is_no_lack_of_a_price(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    let book = PriceBook::parse(BOOK).unwrap();
    let columns = ["provider", "evidence", "tenant,model", "day", "session"];
    (1..=2).for_each(|number| {
        ledger.append(&[&deliver(number, &record(1000))], OCTOBER_NS as i64).unwrap();
    });
    assert!(ledger.close_month(month("2026-10"), "", NOVEMBER_NS).unwrap().is_ok());
    let mut entries = standing(&*reader).into_iter();
    let priced = Correction::by(&book, entries.next().unwrap(), "the price came late").unwrap().unwrap();
    let void = Correction { entry: entries.next().unwrap(), instead: None, reason: "a test".to_owned() };
    ledger.correct(&[priced], NOVEMBER_NS).unwrap();
    ledger.correct(&[void], NOVEMBER_NS).unwrap();
    for by in columns {
        for [since, until] in [["2026-11", "2026-11"], ["2026-10", "2026-11"]] {
            let (json, texts) = written(&*reader, since, until, by);
            assert_eq!(json["notes"]["unpriced"], serde_json::Value::Null, "{by} {json}");
            assert!(!json.to_string().contains("unpriced"), "{by} {json}");
            for text in texts {
                assert!(!text.replace(",unpriced,", "").contains("unpriced"), "{text}");
            }
            assert_eq!(json["totals"][0]["charge"], "0.0025", "{by} {json}");
        }
        let (json, _) = written(&*reader, "2026-10", "2026-10", by);
        assert_eq!(json["notes"]["unpriced"][0]["tokens"], 2000, "what October says stays");
    }
    let late = Record { started_ns: NOVEMBER_NS as u64, ..record(70) };
    ledger.append(&[&deliver(3, &late)], NOVEMBER_NS).unwrap();
    for by in columns {
        for since in ["2026-10", "2026-11"] {
            let (json, [csv, table, markdown]) = written(&*reader, since, "2026-11", by);
            let said = &json["notes"]["unpriced"];
            assert_eq!((&said[0]["tokens"], &said[0]["calls"]), (&70.into(), &1.into()), "{by} {json}");
            assert_eq!(json["totals"][0]["unpriced"], serde_json::json!({"input_text_tokens": 70}), "{by}");
            let marked = csv.lines().filter(|line| line.contains(",input_text_tokens,,UTC")).count();
            assert_eq!(marked, 1, "{csv}");
            for text in [table, markdown] {
                assert!(text.contains("1 calls, 70 tokens without a price") && text.contains("+ unpriced"), "{text}");
            }
        }
    }
}

/// What one tenant takes back and another one has adds up to nothing, and has no price all the same.
fn who_is_charged_instead_lacks_a_price_too(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    ledger.append(&[&deliver(1, &record(1000))], OCTOBER_NS as i64).unwrap();
    assert!(ledger.close_month(month("2026-10"), "", NOVEMBER_NS).unwrap().is_ok());
    let entry = standing(&*reader).remove(0);
    let rating = crate::ledger::correct::rating_of(&entry).unwrap();
    let instead = Some(Instead { tenant: "acme".to_owned(), rating });
    ledger.correct(&[Correction { entry, instead, reason: "theirs".to_owned() }], NOVEMBER_NS).unwrap();
    for by in ["provider", "evidence", "tenant", "tenant,model", "day", "session"] {
        for since in ["2026-10", "2026-11"] {
            let (json, _) = written(&*reader, since, "2026-11", by);
            assert_eq!(json["notes"]["unpriced"][0]["tokens"], 1000, "{by} {json}");
            assert_eq!(json["totals"][0]["unpriced"]["input_text_tokens"], 1000, "{by} {json}");
        }
    }
    // Another one comes late and is void on a later day: of all these days nothing lacks a price.
    let entry = standing(&*reader).remove(0);
    ledger.correct(&[Correction { entry, instead: None, reason: "not theirs".to_owned() }], NOVEMBER_NS).unwrap();
    let mute = Record { response_model: Some("mute".to_owned()), ..record(16) };
    ledger.append(&[&deliver(2, &mute)], NOVEMBER_NS + DAY_NS as i64).unwrap();
    let late = Correction { entry: standing(&*reader).remove(0), instead: None, reason: "a test".to_owned() };
    assert!(written(&*reader, "2026-11", "2026-11", "day").0.to_string().contains("unpriced"));
    ledger.correct(&[late], NOVEMBER_NS + 5 * DAY_NS as i64).unwrap();
    for by in ["provider", "day", "tenant", "session", "hour"] {
        let (json, _) = written(&*reader, "2026-11", "2026-11", by);
        assert!(!json.to_string().contains("unpriced"), "{by} {json}");
    }
}

/// Late calls, voids, other tenants, new prices, a charge again and its end: all of them count in the month that is open.
fn the_report_of_a_closed_month_never_changes(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let (mut ledger, mut memory) = (Ledger::new(store), Ledger::new(Memory::new()));
    let book = std::sync::Arc::new(PriceBook::parse(BOOK).unwrap());
    let dearer = PriceBook::parse(&BOOK.replace("2.50", "3.50")).unwrap();
    ledger.set_prices(Some(book.clone()));
    memory.set_prices(Some(book));
    let both = |ledger: &mut Ledger<Box<dyn Store>>, memory: &mut Ledger<Memory>, number, tokens, at_ns| {
        let delivery = deliver(number, &record(tokens));
        ledger.append(&[&delivery], at_ns).unwrap();
        memory.append(&[&delivery], at_ns).unwrap();
    };
    let (ledger, memory) = (&mut ledger, &mut memory);
    (1..=4).for_each(|number| both(ledger, memory, number, 1000 * number, OCTOBER_NS as i64));
    for ledger_closes in [true, false] {
        let closed = match ledger_closes {
            true => ledger.close_month(month("2026-10"), "", NOVEMBER_NS).unwrap(),
            false => memory.close_month(month("2026-10"), "", NOVEMBER_NS).unwrap(),
        };
        assert!(closed.is_ok());
    }
    let [sums, entries] = ["day,month,tenant,model", "hour,tenant,session"].map(|by| dimensions(by).unwrap());
    let columns: [&[Dimension]; 4] = [&[], &[Dimension::Month, Dimension::Tenant(None)], &sums, &entries];
    let reports = |reader: &dyn Reader, text: &str| columns.map(|by| report(reader, text, by));
    let october = reports(&*reader, "2026-10");
    let correct =
        |ledger: &mut Ledger<Box<dyn Store>>, memory: &mut Ledger<Memory>, corrections: &[Correction], at_ns| {
            assert_eq!(ledger.correct(corrections, at_ns).unwrap(), corrections.len() as u64);
            assert_eq!(memory.correct(corrections, at_ns).unwrap(), corrections.len() as u64);
        };
    both(ledger, memory, 5, 5000, NOVEMBER_NS);
    let now = standing(&*reader);
    let instead = |tenant: &str, entry: &Entry| {
        let rating = Correction::rated(&dearer, entry, tenant).unwrap();
        Some(Instead { tenant: tenant.to_owned(), rating })
    };
    let reason = "it was wrong".to_owned();
    let corrections = [
        Correction { entry: now[0].clone(), instead: None, reason: reason.clone() },
        Correction { entry: now[1].clone(), instead: instead("acme", &now[1]), reason: reason.clone() },
        Correction { entry: now[4].clone(), instead: instead("acme", &now[4]), reason },
    ];
    correct(ledger, memory, &corrections, NOVEMBER_NS + DAY_NS as i64);
    assert_eq!(reports(&*reader, "2026-10"), october);
    let november = report(&*reader, "2026-11", &[Dimension::Tenant(None)]);
    let read: serde_json::Value = serde_json::from_str(&november).unwrap();
    let lines: Vec<String> = read["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| format!("{} {} {} {}", line["tenant"], line["adjusts"], line["calls"], line["charge"]))
        .collect();
    // 7000 tokens at 3.50; taken back are 1000 and 2000 at 2.50, and the late call came and went.
    assert_eq!(lines, [r#""acme" "2026-10" 2 "0.0245""#, r#""unknown" "2026-10" -2 "-0.0075""#]);
    crate::verify::verify(&*reader, &[], || ()).unwrap();
    // November is closed as well, and what adjusted October is adjusted in December.
    for closed in
        [ledger.close_month(month("2026-11"), "", DECEMBER_NS), memory.close_month(month("2026-11"), "", DECEMBER_NS)]
    {
        assert!(closed.unwrap().is_ok());
    }
    let november = reports(&*reader, "2026-11");
    let voids = standing(&*reader).into_iter().filter(|entry| entry.tenant == "acme");
    let voids: Vec<Correction> =
        voids.map(|entry| Correction { entry, instead: None, reason: "not theirs".to_owned() }).collect();
    correct(ledger, memory, &voids, DECEMBER_NS);
    let void = reader.record(&(emitter(1), 1)).unwrap().unwrap();
    let crate::ledger::again::Now::Void(of) = crate::ledger::again::now(&*reader, void.clone()).unwrap() else {
        panic!("it stands")
    };
    let again = crate::ledger::again::Again {
        instead: instead("globex", &void).unwrap(),
        record: void,
        reversal: of.reversal,
        reason: "theirs".to_owned(),
    };
    assert!(ledger.charge_again(&again, DECEMBER_NS).unwrap().is_ok());
    assert!(memory.charge_again(&again, DECEMBER_NS).unwrap().is_ok());
    assert_eq!((reports(&*reader, "2026-10"), reports(&*reader, "2026-11")), (october, november));
    crate::verify::verify(&*reader, &[], || ()).unwrap();
    crate::verify::verify(memory.store(), &[], || ()).unwrap();
    let (one, other) = (seen(&*reader), seen(memory.store()));
    for (what, rows) in &one {
        let others = &other[what];
        for (row, other) in rows.iter().zip(others) {
            assert_eq!(row, other, "{what}");
        }
        assert_eq!(rows.len(), others.len(), "{what}");
    }
}

fn gaps_of(reader: &dyn Reader) -> crate::gaps::Gaps {
    let question = crate::gaps::Question { now_ns: NOW_NS + DAY_NS as i64, silent_after_ns: 1 };
    crate::gaps::find(reader, question).unwrap().remove(0)
}

fn an_emitter_that_a_person_closed_lacks_nothing(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let (mut ledger, mut memory) = (Ledger::new(store), Ledger::new(Memory::new()));
    for number in [1, 5] {
        let delivery = delivery(&[one(1, number)]);
        ledger.append(&[&delivery], NOW_NS).unwrap();
        memory.append(&[&delivery], NOW_NS).unwrap();
    }
    let before = gaps_of(&*reader);
    assert!(before.lacks() && before.missing() == 3);
    let unknown = ledger.close_emitter(&emitter(2), "a test", NOW_NS).unwrap();
    assert_eq!(unknown, Err("nothing was ever heard of this emitter".to_owned()));
    let close = |ledger: &mut Ledger<Box<dyn Store>>| ledger.close_emitter(&emitter(1), "its disk is gone", NOW_NS);
    let id = close(&mut ledger).unwrap().unwrap();
    assert!(memory.close_emitter(&emitter(1), "its disk is gone", NOW_NS).unwrap().is_ok());
    assert!(close(&mut ledger).unwrap().is_err(), "twice");
    let entry = reader.entry(id).unwrap().unwrap();
    assert_eq!((entry.kind, entry.reason.as_deref()), (Kind::EmitterClosed, Some("its disk is gone")));
    let closed = gaps_of(&*reader);
    assert!(!closed.lacks() && closed.missing() == 0, "{closed:?}");
    let ranges: Vec<Range> = closed.closed.iter().map(|closed| closed.range).collect();
    assert_eq!(ranges, [Range { first: 2, last: 4 }]);
    let question = crate::gaps::Question { now_ns: NOW_NS + DAY_NS as i64, silent_after_ns: 1 };
    let (counts, lacking) = crate::gaps::count(&*reader, question, 10).unwrap();
    assert_eq!((counts.missing, counts.open_ends, lacking.len()), (0, 0, 0));
    assert_eq!(seen(&*reader), seen(memory.store()));
    // What comes all the same is charged, and whoever goes on is looked at again.
    for number in [3, 8] {
        assert_eq!(ledger.append(&[&delivery(&[one(1, number)])], NOW_NS).unwrap()[0].accepted, 1);
    }
    let on = gaps_of(&*reader);
    assert_eq!((on.missing(), on.state), (2, crate::gaps::State::OpenEnd), "{on:?}");
    crate::verify::verify(&*reader, &[], || ()).unwrap();
}

/// An invented number does not make a million numbers missing; a journal may bring it.
fn a_number_far_beyond_is_quarantined(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    let mut send = |number, journal| {
        let taken = ledger.append(&[&delivery(&[Sent { journal, ..one(1, number) }])], NOW_NS).unwrap().remove(0);
        (taken.accepted, taken.alarms)
    };
    assert_eq!(send(1_000_001, false), (0, 1), "nothing is known of it");
    assert_eq!((send(1_000_000, false), send(2_000_000, false)), ((1, 0), (1, 0)));
    assert_eq!(send(3_000_001, false), (0, 1));
    let reasons: Vec<String> =
        all(|each| reader.quarantined(Whose::All, each)).into_iter().map(|kept| kept.last.reason).collect();
    let reason = "data.sequence: must be at most 1000000 beyond the last number that is known of its emitter";
    assert_eq!(reasons, [reason, reason]);
    assert_eq!(send(3_000_001, true), (1, 0), "a journal's bearer is believed");
    let waits =
        || all(|each| reader.quarantined(Whose::All, each)).iter().filter(|kept| kept.released.is_none()).count();
    assert_eq!(waits(), 1, "and what it brings waits for nobody");
    assert_eq!(send(3_000_002, false), (1, 0));
    let far = Statement { emitter: emitter(1), head: 9_000_000, dropped: 0, drops: Vec::new(), ended: true };
    let say = Delivery { sender: sender(false), statement: Some(far), arrivals: Vec::new() };
    assert_eq!(ledger.append(&[&say], NOW_NS).unwrap()[0].alarms, 1);
    let (_, known) = all(|each| reader.emitters(each)).remove(0);
    assert_eq!((known.head, known.ended), (0, None));
}

fn what_cannot_be_read_is_dismissed_once(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    let unreadable = |text: String| Arrival::new(text.into_bytes());
    let arrivals = vec![
        one(1, 1).arrival(),
        unreadable(format!("{{\"id\":\"{}-2\"}}", emitter(1))),
        unreadable("{}".to_owned()),
        one(1, 3).arrival(),
    ];
    ledger.append(&[&Delivery { sender: sender(false), statement: None, arrivals }], NOW_NS).unwrap();
    assert_eq!(gaps_of(&*reader).missing(), 1);
    for kept in all(|each| reader.quarantined(Whose::All, each)) {
        assert!(ledger.release(&kept.last, "read it", NOW_NS).unwrap().is_err(), "it cannot be charged");
        let done = ledger.dismiss(&kept.last, "a broken proxy", NOW_NS).unwrap().unwrap();
        let entry = reader.entry(done.entry).unwrap().unwrap();
        assert_eq!((entry.kind, entry.reason.as_deref()), (Kind::Dismissal, Some("a broken proxy")));
        assert!(ledger.dismiss(&kept.last, "a broken proxy", NOW_NS).unwrap().is_err(), "twice");
    }
    assert!(all(|each| reader.quarantined(Whose::All, each)).iter().all(|kept| kept.released.is_some()));
    assert_eq!(reader.tally().unwrap().dead_letters, 0);
    assert_eq!(gaps_of(&*reader).missing(), 0, "what it names will not come");
    crate::verify::verify(&*reader, &[], || ()).unwrap();
}
