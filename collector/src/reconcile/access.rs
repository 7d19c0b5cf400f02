//! A line of the access log without a record: whether a call to a model passed there that nobody metered.

use meter::provider::Detect;
use meter::provider::{Certainty, Destination, detect};
use serde::Serialize;

/// A line of the access log that has no record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub time: String,
    pub method: String,
    pub authority: String,
    pub path: String,
    pub status: u16,
    pub details: String,
    pub flags: String,
    pub cluster: String,
    pub route: String,
    pub upstream_bytes_sent: Option<u64>,
    /// Whether the line has a field for the record at all.
    pub has_field: bool,
}

/// Where it went, as far as the line tells: its host is the one that the upstream was asked for, its path the client's.
impl Destination for Call {
    fn cluster(&self) -> Option<&str> {
        Some(&self.cluster)
    }
    fn route(&self) -> Option<&str> {
        Some(&self.route)
    }
    fn host(&self) -> Option<String> {
        Some(self.authority.clone())
    }
    fn path(&self) -> Option<String> {
        None
    }
    fn certificate(&self) -> Option<String> {
        None
    }
}

/// A call to a model that has no record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unmetered {
    /// File and line.
    pub at: String,
    /// When it began, as the access log writes it.
    pub time: String,
    /// The host asked for.
    pub host: String,
    /// Without its query, which may hold a key.
    pub path: String,
    /// What the client got; 0: nothing.
    pub status: u16,
    /// Envoy's word for how the response came about.
    pub details: String,
    /// Whether the provider got anything of it.
    pub reached: Reached,
}

/// Whether a call reached the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reached {
    /// It did.
    Yes,
    /// Envoy's response does not tell: it may have been charged.
    Perhaps,
    /// Envoy itself responded: nothing was used.
    No,
}

/// What a line without a record tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No call to a model.
    Other,
    /// A call to a model in a log that shows no records: nothing can be said.
    Unknown,
    /// A call to a model without a record.
    Call(Unmetered),
}

/// Judges a line.
pub fn judge(call: Call, at: impl FnOnce() -> String, rules: &Detect) -> Verdict {
    let target = detect(call.method.as_bytes(), call.authority.as_bytes(), call.path.as_bytes(), rules, &call);
    let is_call = match target.map(|target| target.certainty) {
        Some(Certainty::Known) => true,
        // The meter would have looked into the bodies; a response that worked is the next best sign.
        Some(Certainty::Path) => (200..300).contains(&call.status),
        Some(Certainty::Shape) | None => false,
    };
    match (is_call, call.has_field) {
        (false, _) => Verdict::Other,
        (true, false) => Verdict::Unknown,
        (true, true) => {
            let reached = reached(&call);
            let path = call.path.split(['?', '#']).next().unwrap_or_default().to_owned();
            let Call { time, authority: host, status, details, .. } = call;
            Verdict::Call(Unmetered { at: at(), time, host, path, status, details, reached })
        }
    }
}

/// Flags of responses that Envoy gives in the middle of a call, when the provider has at least the request's head.
const UNDERWAY: &[&str] = &["UT", "UC", "UR", "UPE", "UMSDR", "DC", "DT", "SI", "DR"];
/// Details of responses that Envoy gives at any time: `wasm_fail_stream` is the fault of a VM, which ends its calls
/// whether they have begun or are at their end.
const ANY_TIME: &[&str] = &["wasm_fail_stream", "duration_timeout", "max_duration_timeout"];

fn reached(call: &Call) -> Reached {
    if let Some(bytes) = call.upstream_bytes_sent {
        return if bytes > 0 { Reached::Yes } else { Reached::No };
    }
    let details = call.details.as_str();
    if details.starts_with("via_upstream") {
        return Reached::Yes;
    }
    let underway = call.flags.split(',').any(|flag| UNDERWAY.contains(&flag));
    // No details and no flags: a log that does not write them.
    if underway || details.is_empty() || ANY_TIME.iter().any(|word| details.starts_with(word)) {
        return Reached::Perhaps;
    }
    Reached::No
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(authority: &str, path: &str, status: u16) -> Call {
        Call {
            method: "POST".to_owned(),
            authority: authority.to_owned(),
            path: path.to_owned(),
            status,
            details: "via_upstream".to_owned(),
            has_field: true,
            ..Call::default()
        }
    }

    fn verdict(call: Call) -> Verdict {
        judge(call, || "log:1".to_owned(), &meter::config::parse(b"{}").unwrap().detect)
    }

    #[test]
    fn contract_what_the_meter_would_have_metered_is_an_unmetered_call() {
        let is_call = |call: Call| matches!(verdict(call), Verdict::Call(_));
        assert!(is_call(call("api.openai.com:443", "/v1/chat/completions", 200)));
        assert!(is_call(call("api.openai.com", "/v1/chat/completions", 500)));
        assert!(is_call(call("vllm.models:8000", "/v1/chat/completions", 200)));
        assert!(!is_call(call("vllm.models:8000", "/v1/chat/completions", 404)), "perhaps another application");
        assert!(!is_call(call("api.openai.com", "/v1/files", 200)));
        assert!(!is_call(call("example.com", "/", 200)));
        assert!(!is_call(call("api.anthropic.com", "/v1/messages/count_tokens", 200)));
        let get = Call { method: "GET".to_owned(), ..call("api.openai.com", "/v1/responses", 200) };
        assert_eq!(verdict(get), Verdict::Other);
    }

    #[test]
    fn contract_a_log_that_shows_no_records_proves_nothing() {
        let call = Call { has_field: false, ..call("api.openai.com", "/v1/chat/completions", 200) };
        assert_eq!(verdict(call), Verdict::Unknown);
    }

    #[test]
    fn contract_hosts_of_the_plugins_configuration_are_known() {
        let config = br#"{"providers":[{"host":"llm.internal","path":"ask","provider":"own"}]}"#;
        let rules = meter::config::parse(config).unwrap().detect;
        let judged = judge(call("llm.internal", "/ask", 503), || "log:1".to_owned(), &rules);
        assert!(matches!(judged, Verdict::Call(_)), "{judged:?}");
    }

    #[test]
    fn contract_clusters_and_routes_of_the_plugins_configuration_are_known() {
        let config = br#"{"providers":[{"cluster":"llm-*","path":"ask","provider":"own"},{"route":"models","path":"ask","provider":"own"}]}"#;
        let rules = meter::config::parse(config).unwrap().detect;
        let is_call = |cluster: &str, route: &str| {
            let call = Call { cluster: cluster.into(), route: route.into(), ..call("10.0.0.1", "/ask", 503) };
            matches!(judge(call, || "log:1".to_owned(), &rules), Verdict::Call(_))
        };
        assert!(is_call("llm-a", "") && is_call("", "models"));
        assert!(!is_call("web", "shop") && !is_call("", ""));
    }

    #[test]
    fn contract_a_key_in_the_query_is_never_shown() {
        let path = "/v1beta/models/gemini-2.5-pro:generateContent?key=secret";
        let Verdict::Call(unmetered) = verdict(call("generativelanguage.googleapis.com", path, 200)) else {
            panic!("a call");
        };
        assert!(!serde_json::to_string(&unmetered).unwrap().contains("secret"));
    }

    #[test]
    fn contract_whether_the_provider_got_it_is_told_apart() {
        let cases = [
            ("via_upstream", "-", None, Reached::Yes),
            ("via_upstream", "DC", None, Reached::Yes),
            ("route_not_found", "NR", None, Reached::No),
            ("direct_response", "-", None, Reached::No),
            ("jwt_authn_access_denied{Jwt_is_expired}", "-", None, Reached::No),
            ("no_healthy_upstream", "UH", None, Reached::No),
            ("upstream_reset_before_response_started{connection_failure}", "UF", None, Reached::No),
            ("upstream_reset_before_response_started{connection_termination}", "UC", None, Reached::Perhaps),
            ("response_timeout", "UT", None, Reached::Perhaps),
            ("downstream_remote_disconnect", "DC", None, Reached::Perhaps),
            ("wasm_fail_stream", "-", None, Reached::Perhaps),
            ("wasm_fail_stream", "-", Some(0), Reached::No),
            ("wasm_fail_stream", "-", Some(800), Reached::Yes),
            ("", "", None, Reached::Perhaps),
        ];
        for (details, flags, upstream_bytes_sent, expected) in cases {
            let call = Call { details: details.into(), flags: flags.into(), upstream_bytes_sent, ..Call::default() };
            assert_eq!(reached(&call), expected, "{details} {flags} {upstream_bytes_sent:?}");
        }
    }
}
