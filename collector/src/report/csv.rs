//! A report as CSV (RFC 4180): one line per group and evidence, one column per usage class, no totals.

use meter::usage::Class;

use super::{Report, ReportError};

pub fn render(report: &Report) -> Result<String, ReportError> {
    let by = report.question.by.iter().map(|dimension| dimension.name());
    let classes = Class::ALL.iter().map(|class| class.name());
    let header: Vec<String> =
        by.chain(["evidence", "calls"]).chain(classes).chain(["cost_usd", "unpriced", "fallback"]).map(field).collect();
    let mut text = header.join(",") + "\r\n";
    for ((key, grade), sum) in &report.lines {
        let mut fields: Vec<String> = key.iter().map(|value| field(value)).collect();
        fields.push(grade.0.as_str().to_owned());
        fields.push(sum.calls.to_string());
        // Absent is not zero: a class that nobody reported is an empty field.
        fields.extend(Class::ALL.iter().map(|class| sum.usage.get(class).map(i128::to_string).unwrap_or_default()));
        fields.push(sum.cost()?.map(|cost| cost.to_string()).unwrap_or_default());
        fields.push(names(sum.unpriced.keys()));
        fields.push(names(sum.fallback.iter()));
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    Ok(text)
}

fn names<'a>(classes: impl Iterator<Item = &'a Class>) -> String {
    classes.map(|class| class.name()).collect::<Vec<_>>().join(" ")
}

fn field(value: &str) -> String {
    if value.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}
