//! Counts that stand in places of their own.

use super::fees::{tokens, unknown};
use super::*;

cases! {
    fn deterministic_counts_that_some_providers_have_elsewhere() {
        let agent = r#"{"object":"response","usage":{"input_tokens":100,"output_tokens":4,"total_tokens":104,"input_tokens_details":{"cache_read_input_tokens":60,"cache_creation_input_tokens":10}}}"#;
        tokens("api.perplexity.ai", "/v1/responses", agent, &[(InputText, 30), (CacheRead, 60), (CacheWriteOther, 10), (OutputText, 4)]);
        let native = r#"{"request_id":"1","output":{"text":"x"},"usage":{"input_tokens":100,"output_tokens":4,"total_tokens":104,"prompt_tokens_details":{"cached_tokens":60}}}"#;
        tokens("dashscope.aliyuncs.com", "/api/v1/services/aigc/text-generation/generation", native, &[(InputText, 40), (CacheRead, 60), (OutputText, 4)]);
        let pixels = |pixels: u64, text: u64| format!(r#"{{"object":"list","data":[],"model":"voyage-multimodal-3","usage":{{"text_tokens":{text},"image_pixels":{pixels},"total_tokens":3578}}}}"#);
        let voyage = ("api.voyageai.com", "/v1/multimodalembeddings");
        tokens(voyage.0, voyage.1, &pixels(2_000_000, 7), &[(InputText, 7), (InputImage, 3571)]);
        tokens(voyage.0, voyage.1, &pixels(0, 3578), &[(InputText, 3578)]);
        for body in [pixels(2_000_000, 7), pixels(0, 3578), agent.to_owned(), native.to_owned()] {
            assert_eq!(unknown(voyage.0, voyage.1, &body), None, "{body}");
        }
        let pages = |more: &str| unknown("api.mistral.ai", "/v1/ocr", &format!(r#"{{"model":"mistral-ocr-latest","pages":[],"usage_info":{{"pages_processed":3,"doc_size_bytes":900{more}}}}}"#));
        assert_eq!((pages(""), pages(r#","tables_processed":2"#).as_deref()), (None, Some("tables_processed")));
        let cohere = r#"{"usage":{"billed_units":{"input_tokens":267,"output_tokens":9},"tokens":{"input_tokens":34,"image_tokens":259,"output_tokens":9}}}"#;
        assert_eq!(unknown("api.cohere.com", "/v2/chat", cohere), None);
    }
}
