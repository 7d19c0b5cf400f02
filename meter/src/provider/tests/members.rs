//! What responses say under names that few use, or beside their usage.

use super::fees::{CHAT, OPENAI, met, tokens, units, unknown};
use super::*;
use crate::provider::Part;

const CONVERSE: (&str, &str) = ("bedrock-runtime.us-east-1.amazonaws.com", "/model/amazon.nova-lite-v1:0/converse");
const EDITS: (&str, &str) = ("api.openai.com", "/v1/images/edits");

fn chat(usage: &str) -> String {
    format!(
        r#"{{"object":"chat.completion","usage":{{"prompt_tokens":1000,"completion_tokens":10,"total_tokens":1010{usage}}}}}"#
    )
}

fn input(usage: &str) -> String {
    format!(r#"{{"object":"response","usage":{{"input_tokens":1000,"output_tokens":10,"total_tokens":1010{usage}}}}}"#)
}

/// The name of a part, its model and its counts.
type Told<'a> = (&'a str, Option<&'a str>, Vec<(Class, u64)>);

fn parts(reading: &Reading) -> Vec<Told<'_>> {
    let of = |part: &'_ Part| part.usage.iter().collect();
    reading.parts.iter().map(|part| (part.name.as_str(), part.model.as_deref(), of(part))).collect()
}

cases! {
    fn deterministic_caches_have_several_names() {
        let expected = [(InputText, 100), (CacheRead, 700), (CacheWriteOther, 200), (OutputText, 10)];
        for (read, write) in [
            ("cached_tokens", "cache_write_tokens"), ("cached_tokens", "cache_creation_tokens"),
            ("cached_tokens", "cache_creation_input_tokens"), ("cache_read_input_tokens", "cache_creation_input_tokens"),
        ] {
            let details = format!(r#","input_tokens_details":{{"{read}":700,"{write}":200}}"#);
            assert!(tokens(OPENAI.0, OPENAI.1, &input(&details), &expected).flags.is_empty(), "{details}");
            assert_eq!(unknown(OPENAI.0, OPENAI.1, &input(&details)), None);
        }
        // Qwen's own API has the details of Chat Completions beside the input of Responses.
        let native = input(r#","prompt_tokens_details":{"cached_tokens":700,"cache_creation_input_tokens":200}"#);
        let path = "/api/v1/services/aigc/text-generation/generation";
        for body in [native.clone(), native.replace(r#""object":"response","#, r#""output":{"text":"x"},"#)] {
            assert!(tokens("dashscope-intl.aliyuncs.com", path, &body, &expected).flags.is_empty());
        }
    }

    fn deterministic_what_an_explicit_cache_served_is_told_apart() {
        for (kind, class) in [("ephemeral", CacheReadExplicit), ("implicit", CacheRead), ("", CacheRead)] {
            let details = format!(r#","prompt_tokens_details":{{"cache_type":"{kind}","cached_tokens":800}}"#);
            for body in [chat(&details), input(&details)] {
                tokens("dashscope.aliyuncs.com", CHAT.1, &body, &[(InputText, 200), (class, 800), (OutputText, 10)]);
                assert_eq!(unknown("dashscope.aliyuncs.com", CHAT.1, &body), None);
            }
        }
    }

    fn deterministic_cache_writes_by_their_lifetime() {
        let split = |details: &str| [
            input(&format!(r#","input_tokens_details":{{"cached_tokens":100,{details}}}"#)),
            chat(&format!(r#","prompt_tokens_details":{{"cached_tokens":100,{details}}}"#)),
        ];
        let both = r#""cache_write_tokens_details":{"ttl_30m_tokens":200,"ttl_12h_tokens":600}"#;
        for total in [r#""cache_write_tokens":800,"#, ""] {
            for body in split(&format!("{total}{both}")) {
                let reading = tokens(OPENAI.0, OPENAI.1, &body, &[(InputText, 100), (CacheRead, 100), (CacheWrite30m, 200), (CacheWrite12h, 600), (OutputText, 10)]);
                assert!(reading.flags.is_empty(), "{body}");
                assert_eq!(unknown(OPENAI.0, OPENAI.1, &body), None, "{body}");
            }
        }
        // What the split leaves open has an unknown lifetime; a split of more than was written is none.
        for body in split(&format!(r#""cache_write_tokens":850,{both}"#)) {
            tokens(OPENAI.0, OPENAI.1, &body, &[(InputText, 50), (CacheRead, 100), (CacheWrite30m, 200), (CacheWrite12h, 600), (CacheWriteOther, 50), (OutputText, 10)]);
        }
        for body in split(&format!(r#""cache_write_tokens":700,{both}"#)) {
            let reading = tokens(OPENAI.0, OPENAI.1, &body, &[(InputText, 200), (CacheRead, 100), (CacheWriteOther, 700), (OutputText, 10)]);
            assert_eq!(reading.flags, [Flag::PartExceedsParent], "{body}");
        }
    }

    fn deterministic_a_modality_contains_what_the_cache_served_of_it() {
        let image = |details: &str| format!(r#"{{"usage":{{"input_tokens":4000,"input_tokens_details":{{"text_tokens":1000,"image_tokens":3000,"cached_tokens":2500{details}}},"output_tokens":300,"total_tokens":4300}}}}"#);
        let split = image(r#","cached_tokens_details":{"text_tokens":500,"image_tokens":2000}"#);
        let reading = tokens(EDITS.0, EDITS.1, &split, &[(InputText, 500), (InputImage, 1000), (CacheRead, 500), (CacheReadImage, 2000), (OutputImage, 300)]);
        assert!(reading.flags.is_empty());
        assert_eq!(unknown(EDITS.0, EDITS.1, &split), None);
        // 2,500 of 4,000 with 1,000 of text: at least 1,500 are images. That it is no more is a guess.
        for none in ["", r#","cached_tokens_details":{"image_tokens":0}"#, r#","cached_tokens_details":{"image_tokens":3001}"#] {
            let reading = tokens(EDITS.0, EDITS.1, &image(none), &[(InputImage, 1500), (CacheRead, 1000), (CacheReadImage, 1500), (OutputImage, 300)]);
            assert_eq!(reading.flags, [Flag::PartExceedsParent], "{none}");
        }
        let audio = |details: &str| chat(&format!(r#","prompt_tokens_details":{{"cached_tokens":600,"audio_tokens":800{details}}}"#));
        let split = audio(r#","cached_tokens_details":{"text_tokens":100,"audio_tokens":500}"#);
        assert!(tokens(CHAT.0, CHAT.1, &split, &[(InputText, 100), (InputAudio, 300), (CacheRead, 100), (CacheReadAudio, 500), (OutputText, 10)]).flags.is_empty());
        let flat = tokens(CHAT.0, CHAT.1, &audio(""), &[(InputAudio, 400), (CacheRead, 200), (CacheReadAudio, 400), (OutputText, 10)]);
        assert_eq!(flat.flags, [Flag::PartExceedsParent]);
        // Where both have room, the cache's share is text.
        let room = chat(r#","prompt_tokens_details":{"cached_tokens":100,"audio_tokens":800}"#);
        assert!(tokens(CHAT.0, CHAT.1, &room, &[(InputText, 100), (InputAudio, 800), (CacheRead, 100), (OutputText, 10)]).flags.is_empty());
    }

    fn deterministic_units_of_a_guardrail_are_parts_by_policy() {
        let units = |topic: u64, content: u64| format!(r#"{{"invocationMetrics":{{"guardrailProcessingLatency":210,"usage":{{"topicPolicyUnits":{topic},"contentPolicyUnits":{content},"wordPolicyUnits":9,"sensitiveInformationPolicyFreeUnits":9,"contextualGroundingPolicyUnits":0}},"guardrailCoverage":{{"textCharacters":{{"guarded":2,"total":2}}}}}}}}"#);
        let (input, output) = (units(1, 2), units(3, 0));
        let usage = r#""usage":{"inputTokens":200,"outputTokens":40,"totalTokens":240}"#;
        let trace = format!(r#"{{"guardrail":{{"modelOutput":["x"],"inputAssessment":{{"gr1":{input}}},"outputAssessments":{{"gr1":[{output},{output}]}}}}}}"#);
        let invoke = format!(r#"{{"guardrail":{{"input":{{"gr1":{input}}},"outputs":[{{"gr1":{output}}},{{"gr1":{output}}}]}}}}"#);
        for body in [
            format!(r#"{{{usage},"trace":{trace}}}"#), format!(r#"{{"trace":{trace},{usage}}}"#),
            format!(r#"{{"metadata":{{{usage},"trace":{trace}}}}}"#), format!(r#"{{{usage},"amazon-bedrock-trace":{invoke}}}"#),
        ] {
            let reading = tokens(CONVERSE.0, CONVERSE.1, &body, &[(InputText, 200), (OutputText, 40)]);
            let expected = [("guardrail", Some("topicPolicyUnits"), vec![(GuardrailUnits, 7)]), ("guardrail", Some("contentPolicyUnits"), vec![(GuardrailUnits, 2)])];
            assert_eq!(parts(&reading), expected, "{body}");
            assert_eq!((reading.complete, unknown(CONVERSE.0, CONVERSE.1, &body)), (true, None), "{body}");
        }
        // A policy that is not known is named.
        let body = format!(r#"{{{usage},"trace":{trace}}}"#).replace("contextualGroundingPolicyUnits\":0", "smellPolicyUnits\":4");
        assert_eq!(unknown(CONVERSE.0, CONVERSE.1, &body).as_deref(), Some("guardrail.smellPolicyUnits"));
        // One that is applied alone has them in its usage, and nothing else.
        let apply = r#"{"action":"NONE","outputs":[],"assessments":[],"usage":{"topicPolicyUnits":1,"sensitiveInformationPolicyUnits":2,"wordPolicyUnits":1}}"#;
        let path = "/guardrail/gr1/version/DRAFT/apply";
        let (_, reading, target) = met(CONVERSE.0, path, apply);
        assert_eq!(parts(&reading).len(), 2);
        assert!(reading.usage.is_empty() && reading.is_reported && reading.complete);
        assert_eq!((target.operation, unknown(CONVERSE.0, path, apply)), (Some("guardrail"), None));
    }

    fn deterministic_a_router_names_the_model_that_was_invoked() {
        let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0";
        let trace = format!(r#""usage":{{"inputTokens":2,"outputTokens":4,"totalTokens":6}},"trace":{{"promptRouter":{{"invokedModelId":"{arn}"}}}}"#);
        for body in [format!("{{{trace}}}"), format!(r#"{{"metadata":{{{trace}}}}}"#)] {
            assert_eq!(met(CONVERSE.0, CONVERSE.1, &body).0.model.as_deref(), Some(arn));
        }
        let (mut facts, ..) = met("router.huggingface.co", CHAT.1, &chat(""));
        let header = crate::provider::HEADERS.iter().find(|(name, _)| *name == "x-inference-provider").unwrap().1;
        facts.header(header, b"groq");
        assert_eq!(facts.service.as_deref(), Some("groq"));
    }

    fn deterministic_tools_of_perplexity_groq_and_zai() {
        let agent = |tools: &str| input(&format!(r#","tool_calls_details":{{{tools}}}"#));
        let both = agent(r#""search_web":{"invocation":2},"fetch_url":{"invocation":1}"#);
        units("api.perplexity.ai", "/v1/responses", &both, &[(WebSearches, 2), (WebFetches, 1)]);
        assert_eq!(unknown("api.perplexity.ai", "/v1/responses", &both), None);
        let people = agent(r#""people_search":{"invocation":1}"#);
        assert_eq!(unknown("api.perplexity.ai", "/v1/responses", &people).as_deref(), Some("tool_calls_details.people_search.invocation"));
        let ran = |tools: &str| format!(r#"{{"choices":[{{"message":{{"executed_tools":[{tools}]}}}}],{}"#, chat("").strip_prefix('{').unwrap());
        let groq = ("api.groq.com", "/openai/v1/chat/completions");
        // The name says what ran, wherever it stands; where there is none, the type does.
        let named = ran(r#"{"index":0,"type":"browser_search","name":"browser.search"},{"name":"browser.open","index":1,"type":"browser_search"},{"index":2,"type":"browser_search","name":"browser.find"},{"index":3,"type":"browser_search"},{"index":4,"type":"browser.open"}"#);
        units(groq.0, groq.1, &named, &[(WebSearches, 2), (WebFetches, 2)]);
        assert_eq!(unknown(groq.0, groq.1, &named), None);
        assert_eq!(unknown(groq.0, groq.1, &ran(r#"{"index":0,"type":"wolfram","name":"w"}"#)).as_deref(), Some("output.wolfram"));
        // The name of the caller's own function is no tool of the provider's.
        units(OPENAI.0, OPENAI.1, r#"{"object":"response","output":[{"type":"function_call","id":"a","name":"browser.open"}]}"#, &[]);
        let zai = |found: &str| format!(r#"{{"web_search":[{found}],{}"#, chat("").strip_prefix('{').unwrap());
        units("api.z.ai", "/api/paas/v4/chat/completions", &zai(r#"{"title":"t","link":"https://x"},{"link":"https://y"}"#), &[(WebSearches, 1)]);
        units("api.z.ai", "/api/paas/v4/chat/completions", &zai(""), &[]);
    }

    fn deterministic_a_stated_price_of_zero_is_a_price() {
        let cost = |usage: &str| met("openrouter.ai", "/api/v1/chat/completions", &chat(usage)).0.cost();
        assert_eq!(cost(r#","cost":0,"is_byok":false,"cost_details":{"upstream_inference_cost":null}"#), Some(0));
        assert_eq!(cost(r#","cost":0.0,"cost_details":{"upstream_inference_cost":0}"#), Some(0));
        assert_eq!(cost(r#","cost":null"#), None);
        // On the caller's own key it is the router's fee alone.
        assert_eq!(cost(r#","cost":0,"is_byok":true"#), None);
        assert_eq!(cost(r#","cost":0,"is_byok":true,"cost_details":{"upstream_inference_cost":0}"#), None);
        let stream = format!("data: {}\n\ndata: {}\n\n", chat(r#","cost":0.5"#), chat(r#","cost":0"#));
        assert_eq!(met("openrouter.ai", "/api/v1/chat/completions", &stream).0.cost(), Some(500_000_000), "a later zero takes nothing back");
        assert_eq!(cost(r#","estimated_cost":1.35e-05"#), Some(13_500));
        let gateway = |cost: &str| {
            let choice = format!(r#"{{"choices":[{{"message":{{"provider_metadata":{{"gateway":{{"cost":"{cost}","marketCost":"0.003"}}}}}}}}],{}"#, chat("").strip_prefix('{').unwrap());
            met("ai-gateway.vercel.sh", CHAT.1, &choice).0.cost()
        };
        assert_eq!((gateway("0.0035"), gateway("0")), (Some(3_500_000), None));
        let credits = format!(r#"{{"copilot_usage":{{"token_details":[{{"token_count":547}}],"total_nano_aiu":22075000}},{}"#, chat("").strip_prefix('{').unwrap());
        assert_eq!(met("api.githubcopilot.com", "/chat/completions", &credits).0.cost(), Some(220_750));
        assert_eq!(unknown("api.githubcopilot.com", "/chat/completions", &credits), None);
    }

    fn deterministic_counts_in_a_list_of_metrics() {
        let pair = |first: &str, second: &str| format!(r#"{{{first},{second},"unit":"tokens"}}"#);
        let list = |metrics: &str| format!(r#"{{"id":"x","completion_message":{{"content":{{"text":"Fine."}}}},"metrics":[{metrics}]}}"#);
        let counts = [("num_completion_tokens", 25), ("num_prompt_tokens", 31), ("num_total_tokens", 56), ("num_smells", 7)];
        let metrics: Vec<String> = counts.iter().map(|(name, count)| pair(&format!(r#""metric":"{name}""#), &format!(r#""value":{count}"#))).collect();
        for body in [list(&metrics.join(",")), format!("data: {{\"event\":{}}}\n\n", list(&metrics.join(",")))] {
            assert!(tokens("api.llama.com", CHAT.1, &body, &[(InputText, 31), (OutputText, 25)]).flags.is_empty(), "{body}");
        }
    }

    fn contract_a_tool_that_is_paid_for_and_not_counted_is_named() {
        let gemini = |told: &str| format!(r#"{{"candidates":[{{"groundingMetadata":{{"retrievalQueries":[{told}]}}}}],"usageMetadata":{{"promptTokenCount":20,"candidatesTokenCount":9,"totalTokenCount":29}}}}"#);
        let vertex = ("aiplatform.googleapis.com", "/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash:generateContent");
        assert_eq!(unknown(vertex.0, vertex.1, &gemini(r#""is it so","and so""#)).as_deref(), Some("groundingMetadata.retrievalQueries"));
        assert_eq!(unknown(vertex.0, vertex.1, &gemini("")), None);
        let converse = |kind: &str| format!(r#"{{"output":{{"message":{{"content":[{{"toolUse":{{"name":"nova_grounding","type":"{kind}"}}}}]}}}},"usage":{{"inputTokens":2,"outputTokens":4,"totalTokens":6}}}}"#);
        assert_eq!(unknown(CONVERSE.0, CONVERSE.1, &converse("server_tool_use")).as_deref(), Some("toolUse.server_tool_use"));
        assert_eq!(unknown(CONVERSE.0, CONVERSE.1, &converse("tool_use")), None);
        let moonshot = |name: &str| format!(r#"{{"choices":[{{"message":{{"tool_calls":[{{"function":{{"name":"{name}","arguments":"{{}}"}}}}]}}}}],{}"#, chat("").strip_prefix('{').unwrap());
        assert_eq!(unknown("api.moonshot.ai", CHAT.1, &moonshot("$web_search")).as_deref(), Some("tool_calls.web_search"));
        assert_eq!(unknown("api.moonshot.ai", CHAT.1, &moonshot("web_search")), None);
    }

    fn contract_a_member_beside_the_usage_that_may_be_usage_is_named() {
        let beside = |member: &str| unknown(CHAT.0, CHAT.1, &format!(r#"{{{member},{}"#, chat("").strip_prefix('{').unwrap()));
        for (member, name) in [
            (r#""smell_usage":{"sniffs":3}"#, "smell_usage"), (r#""usageOfSmell":[{"sniffs":0},{"sniffs":12}]"#, "usageOfSmell"),
            (r#""total_cost":0.004"#, "total_cost"), (r#""credits":"3.5""#, "credits"), (r#""Billed":{"a":{"b":1}}"#, "Billed"),
            (r#""extra_charges":[7]"#, "extra_charges"),
        ] {
            assert_eq!(beside(member).as_deref(), Some(name), "{member}");
            let inside = format!(r#"data: {{"type":"response.completed","response":{{{member},{}}}"#, input("").strip_prefix('{').unwrap());
            assert_eq!(unknown(OPENAI.0, OPENAI.1, &format!("{inside}\n\n")).as_deref(), Some(name), "{member}");
        }
        // Nothing is said, or nothing that is paid for.
        for silent in [
            r#""smell_usage":null"#, r#""smell_usage":{"sniffs":0,"a":[],"b":null}"#, r#""billing":{"payer":"developer"}"#,
            r#""cost":0.0"#, r#""usage_hint":"see page 7""#, r#""is_billed":true"#, r#""created":1790000000"#, r#""choices_used":3"#,
            // Not the response's own member.
            r#""choices":[{"smell_usage":{"sniffs":3}}]"#,
        ] {
            assert_eq!(beside(silent), None, "{silent}");
        }
        let many: Vec<String> = (0..500).map(|number| format!(r#""usage{number}{}":1"#, "x".repeat(5000))).collect();
        assert!(beside(&many.join(",")).is_some_and(|names| names.len() <= 256 && names.split(',').count() <= 4));
    }
}
