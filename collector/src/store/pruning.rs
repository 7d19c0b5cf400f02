//! What is kept for a time only, and what of it a transaction lets go.

use super::responses::{PossibleCopy, PossibleKey, ResponseKey};

/// What goes.
#[derive(Clone, Debug, Default)]
pub struct PruneChanges {
    /// Events quarantined, by their digests: what they say. That they were released or dismissed stays known, so that they are no
    /// alarm when they come again, and are not charged again. Of one that still waits nothing goes.
    pub quarantined: Vec<[u8; 32]>,
    /// Possible copies, as they were read: one that was noted anew since stays.
    pub possible: Vec<(PossibleKey, PossibleCopy)>,
    /// Where another meter's record of a call is recognised. One stays as long as a possible copy is noted under its response: by
    /// it the slots are counted.
    pub responses: Vec<ResponseKey>,
}

/// Where another meter's record of a call is recognised, and whether a possible copy is noted under its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Where.
    pub key: ResponseKey,
    /// Whether there is a pair.
    pub has_pair: bool,
}

/// Some of these places, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Behind this one.
    pub behind: ResponseKey,
    /// Up to this day.
    pub until_day: i64,
    /// At most so many.
    pub most: usize,
}
