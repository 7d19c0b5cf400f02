//! Totals: a report's lines, of which each adds up many rows.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use wire::record::Evidence;
use wire::usage::Class;

use super::{Fresh, all, reports};
use crate::database::Location;
use crate::database::coarse::{Packed, pack, unpack};
use crate::money::Charge;
use crate::report::{Dimension as Column, Filters, Format, Period, Question, Report, Top, dimensions};
use crate::sealed::{Settings, Whole};
use crate::store::sums::{Counted, Group, Sum};
use crate::store::{Changes, Dimension, Keys, Known, Reader, Selection, Total};

/// Reports of some days and columns; what comes in parts is one line there.
pub fn reports(reader: &dyn Reader) -> Vec<String> {
    let until = |day: &str| Period::days(None, day.parse().ok());
    let (all, first_day) = (Question::default(), Question { period: until("1970-01-01"), ..Question::default() });
    let tenant = Question { filters: Filters::tenant("unknown"), ..Question::default() };
    let columns = ["evidence", "tenant", "month,model", "day,month,tenant,model", "hour,operation,emitter"];
    let mut reports = Vec::new();
    for question in [all, first_day, tenant] {
        for by in columns {
            let question = Question { by: dimensions(by).unwrap(), ..question.clone() };
            reports.push(Report::of(reader, question).unwrap().render(Format::Json).unwrap());
        }
    }
    reports
}

pub fn run(fresh: Fresh<'_>) {
    are_more_than_64_bits_hold(fresh);
    invoices_have_one_total(fresh);
    every_level_says_what_its_days_and_tenants_add_up_to(fresh);
}

/// The row of a sum of sums as it must not be, each with what was done to it: every number of every class one more, a class more or
/// less, one that counts nothing, none at all. In hex digits, as the row is.
pub fn wrong_sums(row: &str) -> Vec<(String, String)> {
    let byte = |at: usize| u8::from_str_radix(&row[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..row.len()).step_by(2).map(byte).collect();
    let mut counts = Packed::new();
    unpack(&bytes, |word, amounts| {
        counts.push((word.to_owned(), amounts));
        Ok(())
    })
    .unwrap();
    let hex = |counts: &Packed| pack(counts).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&counts), row);
    let mut wrong = vec![("nothing".to_owned(), String::new())];
    for class in 0..counts.len() {
        for amount in 0..counts[class].1.len() {
            let mut counts = counts.clone();
            counts[class].1[amount] += 1;
            wrong.push((format!("{}, amount {amount}", counts[class].0), hex(&counts)));
        }
        let mut without = counts.clone();
        without.remove(class);
        wrong.push((format!("without {}", counts[class].0), hex(&without)));
        let zero = (counts[class].0.clone(), Default::default());
        wrong.push((format!("{} twice", counts[class].0), hex(&[counts.clone(), vec![zero]].concat())));
    }
    let zero = ("pages".to_owned(), [0, 0, 0, 0, 0, 1]);
    wrong.push(("pages of nothing".to_owned(), hex(&[counts, vec![zero]].concat())));
    wrong
}

/// Quantity, charge, cost, unpriced and fallback of each total, by its values, evidence and word.
type Totals = BTreeMap<(Vec<String>, &'static str, String), [i128; 5]>;

fn add(totals: &mut Totals, total: Total) {
    let Total { key, evidence, counted, quantity, charge, cost, unpriced, fallback } = total;
    let sum = totals.entry((key, evidence.as_str(), counted.name().into_owned())).or_default();
    let more = [quantity, charge.yocto_usd(), cost.yocto_usd(), unpriced, fallback];
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

/// What a reader tells, from whichever sums it has, and what the sums by day and tenant add up to.
pub fn told_and_added_up(reader: &dyn Reader, selection: &Selection, by: &[Dimension]) -> [Totals; 2] {
    let [mut told, mut added] = [Totals::new(), Totals::new()];
    all(|each| reader.totals(selection, by, each)).into_iter().for_each(|total| add(&mut told, total));
    for row in all(|each| reader.rollup(selection, each)) {
        let key = by.iter().map(|dimension| dimension.of(&row)).collect();
        add(&mut added, Total::of(key, row.evidence, row.counted, &row.sum));
    }
    [told, added]
}

/// Whole months, months in part at either end or both, few days and most days of one; of all tenants, of one, of a path.
fn every_level_says_what_its_days_and_tenants_add_up_to(fresh: Fresh<'_>) {
    use Dimension::{Adjusts, Day, Model, Month, Provider, Tenant};
    let spans = [
        ["", ""],
        ["2026-09-01", "2026-10-31"],
        ["2026-10-03", ""],
        ["", "2026-09-28"],
        ["2026-08-20", "2026-10-10"],
        ["2026-10-05", "2026-10-09"],
        ["2026-10-02", "2026-10-30"],
        ["2026-09-30", "2026-10-01"],
    ];
    let columns: [&[Dimension]; 7] = [
        &[],
        &[Tenant],
        &[Month, Adjusts, Tenant, Provider, Model],
        &[Day, Tenant],
        &[Day, Adjusts, Provider],
        &[Month, Model],
        &[Adjusts, Tenant],
    ];
    reports::tried(10, fresh, |reader| {
        for [since, until] in spans {
            for tenant in [None, Some("t1"), Some("t1/u0")] {
                let tenant = tenant.map(str::to_owned);
                let selection =
                    Selection { since: since.parse().ok(), until: until.parse().ok(), tenant, ..Selection::default() };
                for by in columns {
                    let [told, added] = told_and_added_up(reader, &selection, by);
                    proptest::prop_assert_eq!(told, added, "{:?} {:?}", selection, by);
                }
            }
        }
        Ok(())
    });
}

fn are_more_than_64_bits_hold(fresh: Fresh<'_>) {
    let (mut store, reader) = fresh();
    let group = |day: &str| Group {
        day: day.to_owned(),
        adjusts: String::new(),
        tenant: "acme".to_owned(),
        provider: String::new(),
        model: String::new(),
        evidence: Evidence::Reported.as_str(),
    };
    let [charge, cost] = ["0.1", "0.07"].map(|amount| amount.parse().unwrap());
    let sum = Sum { quantity: i64::MAX, charge, cost, unpriced: 1, fallback: i64::MAX };
    let sums: Vec<_> = ["1970-01-30", "1970-01-31", "1970-02-01"].map(|day| (group(day), Counted::Calls, sum)).to_vec();
    let mut keep = |known: Known| Changes { head: known.head, sums: sums.clone(), ..Default::default() };
    store.transact(&Keys::default(), &mut keep).unwrap();
    let selection = Selection { until: "1970-01-31".parse().ok(), ..Selection::default() };
    let expected = Total {
        key: vec!["1970-01".to_owned(), "acme".to_owned()],
        evidence: Evidence::Reported,
        counted: Counted::Calls,
        quantity: 2 * i128::from(i64::MAX),
        charge: "0.2".parse().unwrap(),
        cost: "0.14".parse().unwrap(),
        unpriced: 2,
        fallback: 2 * i128::from(i64::MAX),
    };
    let by = [Dimension::Month, Dimension::Tenant];
    assert_eq!(all(|each| reader.totals(&selection, &by, each)), [expected]);
}

/// Whatever the lines are, a tenant's lines of a month add up to the same, rounded once.
fn invoices_have_one_total(fresh: Fresh<'_>) {
    let (mut store, reader) = fresh();
    let row = |day: &str, tenant: &str, model: &str, evidence: Evidence, charge: &str| {
        let group = Group {
            day: day.to_owned(),
            adjusts: String::new(),
            tenant: tenant.to_owned(),
            provider: "openai".to_owned(),
            model: model.to_owned(),
            evidence: evidence.as_str(),
        };
        let charge = charge.parse().unwrap();
        (group, Counted::Usage(Class::InputText), Sum { quantity: 1, charge, cost: charge, ..Sum::default() })
    };
    let mut sums = Vec::new();
    for (at, tenant) in ["acme", "acme/ml", "globex"].into_iter().enumerate() {
        for (day, evidence) in [
            ("2026-01-30", Evidence::Reported),
            ("2026-01-31", Evidence::Estimated),
            ("2026-02-01", Evidence::Reported),
        ] {
            for model in 0..7 {
                let charge = format!("0.{:03}{model}7", 4 + at);
                sums.push(row(day, tenant, &format!("model-{model}"), evidence, &charge));
            }
        }
    }
    let mut keep = |known: Known| Changes { head: known.head, sums: sums.clone(), ..Default::default() };
    store.transact(&Keys::default(), &mut keep).unwrap();
    let total = |by: &[Column], tenant: Option<&str>| -> String {
        let filters = tenant.map(Filters::tenant).unwrap_or_default();
        let question = Question { filters, by: by.to_vec(), round: Some(2), ..Question::default() };
        let json = Report::of(reader.as_ref(), question).unwrap().render(Format::Json).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let charges = json["lines"].as_array().unwrap().iter().map(|line| line["charge"].as_str().unwrap());
        let sum = charges.fold(Charge::default(), |sum, charge| sum.checked_add(charge.parse().unwrap()).unwrap());
        sum.to_string()
    };
    let columns = ["evidence", "tenant", "tenant,provider,model", "model", "day,month,tenant,model"];
    let columns = columns.map(|by| dimensions(by).unwrap());
    // Of acme 14 calls in January cost 0.06118 together, 7 in February 0.03059; of acme/ml 0.07518 and 0.03759.
    for (tenant, due) in [(Some("acme"), "0.21"), (Some("globex"), "0.13"), (None, "0.34")] {
        for by in &columns {
            assert_eq!(total(by, tenant), due, "{tenant:?} {by:?}");
        }
    }
}

/// All tenants have the same in every transaction: in a report that asks for one after the other, and in one of the first of many,
/// which begins anew when there are too many lines.
pub fn a_report_is_of_one_moment(location: &Location) {
    const TRANSACTIONS: i64 = 400;
    let tenants: Vec<String> = (0..9).map(|tenant| format!("t{tenant}")).collect();
    let mut store = location.open().unwrap();
    let group = |tenant: &String| Group {
        day: "2026-01-31".to_owned(),
        adjusts: String::new(),
        tenant: tenant.clone(),
        provider: String::new(),
        model: String::new(),
        evidence: Evidence::Reported.as_str(),
    };
    let groups: Vec<Group> = tenants.iter().map(group).collect();
    let mut write = move |quantity| {
        let sum = Sum { quantity, ..Sum::default() };
        let sums: Vec<_> = groups.iter().map(|group| (group.clone(), Counted::Calls, sum)).collect();
        let mut keep = |known: Known| Changes { head: known.head, sums: sums.clone(), ..Default::default() };
        store.transact(&Keys::default(), &mut keep).unwrap();
    };
    write(1);
    let reader = Whole::of(location, Settings::default());
    let calls = |asked: &[String], top: Option<Top>| {
        let mut question = Question { by: dimensions("tenant").unwrap(), top, ..Question::default() };
        asked.iter().for_each(|tenant| question.filters.add(Column::Tenant(None), tenant).unwrap());
        let mut calls = Vec::new();
        let report = Report::of(&reader, question).unwrap();
        report
            .each(&mut |line| {
                calls.push(line.sum.calls);
                Ok(())
            })
            .unwrap();
        calls
    };
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (2..TRANSACTIONS).for_each(&mut write);
            is_done.store(true, Ordering::Relaxed);
        });
        while !is_done.load(Ordering::Relaxed) {
            let two = calls(&tenants[..2], None);
            assert!(matches!(two[..], [one, other] if one == other), "{two:?}");
            let first = calls(&[], Some(Top { lines: 2, sort: Default::default() }));
            assert!(matches!(first[..], [one, other, rest] if one == other && rest == 7 * one), "{first:?}");
        }
    });
}
