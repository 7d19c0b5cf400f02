//! A report as a table for the eye.

use std::io::Write;
use std::ops::Range;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Row, Table, TableStyle};

use super::grid::{self, Grid};
use super::{Report, ReportError};

/// One line under the head, nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

pub fn write(report: &Report, out: &mut dyn Write) -> Result<(), ReportError> {
    if report.is_empty() {
        return Ok(writeln!(out, "no calls {}", report.question.said())?);
    }
    let Grid { header, lines, totals, names } = Grid::of(report)?;
    let numbers = names..header.len().saturating_sub(1);
    writeln!(out, "{}", aligned(header, lines, totals, numbers))?;
    for (note, lines) in grid::notes(report) {
        writeln!(out, "{note}")?;
        lines.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    }
    Ok(())
}

/// Rows, then totals behind an empty one; columns of numbers end below each other.
pub fn aligned(header: Vec<String>, rows: Vec<Vec<String>>, totals: Vec<Vec<String>>, numbers: Range<usize>) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
    let rule = Row::from(header.iter().map(|_| ""));
    table.set_header(header);
    table.add_rows(rows);
    table.add_row(rule);
    table.add_rows(totals);
    for (index, column) in table.column_iter_mut().enumerate() {
        if numbers.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}
