//! What an emitter says of itself in the header of each call: how far it has counted, what it dropped and why.
//!
//! `EMITTER; head=N; dropped=N; drops=5-9:full,12-12:refused; end`, the last two where there is something to say. Without
//! it a collector sees a hole only when something comes behind it, and never why it is there.

use std::fmt;
use std::str::FromStr;

use crate::Invalid;
use crate::emitter::{MAX_SEQUENCE, is_emitter};

/// The request header that carries a statement.
pub const HEADER: &str = "meshmeter-emitter";
/// The response header by which a collector shows that it reads statements; its value is the collector's version.
pub const COLLECTOR_HEADER: &str = "meshmeter-collector";
/// Ranges in one statement: with longest numbers it stays below [`MAX_LENGTH`], well within any server's limit.
pub const MAX_DROPS: usize = 64;
/// The longest statement, bytes.
pub const MAX_LENGTH: usize = 4096;

/// What an emitter says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Who counts: 32 lower-case hex digits.
    pub emitter: String,
    /// The highest number given out, from 1; 0 at the end of an emitter that gave out none, but had leases of budgets.
    pub head: u64,
    /// Events dropped so far, whether `drops` still names them or not.
    pub dropped: u64,
    /// What was dropped, in ascending order; told until a dispatch that told it gets a 2xx.
    pub drops: Vec<DroppedRange>,
    /// The final flush: no number will be given out any more, and nothing waits.
    pub ended: bool,
}

/// Numbers whose events were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DroppedRange {
    /// The first number, from 1.
    pub first: u64,
    /// The last number, not before the first.
    pub last: u64,
    /// Why.
    pub reason: Reason,
}

words! {
    /// Why an event was dropped.
    #[derive(PartialOrd, Ord)]
    Reason {
        /// The outbox was full.
        Full "full",
        /// The collector refused it as unreadable.
        Refused "refused",
    }
}

impl DroppedRange {
    /// How many numbers.
    pub fn count(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

impl fmt::Display for DroppedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}:{}", self.first, self.last, self.reason.as_str())
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; head={}; dropped={}", self.emitter, self.head, self.dropped)?;
        for (drop, before) in
            self.drops.iter().take(MAX_DROPS).zip(std::iter::once("; drops=").chain(std::iter::repeat(",")))
        {
            write!(f, "{before}{drop}")?;
        }
        if self.ended { f.write_str("; end") } else { Ok(()) }
    }
}

/// Reads exactly what is written, and nothing that contradicts itself.
impl FromStr for Statement {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.len() > MAX_LENGTH {
            return Err(invalid("", format!("must be at most {MAX_LENGTH} bytes")));
        }
        let mut items = text.split("; ").peekable();
        let emitter = items.next().filter(|emitter| is_emitter(emitter));
        let emitter = emitter.ok_or_else(|| invalid("", "must begin with 32 lower-case hex digits, the emitter"))?;
        // Who has counted nothing says so at the end only.
        let head = if text.ends_with("; end") { items.next_if_eq(&"head=0").map(|_| 0) } else { None };
        let head = head.map_or_else(|| number(items.next(), "head", 1, MAX_SEQUENCE), Ok)?;
        let dropped = number(items.next(), "dropped", 0, head)?;
        let drops = items.next_if(|item| item.starts_with("drops="));
        let drops = drops.map(|item| ranges(value(item, "drops"), head, dropped)).transpose()?.unwrap_or_default();
        let ended = items.next_if_eq(&"end").is_some();
        match items.next() {
            None => Ok(Statement { emitter: emitter.to_owned(), head, dropped, drops, ended }),
            Some(_) => {
                let allowed = "must be the emitter; head=N; dropped=N; and perhaps drops=RANGES; and perhaps end";
                Err(invalid("", format!("{allowed}, in this order, nothing else, each after \"; \"")))
            }
        }
    }
}

fn invalid(item: &str, problem: impl Into<String>) -> Invalid {
    let field = if item.is_empty() { HEADER.to_owned() } else { format!("{HEADER}.{item}") };
    Invalid { field, problem: problem.into() }
}

fn value<'a>(item: &'a str, name: &str) -> &'a str {
    item.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).unwrap_or("")
}

fn number(item: Option<&str>, name: &str, min: u64, max: u64) -> Result<u64, Invalid> {
    let number = digits(value(item.unwrap_or(""), name)).filter(|number| (min..=max).contains(number));
    number.ok_or_else(|| invalid(name, format!("must be a whole number from {min} to {max}")))
}

/// A number as it is written here: no sign, no zero in front.
fn digits(text: &str) -> Option<u64> {
    let written = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    if written { text.parse().ok() } else { None }
}

fn ranges(text: &str, head: u64, dropped: u64) -> Result<Vec<DroppedRange>, Invalid> {
    let mut drops: Vec<DroppedRange> = Vec::new();
    let (mut free, mut count) = (1u64, 0u64);
    for text in text.split(',') {
        if drops.len() >= MAX_DROPS {
            return Err(invalid("drops", format!("must be at most {MAX_DROPS} ranges")));
        }
        let drop = range(text).filter(|drop| (free..=drop.last).contains(&drop.first) && drop.last <= head);
        let drop = drop.ok_or_else(|| {
            let allowed =
                "must be ranges FIRST-LAST:REASON with commas between, ascending, apart, up to head, REASON one of";
            invalid("drops", format!("{allowed} {}", Reason::WORDS.join(", ")))
        })?;
        free = drop.last.saturating_add(1);
        count = count.saturating_add(drop.count());
        drops.push(drop);
    }
    if count > dropped {
        return Err(invalid("drops", "must name no more numbers than dropped counts"));
    }
    Ok(drops)
}

fn range(text: &str) -> Option<DroppedRange> {
    let (numbers, reason) = text.split_once(':')?;
    let (first, last) = numbers.split_once('-')?;
    Some(DroppedRange { first: digits(first)?, last: digits(last)?, reason: Reason::from_word(reason)? })
}

#[cfg(test)]
mod tests;
