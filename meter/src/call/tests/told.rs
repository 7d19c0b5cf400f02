//! Facts of the request that stand in the record as they were sent.

use super::*;
use crate::config::{self, Config};
use crate::identity::{Caller, Shown};

/// Headers, and one claim for every question.
struct Fixed<'a>(&'a [(&'a str, &'a str)], Shown);

impl Caller for Fixed<'_> {
    fn certificate(&self) -> Shown {
        Shown::Nothing
    }
    fn own_certificate(&self) -> Option<Vec<u8>> {
        None
    }
    fn claim(&self, _: &str, _: &[String]) -> Shown {
        self.1.clone()
    }
    fn header(&self, name: &str) -> Shown {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map_or(Shown::Nothing, |(_, value)| Shown::Value(value.as_bytes().to_vec()))
    }
}

fn config(json: &str) -> Config {
    config::parse(json.as_bytes()).unwrap()
}

fn told(json: &str, headers: &[(&str, &str)]) -> Told {
    Told::read(&config(json), &Fixed(headers, Shown::Value(b"search".to_vec())))
}

cases! {
    fn deterministic_sessions_and_agents_are_read_from_the_headers_that_are_named() {
        let ids = |json: &str, headers: &[(&str, &str)]| {
            let told = told(json, headers);
            (told.session_id, told.agent_id)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(ids("{}", &[("x-claude-code-session-id", "s"), ("x-claude-code-agent-id", "a")]), (some("s"), some("a")));
        assert_eq!(ids("{}", &[("session-id", "new"), ("session_id", "old"), ("x-openai-subagent", "review")]), (some("new"), some("review")));
        assert_eq!(ids("{}", &[("session_id", "old")]), (some("old"), None));
        let own = r#"{"session": {"headers": ["X-Run", "x-job"]}, "agent": {"headers": []}}"#;
        assert_eq!(ids(own, &[("session_id", "no"), ("x-job", "j"), ("x-claude-code-agent-id", "no")]), (some("j"), None));
        let (session, _) = ids("{}", &[("session-id", &format!("a\u{7}{}", "b".repeat(999)))]);
        assert_eq!(session.unwrap(), format!("a\u{fffd}{}", "b".repeat(252)));
    }

    fn deterministic_what_was_told_stands_in_the_record_and_in_its_parts() {
        let told = told(
            r#"{"tags": [{"name": "team", "from": "jwt"}, {"name": "app", "from": "header", "header": "x-app"}]}"#,
            &[("x-app", "by the client"), ("session-id", "s"), ("x-amzn-bedrock-service-tier", "flex")],
        );
        let head = RequestHead { method: b"POST", host: b"api.anthropic.com", path: b"/v1/messages", content_encoding: None };
        let mut call = Call::begin(&head, &DETECT, 0).unwrap();
        call.request_body(br#"{"model":"m"}"#);
        call.response_head(&ResponseHead { status: Some(200), content_type: None, content_encoding: None });
        call.response_body(br#"{"type":"message","usage":{"input_tokens":1,"output_tokens":2,"iterations":[
            {"type":"message","input_tokens":1,"output_tokens":2},{"type":"advisor_message","model":"n","input_tokens":3,"output_tokens":4}]}}"#);
        let records = call.finish(Ended { told, ..Ended::default() }, &mut Ratios::default());
        assert_eq!(records.len(), 2);
        for record in records {
            let tags: Vec<_> = record.tags.iter().map(|tag| (tag.name.as_str(), tag.value.as_str(), tag.source.as_str())).collect();
            assert_eq!(tags, [("team", "search", "jwt")]);
            assert_eq!((record.session_id.as_deref(), record.service_tier_asked.as_deref()), (Some("s"), Some("flex")));
        }
    }

    fn deterministic_what_prices_depend_on_is_read_from_the_request() {
        let asked = |request: &'static str| Play { request, ..Play::default() }.run().unwrap();
        let record = asked(r#"{"model":"m","service_tier":"flex","web_search_options":{"search_context_size":"high"}}"#);
        assert_eq!((record.service_tier_asked.as_deref(), record.search_context.as_deref()), (Some("flex"), Some("high")));
        let record = asked(r#"{"model":"m","tools":[{"type":"function","parameters":{"search_context_size":"no"}},{"type":"web_search","search_context_size":"low"}],"service_tier":null}"#);
        assert_eq!((record.service_tier_asked, record.search_context.as_deref()), (None, Some("low")));
        let bedrock = Play {
            host: "bedrock-runtime.us-east-1.amazonaws.com",
            path: "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.anthropic.x/converse",
            request: r#"{"serviceTier":{"type":"priority"},"messages":[]}"#,
            body: r#"{"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}"#,
            ..Play::default()
        };
        let record = bedrock.run().unwrap();
        assert_eq!(record.service_tier_asked.as_deref(), Some("priority"));
        assert_eq!(record.region.as_deref(), Some("us-east-1"));
        assert_eq!(record.path_model.as_deref(), Some("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.x"));
        let decoded = Play { path: "/model/arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.x/converse", ..bedrock };
        assert_eq!(decoded.run().unwrap().path_model, record.path_model);
        assert_eq!(decoded.run().unwrap().api, "bedrock_converse");
        let azure = Play { host: "r.openai.azure.com", path: "/openai/deployments/my%20dep/chat/completions?api-version=1", ..Play::default() };
        assert_eq!(azure.run().unwrap().path_model, None, "a name with a space is none");
        let azure = Play { path: "/openai/deployments/g4o/chat/completions?api-version=1", ..azure };
        assert_eq!((azure.run().unwrap().path_model.as_deref(), azure.run().unwrap().request_model.as_deref()), (Some("g4o"), Some("gpt-4.1")));
    }

    fn deterministic_the_path_of_the_router_names_the_service_and_no_model() {
        let router = Play { host: "router.huggingface.co", path: "/Together/v1/chat/completions?a=b", ..Play::default() };
        let record = router.run().unwrap();
        assert_eq!((record.provider.as_str(), record.path_model.as_deref()), ("huggingface", Some("together")));
        assert_eq!(record.request_model.as_deref(), Some("gpt-4.1"));
        let unnamed = Play { request: "{}", ..router }.run().unwrap();
        assert_eq!((unnamed.request_model, unnamed.path_model.as_deref()), (None, Some("together")));
        for (host, path, model) in [
            ("router.huggingface.co:443", "/novita/v3/openai/chat/completions", Some("novita")),
            ("router.huggingface.co", "/v1/chat/completions", None),
            ("router.huggingface.co", "/hf-inference/models/a/b/v1/chat/completions", Some("a/b")),
            ("abc.us-east-1.aws.endpoints.huggingface.cloud", "/x/v1/chat/completions", None),
            ("api.openai.com", "/together/v1/chat/completions", None),
        ] {
            let record = Play { host, path, ..Play::default() }.run().unwrap();
            assert_eq!(record.path_model.as_deref(), model, "{host}{path}");
        }
    }

    fn deterministic_the_router_says_which_service_it_has_chosen() {
        for (host, path, service) in [
            ("router.huggingface.co", "/v1/chat/completions", Some("groq")),
            ("router.huggingface.co", "/novita/v3/openai/chat/completions", Some("novita")),
            ("api.openai.com", "/v1/chat/completions", None),
        ] {
            let head = RequestHead { method: b"POST", host: host.as_bytes(), path: path.as_bytes(), content_encoding: None };
            let detect = Detect { trust_host: true, ..DETECT };
            let mut call = Call::begin(&head, &detect, 0).unwrap();
            call.request_body(br#"{"model":"openai/gpt-oss-120b:fastest"}"#);
            call.response_head(&ResponseHead { status: Some(200), content_type: None, content_encoding: None });
            assert_eq!(call.reads_headers(), service.is_some(), "{host}");
            call.response_header("x-inference-provider", b"groq");
            call.response_body(CHAT.as_bytes());
            call.response_end();
            let records = call.finish(Ended::default(), &mut Ratios::default());
            assert_eq!(records[0].path_model.as_deref(), service, "{host}{path}");
        }
    }
}
