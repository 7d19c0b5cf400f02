//! The schemas of percentiles.

use serde_json::{Map, Value, json};

use super::{columns, object, of_columns, reference};
use crate::report::latency::{MEASURES, PERCENTILES};

pub fn latency() -> Value {
    let bound = json!({"type": "string", "description": "a day, or a moment"});
    let properties = json!({
        "since": bound,
        "until": bound,
        "time_zone": {"type": "string", "description": "where days, months and hours are those of"},
        "filters": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
        "limited_to": {"type": "array", "items": {"type": "string"},
            "description": "the tenants that the token may know of; absent if these are all"},
        "by": {"type": "array", "items": {"type": "string"}},
        "lines": {"type": "array", "items": reference("LatencyLine")},
        "total": reference("LatencyLine"),
        "incomplete": {"type": "integer", "description": "calls that broke off, failed or were refused: in no line"},
    });
    object(properties, &["time_zone", "by", "lines", "total", "incomplete"])
}

pub fn line() -> Value {
    let mut fields = columns();
    fields.insert("calls".to_owned(), json!({"type": "integer", "description": "completed calls"}));
    for (name, help) in MEASURES {
        let mut properties: Map<String, Value> = PERCENTILES
            .iter()
            .map(|of| {
                let help = format!("so many µs or less took {of} of 100 calls, within 0.8 %");
                (format!("p{of}"), json!({"type": "integer", "description": help}))
            })
            .collect();
        let calls = json!({"type": "integer", "description": "calls of which this is known"});
        properties.insert("calls".to_owned(), calls);
        let mut schema = object(Value::Object(properties), &["calls"]);
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".to_owned(), format!("{help}; absent if it is known of no call").into());
        }
        fields.insert(format!("{name}_us"), schema);
    }
    of_columns(fields, &["calls"])
}
