//! A statement as CSV (RFC 4180): a record for each line, no totals. Names are safe in a spreadsheet and on a terminal.

use super::BillingStatement;
use super::shown::Shown;
use crate::report::csv_field as name;

const HEADER: [&str; 18] = [
    "line",
    "tenant",
    "month",
    "adjusts",
    "provider",
    "model",
    "item",
    "evidence",
    "basis",
    "quantity",
    "price_usd",
    "per",
    "factor",
    "base_usd",
    "exact_usd",
    "amount_usd",
    "price_book_entry",
    "position",
];

pub fn render(statement: &BillingStatement) -> String {
    let mut text = HEADER.join(",") + "\r\n";
    let (month, position) = (statement.question.month.to_string(), name(&statement.position.to_string()));
    for shown in statement.shown() {
        let Shown { number, key, item, basis, quantity, price, per, factor, base, exact, amount } = shown;
        let fields = [
            number.to_string(),
            name(&key.tenant),
            month.clone(),
            key.adjusts.clone(),
            name(&key.provider),
            name(&key.model),
            item.to_owned(),
            key.evidence.0.as_str().to_owned(),
            basis.to_owned(),
            quantity.map(|quantity| quantity.to_string()).unwrap_or_default(),
            price.unwrap_or_default(),
            per.map(|per| per.to_string()).unwrap_or_default(),
            factor.unwrap_or_default().to_owned(),
            base.unwrap_or_default(),
            exact.unwrap_or_default(),
            amount.unwrap_or_default(),
            name(key.entry.as_deref().unwrap_or_default()),
            position.clone(),
        ];
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}
