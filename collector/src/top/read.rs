//! What the collector says: the report of the day, the budgets, and what is wrong.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use wire::usage::{Class, Kind};

use super::budgets::Budget;
use super::rows::{Amounts, Key};
use crate::doctor::collector::{Collector, Look, Target};
use crate::doctor::finding::{Finding, Unseen};
use crate::doctor::{Observation, diagnose};
use crate::exposition::Scrape;
use crate::fetch::{Bounds, Page};
use crate::money::Charge;
use crate::terminal::printable;

/// A report of a hundred thousand rows is some forty megabytes.
const REPORT: Bounds = Bounds { size: 128 << 20, time: Duration::from_secs(30) };
/// There are at most a thousand.
const BUDGETS: Bounds = Bounds { size: 4 << 20, time: Duration::from_secs(10) };
/// Calls that budgets refused.
const REFUSED: &str = "meshmeter_ledger_refused_calls_total";

/// Where it is read.
#[derive(Debug)]
pub struct Source {
    target: Target,
    /// Only this tenant and those below it.
    tenant: Option<String>,
    /// The metrics of the reading before.
    before: Option<Scrape>,
}

/// One reading.
#[derive(Clone, Debug)]
pub struct Reading {
    /// When it was made.
    pub at: Instant,
    /// The day, UTC.
    pub day: String,
    /// What was used on that day, or why it is not known.
    pub rows: Result<BTreeMap<Key, Amounts>, String>,
    /// The budgets, or why they are not known. A collector that is older than budgets has none.
    pub budgets: Result<Vec<Budget>, String>,
    /// Calls that each of them has refused, since the collector started.
    pub refused: BTreeMap<String, i128>,
    /// What is wrong with the collector and its ledger.
    pub findings: Vec<Finding>,
}

/// A report as JSON, as far as it is needed.
#[derive(Deserialize)]
struct Report {
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    tenant: String,
    #[serde(default)]
    provider: String,
    #[serde(default)]
    model: String,
    calls: i128,
    #[serde(default)]
    usage: BTreeMap<String, i128>,
    #[serde(default)]
    charge: Option<String>,
    #[serde(default)]
    unpriced: BTreeMap<String, i128>,
}

impl Source {
    /// A collector's report, of one tenant and those below it or of all.
    pub fn new(target: Target, tenant: Option<String>) -> Source {
        Source { target, tenant, before: None }
    }

    /// The collector's URL.
    pub fn url(&self) -> String {
        self.target.url.clone()
    }

    /// Reads everything.
    pub fn read(&mut self) -> Reading {
        let day = Timestamp::now().to_zoned(TimeZone::UTC).date().to_string();
        // Whoever is no collector is asked for nothing else: it may respond without an end, or never.
        let seen = Look::begin(self.target.clone()).map(|look| look.now(self.before.take()));
        let (rows, budgets) = match &seen {
            Ok(_) => (self.report(&day), self.budgets()),
            Err(unseen) => (Err(unseen.in_words().to_owned()), Err(unseen.in_words().to_owned())),
        };
        // Rates are of what the ledger had then.
        let at = Instant::now();
        self.before = seen.as_ref().ok().and_then(|collector: &Collector| collector.after.clone());
        let refused = self.before.iter().flat_map(|scrape| scrape.by(REFUSED, "budget"));
        let refused = refused.map(|(budget, calls)| (budget.to_owned(), calls as i128)).collect();
        Reading { at, day, rows, budgets, refused, findings: self.diagnosed(seen) }
    }

    fn diagnosed(&self, seen: Result<Collector, Unseen>) -> Vec<Finding> {
        diagnose(&Observation { collector: Some((self.url(), seen)), ..Observation::default() })
    }

    fn report(&self, day: &str) -> Result<BTreeMap<Key, Amounts>, String> {
        let mut url = format!("{}/v1/report?since={day}&until={day}&by=tenant,provider,model", self.target.url);
        if let Some(tenant) = &self.tenant {
            url.push_str("&tenant=");
            url.extend(tenant.bytes().map(escaped));
        }
        let page = self.target.get(&url, REPORT).map_err(|problem| problem.in_words())?;
        if page.status == 200 { parse(&page.body) } else { Err(refusal(&page)) }
    }

    fn budgets(&self) -> Result<Vec<Budget>, String> {
        let page = self.target.get(&format!("{}/v1/budgets", self.target.url), BUDGETS);
        let page = page.map_err(|problem| problem.in_words())?;
        let mut budgets: Vec<Budget> = match page.status {
            200 => serde_json::from_slice(&page.body)
                .map_err(|error| format!("the budgets cannot be read: {}", printable(error.to_string())))?,
            404 if page.collector.is_some() => Vec::new(),
            _ => return Err(refusal(&page)),
        };
        if let Some(tenant) = &self.tenant {
            budgets.retain(|budget| budget.concerns(tenant));
        }
        Ok(budgets)
    }
}

fn refusal(page: &Page) -> String {
    match page.status {
        401 | 403 => "the collector does not accept the read token".to_owned(),
        status if page.collector.is_some() => format!("the collector returned {status}"),
        _ => format!("what responds is {}", page.looks_like()),
    }
}

/// A byte of a query's value.
fn escaped(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

fn parse(report: &[u8]) -> Result<BTreeMap<Key, Amounts>, String> {
    let report: Report = serde_json::from_slice(report)
        .map_err(|error| format!("the report cannot be read: {}", printable(error.to_string())))?;
    let mut rows: BTreeMap<Key, Amounts> = BTreeMap::new();
    for line in report.lines {
        let key = Key { tenant: line.tenant, provider: line.provider, model: line.model };
        let tokens = line.usage.iter().filter(|(name, _)| is_token(name)).map(|(_, count)| *count);
        let charge = line.charge.as_deref().unwrap_or("0").parse::<Charge>().unwrap_or_default();
        let amounts = Amounts {
            calls: line.calls,
            tokens: tokens.fold(0, i128::saturating_add),
            charge,
            unpriced: !line.unpriced.is_empty(),
        };
        rows.entry(key).or_default().add(&amounts);
    }
    Ok(rows)
}

fn is_token(name: &str) -> bool {
    let class = Class::ALL.iter().find(|class| class.name() == name);
    class.is_some_and(|class| matches!(class.kind(), Kind::Input | Kind::Output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_lines_of_one_row_are_added_up_whatever_their_evidence() {
        let report = br#"{"lines": [
            {"tenant": "a", "provider": "p", "model": "m", "evidence": "reported", "calls": 2, "charge": "0.10",
             "usage": {"input_text_tokens": 3, "output_text_tokens": 4, "web_searches": 9}, "charges": {}},
            {"tenant": "a", "provider": "p", "model": "m", "evidence": "estimated", "calls": 1, "charge": "0.000000000000000000000001",
             "usage": {"input_text_tokens": 5}, "unpriced": {"output_text_tokens": 1}},
            {"tenant": "b", "evidence": "missing", "calls": 1}
        ], "totals": []}"#;
        let rows = parse(report).unwrap();
        let key = |tenant: &str, rest: [&str; 2]| Key {
            tenant: tenant.to_owned(),
            provider: rest[0].to_owned(),
            model: rest[1].to_owned(),
        };
        let both = &rows[&key("a", ["p", "m"])];
        assert_eq!((both.calls, both.tokens, both.unpriced), (3, 12, true));
        assert_eq!(both.charge.to_string(), "0.100000000000000000000001");
        assert_eq!(rows[&key("b", ["", ""])], Amounts { calls: 1, ..Amounts::default() });
        assert!(parse(b"<html>").is_err() && parse(b"{}").is_err());
    }

    #[test]
    fn contract_a_tenant_is_one_value_of_the_query() {
        assert_eq!("a/b&c=d \u{e9}".bytes().map(escaped).collect::<String>(), "a%2Fb%26c%3Dd%20%C3%A9");
    }
}
