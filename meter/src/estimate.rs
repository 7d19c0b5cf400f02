//! Counts for calls whose provider gave none: from the visible text, never called reported.
//!
//! The best step that can be taken is: what this model's completed calls took per byte of text, learned as they pass; else
//! classes of words, for streams; else four bytes a token. There is no tokenizer: measured across vendors it is no better,
//! for what is left is hidden output, and its vocabularies are larger than all the rest of the plugin.

use std::collections::HashMap;

mod words;

pub use words::Words;

/// Models that are learned of; of more, the later ones are estimated by words.
const MAX_MODELS: usize = 256;
/// So many bytes of text make a ratio worth using.
const ENOUGH_BYTES: u64 = 400;
/// Past this the past counts half, so that a ratio follows its model.
const HALVING_BYTES: u64 = 4 << 20;
/// Bytes a token where nothing is known: the average of English text.
const BYTES_A_TOKEN: u64 = 4;

/// The visible text of one direction of a call.
#[derive(Clone, Debug, Default)]
pub struct Text {
    bytes: u64,
    words: Words,
    /// The words were not counted for all of it.
    bytes_only: bool,
}

impl Text {
    /// A piece of text in JSON, escapes and all. Words are counted for streams; a long text in one piece is only measured.
    pub fn feed(&mut self, bytes: &[u8], count_words: bool) {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if count_words {
            self.words.feed(bytes);
        } else {
            self.bytes_only = true;
        }
    }

    /// How long it is so far, bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn tokens_by_words(&self) -> u64 {
        if self.bytes_only { self.bytes.div_ceil(BYTES_A_TOKEN) } else { self.words.tokens() }
    }
}

/// What completed calls took per byte of text, by model. One per VM.
#[derive(Debug, Default)]
pub struct Ratios {
    models: HashMap<String, [Ratio; 2]>,
}

/// Tokens to bytes of one direction.
#[derive(Clone, Copy, Debug, Default)]
struct Ratio {
    tokens: u64,
    bytes: u64,
}

/// A direction of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What the model reads.
    Input,
    /// What it writes.
    Output,
}

impl Ratios {
    /// A call has ended with counts: so many tokens for so much text.
    pub fn learn(&mut self, model: &str, direction: Direction, text: &Text, tokens: u64) {
        if text.bytes == 0 || (!self.models.contains_key(model) && self.models.len() >= MAX_MODELS) {
            return;
        }
        let Some(ratio) = self.models.entry(model.to_owned()).or_default().get_mut(direction as usize) else { return };
        ratio.tokens = ratio.tokens.saturating_add(tokens);
        ratio.bytes = ratio.bytes.saturating_add(text.bytes);
        if ratio.bytes > HALVING_BYTES {
            ratio.tokens /= 2;
            ratio.bytes /= 2;
        }
    }

    /// The best guess of the tokens of a text.
    pub fn estimate(&self, model: Option<&str>, direction: Direction, text: &Text) -> u64 {
        let ratios = model.and_then(|model| self.models.get(model));
        let ratio =
            ratios.and_then(|ratios| ratios.get(direction as usize)).filter(|ratio| ratio.bytes >= ENOUGH_BYTES);
        let learned = ratio.and_then(|ratio| {
            let product = u128::from(text.bytes).checked_mul(u128::from(ratio.tokens))?;
            u64::try_from(product.checked_div(u128::from(ratio.bytes))?).ok()
        });
        learned.unwrap_or_else(|| text.tokens_by_words()).max(u64::from(text.bytes > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: &str, words: bool) -> Text {
        let mut text = Text::default();
        text.feed(content.as_bytes(), words);
        text
    }

    cases! {
        fn deterministic_a_learned_ratio_beats_words_beats_bytes() {
            let sample = "The quick brown fox jumps over the lazy dog. ".repeat(10);
            let mut ratios = Ratios::default();
            assert_eq!(ratios.estimate(Some("m"), Direction::Output, &text(&sample, false)), 113);
            assert_eq!(ratios.estimate(Some("m"), Direction::Output, &text(&sample, true)), 100);
            ratios.learn("m", Direction::Output, &text(&sample, true), 450);
            assert_eq!(ratios.estimate(Some("m"), Direction::Output, &text(&sample[..45], true)), 45);
            assert_eq!(ratios.estimate(Some("m"), Direction::Input, &text(&sample, true)), 100, "each direction for itself");
            assert_eq!(ratios.estimate(Some("other"), Direction::Output, &text(&sample, true)), 100);
        }

        fn contract_models_are_capped_and_ratios_follow() {
            let mut ratios = Ratios::default();
            for model in 0..10_000 {
                ratios.learn(&model.to_string(), Direction::Output, &text("xxxx", true), 1);
            }
            assert_eq!(ratios.models.len(), MAX_MODELS);
            let long = text(&"x".repeat(1 << 20), false);
            for tokens in [1u64 << 20, 1 << 18] {
                for _ in 0..200 {
                    ratios.learn("0", Direction::Output, &long, tokens);
                }
            }
            let now = ratios.estimate(Some("0"), Direction::Output, &long);
            assert!((1 << 18..300_000).contains(&now), "{now}");
            assert_eq!(ratios.estimate(None, Direction::Output, &Text::default()), 0);
        }
    }
}
