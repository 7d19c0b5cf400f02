//! Counts for calls whose provider gave none: from the visible text, never called reported.
//!
//! The best step that can be taken is: what this model's completed calls took per byte of text, and for thoughts that no
//! text shows per call, learned as they pass; else classes of words, for streams; else four bytes a token. There is no tokenizer: measured across vendors it is no better,
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
/// The same for what is learned per call.
const HALVING_CALLS: u64 = 64;
/// Bytes a token where nothing is known: the average of English text.
const BYTES_A_TOKEN: u64 = 4;

/// The visible text of one direction of a call.
#[derive(Clone, Debug, Default)]
pub struct Text {
    bytes: u64,
    words: Words,
    /// The words were not counted for all of it.
    bytes_only: bool,
    /// The model's thoughts are part of it.
    shows_thoughts: bool,
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

    /// The model's thoughts are part of the text.
    pub fn set_shows_thoughts(&mut self) {
        self.shows_thoughts = true;
    }

    /// How long it is so far, bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn tokens_by_words(&self) -> u64 {
        if self.bytes_only { self.bytes.div_ceil(BYTES_A_TOKEN) } else { self.words.tokens() }
    }
}

/// What completed calls took, by model: tokens per byte of text, and per call what no text shows. One per VM.
#[derive(Debug, Default)]
pub struct Ratios {
    models: HashMap<String, Model>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Model {
    input: Ratio,
    output: Ratio,
    /// Tokens of hidden thoughts to calls.
    hidden: Ratio,
}

/// Tokens to bytes, or to calls.
#[derive(Clone, Copy, Debug, Default)]
struct Ratio {
    tokens: u64,
    of: u64,
}

impl Ratio {
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

/// An estimate of what a model wrote, tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// What the text shows.
    pub text: u64,
    /// Thoughts that it does not show, if the model is known to have them.
    pub hidden: Option<u64>,
}

impl Ratios {
    /// A call has ended with counts: so many tokens for the text it read.
    pub fn learn_input(&mut self, model: &str, text: &Text, tokens: u64) {
        if let (true, Some(model)) = (text.bytes > 0, self.model(model)) {
            model.input.learn(tokens, text.bytes, HALVING_BYTES);
        }
    }

    /// A call has ended with counts: so many tokens for the text it wrote, `reasoning` of them for thoughts.
    pub fn learn_output(&mut self, model: &str, text: &Text, tokens: u64, reasoning: u64) {
        let hidden = if text.shows_thoughts { 0 } else { reasoning.min(tokens) };
        if let (true, Some(model)) = (text.bytes > 0, self.model(model)) {
            model.output.learn(tokens.saturating_sub(hidden), text.bytes, HALVING_BYTES);
            model.hidden.learn(hidden, 1, HALVING_CALLS);
        }
    }

    /// The best guess of the tokens of a text that a model read.
    pub fn input(&self, model: Option<&str>, text: &Text) -> u64 {
        let known = model.and_then(|model| self.models.get(model));
        let learned = known.and_then(|model| model.input.apply(text.bytes, ENOUGH_BYTES));
        learned.unwrap_or_else(|| text.tokens_by_words()).max(u64::from(text.bytes > 0))
    }

    /// The best guess of what a model took to write a text.
    pub fn output(&self, model: Option<&str>, text: &Text) -> Output {
        let known = model.and_then(|model| self.models.get(model));
        let learned = known.and_then(|model| model.output.apply(text.bytes, ENOUGH_BYTES));
        let hidden =
            known.and_then(|model| model.hidden.apply(1, 1)).filter(|&hidden| hidden > 0 && !text.shows_thoughts);
        Output { text: learned.unwrap_or_else(|| text.tokens_by_words()).max(u64::from(text.bytes > 0)), hidden }
    }

    fn model(&mut self, model: &str) -> Option<&mut Model> {
        if !self.models.contains_key(model) {
            if self.models.len() >= MAX_MODELS {
                return None;
            }
            self.models.insert(model.to_owned(), Model::default());
        }
        self.models.get_mut(model)
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
            let output = |ratios: &Ratios, model: &str, text: &Text| ratios.output(Some(model), text).text;
            assert_eq!(output(&ratios, "m", &text(&sample, false)), 113);
            assert_eq!(output(&ratios, "m", &text(&sample, true)), 100);
            ratios.learn_output("m", &text(&sample, true), 450, 0);
            assert_eq!(output(&ratios, "m", &text(&sample[..45], true)), 45);
            assert_eq!(ratios.input(Some("m"), &text(&sample, true)), 100, "each direction for itself");
            assert_eq!(output(&ratios, "other", &text(&sample, true)), 100);
        }

        fn deterministic_hidden_thoughts_are_learned_per_call() {
            let sample = "x".repeat(500);
            let mut ratios = Ratios::default();
            ratios.learn_output("m", &text(&sample, true), 1100, 1000);
            ratios.learn_output("m", &text(&sample, true), 2100, 2000);
            assert_eq!(ratios.output(Some("m"), &text(&sample, true)), Output { text: 100, hidden: Some(1500) });
            let mut shown = text(&sample, true);
            shown.set_shows_thoughts();
            assert_eq!(ratios.output(Some("m"), &shown).hidden, None);
        }

        fn contract_models_are_capped_and_ratios_follow() {
            let mut ratios = Ratios::default();
            for model in 0..10_000 {
                ratios.learn_output(&model.to_string(), &text("xxxx", true), 1, 0);
            }
            assert_eq!(ratios.models.len(), MAX_MODELS);
            let long = text(&"x".repeat(1 << 20), false);
            for tokens in [1u64 << 20, 1 << 18] {
                for _ in 0..200 {
                    ratios.learn_output("0", &long, tokens, 0);
                }
            }
            let now = ratios.output(Some("0"), &long).text;
            assert!((1 << 18..300_000).contains(&now), "{now}");
            assert_eq!(ratios.output(None, &Text::default()), Output { text: 0, hidden: None });
        }
    }
}
