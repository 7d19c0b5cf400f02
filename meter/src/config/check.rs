//! The check of a configuration against the catalogue of keys.

use std::fmt;

use serde_json::{Map, Value};

use super::keys::{self, ANY_OF, KEYS, Key, Kind, NEEDED, REQUIRED, UNIQUE};
use super::tenant;

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
        Value::Object(object) => {
            members(object, "", "", &mut problems);
            for (name, needed) in NEEDED.iter().filter(|(name, _)| object.contains_key(*name)) {
                if !object.contains_key(*needed) {
                    problems.add(name, &format!("only allowed with {needed}"));
                }
            }
        }
        _ => problems.add("", "must be an object"),
    }
    if problems.0.is_empty() { Ok(()) } else { Err(problems) }
}

/// Checks an object's members; `path` is where it stands, `pattern` the same as the catalogue writes it.
#[cold]
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
                _ => belongs(object, key, &here, problems),
            },
        }
    }
    for (required, allowed) in REQUIRED {
        let name = required.strip_prefix(pattern).and_then(|rest| rest.strip_prefix('.'));
        if let Some(name) = name.filter(|name| !name.contains('.') && !object.contains_key(*name)) {
            problems.add(&join(path, name), &format!("is missing; allowed: {allowed}"));
        }
    }
    if pattern == "tenant[]" {
        tenant::check(object, |name, problem| problems.add(&join(path, name), problem));
    }
    for (owner, names) in ANY_OF {
        if pattern == *owner && !names.iter().any(|name| object.contains_key(*name)) {
            problems.add(path, &format!("must have one of {} at least", names.join(", ")));
        }
    }
}

fn elements(list: &[Value], path: &str, pattern: &str, problems: &mut Problems) {
    for (index, value) in list.iter().enumerate() {
        let here = format!("{path}[{index}]");
        match value {
            Value::Object(object) => members(object, &here, &format!("{pattern}[]"), problems),
            _ => problems.add(&here, "must be an object"),
        }
        let (owner, name) = UNIQUE;
        let named = value.get(name).filter(|_| pattern == owner);
        if named.is_some() && list.iter().take(index).any(|other| other.get(name) == named) {
            problems.add(&join(&here, name), "must differ from that of every other entry");
        }
    }
}

/// A key that only some sources have must stand beside the right `from`.
fn belongs(object: &Map<String, Value>, key: &Key, here: &str, problems: &mut Problems) {
    let from = object.get("from").and_then(Value::as_str);
    if let (owners, Some(from)) = (keys::sources_of(key.path), from)
        && !owners.is_empty()
        && !owners.contains(&from)
    {
        problems.add(here, &format!("only allowed with \"from\": \"{}\"", owners.join("\" or \"")));
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
