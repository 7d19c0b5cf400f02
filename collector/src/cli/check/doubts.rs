//! What is allowed in a configuration of the plugin, and hardly meant: the plugin takes it, `meshmeter check` does not.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Headers that clients write as they like. A tenant that one of them names is the client's choice, or its secret.
const CLIENTS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "host",
    "user-agent",
    "referer",
    "origin",
    "accept",
    "content-type",
    "x-request-id",
    "x-client-trace-id",
    "x-correlation-id",
    "traceparent",
    "tracestate",
    "baggage",
    "idempotency-key",
];

/// What is wrong, and what is only to be thought about: a line each.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Doubts {
    /// What is wrong.
    pub problems: Vec<String>,
    /// What may be meant.
    pub warnings: Vec<String>,
}

/// Looks at a configuration that the plugin takes.
pub fn doubts(bytes: &[u8]) -> Doubts {
    let mut doubts = Doubts::default();
    if let Ok(Keys(repeated)) = serde_json::from_slice(bytes) {
        doubts.problems.extend(repeated.iter().map(|key| format!("{key}: is there twice; the last one would hold")));
    }
    let config: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let entries = |list: &str| config.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
    for (list, name) in [("tenant", "name"), ("tags", "header")] {
        for (at, entry) in entries(list).iter().enumerate() {
            let text = |key: &str| entry.get(key).and_then(Value::as_str);
            let header = text(name).or(text("name")).unwrap_or_default().to_ascii_lowercase();
            let is_trusted = text("from") == Some("header") && entry.get("trusted") == Some(&Value::Bool(true));
            if is_trusted && (header.starts_with(':') || CLIENTS.contains(&header.as_str())) {
                let header = format!("{list}[{at}].{name}: {header} is a header that every client writes as it likes");
                doubts.problems.push(format!("{header}: it cannot be trusted"));
            }
        }
    }
    for (at, entry) in entries("providers").iter().enumerate() {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        if !text("provider").is_some_and(is_name) {
            doubts.problems.push(format!(
                "providers[{at}].provider: must begin with a letter or digit, and have letters, digits, dots, hyphens, underscores \
                 and slashes only"
            ));
        }
        let is_any = |key: &str| text(key).is_none_or(|pattern| pattern.bytes().all(|byte| byte == b'*'));
        let is_prefix = text("prefix").is_none_or(|prefix| prefix == "/");
        if is_any("cluster") && is_any("route") && is_any("host") && is_any("path") && is_prefix {
            doubts.warnings.push(format!(
                "providers[{at}]: it matches every call, wherever that goes, and rules of its rank behind it never match"
            ));
        }
    }
    doubts
}

/// Whether a provider's name is one: nothing that a spreadsheet, a terminal or a query takes for something else.
fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) && name.bytes().all(is_part)
}

/// The keys that an object has twice, in any depth.
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
        let (mut seen, mut repeated) = (HashSet::new(), Vec::new());
        while let Some((key, Keys(within))) = map.next_entry::<String, Keys>()? {
            repeated.extend(within.into_iter().map(|inner| join(&key, &inner)));
            if !seen.insert(key.clone()) {
                repeated.push(key);
            }
        }
        Ok(Keys(repeated))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Keys, A::Error> {
        let (mut repeated, mut at) = (Vec::new(), 0usize);
        while let Some(Keys(within)) = list.next_element()? {
            repeated.extend(within.into_iter().map(|inner| join(&format!("[{at}]"), &inner)));
            at = at.saturating_add(1);
        }
        Ok(Keys(repeated))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }
    fn visit_u64<E>(self, _: u64) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }
    fn visit_f64<E>(self, _: f64) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }
    fn visit_str<E>(self, _: &str) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }
    fn visit_unit<E>(self) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }
}

fn join(outer: &str, inner: &str) -> String {
    if inner.starts_with('[') { format!("{outer}{inner}") } else { format!("{outer}.{inner}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_what_is_hardly_meant_is_said() {
        for (config, problems, warnings) in [
            (r#"{"tenant":[{"from":"header","name":"X-Request-Id","trusted":true}]}"#, 1, 0),
            (r#"{"tenant":[{"from":"spiffe"},{"from":"header","name":":authority","trusted":true}]}"#, 1, 0),
            (r#"{"tags":[{"name":"authorization","from":"header","trusted":true}]}"#, 1, 0),
            (r#"{"tenant":[{"from":"header","name":"x","trusted":false,"trusted":true}]}"#, 1, 0),
            (r#"{"tenant":[{"from":"header","trusted":true}],"tenant":[{"from":"spiffe"}]}"#, 1, 0),
            (r#"{"providers":[{"cluster":"a","provider":"=1+1"},{"cluster":"b","provider":"-x"}]}"#, 2, 0),
            (
                r#"{"providers":[{"cluster":"*","provider":"openai"},{"host":"**","prefix":"/","provider":"openai"}]}"#,
                0,
                2,
            ),
        ] {
            let found = doubts(config.as_bytes());
            assert_eq!((found.problems.len(), found.warnings.len()), (problems, warnings), "{config} {found:?}");
        }
        let twice = doubts(br#"{"tenant":[{"from":"jwt"},{"from":"jwt","claim":"a","claim":"b"}]}"#).problems;
        assert_eq!(twice, ["tenant[1].claim: is there twice; the last one would hold"]);
    }

    #[test]
    fn contract_what_the_documents_show_is_meant() {
        for config in [
            "",
            "{}",
            r#"{"tenant":[{"from":"header","trusted":true},{"from":"header","name":"authorization"}]}"#,
            r#"{"tenant":[{"from":"header","name":"x-tenant-id","trusted":true}],"tags":[{"name":"app","from":"header","header":"x-app","trusted":true}]}"#,
            r#"{"providers":[{"cluster":"openai-*","provider":"azure.ai.openai"},{"prefix":"/openai","host":"*","provider":"our_vllm"}]}"#,
        ] {
            assert_eq!(doubts(config.as_bytes()), Doubts::default(), "{config}");
        }
    }
}
