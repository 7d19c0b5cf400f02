//! What a call can use, by what its request says.

use std::borrow::Cow;

use super::Call;
use crate::provider::{Api, Certainty, Destination, Detect, Endpoint, provider_named};

/// What templates and prompts of the provider's own add to a request, tokens; xAI's take 680.
const TEMPLATE: u64 = 1024;
/// What it tells a model of tools and forms, beside their definitions, tokens: Anthropic's documentation names up to 530.
const TOOLS: u64 = 1024;
/// What is in the names of models that call tools of the provider's without being asked to.
const AGENTS: &[&str] = &["compound", "deep-research", ":online"];
/// What an image takes at most, tokens: gpt-4o-mini counts 2,833 and 5,667 for each of at most eight tiles, 48,169.
const IMAGE: u64 = 49_152;
/// What an image that is made is reckoned at, tokens: OpenAI's dearest takes 6,240.
const IMAGE_MADE: u64 = 8192;

/// What a call can use at most, as far as its request says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Tokens of input. A token has a byte at least, so what is text in the request bounds it.
    pub input: u64,
    /// Tokens of output in all responses; none: nothing bounds them.
    pub output: Option<u64>,
    /// Responses that are wanted.
    pub choices: u64,
    /// The input may be more: a file, sound, what the provider keeps or finds itself.
    pub is_open: bool,
}

impl Call {
    /// What it can use, by all that the request has said so far.
    pub fn bound(&self) -> Bound {
        let asked = self.asked.weight();
        let tools = if asked.has_tools { TOOLS } else { 0 };
        let model = self.request_model().unwrap_or_default();
        let is_agent = self.target.api == Some(Api::BedrockAgent) || AGENTS.iter().any(|name| model.contains(name));
        let images = asked.images.saturating_mul(IMAGE);
        let input = asked.text_bytes.saturating_add(TEMPLATE).saturating_add(tools).saturating_add(images);
        let choices = self.asked.choices().saturating_mul(self.asked.prompts());
        let limit = || self.asked.limit(self.target.api?);
        let output = match (self.target.endpoint, self.target.operation) {
            (Endpoint::Model, Some("embeddings" | "rerank")) => Some(0),
            (Endpoint::Image, _) => Some(IMAGE_MADE.saturating_mul(choices)),
            // Their counts are those of no call here.
            (Endpoint::Batch | Endpoint::Job | Endpoint::Video | Endpoint::CachedContent, _) => Some(0),
            // With some providers the token that ends a response counts, too.
            _ => limit().map(|limit| limit.saturating_add(choices)),
        };
        Bound { input, output, choices, is_open: asked.is_open || is_agent }
    }

    /// Whether the request alone shows that it is a call.
    pub fn is_sure(&self) -> bool {
        match self.target.certainty {
            _ if self.target.is_not_own => false,
            Certainty::Known => true,
            Certainty::Path => self.request_model().is_some(),
            Certainty::Shape => false,
        }
    }

    /// Whether the request alone does not show it, but where it goes: to a cluster named after a provider, or where one `has_responded`.
    pub fn is_likely(&self, to: &dyn Destination, has_responded: bool) -> bool {
        let is_path = !self.target.is_not_own && self.target.certainty == Certainty::Path;
        is_path && (has_responded || to.cluster().and_then(provider_named).is_some())
    }

    /// Whether the request has said all that it can say: its body's value is over, whatever bytes follow.
    pub fn is_request_whole(&self) -> bool {
        self.asked.is_whole()
    }

    /// Who will respond, as far as is known while the request is on its way: by where it goes, by the operator's name for
    /// that, or else by where the client says that it goes; or else it is who responded there `before`.
    pub fn likely_provider(&self, to: &dyn Destination, rules: &Detect, before: Option<String>) -> Cow<'static, str> {
        let mut target = self.target.clone();
        target.settle(to, rules);
        let compatible = || target.api.map_or("unknown", |api| api.compatible());
        target.provider.take().unwrap_or_else(|| {
            // Behind a gateway the client's host is the gateway's, and Envoy writes the provider's only after the plugin.
            let named = to.cluster().and_then(provider_named);
            let known = named.or(self.target.claimed()).map(Cow::Borrowed);
            known.or(before.map(Cow::Owned)).unwrap_or_else(|| Cow::Borrowed(compatible()))
        })
    }
}
