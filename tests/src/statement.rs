//! What the plugin says of itself in the header of each call, as the harness reads it.

use std::collections::BTreeMap;

use crate::Result;

/// The request header that carries a statement.
pub const HEADER: &str = "meshmeter-emitter";
/// The response header of a collector that reads statements.
pub const COLLECTOR_HEADER: &str = "meshmeter-collector";

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Who counts.
    pub emitter: String,
    /// The highest number given out.
    pub head: u64,
    /// Events dropped so far.
    pub dropped: u64,
    /// Numbers that were dropped, and why.
    pub drops: BTreeMap<u64, String>,
    /// The final flush.
    pub ended: bool,
}

impl Statement {
    /// Reads the header's value.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || format!("no statement: {text:?}");
        let mut items = text.split("; ");
        let emitter = items.next().unwrap_or_default().to_owned();
        let mut statement = Self { emitter, head: 0, dropped: 0, drops: BTreeMap::new(), ended: false };
        for item in items {
            match item.split_once('=') {
                None if item == "end" => statement.ended = true,
                Some(("head", number)) => statement.head = number.parse()?,
                Some(("dropped", number)) => statement.dropped = number.parse()?,
                Some(("drops", ranges)) => {
                    for range in ranges.split(',') {
                        let (numbers, reason) = range.split_once(':').ok_or_else(wrong)?;
                        let (first, last) = numbers.split_once('-').ok_or_else(wrong)?;
                        let numbers = first.parse::<u64>()?..=last.parse()?;
                        statement.drops.extend(numbers.map(|number| (number, reason.to_owned())));
                    }
                }
                _ => return Err(wrong().into()),
            }
        }
        Ok(statement)
    }
}
