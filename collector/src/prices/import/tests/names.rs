//! What a list says in the name of a model or of a price, and no call calls so: places, sizes, endpoints, tools.

use super::*;

const LIST: &str = r#"{
  "azure/gpt-5.1": {"input_cost_per_token": 1e-6, "litellm_provider": "azure", "mode": "chat", "output_cost_per_token": 1e-5},
  "azure/gpt-5.1-2025-11-13": {"input_cost_per_token": 1e-6, "litellm_provider": "azure", "mode": "chat", "output_cost_per_token": 1e-5},
  "azure/gpt-5.1-codex": {"input_cost_per_token": 3e-6, "litellm_provider": "azure", "mode": "chat", "output_cost_per_token": 1e-5},
  "azure/us-gov/gpt-5.1": {"input_cost_per_token": 2e-6, "litellm_provider": "azure", "mode": "chat", "output_cost_per_token": 1e-5},
  "openai/sora-2-pro": {"litellm_provider": "openai", "mode": "video_generation", "output_cost_per_video_per_second": 0.3},
  "openai/sora-2-pro-high-res": {"litellm_provider": "openai", "mode": "video_generation", "output_cost_per_video_per_second": 0.5},
  "gpt-6-luna": {"input_cost_per_token": 2e-6, "input_cost_per_token_decisions": 1e-6, "output_cost_per_token": 5e-6,
    "output_cost_per_token_decisions": 0.0, "litellm_provider": "openai", "mode": "chat"},
  "gpt-4.1": {"input_cost_per_token": 2e-6, "input_cost_per_token_priority": 4e-6, "output_cost_per_token": 8e-6, "litellm_provider": "openai",
    "mode": "chat", "search_context_cost_per_query": {"search_context_size_high": 0.025, "search_context_size_low": 0.025, "search_context_size_medium": 0.025}},
  "gemini/lyria-3-clip-preview": {"input_cost_per_token": 0, "output_cost_per_token": 0, "output_cost_per_image": 0.04, "litellm_provider": "gemini", "mode": "chat"}
}"#;
const TOOLS: &str = r#"
[[fee]]
provider = "openai"
model = "gpt-4.1"
source = "its page"
date = "2026-01-01"
search_tool = "web_search"
web_searches = "10"
"#;

#[test]
fn deterministic_names_of_a_list_become_conditions() {
    use Class::*;
    let toml = import_all(&[(List::Litellm, LIST), (List::Fees, TOOLS)], &options()).unwrap().toml;
    let book = PriceBook::parse(&toml).unwrap();
    let price = |provider, model, class, with: Change<'_>| priced(&book, provider, model, class, with);
    for region in ["us-gov", "usgovvirginia"] {
        let of = |model| price("azure.ai.openai", model, InputText, &|call| call.region = Some(region));
        assert_eq!(["gpt-5.1", "gpt-5.1-2025-11-13", "gpt-5.1-codex"].map(of), ["2.00", "2.00", "3.00"], "{region}");
    }
    assert_eq!(price("azure.ai.openai", "gpt-5.1", InputText, &|call| call.region = Some("eastus")), "1.00");
    for (size, expected) in [(None, "300.00"), (Some("1280x720"), "300.00"), (Some("1792x1024"), "500.00")] {
        assert_eq!(price("openai", "sora-2-pro", VideoSeconds, &|call| call.size = size), expected, "{size:?}");
    }
    let decides = |call: &mut RatingInput<'_>| call.operation = Some("decide");
    assert_eq!(price("openai", "gpt-6-luna", InputText, &decides), "1.00");
    assert_eq!(price("openai", "gpt-6-luna", OutputText, &decides), "0.00");
    assert_eq!(price("openai", "gpt-6-luna", OutputText, &|_| ()), "5.00");
    for tier in [None, Some("priority")] {
        let searched = |tool: Option<&'static str>| {
            price("openai", "gpt-4.1", WebSearches, &|call| (call.service_tier, call.search_tool) = (tier, tool))
        };
        assert_eq!([None, Some("web_search_preview")].map(searched), ["25.00", "25.00"], "{tier:?}");
        assert_eq!(searched(Some("web_search")), "10.00", "{tier:?}");
        let tokens = |call: &mut RatingInput<'_>| (call.service_tier, call.search_tool) = (tier, Some("web_search"));
        let expected = if tier.is_some() { "4.00" } else { "2.00" };
        assert_eq!(
            price("openai", "gpt-4.1", InputText, &tokens),
            expected,
            "what depends on the tool names nothing else"
        );
    }
    let song = |call: &mut RatingInput<'_>| call.has_response = true;
    assert_eq!(price("gcp.gemini", "lyria-3-clip-preview", Requests, &song), "40.00");
    assert_eq!(price("gcp.gemini", "lyria-3-clip-preview", OutputAudio, &song), "0.00");
}
