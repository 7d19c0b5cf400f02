//! How long calls took: percentiles, from the calls themselves. The ledger's sums have no times.

use std::collections::BTreeMap;
use std::io::Write;

use wire::record::Outcome;

use super::dimension::Facts;
use super::gather::{Counting, counting};
use super::{Bounds, Format, MAX_TOP, Question, ReportError};
use crate::store::Reader;
use crate::store::entry::Kind;
use distribution::Distribution;

mod distribution;
mod write;

/// What tells lines apart if nobody says.
pub const DEFAULT_BY: &str = "provider,model";
/// The percentiles that are shown.
pub const PERCENTILES: [u64; 4] = [50, 90, 95, 99];
/// What is measured: its name, and what it is.
pub const MEASURES: [(&str, &str); 3] = [
    ("duration", "from the request's start to the end of the stream"),
    ("time_to_first_token", "from the request's start to the first byte of the response's body"),
    (
        "time_per_output_token",
        "from the first byte of a streamed response to its end, per output token after the first",
    ),
];
/// The parameters of a report that are none here, and why.
pub(super) const NOT_HERE: [(&str, &str); 4] = [
    ("top", "latency has every line"),
    ("sort", "latency has every line"),
    ("compare", "latency has one period"),
    ("round", "latency has no amounts"),
];

/// Percentiles of the calls of a question.
#[derive(Debug)]
pub struct Latency {
    question: Question,
    lines: BTreeMap<Vec<String>, Times>,
    total: Times,
    /// Calls of the period that did not complete, of which no times are shown.
    incomplete: u64,
}

/// The times of some calls, microseconds.
#[derive(Clone, Debug, Default)]
struct Times {
    calls: u64,
    /// In the order of [`MEASURES`].
    measures: [Distribution; 3],
}

impl Times {
    fn add(&mut self, times: [Option<u64>; 3]) {
        self.calls = self.calls.saturating_add(1);
        for (measure, time) in self.measures.iter_mut().zip(times) {
            time.into_iter().for_each(|time| measure.add(time));
        }
    }
}

impl Latency {
    /// Reads the calls of a question, if they are no more than is allowed.
    pub fn within(reader: &dyn Reader, question: Question, bounds: &mut Bounds<'_>) -> Result<Latency, ReportError> {
        let (mut lines, mut total) = (BTreeMap::<Vec<String>, Times>::new(), Times::default());
        let mut incomplete = 0_u64;
        let period = question.period.clone();
        counting(reader, &question, &period, bounds, &mut |counting| {
            let Counting { called, at_ns, adjusts, is_back } = counting;
            let record = &called.event.record;
            // A call is there once: as itself, also if that was taken back after the end of its month. A part is no call.
            let is_again = is_back || called.entry.kind == Kind::Correction && !adjusts.is_empty();
            if is_again || record.part.is_some() {
                return Ok(());
            }
            if record.outcome != Outcome::Completed {
                incomplete = incomplete.saturating_add(1);
                return Ok(());
            }
            let facts = Facts::Call { called, at_ns };
            let value = |dimension| facts.value(dimension, &question.period.zone).into_owned();
            let key: Vec<String> = question.by.iter().map(value).collect();
            if lines.len() >= MAX_TOP && !lines.contains_key(&key) {
                let problem = format!("by: there are more than {MAX_TOP} lines; fewer columns, or a filter");
                return Err(ReportError::TooMuch(problem));
            }
            // No call takes no time: 0 is unknown, as of events of your own.
            let duration = Some(record.duration_us).filter(|duration| *duration > 0);
            let times = [duration, record.time_to_first_token_us, record.time_per_output_token_us];
            lines.entry(key).or_default().add(times);
            total.add(times);
            Ok(())
        })?;
        Ok(Latency { question, lines, total, incomplete })
    }

    /// Writes it.
    pub fn write(&self, format: Format, out: &mut dyn Write) -> Result<(), ReportError> {
        match format {
            Format::Table => write::table(self, out),
            Format::Json => write::json(self, out),
            Format::Csv => write::csv(self, out),
            Format::Markdown => write::markdown(self, out),
        }
    }

    /// As a text.
    pub fn render(&self, format: Format) -> Result<String, ReportError> {
        let mut text = Vec::new();
        self.write(format, &mut text)?;
        String::from_utf8(text).map_err(|_| ReportError::Stopped("the report is no text".to_owned()))
    }
}
