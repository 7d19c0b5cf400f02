//! What completed calls took: tokens per byte of text, and per call what no text shows. One memory per VM.

use std::hash::{BuildHasher, RandomState};

use super::{BYTES_A_TOKEN, MAX_HIDDEN, Output, Text};

/// Entries are kept in sets by their hash; in a full set the one goes that was not taught for the longest time.
const SETS: usize = 256;
/// Entries of a set.
const WAYS: usize = 8;
/// So many bytes of text make a ratio worth using.
const ENOUGH_BYTES: u64 = 400;
/// Past this the past counts half, so that a ratio follows its model.
const HALVING_BYTES: u64 = 4 << 20;
/// The same for what is learned per call.
const HALVING_CALLS: u64 = 64;
/// A limit that a text exceeds so many times, by its words, is not one that the provider obeys.
const OVER_LIMIT: u64 = 2;

/// Whose calls teach each other. The tenant is a part of it: what one sends must not change what another is charged.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Key<'a> {
    /// Who is charged.
    pub tenant: &'a str,
    /// The provider.
    pub provider: &'a str,
    /// Envoy's cluster, which the client does not choose as it does the model's name.
    pub upstream: Option<&'a str>,
    /// The model.
    pub model: &'a str,
}

/// What completed calls took.
#[derive(Debug, Default)]
pub struct Ratios {
    /// A secret of this VM: nobody finds keys that meet in an entry.
    hasher: RandomState,
    sets: Vec<Vec<Entry>>,
    /// Counts what was learned, as a clock.
    now: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: u64,
    tenant: u64,
    taught: u64,
    learned: Learned,
}

#[derive(Clone, Copy, Debug, Default)]
struct Learned {
    input: Ratio,
    output: Ratio,
    /// Tokens of hidden thoughts to calls.
    hidden: Ratio,
}

/// One call lowers what is known by a quarter at most: a text that few tokens make up, such as a long run of the same character,
/// would else teach for a few hundred tokens what makes every later estimate of its tenant cheap. To raise it no such bound is
/// needed: it costs whoever does it.
const fn lowered(before: u64) -> u64 {
    before.saturating_sub(before / 4)
}

/// What is learned lies no lower than half of what would be estimated without: the vocabularies of today's models differ by
/// less than that on the same text, in nearly every script.
const fn least_of(default: u64) -> u64 {
    default.div_ceil(2)
}

/// Tokens to bytes, or to calls.
#[derive(Clone, Copy, Debug, Default)]
struct Ratio {
    tokens: u64,
    of: u64,
}

impl Ratio {
    /// So many tokens were a text of so many bytes.
    fn learn_text(&mut self, tokens: u64, bytes: u64) {
        let before = self.apply(bytes, ENOUGH_BYTES).unwrap_or(bytes / BYTES_A_TOKEN);
        self.learn(tokens.max(lowered(before)), bytes, HALVING_BYTES);
    }

    fn learn(&mut self, tokens: u64, of: u64, halve_at: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
        self.of = self.of.saturating_add(of);
        if self.of > halve_at {
            self.tokens /= 2;
            self.of /= 2;
        }
    }

    /// The tokens of so much, if enough is known.
    fn apply(self, of: u64, enough: u64) -> Option<u64> {
        if self.of < enough {
            return None;
        }
        let product = u128::from(of).checked_mul(u128::from(self.tokens))?;
        u64::try_from(product.checked_div(u128::from(self.of))?).ok()
    }
}

impl Ratios {
    /// A call has ended with counts: so many tokens for the text it read.
    pub fn learn_input(&mut self, key: &Key<'_>, text: &Text, tokens: u64) {
        if text.bytes > 0 && !text.has_more && text.can_be(tokens) {
            self.teach(key, |learned| learned.input.learn_text(tokens, text.bytes));
        }
    }

    /// A call has ended with counts: so many tokens for the text it wrote, `reasoning` of them for thoughts.
    pub fn learn_output(&mut self, key: &Key<'_>, text: &Text, tokens: u64, reasoning: u64) {
        if text.bytes == 0 || text.has_more {
            return;
        }
        let hidden = if text.shows_thoughts { 0 } else { reasoning.min(tokens) };
        let shown = tokens.saturating_sub(hidden);
        let is_text = text.can_be(shown);
        // More than the text can be are thoughts that the provider does not count apart.
        let hidden = if shown > text.bytes { tokens.saturating_sub(text.tokens_by_words()) } else { hidden };
        self.teach(key, |learned| {
            if is_text {
                learned.output.learn_text(shown, text.bytes);
            }
            learned.hidden.learn(hidden.min(MAX_HIDDEN), 1, HALVING_CALLS);
        });
    }

    /// The best guess of the tokens of a text that a model read.
    pub fn input(&self, key: Option<&Key<'_>>, text: &Text) -> u64 {
        let known = key.and_then(|key| self.find(key));
        let learned = known.and_then(|known| known.input.apply(text.bytes, ENOUGH_BYTES));
        let by_words = text.tokens_by_words();
        learned.map_or(by_words, |tokens| tokens.clamp(least_of(by_words), text.bytes))
    }

    /// The best guess of what a model took to write a text, where the request allowed `limit` tokens.
    pub fn output(&self, key: Option<&Key<'_>>, text: &Text, limit: Option<u64>) -> Output {
        let known = key.and_then(|key| self.find(key));
        let learned = known.and_then(|known| known.output.apply(text.bytes, ENOUGH_BYTES));
        let by_words = text.tokens_by_words();
        let limit = limit.filter(|&limit| by_words <= limit.saturating_mul(OVER_LIMIT)).unwrap_or(u64::MAX);
        let shown = learned.map_or(by_words, |tokens| tokens.clamp(least_of(by_words), text.bytes)).min(limit);
        let hidden = known.and_then(|known| known.hidden.apply(1, 1)).filter(|_| !text.shows_thoughts);
        let hidden = hidden.map(|hidden| hidden.min(limit.saturating_sub(shown)));
        Output { text: shown, hidden: hidden.filter(|&hidden| hidden > 0) }
    }

    fn hash(&self, key: &Key<'_>) -> (u64, usize) {
        let hash = self.hasher.hash_one(key);
        (hash, hash as usize % SETS)
    }

    fn find(&self, key: &Key<'_>) -> Option<&Learned> {
        let (hash, set) = self.hash(key);
        self.sets.get(set)?.iter().find(|entry| entry.key == hash).map(|entry| &entry.learned)
    }

    /// Changes what is known by this key. In a full set a tenant takes the place of an entry of its own, if it has one: who
    /// makes up names displaces others from one place in each set.
    fn teach(&mut self, key: &Key<'_>, change: impl FnOnce(&mut Learned)) {
        let (hash, set) = self.hash(key);
        self.now = self.now.saturating_add(1);
        self.sets.resize_with(SETS, Vec::new);
        let Some(set) = self.sets.get_mut(set) else { return };
        let taught = self.now;
        if let Some(entry) = set.iter_mut().find(|entry| entry.key == hash) {
            entry.taught = taught;
            return change(&mut entry.learned);
        }
        let tenant = self.hasher.hash_one(key.tenant);
        let mut entry = Entry { key: hash, tenant, taught, learned: Learned::default() };
        change(&mut entry.learned);
        if set.len() < WAYS {
            return set.push(entry);
        }
        let oldest = set.iter_mut().min_by_key(|known| (known.tenant != tenant, known.taught));
        if let Some(oldest) = oldest {
            *oldest = entry;
        }
    }
}

#[cfg(test)]
mod tests;
