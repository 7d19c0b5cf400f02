//! The service's log: on standard error, a line for each thing, with time and level, as text or as JSON. What comes
//! from outside is escaped, and what happens again and again is held back and counted.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::terminal::{self, printable};

/// Lines of one topic in a period; what is more is counted.
const BURST: u32 = 5;
/// After so long what was held back is told, and the topic may speak again.
const PERIOD: Duration = Duration::from_secs(60);

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Time, level and what there is to say.
    #[default]
    Text,
    /// An object with `time`, `level` and `message`.
    Json,
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Format, Self::Err> {
        match text {
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            _ => Err("must be text or json"),
        }
    }
}

static FORMAT: OnceLock<Format> = OnceLock::new();
static HELD: Mutex<Held> = Mutex::new(Held(BTreeMap::new()));

/// Sets how lines are written, once for the process; before that they are text.
pub fn format(format: Format) {
    let _ = FORMAT.set(format);
}

/// How lines are written.
pub fn is_json() -> bool {
    FORMAT.get() == Some(&Format::Json)
}

/// What an operator may want to know.
pub fn info(text: &str) {
    write("info", text);
}

/// What an operator should look at.
pub fn warn(text: &str) {
    write("warn", text);
}

/// What ends the service, or keeps it from its work.
pub fn error(text: &str) {
    write("error", text);
}

/// A warning that a sender can cause as often as it likes: a few lines of a topic a minute, the others are counted.
pub fn often(topic: &'static str, text: impl FnOnce() -> String) {
    let speaks = HELD.lock().unwrap_or_else(PoisonError::into_inner).speaks(topic, Instant::now());
    if speaks {
        warn(&format!("{topic}: {}", text()));
    }
}

/// Tells what was held back, when its minute is over. To be called every now and then.
pub fn tick() {
    let told = HELD.lock().unwrap_or_else(PoisonError::into_inner).over(Instant::now());
    for (topic, count) in told {
        warn(&format!("{topic}: {count} more like this in the last minute"));
    }
}

fn write(level: &str, text: &str) {
    terminal::complain(&line(Timestamp::now(), level, text, is_json()));
}

fn line(now: Timestamp, level: &str, text: &str, json: bool) -> String {
    let text = printable(text);
    if json {
        let line = serde_json::json!({ "time": format!("{now:.3}"), "level": level, "message": text });
        line.to_string()
    } else {
        format!("{now:.3} {level:5} {text}")
    }
}

/// Topics that have spoken lately.
struct Held(BTreeMap<&'static str, Topic>);

struct Topic {
    since: Instant,
    said: u32,
    held: u64,
}

impl Held {
    fn speaks(&mut self, topic: &'static str, now: Instant) -> bool {
        let topic = self.0.entry(topic).or_insert(Topic { since: now, said: 0, held: 0 });
        if topic.said < BURST {
            topic.said = topic.said.saturating_add(1);
            return true;
        }
        topic.held = topic.held.saturating_add(1);
        false
    }

    /// Takes out the topics whose period is over; those that held something back, with how much.
    fn over(&mut self, now: Instant) -> Vec<(&'static str, u64)> {
        let mut told = Vec::new();
        self.0.retain(|name, topic| {
            let over = now.saturating_duration_since(topic.since) >= PERIOD;
            if over && topic.held > 0 {
                told.push((*name, topic.held));
            }
            !over
        });
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_a_line_has_time_and_level_and_nothing_from_outside_can_forge_another() {
        let now: Timestamp = "2026-11-28T18:24:36.1234567Z".parse().unwrap();
        let hostile = "model \u{1b}[2J\r\n2026 error forged";
        let text = line(now, "warn", hostile, false);
        assert_eq!(text, "2026-11-28T18:24:36.123Z warn  model \\u{1b}[2J\\r\\n2026 error forged");
        let json = line(now, "error", hostile, true);
        assert!(!json.contains('\n'));
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let message = "model \\u{1b}[2J\\r\\n2026 error forged";
        assert_eq!(json, serde_json::json!({"time": "2026-11-28T18:24:36.123Z", "level": "error", "message": message}));
    }

    #[test]
    fn contract_what_repeats_is_held_back_counted_and_told_once() {
        let mut held = Held(BTreeMap::new());
        let begun = Instant::now();
        let said = (0..42).filter(|_| held.speaks("wrong token", begun)).count();
        assert_eq!(said, 5);
        assert!(held.speaks("another", begun), "one topic does not silence another");
        assert!(held.over(begun + PERIOD / 2).is_empty());
        assert_eq!(held.over(begun + PERIOD), [("wrong token", 37)]);
        assert!(held.over(begun + PERIOD * 2).is_empty());
        assert!(held.speaks("wrong token", begun + PERIOD * 2), "it may speak again");
    }
}
