//! Prompts in every member that a model reads: none is free for the place it stands in.

use super::*;

/// A prompt of 16,000 bytes, about 4,000 tokens.
fn prompt() -> String {
    "word ".repeat(3200)
}

/// The estimated input of a cut call; `TEXT` in the request stands for the prompt.
#[track_caller]
fn input(path: &str, request: &str) -> u64 {
    let request = request.replace("TEXT", &prompt()).replace("BASE64", &"QUJD".repeat(10_000));
    let host = if path.contains(":stream") { "generativelanguage.googleapis.com" } else { "llm.internal" };
    let play = Play { host, path, request: &request, body: "", cut: Some(Cut::Client), ..Play::default() };
    let record = play.run_split(usize::MAX).expect("a call");
    assert_eq!(play.run_split(61).as_ref(), Some(&record), "{request:.80}");
    record.usage.input_total().unwrap_or(0)
}

const CHAT_PATH: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const RESPONSES: &str = "/v1/responses";
const GEMINI: &str = "/v1beta/models/gemini-2.5-pro:streamGenerateContent";

cases! {
    fn contract_a_prompt_is_estimated_in_whatever_member_it_stands() {
        for (path, members) in [
            (CHAT_PATH, r#""messages":[{"role":"user","content":"TEXT"}]"#),
            (CHAT_PATH, r#""messages":[{"role":"user","content":[{"type":"text","text":"TEXT"}]}]"#),
            (CHAT_PATH, r#""messages":[{"role":"user","name":"TEXT","content":"hi"}]"#),
            (CHAT_PATH, r#""messages":[{"role":"assistant","function_call":{"name":"f","arguments":"TEXT"}}]"#),
            (CHAT_PATH, r#""messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"TEXT"}}]}]"#),
            (CHAT_PATH, r#""messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"custom","custom":{"name":"f","input":"TEXT"}}]}]"#),
            (CHAT_PATH, r#""messages":[{"role":"assistant","content":[{"type":"refusal","refusal":"TEXT"}]}]"#),
            (CHAT_PATH, r#""messages":[{"role":"assistant","reasoning_content":"TEXT","content":"x"}]"#),
            (CHAT_PATH, r#""messages":[],"chat_template_kwargs":{"user":"TEXT"}"#),
            (CHAT_PATH, r#""messages":[],"prediction":{"type":"content","content":[{"type":"text","text":"TEXT"}]}"#),
            (CHAT_PATH, r#""messages":[],"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"description":"TEXT"}}}"#),
            (CHAT_PATH, r#""messages":[],"tools":[{"type":"function","function":{"name":"f","description":"TEXT"}}]"#),
            (CHAT_PATH, r#""messages":[],"nobody_knows":[{"this":[["yet",{"deep":{"and":{"deeper":[[["TEXT"]]]}}}]]}]"#),
            (CHAT_PATH, r#""messages":[],"nobody_knows":[[[[[[[[[[[[[[[[[["TEXT"]]]]]]]]]]]]]]]]]]"#),
            (MESSAGES, r#""system":[{"type":"text","text":"TEXT"}],"messages":[]"#),
            (MESSAGES, r#""messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"TEXT","signature":"BASE64"}]}]"#),
            (MESSAGES, r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"TEXT"}}]}]"#),
            (MESSAGES, r#""messages":[{"role":"user","content":[{"type":"document","source":{"data":"TEXT","type":"text"}}]}]"#),
            (MESSAGES, r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"content","content":[{"type":"text","text":"TEXT"}]}}]}]"#),
            (MESSAGES, r#""messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","input":{"id":"TEXT"}}]}]"#),
            (RESPONSES, r#""input":"TEXT""#), (RESPONSES, r#""input":"x","instructions":"TEXT""#),
            (RESPONSES, r#""input":[{"type":"reasoning","summary":[{"type":"summary_text","text":"TEXT"}],"encrypted_content":"BASE64"}]"#),
            (RESPONSES, r#""prompt":{"id":"p","variables":{"id":"TEXT"}}"#),
            (RESPONSES, r#""input":[{"type":"custom_tool_call","input":"TEXT"}]"#),
            (RESPONSES, r#""input":[{"role":"user","content":[{"type":"input_text","text":"TEXT"}]}]"#),
            (RESPONSES, r#""input":"x","text":{"format":{"type":"json_schema","schema":{"description":"TEXT"}}}"#),
            (GEMINI, r#""contents":[{"parts":[{"functionResponse":{"name":"f","response":{"id":"TEXT"}}}]}]"#),
            (GEMINI, r#""contents":[{"parts":[{"text":"x"}]}],"systemInstruction":{"parts":[{"text":"TEXT"}]}"#),
            (GEMINI, r#""contents":{"parts":{"text":"TEXT"}}"#), (GEMINI, r#""contents":[{"parts":[{"executableCode":{"code":"TEXT"}}]}]"#),
            ("/v1/rerank", r#""query":"x","documents":["TEXT"]"#), ("/v2/chat", r#""messages":[],"documents":[{"id":"1","data":{"title":"TEXT"}}]"#),
            ("/v1/embeddings", r#""input":["TEXT"]"#),
        ] {
            let tokens = input(path, &format!(r#"{{"model":"m","stream":true,{members}}}"#));
            assert!((4000..4100).contains(&tokens), "{path} {members}: {tokens}");
        }
        // Tokens themselves; a text in base64; a body that is no JSON here.
        let tokens = vec!["7"; 4000].join(",");
        assert_eq!(input("/v1/embeddings", &format!(r#"{{"model":"m","input":[[{tokens}]]}}"#)), 4000);
        assert_eq!(input("/v1/embeddings", &format!(r#"{{"model":"m","input":[{tokens}]}}"#)), 4000);
        assert_eq!(input("/v1/completions", &format!(r#"{{"model":"m","prompt":[{tokens}]}}"#)), 4000);
        let encoded = input(GEMINI, r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"text/plain","data":"BASE64"}}]}]}"#);
        assert_eq!(encoded, 7500, "30,000 bytes of text");
    }

    fn contract_a_body_in_another_encoding_is_bounded_by_half_its_bytes() {
        let text = format!(r#"{{"model":"m","messages":[{{"content":"{}"}}]}}"#, prompt());
        let wide: Vec<u8> = "\u{feff}".chars().chain(text.chars()).flat_map(|letter| (letter as u16).to_le_bytes()).collect();
        let of = |body: &[u8], fetched: usize| {
            let head = RequestHead { method: b"POST", host: b"api.openai.com", path: CHAT_PATH.as_bytes(), content_encoding: None };
            let mut call = Call::begin(&head, &DETECT, 0).unwrap();
            // What is not wanted is not fetched.
            body[..fetched].chunks(61).for_each(|chunk| if call.reads_request() { call.request_body(chunk) } else { call.request_passed(chunk.len()) });
            call.request_passed(body.len() - fetched);
            call.response_head(&ResponseHead { status: Some(200), content_type: None, content_encoding: None });
            call.finish(Ended { cut: Some(Cut::Client), ..Ended::default() }, &mut Ratios::default()).remove(0).usage.input_total()
        };
        for fetched in [61, wide.len()] {
            let bound = |bytes: usize| Some((bytes as u64 / 2).div_ceil(4));
            assert_eq!(of(&wide, fetched), bound(wide.len()));
            assert_eq!(of(&wide[2..], fetched - 2), bound(wide.len() - 2));
        }
    }

    fn contract_what_no_model_reads_is_no_prompt() {
        for (path, members) in [
            (CHAT_PATH, r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,BASE64"}}]}]"#),
            (CHAT_PATH, r#""messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"format":"wav","data":"BASE64"}}]}]"#),
            (CHAT_PATH, r#""messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"BASE64"}}]}]"#),
            (CHAT_PATH, r#""messages":[{"role":"assistant","tool_calls":[{"id":"BASE64"}]}],"metadata":{"a":"TEXT"},"user":"TEXT""#),
            (MESSAGES, r#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"BASE64"}}]}]"#),
            (MESSAGES, r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"BASE64"}}]}]"#),
            (RESPONSES, r#""input":[{"type":"reasoning","id":"BASE64","encrypted_content":"BASE64"}]"#),
            (GEMINI, r#""contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"BASE64"},"thoughtSignature":"BASE64"}]}]"#),
            ("/model/m/converse", r#""messages":[{"role":"user","content":[{"image":{"format":"png","source":{"bytes":"BASE64"}}}]}]"#),
        ] {
            let tokens = input(path, &format!(r#"{{"model":"m","stream":true,{members}}}"#));
            assert!(tokens <= 1010, "{path} {members}: {tokens}");
        }
    }
}
