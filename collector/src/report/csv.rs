//! A report as CSV (RFC 4180): one line per group and evidence, one column per usage class, no totals. Names are safe in a
//! spreadsheet and on a terminal; JSON has them as they are.

use std::io::Write;

use wire::usage::Class;

use super::change::Change;
use super::sum::{Amounts, Sum};
use super::{Figures, Line, Report, ReportError};
use crate::money::Charge;
use crate::terminal::printable;

/// What a spreadsheet takes for the begin of a formula, in any of its languages, and the mark that says that it is none.
const FORMULA: [char; 9] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}', TEXT];
const TEXT: char = '\'';

const BEFORE: &str = "before_calls";
/// Columns of the period before; all but the first are of amounts.
const COMPARED: [&str; 6] =
    [BEFORE, "before_charge_usd", "before_cost_usd", "before_unpriced", "change_charge_usd", "change_percent"];

pub fn write(report: &Report, out: &mut dyn Write) -> Result<(), ReportError> {
    let question = &report.question;
    let mut header: Vec<String> = question.by.iter().map(|dimension| name(&dimension.name())).collect();
    let figures = report.figures;
    // How many others a line is about: a name of such a line could be any call's.
    header.extend(has_others(report).then(|| "others".to_owned()));
    let classes = Class::ALL.iter().filter(|_| figures.has_usage()).map(|class| class.name());
    let counts = ["adjusts", "evidence", "calls"].into_iter().chain(classes);
    let amounts = ["charge_usd", "cost_usd", "unpriced", "fallback"].into_iter().filter(|_| figures.has_costs());
    let compared = COMPARED.into_iter().filter(|name| question.compare && (figures.has_costs() || *name == BEFORE));
    header.extend(counts.chain(amounts).chain(compared).chain(["time_zone"]).map(str::to_owned));
    line(out, &header)?;
    report.each(&mut |of| line(out, &fields(report, of)?))
}

/// Whether a line may be about others: where lines are bounded, the columns do not depend on whether that was needed.
fn has_others(report: &Report) -> bool {
    report.question.top.is_some() || report.figures != Figures::All
}

/// A line of it.
pub fn line(out: &mut dyn Write, fields: &[String]) -> Result<(), ReportError> {
    out.write_all(fields.join(",").as_bytes())?;
    Ok(out.write_all(b"\r\n")?)
}

fn fields(report: &Report, Line { key, grade, sum, before }: &Line) -> Result<Vec<String>, ReportError> {
    let question = &report.question;
    let mut fields: Vec<String> = key.columns.iter().map(|value| name(value)).collect();
    fields.resize(question.by.len(), String::new());
    if has_others(report) {
        fields.push(key.others.map(|others| others.to_string()).unwrap_or_default());
    }
    fields.push(name(&key.adjusts));
    fields.push(grade.0.as_str().to_owned());
    fields.push(sum.calls.to_string());
    // Absent is not zero: a class that nobody reported is an empty field.
    let classes = Class::ALL.iter().filter(|_| report.figures.has_usage());
    fields.extend(classes.map(|class| sum.usage.get(class).map(i128::to_string).unwrap_or_default()));
    let amounts = |sum: &Sum| {
        let total = sum.total()?;
        let amount = |of: fn(Amounts) -> Charge| total.map(|total| of(total).to_string()).unwrap_or_default();
        Ok::<_, ReportError>([amount(|total| total.charge), amount(|total| total.cost)])
    };
    let has_costs = report.figures.has_costs();
    if has_costs {
        fields.extend(amounts(sum)?);
        fields.push(names(sum.unpriced.keys()));
        fields.push(names(sum.fallback.keys()));
    }
    if let Some(before) = before {
        fields.push(before.calls.to_string());
        if has_costs {
            let change = Change::of(sum, before)?;
            fields.extend(amounts(before)?);
            fields.push(names(before.unpriced.keys()));
            fields.push(change.by.map(|by| by.to_string()).unwrap_or_default());
            // A number: the sign and the unit are for the eye.
            let percent = change.percent.unwrap_or_default();
            fields.push(percent.trim_start_matches('+').trim_end_matches('%').to_owned());
        }
    }
    fields.push(name(question.period.zone.name()));
    Ok(fields)
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
