//! The kinds of proxies that are compared: which filters each has, and where what it found can be seen.

use std::path::{Path, PathBuf};

use e2e::{Result, bootstrap::Bootstrap};
use serde_json::{Value, json};

use crate::shape::Shape;

/// Names a call whose findings go into the access log.
pub const PROOF: &str = "x-bench-proof";
/// The metadata namespace that the filters which take one write to.
const NAMESPACE: &str = "bench";

/// Where a kind's findings stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It finds nothing.
    Nothing,
    /// It reads only: a gauge counts the bytes.
    Bytes,
    /// meshmeter's record.
    Record,
    /// The typed metadata of Envoy's own extraction.
    TokenUsage,
    /// The metadata `bench`.
    Metadata,
    /// The filter state `wasm.bench_usage`.
    State,
}

/// A kind.
pub struct Kind {
    /// Its name, on the command line and in the results.
    pub name: String,
    /// Its HTTP filters.
    pub filters: Vec<Value>,
    /// Where its findings stand.
    pub found: Found,
    /// Shapes of which it is known to find no counts.
    pub blind: &'static [&'static str],
    only: Option<bool>,
}

impl Kind {
    fn new(name: &str, filters: Vec<Value>, found: Found) -> Self {
        Self { name: name.to_owned(), filters, found, blind: &[], only: None }
    }

    /// Whether it can read such a response at all.
    pub fn takes(&self, shape: &Shape) -> bool {
        self.only.is_none_or(|stream| stream == shape.stream)
    }

    /// Whether it is a meshmeter, which sends events.
    pub fn meters(&self) -> bool {
        self.found == Found::Record
    }

    /// What it found, by the line of the access log.
    pub fn usage(&self, line: &Value) -> Result<Option<(u64, u64)>> {
        let number = |value: &Value| value.as_f64().map(|number| number as u64);
        let pair = |value: &Value, input: &str, output: &str| {
            let input = number(&value[input])?;
            Some((input, number(&value[output]).unwrap_or(0)))
        };
        Ok(match self.found {
            Found::Nothing | Found::Bytes => None,
            Found::Record => {
                let event: Value = serde_json::from_str(line["record"].as_str().unwrap_or("null"))?;
                if event["data"]["evidence"] != "reported" || event["subject"].as_str().is_none_or(str::is_empty) {
                    return Err(format!("not a whole record: {event}").into());
                }
                pair(&event["data"], "input_tokens", "output_tokens")
            }
            Found::TokenUsage => {
                let text = |name: &str| line["token_usage"][name].as_str()?.parse().ok();
                text("input").map(|input| (input, text("output").unwrap_or(0)))
            }
            Found::Metadata => pair(&line["metadata"], "input", "output"),
            Found::State => {
                let text = line["state"].as_str().and_then(|text| text.split_once(' '));
                text.and_then(|(input, output)| Some((input.parse().ok()?, output.parse().ok()?)))
            }
        })
    }
}

/// The access log that shows what was found: of the calls that ask for it only, in every kind.
pub fn log(path: &Path) -> Value {
    let typed = |field| format!("%CEL(metadata.typed_filter_metadata['envoy.ai.token_usage'].{field})%");
    json!({
        "name": "envoy.access_loggers.file",
        "filter": {"header_filter": {"header": {"name": PROOF, "present_match": true}}},
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"json_format": {
                "record": "%FILTER_STATE(wasm.meshmeter:PLAIN)%",
                "state": "%FILTER_STATE(wasm.bench_usage:PLAIN)%",
                "metadata": format!("%DYNAMIC_METADATA({NAMESPACE})%"),
                "token_usage": {"input": typed("input_tokens"), "output": typed("output_tokens")},
            }},
        },
    })
}

/// meshmeter, as the bootstrap has it.
pub fn meter(shipped: &Bootstrap) -> Result<Kind> {
    Ok(Kind::new("meshmeter", vec![shipped.filter()?], Found::Record))
}

/// meshmeter with budgets: a thousand of them, of which two cover the calls.
fn budgets(shipped: &Bootstrap) -> Result<Kind> {
    let mut holding = shipped.clone();
    let mut plugin = holding.plugin()?;
    plugin["budgets"] = json!({});
    holding.set_plugin(&plugin.to_string());
    Ok(Kind::new("meshmeter_budgets", vec![holding.filter()?], Found::Record))
}

/// All kinds, in the order in which they are shown; `also` are further builds of meshmeter's filter.
pub fn all(shipped: &Bootstrap, rivals: &Path, also: &[(String, PathBuf)]) -> Result<Vec<Kind>> {
    let mut kinds = vec![
        Kind::new("none", vec![], Found::Nothing),
        Kind::new("read_only", vec![wasm("read_only", rivals)?], Found::Bytes),
        meter(shipped)?,
        budgets(shipped)?,
    ];
    for (name, file) in also {
        let mut other = shipped.filter()?;
        other["typed_config"]["config"]["vm_config"]["code"]["local"]["filename"] = present(file)?;
        kinds.push(Kind::new(name, vec![other], Found::Record));
    }
    let response = |rules: Value| json!({"response_rules": rules});
    let rules = json!([rule("prompt_tokens", "input"), rule("completion_tokens", "output")]);
    let parser = json!({
        "@type": "type.googleapis.com/envoy.extensions.content_parsers.json.v3.JsonContentParser",
        "rules": [{"rule": rule("prompt_tokens", "input")}, {"rule": rule("completion_tokens", "output")}],
    });
    let protocol = json!({"response_handling": {"token_usage": {"include_unconfigured_routes": true}}});
    let events = response(json!({"content_parser": {"name": "envoy.content_parsers.json", "typed_config": parser}}));
    let lua = json!({"default_source_code": {"inline_string": include_str!("usage.lua")}});
    kinds.extend([
        Kind {
            blind: &["embeddings", "gzip"],
            ..Kind::new(
                "ai_protocol_manager",
                vec![own("ai_protocol_manager", "AiProtocolManager", protocol)],
                Found::TokenUsage,
            )
        },
        Kind {
            only: Some(false),
            blind: &["gzip"],
            ..Kind::new(
                "json_to_metadata",
                vec![own("json_to_metadata", "JsonToMetadata", response(json!({"rules": rules})))],
                Found::Metadata,
            )
        },
        Kind {
            only: Some(true),
            ..Kind::new("sse_to_metadata", vec![own("sse_to_metadata", "SseToMetadata", events)], Found::Metadata)
        },
        Kind { blind: &["gzip"], ..Kind::new("lua", vec![own("lua", "Lua", lua)], Found::Metadata) },
        Kind { blind: &["gzip"], ..Kind::new("buffered_serde", vec![wasm("buffered_serde", rivals)?], Found::State) },
    ]);
    Ok(kinds)
}

/// A filter that Envoy has built in.
fn own(name: &str, message: &str, mut config: Value) -> Value {
    config["@type"] = format!("type.googleapis.com/envoy.extensions.filters.http.{name}.v3.{message}").into();
    json!({"name": format!("envoy.filters.http.{name}"), "typed_config": config})
}

fn rule(field: &str, key: &str) -> Value {
    json!({
        "selectors": [{"key": "usage"}, {"key": field}],
        "on_present": {"metadata_namespace": NAMESPACE, "key": key, "type": "NUMBER"},
    })
}

/// A WebAssembly filter of the bench.
fn wasm(name: &str, folder: &Path) -> Result<Value> {
    Ok(json!({
        "name": name,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": name,
                "root_id": name,
                "vm_config": {
                    "vm_id": name,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": present(&folder.join(format!("{name}.wasm")))?}},
                },
            },
        },
    }))
}

fn present(file: &Path) -> Result<Value> {
    let file = file.canonicalize().map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(file.to_string_lossy().into())
}
