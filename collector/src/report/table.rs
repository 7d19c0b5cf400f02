//! A report as a table for the eye.

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Row, Table, TableStyle};
use meter::usage::{Class, Kind};

use super::{Report, ReportError, Sum};
use crate::terminal::printable;

/// One line under the head, nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

const UNPRICED: &str = "unpriced";

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
    let names = by.iter().map(|dimension| dimension.name());
    let header: Vec<&str> = names.chain(["evidence", "calls"]).chain(heads).chain(["cost (USD)", ""]).collect();
    table.set_header(header.iter().copied());
    let rule = || Row::from(header.iter().map(|_| ""));
    let totals = report.totals()?;
    let mut all = Sum::default();
    for sum in totals.values() {
        all.merge(sum)?;
    }
    let mut decimals = 0;
    for sum in report.lines.values().chain(totals.values()).chain([&all]) {
        decimals = decimals.max(sum.cost()?.map_or(0, |cost| self::decimals(&cost.to_string())));
    }
    let mut rows = Vec::new();
    for ((key, grade), sum) in &report.lines {
        let key = key.iter().map(|value| if value.is_empty() { "-".to_owned() } else { printable(value) }).collect();
        rows.push(cells(key, grade.0.as_str(), sum, &columns, decimals)?);
    }
    rows.push(rule());
    for (grade, sum) in &totals {
        rows.push(cells(total_key(by.len()), grade.0.as_str(), sum, &columns, decimals)?);
    }
    if totals.len() > 1 {
        rows.push(cells(total_key(by.len()), "all", &all, &columns, decimals)?);
    }
    table.add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        if index > by.len() {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    Ok(format!("{}\n{}", table.trim_fmt(), notes(report)))
}

fn total_key(width: usize) -> Vec<String> {
    let mut key = vec![String::new(); width];
    if let Some(first) = key.first_mut() {
        *first = "total".to_owned();
    }
    key
}

fn cells(key: Vec<String>, evidence: &str, sum: &Sum, columns: &[Column], decimals: usize) -> Result<Row, ReportError> {
    let mut cells: Vec<Cell> = key.into_iter().map(Cell::new).collect();
    cells.push(Cell::new(evidence));
    cells.push(Cell::new(grouped(sum.calls)));
    for column in columns {
        // Absent is not zero.
        let counts = column.classes.iter().filter_map(|class| sum.usage.get(class).copied());
        let count = counts.reduce(i128::saturating_add);
        cells.push(Cell::new(count.map_or("-".to_owned(), grouped)));
    }
    cells.push(Cell::new(cost(sum, decimals)?));
    cells.push(Cell::new(mark(sum)).set_alignment(CellAlignment::Left));
    Ok(Row::from(cells))
}

/// The cost, with room for `decimals`, so that the points stand below each other.
fn cost(sum: &Sum, decimals: usize) -> Result<String, ReportError> {
    Ok(match sum.cost()? {
        Some(cost) => {
            let text = cost.to_string();
            let missing = decimals.saturating_sub(self::decimals(&text));
            format!("{text}{:missing$}", "")
        }
        None if sum.unpriced.is_empty() => "-".to_owned(),
        None => UNPRICED.to_owned(),
    })
}

/// What else there is to say about a cost.
fn mark(sum: &Sum) -> &'static str {
    match (sum.fallback.is_empty(), sum.unpriced.is_empty() || sum.charges.is_empty()) {
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
    if report.lines.values().any(|sum| !sum.fallback.is_empty()) {
        notes.push_str("* in part charged by the price of another class; --format json says which\n");
    }
    if report.lines.values().any(|sum| !sum.unpriced.is_empty()) {
        notes.push_str("unpriced: the price book had no price for it; unknown is not free. A price that came later: meshmeter rerate\n");
    }
    notes
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
