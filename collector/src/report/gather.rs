//! What a question is about, read from the sums or from the entries, and added up. For the same question both give the same.

use super::dimension::{Dimension, Facts};
use super::lines::{LineKey, Lines, Which};
use super::notes::Models;
use super::period::Period;
use super::round::Invoices;
use super::{Bounds, Grade, Question, ReportError};
use crate::ledger::correct::Called;
use crate::store::days::counts_ns;
use crate::store::months::Month;
use crate::store::sums::Counted;
use crate::store::{self, CountedEntry, Reader, Selection, Span, StoreError, Total};

/// What is added up.
pub struct Gathered<'q> {
    question: &'q Question,
    pub lines: Lines,
    pub invoices: [Invoices; 2],
    pub models: Models,
    /// Calls that were read, if it was not the sums.
    pub read: u64,
    key: LineKey,
}

impl<'q> Gathered<'q> {
    pub fn new(question: &'q Question) -> Gathered<'q> {
        let (lines, invoices, models) = Default::default();
        Gathered { question, lines, invoices, models, read: 0, key: LineKey::default() }
    }

    /// Reads one of the two periods.
    pub fn read(&mut self, reader: &dyn Reader, which: Which, bounds: &mut Bounds<'_>) -> Result<(), ReportError> {
        let before = match which {
            Which::Now => None,
            Which::Before => Some(self.question.period.before().map_err(|why| ReportError::Stopped(why.to_owned()))?),
        };
        let period = before.as_ref().unwrap_or(&self.question.period);
        match (self.question.columns(), period.selection()) {
            (Some(columns), Some(selection)) => self.sums(reader, which, selection, &columns),
            _ => self.entries(reader, which, period, bounds),
        }
    }

    /// The sums, in one pass: they have millions of rows.
    fn sums(
        &mut self,
        reader: &dyn Reader,
        which: Which,
        selection: Selection,
        columns: &[store::Dimension],
    ) -> Result<(), ReportError> {
        let chosen = self.question.chosen();
        let selection = Selection { tenant: chosen.path(), ..selection };
        let mut failed = None;
        let read = reader.totals(&selection, columns, &mut |total| {
            let facts = Facts::Sums { columns, values: &total.key, evidence: total.evidence.as_str() };
            if !chosen.pass(&facts) {
                return Ok(());
            }
            let place = columns.iter().position(|column| *column == store::Dimension::Adjusts);
            let adjusts = place.and_then(|place| total.key.get(place)).map_or("", String::as_str);
            self.begin(&facts, adjusts, Grade(total.evidence));
            self.add(&facts, which, &total).map_err(|error| stop(&mut failed, error))
        });
        ended(read, failed)
    }

    /// Every call that counts in the period.
    fn entries(
        &mut self,
        reader: &dyn Reader,
        which: Which,
        period: &Period,
        bounds: &mut Bounds<'_>,
    ) -> Result<(), ReportError> {
        let question = self.question;
        let read = counting(reader, question, period, bounds, &mut |counting| {
            let Counting { called, at_ns, adjusts, is_back } = counting;
            let facts = Facts::Call { called, at_ns };
            self.begin(&facts, adjusts, Grade(called.entry.evidence));
            let share = if is_back { called.share().reversed() } else { called.share() };
            share.iter().try_for_each(|(counted, sum)| {
                let total = Total::of(Vec::new(), called.entry.evidence, counted.clone(), sum);
                self.add(&facts, which, &total)
            })
        })?;
        self.read = self.read.saturating_add(read);
        Ok(())
    }

    /// Sets the key of the line that comes next.
    fn begin(&mut self, facts: &Facts<'_>, adjusts: &str, grade: Grade) {
        self.key.clear();
        for dimension in &self.question.by {
            self.key.push(&facts.value(dimension, &self.question.period.zone));
        }
        self.key.push(adjusts);
        self.key.end(grade);
    }

    fn add(&mut self, facts: &Facts<'_>, which: Which, total: &Total) -> Result<(), ReportError> {
        let zone = &self.question.period.zone;
        let invoice = self.question.invoice();
        if !invoice.is_empty() {
            let invoice = invoice.iter().map(|dimension| facts.value(dimension, zone).into_owned()).collect();
            let [now, before] = &mut self.invoices;
            let invoices = if which == Which::Now { now } else { before };
            invoices.add(invoice, &self.key, total)?;
        }
        if which == Which::Now {
            let value = |dimension: &Dimension| facts.value(dimension, zone);
            self.models.add(&value(&Dimension::Provider), &value(&Dimension::Model), total)?;
        }
        self.lines.line(&self.key, which)?.add(total)?;
        if matches!(total.counted, Counted::Unknown(_)) {
            self.lines.named();
        }
        Ok(())
    }
}

/// A call that counts in a period, or its opposite.
#[derive(Clone, Copy)]
pub struct Counting<'a> {
    pub called: &'a Called,
    /// When it counts there.
    pub at_ns: i64,
    /// The month in which it began, if that was closed before; else empty.
    pub adjusts: &'a str,
    /// Whether it is taken back there: all that it counts is to be subtracted.
    pub is_back: bool,
}

/// Reads every call that is asked for and counts in a period; returns how many were read.
pub fn counting(
    reader: &dyn Reader,
    question: &Question,
    period: &Period,
    bounds: &mut Bounds<'_>,
    each: &mut dyn FnMut(Counting<'_>) -> Result<(), ReportError>,
) -> Result<u64, ReportError> {
    let span = Span { from_ns: period.from_ns(), until_ns: period.until_ns(), tenant: question.chosen().path() };
    let mut calls = 0_u64;
    let mut failed = None;
    let read = reader.counted(&span, &mut |counted| {
        calls = calls.saturating_add(1);
        let done = bounds.read(calls).and_then(|()| entry(counted, question, &span, each));
        done.map_err(|error| stop(&mut failed, error))
    });
    ended(read, failed)?;
    Ok(calls)
}

/// An entry where it counts, and if its month was closed before it was taken back, its opposite where that counts.
fn entry(
    counted: CountedEntry,
    question: &Question,
    span: &Span,
    each: &mut dyn FnMut(Counting<'_>) -> Result<(), ReportError>,
) -> Result<(), ReportError> {
    let CountedEntry { entry, taken_back } = counted;
    let within = |ns: &i64| (span.from_ns..span.until_ns).contains(ns);
    let at = Some(counts_ns(entry.started_ns, entry.received_ns, entry.billed.as_deref())).filter(within);
    let back = taken_back.map(|(received_ns, day)| counts_ns(entry.started_ns, received_ns, Some(&day)));
    let back = back.filter(within);
    if at.or(back).is_none() || !question.restriction.allows(&entry.tenant) {
        return Ok(());
    }
    let month = Month::of(entry.started_ns).map(|month| month.to_string()).unwrap_or_default();
    let own = if entry.billed.is_some() { month.as_str() } else { "" };
    // A ledger that this version cannot read all of has no sum that it could vouch for.
    let called = Called::of(entry).map_err(ReportError::Stopped)?;
    let chosen = question.chosen();
    let times = [at.map(|at_ns| (at_ns, own, false)), back.map(|at_ns| (at_ns, month.as_str(), true))];
    for (at_ns, adjusts, is_back) in times.into_iter().flatten() {
        if chosen.pass(&Facts::Call { called: &called, at_ns }) {
            each(Counting { called: &called, at_ns, adjusts, is_back })?;
        }
    }
    Ok(())
}

/// Ends the reading: why is kept, for a store has errors of its own only.
fn stop(failed: &mut Option<ReportError>, error: ReportError) -> StoreError {
    *failed = Some(error);
    StoreError::Unusable("the reading was ended".to_owned())
}

fn ended(read: Result<(), StoreError>, failed: Option<ReportError>) -> Result<(), ReportError> {
    failed.map_or_else(|| Ok(read?), Err)
}
