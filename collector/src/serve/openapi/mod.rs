//! The OpenAPI document of all paths, made from the table of routes and from what the code knows of parameters, fields and words.
//! `docs/openapi.json` is the same, for who has no collector at hand.

use std::sync::LazyLock;

use axum::Extension;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use wire::statement::COLLECTOR_HEADER;

use super::auth::Scope;
use super::compress::Same;
use super::readers::Knowing;
use super::routes::{Access, ROUTES, Route};

pub mod about;
pub mod reading;
mod schemas;
pub mod sending;

/// What the document says of a path beside who may ask.
pub struct Operation {
    /// Its name in generated clients.
    pub id: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What else there is to know, in Markdown.
    pub description: String,
    /// Of the query and the head.
    pub parameters: Vec<Value>,
    /// What is sent.
    pub body: Option<Value>,
    /// The response that says yes.
    pub response: Value,
    /// The statuses of the others, beside those that come of who may ask.
    pub others: &'static [u16],
}

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    text
});

/// `GET /v1/openapi.json`.
pub async fn handle() -> Response {
    let same = Extension(Same(DOCUMENT.as_bytes()));
    (same, [(CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

fn document() -> Value {
    let mut paths = Map::new();
    for route in &ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = path {
            methods.insert(route.method.name().to_owned(), operation(route));
        }
    }
    let parameters: Map<String, Value> = reading::all_parameters()
        .into_iter()
        .filter_map(|parameter| Some((parameter.get("name")?.as_str()?.to_owned(), parameter)))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "meshmeter collector",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Takes the events of the plugin, keeps the ledger, and reports from it. Every refusal is a JSON object \
                with the reason in `error`. An unknown path is 404, another method 405. Fields may be added to responses: ignore \
                those that you do not know.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "ingest": scheme("an ingest token: sends events and holds leases of budgets"),
                "journal": scheme("a journal token: sends the events of journals"),
                "read": scheme("a read token: reads reports and metrics; with `tenants=` it gets nothing of other tenants"),
                "certificate": {"type": "mutualTLS", "description": "a client certificate whose SPIFFE ID is a credential"},
            },
            "parameters": parameters,
            "schemas": schemas::all(),
        },
    })
}

fn scheme(description: &str) -> Value {
    json!({"type": "http", "scheme": "bearer", "description": description})
}

fn operation(route: &Route) -> Value {
    let Operation { id, summary, mut description, parameters, body, response, others } = (route.describe)();
    if route.access == Access::Read(Knowing::AllTenants) {
        description.push_str(" A read token with `tenants=` gets 403.");
    }
    let mut responses = Map::new();
    let with_header = |mut response: Value| {
        let headers = response.as_object_mut().map(|response| response.entry("headers").or_insert_with(|| json!({})));
        if let Some(Value::Object(headers)) = headers {
            let version =
                json!({"description": "the collector's version", "required": true, "schema": {"type": "string"}});
            headers.insert(COLLECTOR_HEADER.to_owned(), version);
        }
        response
    };
    responses.insert("200".to_owned(), with_header(response));
    let schemes = schemes(route.access);
    let of_access: &[u16] = if schemes.is_empty() { &[] } else { &[401, 403] };
    for status in of_access.iter().chain(others) {
        responses.insert(status.to_string(), with_header(other(*status)));
    }
    let mut operation = json!({
        "operationId": id,
        "summary": summary,
        "description": description,
        "security": schemes.iter().map(|scheme| json!({*scheme: []})).collect::<Vec<_>>(),
        "responses": responses,
    });
    let parts = [("parameters", (!parameters.is_empty()).then_some(Value::Array(parameters))), ("requestBody", body)];
    if let Some(operation) = operation.as_object_mut() {
        operation.extend(parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?))));
    }
    operation
}

/// The credentials of which one is needed; none: whoever asks.
fn schemes(access: Access) -> Vec<&'static str> {
    let scopes: &[Scope] = match access {
        Access::Open => return Vec::new(),
        Access::Send(scopes) => scopes,
        Access::Read(_) => &[Scope::Read],
    };
    let of = |scope: &Scope| match scope {
        Scope::Ingest => "ingest",
        Scope::Journal => "journal",
        Scope::Read => "read",
    };
    scopes.iter().map(of).chain(["certificate"]).collect()
}

/// A response that is not 200.
fn other(status: u16) -> Value {
    let seconds = || json!({"description": "seconds after which to come again", "required": true, "schema": {"type": "integer", "minimum": 1}});
    let (description, headers) = match status {
        304 => {
            return json!({"description": "the response to this question is still the one of the entity tag", "headers": {
            "etag": header("as it was asked for"), "cache-control": header("private, no-cache")}});
        }
        400 => ("something asked for or sent cannot be: `error` names it, and what is allowed", json!({})),
        401 => ("no token that is known", json!({"www-authenticate": header("Bearer")})),
        403 => ("the token is not for this path, or not for all tenants", json!({})),
        408 => ("the body did not come in time", json!({})),
        413 => ("the body is too large", json!({})),
        415 => ("the body is of another type", json!({})),
        429 => ("the token's rate is used up", json!({"retry-after": seconds()})),
        503 => ("not now: nothing was kept of the request, which may be sent again", json!({"retry-after": seconds()})),
        _ => ("something is wrong on the collector's side", json!({})),
    };
    let content = json!({"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}});
    json!({"description": description, "headers": headers, "content": content})
}

fn header(description: &str) -> Value {
    json!({"description": description, "schema": {"type": "string"}})
}

/// A parameter of the head.
fn in_head(name: &str, description: &str, is_required: bool, schema: Value) -> Value {
    json!({"name": name, "in": "header", "required": is_required, "description": description, "schema": schema})
}

/// A response of a schema, as JSON.
fn json_of(description: &str, schema: &str) -> Value {
    let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

#[cfg(test)]
mod tests;
