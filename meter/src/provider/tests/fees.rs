//! What is paid for beside the tokens, and what changes their price: as responses have it, whole and in streams, split
//! anywhere.

use super::*;
use crate::provider::{Part, Target, unknown_usage};

/// What a response means, the same for any split.
#[track_caller]
pub(super) fn met(host: &str, path: &str, body: &str) -> (Facts, Reading, Target) {
    let target = detect(b"POST", host.as_bytes(), path.as_bytes(), &DETECT, &()).unwrap();
    let read_in = |piece: usize| {
        let mut facts = Facts::default();
        let mut reader = Body::new(None);
        body.as_bytes()
            .chunks(piece)
            .for_each(|piece| reader.feed(response_paths(target.api, target.endpoint), piece, &mut facts));
        reader.end(response_paths(target.api, target.endpoint), &mut facts);
        let api = target.api.filter(|&api| has_counts(api, &facts)).or_else(|| shape(&facts)).or(target.api).unwrap();
        let reading = read(api, &facts, &target);
        (facts, reading)
    };
    let (facts, reading) = read_in(usize::MAX);
    for piece in [1, 2, 7, 61] {
        let (other_facts, other) = read_in(piece);
        assert_eq!(other, reading, "in pieces of {piece}: {body}");
        assert_eq!(other_facts.unknown_item(), facts.unknown_item(), "in pieces of {piece}: {body}");
    }
    (facts, reading, target)
}

/// The units of a response, without its tokens.
#[track_caller]
pub(super) fn units(host: &str, path: &str, body: &str, expected: &[(Class, u64)]) -> Reading {
    let (_, reading, _) = met(host, path, body);
    let units = reading.usage.iter().filter(|(class, count)| class.kind() == wire::usage::Kind::Unit && *count > 0);
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(units.collect::<Vec<_>>(), expected, "{body}");
    reading
}

/// The tokens of a response.
#[track_caller]
pub(super) fn tokens(host: &str, path: &str, body: &str, expected: &[(Class, u64)]) -> Reading {
    let (_, reading, _) = met(host, path, body);
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let given = reading.usage.iter().filter(|(_, count)| *count > 0);
    assert_eq!(given.collect::<Vec<_>>(), expected, "{body}");
    reading
}

#[track_caller]
pub(super) fn unknown(host: &str, path: &str, body: &str) -> Option<String> {
    let (facts, reading, target) = met(host, path, body);
    unknown_usage(target.api.unwrap(), &facts, &reading)
}

pub(super) const OPENAI: (&str, &str) = ("api.openai.com", "/v1/responses");
pub(super) const CHAT: (&str, &str) = ("api.openai.com", "/v1/chat/completions");
const CLAUDE: (&str, &str) = ("api.anthropic.com", "/v1/messages");
const GEMINI_3: (&str, &str) =
    ("generativelanguage.googleapis.com", "/v1beta/models/gemini-3-pro:streamGenerateContent");
const USAGE: &str = r#""usage":{"input_tokens":9,"output_tokens":4,"total_tokens":13}"#;

/// A response with these items: as one object, and as a stream that ends with it.
fn responses(items: &str) -> [String; 3] {
    let list: Vec<&str> = items.split("\n").collect();
    let whole = format!(r#"{{"object":"response","output":[{}],{USAGE}}}"#, list.join(","));
    let event = |kind: &str, rest: &str| format!("data: {{\"type\":\"{kind}\",{rest}}}\n\n");
    let mut stream = event("response.created", r#""response":{"output":[],"usage":null}"#);
    for item in &list {
        stream += &event("response.output_item.added", &format!("\"item\":{item}"));
        stream += &event("response.output_item.done", &format!("\"item\":{item}"));
    }
    let closed = stream.clone() + &event("response.completed", &format!("\"response\":{whole}"));
    // Some servers leave the list out at the end.
    let bare = stream + &event("response.completed", &format!("\"response\":{{\"output\":[],{USAGE}}}"));
    [whole, closed, bare]
}

cases! {
    fn deterministic_calls_of_tools_are_counted_once() {
        let items = concat!(
            r#"{"type":"web_search_call","id":"a","status":"completed","action":{"type":"search","query":"x"}}"#, "\n",
            r#"{"id":"b","action":{"url":"x","type":"open_page"},"type":"web_search_call"}"#, "\n",
            r#"{"type":"web_search_call","id":"c","action":{"type":"find_in_page"}}"#, "\n",
            r#"{"type":"web_search_call","id":"d","status":"failed"}"#, "\n",
            r#"{"type":"web_search_call","id":"a","action":{"type":"search","query":"x"}}"#, "\n",
            r#"{"type":"web_search_call","id":"e","results":[{"id":"z","type":"file_search_call"}]}"#, "\n",
            r#"{"type":"file_search_call","id":"f"}"#, "\n",
            r#"{"type":"code_interpreter_call","id":"g","container_id":"one","code":"1"}"#, "\n",
            r#"{"container_id":"one","type":"code_interpreter_call","id":"h"}"#, "\n",
            r#"{"type":"code_interpreter_call","id":"i","container_id":"two"}"#, "\n",
            r#"{"type":"shell_call","id":"j","environment":{"type":"local"}}"#, "\n",
            r#"{"type":"shell_call","id":"k","environment":{"type":"container_reference","container_id":"three"}}"#, "\n",
            r#"{"type":"function_call","id":"l","name":"web_search_call"}"#);
        for body in responses(items) {
            units(OPENAI.0, OPENAI.1, &body, &[(WebSearches, 2), (FileSearches, 1), (ContainerSessions, 3)]);
        }
    }

    fn deterministic_the_usage_has_the_word_on_calls_of_tools() {
        let items = r#"{"type":"web_search_call","id":"a","action":{"type":"search"}}"#;
        for body in responses(items) {
            let told = body.replace(r#""total_tokens":13}"#, r#""total_tokens":13},"tool_usage":{"web_search":{"num_requests":3}}"#);
            units(OPENAI.0, OPENAI.1, &told, &[(WebSearches, 3)]);
            let xai = body.replace(r#""total_tokens":13"#, r#""total_tokens":13,"num_server_side_tools_used":5,"server_side_tool_usage_details":{"web_search_calls":0,"x_search_calls":3,"code_interpreter_calls":1,"document_search_calls":1}"#);
            units("api.x.ai", OPENAI.1, &xai, &[(XSearches, 3), (CodeExecutions, 1), (FileSearches, 1)]);
        }
        let sources = r#"{"object":"chat.completion","usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"num_sources_used":4}}"#;
        units("api.x.ai", "/v1/chat/completions", sources, &[(WebSearches, 4)]);
        let router = r#"{"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"server_tool_use_details":{"web_search_requests":2}}}"#;
        units("openrouter.ai", "/api/v1/chat/completions", router, &[(WebSearches, 2)]);
        let claude = r#"{"type":"message","usage":{"input_tokens":5,"output_tokens":2,"server_tool_use":{"web_search_requests":2,"web_fetch_requests":7,"code_execution_requests":1}}}"#;
        units(CLAUDE.0, CLAUDE.1, claude, &[(WebSearches, 2), (CodeExecutions, 1)]);
    }

    fn deterministic_what_groqs_systems_ran() {
        let groq = ("api.groq.com", "/openai/v1/chat/completions");
        let usage = r#""usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}"#;
        let run = r#"{"index":0,"type":"search","arguments":"{}","output":"x"},{"type":"search","index":1}"#;
        units(groq.0, groq.1, &format!(r#"{{"object":"chat.completion","choices":[{{"message":{{"executed_tools":[{run}]}}}}],{usage}}}"#), &[(WebSearches, 2)]);
        let begun = r#"data: {"choices":[{"delta":{"executed_tools":[{"type":"search","index":0,"arguments":"{}"}]}}]}"#;
        let stream = format!("{begun}\n\ndata: {{\"choices\":[{{\"delta\":{{\"executed_tools\":[{run}]}}}}]}}\n\ndata: {{\"object\":\"chat.completion.chunk\",{usage}}}\n\n");
        units(groq.0, groq.1, &stream, &[(WebSearches, 2)]);
        let visit = format!(r#"{{"object":"chat.completion","choices":[{{"message":{{"executed_tools":[{{"type":"visit","index":0}}]}}}}],{usage}}}"#);
        assert_eq!(unknown(groq.0, groq.1, &visit).as_deref(), Some("output.visit"));
    }

    fn deterministic_search_models_search_once_a_call() {
        for model in ["gpt-4o-mini-search-preview-2025-03-11", "gpt-5-search-api"] {
            let whole = format!(r#"{{"object":"chat.completion","model":"{model}","choices":[],"usage":{{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}}}"#);
            units(CHAT.0, CHAT.1, &whole, &[(WebSearches, 1)]);
            units(CHAT.0, CHAT.1, &format!("data: {whole}\n\ndata: [DONE]\n\n"), &[(WebSearches, 1)]);
        }
        // There was no response, so nothing was searched.
        units(CHAT.0, CHAT.1, r#"{"model":"gpt-5-search-api","error":{"type":"invalid_request_error"}}"#, &[]);
        units(CHAT.0, CHAT.1, r#"{"object":"chat.completion","model":"gpt-5-research","usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#, &[]);
    }

    fn deterministic_grounding_is_paid_by_the_query_or_by_the_prompt() {
        let chunk = |model: &str, queries: &str| {
            format!(r#"{{"candidates":[{{"groundingMetadata":{{"webSearchQueries":[{queries}]}}}}],"usageMetadata":{{"promptTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":7}},"modelVersion":"{model}"}}"#)
        };
        let queries = r#""one","two",""," ","one""#;
        for (model, paid) in [("gemini-3-flash-preview", 2), ("gemini-flash-latest", 2), ("gemini-2.5-pro", 1), ("gemini-1.5-flash", 1)] {
            units(GEMINI_3.0, GEMINI_3.1, &chunk(model, queries), &[(WebSearches, paid)]);
            // A stream says the same in several chunks, or goes on.
            let stream = format!("data: {}\n\ndata: {}\n\n", chunk(model, r#""one""#), chunk(model, queries));
            units(GEMINI_3.0, GEMINI_3.1, &stream, &[(WebSearches, paid)]);
            units(GEMINI_3.0, GEMINI_3.1, &chunk(model, r#""""#), &[]);
        }
        let maps = r#"{"candidates":[{"groundingMetadata":{"groundingChunks":[{"web":{"uri":"w"}},{"maps":{"uri":"u","title":"t"}},{"maps":{"uri":"v"}}]}}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":7}}"#;
        units(GEMINI_3.0, GEMINI_3.1, maps, &[(MapsSearches, 1)]);
        let steps = r#"{"steps":[{"type":"function_call","arguments":{"queries":["mine"]}},{"type":"google_search_call","arguments":{"queries":["a","b"]}},{"arguments":{"queries":["b"]},"type":"google_search_call"}],"usage":{"total_input_tokens":5,"total_output_tokens":2,"total_tokens":7}}"#;
        units(GEMINI_3.0, "/v1beta/interactions", steps, &[(WebSearches, 2)]);
        let counted = steps.replace(r#""total_tokens":7"#, r#""total_tokens":7,"grounding_tool_count":[{"type":"google_search","count":4},{"count":1,"type":"google_maps"}]"#);
        units(GEMINI_3.0, "/v1beta/interactions", &counted, &[(WebSearches, 4), (MapsSearches, 1)]);
    }

    fn deterministic_connectors_of_mistral() {
        let body = r#"{"object":"conversation.response","outputs":[{"type":"tool.execution","name":"web_search"}],"usage":{"prompt_tokens":188,"completion_tokens":55,"total_tokens":7355,"connector_tokens":7112,"connectors":{"web_search":1,"web_search_premium":2,"code_interpreter":3}}}"#;
        let path = "/v1/chat/completions";
        tokens("api.mistral.ai", path, body, &[(InputText, 188), (InputTool, 7112), (OutputText, 55), (WebSearches, 3), (CodeExecutions, 3)]);
        // Inside of the prompt, if the total says so.
        let inside = r#"{"usage":{"prompt_tokens":7300,"completion_tokens":55,"total_tokens":7355,"connector_tokens":7112}}"#;
        let reading = tokens("api.mistral.ai", path, inside, &[(InputText, 188), (InputTool, 7112), (OutputText, 55)]);
        assert!(reading.flags.is_empty(), "{:?}", reading.flags);
    }

    fn deterministic_images_of_a_tool_are_a_part() {
        let tools = r#""tools":[{"type":"function","name":"f","parameters":{"model":"no"}},{"type":"image_generation","model":"gpt-image-2"}]"#;
        let used = r#""tool_usage":{"image_gen":{"input_tokens":30,"input_tokens_details":{"image_tokens":10,"text_tokens":20},"output_tokens":7024,"output_tokens_details":{"image_tokens":7000},"total_tokens":7054}}"#;
        for body in responses(r#"{"type":"image_generation_call","id":"a","status":"completed"}"#) {
            let body = body.replace(USAGE, &format!("{USAGE},{tools},{used}"));
            let reading = units(OPENAI.0, OPENAI.1, &body, &[]);
            let mut usage = wire::usage::Usage::default();
            for (class, count) in [(InputText, 20), (InputImage, 10), (OutputText, 24), (OutputImage, 7000)] {
                usage.set(class, Some(count));
            }
            assert_eq!(reading.parts, [Part { name: "image_gen".into(), model: Some("gpt-image-2".into()), usage, flags: Flags::default() }]);
            assert_eq!(unknown(OPENAI.0, OPENAI.1, &body), None);
        }
        for body in responses(r#"{"type":"image_generation_call","id":"a","status":"completed"}"#) {
            assert_eq!(unknown(OPENAI.0, OPENAI.1, &body).as_deref(), Some("output.image_generation_call"));
            let zeros = used.replace("7024", "0").replace("7000", "0").replace("7054", "0").replace(":30,", ":0,").replace(":10,", ":0,").replace(":20}", ":0}");
            assert!(units(OPENAI.0, OPENAI.1, &body.replace(USAGE, &format!("{USAGE},{zeros}")), &[]).parts.is_empty());
        }
        let bare = responses("{}")[0].replace(USAGE, &format!("{USAGE},{used}"));
        assert_eq!(units(OPENAI.0, OPENAI.1, &bare, &[]).parts[0].model.as_deref(), Some("image_generation"), "never the model that responded");
    }

    fn deterministic_modifiers_of_the_price() {
        type Said = (Option<&'static str>, Option<&'static str>, Option<&'static str>);
        let said = |host: &str, path: &str, body: &str, expected: Said| {
            let (facts, ..) = met(host, path, body);
            assert_eq!((facts.service_tier.as_deref(), facts.speed.as_deref(), facts.inference_geo.as_deref()), expected, "{body}");
        };
        let fast = r#"{"input_tokens":1,"output_tokens":1,"service_tier":"standard","inference_geo":"us","speed":"fast"}"#;
        said(CLAUDE.0, CLAUDE.1, &format!(r#"{{"type":"message","usage":{fast}}}"#), (Some("standard"), Some("fast"), Some("us")));
        said(CLAUDE.0, CLAUDE.1, &format!("data: {{\"type\":\"message_start\",\"message\":{{\"usage\":{fast}}}}}\n\ndata: {{\"type\":\"message_delta\",\"usage\":{{\"output_tokens\":7}}}}\n\n"), (Some("standard"), Some("fast"), Some("us")));
        let vertex = r#"{"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"extra_properties":{"google":{"traffic_type":"PROVISIONED_THROUGHPUT"}}}}"#;
        said("aiplatform.googleapis.com", "/v1/p/endpoints/openapi/chat/completions", vertex, (Some("PROVISIONED_THROUGHPUT"), None, None));
        let bedrock = r#"{"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2},"serviceTier":{"type":"flex"},"performanceConfig":{"latency":"optimized"}}"#;
        said("bedrock-runtime.us-east-1.amazonaws.com", "/model/m/converse", bedrock, (Some("flex"), Some("optimized"), None));
        let header = |name: &str, value: &[u8], body: &str| {
            let (mut facts, ..) = met(GEMINI_3.0, GEMINI_3.1, body);
            let header = crate::provider::HEADERS.iter().find(|(known, _)| *known == name).unwrap().1;
            facts.header(header, value);
            facts.service_tier
        };
        for name in ["x-gemini-service-tier", "x-amzn-bedrock-service-tier"] {
            assert_eq!(header(name, b" priority ", "{}").as_deref(), Some("priority"));
            assert_eq!(header(name, b"", "{}"), None);
            assert_eq!(header(name, b"\xff\xfe", "{}"), None);
            assert!(header(name, &[b'x'; 5000], "{}").unwrap().len() <= 256);
        }
    }

    fn deterministic_a_refusal_before_any_output_is_not_billed() {
        let refusal = |output: u64, content: &str| format!(r#"{{"type":"message","content":[{content}],"stop_reason":"refusal","usage":{{"input_tokens":50106,"output_tokens":{output}}}}}"#);
        let free = tokens(CLAUDE.0, CLAUDE.1, &refusal(0, ""), &[(InputText, 50_106)]);
        assert_eq!(free.flags, [Flag::NotBilled]);
        assert_eq!(tokens(CLAUDE.0, CLAUDE.1, &refusal(4, ""), &[(InputText, 50_106), (OutputText, 4)]).flags, []);
        let stream = |first: u64, output: u64, text: &str| format!("data: {{\"type\":\"message_start\",\"message\":{{\"usage\":{{\"input_tokens\":50106,\"output_tokens\":{first}}}}}}}\n\n{text}data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"refusal\"}},\"usage\":{{\"output_tokens\":{output}}}}}\n\n");
        for first in [0, 1] {
            let free = tokens(CLAUDE.0, CLAUDE.1, &stream(first, 0, ""), &[(InputText, 50_106)]);
            assert_eq!(free.flags, [Flag::NotBilled], "{first}");
            assert_eq!(free.usage.output_total(), Some(0), "a stream's first count is taken back");
        }
        let text = "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Some\"}}\n\n";
        assert_eq!(tokens(CLAUDE.0, CLAUDE.1, &stream(1, 9, text), &[(InputText, 50_106), (OutputText, 9)]).flags, []);
        let ended = refusal(0, "").replace("refusal", "end_turn");
        assert_eq!(tokens(CLAUDE.0, CLAUDE.1, &ended, &[(InputText, 50_106)]).flags, []);
    }

    fn deterministic_what_the_endpoint_makes_is_no_text() {
        let image = ("api.openai.com", "/v1/images/edits");
        let usage = |details: &str| format!(r#"{{"usage":{{"total_tokens":5359,"input_tokens":3987,"input_tokens_details":{{"text_tokens":943,"image_tokens":3044}},"output_tokens":1372{details}}}}}"#);
        for details in ["", r#","output_tokens_details":null"#, r#","output_tokens_details":{"image_tokens":0,"text_tokens":0}"#] {
            tokens(image.0, image.1, &usage(details), &[(InputText, 943), (InputImage, 3044), (OutputImage, 1372)]);
        }
        tokens(image.0, image.1, &usage(r#","output_tokens_details":{"text_tokens":72}"#), &[(InputText, 943), (InputImage, 3044), (OutputText, 72), (OutputImage, 1300)]);
        tokens(image.0, image.1, &usage(r#","output_tokens_details":{"text_tokens":72,"image_tokens":1300}"#), &[(InputText, 943), (InputImage, 3044), (OutputText, 72), (OutputImage, 1300)]);
        let done = r#"data: {"type":"KIND","usage":{"input_tokens":14,"output_tokens":101,"total_tokens":115}}"#;
        tokens("api.openai.com", "/v1/audio/speech", &done.replace("KIND", "speech.audio.done"), &[(InputText, 14), (OutputAudio, 101)]);
        // Where the path says nothing, the event does.
        tokens("api.openai.com", "/v1/mine", &done.replace("KIND", "speech.audio.done"), &[(InputText, 14), (OutputAudio, 101)]);
        tokens("api.openai.com", "/v1/mine", &done.replace("KIND", "image_generation.completed"), &[(InputText, 14), (OutputImage, 101)]);
        tokens(OPENAI.0, OPENAI.1, r#"{"usage":{"input_tokens":14,"output_tokens":101,"total_tokens":115,"output_tokens_details":{"text_tokens":1}}}"#, &[(InputText, 14), (OutputText, 101)]);
        let speech = r#"{"modelVersion":"gemini-2.5-flash-preview-tts","usageMetadata":{"promptTokenCount":30,"candidatesTokenCount":9,"totalTokenCount":39}}"#;
        tokens(GEMINI_3.0, GEMINI_3.1, speech, &[(InputText, 30), (OutputAudio, 9)]);
        let modal = r#"{"usage":{"total_input_tokens":30,"input_tokens_by_modality":[{"modality":"text","tokens":10},{"modality":"audio","tokens":20}],"total_cached_tokens":5,"cached_tokens_by_modality":[{"modality":"audio","tokens":5}],"total_output_tokens":9,"output_tokens_by_modality":[{"tokens":9,"modality":"image"}],"total_tokens":39}}"#;
        tokens(GEMINI_3.0, "/v1beta/interactions", modal, &[(InputText, 10), (InputAudio, 15), (CacheReadAudio, 5), (OutputImage, 9)]);
        let numbered = r#"{"usageMetadata":{"promptTokenCount":30,"promptTokensDetails":[{"modality":1,"tokenCount":10},{"modality":4,"tokenCount":20}],"candidatesTokenCount":9,"totalTokenCount":39}}"#;
        tokens(GEMINI_3.0, GEMINI_3.1, numbered, &[(InputText, 10), (InputAudio, 20), (OutputText, 9)]);
    }

    fn deterministic_a_zero_in_one_place_hides_no_count_in_another() {
        let proxied = r#"{"usage":{"prompt_tokens":25169,"completion_tokens":95,"total_tokens":25264,"prompt_tokens_details":{"cached_tokens":0},"cache_read_input_tokens":25162,"cache_creation_input_tokens":0,"completion_tokens_details":{"reasoning_tokens":0},"reasoning_tokens":40}}"#;
        tokens("proxy.internal", "/v1/chat/completions", proxied, &[(InputText, 7), (CacheRead, 25_162), (OutputText, 55), (OutputReasoning, 40)]);
    }

    fn deterministic_thoughts_that_only_the_total_shows() {
        let vertex = ("us-central1-aiplatform.googleapis.com", "/v1/p/endpoints/openapi/chat/completions");
        let usage = |model: &str, usage: &str| format!(r#"{{"model":"{model}","usage":{usage}}}"#);
        tokens(vertex.0, vertex.1, &usage("google/gemini-2.5-flash", r#"{"prompt_tokens":7,"completion_tokens":3,"total_tokens":15}"#), &[(InputText, 7), (OutputText, 3), (OutputReasoning, 5)]);
        tokens(vertex.0, vertex.1, &usage("google/gemini-2.5-flash", r#"{"prompt_tokens":7,"total_tokens":9}"#), &[(InputText, 7), (OutputReasoning, 2)]);
        tokens("proxy.internal", CHAT.1, &usage("gemini-3-pro", r#"{"prompt_tokens":7,"completion_tokens":3,"total_tokens":15}"#), &[(InputText, 7), (OutputText, 3), (OutputReasoning, 5)]);
        for told in [r#"{"promptTokenCount":7,"totalTokenCount":9}"#, r#"{"promptTokenCount":3,"toolUsePromptTokenCount":4,"totalTokenCount":9}"#] {
            let (_, reading, _) = met(GEMINI_3.0, GEMINI_3.1, &format!(r#"{{"usageMetadata":{told}}}"#));
            assert_eq!((reading.usage.input_total(), reading.usage.get(OutputReasoning), &reading.flags[..]), (Some(7), Some(2), &[][..]));
        }
        let other = tokens(vertex.0, vertex.1, &usage("meta/llama", r#"{"prompt_tokens":7,"completion_tokens":3,"total_tokens":15}"#), &[(InputText, 7), (OutputText, 3)]);
        assert_eq!(other.flags, [Flag::TotalMismatch]);
    }

    fn deterministic_a_research_reasons_beside_its_completion() {
        let usage = |model: &str, reasoning: u64| format!(r#"{{"model":"{model}","usage":{{"prompt_tokens":108,"completion_tokens":3256,"total_tokens":3364,"citation_tokens":7299,"num_search_queries":74,"reasoning_tokens":{reasoning}}}}}"#);
        let perplexity = ("api.perplexity.ai", "/chat/completions");
        let expected = |reasoning| [(InputText, 108), (OutputText, 3256), (OutputReasoning, reasoning), (OutputCitation, 7299), (WebSearches, 74)];
        for reasoning in [73_248, 2_000] {
            let reading = tokens(perplexity.0, perplexity.1, &usage("sonar-deep-research", reasoning), &expected(reasoning));
            assert!(reading.flags.is_empty());
        }
        tokens("proxy.internal", CHAT.1, &usage("research", 73_248), &expected(73_248));
    }

    fn deterministic_servers_that_only_speak_like_anthropic() {
        let usage = |usage: &str| format!(r#"{{"type":"message","content":[],"usage":{usage}}}"#);
        let repeats = usage(r#"{"input_tokens":2020,"cache_creation_input_tokens":20,"cache_read_input_tokens":2000,"output_tokens":4}"#);
        tokens("omlx.local:8000", CLAUDE.1, &repeats, &[(CacheRead, 2000), (CacheWrite5m, 20), (OutputText, 4)]);
        // Anthropic's own input is always beside the cache.
        tokens(CLAUDE.0, CLAUDE.1, &repeats, &[(InputText, 2020), (CacheRead, 2000), (CacheWrite5m, 20), (OutputText, 4)]);
        let part = usage(r#"{"input_tokens":3700,"cache_read_input_tokens":3604,"prompt_tokens_details":{"cached_tokens":3604},"output_tokens":4}"#);
        tokens("dashscope.aliyuncs.com", CLAUDE.1, &part, &[(InputText, 96), (CacheRead, 3604), (OutputText, 4)]);
        tokens("dashscope.aliyuncs.com", CLAUDE.1, &part.replace(r#""cache_read_input_tokens":3604"#, r#""cache_read_input_tokens":0"#), &[(InputText, 96), (CacheRead, 3604), (OutputText, 4)]);
        tokens("dashscope.aliyuncs.com", CLAUDE.1, &part.replace("3700", "70"), &[(InputText, 70), (CacheRead, 3604), (OutputText, 4)]);
    }

    fn deterministic_local_servers() {
        let timings = r#"data: {"object":"chat.completion.chunk","choices":[{"delta":{}}],"timings":{"cache_n":236,"prompt_n":1,"prompt_ms":30.9,"predicted_n":35}}"#;
        tokens("llama.internal", CHAT.1, &format!("{timings}\n\ndata: [DONE]\n\n"), &[(InputText, 1), (CacheRead, 236), (OutputText, 35)]);
        let both = timings.replace("\"choices\"", r#""usage":{"prompt_tokens":240,"completion_tokens":35,"total_tokens":275},"choices""#);
        tokens("llama.internal", CHAT.1, &both, &[(InputText, 240), (OutputText, 35)]);
        let stats = r#"{"stats":{"input_tokens":419,"total_output_tokens":362,"reasoning_output_tokens":195}}"#;
        for body in [stats.to_owned(), format!("data: {{\"type\":\"chat.end\",\"result\":{stats}}}\n\n")] {
            tokens("lms.internal", "/api/v1/chat", &body, &[(InputText, 419), (OutputText, 167), (OutputReasoning, 195)]);
        }
    }

    fn deterministic_caches_of_openai_on_bedrock() {
        let host = "bedrock-runtime.us-east-1.amazonaws.com";
        let whole = r#"{"usage":{"inputTokens":2,"cacheWriteInputTokens":4993,"outputTokens":19,"totalTokens":5014}}"#;
        let streamed = r#"data: {"usage":{"inputTokens":4995,"cacheWriteInputTokens":4993,"outputTokens":19,"totalTokens":10007}}"#;
        let expected = [(InputText, 2), (CacheWrite5m, 4993), (OutputText, 19)];
        tokens(host, "/model/openai.gpt-5.5/converse", whole, &expected);
        tokens(host, "/model/us.openai.gpt-5.5/converse-stream", streamed, &expected);
        tokens(host, "/model/anthropic.claude/converse-stream", streamed, &[(InputText, 4995), (CacheWrite5m, 4993), (OutputText, 19)]);
    }

    fn deterministic_costs_on_a_key_of_the_callers_own() {
        let cost = |usage: &str| met("openrouter.ai", "/api/v1/chat/completions", &format!(r#"{{"usage":{usage}}}"#)).0.cost();
        assert_eq!(cost(r#"{"cost":0,"is_byok":true,"cost_details":{"upstream_inference_cost":0.0360795}}"#), Some(36_079_500));
        assert_eq!(cost(r#"{"cost_details":{"upstream_inference_cost":0.0360795},"is_byok":true,"cost":0.001}"#), Some(37_079_500));
        assert_eq!(cost(r#"{"cost":0,"cost_details":{"upstream_inference_cost":0.0360795}}"#), Some(36_079_500));
        // Without such a key the upstream's cost is part of the cost.
        assert_eq!(cost(r#"{"cost":0.04,"is_byok":false,"cost_details":{"upstream_inference_cost":0.0360795}}"#), Some(40_000_000));
        assert_eq!(cost(r#"{"cost":0.04,"cost_details":{"upstream_inference_cost":null}}"#), Some(40_000_000));
    }

    fn contract_nothing_that_is_counted_is_silent() {
        let names = |usage: &str| unknown(CHAT.0, CHAT.1, &format!(r#"{{"object":"chat.completion","usage":{{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,{usage}}}}}"#));
        assert_eq!(names(r#""smell_tokens":3"#).as_deref(), Some("smell_tokens"));
        assert_eq!(names(r#""prompt_tokens_details":{"smell_tokens":3,"cached_tokens":1},"tier":"gold""#).as_deref(), Some("prompt_tokens_details.smell_tokens,tier"));
        assert_eq!(names(r#""tools":[{"calls":0},{"calls":1},{"calls":2}]"#).as_deref(), Some("tools.calls"));
        for harmless in [r#""smell_tokens":0"#, r#""smell_tokens":null"#, r#""a":{},"b":[],"c":"","d":false,"e":0.0"#, r#""queue_time":0.5,"cost":0.1"#] {
            assert_eq!(names(harmless), None, "{harmless}");
        }
        // A count of another API, which this one does not read; but not the same count under another's name.
        assert_eq!(names(r#""output_tokens_details":{"thinking_tokens":77}"#).as_deref(), Some("output_tokens_details.thinking_tokens"));
        assert_eq!(names(r#""input_tokens":5,"output_tokens":2"#), None);
        let beside = |used: &str| unknown(OPENAI.0, OPENAI.1, &responses("{}")[0].replace(USAGE, &format!(r#"{USAGE},"tool_usage":{used}"#)));
        assert_eq!(beside(r#"{"image_gen":{"input_tokens":0},"smell":{"num_requests":2}}"#).as_deref(), Some("smell.num_requests"));
        assert_eq!(beside(r#"{"image_gen":{"input_tokens":3,"total_tokens":3},"web_search":{"num_requests":2},"smell":{"num_requests":0}}"#), None);
        for body in responses(r#"{"type":"smell_search_call","id":"a"}"#) {
            assert_eq!(unknown(OPENAI.0, OPENAI.1, &body).as_deref(), Some("output.smell_search_call"));
        }
        for body in responses(r#"{"type":"message","id":"a","content":[{"type":"anything"}]}"#) {
            assert_eq!(unknown(OPENAI.0, OPENAI.1, &body), None);
        }
    }

    fn contract_unknown_names_are_bounded_and_clean() {
        let member = |name: &str| format!(r#"{{"usage":{{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"{name}":1}}}}"#);
        let names = |name: &str| unknown(CHAT.0, CHAT.1, &member(name)).unwrap();
        assert_eq!(names("a b,\\n\\u0000ü\\\""), "a_b_____");
        assert!(names(&"x".repeat(5000)).len() <= 63);
        let many: String = (0..500).map(|number| format!("\"{}{number}\":1,", "y".repeat(80))).collect();
        let many = format!(r#"{{"usage":{{{many}"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}}}"#);
        assert!(unknown(CHAT.0, CHAT.1, &many).is_none_or(|names| names.len() <= 256 && names.split(',').count() <= 4));
        let deep = format!(r#"{{"usage":{{"prompt_tokens":5,"a":{}1{}}}}}"#, "[".repeat(3000), "]".repeat(3000));
        assert_eq!(unknown(CHAT.0, CHAT.1, &deep).as_deref(), Some("usage"));
    }

    fn contract_a_flood_of_items_is_bounded() {
        let item = |number: u32| format!(r#"{{"type":"web_search_call","id":"{number}","action":{{"type":"search"}}}},"#);
        let flood: String = (0..20_000).map(item).collect();
        let body = format!(r#"{{"object":"response","output":[{flood}null],{USAGE}}}"#);
        let read_all = |body: &str| {
            let mut facts = Facts::default();
            let mut reader = Body::new(None);
            body.as_bytes().chunks(4096).for_each(|piece| reader.feed(response_paths(None, Endpoint::Model), piece, &mut facts));
            reader.end(response_paths(None, Endpoint::Model), &mut facts);
            read(Api::OpenAiResponses, &facts, &Target::of(Api::OpenAiResponses))
        };
        let reading = read_all(&body);
        assert_eq!(reading.usage.get(WebSearches), Some(1024));
        assert_eq!(reading.flags, [Flag::BadValue]);
        let same = read_all(&body.replace(|c: char| c.is_ascii_digit(), "7"));
        assert!(same.usage.get(WebSearches) <= Some(5), "the same ids again and again are the same items");
    }
}
