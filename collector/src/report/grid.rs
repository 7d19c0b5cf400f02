//! A report in columns for the eye: what tables and Markdown have in common.

use wire::usage::{Class, Kind};

use super::change::Change;
use super::notes::Notes;
use super::sum::{Amounts, Sum};
use super::{Key, Line, Position, Report, ReportError};
use crate::money::Charge;
use crate::terminal::{grouped, printable};

const UNPRICED: &str = "unpriced";
/// Behind a number that leaves something out.
const AND_UNPRICED: &str = "+ unpriced";
/// Names in a footnote.
const NAMED: usize = 20;
/// Lines that anybody looks at: their widths are not known before all are there.
const MOST: usize = 200_000;

/// A column of counts: its head, and the classes in it.
struct Column {
    head: &'static str,
    classes: Vec<Class>,
}

/// Head, lines and totals as texts. Names in it are printable.
pub struct Grid {
    pub header: Vec<String>,
    pub lines: Vec<Vec<String>>,
    pub totals: Vec<Vec<String>>,
    /// Columns of names; those behind them are numbers, but for the last.
    pub names: usize,
}

/// The columns of counts, disjoint: together they are all tokens. Units have columns of their own.
fn columns(report: &Report) -> Vec<Column> {
    let head = |class: Class| {
        let name = class.name();
        match class.kind() {
            Kind::Input if name.starts_with("cache_read") => "cache read",
            Kind::Input if name.starts_with("cache_write") => "cache write",
            Kind::Input => "input",
            Kind::Output if name.starts_with("output_reasoning") => "reasoning",
            Kind::Output => "output",
            Kind::Unit | Kind::Information => name,
        }
    };
    let mut columns: Vec<Column> = Vec::new();
    let shown = Class::ALL.iter().filter(|_| report.figures.has_usage());
    for &class in shown.filter(|class| match class.kind() {
        Kind::Unit => report.marks.classes.contains(class),
        kind => kind != Kind::Information,
    }) {
        let head = head(class);
        match columns.iter_mut().find(|column| column.head == head) {
            Some(column) => column.classes.push(class),
            None => columns.push(Column { head, classes: vec![class] }),
        }
    }
    columns
}

/// Decimals behind the point, so that the points of a column stand below each other.
#[derive(Default)]
struct Decimals([usize; 4]);

impl Decimals {
    fn see(&mut self, line: &Line) -> Result<(), ReportError> {
        let amounts = amounts(line)?;
        for (most, amount) in self.0.iter_mut().zip(amounts) {
            *most = amount.map_or(0, |amount| decimals(&amount.to_string())).max(*most);
        }
        Ok(())
    }
}

/// Charge, cost, the charge before, and its change.
fn amounts(line: &Line) -> Result<[Option<Charge>; 4], ReportError> {
    let total = line.sum.total()?;
    let change = line.before.as_ref().map(|before| Change::of(&line.sum, before)).transpose()?;
    let amount = |of: fn(Amounts) -> Charge| total.map(of);
    let (before, by) = change.map_or((None, None), |change| (change.before, change.by));
    Ok([amount(|total| total.charge), amount(|total| total.cost), before, by])
}

impl Grid {
    pub fn of(report: &Report) -> Result<Grid, ReportError> {
        if report.count > MOST {
            let count = report.count;
            let problem =
                format!("{count} lines are too many for a table (at most {MOST}): top, fewer columns, or csv or json");
            return Err(ReportError::TooMuch(problem));
        }
        let columns = columns(report);
        let question = &report.question;
        // A column that is seldom needed.
        let adjusts = report.marks.adjusts;
        let names = question.by.len().saturating_add(usize::from(adjusts)).saturating_add(1);
        let mut header: Vec<String> = question.by.iter().map(|dimension| printable(dimension.name())).collect();
        header.extend(adjusts.then(|| "adjusts".to_owned()));
        let heads = columns.iter().map(|column| column.head);
        let compared = ["before (USD)", "change (USD)", "change"].into_iter().filter(|_| question.compare);
        let amounts = ["charge (USD)", "cost (USD)"].into_iter().chain(compared);
        let amounts = amounts.filter(|_| report.figures.has_costs());
        let counts = ["evidence", "calls"].into_iter().chain(heads);
        header.extend(counts.chain(amounts).chain([""]).map(str::to_owned));
        let mut totals: Vec<Line> = report.totals.values().cloned().collect();
        let mut all = Line::default();
        totals.iter().try_for_each(|line| all.merge(line))?;
        let several = totals.len() > 1;
        totals.extend(several.then_some(all));
        let mut decimals = Decimals::default();
        totals.iter().try_for_each(|line| decimals.see(line))?;
        report.each(&mut |line| decimals.see(line))?;
        let amounts = report.figures.has_costs().then_some(&decimals);
        let mut grid = Grid { header, lines: Vec::new(), totals: Vec::new(), names };
        let width = question.by.len();
        report.each(&mut |line| {
            let key = key_cells(&line.key, width, adjusts);
            grid.lines.push(cells(key, line.grade.0.as_str(), line, &columns, amounts)?);
            Ok(())
        })?;
        for (place, line) in totals.iter().enumerate() {
            let is_all = several && place.saturating_add(1) == totals.len();
            let evidence = if is_all { "all" } else { line.grade.0.as_str() };
            let key = total_key(names.saturating_sub(1));
            grid.totals.push(cells(key, evidence, line, &columns, amounts)?);
        }
        Ok(grid)
    }
}

fn key_cells(key: &Key, width: usize, adjusts: bool) -> Vec<String> {
    let shown = |value: &String| if value.is_empty() { "-".to_owned() } else { printable(value) };
    let mut cells: Vec<String> = match key.others {
        Some(others) => vec![format!("({others} others)")],
        None => key.columns.iter().map(shown).collect(),
    };
    cells.resize(width, String::new());
    cells.extend(adjusts.then(|| key.adjusts.clone()));
    cells
}

fn total_key(width: usize) -> Vec<String> {
    let mut key = vec![String::new(); width];
    if let Some(first) = key.first_mut() {
        *first = "total".to_owned();
    }
    key
}

fn cells(
    mut cells: Vec<String>,
    evidence: &str,
    line: &Line,
    columns: &[Column],
    decimals: Option<&Decimals>,
) -> Result<Vec<String>, ReportError> {
    let sum = &line.sum;
    cells.push(evidence.to_owned());
    cells.push(grouped(sum.calls));
    for column in columns {
        // Absent is not zero.
        let counts = column.classes.iter().filter_map(|class| sum.usage.get(class).copied());
        let count = counts.reduce(i128::saturating_add);
        cells.push(count.map_or("-".to_owned(), grouped));
    }
    let Some(decimals) = decimals else {
        cells.push(String::new());
        return Ok(cells);
    };
    let [charge, cost, before, change] = amounts(line)?;
    let [charges, costs, befores, changes] = decimals.0;
    cells.push(amount_of(!sum.unpriced.is_empty(), charge, charges));
    cells.push(amount_of(!sum.unpriced.is_empty(), cost, costs));
    if let Some(former) = &line.before {
        let Change { by, percent, is_unpriced, .. } = Change::of(sum, former)?;
        cells.push(amount_of(!former.unpriced.is_empty(), before, befores));
        cells.push(amount_of(is_unpriced, change, changes));
        cells.push(match percent {
            Some(percent) if is_unpriced => format!("{percent} {AND_UNPRICED}"),
            Some(percent) => percent,
            None if is_unpriced && by.is_some() => AND_UNPRICED.to_owned(),
            None if is_unpriced => UNPRICED.to_owned(),
            None => "-".to_owned(),
        });
    }
    cells.push(mark(sum).to_owned());
    Ok(cells)
}

/// An amount, with room for `decimals`, so that the points stand below each other.
fn amount_of(is_unpriced: bool, amount: Option<Charge>, decimals: usize) -> String {
    match amount {
        Some(amount) => {
            let text = amount.to_string();
            let missing = decimals.saturating_sub(self::decimals(&text));
            format!("{text}{:missing$}", "")
        }
        None if is_unpriced => UNPRICED.to_owned(),
        None => "-".to_owned(),
    }
}

/// What else there is to say about a cost.
fn mark(sum: &Sum) -> &'static str {
    match (sum.fallback.is_empty(), sum.unpriced.is_empty() || sum.amounts.is_empty()) {
        (true, true) => "",
        (false, true) => "*",
        (true, false) => AND_UNPRICED,
        (false, false) => "* + unpriced",
    }
}

fn decimals(amount: &str) -> usize {
    amount.split_once('.').map_or(0, |(_, decimals)| decimals.len())
}

/// What stands below the lines, a line each; those in the second half of a pair belong to the one before.
pub fn notes(report: &Report) -> Vec<(String, Vec<String>)> {
    let mut notes = Vec::new();
    let mut note = |text: &str, lines: Vec<String>| notes.push((text.to_owned(), lines));
    let marks = &report.marks;
    let has_costs = report.figures.has_costs();
    if marks.adjusts {
        note("adjusts: credits and debits for calls of a month that was closed before", Vec::new());
    }
    if marks.fallback && has_costs {
        note("* in part charged by the price of another class; JSON says which", Vec::new());
    }
    if marks.uncharged && has_costs {
        note(
            "- as charge or cost: nothing was counted that could be charged; what was counted and is free has 0",
            Vec::new(),
        );
    }
    let Notes { unpriced, deferred, unknown } = &report.notes;
    let models = unpriced.iter().map(|((provider, model), of)| {
        let tokens = (of.tokens != 0).then(|| format!("{} tokens", grouped(of.tokens)));
        let units = of.units.iter().map(|(class, count)| format!("{} {}", grouped(*count), class.name()));
        let what: Vec<String> = tokens.into_iter().chain(units).collect();
        let (provider, model, calls) = (printable(provider), printable(model), grouped(of.calls));
        format!("{provider} {model}: {calls} calls, {} without a price", what.join(", "))
    });
    if marks.unpriced {
        let text = "unpriced: the price book had no price for it; unknown is not free. A price that came later: meshmeter rerate";
        note(text, first(models));
    }
    let of_calls = |name: &str, calls: i128| format!("{}: {} calls", printable(name), grouped(calls));
    if !deferred.is_empty() {
        let lines = first(deferred.iter().map(|(why, calls)| of_calls(why, *calls)));
        note("deferred: counts that are to come in another call, which is not metered", lines);
    }
    if !unknown.is_empty() {
        let text = "unknown usage: counts of responses that the meter does not know; they may cost something, and are not charged";
        note(text, first(unknown.iter().map(|(name, calls)| of_calls(name, *calls))));
    }
    let question = &report.question;
    if let Some(before) = question.compare.then(|| question.period.before().ok()).flatten() {
        note(&format!("before: {}", before.said()), Vec::new());
    }
    let read = report.read.map(|calls| format!("; {} calls were read", grouped(calls.into()))).unwrap_or_default();
    note(&format!("{}{read}", question.said()), Vec::new());
    if let Some(Position { heads, exact }) = &report.position {
        let ends: Vec<String> = heads.iter().map(|head| format!("{}:{}", head.entry, head.hash)).collect();
        let meanwhile = if *exact { "" } else { "; entries came while it was read" };
        note(&format!("ledger up to {}{meanwhile}", ends.join(" ")), Vec::new());
    }
    if let Some(tenants) = question.restriction.shown() {
        note(&format!("only of the tenants {}", tenants.join(", ")), Vec::new());
    }
    notes
}

/// The first of them, and how many more there are.
fn first(lines: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let more = lines.len().saturating_sub(NAMED);
    let more = (more > 0).then(|| format!("and {more} more: JSON has all"));
    lines.take(NAMED).chain(more).collect()
}
