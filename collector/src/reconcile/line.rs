//! What a line of a journal or an access log holds: events, a call without a record, or neither.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use wire::emitter::{MAX_SEQUENCE, is_emitter};
use wire::event::LOGGED;

use super::access::Call;

/// How deep shippers may wrap a line in a line.
const MAX_WRAPPED: u8 = 3;
/// Places of a broken line at which a whole one is looked for.
const MAX_TRIES: usize = 32;

/// The name of an event: its emitter and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    pub emitter: u128,
    pub sequence: u64,
}

impl Id {
    /// Reads `EMITTER-SEQUENCE`, just as it is written.
    pub fn parse(text: &str) -> Option<Id> {
        let (emitter, sequence) = text.split_once('-')?;
        let is_number = sequence.bytes().all(|byte| byte.is_ascii_digit()) && !sequence.starts_with('0');
        if !is_emitter(emitter) || !is_number {
            return None;
        }
        let sequence = sequence.parse().ok().filter(|number| (1..=MAX_SEQUENCE).contains(number))?;
        Some(Id { emitter: u128::from_str_radix(emitter, 16).ok()?, sequence })
    }

    /// The emitter as it is written.
    pub fn emitter(emitter: u128) -> String {
        format!("{emitter:032x}")
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}-{}", self.emitter, self.sequence)
    }
}

/// What was found in a line.
#[derive(Debug, Default)]
pub struct Found<'a> {
    /// Events, byte for byte.
    pub events: Vec<(Id, Cow<'a, str>)>,
    /// A line of the access log that has no record.
    pub call: Option<Call>,
    /// A part of the line is missing; if it can be read, of which event.
    pub torn: Option<Option<Id>>,
    /// Whether there was nothing to find.
    pub blank: bool,
}

impl Found<'_> {
    /// Whether it is none of ours.
    pub fn is_foreign(&self) -> bool {
        self.events.is_empty() && self.call.is_none() && self.torn.is_none() && !self.blank
    }

    /// With the bytes of events that a shipper parsed and wrote again as they were.
    fn restored(mut self) -> Self {
        for (_, event) in &mut self.events {
            if let Some(written) = as_written(event) {
                *event = Cow::Owned(written);
            }
        }
        self
    }

    fn owned(self) -> Found<'static> {
        let events = self.events.into_iter().map(|(id, event)| (id, Cow::Owned(event.into_owned()))).collect();
        Found { events, call: self.call, torn: self.torn, blank: self.blank }
    }
}

/// Looks into a line.
pub fn read(line: &[u8]) -> Found<'_> {
    wrapped(line, 0)
}

fn wrapped(line: &[u8], depth: u8) -> Found<'_> {
    // A file system that lost its power gives zeros for what was never written.
    let line = line.trim_ascii_start();
    let zeros = line.iter().take_while(|byte| **byte == 0).count();
    let line = line.get(zeros..).unwrap_or_default().trim_ascii();
    let line = logged(line).unwrap_or(line);
    let mut found = Found::default();
    match line {
        // Envoy writes a hyphen for a record that is not there.
        b"" | b"-" => found.blank = true,
        [b'{', ..] => match serde_json::from_slice::<Object<'_>>(line) {
            Ok(object) => object.look(line, depth, &mut found),
            Err(error) if error.is_data() => {}
            Err(_) if line == b"{" || line.starts_with(b"{\"") || line.starts_with(b"{{\"") => {
                torn(line, depth, &mut found);
            }
            Err(_) => {}
        },
        // The beginning is missing.
        _ if line.ends_with(b"\"}") || line.ends_with(b"}}") => found.torn = Some(None),
        _ => {}
    }
    if zeros > 0 {
        found.torn.get_or_insert(None);
        found.blank = false;
    }
    found
}

/// The record in a line of Envoy's own log, in any of its formats: `… source/extensions/common/wasm/… wasm log NAMES:
/// meshmeter: record {…}`. The record is all that the plugin said, and nothing stands between its names and it: what
/// another plugin repeats of a client's words is not taken for it. Nor is what a client wrote into a line of another kind:
/// where a JSON object or a text in quotes has begun, Envoy does not speak itself.
fn logged(line: &[u8]) -> Option<&[u8]> {
    const PLUGIN: &[u8] = b"wasm log ";
    let place = |part: &[u8]| line.windows(part.len()).position(|window| window == part);
    let (start, plugin) = (place(LOGGED.as_bytes())?, place(PLUGIN)?);
    let is_envoys = place(b"source/extensions/common/wasm/").is_some_and(|at| at < plugin && plugin < start);
    let names = line.get(plugin.saturating_add(PLUGIN.len())..start)?.strip_suffix(b": ")?;
    let is_plain = names.iter().all(|byte| byte.is_ascii_alphanumeric() || b" ._-/".contains(byte));
    let is_own = line.iter().take(plugin).all(|byte| !b"{\"".contains(byte));
    if is_envoys && is_plain && is_own { line.get(start.saturating_add(LOGGED.len())..) } else { None }
}

/// A line that breaks off, perhaps with a whole one behind it: Envoy died in the middle of writing, and its successor
/// went on in the same file.
///
/// The whole one must begin as the torn one does. So nothing is taken out of the middle of a line of another kind, where
/// a client may have put what it likes.
fn torn<'a>(line: &'a [u8], depth: u8, found: &mut Found<'a>) {
    found.torn = Some(torn_id(line));
    let starts = line.windows(2).enumerate().skip(1).filter(|(_, window)| *window == b"{\"").map(|(start, _)| start);
    let same = starts.filter_map(|start| {
        let (head, tail) = line.split_at_checked(start)?;
        let colon = tail.windows(2).take(64).position(|window| window == b"\":")?;
        let opening = tail.get(..colon.saturating_add(2))?;
        (head.starts_with(opening) || opening.starts_with(head)).then_some(tail)
    });
    for tail in same.take(MAX_TRIES) {
        if let Ok(object) = serde_json::from_slice::<Object<'_>>(tail) {
            found.torn = Some(torn_id(line.get(..line.len().saturating_sub(tail.len())).unwrap_or_default()));
            object.look(tail, depth, found);
            return;
        }
    }
}

/// The id of an event that breaks off behind it.
fn torn_id(line: &[u8]) -> Option<Id> {
    let begun = br#"{"specversion":"1.0","type":"meshmeter."#;
    let name = br#""id":""#;
    if !line.starts_with(begun) {
        return None;
    }
    let at = line.windows(name.len()).position(|window| window == name)?.saturating_add(name.len());
    let rest = line.get(at..)?;
    let end = rest.iter().take(64).position(|byte| *byte == b'"')?;
    Id::parse(std::str::from_utf8(rest.get(..end)?).ok()?)
}

/// The fields by which a line is known, of the journal, of the access log, and of what shippers wrap around them.
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    specversion: Option<&'a RawValue>,
    r#type: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    meshmeter_record: Option<&'a RawValue>,
    log: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    authority: Option<&'a RawValue>,
    path: Option<&'a RawValue>,
    time: Option<&'a RawValue>,
    start_time: Option<&'a RawValue>,
    status: Option<&'a RawValue>,
    response_code: Option<&'a RawValue>,
    details: Option<&'a RawValue>,
    response_code_details: Option<&'a RawValue>,
    flags: Option<&'a RawValue>,
    response_flags: Option<&'a RawValue>,
    cluster: Option<&'a RawValue>,
    upstream_cluster: Option<&'a RawValue>,
    route: Option<&'a RawValue>,
    route_name: Option<&'a RawValue>,
    upstream_bytes_sent: Option<&'a RawValue>,
}

/// A null is there too.
fn even_null<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Object<'a> {
    fn look(&self, line: &'a [u8], depth: u8, found: &mut Found<'a>) {
        if self.specversion.is_some() {
            let event = self.event_id().and_then(|id| Some((id, std::str::from_utf8(line).ok()?)));
            found.events.extend(event.map(|(id, event)| (id, Cow::Borrowed(event))));
            return;
        }
        if let Some(record) = self.meshmeter_record {
            record_in(record, found);
            if found.events.is_empty() && found.torn.is_none() {
                found.call = self.call(true);
            }
            return;
        }
        let inner = self.log.or(self.message).filter(|_| depth < MAX_WRAPPED);
        if let Some(inner) = inner {
            let inside = match text(inner) {
                Some(line) => wrapped(line.as_bytes(), depth.saturating_add(1)).owned(),
                None => wrapped(inner.get().as_bytes(), depth.saturating_add(1)).restored(),
            };
            found.events.extend(inside.events);
            found.call = inside.call;
            found.torn = found.torn.or(inside.torn);
            found.blank = inside.blank;
        } else {
            found.call = self.call(false);
        }
    }

    fn event_id(&self) -> Option<Id> {
        let ours = text(self.r#type?)?.starts_with("meshmeter.");
        if ours { Id::parse(&text(self.id?)?) } else { None }
    }

    /// A line of an access log, by the names of `envoy/envoy.yaml` or of Istio's own JSON format.
    fn call(&self, has_field: bool) -> Option<Call> {
        let word = |value: Option<&RawValue>| value.and_then(text).filter(|text| text != "-").unwrap_or_default();
        let number =
            |value: Option<&RawValue>| value.and_then(|value| value.get().trim_matches('"').parse::<u64>().ok());
        let status = number(self.status.or(self.response_code));
        Some(Call {
            method: text(self.method?)?,
            authority: text(self.authority?)?,
            path: text(self.path?)?,
            time: word(self.time.or(self.start_time)),
            status: status.and_then(|status| status.try_into().ok()).unwrap_or(0),
            details: word(self.details.or(self.response_code_details)),
            flags: word(self.flags.or(self.response_flags)),
            cluster: word(self.cluster.or(self.upstream_cluster)),
            route: word(self.route.or(self.route_name)),
            upstream_bytes_sent: number(self.upstream_bytes_sent),
            has_field,
        })
    }
}

/// The events of a record's field: a text of lines, or one object that a shipper made of it.
fn record_in<'a>(record: &'a RawValue, found: &mut Found<'a>) {
    match text(record) {
        Some(lines) => {
            for line in lines.split('\n').map(|line| line.trim_ascii()).filter(|line| !matches!(*line, "" | "-")) {
                let object = serde_json::from_str::<Object<'_>>(line);
                match object.ok().and_then(|object| object.event_id()) {
                    Some(id) => found.events.push((id, Cow::Owned(line.to_owned()))),
                    None => found.torn = Some(torn_id(line.as_bytes())),
                }
            }
        }
        None => {
            let object = serde_json::from_str::<Object<'_>>(record.get());
            match object.ok().and_then(|object| object.event_id()) {
                Some(id) => {
                    let event = as_written(record.get()).map_or(Cow::Borrowed(record.get()), Cow::Owned);
                    found.events.push((id, event));
                }
                None if record.get() == "null" => {}
                None => found.torn = Some(None),
            }
        }
    }
}

/// The bytes that the emitter wrote, of an event that somebody parsed and wrote again; `None` where they cannot be told
/// (it is of another version): then it stays as it is.
fn as_written(event: &str) -> Option<String> {
    let decoded = wire::event::decode(event.as_bytes()).ok()?;
    let written = wire::event::encode(&decoded.record, &decoded.emitter, decoded.sequence);
    let same = value(&written)? == value(event.as_bytes())?;
    if same { String::from_utf8(written).ok() } else { None }
}

fn value(bytes: &[u8]) -> Option<serde_json::Value> {
    serde_json::from_slice(bytes).ok()
}

/// The text of a JSON string.
fn text(value: &RawValue) -> Option<String> {
    if value.get().starts_with('"') { serde_json::from_str(value.get()).ok() } else { None }
}

#[cfg(test)]
mod tests;
