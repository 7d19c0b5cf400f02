//! What a call can use at most, by its request.

use super::*;

fn call(host: &str, path: &str, body: &[u8], encoding: Option<&[u8]>) -> Call {
    let head =
        RequestHead { method: b"POST", host: host.as_bytes(), path: path.as_bytes(), content_encoding: encoding };
    let mut call = Call::begin(&head, &DETECT, 0).unwrap();
    call.request_body(body);
    call
}

fn bound(host: &str, path: &str, body: &str) -> Bound {
    call(host, path, body.as_bytes(), None).bound()
}

fn chat(body: &str) -> Bound {
    bound("api.openai.com", "/v1/chat/completions", body)
}

const GEMINI: (&str, &str) = ("generativelanguage.googleapis.com", "/v1beta/models/gemini-2.5-pro:generateContent");

cases! {
    fn contract_the_output_is_bounded_by_the_limit_of_its_own_api_for_all_responses() {
        let cases = [
            ("api.openai.com", "/v1/chat/completions", r#"{"max_tokens":5}"#, Some(6)),
            ("api.openai.com", "/v1/chat/completions", r#"{"max_completion_tokens":5,"n":3}"#, Some(18)),
            ("api.openai.com", "/v1/chat/completions", r#"{"max_tokens":5,"max_completion_tokens":7,"max_tokens":6}"#, Some(8)),
            ("api.openai.com", "/v1/chat/completions", r#"{"max_output_tokens":5}"#, None),
            ("api.openai.com", "/v1/chat/completions", r#"{"max_tokens":null}"#, None),
            ("api.openai.com", "/v1/chat/completions", r#"{"max_tokens":99999999999}"#, Some(u64::from(u32::MAX))),
            ("api.openai.com", "/v1/chat/completions", r#"{"max_tokens":5,"max_tokens":null}"#, None),
            ("api.openai.com", "/v1/chat/completions", r#"{"max_tokens":5,"max_tokens":"all"}"#, None),
            ("api.openai.com", "/v1/chat/completions", r#"{"max_tokens":null,"max_completion_tokens":5}"#, Some(6)),
            ("api.openai.com", "/v1/completions", r#"{"max_tokens":5,"n":2,"best_of":4}"#, Some(24)),
            ("api.openai.com", "/v1/chat/completions", r#"{"max_tokens":5,"n":null}"#, Some(6)),
            // Programs in Go take names in any case.
            ("api.openai.com", "/v1/chat/completions", r#"{"max_tokens":5,"MAX_TOKENS":9000}"#, None),
            ("api.openai.com", "/v1/chat/completions", r#"{"Max_Tokens":9000,"max_tokens":5}"#, None),
            ("api.openai.com", "/v1/chat/completions", r#"{"Max_\u0054okens":9000,"max_tokens":5}"#, None),
            ("api.openai.com", "/v1/chat/completions", r#"{"max_tokens":5,"N":2}"#, Some(6 * 16_384)),
            ("api.openai.com", "/v1/chat/completions", r#"{"max_tokens":5,"n":"two"}"#, Some(6 * 16_384)),
            ("api.openai.com", "/v1/completions", r#"{"max_tokens":5,"n":2,"prompt":["a","b","c"]}"#, Some(36)),
            ("api.openai.com", "/v1/completions", r#"{"max_tokens":5,"prompt":[[1,2],[3]]}"#, Some(12)),
            ("api.openai.com", "/v1/completions", r#"{"max_tokens":5,"prompt":[1,2,3]}"#, Some(6)),
            ("api.openai.com", "/v1/responses", r#"{"max_output_tokens":5}"#, Some(6)),
            ("api.openai.com", "/v1/responses", r#"{"max_tokens":5}"#, None),
            ("api.openai.com", "/v1/embeddings", r#"{"input":"x"}"#, Some(0)),
            ("api.openai.com", "/v1/images/generations", r#"{"n":2}"#, Some(16_384)),
            ("api.openai.com", "/v1/batches", r#"{"input_file_id":"x"}"#, Some(0)),
            ("api.anthropic.com", "/v1/messages", r#"{"max_tokens":5}"#, Some(6)),
            (GEMINI.0, GEMINI.1, r#"{"generationConfig":{"maxOutputTokens":5,"candidateCount":2}}"#, Some(12)),
            (GEMINI.0, GEMINI.1, r#"{"generationConfig":{"maxOutputTokens":5,"candidate_count":8}}"#, Some(48)),
            (GEMINI.0, GEMINI.1, r#"{"generation_config":{"maxOutputTokens":1,"max_output_tokens":90,"candidateCount":2}}"#, Some(182)),
            (GEMINI.0, GEMINI.1, r#"{"max_tokens":5}"#, None),
            (GEMINI.0, GEMINI.1, r#"{"generationConfig":{"maxOutputTokens":5},"generationConfig":{}}"#, None),
            (GEMINI.0, GEMINI.1, r#"{"generationConfig":{"maxOutputTokens":5},"generation_config":null}"#, None),
            (GEMINI.0, GEMINI.1, r#"{"generationConfig":{"maxOutputTokens":5},"GenerationConfig":{"maxOutputTokens":9}}"#, None),
            (GEMINI.0, GEMINI.1, r#"{"generationConfig":{},"generationConfig":{"maxOutputTokens":5}}"#, Some(6)),
            ("bedrock-runtime.us-east-1.amazonaws.com", "/model/m/converse", r#"{"inferenceConfig":{"maxTokens":5}}"#, Some(6)),
            ("api.cohere.com", "/v2/rerank", r#"{"query":"x"}"#, Some(0)),
        ];
        for (host, path, body, output) in cases {
            assert_eq!(bound(host, path, body).output, output, "{path} {body}");
        }
        // Longer than numbers are that are looked at.
        let zeros = "0".repeat(400);
        assert_eq!(chat(&format!(r#"{{"max_tokens":5,"n":16.{zeros}}}"#)).output, Some(6 * 16_384));
    }

    fn contract_the_input_is_bounded_by_the_bytes_that_the_model_can_read() {
        let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"How high is it?"}]}"#;
        assert_eq!(chat(body), Bound { input: body.len() as u64 + 1024, output: None, choices: 1, is_open: false });
        let tools = r#"{"tools":[{"type":"function","function":{"name":"f"}},{"type":"custom","name":"g"}]}"#;
        assert_eq!(chat(tools), Bound { input: tools.len() as u64 + 1024 + 1024, output: None, choices: 1, is_open: false });
        // An image takes what images take, however long its encoding is.
        let data = "A".repeat(160_000);
        let url = format!(r#"{{"type":"image_url","image_url":{{"url":"{data}"}}}}"#);
        let claude = format!(r#"{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}}"#);
        let nested = format!(r#"{{"type":"tool_result","content":[{claude}]}}"#);
        for (content, images) in [(url.clone(), 1), (format!("{url},{url}"), 2), (claude.clone(), 1), (nested, 1)] {
            let bound = chat(&format!(r#"{{"messages":[{{"content":[{content}]}}]}}"#));
            let rest = bound.input - images * 49_152;
            assert!(!bound.is_open && (1024..2000).contains(&rest), "{images} {bound:?}");
        }
        let input = format!(r#"{{"input":[{{"content":[{{"type":"input_image","image_url":"{data}"}},{{"type":"input_image","image_url":"{data}"}}]}}]}}"#);
        let responses = bound("api.openai.com", "/v1/responses", &input);
        assert!(!responses.is_open && (99_328..100_300).contains(&responses.input), "{responses:?}");
        for name in ["inlineData\":{\"mimeType", "inline_data\":{\"mime_type"] {
            let gemini = |kind: &str| bound(GEMINI.0, GEMINI.1, &format!(r#"{{"contents":[{{"parts":[{{"{name}":"{kind}","data":"{data}"}}}}]}}]}}"#));
            assert!(!gemini("image/png").is_open && gemini("image/png").input < 51_000, "{:?}", gemini("image/png"));
            assert!(gemini("application/pdf").is_open && gemini("video/mp4").is_open);
        }
        // What says that it is an image, beside something else, does not hide that.
        let both = format!(r#"{{"messages":[{{"content":[{claude},{{"type":"document","source":{{"type":"url","url":"x"}}}}]}}]}}"#);
        assert!(chat(&both).is_open);
    }

    fn contract_what_the_request_does_not_show_leaves_the_input_open() {
        let open = [
            r#"{"previous_response_id":"x"}"#,
            r#"{"input":[{"type":"item_reference","id":"x"}]}"#,
            r#"{"input":[{"content":[{"type":"input_image","file_id":"x"}]}]}"#,
            r#"{"input":[{"content":[{"type":"input_file","file_url":"https://x"}]}]}"#,
            r#"{"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"AAAA"}}]}]}"#,
            r#"{"tools":[{"type":"function","name":"f"},{"type":"web_search"}]}"#,
            r#"{"tools":[{}]}"#,
            r#"{"tools":[{"type":"custom","name":"f","allowed_callers":["direct","code_execution_20260120"]}]}"#,
            r#"{"model":"o3-deep-research"}"#,
            r#"{"data_sources":[{}]}"#,
            r#"{"Messages":[{"content":[{"type":"input_audio"}]}]}"#,
            r#"{"input":[{"id":"msg_1"}]}"#,
            r#"{"input":[{"id":"msg_1","type":null}]}"#,
            r#"{"input":[{"type":"message","type":"message","id":"a","content":"x"},{"id":"msg_1"}]}"#,
            r#"{"input":[{"type":"function_call_output","output":[{"type":"input_file","file_id":"x"}]}]}"#,
            r#"{"input":[{"type":"computer_call_output","output":{"type":"computer_screenshot","image_url":"x"}}]}"#,
            r#"{"messages":[{"content":[{"type":"file","file_id":"x"}]}]}"#,
            r#"{"messages":[{"content":[{"type":"input_video","input_video":{"url":"x"}}]}]}"#,
            r#"{"messages":[{"content":[{"type":"image","type":"document","source":{"type":"url","url":"x"}}]}]}"#,
            r#"{"messages":{"content":[]}}"#,
            r#"{"messages":[{"content":{"type":"text"}}]}"#,
            r#"{"model":"openai/gpt-4o:online"}"#,
            r#"{"preset":"x"}"#,
            r#"{"chat_template":"{% for i in range(9999) %}x{% endfor %}"}"#,
            r#"not JSON"#,
            "--form\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n",
        ];
        for body in open {
            assert!(bound("api.openai.com", "/v1/responses", body).is_open, "{body}");
        }
        let closed = [r#"{"tools":[]}"#, r#"{"response_format":{"type":"json_object"}}"#, r#"{"input":"x","stream":true}"#, "",
            r#"{"input":[{"role":"user","content":"x"},{"type":"message","id":"msg_1","content":[{"type":"output_text","text":"y"}]}]}"#,
            r#"{"input":[{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"x"}]},{"type":"function_call","id":"fc_1","arguments":"{}"}]}"#,
        ];
        for body in closed {
            assert_eq!(bound("api.openai.com", "/v1/responses", body).is_open, body == r#"{"tools":[]}"#, "{body}");
        }
        let claude = |tools: &str| bound("api.anthropic.com", "/v1/messages", &format!(r#"{{"tools":[{tools}]}}"#)).is_open;
        assert!(!claude(r#"{"name":"f","input_schema":{"type":"object"}},{"type":"custom","name":"g"}"#));
        assert!(claude(r#"{"name":"f"},{"type":"web_search_20250305","name":"web_search"}"#));
        let gemini = |tools: &str| bound(GEMINI.0, GEMINI.1, &format!(r#"{{"tools":[{tools}]}}"#)).is_open;
        assert!(!gemini(r#"{"functionDeclarations":[{"name":"f"}]}"#));
        assert!(gemini(r#"{"googleSearch":{}}"#));
        assert!(gemini(r#"{"functionDeclarations":[{"name":"f"}],"mcpServers":[{"name":"m"}]}"#));
        for contents in [r#"{"parts":[{"text":"x"}]}"#, r#"[{"parts":{"text":"x"}}]"#] {
            assert!(bound(GEMINI.0, GEMINI.1, &format!(r#"{{"contents":{contents}}}"#)).is_open, "{contents}");
        }
        assert!(gemini(r#"{"functionDeclarations":[{"name":"f"}]},{"google_search":{"a":[]}}"#));
        assert!(gemini(r#"{"functionDeclarations":[{"name":"f"}],"urlContext":{}}"#));
    }

    fn contract_a_compressed_request_is_as_long_as_what_is_in_it() {
        let body = format!(r#"{{"input":"{}"}}"#, "x ".repeat(5000));
        // Stored blocks: no compression, but a coding.
        let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1];
        let length = body.len() as u16;
        gzip.extend(length.to_le_bytes());
        gzip.extend((!length).to_le_bytes());
        gzip.extend(body.as_bytes());
        let call = call("api.openai.com", "/v1/embeddings", &gzip, Some(b"gzip"));
        assert_eq!(call.bound(), Bound { input: body.len() as u64 + 1024, output: Some(0), choices: 1, is_open: false });
        let unknown = super::bound::call("api.openai.com", "/v1/embeddings", &gzip, Some(b"pigeon"));
        assert!(unknown.bound().is_open);
    }

    fn contract_a_request_is_whole_when_its_value_is_and_a_call_when_it_says_so() {
        let mut call = call("llm.internal", "/v1/chat/completions", br#"{"messages":[],"#, None);
        assert!(!call.is_request_whole() && !call.is_sure());
        call.request_body(br#""model":"m"}"#);
        assert!(call.is_request_whole() && call.is_sure(), "no byte has to follow");
        let head = RequestHead { method: b"POST", host: b"x", path: b"/any", content_encoding: None };
        let mut shapeless = Call::begin(&head, &DETECT, 0).unwrap();
        shapeless.request_body(br#"{"model":"m","max_tokens":5}"#);
        assert!(!shapeless.is_sure(), "only its response can show it");
    }

    fn contract_who_will_respond_is_known_by_the_route_or_else_by_the_clients_word() {
        struct To(Option<&'static str>, &'static str);
        impl Destination for To {
            fn cluster(&self) -> Option<&str> { self.0 }
            fn route(&self) -> Option<&str> { None }
            fn host(&self) -> Option<String> { Some(self.1.to_owned()) }
            fn path(&self) -> Option<String> { None }
            fn certificate(&self) -> Option<String> { None }
        }
        let openai = call("api.openai.com", "/v1/chat/completions", b"{}", None);
        let provider = |to: To| openai.likely_provider(&to, &DETECT, None).into_owned();
        assert_eq!(provider(To(Some("api.anthropic.com"), "api.openai.com")), "anthropic");
        assert_eq!(provider(To(Some("egress"), "api.groq.com")), "groq", "the host is rewritten");
        assert_eq!(provider(To(Some("egress"), "api.openai.com")), "openai");
        let other = call("llm.internal", "/v1/chat/completions", b"{}", None);
        let of = |before: Option<&str>| other.likely_provider(&To(None, "llm.internal"), &DETECT, before.map(str::to_owned));
        assert_eq!((of(None), of(Some("gcp.gemini"))), ("openai_compatible".into(), "gcp.gemini".into()));
        // At a gateway the client asks for the gateway, and Envoy writes the provider's host behind the plugin.
        let gateway = call("127.0.0.1:10000", "/v1/chat/completions", b"{}", None);
        let provider = |cluster| gateway.likely_provider(&To(Some(cluster), "127.0.0.1:10000"), &DETECT, Some("azure".into())).into_owned();
        assert_eq!(provider("openai"), "openai");
        assert_eq!(provider("outbound|443||api.openai.com"), "openai");
        assert_eq!(provider("egress"), "azure", "who responded there before");
        // A client cannot name another one than the operator.
        let claims = call("api.groq.com", "/v1/chat/completions", b"{}", None);
        assert_eq!(claims.likely_provider(&To(Some("openai"), "api.groq.com"), &DETECT, Some("azure".into())), "openai");
    }

    fn contract_a_call_without_a_model_is_one_where_providers_respond() {
        struct Behind(&'static str);
        impl Destination for Behind {
            fn cluster(&self) -> Option<&str> { Some(self.0) }
            fn route(&self) -> Option<&str> { None }
            fn host(&self) -> Option<String> { None }
            fn path(&self) -> Option<String> { None }
            fn certificate(&self) -> Option<String> { None }
        }
        let nameless = call("127.0.0.1:10000", "/v1/chat/completions", br#"{"messages":[]}"#, None);
        assert!(!nameless.is_sure());
        for (cluster, has_responded, is_likely) in [("openai", false, true), ("gate", false, false), ("gate", true, true)] {
            assert_eq!(nameless.is_likely(&Behind(cluster), has_responded), is_likely, "{cluster}");
        }
        let other = call("127.0.0.1:10000", "/upload", b"{}", None);
        assert!(!other.is_likely(&Behind("openai"), true), "only its response can show it");
    }

    fn contract_a_model_in_the_path_makes_a_call_as_one_in_the_body_does() {
        for path in ["/gemini/v1beta/models/gemini-2.5-pro:generateContent", "/model/m/converse", "/openai/deployments/d/chat/completions"] {
            assert!(call("127.0.0.1:10000", path, b"{}", None).is_sure(), "{path}");
        }
        assert!(!call("127.0.0.1:10000", "/v1/chat/completions", b"{}", None).is_sure(), "nobody's request");
    }
}
