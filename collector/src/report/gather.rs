//! What a question is about, read from the sums or from the entries, and added up. For the same question both give the same.

use super::dimension::{Dimension, Facts};
use super::lines::{LineKey, Lines, Which};
use super::notes::Models;
use super::period::Period;
use super::round::Invoices;
use super::{Bounds, Grade, Question, ReportError};
use crate::ledger::correct::Called;
use crate::ledger::share::Share;
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
        let span =
            Span { from_ns: period.from_ns(), until_ns: period.until_ns(), tenant: self.question.chosen().path() };
        let mut failed = None;
        let read = reader.counted(&span, &mut |counted| {
            self.read = self.read.saturating_add(1);
            let done = bounds.read(self.read).and_then(|()| self.entry(counted, which, &span));
            done.map_err(|error| stop(&mut failed, error))
        });
        ended(read, failed)
    }

    /// An entry where it counts, and if its month was closed before it was taken back, its opposite where that counts.
    fn entry(&mut self, counted: CountedEntry, which: Which, span: &Span) -> Result<(), ReportError> {
        let CountedEntry { entry, taken_back } = counted;
        let within = |ns: &i64| (span.from_ns..span.until_ns).contains(ns);
        let at = Some(counts_ns(entry.started_ns, entry.received_ns, entry.billed.as_deref())).filter(within);
        let back = taken_back.map(|(received_ns, day)| counts_ns(entry.started_ns, received_ns, Some(&day)));
        let back = back.filter(within);
        if at.or(back).is_none() || !self.question.restriction.allows(&entry.tenant) {
            return Ok(());
        }
        let adjusts = || Month::of(entry.started_ns).map(|month| month.to_string()).unwrap_or_default();
        let own = if entry.billed.is_some() { adjusts() } else { String::new() };
        let month = adjusts();
        // A ledger that this version cannot read all of has no sum that it could vouch for.
        let called = Called::of(entry).map_err(ReportError::Stopped)?;
        if let Some(at_ns) = at {
            self.call(&called, at_ns, &own, &called.share(), which)?;
        }
        match back {
            Some(at_ns) => self.call(&called, at_ns, &month, &called.share().reversed(), which),
            None => Ok(()),
        }
    }

    fn call(
        &mut self,
        called: &Called,
        at_ns: i64,
        adjusts: &str,
        share: &Share,
        which: Which,
    ) -> Result<(), ReportError> {
        let facts = Facts::Call { called, at_ns };
        if !self.question.chosen().pass(&facts) {
            return Ok(());
        }
        self.begin(&facts, adjusts, Grade(called.entry.evidence));
        share.iter().try_for_each(|(counted, sum)| {
            let total = Total::of(Vec::new(), called.entry.evidence, counted.clone(), sum);
            self.add(&facts, which, &total)
        })
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

/// Ends the reading: why is kept, for a store has errors of its own only.
fn stop(failed: &mut Option<ReportError>, error: ReportError) -> StoreError {
    *failed = Some(error);
    StoreError::Unusable("the reading was ended".to_owned())
}

fn ended(read: Result<(), StoreError>, failed: Option<ReportError>) -> Result<(), ReportError> {
    failed.map_or_else(|| Ok(read?), Err)
}
