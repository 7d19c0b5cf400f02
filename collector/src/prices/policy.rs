//! Whether the price that a response states is what is charged.

wire::words! {
    /// What a stated price is good for.
    Policy {
        /// It is charged.
        Prefer "prefer",
        /// It is charged where the book lacks a price.
        Fallback "fallback",
        /// It is never charged.
        Ignore "ignore",
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
