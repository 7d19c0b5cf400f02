//! A report as a table for the eye.

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Row, Table, TableStyle};
use wire::usage::{Class, Kind};

use super::notes::Notes;
use super::sum::{Amounts, Sum};
use super::{Key, Report, ReportError};
use crate::money::Charge;
use crate::terminal::printable;

/// One line under the head, nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

const UNPRICED: &str = "unpriced";
/// Names in a footnote.
const NAMED: usize = 20;

/// A column of counts: its head, and the classes in it.
struct Column {
    head: &'static str,
    classes: Vec<Class>,
}

/// The columns of counts, disjoint: together they are all tokens. Units have columns of their own.
fn columns(report: &Report) -> Vec<Column> {
    let head = |class: Class| {
        let name = class.name();
        match class.kind() {
            Kind::Input if name.starts_with("cache_read") => "cache read",
            Kind::Input if name.starts_with("cache_write") => "cache write",
            Kind::Input => "input",
            Kind::Output if name.starts_with("output_reasoning") => "reasoning",
            Kind::Output => "output",
            Kind::Unit | Kind::Information => name,
        }
    };
    let counted =
        |class: Class| report.lines.values().any(|sum| sum.usage.get(&class).is_some_and(|count| *count != 0));
    let mut columns: Vec<Column> = Vec::new();
    for &class in Class::ALL.iter().filter(|class| match class.kind() {
        Kind::Unit => counted(**class),
        kind => kind != Kind::Information,
    }) {
        let head = head(class);
        match columns.iter_mut().find(|column| column.head == head) {
            Some(column) => column.classes.push(class),
            None => columns.push(Column { head, classes: vec![class] }),
        }
    }
    columns
}

pub fn render(report: &Report) -> Result<String, ReportError> {
    if report.lines.is_empty() {
        return Ok("no calls\n".to_owned());
    }
    let by = &report.question.by;
    let columns = columns(report);
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
    let heads = columns.iter().map(|column| column.head);
    // A column that is seldom needed.
    let adjusts = report.has_adjustments();
    let width = by.len().saturating_add(usize::from(adjusts));
    let names = by.iter().map(|dimension| dimension.name()).chain(adjusts.then_some("adjusts"));
    let amounts = ["charge (USD)", "cost (USD)", ""];
    let header: Vec<&str> = names.chain(["evidence", "calls"]).chain(heads).chain(amounts).collect();
    table.set_header(header.iter().copied());
    let rule = || Row::from(header.iter().map(|_| ""));
    let totals = report.totals()?;
    let mut all = Sum::default();
    for sum in totals.values() {
        all.merge(sum)?;
    }
    let mut decimals = [0; 2];
    for sum in report.lines.values().chain(totals.values()).chain([&all]) {
        let Some(Amounts { charge, cost }) = sum.total()? else { continue };
        for (most, amount) in decimals.iter_mut().zip([charge, cost]) {
            *most = self::decimals(&amount.to_string()).max(*most);
        }
    }
    let mut rows = Vec::new();
    for ((key, grade), sum) in &report.lines {
        rows.push(cells(key_cells(key, adjusts), grade.0.as_str(), sum, &columns, decimals)?);
    }
    rows.push(rule());
    for (grade, sum) in &totals {
        rows.push(cells(total_key(width), grade.0.as_str(), sum, &columns, decimals)?);
    }
    if totals.len() > 1 {
        rows.push(cells(total_key(width), "all", &all, &columns, decimals)?);
    }
    table.add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        if index > width {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    Ok(format!("{}\n{}", table.trim_fmt(), notes(report)))
}

fn key_cells(key: &Key, adjusts: bool) -> Vec<String> {
    let shown = |value: &String| if value.is_empty() { "-".to_owned() } else { printable(value) };
    let mut cells: Vec<String> = key.columns.iter().map(shown).collect();
    cells.extend(adjusts.then(|| key.adjusts.clone()));
    cells
}

fn total_key(width: usize) -> Vec<String> {
    let mut key = vec![String::new(); width];
    if let Some(first) = key.first_mut() {
        *first = "total".to_owned();
    }
    key
}

fn cells(
    key: Vec<String>,
    evidence: &str,
    sum: &Sum,
    columns: &[Column],
    decimals: [usize; 2],
) -> Result<Row, ReportError> {
    let mut cells: Vec<Cell> = key.into_iter().map(Cell::new).collect();
    cells.push(Cell::new(evidence));
    cells.push(Cell::new(grouped(sum.calls)));
    for column in columns {
        // Absent is not zero.
        let counts = column.classes.iter().filter_map(|class| sum.usage.get(class).copied());
        let count = counts.reduce(i128::saturating_add);
        cells.push(Cell::new(count.map_or("-".to_owned(), grouped)));
    }
    let total = sum.total()?;
    let [charge, cost] = [total.map(|total| total.charge), total.map(|total| total.cost)];
    for (amount, decimals) in [charge, cost].into_iter().zip(decimals) {
        cells.push(Cell::new(amount_of(sum, amount, decimals)));
    }
    cells.push(Cell::new(mark(sum)).set_alignment(CellAlignment::Left));
    Ok(Row::from(cells))
}

/// An amount, with room for `decimals`, so that the points stand below each other.
fn amount_of(sum: &Sum, amount: Option<Charge>, decimals: usize) -> String {
    match amount {
        Some(amount) => {
            let text = amount.to_string();
            let missing = decimals.saturating_sub(self::decimals(&text));
            format!("{text}{:missing$}", "")
        }
        None if sum.unpriced.is_empty() => "-".to_owned(),
        None => UNPRICED.to_owned(),
    }
}

/// What else there is to say about a cost.
fn mark(sum: &Sum) -> &'static str {
    match (sum.fallback.is_empty(), sum.unpriced.is_empty() || sum.amounts.is_empty()) {
        (true, true) => "",
        (false, true) => "*",
        (true, false) => "+ unpriced",
        (false, false) => "* + unpriced",
    }
}

fn decimals(amount: &str) -> usize {
    amount.split_once('.').map_or(0, |(_, decimals)| decimals.len())
}

fn notes(report: &Report) -> String {
    let mut notes = String::new();
    if report.has_adjustments() {
        notes.push_str("adjusts: credits and debits for calls of a month that was closed before\n");
    }
    if report.lines.values().any(|sum| !sum.fallback.is_empty()) {
        notes.push_str("* in part charged by the price of another class; --format json says which\n");
    }
    if report.lines.values().any(|sum| sum.amounts.is_empty() && sum.unpriced.is_empty()) {
        notes.push_str(
            "- as charge or cost: nothing was counted that could be charged; what was counted and is free has 0\n",
        );
    }
    if report.lines.values().any(|sum| !sum.unpriced.is_empty()) {
        notes.push_str("unpriced: the price book had no price for it; unknown is not free. A price that came later: meshmeter rerate\n");
    }
    let Notes { unpriced, deferred, unknown } = &report.notes;
    let models = unpriced.iter().map(|((provider, model), of)| {
        let tokens = (of.tokens != 0).then(|| format!("{} tokens", grouped(of.tokens)));
        let units = of.units.iter().map(|(class, count)| format!("{} {}", grouped(*count), class.name()));
        let what: Vec<String> = tokens.into_iter().chain(units).collect();
        let (provider, model, calls) = (printable(provider), printable(model), grouped(of.calls));
        format!("{provider} {model}: {calls} calls, {} without a price", what.join(", "))
    });
    list(&mut notes, models);
    let of_calls = |name: &str, calls: i128| format!("{}: {} calls", printable(name), grouped(calls));
    if !deferred.is_empty() {
        notes.push_str("deferred: counts that are to come in another call, which is not metered\n");
        list(&mut notes, deferred.iter().map(|(why, calls)| of_calls(why, *calls)));
    }
    if !unknown.is_empty() {
        notes.push_str("unknown usage: counts of responses that the meter does not know; they may cost something, and are not charged\n");
        list(&mut notes, unknown.iter().map(|(name, calls)| of_calls(name, *calls)));
    }
    notes
}

/// The first of them, a line each, and how many more there are.
fn list(notes: &mut String, lines: impl ExactSizeIterator<Item = String>) {
    let more = lines.len().saturating_sub(NAMED);
    for line in lines.take(NAMED) {
        notes.push_str(&format!("  {line}\n"));
    }
    if more > 0 {
        notes.push_str(&format!("  and {more} more: --format json\n"));
    }
}

/// Digits in groups of three.
fn grouped(number: i128) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position != 0 && digits.len().saturating_sub(position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}
