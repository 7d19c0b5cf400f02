//! The collector's side of budgets: a thousand of them, of which two cover the calls of the bench, and whatever is asked for is
//! granted.

use std::time::{SystemTime, UNIX_EPOCH};

use e2e::Result;
use serde_json::{Value, json};

/// Of other tenants.
const OTHERS: usize = 998;
const LIMIT: u64 = 1_000_000_000_000_000;

/// Whether the body of a request asks for leases.
pub fn asks(body: &[u8]) -> bool {
    body.starts_with(b"{\"number\":")
}

/// The response to it.
pub fn lend(body: &[u8]) -> Result<String> {
    let asked: Value = serde_json::from_slice(body)?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let (window_s, until_s) = (now_s / 86_400 * 86_400, now_s / 86_400 * 86_400 + 86_400);
    let count = |name: &str| asked[name].as_array().map_or(0, Vec::len);
    let leases = asked["leases"].as_array().into_iter().flatten().map(|wanted| {
        json!({
            "window_s": window_s, "until_s": until_s, "granted": wanted["up_to"], "charged": 0, "limit": LIMIT, "left": LIMIT, "available": LIMIT,
        })
    });
    let prices = vec![json!({"input": 2500, "output": 10_000, "call": 0}); count("prices")];
    let mut given = json!({
        "number": asked["number"], "revision": 1, "leases": leases.collect::<Vec<_>>(), "prices": prices,
    });
    if asked["revision"] != 1 {
        let other = |number: usize| budget(&format!("other-{number}"), Some(format!("org-{number}/team")), "tokens");
        // Shadows are held like hard ones. At the beginning of a burst, when no lease is large enough yet, a hard one would refuse.
        let own = [budget("tokens", None, "tokens"), budget("money", None, "usd")];
        given["budgets"] = (0..OTHERS).map(other).chain(own).collect();
    }
    Ok(given.to_string())
}

fn budget(name: &str, tenant: Option<String>, unit: &str) -> Value {
    let mut budget = json!({"name": name, "per_tenant": false, "unit": unit, "mode": "shadow"});
    if let Some(tenant) = tenant {
        budget["tenant"] = tenant.into();
    }
    budget
}
