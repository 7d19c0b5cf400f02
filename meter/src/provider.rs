//! The provider, which API was spoken, and what its numbers mean.
//!
//! An [`Api`] is a wire format with one meaning: the same field name means different things in different APIs, so the
//! API is decided first and the numbers are read after. Hosts and paths decide it; where the body has none of that
//! API's counts, and for unknown hosts, the body does. The provider is decided last, by where the call went.

mod anthropic;
mod asking;
mod azure;
mod bedrock;
mod catalogue;
mod cohere;
mod destination;
mod detect;
mod facts;
mod fees;
mod gemini;
mod hosts;
mod openai;
mod others;
mod paths;
mod plain;
mod region;
mod rules;
mod sellers;
mod settle;
mod shape;
mod unknown;

pub use asking::Asking;
pub(crate) use asking::{BARRING, bits as barring_bits};
pub(crate) use catalogue::provider_named;
pub use catalogue::{known, provider_of, provider_of_cluster};
pub use destination::Destination;
pub use detect::{Certainty, Target, detect};
pub(crate) use facts::{ENTERPRISE_SEARCH, Fact, Facts, HEADERS, Made, Number, response_paths, search_tool};
pub use paths::Endpoint;
pub(crate) use paths::percent_decoded;
pub use rules::{Detect, Rule};
pub(crate) use shape::{has_counts, shape};
pub(crate) use unknown::unknown_usage;

use wire::record::{Flag, Flags};
use wire::usage::{Class, Usage};
use wire::words;

words! {
    /// A wire format with one meaning.
    Api {
        /// OpenAI Chat Completions, legacy completions, embeddings, reranks, and whatever is compatible with them.
        OpenAiChat "openai_chat",
        /// OpenAI Responses; images and transcriptions count the same way.
        OpenAiResponses "openai_responses",
        /// Anthropic Messages.
        AnthropicMessages "anthropic_messages",
        /// Gemini's generateContent, embedContent and Live.
        Gemini "gemini",
        /// Gemini Interactions.
        GeminiInteractions "gemini_interactions",
        /// Bedrock Converse.
        BedrockConverse "bedrock_converse",
        /// Bedrock InvokeModel: the vendor's own body, with Bedrock's metrics beside it.
        BedrockInvoke "bedrock_invoke",
        /// Bedrock agents, by their trace.
        BedrockAgent "bedrock_agent",
        /// Cohere's own endpoints.
        Cohere "cohere",
        /// APIs that say input and output and nothing else.
        Plain "plain",
    }
}

impl Api {
    /// The provider's name when the host is unknown and the API is all that is known.
    pub fn compatible(self) -> &'static str {
        match self {
            Api::OpenAiChat | Api::OpenAiResponses => "openai_compatible",
            Api::AnthropicMessages => "anthropic_compatible",
            Api::Gemini | Api::GeminiInteractions => "gemini_compatible",
            Api::BedrockConverse | Api::BedrockInvoke | Api::BedrockAgent => "bedrock_compatible",
            Api::Cohere => "cohere_compatible",
            Api::Plain => "self_hosted",
        }
    }
}

/// What the numbers of a call mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// In disjoint classes.
    pub usage: Usage,
    /// What does not fit.
    pub flags: Vec<Flag>,
    /// The provider's own total, tokens.
    pub total: Option<u64>,
    /// Whether these are the final counts.
    pub complete: bool,
    /// Whether they are counts that the provider reported, and not only calls of tools that the response shows.
    pub is_reported: bool,
    /// Whether all that is counted are units that the request names or the response holds: the provider said no count.
    pub by_units: bool,
    /// What other models were used for in the same call, with what for.
    pub parts: Vec<Part>,
}

/// Usage of another model in the same call: priced apart, so a record of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// What it was used for, in the provider's word.
    pub name: String,
    /// The model.
    pub model: Option<String>,
    /// Its counts.
    pub usage: Usage,
    /// What does not fit, or is not charged.
    pub flags: Flags,
}

/// Reads the facts of a response as its API means them.
pub(crate) fn read(api: Api, facts: &Facts, target: &Target) -> Reading {
    facts.forget_reads();
    // The rest of a total, and what some of it was: no counts of their own where nobody sells by them.
    let _ = [Number::FlatText, Number::ImagePixels, Number::VideoPixels].map(|number| facts.get(number));
    let mut reading = match api {
        Api::OpenAiChat => openai::chat(facts, target),
        Api::OpenAiResponses => openai::responses(facts, target),
        Api::AnthropicMessages => anthropic::messages(facts, target),
        Api::Gemini => gemini::generate(facts),
        Api::GeminiInteractions => gemini::interactions(facts),
        Api::BedrockConverse => bedrock::converse(facts, target),
        Api::BedrockInvoke => bedrock::invoke(facts, target),
        Api::BedrockAgent => bedrock::agent(facts),
        Api::Cohere => cohere::read(facts),
        Api::Plain => plain::read(facts),
    };
    bedrock::fill_from_headers(facts, &mut reading);
    reading.is_reported = !reading.usage.is_empty();
    bedrock::guardrails(facts, &mut reading);
    fees::add(facts, target, &mut reading);
    if facts.is_from_cache {
        reading.flag(Flag::NotBilled);
    }
    reading
}

impl Reading {
    fn set(&mut self, class: Class, count: Option<u64>) {
        self.usage.set(class, count);
    }

    fn flag(&mut self, flag: Flag) {
        if !self.flags.contains(&flag) {
            self.flags.push(flag);
        }
    }
}

#[cfg(test)]
mod tests;
