//! How an export fails: in words that name the place.

use std::fmt;

/// Why an export ended early. What it had committed stays, and the next one goes on from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    text: String,
    is_away: bool,
}

impl Error {
    /// With this text.
    pub fn new(text: impl Into<String>) -> Error {
        Error { text: text.into(), is_away: false }
    }

    /// What failed, and why.
    pub fn of(what: impl fmt::Display, why: impl fmt::Display) -> Error {
        Error::new(format!("{what}: {why}"))
    }

    /// The same, because a place did not respond: it may do so later.
    pub(crate) fn away(what: impl fmt::Display, why: impl fmt::Display) -> Error {
        Error { is_away: true, ..Error::of(what, why) }
    }

    /// Whether the place did not respond, so that nothing is known of what is there.
    pub fn is_away(&self) -> bool {
        self.is_away
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}
