//! Whether the price that a response states is what is charged.

/// What a stated price is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It is charged.
    Prefer,
    /// It is charged where the book lacks a price.
    Fallback,
    /// It is never charged.
    Ignore,
}

impl Policy {
    const ALL: [Policy; 3] = [Policy::Prefer, Policy::Fallback, Policy::Ignore];

    /// Its word in a book.
    pub const fn as_str(self) -> &'static str {
        match self {
            Policy::Prefer => "prefer",
            Policy::Fallback => "fallback",
            Policy::Ignore => "ignore",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Policy> {
        Policy::ALL.into_iter().find(|policy| policy.as_str() == word)
    }
}

/// Those that sell the models of many others, at prices that change with who serves a call, and state what they take.
const RESELLERS: [&str; 2] = ["openrouter", "vercel"];

/// The policies of a book, or of all books, those of the first in front.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Policies {
    pub default: Option<Policy>,
    pub by_provider: Vec<(String, Policy)>,
}

impl Policies {
    /// Adds those of a later book.
    pub fn extend(&mut self, later: Policies) {
        self.default = self.default.or(later.default);
        self.by_provider.extend(later.by_provider);
    }

    pub fn of(&self, provider: &str) -> Policy {
        let named = self.by_provider.iter().find(|(name, _)| name == provider).map(|(_, policy)| *policy);
        let built_in = || if RESELLERS.contains(&provider) { Policy::Prefer } else { Policy::Fallback };
        named.or(self.default).unwrap_or_else(built_in)
    }
}
