//! A report as JSON: counts are numbers, amounts are exact decimal texts, what is unknown is absent.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use wire::usage::Class;

use super::notes::{Notes, Unpriced};
use super::sum::{Amounts, Sum};
use super::{Grade, Report, ReportError};
use crate::money::Charge;
use crate::terminal;

#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    currency: &'static str,
    by: Vec<&'static str>,
    lines: Vec<Line<'a>>,
    /// One per evidence: add them up only if you know why.
    totals: Vec<Line<'a>>,
    notes: Said<'a>,
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
    /// The closed month whose calls are adjusted here.
    #[serde(skip_serializing_if = "str::is_empty")]
    adjusts: &'a str,
    evidence: &'static str,
    calls: i128,
    usage: ByClass<i128>,
    /// What the tenant pays for all that has a price; absent if nothing has.
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<String>,
    charges: ByClass<String>,
    /// What the provider charges for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<String>,
    costs: ByClass<String>,
    /// Counts without a price: the amounts leave them out.
    #[serde(skip_serializing_if = "ByClass::is_empty")]
    unpriced: ByClass<i128>,
    /// Classes charged by the price of another class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fallback: Vec<&'static str>,
}

/// The values of the columns, in their order; one that is empty is unknown.
struct Columns<'a>(Vec<(&'static str, &'a str)>);

impl Serialize for Columns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter(|(_, value)| !value.is_empty()).copied())
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

pub fn render(report: &Report) -> Result<String, ReportError> {
    let question = &report.question;
    let lines: Result<_, _> = report
        .lines
        .iter()
        .map(|((key, grade), sum)| {
            let names = question.by.iter().map(|dimension| dimension.name());
            let columns = Columns(names.zip(key.columns.iter().map(String::as_str)).collect());
            line(columns, &key.adjusts, *grade, sum)
        })
        .collect();
    let totals = report.totals()?;
    let totals: Result<_, _> = totals.iter().map(|(grade, sum)| line(Columns(Vec::new()), "", *grade, sum)).collect();
    let document = Document {
        since: question.selection.since.map(|day| day.to_string()),
        until: question.selection.until.map(|day| day.to_string()),
        tenant: question.selection.tenant.as_deref(),
        currency: "USD",
        by: question.by.iter().map(|dimension| dimension.name()).collect(),
        lines: lines?,
        totals: totals?,
        notes: said(&report.notes),
    };
    let text = serde_json::to_string_pretty(&document)
        .map_err(|_| ReportError::TooLarge("the report cannot be written as JSON"))?;
    Ok(terminal::json(&text) + "\n")
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

fn line<'a>(key: Columns<'a>, adjusts: &'a str, grade: Grade, sum: &Sum) -> Result<Line<'a>, ReportError> {
    let total = sum.total()?;
    let by_class = |amount: fn(&Amounts) -> Charge| {
        ByClass(sum.amounts.iter().map(|(class, amounts)| (*class, amount(amounts).to_string())).collect())
    };
    Ok(Line {
        key,
        adjusts,
        evidence: grade.0.as_str(),
        calls: sum.calls,
        usage: ByClass(sum.usage.iter().map(|(class, count)| (*class, *count)).collect()),
        charge: total.map(|total| total.charge.to_string()),
        charges: by_class(|amounts| amounts.charge),
        cost: total.map(|total| total.cost.to_string()),
        costs: by_class(|amounts| amounts.cost),
        unpriced: ByClass(sum.unpriced.iter().map(|(class, count)| (*class, *count)).collect()),
        fallback: sum.fallback.iter().map(|class| class.name()).collect(),
    })
}
