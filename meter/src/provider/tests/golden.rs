//! Golden vectors: counts as providers' responses had them, and what they mean.

use super::*;
use crate::provider::{Part, Target};

/// Reads a body as a call to this host and path would be.
#[track_caller]
fn golden(host: &str, path: &str, body: &str, classes: &[(Class, u64)]) -> Reading {
    let target = detect(b"POST", host.as_bytes(), path.as_bytes(), &DETECT, &()).unwrap();
    golden_of(&target, body, classes)
}

#[track_caller]
fn golden_of(target: &Target, body: &str, classes: &[(Class, u64)]) -> Reading {
    let mut facts = Facts::default();
    let mut reader = Body::new(None);
    reader.feed(response_paths(target.api, target.endpoint), body.as_bytes(), &mut facts);
    reader.end(response_paths(target.api, target.endpoint), &mut facts);
    let api = target.api.filter(|&api| has_counts(api, &facts)).or_else(|| shape(&facts)).or(target.api).unwrap();
    let reading = read(api, &facts, target);
    let mut expected: Vec<(Class, u64)> = classes.to_vec();
    expected.sort_unstable();
    assert_eq!(reading.usage.iter().collect::<Vec<_>>(), expected, "{body}");
    assert!(reading.complete, "{body}");
    reading
}

const GEMINI: (&str, &str) = ("generativelanguage.googleapis.com", "/v1beta/models/gemini-2.5-pro:generateContent");

#[track_caller]
fn gemini(usage: &str, classes: &[(Class, u64)]) -> Reading {
    golden(GEMINI.0, GEMINI.1, &format!("{{\"usageMetadata\":{usage}}}"), classes)
}

cases! {
    fn deterministic_gemini() {
        gemini(r#"{"promptTokenCount":29,"candidatesTokenCount":15,"thoughtsTokenCount":893,"totalTokenCount":937}"#,
            &[(InputText, 29), (OutputText, 15), (OutputReasoning, 893)]);
        gemini(r#"{"promptTokenCount":9622,"cachedContentTokenCount":9609,"candidatesTokenCount":35,"thoughtsTokenCount":136,"totalTokenCount":9793}"#,
            &[(InputText, 13), (CacheRead, 9609), (OutputText, 35), (OutputReasoning, 136)]);
        gemini(r#"{"promptTokenCount":85,"candidatesTokenCount":122,"toolUsePromptTokenCount":149,"thoughtsTokenCount":87,"totalTokenCount":443}"#,
            &[(InputText, 85), (InputTool, 149), (OutputText, 122), (OutputReasoning, 87)]);
        gemini(r#"{"promptTokenCount":5,"candidatesTokenCount":1518,"totalTokenCount":1523,"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1120}]}"#,
            &[(InputText, 5), (OutputImage, 1120), (OutputText, 398)]);
        gemini(r#"{"promptTokenCount":1344,"cachedContentTokenCount":1274,"candidatesTokenCount":99,"thoughtsTokenCount":74,"totalTokenCount":1517,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":54},{"modality":"DOCUMENT","tokenCount":1290}],
            "cacheTokensDetails":[{"modality":"TEXT","tokenCount":51},{"modality":"IMAGE","tokenCount":1223}]}"#,
            &[(InputText, 3), (InputImage, 67), (CacheRead, 51), (CacheReadImage, 1223), (OutputText, 99), (OutputReasoning, 74)]);
        let live = gemini(r#"{"promptTokenCount":25,"responseTokenCount":25,"totalTokenCount":50,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":608},{"modality":"AUDIO","tokenCount":25}],
            "responseTokensDetails":[{"modality":"AUDIO","tokenCount":25}]}"#,
            &[(InputAudio, 25), (InputText, 0), (OutputAudio, 25), (OutputText, 0)]);
        assert!(live.flags.is_empty());
        let stream = "data: {\"usageMetadata\":{\"trafficType\":\"ON_DEMAND\"}}\n\ndata: {\"usageMetadata\":{\"promptTokenCount\":7,\"candidatesTokenCount\":3,\"totalTokenCount\":10}}\n\n";
        golden(GEMINI.0, GEMINI.1, stream, &[(InputText, 7), (OutputText, 3)]);
        golden(GEMINI.0, "/v1beta/interactions", r#"{"usage":{"total_input_tokens":22,"total_output_tokens":590,"total_tool_use_tokens":198,"total_thought_tokens":1173,"total_tokens":1983}}"#,
            &[(InputText, 22), (InputTool, 198), (OutputText, 590), (OutputReasoning, 1173)]);
        let thoughts_in_total = r#"{"usage":{"prompt_tokens":35,"completion_tokens":12,"total_tokens":109}}"#;
        golden(GEMINI.0, "/v1beta/openai/chat/completions", thoughts_in_total, &[(InputText, 35), (OutputText, 12), (OutputReasoning, 62)]);
        golden("aiplatform.googleapis.com", "/v1/x/models/e:predict", r#"{"predictions":[{"embeddings":{"statistics":{"token_count":3.0}}},{"embeddings":{"statistics":{"token_count":4}}}]}"#,
            &[(InputText, 7)]);
    }

    fn deterministic_bedrock() {
        let host = "bedrock-runtime.us-east-1.amazonaws.com";
        golden(host, "/model/m/converse", r#"{"usage":{"inputTokens":10,"outputTokens":4,"totalTokens":7365,"cacheWriteInputTokens":7351,"cacheWriteInputTokenCount":7351,"cacheReadInputTokens":0,"cacheReadInputTokenCount":0,"cacheDetails":[{"ttl":"5m","inputTokens":7351}]}}"#,
            &[(InputText, 10), (CacheRead, 0), (CacheWrite5m, 7351), (CacheWrite1h, 0), (OutputText, 4)]);
        golden(host, "/model/m/converse", r#"{"usage":{"inputTokens":4995,"outputTokens":5,"totalTokens":5000,"cacheWriteInputTokens":4993}}"#,
            &[(InputText, 2), (CacheWrite5m, 4993), (OutputText, 5)]);
        golden(host, "/model/m/invoke", r#"{"inputTextTokenCount":5,"results":[{"tokenCount":8},{"tokenCount":9}]}"#, &[(InputText, 5), (OutputText, 17)]);
        golden(host, "/model/m/invoke", r#"{"prompt_token_count":11,"generation_token_count":12}"#, &[(InputText, 11), (OutputText, 12)]);
        golden(host, "/model/m/invoke", r#"{"type":"message","usage":{"input_tokens":3,"cache_read_input_tokens":4,"output_tokens":5}}"#,
            &[(InputText, 3), (CacheRead, 4), (OutputText, 5)]);
        // The vendor's own counts beat Bedrock's metrics; the metrics fill what is left out.
        golden(host, "/model/m/invoke-with-response-stream", "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":40,\"output_tokens\":1}}}{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":5}}{\"amazon-bedrock-invocationMetrics\":{\"inputTokenCount\":3,\"outputTokenCount\":5}}",
            &[(InputText, 3), (CacheRead, 40), (OutputText, 5)]);
        golden(host, "/model/m/invoke-with-response-stream", "{\"completion\":\"x\",\"amazon-bedrock-invocationMetrics\":{\"inputTokenCount\":3,\"outputTokenCount\":5,\"cacheReadInputTokenCount\":2}}",
            &[(InputText, 3), (CacheRead, 2), (OutputText, 5)]);
    }

    fn deterministic_compatible_vendors() {
        let chat = "/v1/chat/completions";
        golden("api.deepseek.com", chat, r#"{"usage":{"prompt_tokens":339,"completion_tokens":92,"total_tokens":431,"prompt_tokens_details":{"cached_tokens":320},"completion_tokens_details":{"reasoning_tokens":48},"prompt_cache_hit_tokens":320,"prompt_cache_miss_tokens":19}}"#,
            &[(InputText, 19), (CacheRead, 320), (OutputText, 44), (OutputReasoning, 48)]);
        let groq = "data: {\"choices\":[{}],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2,\"total_tokens\":6},\"x_groq\":{\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2,\"total_tokens\":6}}}\n\n";
        golden("api.groq.com", "/openai/v1/chat/completions", groq, &[(InputText, 4), (OutputText, 2)]);
        let moonshot = "data: {\"choices\":[{\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":30,\"total_tokens\":50,\"cached_tokens\":10}}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":30,\"total_tokens\":50}}\n\n";
        golden("api.moonshot.ai", chat, moonshot, &[(InputText, 10), (CacheRead, 10), (OutputText, 30)]);
        golden("x.services.ai.azure.com", "/models/chat/completions", r#"{"usage":{"prompt_tokens":19,"completion_tokens":1720,"total_tokens":1739,"prompt_tokens_details":null,"reasoning_tokens":0}}"#,
            &[(InputText, 19), (OutputText, 1720), (OutputReasoning, 0)]);
        golden("x.cloud.databricks.com", "/serving-endpoints/e/invocations", r#"{"usage":{"prompt_tokens":100,"completion_tokens":9,"total_tokens":109,"cache_read_input_tokens":60,"cache_creation_input_tokens":30}}"#,
            &[(InputText, 10), (CacheRead, 60), (CacheWriteOther, 30), (OutputText, 9)]);
        golden("dashscope-intl.aliyuncs.com", "/compatible-mode/v1/chat/completions", r#"{"usage":{"prompt_tokens":100,"completion_tokens":9,"total_tokens":109,"prompt_tokens_details":{"cached_tokens":20,"cache_creation_input_tokens":50}}}"#,
            &[(InputText, 30), (CacheRead, 20), (CacheWriteOther, 50), (OutputText, 9)]);
        golden("ai-gateway.vercel.sh", chat, r#"{"usage":{"prompt_tokens":5,"completion_tokens":10,"total_tokens":15,"completion_tokens_details":{"reasoning_tokens":90}}}"#,
            &[(InputText, 5), (OutputText, 10), (OutputReasoning, 90)]);
        golden("api.voyageai.com", "/v1/embeddings", r#"{"usage":{"total_tokens":12}}"#, &[(InputText, 12)]);
        golden("api.cloudflare.com", "/client/v4/accounts/a/ai/run/@cf/m", r#"{"result":{"response":"x","usage":{"prompt_tokens":3.0,"completion_tokens":4.0,"total_tokens":7.0}},"success":true}"#,
            &[(InputText, 3), (OutputText, 4)]);
    }

    fn deterministic_costs_that_providers_report() {
        let cost = |host: &str, path: &str, body: &str| {
            let mut facts = Facts::default();
            Body::new(None).feed(response_paths(None, Endpoint::Model), body.as_bytes(), &mut facts);
            assert!(detect(b"POST", host.as_bytes(), path.as_bytes(), &DETECT, &()).is_some());
            facts.cost()
        };
        assert_eq!(cost("api.x.ai", "/v1/chat/completions", r#"{"usage":{"cost_in_usd_ticks":1721250}}"#), Some(172_125));
        assert_eq!(cost("api.perplexity.ai", "/chat/completions", r#"{"usage":{"cost":{"request_cost":0.006,"total_cost":0.00614}}}"#), Some(6_140_000));
        assert_eq!(cost("openrouter.ai", "/api/v1/chat/completions", r#"{"usage":{"cost":0.00014}}"#), Some(140_000));
        assert_eq!(cost("openrouter.ai", "/api/v1/chat/completions", r#"{"usage":{"cost":-1}}"#), None);
    }

    fn deterministic_native_shapes() {
        golden("api.cohere.com", "/v2/chat", r#"{"usage":{"billed_units":{"input_tokens":119,"output_tokens":52},"tokens":{"input_tokens":1549,"output_tokens":103},"cached_tokens":992}}"#,
            &[(InputText, 119), (OutputText, 52), (CacheReadUnbilled, 992)]);
        golden("api.cohere.com", "/v2/rerank", r#"{"meta":{"billed_units":{"search_units":1}}}"#, &[(SearchUnits, 1)]);
        golden("localhost:11434", "/api/chat", "{\"done\":false}\n{\"done\":true,\"prompt_eval_count\":30,\"prompt_eval_cached_count\":10,\"eval_count\":7}\n",
            &[(InputText, 20), (CacheRead, 10), (OutputText, 7)]);
        golden("us-south.ml.cloud.ibm.com", "/ml/v1/text/generation", r#"{"results":[{"generated_token_count":8,"input_token_count":5}]}"#, &[(InputText, 5), (OutputText, 8)]);
        golden("tgi.internal", "/generate", r#"{"details":{"generated_tokens":75,"input_length":9}}"#, &[(InputText, 9), (OutputText, 75)]);
        golden("hunyuan.tencentcloudapi.com", "/", r#"{"Response":{"Usage":{"PromptTokens":3,"CompletionTokens":4,"TotalTokens":7}}}"#, &[(InputText, 3), (OutputText, 4)]);
        golden("api.openai.com", "/v1/audio/transcriptions", r#"{"text":"x","usage":{"type":"duration","seconds":3.2}}"#, &[(AudioSeconds, 4)]);
        golden("api.openai.com", "/v1/images/generations", r#"{"usage":{"input_tokens":50,"output_tokens":1056,"total_tokens":1106,"input_tokens_details":{"text_tokens":10,"image_tokens":40},"output_tokens_details":{"image_tokens":1056}}}"#,
            &[(InputText, 10), (InputImage, 40), (OutputImage, 1056), (OutputText, 0)]);
    }

    fn deterministic_anthropic_passes() {
        let messages = |usage: &str, classes: &[(Class, u64)]| {
            golden("api.anthropic.com", "/v1/messages", &format!("{{\"type\":\"message\",\"model\":\"top\",\"usage\":{usage}}}"), classes)
        };
        let compaction = messages(r#"{"input_tokens":612,"output_tokens":2819,"iterations":[{"type":"compaction","input_tokens":60385,"output_tokens":522},{"type":"message","input_tokens":612,"output_tokens":2819}]}"#,
            &[(InputText, 60_997), (OutputText, 3341)]);
        assert!(compaction.parts.is_empty());
        let advisor = messages(r#"{"input_tokens":4727,"output_tokens":3391,"iterations":[{"type":"message","input_tokens":1051,"output_tokens":35},{"type":"advisor_message","model":"adviser","input_tokens":2728,"output_tokens":3880},{"type":"message","input_tokens":3676,"output_tokens":3356}]}"#,
            &[(InputText, 4727), (OutputText, 3391)]);
        let part = |name: &str, model: &str, input, output| {
            let mut usage = Usage::default();
            usage.set(InputText, Some(input));
            usage.set(OutputText, Some(output));
            Part { name: name.into(), model: Some(model.into()), usage, flags: Flags::default() }
        };
        assert_eq!(advisor.parts, [part("advisor_message", "adviser", 2728, 3880)]);
        let fallback = messages(r#"{"input_tokens":412,"output_tokens":264,"iterations":[{"type":"message","model":"first","input_tokens":408,"output_tokens":0},{"type":"fallback_message","model":"second","input_tokens":412,"output_tokens":264}]}"#,
            &[(InputText, 412), (OutputText, 264)]);
        assert_eq!(fallback.parts, [Part { flags: Flags::default().with(Flag::NotBilled), ..part("declined", "first", 408, 0) }]);
    }
}
