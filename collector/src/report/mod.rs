//! Reports: usage and cost, as it was rated when the calls came in or were re-rated. What the sums tell apart is read from
//! them alone; the rest from the entries that count in the period.

pub(crate) use csv::name as csv_field;
pub(crate) use round::distributed;

pub use dimension::{Dimension, dimensions, named};
pub use figures::{Figures, Position};
pub use filter::{Filters, MAX_VALUES, Pattern, Restriction};
pub use kind::{Kind, filters};
pub use period::{Bound, Period, Zone};
pub use question::{BadParameter, DEFAULT_BY, MAX_TOP, PARAMETERS, Parameter, Question, Sort, Top};
pub use sum::{Amounts, Sum};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write;

use jiff::civil::Date;
use wire::record::Evidence;
use wire::usage::Class;

use crate::store::{Reader, StoreError};
use gather::Gathered;
use lines::Lines;
use notes::Notes;
use unpriced::Lack;

pub mod audit;
pub mod budgets;
mod change;
mod csv;
mod dimension;
mod figures;
mod filter;
pub mod focus;
mod gather;
mod grid;
mod json;
mod kind;
mod largest;
pub mod latency;
mod lines;
mod markdown;
mod notes;
mod period;
mod question;
mod round;
mod spill;
mod sum;
mod table;
mod top;
mod unpriced;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Columns for the eye.
    Table,
    /// JSON; amounts are decimal texts.
    Json,
    /// CSV with one column per usage class.
    Csv,
    /// A table of Markdown.
    Markdown,
}

/// Reads a day of a question.
pub fn day(text: &str) -> Result<Date, String> {
    crate::prices::day(text).ok_or_else(|| "must be a date such as 2026-01-31".to_owned())
}

/// How much may be read for a report, and who hears of it.
pub struct Bounds<'a> {
    /// Calls that may be read.
    pub calls: u64,
    /// Hears how many calls were read; what it returns ends the report.
    pub each: &'a mut dyn FnMut(u64) -> Result<(), String>,
}

impl Bounds<'_> {
    fn read(&mut self, calls: u64) -> Result<(), ReportError> {
        if calls > self.calls {
            let most = self.calls;
            let problem = format!(
                "reads every call of its period, and these are more than {most}: a later since, or an earlier until"
            );
            return Err(ReportError::TooMuch(problem));
        }
        (self.each)(calls).map_err(ReportError::Stopped)
    }
}

/// A report.
#[derive(Debug)]
pub struct Report {
    question: Question,
    lines: Found,
    /// How many lines there are.
    count: usize,
    /// One per evidence, best first: what is estimated is never mixed up with what was reported.
    totals: BTreeMap<Grade, Line>,
    notes: Notes,
    marks: Marks,
    /// Calls that were read, if the sums could not tell.
    read: Option<u64>,
    /// Which figures are shown.
    figures: Figures,
    /// How far the ledger had got.
    position: Option<Position>,
}

#[derive(Debug)]
enum Found {
    All(Box<Lines>),
    Top(Vec<Line>),
}

/// What occurs in any line, and has to be explained or given a column.
#[derive(Debug, Default)]
struct Marks {
    adjusts: bool,
    fallback: bool,
    unpriced: bool,
    uncharged: bool,
    /// Classes of which there is a count that is not zero.
    classes: BTreeSet<Class>,
}

impl Marks {
    fn see(&mut self, line: &Line) {
        let Line { key, sum, before, .. } = line;
        self.adjusts |= !key.adjusts.is_empty();
        for sum in [Some(sum), before.as_ref()].into_iter().flatten() {
            self.fallback |= !sum.fallback.is_empty();
            self.unpriced |= !sum.unpriced.is_empty();
            self.uncharged |= sum.amounts.is_empty() && sum.unpriced.is_empty();
            self.classes.extend(sum.usage.iter().filter(|(_, count)| **count != 0).map(|(class, _)| *class));
        }
    }
}

/// A line of a report.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// What tells it apart.
    pub key: Key,
    /// How good its counts are.
    pub grade: Grade,
    /// What it adds up.
    pub sum: Sum,
    /// The same of the period before, if that was asked for.
    pub before: Option<Sum>,
}

/// What tells a line apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The values of its columns; of the line of the others none.
    pub columns: Vec<String>,
    /// The closed month that it adjusts, else empty.
    pub adjusts: String,
    /// Instead of columns: how many others it is about.
    pub others: Option<u64>,
}

/// Evidence in the order of reports: best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grade(pub Evidence);

impl Grade {
    fn rank(self) -> usize {
        Evidence::ALL.iter().position(|evidence| *evidence == self.0).unwrap_or(usize::MAX)
    }
}

impl Ord for Grade {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Grade {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Why there is no report.
#[derive(Debug)]
pub enum ReportError {
    /// The store could not be read.
    Store(StoreError),
    /// A sum or an amount is more than 128 bits hold.
    TooLarge(&'static str),
    /// It is more than may be read, or more than there can be.
    TooMuch(String),
    /// What it is made of cannot be read, or the one who asked has gone.
    Stopped(String),
    /// It could not be written.
    Output(std::io::Error),
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReportError::Store(error) => error.fmt(f),
            ReportError::TooLarge(problem) => f.write_str(problem),
            ReportError::TooMuch(problem) | ReportError::Stopped(problem) => f.write_str(problem),
            ReportError::Output(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReportError {}

impl From<StoreError> for ReportError {
    fn from(error: StoreError) -> Self {
        ReportError::Store(error)
    }
}

impl From<std::io::Error> for ReportError {
    fn from(error: std::io::Error) -> Self {
        ReportError::Output(error)
    }
}

const TOO_LARGE: ReportError = ReportError::TooLarge("a sum does not fit in 128 bits");

impl Report {
    /// Makes the report that a question asks for.
    pub fn of(reader: &dyn Reader, question: Question) -> Result<Report, ReportError> {
        Report::within(reader, question, &mut Bounds { calls: u64::MAX, each: &mut |_| Ok(()) })
    }

    /// The same, if it takes no more than is allowed. However many questions it takes, all of it is of one moment.
    pub fn within(reader: &dyn Reader, question: Question, bounds: &mut Bounds<'_>) -> Result<Report, ReportError> {
        let moment = reader.moment()?;
        let reader = moment.as_deref().unwrap_or(reader);
        let mut gathered = Gathered::new(&question);
        gathered.all(reader, bounds)?;
        let others = gathered.others();
        let Gathered { mut lines, invoices, open, read, .. } = gathered;
        let lack = Lack::of(&open)?;
        lines.lack(open);
        if let Some(decimals) = question.round {
            let [now, before] = invoices;
            lines.round([now.rounded(decimals)?, before.rounded(decimals)?]);
        }
        let read = question.reads_entries().then_some(read);
        let lines = match question.top {
            Some(top) => {
                let mut first = top::top(&lines, question.by.len(), top, question.compare)?;
                first.extend(others);
                Found::Top(first)
            }
            None => Found::All(Box::new(lines)),
        };
        let (count, totals, notes, marks) = Default::default();
        let (figures, position) = Default::default();
        let mut report = Report { question, lines, count, totals, notes, marks, read, figures, position };
        report.finish(lack)?;
        Ok(report)
    }

    fn finish(&mut self, lack: Lack) -> Result<(), ReportError> {
        let (mut count, mut notes, mut marks) = (0_usize, Notes::default(), Marks::default());
        let mut totals: BTreeMap<Grade, Line> = BTreeMap::new();
        self.each(&mut |line| {
            count = count.saturating_add(1);
            marks.see(line);
            notes.line(&line.sum)?;
            totals.entry(line.grade).or_insert_with(|| Line { grade: line.grade, ..Line::default() }).merge(line)
        })?;
        let Lack { models, by_evidence: [now, before] } = lack;
        for (grade, line) in &mut totals {
            // What one line takes back of another one is no lack of the period.
            line.sum.unpriced = now.get(grade).cloned().unwrap_or_default();
            if let Some(sum) = &mut line.before {
                sum.unpriced = before.get(grade).cloned().unwrap_or_default();
            }
        }
        notes.end(models);
        (self.count, self.totals, self.notes, self.marks) = (count, totals, notes, marks);
        Ok(())
    }

    /// The same with no more lines than this: if there are more, the largest, and the others in one. Its totals stay.
    pub fn at_most(mut self, top: Top) -> Result<Report, ReportError> {
        let Found::All(lines) = &self.lines else { return Ok(self) };
        if self.count <= top.lines {
            return Ok(self);
        }
        let first = top::top(lines, self.question.by.len(), top, self.question.compare)?;
        // Lines of one group that differ in evidence stay together: there may be more lines than groups.
        if first.iter().any(|line| line.key.others.is_some()) {
            self.count = first.len();
            self.lines = Found::Top(first);
            self.question.top = Some(top);
        }
        Ok(self)
    }

    /// The same with some of its figures, as of a position of the ledger.
    pub fn of_figures(mut self, figures: Figures, position: Option<Position>) -> Report {
        (self.figures, self.position) = (figures, position);
        self
    }

    /// What was asked.
    pub fn question(&self) -> &Question {
        &self.question
    }

    /// How many lines it has.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All lines, in their order.
    pub fn each(&self, each: &mut dyn FnMut(&Line) -> Result<(), ReportError>) -> Result<(), ReportError> {
        match &self.lines {
            Found::Top(lines) => lines.iter().try_for_each(each),
            Found::All(lines) => lines.each(self.question.compare, &mut |_, line| each(&line.settled())),
        }
    }

    /// The sums by evidence, best first.
    pub fn totals(&self) -> impl Iterator<Item = &Line> {
        self.totals.values()
    }

    /// Writes the report.
    pub fn write(&self, format: Format, out: &mut dyn Write) -> Result<(), ReportError> {
        match format {
            Format::Table => table::write(self, out),
            Format::Json => json::write(self, out),
            Format::Csv => csv::write(self, out),
            Format::Markdown => markdown::write(self, out),
        }
    }

    /// The report as a text.
    pub fn render(&self, format: Format) -> Result<String, ReportError> {
        let mut text = Vec::new();
        self.write(format, &mut text)?;
        String::from_utf8(text).map_err(|_| ReportError::Stopped("the report is no text".to_owned()))
    }
}

impl Line {
    /// Without what only told how it was added up.
    fn settled(mut self) -> Line {
        self.sum.open.clear();
        self.before.iter_mut().for_each(|before| before.open.clear());
        self
    }

    /// Adds another one.
    fn merge(&mut self, other: &Line) -> Result<(), ReportError> {
        self.sum.merge(&other.sum)?;
        other.before.as_ref().map_or(Ok(()), |before| self.before.get_or_insert_default().merge(before))
    }
}

#[cfg(test)]
mod tests;
