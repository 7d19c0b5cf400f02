//! `POST /v1/missing`: which of these numbers the ledger does not have. The holder of a journal token asks before it sends.

use std::collections::BTreeMap;

use crate::store::Reader;
use crate::store::ranges::{Range, Ranges};

/// The largest question, bytes.
pub const MAX_BODY: usize = 1 << 20;

/// Ranges of numbers by emitter, each `[first, last]`.
pub type Numbers = BTreeMap<String, Vec<[i64; 2]>>;

/// Reads what is asked for.
pub fn question(body: &[u8]) -> Result<Numbers, String> {
    let wanted: Numbers = serde_json::from_slice(body).map_err(|error| {
        format!("the body must be an object of emitters, each with a list of [first, last]: {error}")
    })?;
    let is_wrong = |[first, last]: &[i64; 2]| *first < 1 || last < first;
    match wanted.iter().find(|(_, ranges)| ranges.iter().any(is_wrong)) {
        Some((emitter, _)) => Err(format!("{emitter:?}: first must be at least 1, and last not below first")),
        None => Ok(wanted),
    }
}

/// The response, as JSON.
pub fn response(reader: &dyn Reader, wanted: Numbers) -> Result<String, String> {
    let mut missing = Numbers::new();
    for (emitter, ranges) in wanted {
        let ranges = ranges.into_iter().map(|[first, last]| Range { first, last }).collect();
        let holes = holes(reader, &emitter, ranges)?;
        if !holes.is_empty() {
            missing.insert(emitter, holes.into_iter().map(|hole| [hole.first, hole.last]).collect());
        }
    }
    serde_json::to_string(&missing).map_err(|error| error.to_string())
}

/// What is not in the ledger. That includes what came and could not be taken: a later version may read it, and nobody may
/// say of another's numbers that they need not come.
pub fn missing(reader: &dyn Reader, emitter: &str, within: Range) -> Result<Vec<Range>, String> {
    holes(reader, emitter, vec![within])
}

/// However often and in whatever order numbers are asked for, they are looked up once, and told once.
fn holes(reader: &dyn Reader, emitter: &str, mut within: Vec<Range>) -> Result<Vec<Range>, String> {
    within.sort_unstable();
    let within: Ranges = within.into_iter().collect();
    let (Some(low), Some(high)) = (within.as_slice().first(), within.as_slice().last()) else { return Ok(Vec::new()) };
    let have =
        reader.ranges(emitter, Range { first: low.first, last: high.last }).map_err(|error| error.to_string())?;
    Ok(within.as_slice().iter().flat_map(|range| have.missing(*range)).collect())
}
