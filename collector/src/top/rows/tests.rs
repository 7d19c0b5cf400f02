use super::*;

fn key(tenant: &str, model: &str) -> Key {
    Key { tenant: tenant.to_owned(), provider: "p".to_owned(), model: model.to_owned() }
}

fn amounts(calls: i128, tokens: i128, charge: &str) -> Amounts {
    Amounts { calls, tokens, charge: charge.parse().unwrap(), unpriced: false }
}

fn reading(at: Instant, day: &str, rows: &[(&str, &str, Amounts)]) -> Reading {
    let rows = rows.iter().map(|(tenant, model, amounts)| (key(tenant, model), *amounts)).collect();
    Reading {
        at,
        day: day.to_owned(),
        rows: Ok(rows),
        budgets: Ok(Vec::new()),
        refused: BTreeMap::new(),
        findings: Vec::new(),
    }
}

#[test]
fn deterministic_rates_are_differences_by_time() {
    let (begun, mut readings) = (Instant::now(), Readings::default());
    readings.take(&reading(begun, "d", &[("a", "m", amounts(10, 100, "1.00"))]));
    let (rows, total) = readings.rows(By::Both, Sort::Spend);
    assert_eq!((rows.len(), rows[0].rate, total.rate), (1, None, None), "one reading has no rate");
    let later = begun + Duration::from_secs(30);
    readings.take(&reading(later, "d", &[("a", "m", amounts(13, 400, "1.50")), ("b", "m", amounts(2, 7, "0.25"))]));
    let (rows, total) = readings.rows(By::Both, Sort::Spend);
    let rate = |calls, tokens, charge: &str| Some(Rate { calls, tokens, charge: charge.parse().unwrap() });
    assert_eq!((&rows[0].key, rows[0].rate), (&key("a", "m"), rate(6, 600, "60.00")));
    assert_eq!((&rows[1].key, rows[1].rate), (&key("b", "m"), rate(4, 14, "30.00")), "new since then");
    assert_eq!((total.day.charge, total.rate), ("1.75".parse().unwrap(), rate(10, 614, "90.00")));
    // A correction makes less of it: nobody is paid by the hour.
    readings.take(&reading(later + Duration::from_secs(1), "d", &[("a", "m", amounts(13, 400, "0.50"))]));
    assert_eq!(readings.rows(By::Both, Sort::Spend).0[0].rate.unwrap().charge, Charge::default());
}

#[test]
fn deterministic_refusals_are_counted_by_the_minute_and_a_collector_that_began_anew_has_refused_none() {
    let (begun, mut readings) = (Instant::now(), Readings::default());
    let with = |seconds: u64, calls: i128| {
        let refused = BTreeMap::from([("b".to_owned(), calls)]);
        Reading { refused, ..reading(begun + Duration::from_secs(seconds), "d", &[]) }
    };
    readings.take(&with(0, 100));
    assert_eq!(readings.refused("b"), None);
    readings.take(&with(30, 107));
    assert_eq!((readings.refused("b"), readings.refused("other")), (Some(14), Some(0)));
    readings.take(&with(40, 2));
    assert_eq!(readings.refused("b"), Some(0));
}

#[test]
fn deterministic_a_minute_is_kept_and_another_day_begins_anew() {
    let (begun, mut readings) = (Instant::now(), Readings::default());
    for second in 0..200u64 {
        let count = i128::from(second);
        let at = begun + Duration::from_secs(second);
        readings.take(&reading(at, "d", &[("a", "m", amounts(count, count, "0"))]));
    }
    assert_eq!(readings.0.len(), 61);
    assert_eq!(readings.rows(By::Both, Sort::Calls).1.rate.unwrap().calls, 60);
    let failed = Reading { rows: Err("gone".to_owned()), ..reading(begun, "d", &[]) };
    readings.take(&failed);
    assert_eq!(readings.0.len(), 61, "what could not be read changes nothing");
    readings.take(&reading(begun + Duration::from_secs(200), "e", &[("a", "m", amounts(1, 1, "0"))]));
    assert_eq!((readings.0.len(), readings.rows(By::Both, Sort::Calls).1.rate), (1, None));
}

#[test]
fn deterministic_many_rows_are_not_kept_for_a_minute() {
    let (begun, mut readings) = (Instant::now(), Readings::default());
    let names: Vec<String> = (0..400_000).map(|number| number.to_string()).collect();
    let rows: Vec<_> = names.iter().map(|name| (name.as_str(), "m", amounts(1, 1, "0"))).collect();
    for second in 0..4 {
        readings.take(&reading(begun + Duration::from_secs(second), "d", &rows));
    }
    assert_eq!(readings.0.len(), 2);
}

#[test]
fn deterministic_rows_are_grouped_and_sorted() {
    let mut readings = Readings::default();
    let rows = [
        ("a", "big", amounts(1, 900, "3.00")),
        ("a", "small", amounts(9, 10, "0.10")),
        ("b", "small", amounts(5, 50, "2.95")),
    ];
    readings.take(&reading(Instant::now(), "d", &rows));
    let names = |by, sort| {
        let rows = readings.rows(by, sort).0;
        rows.iter().map(|row| format!("{}:{}", row.key.tenant, row.key.model)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(By::Both, Sort::Spend), "a:big b:small a:small");
    assert_eq!(names(By::Both, Sort::Tokens), "a:big b:small a:small");
    assert_eq!(names(By::Both, Sort::Calls), "a:small b:small a:big");
    assert_eq!(names(By::Both, Sort::Name), "a:big a:small b:small");
    assert_eq!(names(By::Tenant, Sort::Spend), "a: b:");
    assert_eq!(names(By::Model, Sort::Spend), ":small :big");
}
