//! Cohere bills `billed_units`: `tokens` contains a hidden template, and `cached_tokens` is part of that, not of what is
//! billed. Source: cohere-python's `types/usage.py`, `api_meta_billed_units.py`.

use wire::usage::Class;

use super::catalogue::Provider;
use super::facts::{Facts, Number::*};
use super::paths::path;
use super::{Api, Reading};

pub(super) const COHERE: Provider = Provider {
    paths: &[
        path("v2/chat", Api::Cohere, "chat"),
        path("v1/chat", Api::Cohere, "chat"),
        // "Currently available models are command (default), command-nightly …" (API reference, Generate).
        path("v1/generate", Api::Cohere, "text_completion").by_default("command"),
        path("v1/embed", Api::Cohere, "embeddings"),
        path("v2/embed", Api::Cohere, "embeddings"),
        path("v2/rerank", Api::Cohere, "rerank"),
    ],
    ..Provider::of("cohere", &["api.cohere.ai", "api.cohere.com", "*.api.cohere.com"])
};

/// `usage` of v2, `meta` of v1, embeddings and reranks.
pub(super) fn read(facts: &Facts) -> Reading {
    let mut reading = Reading { complete: facts.any_closed(), ..Reading::default() };
    let image = facts.get(BilledImage);
    let input = facts.get(BilledInput).or_else(|| facts.get(CohereInput).filter(|_| image.is_none()));
    reading.set(Class::InputText, input);
    reading.set(Class::InputImage, image);
    let output = facts.first(&[BilledOutput, CohereOutput]);
    match (output, facts.get(CohereReasoning)) {
        (Some(output), Some(reasoning)) if reasoning <= output => {
            reading.set(Class::OutputText, output.checked_sub(reasoning));
            reading.set(Class::OutputReasoning, Some(reasoning));
        }
        _ => reading.set(Class::OutputText, output),
    }
    reading.set(Class::CacheReadUnbilled, facts.get(FlatCached));
    // What the tokens really were is not billed.
    let _ = [CohereInput, CohereOutput].map(|number| facts.get(number));
    reading.set(Class::SearchUnits, facts.get(BilledSearch));
    reading
}
