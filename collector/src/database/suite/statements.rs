//! Billing statements: line by line what the sums say, and the same bytes again whatever came later.

use super::*;
use crate::money::Charge;
use crate::statement::{BillingStatement, Failure, Format, Question};
use crate::store::Dimension;
use crate::store::months::Month;

/// 2026-11-03, in the middle of a day.
const NOVEMBER_NS: i64 = 1_793_664_000_000_000_000 + 43_200_000_000_000;
const TENANTS: [&str; 4] = ["acme", "acme/ml", "acmeless", "globex"];
const MONTHS: [&str; 4] = ["2026-09", "2026-10", "2026-11", "2026-12"];
const PRICES: &str = "[[price]]\nprovider = \"openai\"\nmodel = \"responded\"\nvalid_from = 1970-01-01\n\
    input_text = \"2.50\"\nweb_searches = \"10\"\n\
    [[price]]\nprovider = \"openrouter\"\nmodel = \"responded\"\nvalid_from = 1970-01-01\ninput_text = \"1\"\n\
    [[adjust]]\non = \"charge\"\ntenant = \"acme/*\"\nfactor = \"1.035\"\n\
    [[adjust]]\non = \"cost\"\nprovider = \"openai\"\nfactor = \"0.9\"\n";

/// What happens to a ledger.
#[derive(Clone, Debug)]
enum Step {
    /// A call: the tenant, days before now on which it began, what it is, and its tokens.
    Call(usize, i64, u8, u64),
    /// A standing entry is voided, given to another tenant, or rated anew.
    Correct(usize, u8),
    /// The month before this one is closed.
    Close,
    /// Days pass.
    Wait(i64),
}

pub fn run(fresh: Fresh<'_>) {
    any_statement_has_what_the_sums_have(fresh);
    tenants_that_are_not_there_have_no_statement(fresh);
}

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

fn question(tenant: &str, below: bool, month_of: &str) -> Question {
    Question { tenant: tenant.to_owned(), below, month: month(month_of), round: 2, at: None }
}

fn statement(reader: &dyn Reader, question: Question) -> Result<String, Failure> {
    BillingStatement::of(reader, question, || ())?.render(Format::Json)
}

fn record(tenant: &str, began_ns: i64, kind: u8, tokens: u64) -> Record {
    let mut record = Record { provider: "openai".to_owned(), evidence: Evidence::Reported, ..Record::default() };
    record.identity = wire::identity::Identity { tenant: tenant.to_owned(), source: Source::Header, principal: None };
    record.started_ns = began_ns as u64;
    record.response_model = Some(if kind & 1 == 0 { "responded" } else { "unpriced" }.to_owned());
    record.usage.set(Class::InputText, Some(tokens));
    record.usage.set(Class::CacheRead, (kind & 2 != 0).then_some(tokens / 2));
    record.usage.set(Class::WebSearches, (kind & 4 != 0).then_some(3));
    if kind & 8 != 0 {
        record.evidence = Evidence::Estimated;
    }
    if kind & 16 != 0 {
        record.provider = "openrouter".to_owned();
        record.provider_cost_nano_usd = Some(tokens * 7);
    }
    record.part = (kind & 32 != 0).then(|| "images".to_owned());
    record
}

/// What a JSON text has of an amount.
fn amount(value: &serde_json::Value) -> Charge {
    value.as_str().unwrap().parse().unwrap()
}

fn sum(amounts: impl Iterator<Item = Charge>) -> Charge {
    amounts.fold(Charge::default(), |sum, one| sum.checked_add(one).unwrap())
}

/// By tenant, what the sums say of a month: calls and the charge.
fn charged(reader: &dyn Reader, tenant: &str, month_of: &str) -> BTreeMap<String, (i128, Charge)> {
    let (since, until) = (Some(month(month_of).first_day()), Some(month(month_of).last_day()));
    let selection = Selection { since, until, tenant: Some(tenant.to_owned()), ..Selection::default() };
    let mut sums: BTreeMap<String, (i128, Charge)> = BTreeMap::new();
    for total in all(|each| reader.totals(&selection, &[Dimension::Tenant], each)) {
        let (calls, charge) = sums.entry(total.key[0].clone()).or_default();
        *charge = charge.checked_add(total.charge).unwrap();
        if total.counted == crate::store::sums::Counted::Calls {
            *calls += total.quantity;
        }
    }
    sums
}

/// A statement against the sums, and against itself.
fn check(reader: &dyn Reader, tenant: &str, below: bool, month_of: &str) {
    let question = question(tenant, below, month_of);
    let made = match BillingStatement::of(reader, question.clone(), || ()) {
        Ok(made) => made,
        // Nobody has heard of it.
        Err(Failure::Refused(_)) => return,
        Err(failure) => panic!("{failure}"),
    };
    let text = made.render(Format::Json).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut sums = charged(reader, tenant, month_of);
    sums.retain(|of, _| below || of == tenant);
    let lines = json["lines"].as_array().unwrap();
    let of_tenant = |of: &str, field: &str| {
        let of_tenant = lines.iter().filter(|line| line["tenant"] == of && !line["amount"].is_null());
        sum(of_tenant.map(|line| amount(&line[field])))
    };
    for (of, owed) in json["tenants"].as_object().unwrap() {
        let (calls, charge) = sums.remove(of).unwrap_or_default();
        assert_eq!((amount(&owed["exact"]), owed["calls"].as_i64().map(i128::from)), (charge, Some(calls)), "{text}");
        assert_eq!(amount(&owed["amount"]), charge.rounded(2).unwrap(), "rounded once, as report --round does");
        assert_eq!(of_tenant(of, "exact"), charge, "{text}");
        assert_eq!(of_tenant(of, "amount"), charge.rounded(2).unwrap(), "{text}");
    }
    assert!(sums.values().all(|(calls, charge)| (*calls, *charge) == Default::default()), "{sums:?} {text}");
    assert_eq!(
        amount(&json["total"]["amount"]),
        sum(json["tenants"].as_object().unwrap().values().map(|of| amount(&of["amount"])))
    );
    // A quantity times its price is the amount.
    for line in lines.iter().filter(|line| !line["price"].is_null()) {
        let price = crate::money::Price::parse(line["price"].as_str().unwrap()).unwrap();
        let per = match line["per"].as_u64() {
            Some(1_000_000) => crate::money::Per::MillionTokens,
            Some(1_000) => crate::money::Per::ThousandUnits,
            other => panic!("{other:?}"),
        };
        let quantity = line["quantity"].as_i64().unwrap().into();
        assert_eq!(price.charge(quantity, per), Some(amount(&line["exact"])), "{line}");
    }
    // Every line is the sum of its records, and what is of no line any more is nothing.
    let mut records = Vec::new();
    made.records(reader, &mut records).unwrap();
    let mut by_line: BTreeMap<String, Charge> = BTreeMap::new();
    for record in String::from_utf8(records).unwrap().split_terminator("\r\n").skip(1) {
        let fields: Vec<&str> = record.split(',').collect();
        let of = by_line.entry(fields[0].to_owned()).or_default();
        *of = of.checked_add(fields[9].parse().unwrap()).unwrap();
    }
    assert_eq!(by_line.remove("").unwrap_or_default(), Charge::default());
    for line in lines {
        let of = by_line.remove(&line["line"].to_string()).unwrap();
        assert_eq!(of, line["exact"].as_str().map_or(Charge::default(), |exact| exact.parse().unwrap()), "{line}");
    }
    assert!(by_line.is_empty(), "{by_line:?}");
}

fn any_statement_has_what_the_sums_have(fresh: Fresh<'_>) {
    let step = prop_oneof![
        6 => (0..TENANTS.len(), 0..50_i64, 0..64_u8, 0..40_000_u64)
            .prop_map(|(tenant, days, kind, tokens)| Step::Call(tenant, days, kind, tokens)),
        3 => (0..20_usize, 0..3_u8).prop_map(|(which, how)| Step::Correct(which, how)),
        1 => Just(Step::Close),
        1 => (1..25_i64).prop_map(Step::Wait),
    ];
    let mut runner = TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    let result = runner.run(&prop::collection::vec(step, 1..16), |steps| {
        let (store, reader) = fresh();
        let (mut ledger, mut memory) = (Ledger::new(store), Ledger::new(Memory::new()));
        let book = std::sync::Arc::new(PriceBook::parse(PRICES).unwrap());
        ledger.set_prices(Some(book.clone()));
        memory.set_prices(Some(book));
        let mut now_ns = NOVEMBER_NS;
        let mut made: Vec<(Question, String)> = Vec::new();
        for (number, step) in (1..).zip(&steps) {
            match step {
                Step::Wait(days) => now_ns += days * DAY_NS as i64,
                Step::Call(tenant, days, kind, tokens) => {
                    let record = record(TENANTS[*tenant], now_ns - days * DAY_NS as i64, *kind, *tokens);
                    let arrivals = vec![Arrival::new(wire::event::encode(&record, &emitter(1), number))];
                    let delivery = Delivery { sender: sender(false), statement: None, arrivals };
                    prop_assert_eq!(ledger.append(&[&delivery], now_ns).unwrap()[0].accepted, 1);
                    memory.append(&[&delivery], now_ns).unwrap();
                }
                Step::Correct(which, how) => {
                    let standing = all(|each| reader.standing(&Selection::default(), each));
                    let Some(entry) = standing.get(*which).cloned() else { continue };
                    let dearer = PriceBook::parse(&PRICES.replace("2.50", "3.50")).unwrap();
                    let tenant = if *how == 1 { "globex".to_owned() } else { entry.tenant.clone() };
                    let instead = (*how != 0)
                        .then(|| Instead { rating: Correction::rated(&dearer, &entry, &tenant).unwrap(), tenant });
                    let correction = Correction { entry, instead, reason: "looked at".to_owned() };
                    ledger.correct(std::slice::from_ref(&correction), now_ns).unwrap();
                    memory.correct(&[correction], now_ns).unwrap();
                }
                Step::Close => {
                    let before = Month::of(Month::of(now_ns).unwrap().begins_ns() - 1).unwrap();
                    let closed = ledger.close_month(before, "", now_ns).unwrap();
                    prop_assert_eq!(closed, memory.close_month(before, "", now_ns).unwrap());
                }
            }
            let question = question(TENANTS[number as usize % 2], number % 3 != 0, MONTHS[number as usize % 4]);
            if let Ok(text) = statement(&*reader, question.clone()) {
                made.push((question, text));
            }
        }
        for (tenant, below) in [("acme", true), ("acme", false), ("globex", false)] {
            for month in MONTHS {
                check(&*reader, tenant, below, month);
                let of = |reader: &dyn Reader| statement(reader, question(tenant, below, month)).ok();
                prop_assert_eq!(of(&*reader), of(memory.store()));
            }
        }
        exports::rows_add_up_to_the_sums(&*reader);
        // Whatever came later: the same bytes at the same position, and of a closed month without being asked.
        for (question, text) in made {
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            let at = json["position"].as_str().unwrap().parse().unwrap();
            let again = Question { at: Some(at), ..question.clone() };
            prop_assert_eq!(&statement(&*reader, again).unwrap(), &text);
            if !json["closed_by"].is_null() {
                prop_assert_eq!(&statement(&*reader, question).unwrap(), &text);
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

fn tenants_that_are_not_there_have_no_statement(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    let record = record("acme/ml", NOVEMBER_NS, 0, 5);
    let arrivals = vec![Arrival::new(wire::event::encode(&record, &emitter(1), 1))];
    ledger.append(&[&Delivery { sender: sender(false), statement: None, arrivals }], NOVEMBER_NS).unwrap();
    let refused = |tenant: &str, below: bool| match statement(&*reader, question(tenant, below, "2026-11")) {
        Err(Failure::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("globex", true), "the ledger has nothing of the tenant globex");
    assert_eq!(refused("' OR 1 = 1 --\u{202e}", true), "the ledger has nothing of the tenant ' OR 1 = 1 --\\u{202e}");
    assert_eq!(refused("acme", false), "the ledger has nothing of the tenant acme itself; --below includes acme/ml");
    assert_eq!(refused("acm", true), "the ledger has nothing of the tenant acm");
    let quiet: serde_json::Value =
        serde_json::from_str(&statement(&*reader, question("acme/ml", false, "2026-10")).unwrap()).unwrap();
    assert_eq!((quiet["lines"].as_array().unwrap().len(), &quiet["total"]["amount"]), (0, &"0.00".into()));
    // A position that this ledger has not.
    let head = reader.heads().unwrap()[0];
    let at = |text: String| {
        let question = Question { at: Some(text.parse().unwrap()), ..question("acme/ml", false, "2026-11") };
        statement(&*reader, question)
    };
    assert!(at(format!("{}", head.entry)).is_ok() && at(format!("{}:{}", head.entry, head.hash)).is_ok());
    for (text, why) in [
        (format!("{}:9", head.entry.writer), format!("the ledger has no entry {}:9", head.entry.writer)),
        (format!("{}:{}", head.entry, Hash([7; 32])), format!("entry {} has another hash", head.entry)),
    ] {
        assert!(matches!(at(text), Err(Failure::Refused(problem)) if problem.starts_with(&why)));
    }
}
