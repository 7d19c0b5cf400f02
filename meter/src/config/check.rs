//! The check of a configuration against the catalogue of keys.

use std::fmt;

use serde_json::{Map, Value};

use super::keys::{self, KEYS, Key, Kind};

/// More problems than this are not listed.
const MAX_PROBLEMS: usize = 20;

/// Everything that is wrong with a configuration, one line each: key, problem, what is allowed. Values are never
/// repeated: one could be a secret in the wrong place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl Problems {
    pub(super) fn one(path: &str, problem: &str) -> Problems {
        let mut problems = Problems(Vec::new());
        problems.add(path, problem);
        problems
    }

    fn add(&mut self, path: &str, problem: &str) {
        if self.0.len() < MAX_PROBLEMS {
            let path = if path.is_empty() { "configuration" } else { path };
            self.0.push(format!("{path}: {problem}"));
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Problems {}

/// Checks a whole configuration.
pub(super) fn check(value: &Value) -> Result<(), Problems> {
    let mut problems = Problems(Vec::new());
    match value {
        Value::Object(object) => members(object, "", "", &mut problems),
        _ => problems.add("", "must be an object"),
    }
    if value.get("collector").is_some_and(|collector| collector.is_object() && collector.get("cluster").is_none()) {
        problems.add("collector.cluster", "is missing; allowed: the name of Envoy's cluster of the collector");
    }
    if problems.0.is_empty() { Ok(()) } else { Err(problems) }
}

/// Checks an object's members; `path` is where it stands, `pattern` the same as the catalogue writes it.
fn members(object: &Map<String, Value>, path: &str, pattern: &str, problems: &mut Problems) {
    for (name, value) in object {
        let here = join(path, name);
        match find(pattern, name) {
            None => problems.add(&here, &format!("unknown key; allowed: {}", siblings(pattern))),
            Some(key) if !key.kind.admits(value) => {
                problems.add(&here, &format!("must be {}", key.kind.allowed()));
            }
            Some(key) => match (key.kind, value) {
                (Kind::Object, Value::Object(object)) => members(object, &here, key.path, problems),
                (Kind::Objects(_), Value::Array(list)) => elements(list, &here, key.path, problems),
                _ => {}
            },
        }
    }
}

fn elements(list: &[Value], path: &str, pattern: &str, problems: &mut Problems) {
    for (index, value) in list.iter().enumerate() {
        let here = format!("{path}[{index}]");
        let Value::Object(object) = value else {
            problems.add(&here, "must be an object");
            continue;
        };
        members(object, &here, &format!("{pattern}[]"), problems);
        match object.get("from").map(Value::as_str) {
            None => problems.add(&format!("{here}.from"), "is missing; allowed: spiffe, jwt, header"),
            Some(from) => {
                for name in object.keys() {
                    let owner = keys::source_of(name);
                    if owner.is_some() && owner != from {
                        let owner = owner.unwrap_or_default();
                        problems.add(&join(&here, name), &format!("only allowed with \"from\": \"{owner}\""));
                    }
                }
            }
        }
    }
}

fn find(pattern: &str, name: &str) -> Option<&'static Key> {
    let path = join(pattern, name);
    KEYS.iter().find(|key| key.path == path)
}

fn siblings(pattern: &str) -> String {
    let names = KEYS.iter().filter_map(|key| {
        let rest = if pattern.is_empty() { key.path } else { key.path.strip_prefix(pattern)?.strip_prefix('.')? };
        (!rest.contains(['.', '['])).then_some(rest)
    });
    names.collect::<Vec<_>>().join(", ")
}

fn join(path: &str, name: &str) -> String {
    // A hostile name must not fill the log.
    let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    if path.is_empty() { name } else { format!("{path}.{name}") }
}
