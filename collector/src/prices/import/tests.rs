//! Small lists in the form of the two real ones, with prices as they were published in them.

mod caches;
mod names;

use wire::usage::{Class, Usage};

use super::*;
use crate::prices::{PriceBook, Rated, RatingInput, day};

fn options() -> Options {
    Options { valid_from: day("2025-01-01").unwrap(), today: day("2026-03-01").unwrap(), ..Options::default() }
}

/// What a million of a class costs, `~` before it if another price stands in.
fn price(toml: &str, provider: &str, model: &str, on: &str, tier: Option<&str>, input: u64, class: Class) -> String {
    let mut usage = Usage::default();
    usage.set(Class::InputText, Some(input));
    usage.set(class, Some(usage.get(class).unwrap_or(1)));
    let call = RatingInput {
        service_tier: tier,
        ..RatingInput::new(provider, model, day(on).unwrap().at(12, 0, 0, 0), &usage)
    };
    let rating = PriceBook::parse(toml).unwrap().rate(&call);
    match rating.lines.iter().find(|line| line.class == class).map(|line| line.rated) {
        Some(Rated::Priced { price, .. }) => price.to_string(),
        Some(Rated::Fallback { price, .. }) => format!("~{price}"),
        _ => "none".to_owned(),
    }
}

/// The form of pydantic's genai-prices (MIT), prices/new_data/v2/data.json.
const GENAI: &str = r#"[
  {"id": "openai", "name": "OpenAI", "api_pattern": "https://api\\.openai\\.com", "models": [
    {"id": "o3", "match": {"or": [{"equals": "o3"}, {"equals": "O3-2025-04-16"}]}, "context_window": 200000, "prices": [
      {"prices": {"input_mtok": 10, "cache_read_mtok": 0.5, "output_mtok": 40}},
      {"constraint": {"start_date": "2025-06-10"}, "prices": {"input_mtok": 2, "cache_read_mtok": 0.5, "output_mtok": 8}}]},
    {"id": "gpt-4.1", "match": {"starts_with": "gpt-4.1"}, "prices": {"input_mtok": 2, "output_mtok": 8, "web_searches_kcount": 10, "storage_searches_kcount": 2.5},
     "price_variants": [
       {"when": {"service_tier": "default"}, "prices": {}},
       {"when": {"service_tier": "priority"}, "prices": {"input_mtok": 3.5, "output_mtok": 14}, "constraint": {"start_date": "2025-10-12"}},
       {"when": {"processing": "batch"}, "prices": {"input_mtok": 1, "output_mtok": 4}},
       {"when": {"speed": "fast"}, "prices": {"input_mtok": 20}}]},
    {"id": "gpt-9", "match": {"regex": "^gpt-9-\\d{2}(-pro)?$"}, "prices": {"input_mtok": 0.18000000000000002, "output_mtok": 1}},
    {"id": "odd", "match": {"regex": "odd+"}, "prices": {"input_mtok": 1}},
    {"id": "tts-1", "match": {"equals": "tts-1"}, "prices": {"input_mtok": 0, "input_mchars": 15}},
    {"id": "whisper-1", "match": {"equals": "whisper-1"}, "prices": {"audio_hours": 0.36}}]},
  {"id": "azure", "fallback_model_providers": ["openai"], "models": [
    {"id": "gpt-4.1", "match": {"contains": "gpt-4.1"}, "prices": {"input_mtok": 2.2}}]},
  {"id": "deepseek", "models": [
    {"id": "deepseek-chat", "match": {"equals": "deepseek-chat"}, "prices": [
      {"prices": {"input_mtok": 0.135, "output_mtok": 0.55}},
      {"constraint": {"start_time": "00:30:00Z", "end_time": "16:30:00Z"}, "prices": {"input_mtok": 0.27, "output_mtok": 1.1}}]}]},
  {"id": "huggingface_novita", "models": [
    {"id": "a", "match": {"equals": "org/a"}, "prices": {"input_mtok": 0.1}}, {"id": "b", "match": {"equals": "org/b"}, "prices": {"input_mtok": 0.3}}]},
  {"id": "huggingface_together", "models": [
    {"id": "a", "match": {"equals": "org/A"}, "prices": {"input_mtok": 0.2}}, {"id": "b", "match": {"equals": "org/B"}, "prices": {"input_mtok": 0.3}}]},
  {"id": "google", "models": [
    {"id": "gemini-2.5-pro", "match": {"and": [{"starts_with": "gemini-2.5-pro"}, {"regex": "^(?!.*-[tT][tT][sS](?:$|-))"}]},
     "prices": {"input_mtok": {"base": 1.25, "tiers": [{"start": 200000, "price": 2.5}]},
                "cache_read_mtok": {"base": 0.125, "tiers": [{"start": 200000, "price": 0.25}]},
                "cache_write_mtok": 4.5, "cache_write_1h_mtok": null,
                "output_mtok": {"base": 10, "tiers": [{"start": 200000, "price": 15}]}}}]}
]"#;

#[test]
fn contract_genai_prices_become_a_book_with_dates_tiers_contexts_and_names() {
    use Class::*;
    let Imported { toml, models, entries, notes, .. } = import(List::GenaiPrices, GENAI, &options()).unwrap();
    let (now, high) = ("2026-01-01", 200_001);
    let cases = [
        ("openai", "o3", "2025-06-09", None, 1, InputText, "10.00"),
        ("openai", "o3-2025-04-16", "2025-06-10", None, 1, InputText, "2.00"),
        ("openai", "o3", "2024-12-31", None, 1, InputText, "none"),
        ("openai", "o3", now, None, 1, OutputReasoning, "8.00"),
        ("openai", "gpt-4.1-mini", now, None, 1, InputText, "2.00"),
        ("openai", "gpt-4.1", now, Some("priority"), 1, OutputText, "14.00"),
        // The list's variants stand over the standard prices, which hold for the rest.
        ("openai", "gpt-4.1", now, Some("priority"), 1, WebSearches, "10.00"),
        ("openai", "gpt-4.1", "2025-10-11", Some("priority"), 1, OutputText, "~8.00"),
        ("openai", "gpt-4.1", "2025-10-11", Some("batch"), 1, OutputText, "4.00"),
        ("openai", "whisper-1", now, None, 1, AudioSeconds, "0.10"),
        ("openai", "gpt-9-10", now, None, 1, InputText, "none"),
        ("azure.ai.openai", "eu-gpt-4.1", now, None, 1, InputText, "2.20"),
        ("azure.ai.inference", "gpt-4.1", now, None, 1, InputText, "2.20"),
        ("azure.ai.openai", "o3", now, None, 1, InputText, "2.00"),
        ("deepseek", "deepseek-chat", now, None, 1, InputText, "0.27"),
        ("openai", "tts-1", now, None, 1, Characters, "15.00"),
        ("openai", "gpt-4.1", now, None, 1, FileSearches, "2.50"),
        ("huggingface", "org/a", now, None, 1, InputText, "none"),
        ("huggingface", "org/b", now, None, 1, InputText, "0.30"),
        ("huggingface", "org/a:novita", now, None, 1, InputText, "0.10"),
        ("huggingface", "org/a:together", now, None, 1, InputText, "0.20"),
        ("gcp.gemini", "gemini-2.5-pro-002", now, None, 200_000, InputText, "1.25"),
        ("gcp.vertex_ai", "gemini-2.5-pro", now, None, high, InputText, "2.50"),
        ("gcp.vertex_ai", "gemini-2.5-pro", now, None, high, OutputReasoning, "15.00"),
        ("gcp.vertex_ai", "gemini-2.5-pro", now, None, high, CacheWriteOther, "4.50"),
        ("gcp.vertex_ai", "gemini-2.5-pro", now, None, 1, CacheWrite1h, "~4.50"),
        ("gcp.gemini", "gemini-2.5-pro-preview-tts", now, None, 1, InputText, "none"),
    ];
    for (provider, model, on, tier, input, class, expected) in cases {
        assert_eq!(
            price(&toml, provider, model, on, tier, input, class),
            expected,
            "{provider} {model} {on} {tier:?} {class:?}"
        );
    }
    assert_eq!((models, entries), (vec![(List::GenaiPrices, 13, 11)], toml.matches("[[price]]").count()));
    let told = notes.to_string();
    let expected = "\
left out, a price has more than 12 decimals (--round takes the nearest) (1): openai/gpt-9 input_mtok 0.18000000000000002 (nearest: 0.18 a million)
left out, another price holds for some of the same calls and neither is closer (1): openai gpt-4.1* for speed=fast
left out, its names cannot be said in patterns (1): openai/odd
left out, the list has more than one price for the same name (1): huggingface org/a (as huggingface_novita/a and as huggingface_together/a)
";
    assert_eq!(told, expected);

    let round = Options { round: true, providers: vec!["openai".to_owned()], ..options() };
    let Imported { toml, notes, .. } = import(List::GenaiPrices, GENAI, &round).unwrap();
    for model in ["gpt-9-10", "gpt-9-10-pro"] {
        assert_eq!(price(&toml, "openai", model, now, None, 1, InputText), "0.18");
    }
    assert!(
        notes.to_string().contains("rounded to 12 decimals (1): openai/gpt-9 input_mtok 0.18000000000000002 to 0.18\n")
    );
    assert_eq!(price(&toml, "gcp.gemini", "gemini-2.5-pro", now, None, 1, InputText), "none");
}

/// The form of LiteLLM's model_prices_and_context_window.json (MIT).
const LITELLM: &str = r#"{
  "sample_spec": {"input_cost_per_token": 0.0, "litellm_provider": "one of …", "mode": "one of …"},
  "gpt-5": {"cache_read_input_token_cost": 1.25e-07, "cache_read_input_token_cost_priority": 2.5e-07, "input_cost_per_token": 1.25e-06,
    "input_cost_per_token_flex": 6.25e-07, "input_cost_per_token_priority": 2.5e-06, "litellm_provider": "openai", "max_input_tokens": 272000,
    "mode": "chat", "output_cost_per_token": 1e-05, "output_cost_per_token_flex": 5e-06, "output_cost_per_token_priority": 2e-05,
    "input_cost_per_token_batches": 6.25e-07, "regional_processing_uplift_multiplier_eu": 1.1,
    "search_context_cost_per_query": {"search_context_size_high": 0.01, "search_context_size_low": 0.01, "search_context_size_medium": 1e-2}},
  "ft:gpt-4o-2024-08-06": {"input_cost_per_token": 3.75e-06, "litellm_provider": "openai", "mode": "chat", "output_cost_per_token": 1.5e-05},
  "low/1024-x-1024/gpt-image-1": {"litellm_provider": "openai", "mode": "image_generation", "output_cost_per_image": 0.011},
  "whisper-1": {"input_cost_per_second": 0.0001, "litellm_provider": "openai", "mode": "audio_transcription", "output_cost_per_second": 0.0001},
  "claude-sonnet-4-5": {"cache_creation_input_token_cost": 3.75e-06, "cache_creation_input_token_cost_above_1hr": 6e-06,
    "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1.2e-05, "cache_creation_input_token_cost_above_200k_tokens": 7.5e-06,
    "cache_read_input_token_cost": 3e-07, "cache_read_input_token_cost_above_200k_tokens": 6e-07, "input_cost_per_token": 3e-06,
    "input_cost_per_token_above_200k_tokens": 6e-06, "litellm_provider": "anthropic", "mode": "chat", "output_cost_per_token": 1.5e-05,
    "output_cost_per_token_above_200k_tokens": 2.25e-05},
  "vertex_ai/claude-haiku-4-5@20251001": {"input_cost_per_token": 1e-06, "litellm_provider": "vertex_ai-anthropic_models", "mode": "chat", "output_cost_per_token": 5e-06},
  "gemini-2.5-flash": {"input_cost_per_audio_token": 1e-06, "input_cost_per_token": 3e-07, "litellm_provider": "vertex_ai-language-models",
    "input_cost_per_token_priority": 5.4e-07, "mode": "chat", "output_cost_per_reasoning_token": 2.5e-06, "output_cost_per_token": 2.5e-06},
  "xai/grok-4": {"input_cost_per_token": 3e-06, "input_cost_per_token_above_128k_tokens": 6e-06, "litellm_provider": "xai", "mode": "chat"},
  "dashscope/qwen-flash": {"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [
    {"input_cost_per_token": 5e-08, "output_cost_per_token": 4e-07, "range": [0, 256000.0]},
    {"input_cost_per_token": 2.5e-07, "output_cost_per_token": 2e-06, "range": [256000.0, 1000000.0]}]},
  "rerank-v3.5": {"input_cost_per_query": 0.002, "input_cost_per_token": 0.0, "litellm_provider": "cohere", "mode": "rerank", "output_cost_per_token": 0.0},
  "bedrock/us-gov-west-1/anthropic.claude-v2": {"input_cost_per_token": 8e-06, "litellm_provider": "bedrock", "mode": "chat"},
  "perplexity/sonar": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06, "litellm_provider": "perplexity", "mode": "chat",
    "search_context_cost_per_query": {"search_context_size_high": 0.012, "search_context_size_low": 0.005, "search_context_size_medium": 0.008}},
  "perplexity/free-image": {"input_cost_per_token": 0.0, "output_cost_per_image": 0.04, "litellm_provider": "perplexity", "mode": "image_generation"},
  "deepseek-chat": {"input_cost_per_token": 3e-07, "litellm_provider": "deepseek", "off_peak_pricing": {"input_cost_per_token": 1.5e-07, "hours_utc": "16:30-00:30"}},
  "novita/zai-org/glm-5": {"input_cost_per_token": 1e-06, "output_cost_per_token": 3.2000000000000003e-06, "litellm_provider": "novita", "mode": "chat"},
  "mistral/codestral-latest": {"input_cost_per_token": 3e-07, "litellm_provider": "mistral", "mode": "chat"},
  "codestral/codestral-latest": {"input_cost_per_token": 1e-06, "litellm_provider": "codestral", "mode": "chat"},
  "mistral/voxtral-mini-latest": {"input_cost_per_second": 5e-05, "litellm_provider": "mistral", "mode": "audio_transcription"},
  "mistral/mistral-ocr-latest": {"litellm_provider": "mistral", "mode": "ocr", "ocr_cost_per_page": 0.001},
  "nobody": {"input_cost_per_token": 1e-06}
}"#;

#[test]
fn contract_litellm_becomes_a_book_with_tiers_contexts_units_and_names() {
    use Class::*;
    let Imported { toml, models, entries, notes, .. } = import(List::Litellm, LITELLM, &options()).unwrap();
    let cases = [
        ("openai", "gpt-5", None, 1, InputText, "1.25"),
        ("openai", "gpt-5", None, 1, OutputReasoning, "10.00"),
        ("openai", "gpt-5", Some("default"), 1, WebSearches, "10.00"),
        ("openai", "gpt-5", Some("flex"), 1, InputText, "0.625"),
        ("openai", "gpt-5", Some("flex"), 1, CacheRead, "~0.125"),
        ("openai", "gpt-5", Some("priority"), 1, CacheRead, "0.25"),
        ("openai", "gpt-5", Some("batch"), 1, OutputText, "~10.00"),
        ("openai", "ft:gpt-4o-2024-08-06:acme::x1", None, 1, OutputText, "15.00"),
        ("openai", "whisper-1", None, 1, AudioSeconds, "0.10"),
        ("anthropic", "claude-sonnet-4-5", None, 199_999, CacheWrite5m, "3.75"),
        ("anthropic", "claude-sonnet-4-5", None, 199_999, CacheWrite1h, "6.00"),
        ("anthropic", "claude-sonnet-4-5", None, 200_000, CacheWrite1h, "12.00"),
        ("anthropic", "claude-sonnet-4-5", None, 200_001, OutputText, "22.50"),
        ("gcp.vertex_ai", "claude-haiku-4-5@20251001", None, 1, InputText, "1.00"),
        ("gcp.vertex_ai", "claude-haiku-4-5-20251001", None, 1, InputText, "1.00"),
        ("gcp.vertex_ai", "gemini-2.5-flash", None, 1, InputAudio, "1.00"),
        ("gcp.vertex_ai", "gemini-2.5-flash", Some("ON_DEMAND_PRIORITY"), 1, InputText, "0.54"),
        // xAI's larger prices begin at the bound itself.
        ("x_ai", "grok-4", None, 127_999, InputText, "3.00"),
        ("x_ai", "grok-4", None, 128_000, InputText, "6.00"),
        ("alibaba", "qwen-flash", None, 256_000, OutputText, "0.40"),
        ("alibaba", "qwen-flash", None, 256_001, OutputText, "2.00"),
        ("cohere", "rerank-v3.5", None, 1, SearchUnits, "2.00"),
        ("perplexity", "sonar", None, 1, WebSearches, "none"),
        ("perplexity", "free-image", None, 1, ImagesOut, "40.00"),
        ("deepseek", "deepseek-chat", None, 1, InputText, "0.30"),
        ("novita", "zai-org/glm-5", None, 1, InputText, "none"),
        ("mistral_ai", "codestral-latest", None, 1, InputText, "0.30"),
        ("mistral_ai", "mistral-ocr-latest", None, 1, Pages, "1.00"),
        // A price by the second has Mistral's tokens in it, which its responses count besides. Where others count tokens, nothing says so.
        ("mistral_ai", "voxtral-mini-latest", None, 1, AudioSeconds, "0.05"),
        ("mistral_ai", "voxtral-mini-latest", None, 1, InputAudio, "0.00"),
        ("mistral_ai", "voxtral-mini-latest", None, 1, OutputText, "0.00"),
        ("openai", "whisper-1", None, 1, OutputText, "none"),
    ];
    for (provider, model, tier, input, class, expected) in cases {
        let found = price(&toml, provider, model, "2026-01-01", tier, input, class);
        // The cache writes are input, too: they carry the call over the bound of 200,000.
        assert_eq!(found, expected, "{provider} {model} {tier:?} {input} {class:?}");
    }
    assert_eq!((models, entries), (vec![(List::Litellm, 19, 17)], toml.matches("[[price]]").count()));
    let expected = "\
left out, a price has more than 12 decimals (--round takes the nearest) (1): novita/zai-org/glm-5 output_cost_per_token 3.2000000000000003e-06 (nearest: 3.20 a million)
left out, it names no provider (1): nobody
";
    assert_eq!(notes.to_string(), expected);
}

/// What makes a call another one.
type Change<'c> = &'c dyn Fn(&mut RatingInput<'_>);

/// The price that holds for one of a class; `~` before a price that another one stands in for.
fn priced(book: &PriceBook, provider: &str, model: &str, class: Class, with: Change<'_>) -> String {
    let mut usage = Usage::default();
    usage.set(class, (class != Class::Requests).then_some(1));
    let mut call = RatingInput::new(provider, model, day("2026-01-01").unwrap().at(12, 0, 0, 0), &usage);
    with(&mut call);
    let rating = book.rate(&call);
    let line = rating.lines.iter().find(|line| line.class == class);
    match line.map(|line| line.rated) {
        Some(Rated::Priced { price, .. }) => price.to_string(),
        Some(Rated::Fallback { price, .. }) => format!("~{price}"),
        _ => "none".to_owned(),
    }
}

#[test]
fn contract_what_prices_depend_on_becomes_conditions_and_factors() {
    use Class::*;
    let toml = import(List::Litellm, LITELLM, &options()).unwrap().toml;
    let book = PriceBook::parse(&toml).unwrap();
    let price = |provider, model, class, with: Change<'_>| priced(&book, provider, model, class, with);
    assert_eq!(price("openai", "gpt-5", InputText, &|call| call.region = Some("eu")), "1.375");
    assert_eq!(price("openai", "gpt-5", InputText, &|call| call.region = Some("us")), "1.25");
    assert_eq!(
        price("aws.bedrock", "anthropic.claude-v2", InputText, &|call| call.region = Some("us-gov-west-1")),
        "8.00"
    );
    assert_eq!(price("aws.bedrock", "anthropic.claude-v2", InputText, &|_| ()), "none");
    let image = |call: &mut RatingInput<'_>| (call.size, call.quality) = (Some("1024x1024"), Some("low"));
    assert_eq!(price("openai", "gpt-image-1", ImagesOut, &image), "11.00");
    let asked = |call: &mut RatingInput<'_>| (call.has_response, call.search_context) = (true, Some("high"));
    assert_eq!(price("perplexity", "sonar", Requests, &asked), "12.00");
    assert_eq!(price("perplexity", "sonar", Requests, &|call| call.has_response = true), "5.00");
    let night = |call: &mut RatingInput<'_>| call.began = day("2026-01-01").unwrap().at(0, 29, 0, 0);
    assert_eq!(price("deepseek", "deepseek-chat", InputText, &night), "0.15");
}

const FEES: &str = r#"
[[fee]]
provider = "openai"
source = "its page"
date = "2026-01-01"
file_searches = "2.50"
web_searches = "99"

[[price]]
provider = "openai"
model = ["gpt-5", "GPT-0"]
source = "its page"
date = "2026-01-01"
valid_from = 2020-01-01
input_text = "7"

[[price]]
provider = "openai"
model = "pictures"
size = "512x512"
source = "its page"
date = "2026-01-01"
output_images = "18"

[[surcharge]]
provider = "openai"
model = "o3*"
source = "its page"
date = "2026-01-01"
input_text = "0.5"
"#;

#[test]
fn contract_of_several_lists_the_first_ones_price_is_taken_and_fees_are_added() {
    use Class::*;
    let lists = [(List::Litellm, LITELLM), (List::GenaiPrices, GENAI), (List::Fees, FEES)];
    let Imported { toml, models, notes, .. } = import_all(&lists, &options()).unwrap();
    let now = "2026-01-01";
    for (provider, model, class, expected) in [
        ("openai", "gpt-5", InputText, "1.25"),
        ("openai", "gpt-5", FileSearches, "2.50"),
        ("openai", "gpt-5", WebSearches, "10.00"),
        ("openai", "o3", InputText, "2.50"),
        // What no list has, and at a size that this call does not say.
        ("openai", "gpt-0", InputText, "7.00"),
        ("openai", "pictures", ImagesOut, "none"),
        ("deepseek", "deepseek-chat", InputText, "0.30"),
    ] {
        assert_eq!(price(&toml, provider, model, now, None, 1, class), expected, "{provider} {model} {class:?}");
    }
    let lists: Vec<List> = models.iter().map(|(list, _, _)| *list).collect();
    assert_eq!(lists, [List::Litellm, List::GenaiPrices, List::Fees]);
    let told = notes.to_string();
    assert!(
        told.contains("the lists differ, the first one's price is taken (1): openai whisper-1")
            || !told.contains("whisper-1"),
        "{told}"
    );
    for (text, expected) in [
        ("[[fee]]\nprovider = \"p\"", "fee[0].source: must be a text; a price that nobody can look up is no fact"),
        ("x = 1", "x: is not known; a list kept by hand has [[fee]], [[price]] and [[surcharge]] tables only"),
        ("", "has no [[fee]], [[price]] or [[surcharge]] in it"),
        (
            "[[fee]]\nprovider=\"p\"\nsource=\"s\"\ndate=\"d\"\nweb_searches=1",
            "fee[0].web_searches: must be a decimal number in quotes",
        ),
        (
            "[[fee]]\nprovider=\"p\"\nsource=\"s\"\ndate=\"d\"\nwebs=\"1\"",
            "fee[0].webs: is not known; allowed are provider, model, source, date, search_tool and prices",
        ),
    ] {
        assert_eq!(import(List::Fees, text, &options()).unwrap_err(), expected);
    }
}

#[test]
fn contract_an_earlier_book_keeps_its_history_and_what_changed_is_said() {
    let list = |price: &str, other: &str| {
        format!(
            r#"{{"m": {{"litellm_provider": "p", "input_cost_per_token": {price}}}, "{other}": {{"litellm_provider": "p", "input_cost_per_token": 1e-6}}}}"#
        )
    };
    let first = import(List::Litellm, &list("2e-6", "gone"), &options()).unwrap().toml;
    let update = |toml: &str, today: &str, price: &str| {
        let options = Options { update: Some(toml.to_owned()), today: day(today).unwrap(), ..options() };
        import(List::Litellm, &list(price, "new"), &options).unwrap()
    };
    let second = update(&first, "2026-03-01", "3e-6");
    let told = second.changes.unwrap();
    assert_eq!(told.changed, ["p m, input_text 2.00 to 3.00"]);
    assert_eq!((told.added, told.gone), (vec!["p new".to_owned()], vec!["p gone".to_owned()]));
    for (on, model, expected) in [
        ("2026-02-28", "m", "2.00"),
        ("2026-03-01", "m", "3.00"),
        ("2026-04-01", "gone", "1.00"),
        ("2026-04-01", "new", "1.00"),
    ] {
        assert_eq!(price(&second.toml, "p", model, on, None, 1, Class::InputText), expected, "{on} {model}");
    }
    // Once more the same day: what was written that day is replaced. Nothing new: nothing changes.
    let third = update(&second.toml, "2026-03-01", "4e-6");
    assert_eq!(price(&third.toml, "p", "m", "2026-03-01", None, 1, Class::InputText), "4.00");
    assert_eq!(price(&third.toml, "p", "m", "2026-02-28", None, 1, Class::InputText), "2.00");
    let same = update(&third.toml, "2026-05-01", "4e-6");
    assert_eq!(same.toml, third.toml);
    assert_eq!(same.changes.unwrap().changed, Vec::<String>::new());
    let foreign = Options { update: Some("[provider_cost]\ndefault = \"ignore\"\n".to_owned()), ..options() };
    let problem = import(List::Litellm, &list("1e-6", "x"), &foreign).unwrap_err();
    assert!(problem.starts_with("the earlier book: provider_cost: is not of an import;"), "{problem}");
}

#[test]
fn contract_what_is_no_list_is_refused_and_what_is_odd_is_named() {
    for (list, text, expected) in [
        (List::GenaiPrices, LITELLM, "is not genai-prices' data, version 2: "),
        (List::Litellm, GENAI, "is not LiteLLM's model_prices_and_context_window.json: "),
        (List::Litellm, "{", "is not LiteLLM's model_prices_and_context_window.json: EOF"),
    ] {
        let problem = import(list, text, &options()).unwrap_err();
        assert!(problem.starts_with(expected), "{problem}");
    }
    let odd = r#"{
      "a": {"litellm_provider": "p", "input_cost_per_token": -1e-6},
      "b": {"litellm_provider": "p", "input_cost_per_token": 2},
      "c*": {"litellm_provider": "p", "input_cost_per_token": 1e-6},
      "d": {"litellm_provider": "p", "input_cost_per_token": {"x": 1}},
      "e": {"litellm_provider": "p", "input_cost_per_token_above_1k_tokens_flex": 1e-6, "input_cost_per_token": 1e-6},
      "f": {"litellm_provider": "p", "input_cost_per_token": "4e-07"},
      "g\"\n\u007f": {"litellm_provider": "p", "input_cost_per_token": 1},
      "h": {"litellm_provider": "p", "input_cost_per_token": 2e-6, "input_cost_per_token_above_2000000000k_tokens": 1e-6},
      "i": {"litellm_provider": "p", "input_cost_per_token": 2e-6, "input_cost_per_token_above_0k_tokens": 1e-6}
    }"#;
    let Imported { toml, notes, entries, .. } = import(List::Litellm, odd, &options()).unwrap();
    assert_eq!(entries, 4);
    assert_eq!(price(&toml, "p", "f", "2026-01-01", None, 1, Class::InputText), "0.40");
    assert_eq!(price(&toml, "p", "g\"\n\u{7f}", "2026-01-01", None, 1, Class::InputText), "1000000.00");
    let expected = "\
left out, a tier of its prices begins at nothing (1): i
left out, input_cost_per_token: must be a decimal number that is not negative (2): a, d
left out, input_cost_per_token: must be at most 1000000 USD (1): b
left out, its name cannot stand in a price book (1): c*
without the prices above a bound of the flex tier, which has none below (1): e
without the prices above a bound that no call reaches (1): h
";
    assert_eq!(notes.to_string(), expected);
}
