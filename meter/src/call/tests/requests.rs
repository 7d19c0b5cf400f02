//! What only the request, the host or the path says of a call, and its price depends on.

use wire::record::Deferred;

use super::*;
use crate::call::Told;

/// The record of a call that went where the client's host says.
#[track_caller]
fn trusted(play: &Play<'_>) -> Record {
    let rules = Detect { trust_host: true, ..DETECT };
    let head =
        RequestHead { method: b"POST", host: play.host.as_bytes(), path: play.path.as_bytes(), content_encoding: None };
    let mut call = Call::begin(&head, &rules, 5_000 * MS).unwrap();
    call.request_body(play.request.as_bytes());
    call.response_head(&ResponseHead {
        status: play.status,
        content_type: Some(play.content_type.as_bytes()),
        content_encoding: None,
    });
    call.response_body(play.body.as_bytes());
    call.response_end();
    call.settle(&(), &rules);
    let ended = Ended { now_ns: 5_200 * MS, told: Told::default(), ..Ended::default() };
    call.finish(ended, &mut Ratios::default()).into_iter().next().unwrap()
}

/// What a call counts that is no token.
fn counted(record: &Record) -> Vec<(Class, u64)> {
    record.usage.iter().filter(|(class, count)| class.kind() == wire::usage::Kind::Unit && *count > 0).collect()
}

const CHAT_OF_NOBODY: &str = r#"{"object":"chat.completion","model":"m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}"#;
const BEDROCK: Play<'_> = Play {
    host: "bedrock-runtime.us-east-1.amazonaws.com",
    path: "/model/cohere.rerank-v3-5%3A0/invoke",
    request: "{}",
    status: Some(200),
    content_type: "application/json",
    encoding: None,
    body: r#"{"results":[{"index":0,"relevance_score":0.9}]}"#,
    cut: None,
};

cases! {
    fn deterministic_a_gateway_passes_calls_on_to_who_stands_in_the_path_or_the_model() {
        let messages = r#"{"type":"message","model":"claude-x","content":[],"usage":{"input_tokens":4,"output_tokens":2}}"#;
        for (host, path, model, body, provider, model_of_path) in [
            ("gateway.ai.cloudflare.com", "/v1/acc/gw/anthropic/v1/messages", "claude-x", messages, "anthropic", None),
            ("gateway.ai.cloudflare.com", "/v1/acc/gw/openai/chat/completions", "gpt-x", CHAT_OF_NOBODY, "openai", None),
            ("gateway.ai.cloudflare.com", "/v1/acc/gw/grok/v1/chat/completions", "grok", CHAT_OF_NOBODY, "x_ai", None),
            ("gateway.ai.cloudflare.com", "/v1/acc/gw/compat/chat/completions", "openai/gpt-x", CHAT_OF_NOBODY, "openai", None),
            ("gateway.ai.cloudflare.com", "/v1/acc/gw/compat/chat/completions", "google-ai-studio/gemini-x", CHAT_OF_NOBODY, "gcp.gemini", None),
            ("gateway.ai.cloudflare.com", "/v1/acc/gw/compat/chat/completions", "dynamic/route", CHAT_OF_NOBODY, "cloudflare", None),
            // An account or a gateway of such a name is none of the services.
            ("gateway.ai.cloudflare.com", "/v1/openai/anthropic/compat/chat/completions", "m", CHAT_OF_NOBODY, "cloudflare", None),
            ("api.cloudflare.com", "/client/v4/accounts/openai/ai/v1/chat/completions", "@cf/meta/m", CHAT_OF_NOBODY, "cloudflare", None),
            ("api.cloudflare.com", "/client/v4/accounts/a/ai/run/@cf/meta/llama-x", "", r#"{"result":{"response":"Hi","usage":{"prompt_tokens":9,"completion_tokens":3}},"success":true}"#, "cloudflare", Some("@cf/meta/llama-x")),
            ("aws-external-anthropic.us-east-1.api.aws", "/v1/messages", "claude-x", messages, "anthropic", None),
            ("api.tokenfactory.nebius.com", "/v1/chat/completions", "m", CHAT_OF_NOBODY, "nebius", None),
            // Another's model is as it is named.
            ("openrouter.ai", "/api/v1/chat/completions", "openai/gpt-x", CHAT_OF_NOBODY, "openrouter", None),
        ] {
            let request = if model.is_empty() { "{\"prompt\":\"x\"}".to_owned() } else { format!(r#"{{"model":"{model}"}}"#) };
            let record = trusted(&Play { host, path, request: &request, body, ..Play::default() });
            assert_eq!((record.provider.as_str(), record.path_model.as_deref()), (provider, model_of_path), "{host}{path} {model}");
            assert!(record.usage.input_total().is_some(), "{host}{path} {model}");
        }
    }

    fn deterministic_what_a_gateway_has_in_its_cache_is_not_billed() {
        let flags = |host: &str, status: &[u8]| {
            let rules = Detect { trust_host: true, ..DETECT };
            let path: &[u8] = if host.starts_with("gateway") { b"/v1/a/g/openai/chat/completions" } else { b"/v1/chat/completions" };
            let head = RequestHead { method: b"POST", host: host.as_bytes(), path, content_encoding: None };
            let mut call = Call::begin(&head, &rules, 0).unwrap();
            call.request_body(br#"{"model":"m"}"#);
            call.response_head(&ResponseHead { status: Some(200), content_type: None, content_encoding: None });
            if call.reads_headers() {
                call.response_header("cf-aig-cache-status", status);
            }
            call.response_body(CHAT_OF_NOBODY.as_bytes());
            call.response_end();
            call.finish(Ended::default(), &mut Ratios::default())[0].flags.contains(Flag::NotBilled)
        };
        assert!(flags("gateway.ai.cloudflare.com", b"HIT"));
        assert!(!flags("gateway.ai.cloudflare.com", b"MISS"));
        assert!(!flags("api.openai.com", b"HIT"), "it has no gateway");
    }

    fn deterministic_oracles_counts_are_read() {
        let oci = Play {
            host: "inference.generativeai.us-chicago-1.oci.oraclecloud.com", path: "/20231130/actions/chat",
            request: r#"{"servingMode":{"servingType":"ON_DEMAND","modelId":"meta.llama-x"},"chatRequest":{"apiFormat":"GENERIC"}}"#,
            body: r#"{"modelId":"meta.llama-x","chatResponse":{"usage":{"promptTokens":10,"completionTokens":4,"totalTokens":14}}}"#,
            ..Play::default()
        };
        let record = trusted(&oci);
        assert_eq!((record.provider.as_str(), record.region.as_deref(), record.request_model.as_deref(), record.response_model.as_deref()),
            ("oci", Some("us-chicago-1"), Some("meta.llama-x"), Some("meta.llama-x")));
        assert_eq!((record.usage.get(Class::InputText), record.usage.get(Class::OutputText), record.evidence), (Some(10), Some(4), Evidence::Reported));
    }

    fn deterministic_the_tier_asked_for_is_the_one_served_where_nothing_else_is_said() {
        let play = |host, body, status| Play {
            host, path: "/inference/v1/chat/completions", request: r#"{"model":"m","service_tier":"priority"}"#, body, status, ..Play::default()
        };
        let tier = |play: Play<'_>| trusted(&play).service_tier;
        assert_eq!(tier(play("api.fireworks.ai", CHAT_OF_NOBODY, Some(200))).as_deref(), Some("priority"));
        assert_eq!(tier(play("api.fireworks.ai", r#"{"error":{}}"#, Some(503))), None, "it is refused");
        let said = CHAT_OF_NOBODY.replace("\"choices\"", "\"service_tier\":\"default\",\"choices\"");
        assert_eq!(tier(play("api.fireworks.ai", &said, Some(200))).as_deref(), Some("default"));
        assert_eq!(tier(play("api.together.xyz", CHAT_OF_NOBODY, Some(200))), None);
    }

    fn deterministic_the_tool_that_searched_is_told() {
        let item = r#""output":[{"type":"web_search_call","id":"w","status":"completed","action":{"type":"search"}}],"usage":{"input_tokens":9,"output_tokens":3,"total_tokens":12}"#;
        let said = |tool: &str| format!(r#"{{"object":"response","model":"m",{item},"tools":[{{"type":"{tool}"}}]}}"#);
        let unsaid = format!(r#"{{"object":"response","model":"m",{item}}}"#);
        let none = r#"{"object":"response","model":"m","output":[],"usage":{"input_tokens":9,"output_tokens":3,"total_tokens":12},"tools":[{"type":"web_search"}]}"#;
        for (asked, body, tool) in [
            ("web_search", said("web_search"), Some("web_search")),
            ("web_search", said("web_search_preview_2025_03_11"), Some("web_search_preview")),
            ("web_search_preview", unsaid.clone(), Some("web_search_preview")),
            ("web_search_2025_08_26", unsaid.clone(), Some("web_search")),
            ("function", unsaid, None),
            // Nothing was searched.
            ("web_search", none.to_owned(), None),
        ] {
            let request = format!(r#"{{"model":"m","tools":[{{"type":"function","name":"web_search"}},{{"type":"{asked}"}}]}}"#);
            let record = Play { path: "/v1/responses", request: &request, body: &body, ..Play::default() }.run().unwrap();
            assert_eq!(record.search_tool.as_deref(), tool, "{asked} {body}");
        }
        let grounded = r#"{"candidates":[{"groundingMetadata":{"webSearchQueries":["x"]}}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,"totalTokenCount":3}}"#;
        let vertex = Play {
            host: "aiplatform.googleapis.com", path: "/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash:generateContent",
            request: r#"{"contents":[],"tools":[{"enterpriseWebSearch":{}}]}"#, body: grounded, ..Play::default()
        };
        let record = vertex.run().unwrap();
        assert_eq!((record.search_tool.as_deref(), record.usage.get(Class::WebSearches)), (Some("enterprise_web_search"), Some(1)));
        let record = Play { request: r#"{"contents":[],"tools":[{"googleSearch":{}}]}"#, ..vertex }.run().unwrap();
        assert_eq!(record.search_tool, None);
    }

    fn deterministic_reranks_of_bedrock_are_counted_by_their_documents() {
        let many = |count: usize| format!(r#"{{"query":"q","documents":[{}]}}"#, vec!["\"d\""; count].join(","));
        for (request, units) in [
            (many(1), 1), (many(100), 1), (many(101), 2), (many(201), 3), (many(0), 1),
            (r#"{"query":"q","documents":[{"text":"a"},{"text":"b"}]}"#.to_owned(), 1),
            // What cannot be read is one query at least.
            ("not json".to_owned(), 1),
        ] {
            let record = trusted(&Play { request: &request, ..BEDROCK });
            assert_eq!((counted(&record), record.operation.as_str()), (vec![(Class::SearchUnits, units)], "rerank"), "{request:.99}");
        }
        assert_eq!(counted(&trusted(&Play { status: Some(400), body: "{}", ..BEDROCK })), []);
        let sources = vec![r#"{"type":"INLINE","inlineDocumentSource":{"type":"TEXT","textDocument":{"text":"a"}}}"#; 150].join(",");
        let request = format!(r#"{{"queries":[],"sources":[{sources}],"rerankingConfiguration":{{"bedrockRerankingConfiguration":{{"modelConfiguration":{{"modelArn":"arn:aws:bedrock:us-west-2::foundation-model/amazon.rerank-v1:0"}}}}}}}}"#);
        let record = trusted(&Play { host: "bedrock-agent-runtime.us-west-2.amazonaws.com", path: "/rerank", request: &request, ..BEDROCK });
        assert_eq!(counted(&record), [(Class::SearchUnits, 2)]);
        assert_eq!(record.request_model.as_deref(), Some("arn:aws:bedrock:us-west-2::foundation-model/amazon.rerank-v1:0"));
        // Others count their reranks themselves.
        let cohere = Play { host: "api.cohere.com", path: "/v2/rerank", body: r#"{"meta":{"billed_units":{"search_units":4}}}"#, request: &many(300), ..BEDROCK };
        assert_eq!(counted(&trusted(&cohere)), [(Class::SearchUnits, 4)]);
        // A model that ranks nothing is none.
        let chat = Play { path: "/model/cohere.command-r-v1%3A0/invoke", body: r#"{"generations":[]}"#, request: &many(3), ..BEDROCK };
        assert_eq!(counted(&trusted(&chat)), []);
    }

    fn deterministic_images_that_bedrock_embeds_are_counted() {
        let cohere = Play {
            path: "/model/cohere.embed-english-v3/invoke", request: r#"{"input_type":"image","images":["data:image/png;base64,aGk="]}"#,
            body: r#"{"embeddings":[[0.1]],"images":[{"width":10,"height":10}],"response_type":"embeddings_floats"}"#, ..BEDROCK
        };
        assert_eq!(counted(&trusted(&cohere)), [(Class::ImagesIn, 1)]);
        let nova = Play {
            path: "/model/amazon.nova-2-multimodal-embeddings-v1%3A0/invoke", body: r#"{"embeddings":[{"embeddingType":"IMAGE","embedding":[0.1]}]}"#,
            request: r#"{"taskType":"SINGLE_EMBEDDING","singleEmbeddingParams":{"image":{"format":"png","source":{"bytes":"aGk="}}}}"#, ..BEDROCK
        };
        assert_eq!(counted(&trusted(&nova)), [(Class::ImagesIn, 1)]);
        let stored = r#"{"taskType":"SINGLE_EMBEDDING","singleEmbeddingParams":{"image":{"source":{"s3Location":{"uri":"s3://b/c"}}}}}"#;
        assert_eq!(counted(&trusted(&Play { request: stored, ..nova })), [(Class::ImagesIn, 1)]);
    }

    fn deterministic_short_sounds_are_charged_as_ten_seconds_by_groq_alone() {
        let play = |host, body| Play { host, path: "/openai/v1/audio/transcriptions", request: "--b\r\n", body, ..Play::default() };
        let short = r#"{"task":"transcribe","duration":3.2,"text":"Hi"}"#;
        assert_eq!(counted(&trusted(&play("api.groq.com", short))), [(Class::AudioSeconds, 10)]);
        assert_eq!(counted(&trusted(&play("api.groq.com", r#"{"task":"transcribe","duration":11,"text":"Hi"}"#))), [(Class::AudioSeconds, 11)]);
        assert_eq!(counted(&trusted(&play("api.groq.com", r#"{"text":"Hi"}"#))), []);
        assert_eq!(counted(&trusted(&play("api.openai.com", short))), [(Class::AudioSeconds, 4)]);
    }

    fn contract_no_other_name_of_a_model_stands_above_the_one_that_is_read() {
        for (request, model) in [
            (r#"{"model":"dear","model_id":"cheap"}"#, "dear"),
            (r#"{"model_id":"cheap","servingMode":{"modelId":"cheap"},"model":"dear"}"#, "dear"),
            (r#"{"model_id":"own"}"#, "own"),
        ] {
            let record = trusted(&Play { request, body: CHAT_OF_NOBODY, ..Play::default() });
            assert_eq!(record.request_model.as_deref(), Some(model), "{request}");
        }
    }

    fn deterministic_speech_of_those_who_do_nothing_else_is_counted() {
        let eleven = Play { host: "api.elevenlabs.io", path: "/v1/text-to-speech/voice", request: r#"{"text":"Hello there.","model_id":"eleven_v3"}"#, content_type: "audio/mpeg", body: "\u{0}", ..BEDROCK };
        let record = trusted(&eleven);
        assert_eq!((counted(&record), record.request_model.as_deref()), (vec![(Class::Characters, 12)], Some("eleven_v3")));
        let deepgram = Play { host: "api.deepgram.com", path: "/v1/listen?punctuate=true&model=nova-3", request: "RIFF", body: r#"{"metadata":{"duration":59.2,"channels":1},"results":{}}"#, ..BEDROCK };
        let record = trusted(&deepgram);
        assert_eq!((counted(&record), record.request_model.as_deref()), (vec![(Class::AudioSeconds, 60)], Some("nova-3")));
    }

    fn deterministic_a_provider_that_took_an_unknown_path_is_named() {
        let rules = Detect { trust_host: true, ..DETECT };
        let took = |host: &str, path: &str, status| {
            let head = RequestHead { method: b"POST", host: host.as_bytes(), path: path.as_bytes(), content_encoding: None };
            let mut call = Call::begin(&head, &rules, 0).unwrap();
            call.response_head(&ResponseHead { status: Some(status), content_type: None, content_encoding: None });
            call.settle(&(), &rules);
            call.took_unknown_path()
        };
        assert_eq!(took("api.openai.com", "/v1/files", 200).as_deref(), Some("openai"));
        assert_eq!(took("api.openai.com", "/v1/files", 400), None, "it was not taken");
        assert_eq!(took("api.openai.com", "/v1/responses", 200), None, "it is known");
        assert_eq!(took("api.nobody.example", "/v1/files", 200), None);
    }

    fn deterministic_what_is_fetched_later_says_so() {
        let xai = Play { host: "api.x.ai", request: r#"{"model":"grok","deferred":true}"#, body: r#"{"request_id":"f15c"}"#, ..Play::default() };
        assert_eq!(trusted(&xai).deferred, Some(Deferred::Job));
        assert_eq!(trusted(&Play { request: r#"{"model":"grok","deferred":false}"#, ..xai }).deferred, None);
        assert_eq!(trusted(&Play { body: CHAT_OF_NOBODY, ..xai }).deferred, None, "it came at once");
        let azure = Play {
            host: "a.openai.azure.com", path: "/openai/v1/video/generations/jobs?api-version=preview",
            request: r#"{"model":"sora","width":1280,"height":720,"n_seconds":5,"n_variants":2}"#,
            body: r#"{"object":"video.generation.job","id":"t","status":"queued","n_seconds":5,"n_variants":2}"#, ..Play::default()
        };
        let record = trusted(&azure);
        assert_eq!((counted(&record), record.deferred, record.size.as_deref()), (vec![(Class::VideoSeconds, 10)], Some(Deferred::Job), Some("1280x720")));
    }

    fn deterministic_images_and_speech_are_counted_as_their_provider_says() {
        let ark = Play {
            host: "ark.ap-southeast.bytepluses.com", path: "/api/v3/images/generations", request: r#"{"model":"seedream"}"#,
            body: r#"{"model":"seedream","data":[{"url":"https://x"}],"usage":{"generated_images":1,"output_tokens":16384,"total_tokens":16384}}"#, ..Play::default()
        };
        let record = trusted(&ark);
        assert_eq!((counted(&record), record.usage.output_total(), record.unknown_usage), (vec![(Class::ImagesOut, 1)], Some(16384), None));
        let qwen = Play {
            host: "dashscope-intl.aliyuncs.com", path: "/api/v1/services/aigc/multimodal-generation/generation", request: r#"{"model":"qwen-image-plus","input":{}}"#,
            body: r#"{"output":{"choices":[{"message":{"content":[{"image":"https://x"}]}}]},"usage":{"width":1328,"image_count":1,"height":1328}}"#, ..Play::default()
        };
        let record = trusted(&qwen);
        assert_eq!((counted(&record), record.operation.as_str()), (vec![(Class::ImagesOut, 1)], "generate_content"));
        let words = r#"{"output":{},"usage":{"input_tokens":9,"output_tokens":3,"total_tokens":12}}"#;
        let record = trusted(&Play { body: words, ..qwen });
        assert_eq!((counted(&record), record.usage.input_total(), record.operation.as_str()), (vec![], Some(9), "chat"));
        let speech = Play {
            host: "api.minimax.io", path: "/v1/t2a_v2", request: r#"{"model":"speech-2.6-hd","text":"Hello there."}"#,
            body: r#"{"data":{"audio":"ff"},"extra_info":{"usage_characters":14},"base_resp":{"status_code":0}}"#, ..Play::default()
        };
        assert_eq!(counted(&trusted(&speech)), [(Class::Characters, 14)]);
        assert_eq!(counted(&trusted(&Play { host: "api.x.ai", path: "/v1/stt", request: "--b\r\n", body: r#"{"text":"Hi","duration":36.0}"#, ..speech })), [(Class::AudioSeconds, 36)]);
    }
}
