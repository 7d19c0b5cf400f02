use super::*;

fn budget(name: &str, tenant: Option<&str>, spent: &str) -> Budget {
    Budget {
        name: name.to_owned(),
        tenant: tenant.map(str::to_owned),
        mode: "hard".to_owned(),
        window: "month".to_owned(),
        until: 1_796_083_200,
        unit: "tokens".to_owned(),
        limit: "1000".to_owned(),
        spent: spent.to_owned(),
        left: "7".to_owned(),
        ..Budget::default()
    }
}

fn usd(name: &str, limit: &str, spent: &str) -> Budget {
    Budget { unit: "usd".to_owned(), limit: limit.to_owned(), ..budget(name, None, spent) }
}

#[test]
fn deterministic_budgets_of_tenants_in_view_come_first_and_then_those_with_the_least_left() {
    let budgets = [
        budget("other", Some("beta"), "1000"),
        budget("low", Some("acme"), "10"),
        budget("high", Some("acme/ml"), "900"),
        budget("organic", Some("acm"), "999"),
        usd("all", "0.002", "0.001999999999999999999999"),
    ];
    let names = |tenants: &[&str]| {
        let shown = in_order(&budgets, &tenants.iter().copied().collect());
        shown.into_iter().map(|budget| budget.name.as_str()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&["acme/ml/ann"]), "all high low other organic");
    assert_eq!(names(&["acme"]), "all low other organic high");
    assert_eq!(names(&[]), "other all organic high low");
    let concerns = |top: &str| {
        budgets.iter().filter(|budget| budget.concerns(top)).map(|budget| budget.name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(concerns("acme"), ["low", "high", "all"]);
    assert_eq!(concerns("acme/ml"), ["low", "high", "all"]);
    assert_eq!(concerns("beta/x"), ["other", "all"]);
}

#[test]
fn contract_a_budget_that_is_spent_or_nearly_is_named_the_emptiest_first() {
    let mut each = budget("each", None, "1200");
    (each.per_tenant, each.spent_by, each.exhausted) = (true, Some("acme".to_owned()), 3);
    let mut most = budget("most", None, "950");
    (most.per_tenant, most.spent_by) = (true, Some("a\u{1b}".to_owned()));
    let shadow = Budget { mode: "shadow".to_owned(), ..budget("shadow", None, "1000") };
    let hour = Budget { window: "hour".to_owned(), ..budget("hour", None, "950") };
    let soft = Budget { mode: "soft".to_owned(), ..usd("soft", "2.50", "2.499999999") };
    let one = Budget { exhausted: 1, spent_by: Some("beta".to_owned()), ..each.clone() };
    let one = Budget { name: "one".to_owned(), spent: "1100".to_owned(), ..one };
    let nothing = Budget { limit: "0".to_owned(), ..budget("nothing", None, "0") };
    let until = "until 2026-12-01 00:00 UTC";
    let expected = [
        format!("budget each (hard) is spent by 3 tenants {until}"),
        format!("budget one (hard) is spent by beta {until}"),
        format!("budget nothing (hard) is spent {until}"),
        format!("budget soft (soft) is spent to 99 % {until}"),
        format!("budget most (hard) is spent to 95 % by a\\u{{1b}} {until}"),
    ];
    assert_eq!(said(&[shadow, hour, soft, most, one, nothing, each, budget("fine", None, "899")]), expected);
}

#[test]
fn contract_amounts_are_shown_in_their_unit_and_what_is_none_as_it_came() {
    let mut one = budget("acme", Some("acme"), "1234567");
    (one.provider, one.model) = (Some("openai".to_owned()), Some("gpt-5".to_owned()));
    let cells = one.cells(Some(12_000));
    let expected = [
        "acme",
        "acme, openai gpt-5",
        "hard, tokens a month",
        "1,000",
        "1,234,567",
        "7",
        "123456 %",
        "12-01 00:00",
        "12,000",
    ];
    assert_eq!(cells, expected);
    let dear = Budget { left: "1.23456".to_owned(), per_tenant: true, ..usd("b", "250.00", "248.76544") };
    assert_eq!(
        dear.cells(None)[1..],
        ["each of all tenants", "hard, usd a month", "250.00", "248.7654", "1.2346", "99 %", "12-01 00:00", "-"]
    );
    let hostile = Budget { limit: "\u{1b}[2J".to_owned(), until: i64::MAX, ..budget("x", None, "y") };
    assert_eq!(hostile.cells(None)[3..], ["\\u{1b}[2J", "y", "7", "100 %", "-", "-"]);
}
