//! A report as CSV (RFC 4180): one line per group and evidence, one column per usage class, no totals. Names are safe in a
//! spreadsheet and on a terminal; JSON has them as they are.

use wire::usage::Class;

use super::{Report, ReportError};
use crate::terminal::printable;

/// What a spreadsheet takes for the begin of a formula, in any of its languages, and the mark that says that it is none.
const FORMULA: [char; 9] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}', TEXT];
const TEXT: char = '\'';

pub fn render(report: &Report) -> Result<String, ReportError> {
    let by = report.question.by.iter().map(|dimension| dimension.name());
    let classes = Class::ALL.iter().map(|class| class.name());
    let header: Vec<&str> = by
        .chain(["adjusts", "evidence", "calls"])
        .chain(classes)
        .chain(["charge_usd", "cost_usd", "unpriced", "fallback"])
        .collect();
    let mut text = header.join(",") + "\r\n";
    for ((key, grade), sum) in &report.lines {
        let mut fields: Vec<String> = key.columns.iter().map(|value| name(value)).collect();
        fields.push(name(&key.adjusts));
        fields.push(grade.0.as_str().to_owned());
        fields.push(sum.calls.to_string());
        // Absent is not zero: a class that nobody reported is an empty field.
        fields.extend(Class::ALL.iter().map(|class| sum.usage.get(class).map(i128::to_string).unwrap_or_default()));
        let total = sum.total()?;
        fields.push(total.map(|total| total.charge.to_string()).unwrap_or_default());
        fields.push(total.map(|total| total.cost.to_string()).unwrap_or_default());
        fields.push(names(sum.unpriced.keys()));
        fields.push(names(sum.fallback.iter()));
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    Ok(text)
}

fn names<'a>(classes: impl Iterator<Item = &'a Class>) -> String {
    classes.map(|class| class.name()).collect::<Vec<_>>().join(" ")
}

/// A name that came with a call: never a formula, and quoted unless it is a word, whatever else than a comma may part
/// fields where it is read.
pub fn name(value: &str) -> String {
    let mut text = printable(value);
    if text.trim_start().starts_with(FORMULA) {
        text.insert(0, TEXT);
    }
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte);
    if text.bytes().all(is_word) { text } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}
