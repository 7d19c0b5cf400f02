//! A report as a table of Markdown, for an issue or a mail. Names are text in it: nothing in them is markup.

use std::io::Write;
use std::ops::Range;

use super::grid::{self, Grid};
use super::{Report, ReportError};

/// What begins markup, or ends a cell; HTML is a part of Markdown.
const MARKUP: &[char] = &['\\', '`', '*', '_', '[', ']', '#', '|', '~', '$'];

pub fn write(report: &Report, out: &mut dyn Write) -> Result<(), ReportError> {
    let said = report.question.said();
    if report.is_empty() {
        return Ok(writeln!(out, "No calls {}", escaped(&said))?);
    }
    let Grid { header, lines, totals, names } = Grid::of(report)?;
    aligned(out, &header, &lines, &totals, names..header.len().saturating_sub(1))?;
    for (note, lines) in grid::notes(report) {
        self::note(out, &note)?;
        lines.iter().try_for_each(|line| writeln!(out, "  - {}", escaped(line)))?;
    }
    Ok(())
}

/// Rows, then totals in bold, and an empty line; columns of numbers end below each other.
pub fn aligned(
    out: &mut dyn Write,
    header: &[String],
    rows: &[Vec<String>],
    totals: &[Vec<String>],
    numbers: Range<usize>,
) -> Result<(), ReportError> {
    row(out, header.iter().map(|head| escaped(head)))?;
    row(out, (0..header.len()).map(|place| if numbers.contains(&place) { "---:" } else { "---" }.to_owned()))?;
    for cells in rows {
        row(out, cells.iter().map(|cell| escaped(cell.trim_end())))?;
    }
    for cells in totals {
        let bold = |cell: &String| {
            if cell.trim().is_empty() { String::new() } else { format!("**{}**", escaped(cell.trim_end())) }
        };
        row(out, cells.iter().map(bold))?;
    }
    Ok(writeln!(out)?)
}

/// A note below. The sign that it explains is code: a `-` or a `*` would begin a list in the list.
pub fn note(out: &mut dyn Write, text: &str) -> Result<(), ReportError> {
    let sign = ["-", "*"].into_iter().find_map(|sign| Some((sign, text.strip_prefix(sign)?.strip_prefix(' ')?)));
    match sign {
        Some((sign, text)) => Ok(writeln!(out, "- `{sign}` {}", escaped(text))?),
        None => Ok(writeln!(out, "- {}", escaped(text))?),
    }
}

fn row(out: &mut dyn Write, cells: impl Iterator<Item = String>) -> Result<(), ReportError> {
    let cells: Vec<String> = cells.collect();
    Ok(writeln!(out, "| {} |", cells.join(" | "))?)
}

/// A text that is only that. What readers of Markdown would make an address of, `://` and `www.`, is none.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        let is_address = matches!((before, c), (':', '/') | ('w' | 'W', '.'));
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            c if is_address || MARKUP.contains(&c) => safe.extend(['\\', c]),
            c => safe.push(c),
        }
        before = c;
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_a_note_is_one_item_of_a_list_whatever_sign_it_begins_with() {
        let cases = [
            ("- as charge: nothing", "- `-` as charge: nothing\n"),
            ("* in part", "- `*` in part\n"),
            ("-1 calls", "- -1 calls\n"),
            ("**x", "- \\*\\*x\n"),
        ];
        for (text, expected) in cases {
            let mut out = Vec::new();
            note(&mut out, text).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn contract_a_name_in_markdown_is_text_in_one_cell() {
        let cases = [
            ("acme/ml", "acme/ml"),
            ("a|b", "a\\|b"),
            ("a\\|b", "a\\\\\\|b"),
            ("<img src=x onerror=y>&", "&lt;img src=x onerror=y&gt;&amp;"),
            ("[x](javascript:y)", "\\[x\\](javascript:y)"),
            ("`*_~$#", "\\`\\*\\_\\~\\$\\#"),
            ("https://www.x", "https:\\//www\\.x"),
        ];
        for (text, expected) in cases {
            assert_eq!(escaped(text), expected);
        }
    }
}
