//! Who answered, which API was spoken, and what its numbers mean.
//!
//! An [`Api`] is a wire format with one meaning: the same field name means different things in different APIs, so the
//! API is decided first and the numbers are read after. Hosts and paths decide it; for unknown hosts the body does.

mod anthropic;
mod detect;
pub mod facts;
mod openai;
mod settle;

pub use detect::{Certainty, Target, detect};
pub use facts::{Fact, Facts, response_paths};

use crate::record::{Flag, words};
use crate::usage::Usage;

words! {
    /// A wire format with one meaning.
    Api {
        /// OpenAI Chat Completions and whatever is compatible with it.
        OpenAiChat "openai_chat",
        /// OpenAI Responses.
        OpenAiResponses "openai_responses",
        /// Anthropic Messages.
        AnthropicMessages "anthropic_messages",
    }
}

impl Api {
    /// In the words of OpenTelemetry's `gen_ai.operation.name`.
    pub fn operation(self) -> &'static str {
        "chat"
    }

    /// The provider's name when the host is unknown and the API is all that is known.
    pub fn compatible(self) -> &'static str {
        match self {
            Api::OpenAiChat | Api::OpenAiResponses => "openai_compatible",
            Api::AnthropicMessages => "anthropic_compatible",
        }
    }
}

/// What the numbers of a call mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// In disjoint classes.
    pub usage: Usage,
    /// What does not fit.
    pub flags: Vec<Flag>,
    /// The provider's own total, tokens.
    pub total: Option<u64>,
    /// Whether these are the final counts.
    pub complete: bool,
}

/// Reads the facts of an answer as its API means them.
pub fn read(api: Api, facts: &Facts) -> Reading {
    match api {
        Api::OpenAiChat => openai::chat(facts),
        Api::OpenAiResponses => openai::responses(facts),
        Api::AnthropicMessages => anthropic::messages(facts),
    }
}

#[cfg(test)]
mod tests;
