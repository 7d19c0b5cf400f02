//! What the document says of reports.

use serde_json::{Value, json};
use wire::record::Evidence;

use super::{Operation, header, in_head, json_of};
use crate::report::{self, Dimension, Figures, Format, Kind, Sort, focus};
use crate::serve::reports::{MAX_CALLS, MAX_LINES, TABLES, formats};
use crate::serve::wanting::NAMED;

/// What all of them have in common.
const COMMON: &str = "Amounts are decimal texts in USD, exact; what is not known is absent, never 0. Lines with different \
    evidence are never added up. A read token with `tenants=` gets nothing of other tenants. What the sums tell apart (day, month, \
    tenant, provider, model and evidence, in UTC) is read from them; everything else from the calls of the period";

pub fn report() -> Operation {
    Operation {
        id: "report",
        summary: "Usage, charge and cost",
        description: format!(
            "{COMMON}, of which there may be {MAX_CALLS}. More than {MAX_LINES} lines are refused: `top` makes them fewer."
        ),
        parameters: references(),
        body: None,
        response: response("Report"),
        others: &[400, 500, 503],
    }
}

pub fn usage() -> Operation {
    figures("usage", "What was used: quantities by class and evidence", "Usage")
}

pub fn costs() -> Operation {
    figures("costs", "What it costs: charge and cost, what is unpriced, and what was charged by a fallback", "Costs")
}

fn figures(id: &'static str, summary: &'static str, schema: &str) -> Operation {
    let description = format!(
        "{COMMON}, of which there may be {MAX_CALLS}. At most {} lines, in the order of their columns; if there are more, the \
         largest first, and the others as one line. `position` is where the ledger's chains ended: the figures have every entry \
         up to there and, if it is not `exact`, some that came meanwhile. A token with `tenants=` is not told.",
        report::MAX_TOP
    );
    let mut parameters = references();
    parameters.push(in_head(
        "if-none-match",
        "the entity tag of a response that is kept: if the ledger has not changed since, the response is 304",
        false,
        json!({"type": "string"}),
    ));
    let mut response = response(schema);
    if let Some(response) = response.as_object_mut() {
        let tag = header("changes with the ledger and the question; not with a token of some tenants");
        response.insert("headers".to_owned(), json!({"etag": tag, "cache-control": header("private, no-cache")}));
    }
    Operation { id, summary, description, parameters, body: None, response, others: &[304, 400, 500, 503] }
}

pub fn latency() -> Operation {
    let is_here = |name: &str| Kind::Latency.parameters().any(|known| known.name == name);
    let without: Vec<String> = report::PARAMETERS
        .iter()
        .filter(|known| !is_here(known.name))
        .map(|known| format!("`{}`", known.name))
        .collect();
    let description = format!(
        "Percentiles of completed calls, in microseconds. They are read from the calls of the period, of which there may be \
         {MAX_CALLS}; without `since` it begins with the month. At most {} lines. The parameters are those of a report but {}; \
         `by` is {} if it is not given. A read token with `tenants=` gets nothing of other tenants.",
        report::MAX_TOP,
        without.join(", "),
        Kind::Latency.default_by()
    );
    let is_of_others = |name: &str| {
        let is_of_focus = focus::PARAMETERS.iter().any(|(of_focus, ..)| *of_focus == name);
        is_of_focus || report::PARAMETERS.iter().any(|known| known.name == name && !is_here(name))
    };
    let parameters = names().filter(|name| !is_of_others(name)).map(|name| reference(&name)).collect();
    Operation {
        id: "latency",
        summary: "How long calls took",
        description,
        parameters,
        body: None,
        response: response("Latency"),
        others: &[400, 500, 503],
    }
}

pub fn budgets() -> Operation {
    Operation {
        id: "budgets",
        summary: "Budgets, and what is left of them",
        description:
            "In the window of now, at most some seconds old. A read token with `tenants=` gets the budgets of its \
            tenants alone."
                .to_owned(),
        parameters: Vec::new(),
        body: None,
        response: json_of("the budgets in force", "Budgets"),
        others: &[500, 503],
    }
}

pub fn gaps() -> Operation {
    Operation {
        id: "gaps",
        summary: "What is missing in the ledger",
        description: format!(
            "Counted now and then, at most every 15 seconds; `meshmeter gaps` tells more. At most {NAMED} emitters, those of which \
             most is missing first."
        ),
        parameters: Vec::new(),
        body: None,
        response: json_of("how much is missing", "Gaps"),
        others: &[500, 503],
    }
}

fn response(schema: &str) -> Value {
    // FOCUS is CSV, too.
    let of = |(name, _, content_type): &(&str, Format, &str)| {
        let schema = match *name {
            "json" => json!({"$ref": format!("#/components/schemas/{schema}")}),
            _ => json!({"type": "string"}),
        };
        ((*content_type).to_owned(), json!({"schema": schema}))
    };
    let content: serde_json::Map<String, Value> = TABLES.iter().map(of).collect();
    json!({"description": "the report", "content": content})
}

/// The parameters of a question, each by its name in the document.
pub fn all_parameters() -> Vec<Value> {
    let formats = formats(Figures::All);
    let format = json!({"type": "string", "enum": formats, "default": formats.first()});
    let help = "how it is written; `focus`, which `/v1/usage` and `/v1/latency` have not, is the CSV of the FinOps Open Cost and Usage Specification";
    let mut all = vec![in_query("format", help, format)];
    for (name, form, help) in focus::PARAMETERS {
        all.push(in_query(name, &format!("with `format=focus`: {help} ({form})"), json!({"type": "string"})));
    }
    for parameter in report::PARAMETERS {
        all.push(in_query(parameter.name, &format!("{} ({})", parameter.help, parameter.form), schema(parameter.name)));
    }
    for dimension in report::named().filter(|dimension| !dimension.is_time()) {
        let name = dimension.name();
        let help = match dimension {
            Dimension::Tenant(_) => {
                "only these tenants and what is below them, or with a `*` at the end those that begin so"
            }
            _ => "only these; with a `*` at the end those that begin so; empty: those without one",
        };
        let value = match dimension {
            Dimension::Evidence => json!({"type": "string", "examples": Evidence::WORDS}),
            _ => json!({"type": "string"}),
        };
        all.push(in_query(&name, help, json!({"type": "array", "items": value, "maxItems": report::MAX_VALUES})));
    }
    all.push(json!({
        "name": "tags",
        "in": "query",
        "style": "form",
        "explode": true,
        "description": "only calls with this tag, one parameter a tag: `tag:task=T17`",
        "schema": {"type": "object", "patternProperties": {"^tag:.": {"type": "string"}}, "additionalProperties": false},
    }));
    all
}

fn references() -> Vec<Value> {
    names().map(|name| reference(&name)).collect()
}

fn names() -> impl Iterator<Item = String> {
    let name = |parameter: Value| parameter.get("name").and_then(Value::as_str).map(str::to_owned);
    all_parameters().into_iter().filter_map(name)
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

fn in_query(name: &str, description: &str, schema: Value) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": schema})
}

/// What a parameter can be.
fn schema(name: &str) -> Value {
    match name {
        "by" => {
            json!({"type": "string", "default": report::DEFAULT_BY, "examples": ["day,tenant:1", "session", "tag:task"]})
        }
        "top" => json!({"type": "integer", "minimum": 1, "maximum": report::MAX_TOP}),
        "sort" => json!({"type": "string", "enum": Sort::WORDS, "default": Sort::default().as_str()}),
        "compare" => json!({"type": "boolean", "default": false}),
        "round" => json!({"type": "integer", "minimum": 0, "maximum": 15}),
        "time_zone" => json!({"type": "string", "default": "UTC", "examples": ["Europe/Berlin"]}),
        _ => json!({"type": "string", "examples": ["2026-11-01", "2026-11", "2026-11-01T12:00:00Z"]}),
    }
}
