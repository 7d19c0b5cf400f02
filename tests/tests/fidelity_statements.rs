//! What `meshmeter explain` and `statement` say of calls that a real Envoy has carried: what the provider served, and what the
//! report owes.

use std::collections::BTreeSet;

use e2e::{
    Result, expect,
    stack::{Stack, with_request_id},
    wait::ensure,
};
use serde_json::Value;

/// An exact amount, in 10^-24 USD.
fn yocto(amount: &Value) -> i128 {
    let text = amount.as_str().unwrap();
    let (whole, decimals) = text.split_once('.').unwrap();
    format!("{whole}{decimals:0<24}").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_every_call_is_explained_and_a_statement_owes_what_the_report_does() -> Result<()> {
    let stack = Stack::start().await?;
    let fixtures = stack.provider.catalogue().0.clone();
    for fixture in &fixtures {
        expect::faithful(&stack, fixture, &format!("call-{}", fixture.name)).await?;
        let call = stack.as_tenant(fixture.call(), "acme/ml")?;
        let response = stack.llm().send(&with_request_id(call, &format!("theirs-{}", fixture.name))).await?;
        ensure(response.status == 200, || format!("{}: HTTP {}", fixture.name, response.status))?;
    }
    stack.settled(2 * fixtures.len() as u64).await?;
    let mut explained = 0;
    let mut months = BTreeSet::new();
    for event in stack.journal()? {
        let json: Value = serde_json::from_str(&stack.collector.about("explain", &[event.id(), "--format", "json"])?)?;
        assert_eq!(json["event"]["data"]["request_id"], event.text("request_id"));
        // The provider's own words, not what was made of them.
        let raw: Option<Value> = serde_json::from_str(event.text("raw_usage")).ok();
        assert_eq!(raw.is_some(), event.count("input_tokens").is_some(), "{json}");
        assert_eq!(json["raw_usage"], raw.unwrap_or_default());
        let entries = json["entries"].as_array().unwrap();
        assert!(entries.iter().all(|entry| entry["chain"] == "intact"), "{json}");
        let charged = entries.iter().find(|entry| entry["entry"] == json["charged"]).unwrap();
        for (class, count) in json["usage"].as_object().unwrap() {
            assert_eq!(event.count(class), count.as_u64(), "{class}");
        }
        months.insert(charged["counts_on"].as_str().unwrap()[..7].to_owned());
        explained += yocto(&charged["charge"]);
    }
    let report: Value = serde_json::from_str(&stack.collector.report_text(&["--format", "json", "--by", "tenant"])?)?;
    let owed: i128 = report["totals"].as_array().unwrap().iter().map(|total| yocto(&total["charge"])).sum();
    assert!(owed > 0 && explained == owed, "{explained} of {owed}");
    for tenant in ["acme/ml", "unknown"] {
        let lines = report["lines"].as_array().unwrap().iter().filter(|line| line["tenant"] == tenant);
        let owed: i128 = lines.map(|line| yocto(&line["charge"])).sum();
        let mut stated = 0;
        for month in &months {
            let arguments = ["--tenant", tenant, "--month", month, "--format", "json"];
            let statement: Value = serde_json::from_str(&stack.collector.about("statement", &arguments)?)?;
            stated += yocto(&statement["total"]["exact"]);
        }
        assert!(owed > 0 && stated == owed, "{tenant}: {stated} of {owed}");
    }
    stack.finish()
}
