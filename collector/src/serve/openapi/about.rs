//! What the document says of the paths about the collector itself.

use serde_json::{Value, json};

use super::{Operation, json_of};
use crate::serve::metrics;

fn text(content_type: &str, description: &str) -> Value {
    json!({"description": description, "content": {content_type: {"schema": {"type": "string"}}}})
}

fn health(id: &'static str, summary: &'static str, description: &str) -> Operation {
    Operation {
        id,
        summary,
        description: description.to_owned(),
        parameters: Vec::new(),
        body: None,
        response: text("text/plain; charset=utf-8", "`ok`"),
        others: &[503],
    }
}

pub fn livez() -> Operation {
    health("livez", "Whether the process works", "503: start it anew.")
}

pub fn readyz() -> Operation {
    health("readyz", "Whether events are stored", "503: events are refused, and `error` says why.")
}

pub fn metrics() -> Operation {
    Operation {
        id: "metrics",
        summary: "Metrics of the collector and the ledger",
        description: "They name all tenants.".to_owned(),
        parameters: Vec::new(),
        body: None,
        response: text(metrics::CONTENT_TYPE, "the text format of OpenMetrics"),
        others: &[500, 503],
    }
}

pub fn openapi() -> Operation {
    Operation {
        id: "openapi",
        summary: "This document",
        description: "OpenAPI 3.1.".to_owned(),
        parameters: Vec::new(),
        body: None,
        response: json_of("the document", "Document"),
        others: &[],
    }
}
