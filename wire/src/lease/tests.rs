use serde_json::{Value, json};

use super::*;

fn full_request() -> Request {
    let wanted =
        Wanted { budget: "org-day".into(), subject: "org/a".into(), at_s: 1_764_370_800, up_to: 5000, need: 2000 };
    let priced = Priced { tenant: "org/\"a\"".into(), provider: "openai".into(), model: "gpt-\u{e4}".into() };
    Request { number: 7, acknowledged: 120, revision: 3, leases: vec![wanted], prices: vec![priced] }
}

fn full_response() -> Response {
    let scope = Scope { tenant: Some("org".into()), provider: Some("openai".into()), model: Some("gpt-5".into()) };
    let budgets = vec![
        Budget { name: "org-day".into(), scope, per_tenant: true, unit: Unit::Tokens, mode: Mode::Hard },
        Budget { name: "all".into(), scope: Scope::default(), per_tenant: false, unit: Unit::Usd, mode: Mode::Shadow },
    ];
    let lease =
        Lease { window_s: 60, until_s: 120, granted: 5000, charged: 10, limit: MAX_AMOUNT, left: 9, available: 7 };
    let ceiling = Ceiling { input: 2500, output: 10_000, call: 1 };
    let (leases, prices) = (vec![None, Some(lease)], vec![Some(ceiling), None]);
    Response { number: 7, revision: 4, budgets: Some(budgets), leases, prices }
}

/// What is said of a request of which one thing is other than it should be.
fn refused(edit: impl Fn(&mut Value)) -> String {
    let mut value = serde_json::from_slice(&encode_request(&full_request())).unwrap();
    edit(&mut value);
    request(value.to_string().as_bytes()).unwrap_err().to_string()
}

cases! {
    fn contract_what_is_written_is_read() {
        assert_eq!(request(&encode_request(&full_request())), Ok(full_request()));
        assert_eq!(response(&encode_response(&full_response())), Ok(full_response()));
        let least = Request { number: 1, ..Request::default() };
        assert_eq!(request(&encode_request(&least)), Ok(least.clone()));
        assert_eq!(request(br#"{"number":1,"acknowledged":0,"revision":0,"later":[]}"#), Ok(least));
        let least = Response { number: 1, ..Response::default() };
        assert_eq!(response(&encode_response(&least)), Ok(least));
    }

    fn contract_what_cannot_be_read_is_named_with_what_is_allowed() {
        assert_eq!(request(b"[]").unwrap_err().to_string(), "must be a JSON object");
        assert!(request(b"{").unwrap_err().to_string().starts_with("not readable as JSON: "));
        assert_eq!(refused(|v| v["number"] = json!(0)), "number: must be a whole number from 1 to 9007199254740991");
        assert_eq!(refused(|v| v["leases"] = json!(7)), "leases: must be a list of at most 256 objects");
        assert_eq!(refused(|v| v["leases"] = vec![json!({}); 257].into()), "leases: must be a list of at most 256 objects");
        assert_eq!(refused(|v| v["leases"][0] = json!(7)), "leases[0]: must be an object");
        assert_eq!(refused(|v| v["leases"][0]["need"] = json!(5001)), "leases[0].need: must be a whole number from 0 to 5000");
        assert_eq!(refused(|v| v["leases"][0]["up_to"] = json!(-1)), "leases[0].up_to: must be a whole number from 0 to 1000000000000000000");
        assert_eq!(refused(|v| v["prices"][0]["model"] = json!("")), "prices[0].model: must be a text of 1 to 256 bytes");
        let mut value: Value = serde_json::from_slice(&encode_response(&full_response())).unwrap();
        value["budgets"][1]["unit"] = json!("eur");
        let problem = response(value.to_string().as_bytes()).unwrap_err().to_string();
        assert_eq!(problem, "budgets[1].unit: must be one of tokens, usd");
    }

    fn contract_a_scope_covers_a_tenant_with_all_below_it_and_nobody_else() {
        let scope = Scope { tenant: Some("org/a".into()), ..Scope::default() };
        for (tenant, covered) in [("org/a", true), ("org/a/b", true), ("org/ab", false), ("org", false), ("", false), ("x/org/a", false)] {
            assert_eq!(scope.covers(tenant, "openai", None), covered, "{tenant}");
        }
        let scope = Scope { provider: Some("openai".into()), model: Some("gpt-5".into()), ..Scope::default() };
        assert!(scope.covers("a", "openai", Some("gpt-5")));
        assert!(!scope.covers("a", "azure", Some("gpt-5")) && !scope.covers("a", "openai", None));
        let mut budget = full_response().budgets.unwrap().remove(0);
        assert_eq!(budget.subject("org/a"), "org/a");
        budget.per_tenant = false;
        assert_eq!(budget.subject("org/a"), "");
    }
}
