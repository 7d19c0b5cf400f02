//! What a question is about, read from the sums or from the entries, and added up. For the same question both give the same.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::dimension::{Dimension, Facts};
use super::largest::Largest;
use super::lines::{LineKey, Lines, Sums, Which};
use super::period::Period;
use super::round::Invoices;
use super::unpriced::{Open, Origin};
use super::{Bounds, Grade, Key, Line, Question, ReportError};
use crate::ledger::correct::Called;
use crate::store::days::counts_ns;
use crate::store::months::Month;
use crate::store::sums::Counted;
use crate::store::{self, CountedEntry, Reader, Selection, Span, StoreError, Total};

/// Lines that are made at once where the first are asked for: of more it is looked first which those are. Each may take a kilobyte.
const FEW: usize = if cfg!(test) { 4 } else { 1 << 12 };

/// What is added up.
pub struct Gathered<'q> {
    question: &'q Question,
    pub lines: Lines,
    pub invoices: [Invoices; 2],
    /// What has no price, in both periods.
    pub open: [Open; 2],
    /// Calls that were read, if it was not the sums.
    pub read: u64,
    key: LineKey,
    /// How many lines are made at most; one more ends the reading.
    most: Option<usize>,
    /// Which lines there are alone, if that is known.
    largest: Option<Largest>,
    /// All others, by what they adjust and their evidence.
    others: BTreeMap<(String, Grade), Sums>,
}

impl<'q> Gathered<'q> {
    pub fn new(question: &'q Question) -> Gathered<'q> {
        let (lines, invoices, open) = Default::default();
        let (key, others) = Default::default();
        Gathered { question, lines, invoices, open, read: 0, key, most: None, largest: None, others }
    }

    /// Reads all periods. If but the first of many lines are asked for, and the sums tell which these are, no others are made.
    pub fn all(&mut self, reader: &dyn Reader, bounds: &mut Bounds<'_>) -> Result<(), ReportError> {
        let question = self.question;
        let periods: &[Which] = if question.compare { &[Which::Now, Which::Before] } else { &[Which::Now] };
        if let (Some(top), None, Some(columns)) = (question.top, question.round, question.columns()) {
            let selection =
                |which: &Which| Ok(question.period_of(*which)?.selection().map(|selection| (*which, selection)));
            let selections: Result<Option<Vec<_>>, ReportError> = periods.iter().map(selection).collect();
            if let Some(selections) = selections? {
                self.most = Some(FEW);
                let few = periods.iter().try_for_each(|which| self.read(reader, *which, bounds));
                if self.lines.len() <= FEW {
                    return few;
                }
                *self = Gathered::new(question);
                self.largest = Largest::of(reader, question, top, &selections, &columns)?;
            }
        }
        periods.iter().try_for_each(|which| self.read(reader, *which, bounds))
    }

    /// The others of the first lines, as one line for each evidence.
    pub fn others(&mut self) -> Vec<Line> {
        let count = self.largest.as_ref().map(|largest| largest.others);
        let [open, open_before] = &self.open;
        let others = std::mem::take(&mut self.others).into_iter().map(|((adjusts, grade), sums)| {
            let Sums { now: mut sum, before } = sums;
            sum.settle(open);
            let before = self.question.compare.then(|| {
                let mut before = before.map(|before| *before).unwrap_or_default();
                before.settle(open_before);
                before
            });
            Line { key: Key { columns: Vec::new(), adjusts, others: count }, grade, sum, before }.settled()
        });
        others.collect()
    }

    /// Reads one of the two periods.
    fn read(&mut self, reader: &dyn Reader, which: Which, bounds: &mut Bounds<'_>) -> Result<(), ReportError> {
        let period = self.question.period_of(which)?;
        match (self.question.columns(), period.selection()) {
            (Some(columns), Some(selection)) => self.sums(reader, which, selection, &columns),
            _ => self.entries(reader, which, &period, bounds),
        }
    }

    /// The sums. What has no price is told by model, which the lines may not be: that is another question, which is asked first.
    /// If something of a closed month is among it, the lines are read by what tells who takes it back, too.
    fn sums(
        &mut self,
        reader: &dyn Reader,
        which: Which,
        selection: Selection,
        columns: &[store::Dimension],
    ) -> Result<(), ReportError> {
        let question = self.question;
        let of_models = question.columns_of_models().unwrap_or_default();
        totals(reader, question, &selection, &of_models, &mut |facts, total| {
            self.lack(facts, &began(facts, total), which, total).map(|_| ())
        })?;
        let is_apart = self.open(which).is_adjusted() || self.hides(reader, which, &selection, &of_models)?;
        if is_apart {
            *self.open(which) = Open::default();
        }
        let columns = if is_apart { question.columns_apart().unwrap_or_default() } else { columns.to_vec() };
        totals(reader, question, &selection, &columns, &mut |facts, total| {
            key(&mut self.key, question, facts, &columns, total);
            let place = if is_apart { self.lack(facts, &began(facts, total), which, total)? } else { None };
            self.add(facts, which, total, place)
        })
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
            begin(&mut self.key, question, &facts, adjusts, Grade(called.entry.evidence));
            let share = if is_back { called.share().reversed() } else { called.share() };
            let month = Month::of(called.entry.started_ns).map(|month| month.to_string()).unwrap_or_default();
            let began = (month, !adjusts.is_empty());
            share.iter().try_for_each(|(counted, sum)| {
                let total = Total::of(Vec::new(), called.entry.evidence, counted.clone(), sum);
                let place = self.lack(&facts, &began, which, &total)?;
                self.add(&facts, which, &total, place)
            })
        })?;
        self.read = self.read.saturating_add(read);
        Ok(())
    }

    fn open(&mut self, which: Which) -> &mut Open {
        let [now, before] = &mut self.open;
        if which == Which::Now { now } else { before }
    }

    /// Notes what has no price, and where. `began`: in which month, and whether that was closed before.
    fn lack(
        &mut self,
        facts: &Facts<'_>,
        began: &(String, bool),
        which: Which,
        total: &Total,
    ) -> Result<Option<usize>, ReportError> {
        let names = self.names(facts);
        self.open(which).add(origin(&names, began), total)
    }

    /// Tenant, provider and model.
    fn names<'f>(&self, facts: &Facts<'f>) -> [Cow<'f, str>; 3] {
        let zone = &self.question.period.zone;
        [Dimension::Tenant(None), Dimension::Provider, Dimension::Model].map(|of| facts.value(&of, zone))
    }

    /// Whether what adds up to nothing may be what one tenant takes back and another one has: only what had no price before can be.
    fn hides(
        &mut self,
        reader: &dyn Reader,
        which: Which,
        selection: &Selection,
        columns: &[store::Dimension],
    ) -> Result<bool, ReportError> {
        let since = self.open(which).silent_since().and_then(|month| month.parse::<Month>().ok());
        let Some(since) = since.map(Month::first_day) else { return Ok(false) };
        let mut may_hide = false;
        let selection = Selection { since: Some(since), ..selection.clone() };
        // By day: what came without a price may have been taken back on a later one.
        let columns: Vec<store::Dimension> =
            [store::Dimension::Day].into_iter().chain(columns.iter().copied()).collect();
        totals(reader, self.question, &selection, &columns, &mut |facts, total| {
            let names = self.names(facts);
            may_hide |= self.open(which).may_hide(origin(&names, &began(facts, total)), total);
            Ok(())
        })?;
        Ok(may_hide)
    }

    fn add(&mut self, facts: &Facts<'_>, which: Which, total: &Total, place: Option<usize>) -> Result<(), ReportError> {
        let zone = &self.question.period.zone;
        let invoice = self.question.invoice();
        if !invoice.is_empty() {
            let invoice = invoice.iter().map(|dimension| facts.value(dimension, zone).into_owned()).collect();
            let [now, before] = &mut self.invoices;
            let invoices = if which == Which::Now { now } else { before };
            invoices.add(invoice, &self.key, total)?;
        }
        if let Some(largest) = &self.largest {
            match largest.has(&self.key, self.question.by.len()) {
                None => return Ok(()),
                Some(true) => {}
                Some(false) => {
                    let Some((Key { adjusts, .. }, grade)) = self.key.read() else { return Ok(()) };
                    return self.others.entry((adjusts, grade)).or_default().of(which).add(total, place);
                }
            }
        }
        let line = self.lines.line(&self.key, which)?;
        let places = line.open.len();
        line.add(total, place)?;
        let is_more = line.open.len() > places;
        if self.most.is_some_and(|most| self.lines.len() > most) {
            return Err(ReportError::Stopped("there are more lines".to_owned()));
        }
        if is_more || matches!(total.counted, Counted::Unknown(_)) {
            self.lines.named();
        }
        Ok(())
    }
}

/// The sums that are asked for, added up over what the columns do not tell apart.
pub fn totals(
    reader: &dyn Reader,
    question: &Question,
    selection: &Selection,
    columns: &[store::Dimension],
    each: &mut dyn FnMut(&Facts<'_>, &Total) -> Result<(), ReportError>,
) -> Result<(), ReportError> {
    let chosen = question.chosen();
    for tenant in chosen.places() {
        let selection = Selection { tenant, ..selection.clone() };
        let mut failed = None;
        let read = reader.totals(&selection, columns, &mut |total| {
            let facts = Facts::Sums { columns, values: &total.key, evidence: total.evidence.as_str() };
            if !chosen.pass(&facts) {
                return Ok(());
            }
            each(&facts, &total).map_err(|error| stop(&mut failed, error))
        });
        ended(read, failed)?;
    }
    Ok(())
}

fn origin<'a>([tenant, provider, model]: &'a [Cow<'_, str>; 3], (began, is_closed): &'a (String, bool)) -> Origin<'a> {
    Origin { began, is_closed: *is_closed, tenant, provider, model }
}

/// The month in which the calls of a total began, and whether it was closed before.
fn began(facts: &Facts<'_>, total: &Total) -> (String, bool) {
    let Facts::Sums { columns, .. } = facts else { return (String::new(), false) };
    let value = |of| columns.iter().position(|column| *column == of).and_then(|place| total.key.get(place));
    match value(store::Dimension::Adjusts).filter(|month| !month.is_empty()) {
        Some(month) => (month.clone(), true),
        None => (value(store::Dimension::Month).cloned().unwrap_or_default(), false),
    }
}

/// Sets the key of a total's line; returns whether it adjusts a closed month.
pub fn key(
    line: &mut LineKey,
    question: &Question,
    facts: &Facts<'_>,
    columns: &[store::Dimension],
    total: &Total,
) -> bool {
    let place = columns.iter().position(|column| *column == store::Dimension::Adjusts);
    let adjusts = place.and_then(|place| total.key.get(place)).map_or("", String::as_str);
    begin(line, question, facts, adjusts, Grade(total.evidence));
    !adjusts.is_empty()
}

fn begin(line: &mut LineKey, question: &Question, facts: &Facts<'_>, adjusts: &str, grade: Grade) {
    line.clear();
    for dimension in &question.by {
        line.push(&facts.value(dimension, &question.period.zone));
    }
    line.push(adjusts);
    line.end(grade);
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

/// Reads every call that is asked for and counts in a period; returns how many were read, of those of which whoever asks may know.
pub fn counting(
    reader: &dyn Reader,
    question: &Question,
    period: &Period,
    bounds: &mut Bounds<'_>,
    each: &mut dyn FnMut(Counting<'_>) -> Result<(), ReportError>,
) -> Result<u64, ReportError> {
    let (mut read, mut known) = (0_u64, 0_u64);
    for tenant in question.chosen().places() {
        let span = Span { from_ns: period.from_ns(), until_ns: period.until_ns(), tenant };
        let mut failed = None;
        let answered = reader.counted(&span, &mut |counted| {
            read = read.saturating_add(1);
            known = known.saturating_add(question.restriction.allows(&counted.entry.tenant).into());
            let done = bounds.read(read).and_then(|()| entry(counted, question, &span, each));
            done.map_err(|error| stop(&mut failed, error))
        });
        ended(answered, failed)?;
    }
    Ok(known)
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
