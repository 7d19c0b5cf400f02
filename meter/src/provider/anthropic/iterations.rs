//! `usage.iterations`: one entry per sampling pass. The top level counts the passes of kind `message` only.
//!
//! Compaction is work of the same model: where there was one, the passes of both kinds are added up and take the place of
//! the top level, whose early counts in a stream are those of the compaction. The advisor is another model: a part of its own. If a
//! fallback responded, the top level is that response's, and the passes of the model that declined are parts. Source:
//! anthropic-sdk's `types/beta/beta_usage.py`.

use serde_json::Value;
use wire::record::{Flag, Flags};
use wire::usage::{Class, MAX_COUNT, Usage};

use crate::provider::facts::{Facts, Raw};
use crate::provider::{Part, Reading};

/// More entries are not read: a call of so many passes is not believed.
const MAX_ENTRIES: usize = 64;

pub(super) fn apply(facts: &Facts, reading: &mut Reading) {
    let raw = facts.raw(Raw::Usage).or_else(|| facts.raw(Raw::MessageUsage));
    // Most usage objects have none: no need to build a tree to learn that.
    let Some(raw) = raw.filter(|raw| raw.windows(12).any(|window| window == b"\"iterations\"")) else { return };
    let Ok(usage) = wire::read_json(raw) else { return };
    let Some(Value::Array(entries)) = usage.get("iterations") else { return };
    let kind = |entry: &Value| entry.get("type").and_then(Value::as_str).map(str::to_owned);
    let mut own = Usage::default();
    let mut compacted = false;
    let served = entries.iter().find(|entry| kind(entry).as_deref() == Some("fallback_message")).and_then(model);
    for entry in entries.iter().take(MAX_ENTRIES) {
        let counts = counts(entry);
        match kind(entry).as_deref() {
            Some("compaction") => {
                compacted = true;
                add(&mut own, &counts);
            }
            Some("message") if served.is_some() && model(entry).is_some() && model(entry) != served => {
                // What declined before any output is not billed.
                let is_free = counts.output_total().unwrap_or(0) == 0;
                let flags = if is_free { Flags::default().with(Flag::NotBilled) } else { Flags::default() };
                reading.parts.push(Part { name: "declined".to_owned(), model: model(entry), usage: counts, flags });
            }
            Some("message") => add(&mut own, &counts),
            Some("fallback_message") | None => {}
            Some(other) => {
                let name = other.chars().filter(char::is_ascii_graphic).take(64).collect();
                reading.parts.push(Part { name, model: model(entry), usage: counts, flags: Flags::default() });
            }
        }
    }
    reading.parts.retain(|part| !part.usage.is_empty());
    if compacted {
        replace(&mut reading.usage, own);
    }
}

/// Puts the sum of all passes in the place of the top level. What only the top level says is kept: thinking is a part of
/// the output.
fn replace(usage: &mut Usage, mut sum: Usage) {
    let thinking = usage.get(Class::OutputReasoning);
    if let (Some(output), Some(thinking)) = (sum.get(Class::OutputText), thinking)
        && let Some(rest) = output.checked_sub(thinking)
    {
        sum.set(Class::OutputText, Some(rest));
        sum.set(Class::OutputReasoning, Some(thinking));
    }
    *usage = sum;
}

fn model(entry: &Value) -> Option<String> {
    entry.get("model").and_then(Value::as_str).map(str::to_owned)
}

fn counts(entry: &Value) -> Usage {
    let count = |value: Option<&Value>| value.and_then(Value::as_u64).filter(|&count| count <= MAX_COUNT);
    let mut usage = Usage::default();
    usage.set(Class::InputText, count(entry.get("input_tokens")));
    usage.set(Class::OutputText, count(entry.get("output_tokens")));
    usage.set(Class::CacheRead, count(entry.get("cache_read_input_tokens")));
    let split = |lifetime: &str| count(entry.pointer(&format!("/cache_creation/ephemeral_{lifetime}_input_tokens")));
    let (five, hour) = (split("5m"), split("1h"));
    usage.set(Class::CacheWrite1h, hour);
    let total = count(entry.get("cache_creation_input_tokens"));
    usage.set(Class::CacheWrite5m, five.or_else(|| total.map(|total| total.saturating_sub(hour.unwrap_or(0)))));
    usage
}

fn add(usage: &mut Usage, more: &Usage) {
    for (class, count) in more.iter() {
        usage.set(class, Some(usage.get(class).unwrap_or(0).saturating_add(count)));
    }
}
