//! What LiteLLM's list says of caches by lifetime and kind, and of guardrails.

use super::*;

const LIST: &str = r#"{
  "gpt-6.1-sol": {"cache_creation_input_token_cost": 2.5e-06, "cache_creation_input_token_cost_above_12hr": 5e-06,
    "cache_creation_input_token_cost_above_12hr_above_272k_tokens": 1e-05, "cache_creation_input_token_cost_above_12hr_flex": 2.5e-06,
    "cache_creation_input_token_cost_above_272k_tokens": 5e-06, "cache_creation_input_token_cost_flex": 1.25e-06,
    "input_cost_per_token": 2e-06, "input_cost_per_token_above_272k_tokens": 4e-06, "input_cost_per_token_flex": 1e-06,
    "litellm_provider": "openai", "mode": "chat", "output_cost_per_token": 1e-05, "output_cost_per_token_flex": 5e-06},
  "gpt-5.5": {"cache_creation_input_token_cost": 2.5e-06, "input_cost_per_token": 2e-06, "litellm_provider": "openai", "mode": "chat"},
  "dashscope/qwen3.7-max": {"cache_read_input_token_cost": 5e-07, "explicit_cache_read_input_token_cost": 2.5e-07,
    "input_cost_per_token": 2.5e-06, "litellm_provider": "dashscope", "mode": "chat", "output_cost_per_token": 7.5e-06},
  "dashscope/qwen-plus": {"cache_read_input_token_cost": 5e-07, "input_cost_per_token": 2.5e-06, "litellm_provider": "dashscope", "mode": "chat"},
  "gpt-image-2": {"cache_read_input_image_token_cost": 2e-06, "cache_read_input_token_cost": 1.25e-06, "input_cost_per_image_token": 8e-06,
    "input_cost_per_token": 5e-06, "litellm_provider": "openai", "mode": "image_generation", "output_cost_per_image_token": 3e-05},
  "bedrock/guardrails": {"guardrail_cost_per_unit": {"contentPolicyImageUnits": 0.00075, "topicPolicyUnits": 0.00015, "wordPolicyUnits": 0.0},
    "litellm_provider": "bedrock", "mode": "guardrail"}
}"#;

#[test]
fn contract_litellms_prices_of_caches_and_guardrails_have_classes() {
    use Class::*;
    let Imported { toml, notes, .. } = import(List::Litellm, LIST, &options()).unwrap();
    let cases = [
        ("openai", "gpt-6.1-sol", None, 1, CacheWrite12h, "5.00"),
        ("openai", "gpt-6.1-sol", None, 1, CacheWrite30m, "2.50"),
        ("openai", "gpt-6.1-sol", None, 272_001, CacheWrite12h, "10.00"),
        ("openai", "gpt-6.1-sol", None, 272_001, CacheWrite30m, "5.00"),
        ("openai", "gpt-6.1-sol", Some("flex"), 1, CacheWrite12h, "2.50"),
        ("openai", "gpt-6.1-sol", Some("flex"), 1, CacheWrite30m, "1.25"),
        // Of an unknown lifetime: the shorter one's price stands in, and is marked.
        ("openai", "gpt-6.1-sol", None, 1, CacheWriteOther, "~2.50"),
        ("openai", "gpt-5.5", None, 1, CacheWriteOther, "2.50"),
        ("openai", "gpt-5.5", None, 1, CacheWrite30m, "~2.50"),
        ("openai", "gpt-5.5", None, 1, CacheWrite12h, "~2.50"),
        ("alibaba", "qwen3.7-max", None, 1, CacheReadExplicit, "0.25"),
        ("alibaba", "qwen3.7-max", None, 1, CacheRead, "0.50"),
        ("alibaba", "qwen-plus", None, 1, CacheReadExplicit, "~0.50"),
        ("openai", "gpt-image-2", None, 1, CacheReadImage, "2.00"),
        ("aws.bedrock", "topicPolicyUnits", None, 1, GuardrailUnits, "0.15"),
        ("aws.bedrock", "contentPolicyImageUnits", None, 1, GuardrailUnits, "0.75"),
        ("aws.bedrock", "wordPolicyUnits", None, 1, GuardrailUnits, "0.00"),
        ("aws.bedrock", "smellPolicyUnits", None, 1, GuardrailUnits, "none"),
    ];
    for (provider, model, tier, input, class, expected) in cases {
        let found = price(&toml, provider, model, "2026-01-01", tier, input, class);
        assert_eq!(found, expected, "{provider} {model} {tier:?} {input} {class:?}");
    }
    assert_eq!(notes.to_string(), "");
}
