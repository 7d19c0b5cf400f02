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
