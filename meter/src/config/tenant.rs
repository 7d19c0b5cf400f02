//! The sources of the tenant: what their keys must be together, and what is read from them.

use serde_json::{Map, Value};

use super::{or_default, texts, value_source};
use crate::identity::{ApiKeys, Element, Hash, Pattern, San, Shows, SpiffePart, TenantSource};

/// Checks what the catalogue of keys cannot say of an entry of `tenant`; `add` is given a key and its problem.
#[cold]
pub(super) fn check(entry: &Map<String, Value>, mut add: impl FnMut(&str, &str)) {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let from = text("from").unwrap_or_default();
    match (text("pattern"), text("tenant")) {
        (Some(pattern), Some(tenant)) => {
            if let Err((key, problem)) = Pattern::parse(pattern, tenant) {
                add(key, &problem);
            }
            if from == "spiffe" && !pattern.starts_with("spiffe://") {
                add("pattern", "must begin with spiffe://");
            }
            if entry.contains_key("take") {
                add("take", "only allowed without pattern");
            }
        }
        (Some(_), None) if !entry.contains_key("tenant") => add("tenant", "is missing; allowed: what pattern makes"),
        (None, Some(_)) if !entry.contains_key("pattern") => add("pattern", "is missing; tenant is made of it"),
        (None, None) if text("element") == Some("matching") => add("pattern", "is missing; element asks for it"),
        _ => {}
    }
    if from == "api_key" && !entry.contains_key("keys") {
        add("keys", "is missing; allowed: hashes of API keys (`meshmeter hash-key`) and their tenants");
    }
    if from == "xfcc" && text("san") == Some("email") {
        add("san", "must be uri or dns: the header has no others");
    }
}

/// Reads a checked entry.
#[cold]
pub(super) fn source(entry: &Value) -> Option<TenantSource> {
    let text = |key: &str| or_default(entry, "tenant[]", key);
    let pattern = entry.get("pattern").and_then(Value::as_str);
    let pattern = pattern.and_then(|pattern| Pattern::parse(pattern, &text("tenant")).ok());
    let path = |key: &str| texts(entry.get(key)).unwrap_or_else(|| vec![text(key)]);
    let san = || match text("san").as_str() {
        "dns" => San::Dns,
        "email" => San::Email,
        _ => San::Uri,
    };
    let shows = match entry.get("from")?.as_str()? {
        "spiffe" => Shows::Spiffe {
            take: match text("take").as_str() {
                "path" => SpiffePart::Path,
                "trust_domain" => SpiffePart::TrustDomain,
                _ => SpiffePart::Namespace,
            },
            trust_domains: texts(entry.get("trust_domains"))
                .unwrap_or_else(|| pattern.iter().filter_map(trust_domain).collect()),
        },
        "certificate" => Shows::Certificate(san()),
        "xfcc" => Shows::Xfcc {
            san: san(),
            hops: entry.get("hops").and_then(Value::as_u64).and_then(|hops| hops.try_into().ok()).unwrap_or_default(),
            trusted: entry.get("trusted").and_then(Value::as_bool).unwrap_or_default(),
        },
        "node" => Shows::Node(path("metadata")),
        "jwt" if entry.get("element").is_some() => Shows::Element {
            claim: path("claim"),
            payload_key: text("payload_key"),
            element: if text("element") == "first" { Element::First } else { Element::Matching },
        },
        "api_key" => Shows::ApiKey(api_keys(entry, text("secret_env"))),
        _ => Shows::Value(value_source(entry, "tenant[]", &text("claim"), &text("name"))?),
    };
    Some(TenantSource { shows, pattern })
}

/// The trust domain that a pattern of SPIFFE ids names: only its ids match.
fn trust_domain(pattern: &Pattern) -> Option<String> {
    let (name, _) = pattern.prefix().strip_prefix("spiffe://")?.split_once('/')?;
    Some(name.to_owned())
}

fn api_keys(entry: &Value, secret_env: String) -> ApiKeys {
    let headers = entry.get("headers").cloned().unwrap_or_else(|| super::keys::default("tenant[].headers"));
    let headers = texts(Some(&headers)).unwrap_or_default();
    let mut tenants = Vec::new();
    for (hash, tenant) in entry.get("keys").and_then(Value::as_object).into_iter().flatten() {
        if let (Some(hash), Some(tenant)) = (Hash::parse(hash), tenant.as_str()) {
            // They mostly come in order. Sorting them is many more bytes of code.
            let place = tenants.partition_point(|(known, _)| *known < hash);
            tenants.insert(place, (hash, tenant.to_owned()));
        }
    }
    ApiKeys {
        headers: headers.iter().map(|name| name.to_ascii_lowercase()).collect(),
        secret_env,
        hash_key: None,
        tenants,
    }
}
