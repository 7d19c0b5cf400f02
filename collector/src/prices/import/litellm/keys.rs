//! The names of LiteLLM's prices: what is priced, then above how much input, then in which service tier.

use wire::usage::Class;

use crate::prices::import::decimal::Unit;

/// A price's name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key<'a> {
    pub text: &'a str,
    pub paid: &'static [Class],
    pub unit: Unit,
    /// Tokens of input.
    pub above: Option<u64>,
    pub tier: Option<&'a str>,
    /// The size of what is made, in the list's words.
    pub size: Option<&'a str>,
    /// Whether it is a price by the size of a search's context.
    pub is_by_context: bool,
}

/// Its presence says that a cache has one of two lifetimes, 30 minutes or 12 hours.
pub(super) const CACHE_WRITE_12H: &str = "cache_creation_input_token_cost_above_12hr";
const SEARCH: &str = "search_context_cost_per_query";
/// The service tiers, which end a name, and what is no tier but stands in the same place.
const TIERS: [&str; 6] = ["balanced", "batches", DECISIONS, "flex", "priority", "ultrafast"];
/// Prices of another endpoint, and what its calls are called.
pub(super) const DECISIONS: &str = "decisions";
pub(super) const DECIDE: &str = "decide";
/// Names that a size ends.
const SIZED: [&str; 2] = ["output_cost_per_image_", "output_cost_per_second_"];
const SIZES: [&str; 12] = ["0.5K", "1K", "2K", "4K", "512", "1024", "1536", "480p", "720p", "768p", "1080p", "2k"];
const SIZE_4K: &str = "4k";

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

/// What a model is for, as far as it decides what its prices are for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nature<'a> {
    /// The list's word.
    pub mode: &'a str,
    pub provider: &'a str,
    pub name: &'a str,
    /// Whether images have a price as output, so that one as input is for input.
    pub sells_images: bool,
}

macro_rules! paid {
    ($($class:ident)+) => { &[$(Class::$class),+] };
}

/// Takes a name apart; `None` if nothing that is counted is priced by it.
pub(super) fn parse<'a>(key: &'a str, nature: Nature<'_>) -> Option<Key<'a>> {
    let (rest, tier) = split_tier(key);
    let (rest, above) = split_above(rest);
    // Some have the tier before the bound.
    let (rest, tier) = if tier.is_some() { (rest, tier) } else { split_tier(rest) };
    let (rest, size) = split_size(rest);
    let Nature { mode, provider, name, sells_images } = nature;
    let paid: &'static [Class] = match rest {
        "input_cost_per_token" => paid![InputText],
        // The list has the price of a song where that of an image stands; each call makes one.
        "output_cost_per_image" if name.contains("lyria-3") => &[Class::Requests],
        "output_cost_per_token" if name.contains("lyria-3") => paid![OutputText OutputAudio],
        "output_cost_per_token" => paid![OutputText],
        "cache_read_input_token_cost" | "input_cost_per_token_cache_hit" => paid![CacheRead],
        "cache_creation_input_token_cost" => paid![CacheWrite5m CacheWriteOther],
        "cache_creation_input_token_cost_above_1hr" => paid![CacheWrite1h],
        CACHE_WRITE_12H => paid![CacheWrite12h],
        "explicit_cache_read_input_token_cost" => paid![CacheReadExplicit],
        "input_cost_per_audio_token" => paid![InputAudio],
        "output_cost_per_audio_token" => paid![OutputAudio],
        "cache_read_input_audio_token_cost" => paid![CacheReadAudio],
        "input_cost_per_image_token" => paid![InputImage],
        "output_cost_per_image_token" => paid![OutputImage],
        "cache_read_input_image_token_cost" => paid![CacheReadImage],
        "input_cost_per_video_token" => paid![InputVideo],
        "output_cost_per_video_token" => paid![OutputVideo],
        "output_cost_per_reasoning_token" => paid![OutputReasoning],
        "citation_cost_per_token" => paid![OutputCitation],
        "output_cost_per_image" => paid![ImagesOut],
        // The list names the price of an image that is made so, too, where nothing else has that price.
        "input_cost_per_image" if makes_images(mode) && !sells_images => paid![ImagesOut],
        "input_cost_per_image" => paid![ImagesIn],
        "input_cost_per_character" => paid![Characters],
        "ocr_cost_per_page" => paid![Pages],
        "annotation_cost_per_page" => paid![AnnotatedPages],
        "google_maps_grounding_cost_per_query" => paid![MapsSearches],
        "code_interpreter_cost_per_session" => paid![ContainerSessions],
        "input_cost_per_query" if mode == "rerank" => paid![SearchUnits],
        "input_cost_per_query" | "input_cost_per_request" => &[Class::Requests],
        "input_cost_per_second" | "output_cost_per_second"
            if matches!(mode, "audio_transcription" | "audio_speech" | "realtime") =>
        {
            paid![AudioSeconds]
        }
        "input_cost_per_audio_per_second" => paid![AudioSeconds],
        "output_cost_per_second" if mode == "video_generation" => paid![VideoSeconds],
        "output_cost_per_video_per_second" => paid![VideoSeconds],
        // Perplexity's models search once a call, at a price by the context; its research pays each query.
        SEARCH if provider == "perplexity" && !name.contains("research") => &[Class::Requests],
        SEARCH => paid![WebSearches],
        _ => return None,
    };
    Some(Key { text: key, paid, unit: Unit::One, above, tier, size, is_by_context: rest == SEARCH })
}

pub(super) fn makes_images(mode: &str) -> bool {
    matches!(mode, "image_generation" | "image_edit")
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

fn split_size(key: &str) -> (&str, Option<&str>) {
    let is_size = |size: &str| SIZES.contains(&size) || size == SIZE_4K;
    let found = SIZED.iter().find_map(|of| key.strip_prefix(of).filter(|size| is_size(size)));
    match (found, key.rsplit_once('_')) {
        (Some(size), Some((rest, _))) => (rest, Some(size)),
        _ => (key, None),
    }
}

/// The sizes that a call names where the list has one of its words.
pub(super) fn sizes(word: &str) -> Vec<String> {
    let also: &[&str] = match word {
        "480p" => &["854x480", "480x854", "848x480", "480x848"],
        "720p" => &["1280x720", "720x1280"],
        "768p" => &["1366x768", "768x1366"],
        "1080p" => &["1920x1080", "1080x1920"],
        "2k" | "2K" => &["2560x1440", "1440x2560", "2048x2048"],
        "4k" | "4K" => &["3840x2160", "2160x3840", "4096x4096"],
        "1K" | "1024" => &["1024x1024"],
        "0.5K" | "512" => &["512x512"],
        "1536" => &["1536x1536"],
        _ => &[],
    };
    std::iter::once(word).chain(also.iter().copied()).map(str::to_lowercase).collect()
}

/// The names that providers give a service tier in their responses.
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
        _ if has("cache_creation_input_audio") => "for which usage has no class",
        _ if has("_credit") || has("_unit") => "which is in the provider's own units",
        _ if has("_pixel") => "as no call says how many pixels there are",
        _ if has("video_per_second") => "as seconds of video that is read are not counted",
        _ if has("_second") => "which is for time of a machine, of which a call says nothing",
        _ => "which nothing counts",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nature(mode: &str) -> Nature<'_> {
        Nature { mode, provider: "p", name: "m", sells_images: false }
    }

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
            ("ocr_cost_per_page_batches", Some((Class::Pages, None, Some("batches")))),
            ("cache_creation_input_token_cost_above_12hr_flex", Some((Class::CacheWrite12h, None, Some("flex")))),
            (
                "cache_creation_input_token_cost_above_12hr_above_272k_tokens",
                Some((Class::CacheWrite12h, Some(272_000), None)),
            ),
            ("explicit_cache_read_input_token_cost", Some((Class::CacheReadExplicit, None, None))),
            ("input_cost_per_token_decisions", Some((Class::InputText, None, Some("decisions")))),
            (
                "input_cost_per_token_above_272k_tokens_decisions",
                Some((Class::InputText, Some(272_000), Some("decisions"))),
            ),
            ("input_cost_per_pixel", None),
            ("input_cost_per_token_above_xk_tokens", None),
        ];
        for (text, expected) in cases {
            let found = parse(text, nature("chat")).map(|key| (key.paid[0], key.above, key.tier));
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(tier_names("batches", "openai"), ["batch"]);
        assert_eq!(tier_names("flex", "gcp.vertex_ai"), ["flex", "on_demand_flex"]);
    }

    #[test]
    fn deterministic_what_a_model_is_for_decides_what_a_price_is_for() {
        use Class::*;
        let cases = [
            ("input_cost_per_query", "rerank", Some(SearchUnits), None),
            ("input_cost_per_query", "search", Some(Class::Requests), None),
            ("input_cost_per_second", "audio_transcription", Some(AudioSeconds), None),
            ("input_cost_per_second", "chat", None, None),
            ("output_cost_per_second_1080p", "video_generation", Some(VideoSeconds), Some("1080p")),
            ("output_cost_per_image_0.5K", "image_generation", Some(ImagesOut), Some("0.5K")),
            ("output_cost_per_image_token", "image_generation", Some(OutputImage), None),
            ("input_cost_per_image", "image_generation", Some(ImagesOut), None),
            ("input_cost_per_image", "embedding", Some(ImagesIn), None),
        ];
        for (text, mode, paid, size) in cases {
            let found = parse(text, nature(mode));
            assert_eq!((found.map(|key| key.paid[0]), found.and_then(|key| key.size)), (paid, size), "{text} {mode}");
        }
        let sonar = Nature { provider: "perplexity", name: "perplexity/sonar", ..nature("chat") };
        assert_eq!(parse(SEARCH, sonar).unwrap().paid, [Class::Requests]);
        let research = Nature { name: "perplexity/sonar-deep-research", ..sonar };
        assert_eq!(parse(SEARCH, research).unwrap().paid, [WebSearches]);
        let song = Nature { name: "gemini/lyria-3-clip-preview", ..nature("chat") };
        assert_eq!(parse("output_cost_per_image", song).unwrap().paid, [Class::Requests]);
        assert_eq!(sizes("1080p"), ["1080p", "1920x1080", "1080x1920"]);
    }
}
