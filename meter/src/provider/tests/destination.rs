//! The provider, by where the call went.

use std::cell::RefCell;

use wire::record::ProviderSource::{self, *};

use super::*;

/// A way, and what was asked of it.
#[derive(Default)]
struct Way {
    cluster: Option<&'static str>,
    route: Option<&'static str>,
    host: Option<&'static str>,
    path: Option<&'static str>,
    certificate: Option<&'static str>,
    rewritten: bool,
    asked: RefCell<Vec<&'static str>>,
}

impl Way {
    fn response(&self, question: &'static str, value: Option<&'static str>) -> Option<&'static str> {
        self.asked.borrow_mut().push(question);
        value
    }
}

impl Destination for Way {
    fn cluster(&self) -> Option<&str> {
        self.response("cluster", self.cluster)
    }
    fn route(&self) -> Option<&str> {
        self.response("route", self.route)
    }
    fn host(&self) -> Option<String> {
        self.response("host", self.host).map(str::to_owned)
    }
    fn path(&self) -> Option<String> {
        self.response("path", self.path).map(str::to_owned)
    }
    fn certificate(&self) -> Option<String> {
        self.response("certificate", self.certificate).map(str::to_owned)
    }
    fn is_rewritten(&self) -> bool {
        self.response("rewritten", self.rewritten.then_some("")).is_some()
    }
}

/// A route for everything that rewrites nothing: the host is the client's, as a text.
struct Everything(Vec<u8>);

impl Destination for Everything {
    fn cluster(&self) -> Option<&str> {
        Some("everything")
    }
    fn route(&self) -> Option<&str> {
        None
    }
    fn host(&self) -> Option<String> {
        Some(String::from_utf8_lossy(&self.0).into_owned())
    }
    fn path(&self) -> Option<String> {
        None
    }
    fn certificate(&self) -> Option<String> {
        Some("vllm.internal".to_owned())
    }
}

const CHAT: &str = "/v1/chat/completions";

fn config(json: &str) -> Detect {
    crate::config::parse(json.as_bytes()).unwrap().detect
}

/// Detects and settles a call that goes that way.
fn settled(host: &str, path: &str, way: &Way, rules: &Detect) -> Target {
    let mut target = detect(b"POST", host.as_bytes(), path.as_bytes(), rules, way).unwrap();
    way.asked.borrow_mut().clear();
    target.settle(way, rules);
    target
}

fn verdict(target: &Target) -> (Option<&str>, ProviderSource, bool) {
    (target.provider.as_deref(), target.source.unwrap(), target.is_unproven)
}

cases! {
    fn contract_the_service_is_the_one_that_the_router_was_asked_for() {
        let router = "router.huggingface.co";
        let way = |cluster, host, path| Way { cluster: Some(cluster), host, path, ..Way::default() };
        let cases = [
            (router, "/together/v1/chat/completions", way("huggingface", Some(router), None), Some("together")),
            (router, "/together/v1/chat/completions", way("huggingface", None, None), Some("together")),
            // Rewritten: what the upstream was asked for is meant.
            ("gateway", "/hf/v1/chat/completions", way("x", Some(router), Some("/novita/v1/chat/completions?a")), Some("novita")),
            (router, "/together/v1/chat/completions", way("x", Some("abc.endpoints.huggingface.cloud"), Some("/t/v1/chat/completions")), None),
            // Another one responded, or nobody knows who.
            (router, "/together/v1/chat/completions", way("openai", Some("api.openai.com"), None), None),
            (router, "/together/v1/chat/completions", way("self_hosted", Some(router), None), None),
        ];
        for (host, path, way, service) in cases {
            assert_eq!(settled(host, path, &way, &config("{}")).path_model(), service, "{host}{path} {:?}", way.host);
        }
    }

    fn contract_a_clients_host_alone_proves_nothing() {
        let way = |cluster, host, certificate| Way { cluster: Some(cluster), host: Some(host), certificate, ..Way::default() };
        let groq = "api.groq.com";
        let cases = [
            // The client's Host, the way, the provider, by what, unproven.
            (groq, way("self_hosted", groq, None), (None, Shape, true)),
            (groq, way("self_hosted", "API.groq.com:80", None), (None, Shape, true)),
            (groq, way("self_hosted", groq, Some("vllm.internal")), (None, Shape, true)),
            (groq, way("openai", groq, None), (None, Shape, true)),
            (groq, way("outbound|80||vllm.models.svc.cluster.local", groq, None), (None, Shape, true)),
            (groq, way("inbound|8000||", groq, None), (None, Shape, true)),
            (groq, way("PassthroughCluster", groq, None), (None, Shape, true)),
            (groq, Way::default(), (None, Shape, true)),
            ("\u{e4}.openai.azure.com", way("self_hosted", "\u{fffd}.openai.azure.com", None), (None, Shape, false)),
            // Rewritten to what is nobody's: the client's word is replaced, so nothing is unproven.
            (groq, way("self_hosted", "vllm.internal:8000", None), (None, Shape, false)),
            ("vllm.internal", way("self_hosted", "vllm.internal", Some("api.groq.com")), (None, Shape, false)),
            // Borne out.
            (groq, way("groq", groq, None), (Some("groq"), Cluster, false)),
            (groq, way(groq, groq, None), (Some("groq"), Cluster, false)),
            (groq, way("x", groq, Some(groq)), (Some("groq"), Certificate, false)),
            ("a.openai.azure.com", way("x", "a.openai.azure.com", Some("*.openai.azure.com")), (Some("azure.ai.openai"), Certificate, false)),
            ("a.openai.azure.com", way("x", "a.openai.azure.com", Some("*.azure.com")), (None, Shape, true)),
            // Whatever the client asks for, the call went elsewhere.
            (groq, way("outbound|443||api.openai.com", groq, None), (Some("openai"), Cluster, false)),
            (groq, way("x", "api.openai.com", None), (Some("openai"), Rewritten, false)),
            ("gateway:10000", way("openai", "api.openai.com", None), (Some("openai"), Rewritten, false)),
            ("gateway:10000", way("outbound|443|v1|api.anthropic.com", "gateway:10000", None), (Some("anthropic"), Cluster, false)),
            // A cluster called after a provider is no proof by itself.
            ("gateway:10000", way("openai", "gateway:10000", None), (None, Shape, false)),
        ];
        let rules = config("{}");
        for (host, way, expected) in cases {
            let target = settled(host, CHAT, &way, &rules);
            assert_eq!(verdict(&target), expected, "{host} to {:?} {:?}", way.cluster, way.host);
        }
        let trusts = config(r#"{"detect": {"trust_host": true}}"#);
        let target = settled(groq, CHAT, &way("dynamic_forward_proxy", groq, None), &trusts);
        assert_eq!(verdict(&target), (Some("groq"), TrustedHost, false));
        let target = settled(groq, CHAT, &way("x", "vllm.internal", None), &trusts);
        assert_eq!(verdict(&target), (None, Shape, false), "a host that was replaced is not where the call went");
    }

    fn contract_a_host_that_the_proxy_has_rewritten_to_the_same_name_is_the_proxys_word() {
        let groq = "api.groq.com";
        let way = |host, rewritten| Way { cluster: Some("httproute/llm/groq/rule/0"), host: Some(host), rewritten, ..Way::default() };
        let rules = config("{}");
        for claimed in [groq, "API.GROQ.COM:443"] {
            assert_eq!(verdict(&settled(claimed, CHAT, &way(groq, true), &rules)), (Some("groq"), Rewritten, false), "{claimed}");
            assert_eq!(verdict(&settled(claimed, CHAT, &way(groq, false), &rules)), (None, Shape, true), "{claimed}");
        }
        // Where the host differs, or is nobody's, nothing more is asked for.
        for (claimed, host, expected) in [("gw", groq, Some("groq")), (groq, "api.openai.com", Some("openai")), ("gw", "gw", None)] {
            let way = way(host, true);
            assert_eq!(settled(claimed, CHAT, &way, &rules).provider.as_deref(), expected, "{claimed} {host}");
            assert!(!way.asked.borrow().contains(&"rewritten"), "{claimed} {host}");
        }
    }

    fn contract_a_provider_that_is_known_too_late_to_be_asked_is_said_to_be() {
        let way = |host| Way { cluster: Some("egress1"), host: Some(host), path: Some(CHAT), ..Way::default() };
        let (none, by_host) = (config("{}"), config(r#"{"providers": [{"host": "api.openai.com", "provider": "openai"}]}"#));
        let by_prefix = config(r#"{"providers": [{"prefix": "/v1", "provider": "openai"}]}"#);
        let cases = [
            ("gw", CHAT, "api.openai.com", &none, true), ("gw", CHAT, "api.openai.com", &by_host, true), ("api.mistral.ai", CHAT, "api.openai.com", &none, true),
            // Asked in time.
            ("gw", CHAT, "api.openai.com", &by_prefix, false), ("api.openai.com", CHAT, "api.openai.com", &none, false),
            // Nobody to ask, or nothing to ask for.
            ("gw", CHAT, "api.mistral.ai", &none, false), ("gw", CHAT, "gw", &none, false), ("gw", "/v1/embeddings", "api.openai.com", &none, false),
            ("gw", "/v1/responses", "api.openai.com", &none, false),
        ];
        for (claimed, path, host, rules, late) in cases {
            assert_eq!(settled(claimed, path, &way(host), rules).is_known_late, late, "{claimed}{path} to {host}");
        }
    }

    fn contract_no_spelling_of_a_host_proves_it() {
        let rules = config("{}");
        let long = "x".repeat(250);
        let stars: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).chain([long.into_bytes(), b"\xff\xfe.a".to_vec(), b"a:1".to_vec()]).collect();
        for (head, tail) in [("", ".openai.azure.com"), ("", ".api.openai.com"), ("bedrock-runtime", ".amazonaws.com"), ("api.openai.com", ""), ("", "api.openai.com")] {
            for (star, port) in stars.iter().flat_map(|star| ["", ":443", ":65535"].map(|port| (star, port))) {
                let host = [head.as_bytes(), star, tail.as_bytes(), port.as_bytes()].concat();
                let way = Everything(host.clone());
                let mut target = detect(b"POST", &host, CHAT.as_bytes(), &rules, &way).unwrap();
                let claimed = target.provider.is_some();
                target.settle(&way, &rules);
                assert_eq!((target.provider.as_deref(), target.is_unproven), (None, claimed), "{}", host.escape_ascii());
            }
        }
    }

    fn contract_rules_hold_by_rank_and_then_by_order() {
        let rules = config(r#"{"providers": [
            {"host": "*.corp", "provider": "by_host"}, {"host": "llm.corp", "provider": "never"},
            {"prefix": "/a", "provider": "by_prefix"}, {"prefix": "/a/b", "provider": "never"},
            {"route": "r*", "provider": "by_route"},
            {"cluster": "c", "host": "only.corp", "provider": "by_cluster_and_host"},
            {"cluster": "c", "provider": "by_cluster"}]}"#);
        let way = |cluster, route, host| Way { cluster: Some(cluster), route: Some(route), host: Some(host), ..Way::default() };
        let cases = [
            ("llm.corp", "/a/v1/messages", way("c", "r1", "llm.corp"), (Some("by_cluster"), RuleCluster)),
            ("llm.corp", "/a/v1/messages", way("c", "r1", "only.corp"), (Some("by_cluster_and_host"), RuleCluster)),
            ("llm.corp", "/a/v1/messages", way("d", "r1", "llm.corp"), (Some("by_route"), RuleRoute)),
            ("llm.corp", "/a/v1/messages", way("d", "x", "llm.corp"), (Some("by_prefix"), RulePrefix)),
            ("llm.corp", "/ab/v1/messages", way("d", "x", "llm.corp"), (Some("by_host"), RuleHost)),
            ("gateway", "/v1/messages", way("d", "x", "llm.corp"), (Some("by_host"), RuleHost)),
            ("llm.corp", "/v1/messages", way("d", "x", "10.0.0.1"), (Some("by_host"), RuleHost)),
            ("gateway", "/v1/messages", way("d", "x", "api.anthropic.com"), (Some("anthropic"), Rewritten)),
            ("api.anthropic.com", "/a", way("anthropic", "x", "api.anthropic.com"), (Some("by_prefix"), RulePrefix)),
        ];
        for (host, path, way, (provider, source)) in cases {
            let target = settled(host, path, &way, &rules);
            assert_eq!(verdict(&target), (provider, source, false), "{host}{path} {:?} {:?}", way.cluster, way.route);
        }
    }

    fn contract_no_question_is_asked_that_does_not_decide() {
        let way = |cluster, host| Way { cluster: Some(cluster), host: Some(host), ..Way::default() };
        let none = config("{}");
        let by_cluster = config(r#"{"providers": [{"cluster": "c", "provider": "p"}]}"#);
        // The host is part of the record.
        let cases = [
            ("api.openai.com", CHAT, way("openai", "api.openai.com"), &none, vec![], vec!["cluster", "host"]),
            ("gateway", CHAT, way("openai", "api.openai.com"), &none, vec!["cluster"], vec!["cluster", "host"]),
            ("gateway", "/v1/messages", way("a", "api.anthropic.com"), &none, vec![], vec!["cluster", "host"]),
            ("api.groq.com", CHAT, way("x", "api.groq.com"), &none, vec![], vec!["cluster", "host", "certificate", "rewritten"]),
            ("api.groq.com", CHAT, way("c", "x"), &by_cluster, vec!["cluster"], vec!["cluster", "host"]),
            ("vllm", CHAT, way("c", "x"), &by_cluster, vec!["cluster"], vec!["cluster", "host"]),
            ("api.openai.com", "/v1/embeddings", way("openai", "api.openai.com"), &none, vec![], vec!["cluster", "host"]),
            ("api.mistral.ai", "/v1/embeddings", way("x", "api.mistral.ai"), &none, vec![], vec!["cluster", "host", "certificate", "rewritten"]),
            // What Envoy makes of a path that says nothing may say something.
            ("gateway", "/ask", way("x", "api.openai.com"), &none, vec![], vec!["cluster", "host", "path"]),
        ];
        for (host, path, way, rules, before, after) in cases {
            let mut target = detect(b"POST", host.as_bytes(), path.as_bytes(), rules, &way).unwrap();
            assert_eq!(way.asked.take(), before, "{host}{path}, at the request");
            target.settle(&way, rules);
            let mut asked: Vec<&str> = Vec::new();
            for question in way.asked.take() {
                if !asked.contains(&question) {
                    asked.push(question);
                }
            }
            assert_eq!(asked, after, "{host}{path}, at the end");
        }
    }

    fn contract_the_region_is_where_the_call_went() {
        let vertex = "/v1/projects/p/locations/global/publishers/google/models/m:generateContent";
        let arn = "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.anthropic.x/converse";
        let way = |cluster, host| Way { cluster: Some(cluster), host: Some(host), ..Way::default() };
        let cases = [
            ("eu.api.openai.com", CHAT, way("eu.api.openai.com", "eu.api.openai.com"), Some("eu")),
            // A client that asks for another host is served where the cluster is.
            ("us.api.openai.com", CHAT, way("outbound|443||eu.api.openai.com", "us.api.openai.com"), Some("eu")),
            ("eu.api.openai.com", CHAT, way("openai", "api.openai.com"), None),
            ("gateway", CHAT, way("openai", "eu.api.openai.com"), Some("eu")),
            // Nothing shows that it went there.
            ("eu.api.openai.com", CHAT, way("vllm", "eu.api.openai.com"), None),
            ("eu.api.openai.com", CHAT, way("vllm", "vllm.internal"), None),
            ("gateway", vertex, way("v", "aiplatform.googleapis.com"), Some("global")),
            ("gateway", vertex, way("v", "vllm.internal"), None),
            ("gateway", arn, way("b", "bedrock-runtime.eu-west-1.amazonaws.com"), Some("eu-west-1")),
            ("gateway", "/ask", Way { path: Some(vertex), ..way("v", "aiplatform.googleapis.com") }, Some("global")),
        ];
        for (host, path, way, region) in cases {
            assert_eq!(settled(host, path, &way, &config("{}")).region(), region, "{host}{path}");
        }
        let target = settled("gateway", arn, &way("b", "bedrock.corp"), &config(r#"{"providers": [{"cluster": "b", "provider": "aws.bedrock"}]}"#));
        assert_eq!((target.region(), target.upstream_host.as_deref()), (Some("eu-west-1"), Some("bedrock.corp")));
        assert_eq!(target.model.as_deref(), Some("arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.x"));
    }

    fn contract_whom_to_ask_for_usage_is_known_at_the_request() {
        let rules = config(r#"{"providers": [
            {"cluster": "proxy", "provider": "openai", "include_usage": false}, {"prefix": "/azure", "provider": "azure.ai.openai"},
            {"cluster": "vllm", "provider": "vllm", "include_usage": true}]}"#);
        let asks = |host: &str, path: &str, cluster: &'static str| {
            let way = Way { cluster: Some(cluster), ..Way::default() };
            let target = detect(b"POST", host.as_bytes(), path.as_bytes(), &rules, &way).unwrap();
            (target.asking.is_here(), target.asking.says_null())
        };
        assert_eq!(asks("gateway", "/openai/v1/chat/completions", "openai"), (true, true));
        assert_eq!(asks("gateway", "/qwen/v1/chat/completions", "outbound|443||dashscope-intl.aliyuncs.com"), (true, false));
        assert_eq!(asks("gateway", "/azure/openai/deployments/d/chat/completions?api-version=2024-10-21", "x"), (true, true));
        assert_eq!(asks("gateway", CHAT, "vllm"), (true, false));
        assert!(!asks("gateway", CHAT, "proxy").0);
        assert_eq!(asks("gateway", CHAT, "somewhere"), (false, false));
        assert_eq!(asks("gateway", "/openai/v1/responses", "openai"), (false, false));
        assert_eq!(asks("api.openai.com", CHAT, "x"), (true, true), "the client's word is enough to ask");
        for host in ["api.mistral.ai", "x.openai.azure.com", "x.azuredatabricks.net"] {
            assert_eq!(asks(host, CHAT, "openai"), (true, true), "{host}: it is not enough not to ask");
            assert_eq!(asks(host, CHAT, "outbound|443||api.openai.com"), (true, true), "{host}");
        }
        assert!(!asks("api.mistral.ai", CHAT, "x").0 && !asks("x.openai.azure.com", CHAT, "x").0);
        assert_eq!(asks("gateway", CHAT, "bedrock-mantle.eu-west-1.api.aws"), (true, false));
        assert_eq!(asks("api.openai.com", CHAT, "mistral"), (true, true));
    }

    fn contract_who_was_not_asked_for_usage_is_known_at_the_end() {
        let rules = config(r#"{"providers": [
            {"cluster": "proxy", "provider": "openai", "include_usage": false}, {"cluster": "vllm", "provider": "vllm", "include_usage": true},
            {"cluster": "mapped", "provider": "openai", "api": "openai_chat"}]}"#);
        let unasked = |host: &str, path: &str, cluster, upstream| {
            let way = Way { cluster: Some(cluster), host: Some(upstream), path: Some(CHAT), ..Way::default() };
            settled(host, path, &way, &rules).may_take_include_usage
        };
        let (unknown, openai) = ("/openai/v1/chat/completions%20", "api.openai.com");
        assert!(unasked("gateway", unknown, "openai", openai), "by the host after rewriting");
        assert!(unasked("gateway", unknown, "outbound|443||api.openai.com", "gateway"), "by the cluster");
        assert!(unasked("gateway", unknown, "vllm", "x"), "by a rule");
        assert!(unasked(openai, unknown, "openai", openai), "by the client's host, which is borne out");
        assert!(!unasked(openai, unknown, "self_hosted", "vllm.internal"), "the call went elsewhere");
        assert!(!unasked("gateway", unknown, "x", "api.mistral.ai"), "it gives usage anyway");
        assert!(!unasked("gateway", unknown, "proxy", openai), "a rule says that it does not take it");
        assert!(!unasked("gateway", unknown, "mapped", openai), "a rule knows the path");
        assert!(!unasked("gateway", "/openai/v1/chat/completions", "openai", openai), "a path that is known");
    }

    fn deterministic_a_path_that_says_nothing_is_read_again_after_rewriting() {
        let way = |path| Way { host: Some("generativelanguage.googleapis.com"), path: Some(path), ..Way::default() };
        let target = settled("gateway", "/ask", &way("/v1beta/models/gemini-2.5-pro:generateContent?key=x"), &config("{}"));
        assert_eq!((target.api, target.operation, target.model.as_deref()), (Some(Api::Gemini), Some("generate_content"), Some("gemini-2.5-pro")));
        assert_eq!(target.certainty, Certainty::Known);
        assert!(settled("gateway", "/ask", &way("/v1beta/models/gemini-2.5-pro:countTokens"), &config("{}")).is_not_own);
    }

    fn deterministic_a_host_with_several_services_is_told_by_its_path() {
        let foundry = "res1.services.ai.azure.com";
        let begun = |host: &str, path: &str| {
            let target = detect(b"POST", host.as_bytes(), path.as_bytes(), &config("{}"), &Way::default()).unwrap();
            (target.provider.unwrap().into_owned(), target.asking.is_here())
        };
        assert_eq!(begun(foundry, "/openai/v1/chat/completions"), ("azure.ai.openai".into(), true));
        assert_eq!(begun(foundry, "/openai/deployments/d/chat/completions?api-version=2024-10-21"), ("azure.ai.openai".into(), true));
        assert_eq!(begun(foundry, "/models/chat/completions?api-version=2024-05-01-preview"), ("azure.ai.inference".into(), false));
        assert_eq!(begun(foundry, "/openaiish/chat/completions"), ("azure.ai.inference".into(), false));
        let way = |host, path| Way { cluster: Some("c"), host: Some(host), path: Some(path), ..Way::default() };
        let after = |path, upstream| settled("gateway", path, &way(foundry, upstream), &config("{}")).provider.unwrap().into_owned();
        assert_eq!(after("/x/v1/chat/completions", "/openai/v1/chat/completions"), "azure.ai.openai", "by the path after rewriting");
        assert_eq!(after("/openai/v1/chat/completions", "/models/chat/completions"), "azure.ai.inference");
    }

    fn deterministic_hosts_of_regions_and_clouds() {
        for (host, provider) in [
            ("eu.api.openai.com", "openai"), ("us.api.openai.com", "openai"), ("res1.openai.azure.us", "azure.ai.openai"),
            ("aiplatform.us.rep.googleapis.com", "gcp.vertex_ai"), ("aiplatform.eu.rep.googleapis.com", "gcp.vertex_ai"),
            ("dashscope.aliyuncs.com", "alibaba"), ("dashscope-intl.aliyuncs.com", "alibaba"), ("vpc-cn-beijing.dashscope.aliyuncs.com", "alibaba"),
            ("bedrock-mantle.us-east-1.api.aws", "aws.bedrock"), ("vpce-1.bedrock-mantle.us-east-1.vpce.amazonaws.com", "aws.bedrock"),
            ("ark.cn-beijing.volces.com", "volcengine"), ("x.services.ai.azure.com", "azure.ai.inference"),
        ] {
            assert_eq!(super::super::catalogue::provider_of(host.as_bytes()), Some(provider), "{host}");
        }
        for host in ["aiplatform.rep.googleapis.com.evil.example", "evildashscope.aliyuncs.com", "openai.azure.us", "xbedrock-mantle.x.api.aws"] {
            assert_eq!(super::super::catalogue::provider_of(host.as_bytes()), None, "{host}");
        }
    }

    fn deterministic_prefixes_are_whole_segments() {
        use super::super::paths::begins_with;
        for (path, prefix, expected) in [
            ("/openai/v1", "/openai", true), ("/openai", "/openai", true), ("/openai/v1", "/openai/", true), ("/openai", "/openai/", true),
            ("/openai-eu/v1", "/openai", false), ("/v1/openai", "/openai", false), ("/x", "/", true), ("", "/openai", false),
        ] {
            assert_eq!(begins_with(path.as_bytes(), prefix), expected, "{path} {prefix}");
        }
    }

    fn deterministic_stars_stand_for_any_text() {
        /// As it is defined, at any cost.
        fn naive(pattern: &[u8], name: &[u8]) -> bool {
            match pattern.split_first() {
                None => name.is_empty(),
                Some((b'*', rest)) => (1..=name.len()).any(|skip| naive(rest, &name[skip..])),
                Some((byte, rest)) => name.first().is_some_and(|first| first.eq_ignore_ascii_case(byte)) && naive(rest, &name[1..]),
            }
        }
        let words = |letters: &[u8], most: u32| -> Vec<Vec<u8>> {
            let count = letters.len();
            (0..=most).flat_map(|length| (0..count.pow(length)).map(move |n| (0..length).map(move |at| (n / count.pow(at)) % count)))
                .map(|places| places.map(|place| letters[place]).collect()).collect()
        };
        let names = words(b"aB", 5);
        for pattern in words(b"ab*", 4) {
            for name in &names {
                assert_eq!(super::super::hosts::matches(&pattern, name), naive(&pattern, name), "{} {}", pattern.escape_ascii(), name.escape_ascii());
            }
        }
        // Bounded, however many stars there are.
        assert!(!super::super::hosts::is_host(&"*a".repeat(126), format!("{}b", "a".repeat(252)).as_bytes()));
    }
}
