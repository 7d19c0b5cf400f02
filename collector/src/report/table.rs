//! A report as a table for the eye.

use std::io::Write;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Row, Table, TableStyle};

use super::grid::{self, Grid};
use super::{Report, ReportError};

/// One line under the head, nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

pub fn write(report: &Report, out: &mut dyn Write) -> Result<(), ReportError> {
    if report.is_empty() {
        return Ok(writeln!(out, "no calls {}", report.question.period.said())?);
    }
    let Grid { header, lines, totals, names } = Grid::of(report)?;
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
    let rule = Row::from(header.iter().map(|_| ""));
    let last = header.len().saturating_sub(1);
    table.set_header(header);
    table.add_rows(lines);
    table.add_row(rule);
    table.add_rows(totals);
    for (index, column) in table.column_iter_mut().enumerate() {
        if (names..last).contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    writeln!(out, "{}", table.trim_fmt())?;
    for (note, lines) in grid::notes(report) {
        writeln!(out, "{note}")?;
        lines.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    }
    Ok(())
}
