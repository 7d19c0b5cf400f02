//! A report as JSON: counts are numbers, amounts are exact decimal texts, what is unknown is absent.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;

use serde::ser::{Error, SerializeSeq};
use serde::{Serialize, Serializer};
use wire::usage::Class;

use super::change::Change;
use super::notes::Notes;
use super::sum::{Amounts, Sum};
use super::unpriced::Unpriced;
use super::{Position, Report, ReportError};
use crate::money::Charge;
use crate::store::Head;
use crate::terminal;

#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    time_zone: &'a str,
    /// The period that lines are compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Days>,
    /// If there is only one; it is among the filters, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    filters: BTreeMap<String, Vec<String>>,
    /// The tenants that whoever asks may know of, if these are not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    limited_to: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'static str>,
    by: Vec<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<At>,
    lines: Lines<'a>,
    /// One per evidence: add them up only if you know why.
    totals: Vec<Line<'a>>,
    notes: Said<'a>,
}

#[derive(Serialize)]
struct Days {
    since: Option<String>,
    until: Option<String>,
}

/// How far the ledger had got.
#[derive(Serialize)]
struct At {
    heads: Vec<End>,
    exact: bool,
}

impl At {
    fn of(position: &Position) -> At {
        let end =
            |head: &Head| End { writer: head.entry.writer, entry: head.entry.number, hash: head.hash.to_string() };
        At { heads: position.heads.iter().map(end).collect(), exact: position.exact }
    }
}

/// Where a chain ended.
#[derive(Serialize)]
struct End {
    writer: i64,
    entry: i64,
    hash: String,
}

/// All lines, one after the other: there may be a million.
struct Lines<'a>(&'a Report);

impl Serialize for Lines<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut lines = serializer.serialize_seq(None)?;
        let mut failed = None;
        let done = self.0.each(&mut |of| {
            lines.serialize_element(&line(self.0, of)?).map_err(|error| {
                failed = Some(error);
                ReportError::Stopped(String::new())
            })
        });
        match (failed, done) {
            (Some(error), _) => Err(error),
            (None, done) => done.map_err(S::Error::custom).and_then(|()| lines.end()),
        }
    }
}

/// What the amounts leave out, and what nobody knows yet.
#[derive(Serialize)]
struct Said<'a> {
    /// Models of which something has no price.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unpriced: Vec<Model<'a>>,
    /// Calls whose counts are to come in another one, by why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    deferred: &'a BTreeMap<&'static str, i128>,
    /// Calls whose response counts something that the meter does not know, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unknown_usage: &'a BTreeMap<String, i128>,
}

#[derive(Serialize)]
struct Model<'a> {
    provider: &'a str,
    model: &'a str,
    calls: i128,
    tokens: i128,
    /// What else has no price, by class.
    #[serde(skip_serializing_if = "ByClass::is_empty")]
    units: ByClass<i128>,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    key: Columns<'a>,
    /// Instead of columns: how many others it adds up.
    #[serde(skip_serializing_if = "Option::is_none")]
    others: Option<u64>,
    /// The closed month whose calls are adjusted here.
    #[serde(skip_serializing_if = "str::is_empty")]
    adjusts: &'a str,
    evidence: &'static str,
    calls: i128,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<ByClass<i128>>,
    /// What the tenant pays for all that has a price; absent if nothing has.
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    charges: Option<ByClass<String>>,
    /// What the provider charges for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    costs: Option<ByClass<String>>,
    /// Counts without a price: the amounts leave them out.
    #[serde(skip_serializing_if = "ByClass::is_empty")]
    unpriced: ByClass<i128>,
    /// Classes charged by the price of another class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fallback: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Before>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Changed>,
}

/// The same of the period before.
#[derive(Serialize)]
struct Before {
    calls: i128,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<ByClass<i128>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<String>,
    #[serde(skip_serializing_if = "ByClass::is_empty")]
    unpriced: ByClass<i128>,
}

/// What is more now.
#[derive(Serialize)]
struct Changed {
    calls: i128,
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<String>,
    /// Of the charge; `new` where there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<String>,
    /// Whether something has no price in one of both periods: it is in neither number.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unpriced: bool,
}

/// The values of the columns, in their order; one that is empty is unknown.
struct Columns<'a>(Vec<(Cow<'static, str>, &'a str)>);

impl Serialize for Columns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, value)))
    }
}

struct ByClass<T>(Vec<(Class, T)>);

impl<T> ByClass<T> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Serialize> Serialize for ByClass<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(class, value)| (class.name(), value)))
    }
}

pub fn write(report: &Report, out: &mut dyn Write) -> Result<(), ReportError> {
    let question = &report.question;
    let bound = |bound: Option<super::Bound>| bound.map(|bound| bound.to_string());
    let before = question.compare.then(|| question.period.before().ok()).flatten();
    let document = Document {
        since: bound(question.period.since),
        until: bound(question.period.until),
        time_zone: question.period.zone.name(),
        before: before.map(|before| Days { since: bound(before.since), until: bound(before.until) }),
        tenant: question.filters.only_tenant(),
        filters: question.filters.shown().into_iter().collect(),
        limited_to: question.restriction.shown(),
        currency: report.figures.has_costs().then_some("USD"),
        by: question.by.iter().map(|dimension| dimension.name()).collect(),
        position: report.position.as_ref().map(At::of),
        lines: Lines(report),
        totals: report.totals.values().map(|total| line(report, total)).collect::<Result<_, _>>()?,
        notes: said(&report.notes),
    };
    let mut safe = terminal::ByLine::new(&mut *out, |line| terminal::json(line).into());
    let written = serde_json::to_writer_pretty(&mut safe, &document);
    written.map_err(|error| match error.io_error_kind() {
        Some(kind) => ReportError::Output(kind.into()),
        None => ReportError::Stopped(format!("the report cannot be written as JSON: {error}")),
    })?;
    safe.end()?;
    Ok(writeln!(out)?)
}

fn model<'a>(((provider, model), of): (&'a (String, String), &Unpriced)) -> Model<'a> {
    Model {
        provider,
        model,
        calls: of.calls,
        tokens: of.tokens,
        units: ByClass(of.units.clone().into_iter().collect()),
    }
}

fn said(notes: &Notes) -> Said<'_> {
    Said {
        unpriced: notes.unpriced.iter().map(model).collect(),
        deferred: &notes.deferred,
        unknown_usage: &notes.unknown,
    }
}

fn line<'a>(report: &Report, line: &'a super::Line) -> Result<Line<'a>, ReportError> {
    let super::Line { key, grade, sum, before } = line;
    let has_costs = report.figures.has_costs();
    let total = sum.total()?.filter(|_| has_costs);
    let by_class = |amount: fn(&Amounts) -> Charge| {
        let amounts = sum.amounts.iter().map(|(class, amounts)| (*class, amount(amounts).to_string()));
        has_costs.then(|| ByClass(amounts.collect()))
    };
    let names = report.question.by.iter().map(|dimension| dimension.name());
    let change = before.as_ref().map(|before| changed(report, sum, before)).transpose()?;
    let unpriced = sum.unpriced.iter().filter(|_| has_costs).map(|(class, count)| (*class, *count));
    let fallback = sum.fallback.keys().filter(|_| has_costs).map(|class| class.name());
    Ok(Line {
        key: Columns(names.zip(key.columns.iter().map(String::as_str)).collect()),
        others: key.others,
        adjusts: &key.adjusts,
        evidence: grade.0.as_str(),
        calls: sum.calls,
        usage: usage(report, sum),
        charge: total.map(|total| total.charge.to_string()),
        charges: by_class(|amounts| amounts.charge),
        cost: total.map(|total| total.cost.to_string()),
        costs: by_class(|amounts| amounts.cost),
        unpriced: ByClass(unpriced.collect()),
        fallback: fallback.collect(),
        before: before.as_ref().map(|before| former(report, before)).transpose()?,
        change,
    })
}

fn usage(report: &Report, sum: &Sum) -> Option<ByClass<i128>> {
    let counts = || ByClass(sum.usage.iter().map(|(class, count)| (*class, *count)).collect());
    report.figures.has_usage().then(counts)
}

fn former(report: &Report, sum: &Sum) -> Result<Before, ReportError> {
    let has_costs = report.figures.has_costs();
    let total = sum.total()?.filter(|_| has_costs);
    let unpriced = sum.unpriced.iter().filter(|_| has_costs).map(|(class, count)| (*class, *count));
    Ok(Before {
        calls: sum.calls,
        usage: usage(report, sum),
        charge: total.map(|total| total.charge.to_string()),
        cost: total.map(|total| total.cost.to_string()),
        unpriced: ByClass(unpriced.collect()),
    })
}

fn changed(report: &Report, sum: &Sum, before: &Sum) -> Result<Changed, ReportError> {
    let calls = sum.calls.checked_sub(before.calls).ok_or(super::TOO_LARGE)?;
    if !report.figures.has_costs() {
        return Ok(Changed { calls, charge: None, percent: None, unpriced: false });
    }
    let Change { by, percent, is_unpriced, .. } = Change::of(sum, before)?;
    Ok(Changed { calls, charge: by.map(|by| by.to_string()), percent, unpriced: is_unpriced })
}
