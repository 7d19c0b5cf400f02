//! Responses that break off: whoever hangs up before the counts owes what was read for them and what was delivered.

use super::*;

/// 1,000 words: about as many tokens.
fn words() -> String {
    "word ".repeat(1000)
}

/// A cut call with a request of some 400 tokens; `TEXT` in the body stands for 1,000 words.
#[track_caller]
fn cut(host: &str, path: &str, body: &str) -> Record {
    let request = format!(
        r#"{{"model":"m","stream":true,"messages":[{{"role":"user","content":"{0}"}}],"input":"{0}","contents":[{{"parts":[{{"text":"{0}"}}]}}],"prompt":"{0}"}}"#,
        "ask ".repeat(400)
    );
    let body = body.replace("TEXT", &words()).replace("BASE64", &"A".repeat(40_000));
    let content_type = if body.starts_with("data") { "text/event-stream" } else { "application/json" };
    let play =
        Play { host, path, request: &request, content_type, body: &body, cut: Some(Cut::Client), ..Play::default() };
    let record = play.run_split(usize::MAX).expect("a call");
    assert_eq!(play.run_split(61).as_ref(), Some(&record), "{path}: {body:.80}");
    record
}

const OPENAI: &str = "api.openai.com";
const CHAT_PATH: &str = "/v1/chat/completions";
const GEMINI_PATH: &str = "/v1beta/models/gemini-2.5-pro:streamGenerateContent";

/// A chunk of a chat.
fn delta(members: &str) -> String {
    format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4.1\",\"choices\":[{{\"index\":0,\"delta\":{{{members}}},\"finish_reason\":null}}]}}\n\n"
    )
}

fn event(json: &str) -> String {
    format!("data: {json}\n\n")
}

cases! {
    fn contract_what_was_delivered_is_estimated_in_whatever_member_it_stands() {
        let created = event(r#"{"type":"response.created","response":{"id":"r","object":"response","model":"gpt-5"}}"#);
        let bodies = [
            (OPENAI, CHAT_PATH, delta(r#""role":"assistant","content":"TEXT""#)),
            (OPENAI, CHAT_PATH, delta(r#""tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"TEXT"}}]"#)),
            (OPENAI, CHAT_PATH, delta(r#""tool_calls":[{"index":0,"type":"custom","custom":{"name":"f","input":"TEXT"}}]"#)),
            (OPENAI, CHAT_PATH, delta(r#""function_call":{"name":"f","arguments":"TEXT"}"#)),
            (OPENAI, CHAT_PATH, delta(r#""audio":{"id":"audio_1","transcript":"TEXT"}"#)),
            (OPENAI, CHAT_PATH, delta(r#""reasoning_details":[{"type":"reasoning.text","text":"TEXT","format":"x","index":0}]"#)),
            (OPENAI, CHAT_PATH, delta(r#""reasoning":"TEXT","reasoning_details":[{"type":"reasoning.text","text":"TEXT"}]"#)),
            (OPENAI, CHAT_PATH, delta(r#""content":[{"type":"text","text":"TEXT"}]"#)),
            (OPENAI, CHAT_PATH, delta(r#""content":[{"type":"thinking","thinking":[{"type":"text","text":"TEXT"}]}]"#)),
            (OPENAI, CHAT_PATH, delta(r#""content":null,"nobody_knows":{"this":[{"yet":"TEXT"}]}"#)),
            (OPENAI, CHAT_PATH, delta(r#""content":null},"logprobs":{"content":[{"token":"TEXT"}]},"x":{"#)),
            (OPENAI, "/v1/responses", created.clone() + &event(r#"{"type":"response.output_text.delta","delta":"TEXT"}"#)),
            (OPENAI, "/v1/responses", created.clone() + &event(r#"{"type":"response.output_text.done","text":"TEXT"}"#)),
            (OPENAI, "/v1/responses", created.clone() + &event(r#"{"type":"response.content_part.done","part":{"type":"output_text","text":"TEXT"}}"#)),
            (OPENAI, "/v1/responses", created.clone() + &event(r#"{"type":"response.output_item.done","item":{"type":"function_call","name":"f","arguments":"TEXT"}}"#)),
            (OPENAI, "/v1/responses", created.clone() + &event(r#"{"type":"response.output_item.done","item":{"type":"shell_call","action":{"commands":["TEXT"]}}}"#)),
            // One text, three times.
            (OPENAI, "/v1/responses", created.clone() + &event(r#"{"type":"response.output_text.delta","delta":"TEXT"}"#) + &event(r#"{"type":"response.output_text.done","text":"TEXT"}"#)
                + &event(r#"{"type":"response.output_item.done","item":{"type":"message","content":[{"type":"output_text","text":"TEXT"}]}}"#)),
            (OPENAI, "/v1/responses", r#"{"id":"r","object":"response","model":"gpt-5","output":[{"type":"custom_tool_call","input":"TEXT"}]"#.to_owned()),
            ("api.anthropic.com", "/v1/messages", event(r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"TEXT"}}"#)),
            ("api.anthropic.com", "/v1/messages", event(r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"TEXT"}}"#)),
            ("api.anthropic.com", "/v1/messages", r#"{"type":"message","content":[{"type":"tool_use","id":"t","name":"f","input":{"a":"TEXT"}}]"#.to_owned()),
            ("api.cohere.com", "/v2/chat", event(r#"{"type":"tool-plan-delta","delta":{"message":{"tool_plan":"TEXT"}}}"#)),
            ("api.cohere.com", "/v2/chat", event(r#"{"type":"tool-call-delta","delta":{"message":{"tool_calls":{"function":{"arguments":"TEXT"}}}}}"#)),
            ("api.cohere.com", "/v2/chat", event(r#"{"type":"content-delta","delta":{"message":{"content":{"thinking":"TEXT"}}}}"#)),
            ("generativelanguage.googleapis.com", GEMINI_PATH, event(r#"{"candidates":[{"content":{"parts":[{"text":"TEXT"}]}}]}"#)),
            ("generativelanguage.googleapis.com", GEMINI_PATH, event(r#"{"candidates":[{"content":{"parts":[{"executableCode":{"language":"PYTHON","code":"TEXT"}}]}}]}"#)),
            ("generativelanguage.googleapis.com", GEMINI_PATH, event(r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":"TEXT"}}}]}}]}"#)),
            ("llm.internal", "/api/chat", r#"{"model":"l","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":"TEXT"}}}]},"done":false}"#.to_owned() + "\n"),
            ("bedrock-runtime.us-east-1.amazonaws.com", "/model/m/converse", r#"{"output":{"message":{"role":"assistant","content":[{"toolUse":{"toolUseId":"t","name":"f","input":{"a":"TEXT"}}}]}}"#.to_owned()),
        ];
        for (host, path, body) in bodies {
            let record = cut(host, path, &body);
            assert_eq!(record.evidence, Evidence::Estimated, "{body}");
            assert!(record.usage.input_total() >= Some(400), "{body}: {:?}", record.usage.input_total());
            // Bytes by four, or words.
            let output = record.usage.output_total();
            assert!((Some(990)..Some(1400)).contains(&output), "{body}: {output:?}");
        }
    }

    fn contract_what_is_no_text_of_the_model_is_not_estimated_as_such() {
        for body in [
            delta(r#""content":"Hi.","id":"TEXT","reasoning_details":[{"type":"reasoning.encrypted","data":"BASE64"}]"#),
            delta(r#""content":"Hi.","annotations":[{"type":"url_citation","url_citation":{"title":"TEXT"}}]"#),
            delta(r#""content":"Hi.","images":[{"image_url":{"url":"data:image/png;base64,BASE64"}}]"#),
            delta(r#""content":"Hi.","audio":{"data":"BASE64"}"#),
            event(r#"{"type":"content_block_start","content_block":{"type":"web_search_tool_result","content":[{"title":"TEXT","encrypted_content":"BASE64"}]}}"#) + &event(r#"{"type":"content_block_delta","delta":{"text":"Hi."}}"#),
            event(r#"{"type":"response.output_item.done","item":{"type":"file_search_call","results":[{"text":"TEXT"}]}}"#) + &event(r#"{"type":"response.output_text.delta","delta":"Hi."}"#),
        ] {
            let record = cut("llm.internal", CHAT_PATH, &body);
            assert!(record.usage.output_total() <= Some(3), "{body}: {:?}", record.usage.output_total());
        }
    }

    fn contract_what_the_providers_tools_have_and_found_is_not_estimated() {
        for item in [
            r#"{"type":"mcp_list_tools","server_label":"s","tools":[{"name":"TEXT","description":"TEXT","input_schema":{"type":"object","properties":{"q":{"description":"TEXT"}}}}]}"#,
            r#"{"type":"mcp_list_tools","server_label":"s","tools":[],"error":"TEXT"}"#,
            r#"{"type":"tool_search_output","execution":"server","tools":[{"type":"function","name":"f","description":"TEXT","parameters":{"type":"object","description":"TEXT"}}]}"#,
            r#"{"type":"mcp_call","name":"f","arguments":"","error":{"type":"mcp_tool_execution_error","content":[{"type":"text","text":"TEXT"}]}}"#,
            r#"{"type":"mcp_call","name":"f","arguments":"","output":"TEXT","error":null}"#,
            r#"{"type":"function_call_output","call_id":"c","output":"TEXT"}"#,
            r#"{"type":"custom_tool_call_output","call_id":"c","output":[{"type":"input_text","text":"TEXT"}]}"#,
            r#"{"type":"local_shell_call_output","id":"c","output":"TEXT"}"#,
            r#"{"type":"shell_call_output","call_id":"c","output":[{"stdout":"TEXT","stderr":"TEXT","outcome":{"type":"exit","exit_code":0}}]}"#,
            r#"{"type":"apply_patch_call_output","call_id":"c","output":"TEXT"}"#,
            r#"{"type":"computer_call_output","call_id":"c","acknowledged_safety_checks":[{"code":"c","message":"TEXT"}],"output":{"type":"computer_screenshot","image_url":"BASE64"}}"#,
            r#"{"type":"computer_call","call_id":"c","pending_safety_checks":[{"code":"c","message":"TEXT"}]}"#,
            r#"{"type":"web_search_call","action":{"type":"search","sources":[{"type":"url","title":"TEXT"}]}}"#,
            r#"{"type":"fetch_url_results","contents":[{"title":"TEXT","snippet":"TEXT"}]}"#,
            r#"{"type":"shell_call","action":{"commands":["ls"]},"environment":{"type":"local","skills":[{"name":"s","description":"TEXT"}]}}"#,
        ] {
            let written = event(r#"{"type":"response.output_text.delta","delta":"Hi."}"#);
            for body in [
                event(&format!(r#"{{"type":"response.output_item.done","item":{item}}}"#)) + &written,
                event(&format!(r#"{{"type":"response.incomplete","response":{{"object":"response","output":[{item}]}}}}"#)) + &written,
                format!(r#"{{"object":"response","output":[{item},{{"type":"message","content":[{{"type":"output_text","text":"Hi."}}]}}]"#),
            ] {
                let output = cut(OPENAI, "/v1/responses", &body).usage.output_total();
                assert!((Some(1)..=Some(8)).contains(&output), "{body}: {output:?}");
            }
        }
        for part in [
            r#""toolResponse":{"id":"t","response":{"r":"TEXT"}}"#,
            r#""tool_response":{"id":"t","response":{"r":"TEXT"}}"#,
            r#""functionResponse":{"name":"f","response":{"r":"TEXT"}}"#,
            r#""codeExecutionResult":{"outcome":"OUTCOME_OK","output":"TEXT"}"#,
        ] {
            let body = event(&format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"Hi."}},{{{part}}}]}}}}]}}"#));
            let output = cut("generativelanguage.googleapis.com", GEMINI_PATH, &body).usage.output_total();
            assert!((Some(1)..=Some(3)).contains(&output), "{body}: {output:?}");
        }
        let body = r#"{"output":{"message":{"content":[{"text":"Hi."},{"toolResult":{"toolUseId":"t","content":[{"text":"TEXT"}]}}]}}"#;
        let output = cut("bedrock-runtime.us-east-1.amazonaws.com", "/model/m/converse", body).usage.output_total();
        assert!((Some(1)..=Some(3)).contains(&output), "{output:?}");
    }

    fn contract_the_model_asks_for_tools_in_words_of_its_own() {
        for item in [
            r#"{"type":"mcp_call","name":"f","arguments":"TEXT","error":{"content":[{"text":"TEXT"}]}}"#,
            r#"{"type":"mcp_approval_request","name":"f","arguments":"TEXT"}"#,
            r#"{"type":"tool_search_call","execution":"client","arguments":{"goal":"TEXT"}}"#,
            r#"{"type":"local_shell_call","action":{"type":"exec","command":["bash","TEXT"]}}"#,
            r#"{"type":"computer_call","action":{"type":"type","text":"TEXT"},"pending_safety_checks":[{"message":"TEXT"}]}"#,
        ] {
            let body = event(&format!(r#"{{"type":"response.output_item.done","item":{item}}}"#));
            let output = cut(OPENAI, "/v1/responses", &body).usage.output_total();
            assert!((Some(990)..Some(1400)).contains(&output), "{body}: {output:?}");
        }
        // Whoever names a member of the arguments so has it written all the same.
        let body = event(r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"toolResponse":"TEXT"}}},{"toolCall":{"id":"t","toolType":"X","args":{"tools":"TEXT"}}}]}}]}"#);
        let output = cut("generativelanguage.googleapis.com", GEMINI_PATH, &body).usage.output_total();
        assert!((Some(1990)..Some(2800)).contains(&output), "{output:?}");
    }

    fn contract_cohere_s_first_api_is_estimated_in_each_of_its_formats() {
        let pieces = |head: &str, tail: &str| {
            let piece = format!(r#"{{"is_finished":false,"event_type":"text-generation","text":"{}"}}"#, "word ".repeat(10));
            vec![format!("{head}{piece}{tail}"); 100].concat()
        };
        let calls = r#""tool_calls":[{"name":"f","parameters":{"a":"TEXT"}}]"#;
        let chunk = r#"{"is_finished":false,"event_type":"tool-calls-chunk","tool_call_delta":{"index":0,"parameters":"TEXT"}}"#;
        let found = r#"{"event_type":"search-results","documents":[{"id":"d","snippet":"TEXT"}]}"#;
        // How many times 1,000 words it has.
        for (path, body, times) in [
            ("/v1/chat", pieces("", "\n"), 1),
            ("/v1/chat", pieces("data: ", "\n\n"), 1),
            ("/v1/generate", pieces("", "\n"), 1),
            ("/v1/chat", format!("{found}\n{}", pieces("", "\n")), 1),
            ("/v1/chat", r#"{"response_id":"r","text":"TEXT","generation_id":"g""#.to_owned(), 1),
            ("/v1/chat", r#"{"response_id":"r","text":"TEXT","chat_history":[{"role":"CHATBOT","message":"TEXT"}]"#.to_owned(), 1),
            ("/v1/chat", format!(r#"{{"response_id":"r","text":"",{calls}"#), 1),
            ("/v1/chat", format!(r#"{{"response_id":"r","text":"TEXT",{calls}"#), 2),
            ("/v1/chat", format!("{chunk}\n"), 1),
            ("/v1/chat", format!("{chunk}\n{{\"event_type\":\"tool-calls-generation\",{calls}}}\n"), 1),
            ("/v1/chat", format!("{}{chunk}\n{{\"event_type\":\"tool-calls-generation\",{calls}}}\n", pieces("", "\n")), 2),
            ("/v1/generate", r#"{"id":"g","generations":[{"id":"h","text":"TEXT"}]"#.to_owned(), 1),
        ] {
            let record = cut("api.cohere.com", path, &body);
            let output = record.usage.output_total();
            assert_eq!((record.evidence, record.api.as_str()), (Evidence::Estimated, "cohere"), "{body:.90}");
            assert!((Some(990 * times)..Some(1400 * times)).contains(&output), "{path} {body:.90}: {output:?}");
        }
        // What was heard is sold by the second: its text is no output.
        let record = cut(OPENAI, "/v1/audio/transcriptions", r#"{"text":"TEXT""#);
        assert_eq!(record.usage.output_total(), None);
    }

    fn contract_a_call_whose_response_began_owes_its_input() {
        for (host, path, body) in [
            (OPENAI, CHAT_PATH, ": waiting\n\n"), (OPENAI, CHAT_PATH, ""),
            (OPENAI, "/v1/embeddings", r#"{"object":"list","data":[{"object":"embedding","embedding":"BASE64"},"#),
            (OPENAI, "/v1/images/generations", "data: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"BASE64\"}\n\n"),
            ("api.voyageai.com", "/v1/rerank", r#"{"results":[{"index":0,"#),
            ("generativelanguage.googleapis.com", GEMINI_PATH, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"BASE64\"}}]}}]}\n\n"),
        ] {
            let record = cut(host, path, body);
            assert_eq!((record.evidence, record.usage.output_total()), (Evidence::Estimated, None), "{path} {body:.60}");
            assert!(record.usage.input_total() >= Some(400), "{path} {body:.60}");
            let has_image = body.contains("b64_json") || body.contains("inlineData");
            assert_eq!(record.flags.contains(Flag::UnknownUsage), has_image, "{path} {body:.60}: {:?}", record.unknown_usage);
        }
        // What is sold in units is owed in them.
        let record = cut("api.cohere.com", "/v2/rerank", r#"{"results":[{"index":0,"#);
        assert_eq!((record.evidence, record.usage.get(Class::SearchUnits)), (Evidence::Estimated, Some(1)));
        let form = format!("--B\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nMODEL\r\n--B\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\n{}\r\n--B--\r\n", "x".repeat(160_000));
        for (model, class, count) in [("whisper-1", Class::AudioSeconds, 11), ("gpt-4o-transcribe", Class::InputAudio, 110)] {
            let request = form.replace("MODEL", model);
            let record = Play { path: "/v1/audio/transcriptions", request: &request, body: "{\"te", cut: Some(Cut::Client), ..Play::default() }.run_split(7).unwrap();
            assert_eq!((record.evidence, record.usage.get(class)), (Evidence::Estimated, Some(count)), "{model}");
        }
        // Twenty images, each of which the model reads.
        let image = r#"{"type":"image_url","image_url":{"url":"https://x/y.png"}}"#;
        let request = format!(r#"{{"model":"gpt-4.1","stream":true,"messages":[{{"role":"user","content":[{}]}}]}}"#, [image; 20].join(","));
        let record = Play { request: &request, body: &delta(r#""content":"A cat.""#), cut: Some(Cut::Client), ..Play::default() }.run_split(7).unwrap();
        assert_eq!(record.usage.input_total(), Some(20_000));
        // Errors, and what has not broken off, owe nothing.
        let refused = Play { status: Some(429), body: "{\"er", cut: Some(Cut::Client), ..Play::default() }.run().unwrap();
        let whole = Play { body: ": waiting\n\n", ..Play::default() }.run().unwrap();
        for record in [refused, whole] {
            assert_eq!((record.evidence, record.usage.is_empty()), (Evidence::Missing, true));
        }
    }

    fn contract_units_of_a_response_that_broke_off_are_not_called_reported() {
        let body = r#"{"created":1,"data":[{"b64_json":"BASE64"},{"b64_json":"BASE64"},{"b64_json":"BA"#;
        let record = cut(OPENAI, "/v1/images/generations", body);
        assert_eq!((record.evidence, record.usage.get(Class::ImagesOut)), (Evidence::Estimated, Some(2)));
        assert_eq!((record.usage.input_total(), record.unknown_usage), (None, None), "sold by the image");
        let request = r#"{"model":"gpt-image-1","prompt":"a cat and another cat","n":3}"#;
        let play = Play { path: "/v1/images/generations", request, body, cut: Some(Cut::Client), ..Play::default() };
        let record = play.run().unwrap();
        assert_eq!((record.usage.get(Class::ImagesOut), record.usage.input_total()), (Some(2), Some(6)));
        assert_eq!(record.unknown_usage.as_deref(), Some("output.image"));
        let whole = Play { path: "/v1/images/generations", body: r#"{"created":1,"data":[{"b64_json":"AA"}]}"#, ..Play::default() }.run().unwrap();
        assert_eq!((whole.evidence, whole.usage.get(Class::ImagesOut)), (Evidence::Reported, Some(1)));
    }
}
