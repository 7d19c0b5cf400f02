//! The schemas of bodies. Words, fields and bounds come from where they are defined.

use serde_json::{Map, Value, json};
use wire::event::{self, Kind};
use wire::lease::{MAX_AMOUNT, MAX_BUDGETS, MAX_LEASES, MAX_NAME, MAX_PRICES, Mode, Unit};
use wire::record::{Deferred, Evidence};
use wire::usage::Class;
use wire::{emitter, identity};

use crate::budget::Period;
use crate::report::{self, Dimension, Figures};
use crate::serve::wanting::NAMED;

mod latency;

/// All of them, by name.
pub fn all() -> Value {
    json!({
        "Error": object(json!({"error": {"type": "string", "description": "what is wrong, and what is allowed"}}), &["error"]),
        "Document": {"type": "object", "required": ["openapi", "info", "paths"]},
        "Event": envelope(),
        "Taken": taken(),
        "Numbers": numbers(),
        "LeaseRequest": lease_request(),
        "LeaseResponse": lease_response(),
        "Budgets": budgets(),
        "Gaps": gaps(),
        "Counts": by_class(json!({"type": "integer"})),
        "Amounts": by_class(amount("")),
        "Notes": notes(),
        "Report": of_report(Figures::All, "ReportLine"),
        "ReportLine": line(Figures::All),
        "Usage": of_report(Figures::Usage, "UsageLine"),
        "UsageLine": line(Figures::Usage),
        "Costs": of_report(Figures::Costs, "CostsLine"),
        "CostsLine": line(Figures::Costs),
        "Latency": latency::latency(),
        "LatencyLine": latency::line(),
    })
}

/// An object of these fields. Others are left alone: a later version may have more.
fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

fn text(max: usize) -> Value {
    json!({"type": "string", "maxLength": max})
}

fn whole(min: u64, max: u64) -> Value {
    json!({"type": "integer", "minimum": min, "maximum": max})
}

fn list(items: Value, max: usize) -> Value {
    json!({"type": "array", "items": items, "maxItems": max})
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

/// An exact amount in USD.
fn amount(description: &str) -> Value {
    json!({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "description": format!("USD, exact. {description}").trim_end()})
}

fn by_class(of: Value) -> Value {
    let each = Class::ALL.iter().map(|class| {
        let mut schema = of.clone();
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".to_owned(), class.help().into());
        }
        (class.name().to_owned(), schema)
    });
    object(Value::Object(each.collect()), &[])
}

fn envelope() -> Value {
    let fields: Map<String, Value> = event::specs().map(|spec| (spec.name.to_owned(), field(spec))).collect();
    let required =
        ["emitter", "sequence", "tenant", "tenant_source", "provider", "api", "operation", "outcome", "evidence"];
    let data = object(Value::Object(fields), &required);
    let properties = json!({
        "specversion": {"const": "1.0"},
        "type": {"const": event::TYPE},
        "source": {"type": "string"},
        "id": {"type": "string", "maxLength": event::MAX_TEXT, "description": "`emitter`, a hyphen and `sequence`"},
        "time": {"type": "string", "format": "date-time", "description": "when the call began"},
        "subject": {"type": "string", "description": "the tenant"},
        "datacontenttype": {"type": "string"},
        "data": data,
    });
    object(properties, &["specversion", "type", "id", "time", "data"])
}

fn field(spec: event::Spec) -> Value {
    let mut schema = match spec.kind {
        Kind::Text(max) => text(max),
        Kind::Word(words) => json!({"type": "string", "enum": words}),
        Kind::Words => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Tags(max) => {
            let texts = json!({"type": "array", "items": text(event::MAX_TEXT), "minItems": 3, "maxItems": 3});
            list(texts, max)
        }
        Kind::Number(min, max) => whole(min, max),
        Kind::Bool => json!({"type": "boolean"}),
    };
    if let Some(schema) = schema.as_object_mut() {
        let unit = if spec.unit.is_empty() { String::new() } else { format!(" ({})", spec.unit) };
        schema.insert("description".to_owned(), format!("{}{unit}", spec.help).into());
    }
    schema
}

fn taken() -> Value {
    let count = |description: &str| json!({"type": "integer", "minimum": 0, "description": description});
    let properties = json!({
        "accepted": count("new in the ledger"),
        "duplicates": count("known before: not charged again"),
        "dead_letters": count("quarantined, for they cannot be read or charged"),
        "alarms": count("quarantined, for they contradict the ledger or exceed what the token may charge"),
        "quarantined": numbers(),
    });
    object(properties, &["accepted", "duplicates", "dead_letters", "alarms"])
}

/// Ranges of numbers by emitter.
fn numbers() -> Value {
    let range = json!({"type": "array", "items": whole(1, emitter::MAX_SEQUENCE), "minItems": 2, "maxItems": 2});
    let ranges = json!({"type": "array", "items": range});
    json!({"type": "object", "additionalProperties": ranges, "description": "by emitter, ranges of `[first, last]`"})
}

fn lease_request() -> Value {
    let seconds = json!({"type": "integer", "minimum": 0, "description": "any second of the window, since 1970"});
    let lease = json!({
        "budget": text(MAX_NAME),
        "subject": {"type": "string", "maxLength": identity::MAX_TENANT,
            "description": "the tenant if each has the limit for itself, else empty"},
        "at_s": seconds,
        "up_to": whole(0, MAX_AMOUNT),
        "need": whole(0, MAX_AMOUNT),
    });
    let price = json!({"tenant": text(identity::MAX_TENANT), "provider": text(MAX_NAME), "model": text(MAX_NAME)});
    let properties = json!({
        "number": whole(1, emitter::MAX_SEQUENCE),
        "acknowledged": whole(0, emitter::MAX_SEQUENCE),
        "revision": whole(0, emitter::MAX_SEQUENCE),
        "leases": list(object(lease, &["budget", "subject", "at_s", "up_to", "need"]), MAX_LEASES),
        "prices": list(object(price, &["tenant", "provider", "model"]), MAX_PRICES),
    });
    object(properties, &["number", "acknowledged", "revision"])
}

fn lease_response() -> Value {
    let or_null = |schema: Value| json!({"oneOf": [schema, {"type": "null"}]});
    let number = || json!({"type": "integer", "minimum": 0});
    let budget = json!({
        "name": text(MAX_NAME), "tenant": {"type": "string"}, "provider": {"type": "string"}, "model": {"type": "string"},
        "per_tenant": {"type": "boolean"},
        "unit": {"type": "string", "enum": Unit::WORDS},
        "mode": {"type": "string", "enum": Mode::WORDS},
    });
    let lease = ["window_s", "until_s", "granted", "charged", "limit", "left", "available"];
    let price = ["input", "output", "call"];
    let numbers = |names: &[&str]| {
        let all: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), number())).collect();
        object(Value::Object(all), names)
    };
    let properties = json!({
        "number": number(),
        "revision": number(),
        "budgets": list(object(budget, &["name", "per_tenant", "unit", "mode"]), MAX_BUDGETS),
        "leases": list(or_null(numbers(&lease)), MAX_LEASES),
        "prices": list(or_null(numbers(&price)), MAX_PRICES),
    });
    object(properties, &["number", "revision", "leases", "prices"])
}

fn budgets() -> Value {
    let text = || json!({"type": "string"});
    let number = |description: &str| json!({"type": "integer", "minimum": 0, "description": description});
    let amount = |description: &str| json!({"type": "string", "description": format!("in `unit`: {description}")});
    let properties = json!({
        "name": text(), "tenant": text(), "provider": text(), "model": text(),
        "per_tenant": {"type": "boolean", "description": "each tenant that is covered has the limit for itself"},
        "mode": {"type": "string", "enum": Mode::WORDS},
        "window": {"type": "string", "enum": Period::WORDS},
        "zone": {"type": "string", "description": "where windows begin"},
        "begins": {"type": "integer", "description": "of the window, seconds since 1970"},
        "until": {"type": "integer", "description": "the first second of the next window"},
        "unit": {"type": "string", "enum": Unit::WORDS},
        "limit": amount("the limit"),
        "spent": amount("what was spent; with `per_tenant` by the tenant that spent most"),
        "spent_by": {"type": "string", "description": "that tenant"},
        "leased": amount("what workers hold and have not spent"),
        "left": amount("what is not spent"),
        "tenants": number("tenants that have spent something"),
        "exhausted": number("tenants that have nothing left; without `per_tenant` 1 if nothing is left"),
    });
    let required = [
        "name",
        "per_tenant",
        "mode",
        "window",
        "zone",
        "begins",
        "until",
        "unit",
        "limit",
        "spent",
        "leased",
        "left",
        "tenants",
        "exhausted",
    ];
    json!({"type": "array", "items": object(properties, &required)})
}

fn gaps() -> Value {
    let count = |description: &str| json!({"type": "integer", "minimum": 0, "description": description});
    let emitter = json!({
        "emitter": {"type": "string"},
        "node": {"type": "string", "description": "Envoy's node id"},
        "state": {"type": "string", "enum": ["counting", "ended", "open_end"]},
        "heard": {"type": "string", "format": "date-time", "description": "when it last spoke"},
        "missing": count("its numbers that are missing"),
    });
    let properties = json!({
        "missing": count("numbers of emitters that the ledger lacks"),
        "open_ends": count("emitters that fell silent without a final flush"),
        "alarms": count("events that are quarantined because they contradict the ledger or exceed a limit"),
        "dead_letters": count("events that are quarantined because they cannot be read or charged"),
        "emitters": list(object(emitter, &["emitter", "state", "heard", "missing"]), NAMED),
    });
    object(properties, &["missing", "open_ends", "alarms", "dead_letters", "emitters"])
}

fn of_report(figures: Figures, line: &str) -> Value {
    let bound = json!({"type": "string", "description": "a day, or a moment"});
    let mut properties = json!({
        "since": bound,
        "until": bound,
        "time_zone": {"type": "string", "description": "where days, months and hours are those of"},
        "before": object(json!({"since": bound, "until": bound}), &[]),
        "tenant": {"type": "string"},
        "filters": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
        "limited_to": {"type": "array", "items": {"type": "string"},
            "description": "the tenants that the token may know of; absent if these are all"},
        "currency": {"const": "USD"},
        "by": {"type": "array", "items": {"type": "string"}},
        "lines": {"type": "array", "items": reference(line)},
        "totals": {"type": "array", "items": reference(line), "description": "one per evidence, of all lines"},
        "notes": reference("Notes"),
    });
    let mut required = vec!["time_zone", "currency", "by", "lines", "totals", "notes"];
    if figures != Figures::All
        && let Some(properties) = properties.as_object_mut()
    {
        properties.insert("position".to_owned(), position());
        required.retain(|name| *name != "currency" || figures == Figures::Costs);
        if figures == Figures::Usage {
            properties.remove("currency");
        }
    }
    object(properties, &required)
}

fn position() -> Value {
    let head = json!({
        "writer": {"type": "integer"},
        "entry": {"type": "integer", "description": "its last entry"},
        "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    });
    let heads = json!({"type": "array", "items": object(head, &["writer", "entry", "hash"])});
    let exact = json!({"type": "boolean", "description": "whether nothing came while the figures were read"});
    object(json!({"heads": heads, "exact": exact}), &["heads", "exact"])
}

fn line(figures: Figures) -> Value {
    let mut fields = columns();
    let counts = json!({
        "others": {"type": "integer", "description": "instead of columns: how many others this line adds up"},
        "adjusts": {"type": "string", "description": "the closed month whose calls are adjusted here"},
        "evidence": {"type": "string", "enum": Evidence::WORDS},
        "calls": {"type": "integer"},
    });
    let usage = json!({"usage": reference("Counts")});
    let costs = json!({
        "charge": amount("What the tenant pays for all that has a price; absent if nothing has"),
        "charges": reference("Amounts"),
        "cost": amount("What the provider charges for it"),
        "costs": reference("Amounts"),
        "unpriced": reference("Counts"),
        "fallback": {"type": "array", "items": {"type": "string", "enum": names()},
            "description": "classes charged by the price of another class"},
    });
    let former = json!({"charge": amount(""), "cost": amount(""), "unpriced": reference("Counts")});
    let change = json!({
        "charge": amount("Absent if nothing can be compared"),
        "percent": {"type": "string", "description": "of the charge; `new`: there was nothing"},
        "unpriced": {"type": "boolean", "description": "true: something has no price in one of both periods; the numbers leave it out"},
    });
    let (mut before, mut changed) = (json!({"calls": {"type": "integer"}}), json!({"calls": {"type": "integer"}}));
    let mut required = vec!["evidence", "calls"];
    let merge = |into: &mut Value, more: &Value| {
        if let (Some(into), Some(more)) = (into.as_object_mut(), more.as_object()) {
            into.extend(more.clone());
        }
    };
    let mut properties = counts;
    if figures.has_usage() {
        merge(&mut properties, &usage);
        merge(&mut before, &usage);
        required.push("usage");
    }
    if figures.has_costs() {
        merge(&mut properties, &costs);
        merge(&mut before, &former);
        merge(&mut changed, &change);
        required.extend(["charges", "costs"]);
    }
    if let Value::Object(properties) = properties {
        fields.extend(properties);
    }
    fields.insert("before".to_owned(), object(before, &["calls"]));
    fields.insert("change".to_owned(), object(changed, &["calls"]));
    of_columns(fields, &required)
}

/// What may tell lines apart.
fn columns() -> Map<String, Value> {
    let named = report::named().filter(|dimension| *dimension != Dimension::Evidence);
    named.map(|dimension| (dimension.name().into_owned(), json!({"type": "string"}))).collect()
}

/// A line of these fields, and of columns whose names are not known beforehand.
fn of_columns(fields: Map<String, Value>, required: &[&str]) -> Value {
    let patterns = json!({"^tag:.": {"type": "string"}, "^tenant:[0-9]+$": {"type": "string"}});
    json!({"type": "object", "properties": fields, "patternProperties": patterns, "required": required})
}

fn names() -> Vec<&'static str> {
    Class::ALL.iter().map(|class| class.name()).collect()
}

fn notes() -> Value {
    let calls: Map<String, Value> =
        Deferred::WORDS.iter().map(|word| ((*word).to_owned(), json!({"type": "integer"}))).collect();
    let model = json!({
        "provider": {"type": "string"},
        "model": {"type": "string"},
        "calls": {"type": "integer"},
        "tokens": {"type": "integer"},
        "units": reference("Counts"),
    });
    let model = object(model, &["provider", "model", "calls", "tokens"]);
    let properties = json!({
        "unpriced": {"type": "array", "items": model, "description": "models of which something has no price"},
        "deferred": {"type": "object", "properties": calls,
            "description": "calls whose counts arrive in another call, by why"},
        "unknown_usage": {"type": "object", "additionalProperties": {"type": "integer"},
            "description": "calls whose response counts something unknown, by its name"},
    });
    object(properties, &[])
}
