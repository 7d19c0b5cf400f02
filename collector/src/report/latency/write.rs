//! Percentiles as a table, JSON, CSV and Markdown. JSON and CSV have microseconds, what people read has milliseconds.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;

use serde::Serialize;

use super::{Distribution, Latency, MEASURES, PERCENTILES, Times};
use crate::report::{ReportError, csv, markdown, table};
use crate::terminal::{self, printable};

/// What is left out of the percentiles, for the foot.
const INCOMPLETE: &str = "of which no times are shown: they broke off, failed or were refused";

/// The lines for the eye: a header, a row for each line, and one for all calls.
struct Grid {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    total: Vec<String>,
    /// Which columns are numbers.
    numbers: Range<usize>,
    notes: Vec<String>,
}

impl Grid {
    fn of(latency: &Latency) -> Grid {
        let by = &latency.question.by;
        let mut header: Vec<String> = by.iter().map(|dimension| printable(dimension.name())).collect();
        header.push("calls".to_owned());
        let percentiles = || PERCENTILES.iter().map(|percentile| format!("p{percentile}"));
        for short in ["duration", "first token", "per token"] {
            header.extend(percentiles().map(|percentile| format!("{short} {percentile}")));
        }
        let row = |names: Vec<String>, times: &Times| {
            let times_of = |measure: &Distribution| PERCENTILES.map(|percentile| milliseconds(measure, percentile));
            let cells = times.measures.iter().flat_map(times_of);
            names.into_iter().chain([times.calls.to_string()]).chain(cells).collect()
        };
        let shown = |key: &Vec<String>| {
            let name = |value: &String| if value.is_empty() { "(unknown)".to_owned() } else { printable(value) };
            key.iter().map(name).collect::<Vec<_>>()
        };
        let rows = latency.lines.iter().map(|(key, times)| row(shown(key), times)).collect();
        let mut all = vec![String::new(); by.len()];
        if let Some(first) = all.first_mut() {
            *first = "total".to_owned();
        }
        let mut notes = vec![format!("milliseconds; completed calls {}", latency.question.said())];
        if latency.incomplete > 0 {
            notes.push(format!("{} more calls, {INCOMPLETE}", latency.incomplete));
        }
        let numbers = by.len()..header.len();
        Grid { header, rows, total: row(all, &latency.total), numbers, notes }
    }
}

/// A percentile in milliseconds, with one decimal.
fn milliseconds(measure: &Distribution, percentile: u64) -> String {
    let Some(us) = measure.percentile(percentile) else { return "–".to_owned() };
    let tenths = us.saturating_add(50).checked_div(100).unwrap_or_default();
    let (whole, tenth) = (tenths.checked_div(10).unwrap_or_default(), tenths.checked_rem(10).unwrap_or_default());
    format!("{whole}.{tenth}")
}

pub fn table(latency: &Latency, out: &mut dyn Write) -> Result<(), ReportError> {
    let Grid { header, rows, total, numbers, notes } = Grid::of(latency);
    if !rows.is_empty() {
        writeln!(out, "{}", table::aligned(header, rows, vec![total], numbers))?;
    }
    notes.iter().try_for_each(|note| Ok(writeln!(out, "{note}")?))
}

pub fn markdown(latency: &Latency, out: &mut dyn Write) -> Result<(), ReportError> {
    let Grid { header, rows, total, numbers, notes } = Grid::of(latency);
    if !rows.is_empty() {
        markdown::aligned(out, &header, &rows, &[total], numbers)?;
    }
    notes.iter().try_for_each(|note| markdown::note(out, note))
}

pub fn csv(latency: &Latency, out: &mut dyn Write) -> Result<(), ReportError> {
    let question = &latency.question;
    let mut header: Vec<String> = question.by.iter().map(|dimension| csv::name(&dimension.name())).collect();
    header.push("calls".to_owned());
    for (measure, _) in MEASURES {
        header.push(format!("{measure}_calls"));
        header.extend(PERCENTILES.map(|percentile| format!("{measure}_p{percentile}_us")));
    }
    header.push("time_zone".to_owned());
    csv::line(out, &header)?;
    for (key, times) in &latency.lines {
        let mut fields: Vec<String> = key.iter().map(|value| csv::name(value)).collect();
        fields.push(times.calls.to_string());
        for measure in &times.measures {
            fields.push(measure.count().to_string());
            let text = |percentile| measure.percentile(percentile).map(|us| us.to_string()).unwrap_or_default();
            fields.extend(PERCENTILES.map(text));
        }
        fields.push(csv::name(question.period.zone.name()));
        csv::line(out, &fields)?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    time_zone: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    filters: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limited_to: Option<Vec<String>>,
    by: Vec<String>,
    lines: Vec<Line<'a>>,
    total: Line<'a>,
    /// Calls that did not complete: no times of them are in the lines.
    incomplete: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    /// The values of the columns; one that is empty is unknown.
    #[serde(flatten)]
    key: BTreeMap<String, &'a str>,
    calls: u64,
    /// Microseconds, by measure: of how many calls, and the percentiles.
    #[serde(flatten)]
    measures: BTreeMap<String, BTreeMap<String, u64>>,
}

impl<'a> Line<'a> {
    fn of(by: &[String], key: &'a [String], times: &Times) -> Line<'a> {
        let key = by.iter().cloned().zip(key.iter().map(String::as_str)).filter(|(_, value)| !value.is_empty());
        let measures = MEASURES.iter().zip(&times.measures).filter(|(_, measure)| measure.count() > 0);
        let percentiles = |measure: &Distribution| {
            let of = |percentile: &u64| Some((format!("p{percentile}"), measure.percentile(*percentile)?));
            PERCENTILES.iter().filter_map(of).chain([("calls".to_owned(), measure.count())]).collect()
        };
        let measures = measures.map(|((name, _), measure)| (format!("{name}_us"), percentiles(measure)));
        Line { key: key.collect(), calls: times.calls, measures: measures.collect() }
    }
}

pub fn json(latency: &Latency, out: &mut dyn Write) -> Result<(), ReportError> {
    let question = &latency.question;
    let bound = |bound: Option<crate::report::Bound>| bound.map(|bound| bound.to_string());
    let by: Vec<String> = question.by.iter().map(|dimension| dimension.name().into_owned()).collect();
    let document = Document {
        since: bound(question.period.since),
        until: bound(question.period.until),
        time_zone: question.period.zone.name(),
        filters: question.filters.shown().into_iter().collect(),
        limited_to: question.restriction.shown(),
        lines: latency.lines.iter().map(|(key, times)| Line::of(&by, key, times)).collect(),
        total: Line::of(&by, &[], &latency.total),
        incomplete: latency.incomplete,
        by,
    };
    let text = serde_json::to_string_pretty(&document)
        .map_err(|error| ReportError::Stopped(format!("the report cannot be written as JSON: {error}")))?;
    Ok(writeln!(out, "{}", terminal::json(&text))?)
}
