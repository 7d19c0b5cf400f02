//! A statement as JSON: counts are numbers, amounts decimal texts, what is unknown is absent.

use std::collections::BTreeMap;

use serde::Serialize;

use super::shown::Shown;
use super::{Account, BillingStatement};
use crate::terminal;

#[derive(Serialize)]
struct Document<'a> {
    tenant: &'a str,
    /// Whether tenants below it are included.
    below: bool,
    month: String,
    time_zone: &'static str,
    currency: &'static str,
    decimals: u8,
    /// The entry that has closed the month.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_by: Option<String>,
    /// The last entry of each chain that it was computed at, as `--at` takes it.
    position: String,
    lines: Vec<Line<'a>>,
    /// By tenant, each rounded once.
    tenants: BTreeMap<&'a str, Owed>,
    total: Owed,
    notes: Said<'a>,
}

#[derive(Serialize)]
struct Owed {
    calls: i128,
    exact: String,
    amount: String,
}

#[derive(Serialize)]
struct Line<'a> {
    line: usize,
    tenant: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    adjusts: &'a str,
    provider: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_book_entry: Option<&'a str>,
    item: &'static str,
    evidence: &'static str,
    basis: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<i128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exact: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<String>,
}

/// What the amounts do not say.
#[derive(Serialize)]
struct Said<'a> {
    /// The exact sum by evidence.
    evidence: BTreeMap<&'static str, String>,
    /// Charges that were taken back within the month.
    taken_back: u64,
    /// Calls that were refused before they were sent.
    refused: i128,
    /// Calls that were sent, and of which nobody has counted anything.
    missing: i128,
    deferred: &'a BTreeMap<&'static str, i128>,
    unknown_usage: &'a BTreeMap<String, i128>,
}

pub fn render(statement: &BillingStatement) -> Result<String, String> {
    let BillingStatement { question, position, closed, accounts, total, notes, .. } = statement;
    let owed = |account: &Account| Owed {
        calls: account.calls,
        exact: account.exact.to_string(),
        amount: statement.amount(account.rounded),
    };
    let document = Document {
        tenant: &question.tenant,
        below: question.below,
        month: question.month.to_string(),
        time_zone: "UTC",
        currency: "USD",
        decimals: question.round,
        closed_by: closed.map(|id| id.to_string()),
        position: position.to_string(),
        lines: statement.shown().map(line).collect(),
        tenants: accounts.iter().map(|(tenant, account)| (tenant.as_str(), owed(account))).collect(),
        total: owed(total),
        notes: Said {
            evidence: notes.evidence.iter().map(|(grade, sum)| (grade.0.as_str(), sum.to_string())).collect(),
            taken_back: notes.taken_back,
            refused: notes.refused,
            missing: notes.missing,
            deferred: &notes.deferred,
            unknown_usage: &notes.unknown,
        },
    };
    let text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?;
    Ok(terminal::json(&text) + "\n")
}

fn line(shown: Shown<'_>) -> Line<'_> {
    let Shown { number, key, item, basis, quantity, price, per, factor, base, exact, amount } = shown;
    Line {
        line: number,
        tenant: &key.tenant,
        adjusts: &key.adjusts,
        provider: &key.provider,
        model: &key.model,
        price_book_entry: key.entry.as_deref(),
        item,
        evidence: key.evidence.0.as_str(),
        basis,
        quantity,
        price,
        per,
        factor,
        base,
        exact,
        amount,
    }
}
