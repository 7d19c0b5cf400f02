//! Ratings: contexts, service tiers, what stands in, and charges that were computed by hand from published prices.

use super::*;

/// List prices as published; beside each where and when they were read.
pub(super) const PUBLISHED: &str = r#"
# platform.claude.com/docs/en/about-claude/pricing, Claude Sonnet 4.5 with its long context window; web search.
[[price]]
provider = "anthropic"
model = "claude-sonnet-4-5*"
valid_from = 2025-09-29
input_text = "3.00"
cache_write_5m = "3.75"
cache_write_1h = "6.00"
cache_read = "0.30"
output_text = "15.00"
web_searches = "10.00"
[[price.context]]
above = 200000
input_text = "6.00"
cache_write_5m = "7.50"
cache_write_1h = "12.00"
cache_read = "0.60"
output_text = "22.50"

# platform.openai.com/docs/pricing, GPT-5: standard, flex and priority processing.
[[price]]
provider = "openai"
model = ["gpt-5", "gpt-5-20*"]
valid_from = 2025-08-07
input_text = "1.25"
cache_read = "0.125"
output_text = "10.00"
output_reasoning = "10.00"
web_searches = "10.00"

[[price]]
provider = "openai"
model = ["gpt-5", "gpt-5-20*"]
valid_from = 2025-08-07
service_tier = "flex"
input_text = "0.625"
cache_read = "0.0625"
output_text = "5.00"
output_reasoning = "5.00"

[[price]]
provider = "openai"
model = ["gpt-5", "gpt-5-20*"]
valid_from = 2025-08-07
service_tier = ["priority", "Fast"]
input_text = "2.50"
output_text = "20.00"

# ai.google.dev/gemini-api/docs/pricing, Gemini 2.5 Pro; the paid tier.
[[price]]
provider = "gcp.gemini"
model = ["gemini-2.5-pro*", "!*-tts", "!*-tts-*"]
valid_from = 2025-06-17
input_text = "1.25"
output_text = "10.00"
[[price.context]]
above = 200000
input_text = "2.50"
output_text = "15.00"

# cohere.com/pricing, Rerank 3.5; platform.openai.com/docs/pricing, Whisper: 0.006 a minute.
[[price]]
provider = "cohere"
model = "rerank-v3.5"
valid_from = 2024-12-02
search_units = "2.00"

[[price]]
provider = "openai"
model = "whisper-1"
valid_from = 2023-03-01
audio_seconds = "0.10"
"#;

#[test]
fn contract_charges_are_those_computed_by_hand_from_published_prices() {
    use Class::*;
    let book = PriceBook::parse(PUBLISHED).unwrap();
    // Provider, model, tier, counts; then every line's charge, and the sum.
    type Case<'a> = (&'a str, &'a str, Option<&'a str>, &'a [(Class, u64)], &'a str, &'a str);
    let cases: &[Case<'_>] = &[
        (
            "anthropic",
            "claude-sonnet-4-5-20250929",
            Some("standard"),
            &[
                (InputText, 1_234),
                (CacheWrite5m, 2_000),
                (CacheWrite1h, 500),
                (CacheRead, 100_000),
                (OutputText, 777),
                (WebSearches, 2),
            ],
            "0.003702 + 0.03 + 0.0075 + 0.003 + 0.011655 + 0.02",
            "0.075857",
        ),
        // Exactly 200,000 tokens of input, cached and written ones counted: still the lower prices.
        (
            "anthropic",
            "claude-sonnet-4-5",
            None,
            &[(InputText, 50_000), (CacheWrite5m, 50_000), (CacheRead, 100_000), (OutputText, 1_000)],
            "0.15 + 0.03 + 0.1875 + 0.015",
            "0.3825",
        ),
        // One more, and all of it is charged at the higher ones; searches cost what they always do.
        (
            "anthropic",
            "claude-sonnet-4-5",
            None,
            &[(InputText, 50_001), (CacheWrite5m, 50_000), (CacheRead, 100_000), (OutputText, 1_000), (WebSearches, 1)],
            "0.300006 + 0.06 + 0.375 + 0.0225 + 0.01",
            "0.767506",
        ),
        (
            "openai",
            "gpt-5-2025-08-07",
            Some("default"),
            &[(InputText, 1_000), (CacheRead, 1_000), (OutputText, 10), (OutputReasoning, 64)],
            "0.00125 + 0.000125 + 0.0001 + 0.00064",
            "0.002115",
        ),
        (
            "openai",
            "GPT-5",
            Some("flex"),
            &[(InputText, 1_000), (CacheRead, 1_000), (OutputText, 10), (OutputReasoning, 64), (WebSearches, 1)],
            "0.000625 + 0.0000625 + 0.00005 + 0.00032 + 0.01 fallback",
            "0.0110575",
        ),
        // The cache's price is not in the entry of the tier: the standard one's stands in, before another class does.
        (
            "openai",
            "gpt-5",
            Some("PRIORITY"),
            &[(InputText, 1_000), (CacheRead, 1_000)],
            "0.0025 + 0.000125 fallback",
            "0.002625",
        ),
        (
            "openai",
            "gpt-5",
            Some("fast"),
            &[(OutputText, 1_000), (OutputReasoning, 3)],
            "0.02 + 0.00003 fallback",
            "0.02003",
        ),
        // A tier that nobody named: the standard prices, marked.
        (
            "openai",
            "gpt-5",
            Some("scale"),
            &[(InputText, 1_000), (OutputText, 10)],
            "0.00125 fallback + 0.0001 fallback",
            "0.00135",
        ),
        (
            "gcp.gemini",
            "gemini-2.5-pro",
            Some("ON_DEMAND"),
            &[(InputText, 200_000), (OutputText, 1_000)],
            "0.25 + 0.01",
            "0.26",
        ),
        (
            "gcp.gemini",
            "gemini-2.5-pro",
            None,
            &[(InputText, 200_001), (OutputText, 1_000)],
            "0.5000025 + 0.015",
            "0.5150025",
        ),
        // A class without a price of its own goes by the context's price of what stands in for it.
        (
            "gcp.gemini",
            "gemini-2.5-pro",
            None,
            &[(InputText, 1), (InputImage, 200_000)],
            "0.0000025 + 0.50 fallback",
            "0.5000025",
        ),
        // Nobody knows the input, so nobody knows which price holds.
        ("gcp.gemini", "gemini-2.5-pro", None, &[(OutputText, 1_000)], "0.01 fallback", "0.01"),
        ("gcp.gemini", "gemini-2.5-pro-preview-tts", None, &[(InputText, 1_000)], "unpriced", "0.00"),
        ("cohere", "rerank-v3.5", None, &[(SearchUnits, 3)], "0.006", "0.006"),
        ("openai", "whisper-1", None, &[(AudioSeconds, 90)], "0.009", "0.009"),
    ];
    for (provider, model, tier, counts, expected, sum) in cases {
        let rating = rated(&book, provider, model, "2026-06-01", *tier, counts);
        assert_eq!(
            (lines(&rating).as_str(), rating.charge().to_string().as_str()),
            (*expected, *sum),
            "{model} {tier:?}"
        );
    }
}

#[test]
fn deterministic_an_entry_is_named_by_all_that_made_it_apply() {
    let book = PriceBook::parse(PUBLISHED).unwrap();
    let name = |model: &str, tier: Option<&str>, input: u64| {
        let provider = if model.starts_with("gpt") { "openai" } else { "anthropic" };
        rated(&book, provider, model, "2026-06-01", tier, &[(Class::InputText, input)]).entry.unwrap_or_default()
    };
    assert_eq!(name("gpt-5-2025-08-07", None, 1), "openai gpt-5-20* 2025-08-07");
    assert_eq!(name("gpt-5", Some("fast"), 1), "openai gpt-5 2025-08-07 tier=priority,fast");
    assert_eq!(name("gpt-5", Some("scale"), 1), "openai gpt-5 2025-08-07");
    assert_eq!(name("claude-sonnet-4-5", None, 200_000), "anthropic claude-sonnet-4-5* 2025-09-29");
    assert_eq!(name("claude-sonnet-4-5", None, 200_001), "anthropic claude-sonnet-4-5* 2025-09-29 above=200000");
    assert_eq!(name("gpt-9", None, 1), "");
}

#[test]
fn deterministic_a_service_tier_is_looked_for_under_the_same_model_only() {
    let entry = |model: &str, tier: &str, price: &str| {
        format!(
            "[[price]]\nprovider = \"p\"\nmodel = \"{model}\"\nvalid_from = 2026-01-01\n{tier}\ninput_text = \"{price}\"\n"
        )
    };
    let flex = "service_tier = \"flex\"";
    let text =
        [entry("m*", "", "1"), entry("m*", flex, "2"), entry("m-pro", "", "10"), entry("m-lab", flex, "3")].concat();
    let book = PriceBook::parse(&text).unwrap();
    let cases = [
        ("m-mini", Some("flex"), "2.00"),
        // Its own standard price, not the cheaper tier of others.
        ("m-pro", Some("flex"), "10.00 fallback"),
        ("m-lab", Some("flex"), "3.00"),
        // It has no standard price of its own.
        ("m-lab", None, "1.00"),
    ];
    for (model, tier, expected) in cases {
        let rating = rated(&book, "p", model, "2026-02-01", tier, &[(Class::InputText, 1_000_000)]);
        assert_eq!(lines(&rating), expected, "{model} {tier:?}");
    }
}

#[test]
fn contract_a_rating_is_read_back_or_refused_with_the_reason() {
    let good = r#"{"entry":"p m 2026-01-01","lines":[["input_text_tokens",5,"2.50","0.0000125"],["web_searches",1]]}"#;
    assert_eq!(Rating::from_json(good).unwrap().to_json(), good);
    let form = "must be [class, count], with price and charge if it has a price, then \"fallback\" if that is what they are, \
                and {\"cost\": …} if that is another amount";
    let huge = "100000000000000.00";
    let line = format!("[\"input_text_tokens\",1,\"1.00\",\"{huge}\"]");
    let cases = [
        ("".to_owned(), "rating: is not JSON: EOF while parsing a value at line 1 column 0".to_owned()),
        ("{}".to_owned(), "rating.entry: must be a text or null".to_owned()),
        (r#"{"entry":null}"#.to_owned(), "rating.lines: must be a list".to_owned()),
        (r#"{"entry":null,"lines":[["input_text_tokens"]]}"#.to_owned(), format!("rating.lines[0]: {form}")),
        (r#"{"entry":null,"lines":[["input_text_tokens",-1]]}"#.to_owned(), format!("rating.lines[0]: {form}")),
        (r#"{"entry":null,"lines":[["tokens",1]]}"#.to_owned(), "rating.lines[0]: names no class of usage".to_owned()),
        (
            good.replace("2.50", "2,50"),
            "rating.lines[0]: price must be a decimal number of USD such as \"2.50\"".to_owned(),
        ),
        (good.replace("\"0.0000125\"", "\"0.0000125\",\"free\""), format!("rating.lines[0]: {form}")),
        (
            format!("{{\"entry\":null,\"lines\":[{line},{line}]}}"),
            "rating: the sum of its charges does not fit in 128 bits".to_owned(),
        ),
        (
            good.replace("2.50", "2.5"),
            "rating: is not written as ratings are: one line, no spaces, nothing else in it".to_owned(),
        ),
        (
            good.replace("]]}", "]],\"note\":1}"),
            "rating: is not written as ratings are: one line, no spaces, nothing else in it".to_owned(),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(Rating::from_json(&text), Err(expected), "{text}");
    }
}
