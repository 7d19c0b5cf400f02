//! Totals: a report's lines, of which each adds up many rows.

use meter::record::Evidence;

use super::{Fresh, all};
use crate::ledger::sums::{Counted, Group, Sum};
use crate::ledger::{Changes, Keys, Known};
use crate::report::{Format, Question, Report};
use crate::store::{Dimension, Reader, Selection, Total};

/// Reports of some days and columns; what comes in parts is one line there.
pub fn reports(reader: &dyn Reader) -> Vec<String> {
    let every = Selection::default();
    let first_day = Selection { until: "1970-01-01".parse().ok(), ..Selection::default() };
    let tenant = Selection { tenant: Some("unknown".to_owned()), ..Selection::default() };
    let columns = [&[][..], &[Dimension::Tenant], &[Dimension::Month, Dimension::Model], &Dimension::ALL];
    let mut reports = Vec::new();
    for selection in [every, first_day, tenant] {
        for by in columns {
            let question = Question { selection: selection.clone(), by: by.to_vec(), round: None };
            reports.push(Report::answer(reader, question).unwrap().render(Format::Json).unwrap());
        }
    }
    reports
}

pub fn are_more_than_64_bits_hold(fresh: Fresh<'_>) {
    let (mut store, reader) = fresh();
    let group = |day: &str| Group {
        day: day.to_owned(),
        tenant: "acme".to_owned(),
        provider: String::new(),
        model: String::new(),
        evidence: Evidence::Reported.as_str(),
    };
    let sum = Sum { quantity: i64::MAX, charge: "0.1".parse().unwrap(), unpriced: 1, fallback: i64::MAX };
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
        unpriced: 2,
        fallback: 2 * i128::from(i64::MAX),
    };
    let by = [Dimension::Month, Dimension::Tenant];
    assert_eq!(all(|each| reader.totals(&selection, &by, each)), [expected]);
}
