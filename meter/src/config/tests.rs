use super::*;
use crate::identity::{ApiKeys, Element, Hash, Pattern, San, SpiffePart};

cases! {
    fn contract_empty_means_defaults() {
        let defaults = parse(b"{}").unwrap();
        assert_eq!(parse(b"").unwrap(), defaults);
        assert_eq!(parse(b" \n").unwrap(), defaults);
        assert_eq!(defaults.collector, None);
        assert_eq!(defaults.batch, Batch { max_events: 100, max_bytes: 262_144, max_age_ms: 1000 });
        assert_eq!(defaults.outbox_max_bytes, 8 << 20);
        assert_eq!((defaults.max_series, defaults.include_usage, defaults.refuses_unasked), (2000, true, false));
        assert_eq!(defaults.detect, Detect { by_shape: true, trust_host: false, rules: vec![] });
        assert_eq!(defaults.tenant, [
            Shows::Spiffe { take: SpiffePart::Namespace, trust_domains: vec![] },
            Shows::Value(ValueSource::Jwt { claim: vec!["tenant".into()], payload_key: "jwt_payload".into() }),
            Shows::Value(ValueSource::Header { name: "x-tenant-id".into(), trusted: false }),
        ].map(|shows| TenantSource { shows, pattern: None }));
        assert_eq!(defaults.session_headers, ["x-claude-code-session-id", "session-id", "session_id", "x-session-id"]);
        assert_eq!((defaults.agent_headers.len(), defaults.tags.len()), (2, 0));
        assert_eq!(defaults.publish, [Signal::Tenant, Signal::InputTokens, Signal::OutputTokens]);
    }

    fn contract_budgets_are_held_where_the_key_stands() {
        let config = parse(br#"{"collector": {"cluster": "c"}, "budgets": {}}"#).unwrap();
        assert_eq!(config.budgets, Some(Budgets { path: "/v1/leases".into(), is_closed: false, assume_output_tokens: 131_072, assume_input_tokens: 1_048_576 }));
        assert_eq!(parse(br#"{"collector": {"cluster": "c"}}"#).unwrap().budgets, None);
    }

    fn contract_every_default_is_allowed_by_its_own_key() {
        for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
            let value: Value = serde_json::from_str(key.default).unwrap();
            assert!(key.kind.admits(&value), "{}", key.path);
        }
    }

    fn contract_values_arrive() {
        let config = parse(br#"{
            "collector": {"cluster": "c", "authority": "a", "path": "/p", "token_env": "T", "timeout_ms": 100, "heartbeat_ms": 0},
            "batch": {"max_events": 1, "max_bytes": 16384, "max_age_ms": 100},
            "outbox": {"max_bytes": 65536}, "journal": {"log": true}, "metrics": {"max_series": 1}, "detect": {"by_shape": false, "trust_host": true}, "include_usage": false, "include_usage_else": "refuse",
            "budgets": {"path": "/l", "without_collector": "closed", "assume_output_tokens": 5, "assume_input_tokens": 0},
            "providers": [{"host": "llm.corp", "path": "v2/ask", "provider": "corp", "api": "openai_chat", "include_usage": true}, {"host": "*.x", "provider": "x"},
                          {"prefix": "/p", "provider": "p"}, {"cluster": "c*", "provider": "c"}, {"route": "r", "host": "h", "provider": "r", "include_usage": false}],
            "session": {"headers": []}, "agent": {"headers": ["X-Agent"]}, "publish": ["provider", "tenant"],
            "tags": [{"name": "team", "from": "jwt"}, {"name": "org", "from": "jwt", "claim": ["o", "id"], "payload_key": "k"},
                     {"name": "X-App", "from": "header"}, {"name": "app", "from": "header", "header": "X-App", "trusted": true}],
            "tenant": [{"from": "header", "name": "X-Team", "trusted": true}, {"from": "jwt", "claim": ["org", "id"], "payload_key": "k"},
                       {"from": "spiffe", "take": "path", "trust_domains": ["a.b", "*"]}]}"#).unwrap();
        assert_eq!(config, Config {
            collector: Some(Collector { clusters: vec!["c".into()], alias: None, authority: "a".into(), path: "/p".into(), token_env: "T".into(), timeout_ms: 100, heartbeat_ms: 0 }),
            batch: Batch { max_events: 1, max_bytes: 16_384, max_age_ms: 100 },
            outbox_max_bytes: 65_536,
            journal_log: true,
            tenant: [
                Shows::Value(ValueSource::Header { name: "x-team".into(), trusted: true }),
                Shows::Value(ValueSource::Jwt { claim: vec!["org".into(), "id".into()], payload_key: "k".into() }),
                Shows::Spiffe { take: SpiffePart::Path, trust_domains: vec!["a.b".into(), "*".into()] },
            ].map(|shows| TenantSource { shows, pattern: None }).into(),
            session_headers: vec![],
            agent_headers: vec!["x-agent".into()],
            tags: vec![
                TagRule { name: "team".into(), from: ValueSource::Jwt { claim: vec!["team".into()], payload_key: "jwt_payload".into() } },
                TagRule { name: "org".into(), from: ValueSource::Jwt { claim: vec!["o".into(), "id".into()], payload_key: "k".into() } },
                TagRule { name: "X-App".into(), from: ValueSource::Header { name: "x-app".into(), trusted: false } },
                TagRule { name: "app".into(), from: ValueSource::Header { name: "x-app".into(), trusted: true } },
            ],
            publish: vec![Signal::Tenant, Signal::Provider],
            max_series: 1,
            detect: Detect {
                by_shape: false,
                trust_host: true,
                rules: vec![
                    Rule { cluster: Some("c*".into()), provider: "c".into(), ..Rule::default() },
                    Rule { route: Some("r".into()), host: Some("h".into()), provider: "r".into(), include_usage: Some(false), ..Rule::default() },
                    Rule { prefix: Some("/p".into()), provider: "p".into(), ..Rule::default() },
                    Rule { host: Some("llm.corp".into()), path: Some("v2/ask".into()), provider: "corp".into(), api: Some(Api::OpenAiChat), include_usage: Some(true), ..Rule::default() },
                    Rule { host: Some("*.x".into()), provider: "x".into(), ..Rule::default() },
                ],
            },
            include_usage: false,
            refuses_unasked: true,
            budgets: Some(Budgets { path: "/l".into(), is_closed: true, assume_output_tokens: 5, assume_input_tokens: 0 }),
        });
    }

    fn contract_a_collector_has_clusters_an_alias_or_both_and_each_choice_is_an_address_of_its_own() {
        let collector = |json: &str| parse(format!(r#"{{"collector":{json}}}"#).as_bytes()).unwrap().collector.unwrap();
        let cases = [
            (r#"{"cluster":"c"}"#, "cluster c", "c meshmeter-collector /v1/events"),
            (r#"{"cluster":["c"]}"#, "cluster c", "c meshmeter-collector /v1/events"),
            (r#"{"cluster":["c","d"]}"#, "cluster c or d", "c,d meshmeter-collector /v1/events"),
            (r#"{"alias":"a"}"#, "alias a", " meshmeter-collector /v1/events a"),
            (r#"{"alias":"a","cluster":["c","d"]}"#, "alias a or cluster c or d", "c,d meshmeter-collector /v1/events a"),
        ];
        for (json, words, address) in cases {
            let collector = collector(json);
            assert_eq!((collector.clusters_in_words().as_str(), collector.address().as_str()), (words, address), "{json}");
        }
    }

    fn contract_a_wrong_key_is_refused_with_its_path_and_what_is_allowed() {
        let cases = [
            ("[]", "configuration: must be an object"),
            ("{", "configuration: not JSON: EOF while parsing an object at line 1 column 1"),
            (r#"{"colector":{}}"#, "colector: unknown key; allowed: collector, batch, outbox, journal, tenant, tags, session, agent, publish, metrics, detect, providers, include_usage, include_usage_else, budgets"),
            (r#"{"collector":{}}"#, "collector: must have one of cluster, alias at least"),
            (r#"{"collector":{"cluster":"c","token":"s3cret"}}"#, "collector.token: unknown key; allowed: cluster, alias, authority, path, token_env, timeout_ms, heartbeat_ms"),
            (r#"{"collector":{"cluster":[]}}"#, "collector.cluster: must be a string of 1 to 256 printable ASCII characters without spaces, or an array of 1 to 8 of them"),
            (r#"{"batch":{"max_events":0}}"#, "batch.max_events: must be an integer from 1 to 1000"),
            (r#"{"batch":{"max_events":"100"}}"#, "batch.max_events: must be an integer from 1 to 1000"),
            (r#"{"batch":{"max_age_ms":1.5}}"#, "batch.max_age_ms: must be an integer from 100 to 60000"),
            (r#"{"batch":3}"#, "batch: must be an object"),
            (r#"{"detect":{"by_shape":"yes"}}"#, "detect.by_shape: must be true or false"),
            (r#"{"providers":[{"path":"x"}]}"#, "providers[0].provider: is missing; allowed: the provider's name\nproviders[0]: must have one of cluster, route, prefix, host at least"),
            (r#"{"providers":[{"prefix":"openai","provider":"openai"}]}"#, "providers[0].prefix: must be a string of 1 to 256 printable ASCII characters without spaces that begins with a slash"),
            (r#"{"providers":[{"hosts":["x"],"provider":"x"}]}"#, "providers[0].hosts: unknown key; allowed: cluster, route, prefix, host, path, provider, api, include_usage\nproviders[0]: must have one of cluster, route, prefix, host at least"),
            (r#"{"tenant":{}}"#, "tenant: must be an array of at most 16 objects"),
            (r#"{"tenant":[{"name":"x"}]}"#, "tenant[0].from: is missing; allowed: spiffe, certificate, jwt, xfcc, api_key, header, node"),
            (r#"{"tenant":[{"from":"jwt"},{"from":"cookie"}]}"#, "tenant[1].from: must be one of spiffe, certificate, jwt, xfcc, api_key, header, node"),
            (r#"{"tenant":[{"from":"jwt","name":"x"}]}"#, "tenant[0].name: only allowed with \"from\": \"header\""),
            (r#"{"tenant":[{"from":"header","name":"a b"}]}"#, "tenant[0].name: must be a string of 1 to 128 printable ASCII characters without spaces"),
            (r#"{"tenant":[{"from":"jwt","claim":[]}]}"#, "tenant[0].claim: must be a string of 1 to 128 printable ASCII characters without spaces, or an array of 1 to 8 of them"),
            (r#"{"tenant":[{"from":"jwt","trust_domains":["a"]}]}"#, "tenant[0].trust_domains: only allowed with \"from\": \"spiffe\""),
            (r#"{"tenant":[{"from":"spiffe","trust_domains":["spiffe://a"]}]}"#, "tenant[0].trust_domains: must be an array of 1 to 16 trust domains (lower-case letters, digits, dots, hyphens, underscores and colons) or `*`"),
            (r#"{"tenant":[{"from":"spiffe","trust_domains":[]}]}"#, "tenant[0].trust_domains: must be an array of 1 to 16 trust domains (lower-case letters, digits, dots, hyphens, underscores and colons) or `*`"),
            (r#"{"tags":[{"name":"a","from":"jwt"},{"name":"a","from":"header"}]}"#, "tags[1].name: must differ from that of every other entry"),
            (r#"{"tags":[{"from":"cookie"}]}"#, "tags[0].from: must be one of jwt, header\ntags[0].name: is missing; allowed: the tag's name"),
            (r#"{"tags":[{"name":"a","from":"header","claim":"b"}]}"#, "tags[0].claim: only allowed with \"from\": \"jwt\""),
            (r#"{"publish":["tenant","cost"]}"#, "publish: must be an array of any of tenant, session_id, operation, provider, request_model, response_model, response_id, service_tier, finish_reasons, error_type, input_tokens, output_tokens, total_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, outcome, evidence"),
            (r#"{"budgets":{}}"#, "budgets: only allowed with collector"),
            (r#"{"collector":{"cluster":"c"},"budgets":{"path":"v1","without_collector":"shut","assume_output_tokens":0,"limit":1}}"#,
             "budgets.assume_output_tokens: must be an integer from 1 to 10000000\nbudgets.limit: unknown key; allowed: path, without_collector, assume_output_tokens, assume_input_tokens\nbudgets.path: must be a string of 1 to 1024 printable ASCII characters without spaces that begins with a slash\nbudgets.without_collector: must be one of open, closed"),
            (r#"{"session":{"headers":["a b"]}}"#, "session.headers: must be an array of at most 8 header names (letters, digits, hyphens and underscores, at most 128)"),
            (r#"{"batch":{"max_events":0},"x":1}"#, "batch.max_events: must be an integer from 1 to 1000\nx: unknown key; allowed: collector, batch, outbox, journal, tenant, tags, session, agent, publish, metrics, detect, providers, include_usage, include_usage_else, budgets"),
        ];
        for (json, expected) in cases {
            assert_eq!(parse(json.as_bytes()).unwrap_err().to_string(), expected, "{json}");
        }
    }

    fn contract_hostile_configuration_is_refused_in_bounded_space() {
        let many: Vec<String> = (0..10_000).map(|n| format!("\"k{n}\":1")).collect();
        let text = parse(format!("{{{}}}", many.join(",")).as_bytes()).unwrap_err().to_string();
        assert_eq!(text.lines().count(), 20);
        assert!(parse("[".repeat(10_000).as_bytes()).is_err());
    }

    fn contract_sources_of_the_tenant_arrive() {
        let hash = "0123456789abcdef".repeat(4);
        let tenant = format!(r#"{{"tenant": [
            {{"from":"spiffe","pattern":"spiffe://td/ns/{{ns}}/sa/{{sa}}","tenant":"o/{{ns}}"}},
            {{"from":"spiffe","pattern":"spiffe://{{td}}/x","tenant":"{{td}}","trust_domains":["td"]}},
            {{"from":"certificate"}}, {{"from":"certificate","san":"dns"}}, {{"from":"certificate","san":"email"}},
            {{"from":"xfcc"}}, {{"from":"xfcc","san":"dns","hops":2,"trusted":true}},
            {{"from":"node"}}, {{"from":"node","metadata":["a","b"]}},
            {{"from":"jwt","element":"first"}}, {{"from":"jwt","claim":["g"],"payload_key":"k","element":"matching","pattern":"{{x}}","tenant":"{{x}}"}},
            {{"from":"api_key","keys":{{"{hash}":"acme"}}}}, {{"from":"api_key","headers":["X-Key"],"secret_env":"S","keys":{{}}}}]}}"#);
        let pattern = |identity: &str, tenant: &str| Some(Pattern::parse(identity, tenant).unwrap());
        let spiffe = Shows::Spiffe { take: SpiffePart::Namespace, trust_domains: vec!["td".into()] };
        let element = |claim: &str, payload_key: &str, element| Shows::Element { claim: vec![claim.into()], payload_key: payload_key.into(), element };
        let keys = |headers: &[&str], secret_env: &str| ApiKeys {
            headers: headers.iter().map(|&name| name.into()).collect(), secret_env: secret_env.into(), hash_key: None, tenants: vec![],
        };
        let known = ApiKeys {
            tenants: [(Hash::parse(&hash).unwrap(), "acme".into())].into(),
            ..keys(&["authorization", "x-api-key", "api-key", "x-goog-api-key"], "MESHMETER_HASH_KEY")
        };
        let expected = [
            (spiffe.clone(), pattern("spiffe://td/ns/{ns}/sa/{sa}", "o/{ns}")),
            (spiffe, pattern("spiffe://{td}/x", "{td}")),
            (Shows::Certificate(San::Uri), None),
            (Shows::Certificate(San::Dns), None),
            (Shows::Certificate(San::Email), None),
            (Shows::Xfcc { san: San::Uri, hops: 0, trusted: false }, None),
            (Shows::Xfcc { san: San::Dns, hops: 2, trusted: true }, None),
            (Shows::Node(vec!["NAMESPACE".into()]), None),
            (Shows::Node(vec!["a".into(), "b".into()]), None),
            (element("tenant", "jwt_payload", Element::First), None),
            (element("g", "k", Element::Matching), pattern("{x}", "{x}")),
            (Shows::ApiKey(known), None),
            (Shows::ApiKey(keys(&["x-key"], "S")), None),
        ];
        let mut config = parse(tenant.as_bytes()).unwrap();
        let found: Vec<_> = config.tenant.iter().map(|source| (source.shows.clone(), source.pattern.clone())).collect();
        assert_eq!(found, expected);
        let secrets = |name: &str| (name == "S").then(|| "0123456789abcdef".to_owned());
        assert_eq!(config.take_secrets(secrets), ["MESHMETER_HASH_KEY"], "those that are missing");
        assert!(!format!("{config:?}").contains("0123456789abcdef\""), "a secret is never shown");
    }

    fn contract_a_wrong_source_of_the_tenant_is_refused_by_the_name_of_its_key() {
        let hash = "0".repeat(64);
        let keys = "must be an object of at most 1000 members: 64 hexadecimal digits in lower case, and a tenant, which must be ASCII letters, digits and \
                    ._-@:/, at most 128 bytes, without path segments that are empty, `.` or `..`, and not unknown, invalid or overflow";
        let cases = [
            (r#""from":"spiffe","pattern":"spiffe://td/{a}""#.to_owned(), "tenant: is missing; allowed: what pattern makes".to_owned()),
            (r#""from":"spiffe","tenant":"{a}""#.into(), "pattern: is missing; tenant is made of it".into()),
            (r#""from":"spiffe","pattern":"/ns/{a}","tenant":"{a}""#.into(), "pattern: must begin with spiffe://".into()),
            (r#""from":"spiffe","take":"path","pattern":"spiffe://td/{a}","tenant":"{a}""#.into(), "take: only allowed without pattern".into()),
            (r#""from":"jwt","pattern":"{a","tenant":"{a}""#.into(), "pattern: has a { without a }".into()),
            (r#""from":"jwt","pattern":"{a}","tenant":"{b}""#.into(), "tenant: must only have names in braces that are in pattern".into()),
            (r#""from":"jwt","pattern":"{a} x","tenant":"{a}""#.into(), "pattern: must be a string of 1 to 256 printable ASCII characters without spaces".into()),
            (r#""from":"jwt","element":"matching""#.into(), "pattern: is missing; element asks for it".into()),
            (r#""from":"jwt","element":"last""#.into(), "element: must be one of first, matching".into()),
            (r#""from":"jwt","san":"dns""#.into(), "san: only allowed with \"from\": \"certificate\" or \"xfcc\"".into()),
            (r#""from":"jwt","trusted":true"#.into(), "trusted: only allowed with \"from\": \"header\" or \"xfcc\"".into()),
            (r#""from":"xfcc","san":"email""#.into(), "san: must be uri or dns: the header has no others".into()),
            (r#""from":"xfcc","hops":9"#.into(), "hops: must be an integer from 0 to 8".into()),
            (r#""from":"api_key""#.into(), "keys: is missing; allowed: hashes of API keys (`meshmeter hash-key`) and their tenants".into()),
            (r#""from":"api_key","keys":{"sk-s3cret":"acme"}"#.into(), format!("keys: {keys}")),
            (format!(r#""from":"api_key","keys":{{"{hash}":"unknown"}}"#), format!("keys: {keys}")),
            (format!(r#""from":"api_key","keys":{{"{hash}":7}}"#), format!("keys: {keys}")),
            (format!(r#""from":"api_key","keys":{{"{hash}":"a"}},"pattern":"{{a}}","tenant":"{{a}}""#),
             "pattern: only allowed with \"from\": \"spiffe\" or \"certificate\" or \"jwt\" or \"xfcc\" or \"header\" or \"node\"".into()),
        ];
        for (entry, expected) in cases {
            let text = parse(format!(r#"{{"tenant":[{{{entry}}}]}}"#).as_bytes()).unwrap_err().to_string();
            assert_eq!(text.lines().next(), Some(format!("tenant[0].{expected}").as_str()), "{entry}");
            assert!(!text.contains("s3cret"), "{text}");
        }
    }
}
