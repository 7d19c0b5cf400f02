//! A report as JSON: counts are numbers, amounts are exact decimal texts, what is unknown is absent.

use meter::usage::Class;
use serde::{Serialize, Serializer};

use super::{Grade, Report, ReportError, Sum};
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
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    key: Key<'a>,
    evidence: &'static str,
    calls: i128,
    usage: ByClass<i128>,
    /// The cost of all that has a price; absent if nothing has.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<String>,
    costs: ByClass<String>,
    /// Counts without a price: the cost leaves them out.
    #[serde(skip_serializing_if = "ByClass::is_empty")]
    unpriced: ByClass<i128>,
    /// Classes charged by the price of another class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fallback: Vec<&'static str>,
}

/// The values of the columns, in their order; one that is empty is unknown.
struct Key<'a>(Vec<(&'static str, &'a str)>);

impl Serialize for Key<'_> {
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
            line(Key(names.zip(key.iter().map(String::as_str)).collect()), *grade, sum)
        })
        .collect();
    let totals = report.totals()?;
    let totals: Result<_, _> = totals.iter().map(|(grade, sum)| line(Key(Vec::new()), *grade, sum)).collect();
    let document = Document {
        since: question.selection.since.map(|day| day.to_string()),
        until: question.selection.until.map(|day| day.to_string()),
        tenant: question.selection.tenant.as_deref(),
        currency: "USD",
        by: question.by.iter().map(|dimension| dimension.name()).collect(),
        lines: lines?,
        totals: totals?,
    };
    let text = serde_json::to_string_pretty(&document)
        .map_err(|_| ReportError::TooLarge("the report cannot be written as JSON"))?;
    Ok(terminal::json(&text) + "\n")
}

fn line<'a>(key: Key<'a>, grade: Grade, sum: &Sum) -> Result<Line<'a>, ReportError> {
    Ok(Line {
        key,
        evidence: grade.0.as_str(),
        calls: sum.calls,
        usage: ByClass(sum.usage.iter().map(|(class, count)| (*class, *count)).collect()),
        cost: sum.cost()?.map(|cost| cost.to_string()),
        costs: ByClass(sum.charges.iter().map(|(class, charge)| (*class, charge.to_string())).collect()),
        unpriced: ByClass(sum.unpriced.iter().map(|(class, count)| (*class, *count)).collect()),
        fallback: sum.fallback.iter().map(|class| class.name()).collect(),
    })
}
