//! What is drawn: a head, the rows, all of them together, the budgets, and in the last line what is wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Paragraph, Row as Drawn, Table, Widget};

use super::budgets::{self, Budget};
use super::read::Reading;
use super::rows::{By, Readings, Row, Sort};
use crate::doctor::code::Severity;
use crate::doctor::finding::Finding;
use crate::money::Charge;
use crate::terminal::{grouped, printable};

/// Decimals of amounts.
const DECIMALS: u8 = 4;
const COLUMNS: [&str; 9] =
    ["TENANT", "PROVIDER", "MODEL", "CALLS", "TOKENS", "CHARGE USD", "CALLS/MIN", "TOKENS/MIN", "USD/H"];
/// The columns of budgets, beneath those.
const BUDGETS: [&str; 9] = ["BUDGET", "OF", "KIND", "LIMIT", "SPENT", "LEFT", "USED", "UNTIL UTC", "REFUSED/MIN"];
/// Budgets that are shown at most.
const MOST_BUDGETS: usize = 6;
/// The columns of names; the others are numbers.
const NAMES: usize = 3;
/// How wide a number is.
const NUMBER: u16 = 13;

/// What is shown.
#[derive(Debug)]
pub struct View {
    url: String,
    every: Duration,
    /// What is told apart.
    pub by: By,
    /// What comes first.
    pub sort: Sort,
    /// How many rows are above the first that is shown.
    above: usize,
    readings: Readings,
    last: Option<Reading>,
}

impl View {
    /// Nothing has been read yet.
    pub fn new(url: String, every: Duration, by: By, sort: Sort) -> View {
        View { url, every, by, sort, above: 0, readings: Readings::default(), last: None }
    }

    /// Takes a reading.
    pub fn take(&mut self, reading: Reading) {
        self.readings.take(&reading);
        self.last = Some(reading);
    }

    /// Moves the rows by so many lines, but not past the last one.
    pub fn scroll(&mut self, by: isize) {
        let last = self.readings.rows(self.by, self.sort).0.len().saturating_sub(1);
        self.above = self.above.saturating_add_signed(by).min(last);
    }

    /// As text, of this size.
    pub fn text(&self, width: u16, height: u16) -> String {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        self.render(area, &mut buffer);
        let lines = (0..height).map(|y| {
            let cells = (0..width).filter_map(|x| buffer.cell((x, y))).map(|cell| cell.symbol());
            cells.collect::<String>().trim_end().to_owned() + "\n"
        });
        lines.collect()
    }

    fn head(&self) -> String {
        let day = self.last.as_ref().map_or("", |reading| reading.day.as_str());
        let seconds = self.every.as_secs_f64();
        // A minute, as soon as it has been read for so long.
        let rates = self.readings.span().map(|span| format!(", rates of the last {} s", span.as_secs_f64().round()));
        format!(
            "meshmeter top  {}  {day} UTC, every {seconds} s, by {}{}",
            printable(&self.url),
            self.sort.word(),
            rates.unwrap_or_default()
        )
    }

    /// What is wrong, the most serious first, and how serious that is.
    fn wrong(&self) -> (String, Option<Severity>) {
        let Some(reading) = &self.last else { return ("reading …".to_owned(), None) };
        let mut said: Vec<String> = reading.rows.as_ref().err().cloned().into_iter().collect();
        said.extend(reading.budgets.as_ref().err().filter(|problem| !said.contains(problem)).cloned());
        said.extend(
            reading
                .findings
                .iter()
                .filter(|found| found.severity() > Severity::Note)
                .map(|found| format!("{}: {}", found.code.spec().word, printable(&found.what))),
        );
        let is_unread = reading.rows.is_err() || reading.budgets.is_err();
        let budgets = budgets::said(self.budgets());
        let spent = (!budgets.is_empty()).then_some(Severity::Warning);
        said.extend(budgets);
        if said.is_empty() {
            return ("nothing is wrong".to_owned(), None);
        }
        let severity = reading.findings.iter().map(Finding::severity).chain(spent).max();
        (said.join("; "), severity.filter(|_| !is_unread).or(Some(Severity::Error)))
    }
}

impl Widget for &View {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        // Budgets take a third of the rest at most, with a head and a line that sets them off.
        let room = usize::from(area.height).saturating_sub(3) / 3;
        let shown = self.budgets().len().min(MOST_BUDGETS).min(room.saturating_sub(2));
        let height = if shown > 0 { u16::try_from(shown.saturating_add(2)).unwrap_or(0) } else { 0 };
        let one = Constraint::Length(1);
        let parts = Layout::vertical([one, one, Constraint::Min(0), Constraint::Length(height), one]);
        let [head, keys, table, budgets, wrong] = parts.areas(area);
        let bold = Style::new().add_modifier(Modifier::BOLD);
        Paragraph::new(Line::styled(self.head(), bold)).render(head, buffer);
        let help = "q quit  s spend  r rate  t tokens  c calls  n name  g group  arrows scroll";
        Paragraph::new(help).render(keys, buffer);
        let tenants = self.table(table, buffer);
        if shown > 0 {
            let budgets = Layout::vertical([one, Constraint::Min(0)]).areas::<2>(budgets)[1];
            self.limits(budgets, buffer, &tenants, shown);
        }
        let (text, severity) = self.wrong();
        let style = if severity.is_some() { bold.add_modifier(Modifier::REVERSED) } else { Style::new() };
        Paragraph::new(Line::styled(text, style)).render(wrong, buffer);
    }
}

impl View {
    fn budgets(&self) -> &[Budget] {
        let budgets = self.last.as_ref().and_then(|reading| reading.budgets.as_ref().ok());
        budgets.map_or(&[], |budgets| budgets)
    }

    /// Draws the budgets, those of these tenants first.
    fn limits(&self, area: Rect, buffer: &mut Buffer, tenants: &BTreeSet<String>, shown: usize) {
        let tenants = tenants.iter().map(String::as_str).collect();
        let drawn = |cells: [String; BUDGETS.len()]| {
            Drawn::new(cells.into_iter().enumerate().map(|(column, text)| cell(column, text)).collect::<Vec<_>>())
        };
        let lines = budgets::in_order(self.budgets(), &tenants).into_iter().take(shown);
        let lines = lines.map(|budget| drawn(budget.cells(self.readings.refused(&budget.name))));
        let mut head = BUDGETS.map(str::to_owned);
        if shown < self.budgets().len() {
            head[0] = format!("{} ({shown} of {})", head[0], self.budgets().len());
        }
        let head = drawn(head).style(Style::new().add_modifier(Modifier::BOLD));
        Widget::render(Table::new(lines, (0..BUDGETS.len()).map(width)).header(head), area, buffer);
    }

    /// Draws the rows. Returns the tenants that are in view.
    fn table(&self, area: Rect, buffer: &mut Buffer) -> BTreeSet<String> {
        let (rows, total) = self.readings.rows(self.by, self.sort);
        // The head of the table, and all rows together, take a line each.
        let shown = usize::from(area.height).saturating_sub(2);
        let above = self.above.min(rows.len().saturating_sub(shown));
        let mut total = cells(&total);
        total[0] = format!("all ({})", rows.len());
        let used = |column: usize| match column {
            0 => self.by != By::Model,
            1 | 2 => self.by != By::Tenant,
            _ => true,
        };
        let drawn = |cells: [String; COLUMNS.len()]| {
            let used = cells.into_iter().enumerate().filter(|(column, _)| used(*column) || *column == 0);
            Drawn::new(used.map(|(column, text)| cell(column, text)).collect::<Vec<_>>())
        };
        let in_view = rows.iter().skip(above).take(shown);
        let tenants = in_view.clone().map(|row| row.key.tenant.clone()).collect();
        let lines = in_view.map(|row| drawn(cells(row)));
        let widths = (0..COLUMNS.len()).filter(|column| used(*column) || *column == 0).map(width);
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let lines = [drawn(total).style(bold)].into_iter().chain(lines);
        let head = drawn(COLUMNS.map(str::to_owned)).style(bold);
        Widget::render(Table::new(lines, widths.collect::<Vec<_>>()).header(head), area, buffer);
        tenants
    }
}

fn width(column: usize) -> Constraint {
    match column {
        0 => Constraint::Fill(3),
        1 => Constraint::Fill(2),
        2 => Constraint::Fill(3),
        _ => Constraint::Length(NUMBER),
    }
}

fn cell(column: usize, text: String) -> Cell<'static> {
    let alignment = if column < NAMES { Alignment::Left } else { Alignment::Right };
    Cell::new(Text::from(text).alignment(alignment))
}

fn cells(row: &Row) -> [String; COLUMNS.len()] {
    let rate = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
    let unpriced = if row.day.unpriced { " *" } else { "" };
    [
        printable(&row.key.tenant),
        printable(&row.key.provider),
        printable(&row.key.model),
        grouped(row.day.calls),
        grouped(row.day.tokens),
        format!("{}{unpriced}", amount(row.day.charge)),
        rate(row.rate.map(|rate| grouped(rate.calls))),
        rate(row.rate.map(|rate| grouped(rate.tokens))),
        rate(row.rate.map(|rate| amount(rate.charge))),
    ]
}

fn amount(charge: Charge) -> String {
    charge.rounded(DECIMALS).unwrap_or(charge).to_string()
}

#[cfg(test)]
mod tests;
