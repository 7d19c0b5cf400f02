//! The names of LiteLLM's prices: what is priced, then above how much input, then in which service tier.

use meter::usage::Class;

use crate::prices::import::decimal::Unit;

/// A price's name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key<'a> {
    pub text: &'a str,
    pub classes: &'static [Class],
    pub unit: Unit,
    /// Tokens of input.
    pub above: Option<u64>,
    pub tier: Option<&'a str>,
    /// Whether it is a price by the size of a search's context.
    pub is_by_size: bool,
}

/// What is priced above twelve hours: no class of its own.
pub(super) const CACHE_WRITE_12H: &str = "cache_creation_input_token_cost_above_12hr";
const SEARCH: &str = "search_context_cost_per_query";
/// The service tiers, which end a name.
const TIERS: [&str; 5] = ["balanced", "batches", "flex", "priority", "ultrafast"];

/// Whether an entry's field is about prices.
pub(super) fn is_price(key: &str) -> bool {
    key.contains("cost") || key.contains("pricing")
}

/// Whether another name says the same better.
pub(super) fn is_weak(key: &str) -> bool {
    key.starts_with("input_cost_per_token_cache_hit")
        || key.starts_with("output_cost_per_second")
        || key == "tiered_pricing"
}

/// Takes a name apart; `None` if no class is priced by it.
pub(super) fn parse<'a>(key: &'a str, mode: &str) -> Option<Key<'a>> {
    let (rest, tier) = split_tier(key);
    let (rest, above) = split_above(rest);
    // Some have the tier before the bound.
    let (rest, tier) = if tier.is_some() { (rest, tier) } else { split_tier(rest) };
    let classes: &'static [Class] = match rest {
        "input_cost_per_token" => &[Class::InputText],
        "output_cost_per_token" => &[Class::OutputText],
        "cache_read_input_token_cost" | "input_cost_per_token_cache_hit" => &[Class::CacheRead],
        "cache_creation_input_token_cost" => &[Class::CacheWrite5m, Class::CacheWriteOther],
        "cache_creation_input_token_cost_above_1hr" => &[Class::CacheWrite1h],
        "input_cost_per_audio_token" => &[Class::InputAudio],
        "output_cost_per_audio_token" => &[Class::OutputAudio],
        "cache_read_input_audio_token_cost" => &[Class::CacheReadAudio],
        "input_cost_per_image_token" => &[Class::InputImage],
        "output_cost_per_image_token" => &[Class::OutputImage],
        "cache_read_input_image_token_cost" => &[Class::CacheReadImage],
        "input_cost_per_video_token" => &[Class::InputVideo],
        "output_cost_per_video_token" => &[Class::OutputVideo],
        "output_cost_per_reasoning_token" => &[Class::OutputReasoning],
        "citation_cost_per_token" => &[Class::OutputCitation],
        "input_cost_per_query" if mode == "rerank" => &[Class::SearchUnits],
        "input_cost_per_second" | "output_cost_per_second" if mode == "audio_transcription" => &[Class::AudioSeconds],
        SEARCH => &[Class::WebSearches],
        _ => return None,
    };
    Some(Key { text: key, classes, unit: Unit::One, above, tier, is_by_size: rest == SEARCH })
}

fn split_tier(key: &str) -> (&str, Option<&str>) {
    let found = TIERS.iter().find_map(|tier| Some((key.strip_suffix(tier)?.strip_suffix('_')?, *tier)));
    found.map_or((key, None), |(rest, tier)| (rest, Some(tier)))
}

fn split_above(key: &str) -> (&str, Option<u64>) {
    let parts = key.strip_suffix("_tokens").and_then(|rest| rest.rsplit_once("_above_"));
    let bound = parts.and_then(|(rest, bound)| {
        let (digits, times) = bound.strip_suffix('k').map_or((bound, 1), |digits| (digits, 1000));
        Some((rest, digits.parse::<u64>().ok()?.checked_mul(times)?))
    });
    bound.map_or((key, None), |(rest, bound)| (rest, Some(bound)))
}

/// The names that providers give a service tier in their answers.
pub(super) fn tier_names(tier: &str, provider: &str) -> Vec<String> {
    let names: &[&str] = match (tier, provider) {
        ("batches", _) => &["batch"],
        // Vertex AI's `trafficType`.
        ("flex", "gcp.gemini" | "gcp.vertex_ai") => &["flex", "on_demand_flex"],
        ("priority", "gcp.gemini" | "gcp.vertex_ai") => &["priority", "on_demand_priority"],
        ("priority", "openai" | "azure.ai.openai") => &["priority", "fast"],
        _ => &[tier],
    };
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Why a price is not taken over.
pub(super) fn why(key: &str) -> &'static str {
    let has = |part: &str| key.contains(part);
    match key {
        _ if key.starts_with(CACHE_WRITE_12H) || has("cache_creation_input_audio") || has("explicit_cache") => {
            "for which usage has no class"
        }
        _ if has("_dbu_") => "which is in the provider's own units",
        _ if has("_decisions") => "which depends on the endpoint",
        _ if has("_image") || has("_pixel") => "as images are not counted",
        _ if has("_page") || has("_credit") => "as pages are not counted",
        _ if has("_second") || has("_character") || has("_text_message") => "as nothing counts them",
        _ if has("_query") || has("_request") || has("_session") || has("_calls") => {
            "as requests of that kind are not counted"
        }
        _ => "which nothing counts",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deterministic_a_name_says_what_how_much_and_which_tier() {
        let cases = [
            ("input_cost_per_token", Some((Class::InputText, None, None))),
            ("input_cost_per_token_above_200k_tokens", Some((Class::InputText, Some(200_000), None))),
            (
                "output_cost_per_token_above_272k_tokens_priority",
                Some((Class::OutputText, Some(272_000), Some("priority"))),
            ),
            (
                "output_cost_per_token_priority_above_272k_tokens",
                Some((Class::OutputText, Some(272_000), Some("priority"))),
            ),
            ("cache_creation_input_token_cost_above_1hr", Some((Class::CacheWrite1h, None, None))),
            (
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
                Some((Class::CacheWrite1h, Some(200_000), None)),
            ),
            ("input_cost_per_token_above_512_tokens", Some((Class::InputText, Some(512), None))),
            ("cache_read_input_token_cost_batches", Some((Class::CacheRead, None, Some("batches")))),
            ("cache_creation_input_token_cost_above_12hr_flex", None),
            ("input_cost_per_token_decisions", None),
            ("input_cost_per_image", None),
            ("input_cost_per_token_above_xk_tokens", None),
        ];
        for (text, expected) in cases {
            let found = parse(text, "chat").map(|key| (key.classes[0], key.above, key.tier));
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(parse("input_cost_per_query", "chat"), None);
        assert_eq!(parse("input_cost_per_query", "rerank").unwrap().classes, [Class::SearchUnits]);
        assert_eq!(tier_names("batches", "openai"), ["batch"]);
        assert_eq!(tier_names("flex", "gcp.vertex_ai"), ["flex", "on_demand_flex"]);
    }
}
