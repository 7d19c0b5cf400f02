use wire::identity::Identity;

use super::super::{Call, Cut, Ended, RequestHead, ResponseHead};
use super::*;
use crate::provider::Detect;

const WORDS: &str = "words and more words ";

/// A call of a tenant to a cluster.
#[derive(Clone, Copy)]
struct Play<'a> {
    tenant: &'a str,
    cluster: &'a str,
    path: &'a str,
    request: &'a str,
    body: &'a str,
    cut: bool,
}

const CHAT: Play<'_> = Play {
    tenant: "a",
    cluster: "openai",
    path: "/v1/chat/completions",
    request: r#"{"model":"m"}"#,
    body: "",
    cut: false,
};

impl Play<'_> {
    fn run(&self, ratios: &mut Ratios) -> Record {
        self.records(ratios).remove(0)
    }

    fn records(&self, ratios: &mut Ratios) -> Vec<Record> {
        let head =
            RequestHead { method: b"POST", host: b"llm.internal", path: self.path.as_bytes(), content_encoding: None };
        let mut call = Call::begin(&head, &Detect { by_shape: true, trust_host: true, rules: Vec::new() }, 0).unwrap();
        call.request_body(self.request.as_bytes());
        call.response_head(&ResponseHead { status: Some(200), content_type: None, content_encoding: None });
        call.response_body(self.body.as_bytes());
        let ended = Ended {
            cut: self.cut.then_some(Cut::Client),
            identity: Identity { tenant: self.tenant.to_owned(), ..Identity::default() },
            cluster: Some(self.cluster.to_owned()),
            ..Ended::default()
        };
        call.finish(ended, ratios)
    }

    /// The estimated input and output of the same call, cut.
    fn estimate(&self, ratios: &mut Ratios) -> (u64, u64) {
        let record = Play { cut: true, ..*self }.run(ratios);
        assert_eq!(record.evidence, Evidence::Estimated);
        (record.usage.input_total().unwrap_or(0), record.usage.output_total().unwrap_or(0))
    }
}

fn stream(text: &str, usage: Option<(u64, u64)>) -> String {
    let usage = usage.map(|(input, output)| {
        format!("data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":{input},\"completion_tokens\":{output}}}}}\n\n")
    });
    format!(
        "data: {{\"model\":\"m\",\"object\":\"chat.completion.chunk\",\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n{}",
        usage.unwrap_or_default()
    )
}

/// A request for a text of 630 bytes, with more parts of the message and more members of the request.
fn asking(parts: &str, members: &str) -> String {
    let text = WORDS.repeat(30);
    format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"text","text":"{text}"}}{parts}]}}]{members}}}"#
    )
}

cases! {
    fn deterministic_a_call_teaches_its_like_and_nobody_else() {
        let mut ratios = Ratios::default();
        let (told, cut) = (stream(&WORDS.repeat(30), Some((140, 300))), stream(&WORDS.repeat(30), None));
        let request = asking("", "");
        let like = Play { request: &request, body: &cut, ..CHAT };
        assert_eq!(like.estimate(&mut ratios), (158, 120));
        Play { body: &told, ..like }.run(&mut ratios);
        assert_eq!(like.estimate(&mut ratios), (140, 300));
        assert_eq!(Play { tenant: "b", ..like }.estimate(&mut ratios), (158, 120));
        assert_eq!(Play { cluster: "mine", ..like }.estimate(&mut ratios), (158, 120));
    }

    fn contract_counts_that_no_bytes_explain_are_flagged_and_teach_nothing() {
        let sample = WORDS.repeat(30);
        for (input, output, flagged) in [
            (1 << 40, 1, true), (1, 1 << 40, true), (1, 200_000, true), (1 << 24 | 1 << 20, 1, true),
            (10_000_000, 1, false), (1, 128_000, false), (0, 0, false),
        ] {
            let mut ratios = Ratios::default();
            let body = stream(&sample, Some((input, output)));
            let record = Play { body: &body, ..CHAT }.run(&mut ratios);
            assert_eq!(record.evidence, Evidence::Reported);
            assert_eq!((record.usage.input_total(), record.usage.output_total()), (Some(input), Some(output)), "as reported");
            assert_eq!(record.flags.contains(Flag::ImplausibleCount), flagged, "{input} {output}");
            let cut = stream(&sample, None);
            let now = Play { body: &cut, ..CHAT }.estimate(&mut ratios);
            assert!(if flagged { now.1 == 120 } else { now.1 <= 120 + 128 * 1024 }, "{output}: {now:?}");
        }
        // Thoughts that are counted apart, and several responses, can be more.
        let thoughts = stream(&sample, None) + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":900000,\"completion_tokens_details\":{\"reasoning_tokens\":899000}}}\n\n";
        let several = stream(&sample, Some((1, 900_000)));
        for (request, body) in [(CHAT.request, &thoughts), (r#"{"model":"m","n":8}"#, &several)] {
            let record = Play { request, body, ..CHAT }.run(&mut Ratios::default());
            assert!(!record.flags.contains(Flag::ImplausibleCount), "{request}");
        }
    }

    fn contract_absurd_counts_of_another_model_are_flagged_in_its_own_record() {
        let body = r#"{"type":"message","id":"msg_1","model":"m","usage":{"input_tokens":5,"output_tokens":6,"iterations":[{"type":"message","input_tokens":5,"output_tokens":6},{"type":"advisor_message","model":"adviser","input_tokens":27,"output_tokens":1000000000}]}}"#;
        let records = Play { path: "/v1/messages", body, ..CHAT }.records(&mut Ratios::default());
        let flagged: Vec<_> = records.iter().map(|record| record.flags.contains(Flag::ImplausibleCount)).collect();
        assert_eq!(flagged, [false, true]);
    }

    fn contract_what_no_text_shows_teaches_nothing_of_text() {
        let body = stream(&WORDS.repeat(30), Some((600, 300)));
        let cut = stream(&WORDS.repeat(30), None);
        let plain = asking("", "");
        let estimate = |ratios: &mut Ratios| Play { request: &plain, body: &cut, ..CHAT }.estimate(ratios);
        let parts = [
            r#",{"type":"image_url","image_url":{"url":"https://x"}}"#,
            r#",{"type":"image","source":{"type":"url"}}"#,
            r#",{"type":"input_audio","input_audio":{"data":"AA"}}"#,
            r#",{"type":"file","file":{"file_id":"f"}}"#,
            r#",{"type":"tool_result","content":[{"type":"image","source":{}}]}"#,
        ];
        let members = [
            r#","tools":[{"type":"web_search"}]"#, r#","previous_response_id":"resp_1""#, r#","conversation":{"id":"c"}"#,
            r#","cachedContent":"cachedContents/1""#, r#","container":"c""#, r#","input":[{"type":"item_reference","id":"i"}]"#,
            r#","contents":[{"parts":[{"inlineData":{}}]}]"#, r#","contents":[{"parts":[{"fileData":{}}]}]"#,
            r#","prompt":{"id":"p"}"#, r#","\u0074ools":[]"#,
        ];
        let requests = parts.iter().map(|part| asking(part, "")).chain(members.iter().map(|member| asking("", member)));
        for request in requests {
            let mut ratios = Ratios::default();
            Play { request: &request, body: &body, ..CHAT }.run(&mut ratios);
            assert_eq!(estimate(&mut ratios), (158, 300), "{request}");
        }
        let mut ratios = Ratios::default();
        Play { request: &asking("", r#","tools":null,"temperature":1"#), body: &body, ..CHAT }.run(&mut ratios);
        assert_eq!(estimate(&mut ratios), (600, 300));
        // Sound that the provider counts apart.
        let heard = body.replace("\"completion_tokens\":300", "\"completion_tokens\":300,\"prompt_tokens_details\":{\"audio_tokens\":9},\"completion_tokens_details\":{\"audio_tokens\":9}");
        let mut ratios = Ratios::default();
        Play { request: &plain, body: &heard, ..CHAT }.run(&mut ratios);
        assert_eq!(estimate(&mut ratios), (158, 120));
    }

    fn contract_a_call_that_was_sent_and_not_responded_to_has_its_input_estimated() {
        const UPSTREAM_GONE: Option<Cut> = Some(Cut::Upstream);
        let mut ratios = Ratios::default();
        let whole = asking("", "");
        let cut = &whole[..whole.len() - 1];
        let unreadable = whole.replace("]}]", "]},]");
        let made = |request: &str, ended_by, sent, refused: bool, ratios: &mut Ratios| {
            let head = RequestHead { method: b"POST", host: b"llm.internal", path: CHAT.path.as_bytes(), content_encoding: None };
            let mut call = Call::begin(&head, &Detect { by_shape: true, trust_host: true, rules: Vec::new() }, 0).unwrap();
            request.as_bytes().chunks(7).for_each(|chunk| call.request_body(chunk));
            let identity = Identity { tenant: CHAT.tenant.to_owned(), ..Identity::default() };
            let cluster = Some(CHAT.cluster.to_owned());
            let refused_by = refused.then(|| "budget:x".to_owned());
            let ended = Ended { cut: ended_by, attempts: Some(1), sent, refused_by, identity, cluster, ..Ended::default() };
            let record = call.finish(ended, ratios).remove(0);
            assert_eq!((record.missing_reason, record.usage.output_total()), (Some(Missing::NoResponse), None));
            assert_eq!(record.evidence == Evidence::Estimated, record.usage.input_total().is_some(), "{:?}", record.evidence);
            record.usage.input_total()
        };
        for (request, ended_by, sent, refused, input) in [
            (whole.as_str(), Some(Cut::Client), true, false, Some(158)),
            (&whole, None, true, false, Some(158)),
            // A timeout, a connection that the provider closed.
            (&whole, Some(Cut::Timeout), true, false, Some(158)),
            (&whole, UPSTREAM_GONE, true, false, Some(158)),
            // What is no JSON here may be some to the provider.
            (&unreadable, Some(Cut::Client), true, false, Some(158)),
            // Envoy had no connection yet; it says that nothing was sent; the filter has refused the call.
            (&whole, Some(Cut::Client), false, false, None),
            (&whole, Some(Cut::NotSent), true, false, None),
            (&whole, Some(Cut::Client), true, true, None),
            // Half a prompt; none.
            (cut, Some(Cut::Client), true, false, None),
            (CHAT.request, Some(Cut::Client), true, false, None),
        ] {
            assert_eq!(made(request, ended_by, sent, refused, &mut ratios), input, "{request} {ended_by:?} {sent} {refused}");
        }
        // By what the tenant's calls took, as any other estimate.
        let told = stream(&WORDS.repeat(30), Some((140, 300)));
        Play { request: &whole, body: &told, ..CHAT }.run(&mut ratios);
        assert_eq!(made(&whole, Some(Cut::Client), true, false, &mut ratios), Some(140));
    }

    fn contract_a_tenant_does_not_make_its_own_estimates_cheap() {
        // One call, 400 tokens, and cheap ones for as long as it likes; then a stream that it leaves before the counts.
        let text = "The quick brown fox said something of use to all, and then left. ".repeat(200);
        let cut = stream(&text, None);
        let honest = Play { body: &cut, ..CHAT }.estimate(&mut Ratios::default()).1;
        let cheap = stream(&"=".repeat(6400), Some((20, 400)));
        let mut ratios = Ratios::default();
        let mut before = 6400 / 4;
        for calls in 1..100 {
            Play { body: &cheap, ..CHAT }.run(&mut ratios);
            let now = Play { body: &cut, ..CHAT }.estimate(&mut ratios).1;
            assert!(now >= honest / 2, "{calls}: {now} of {honest}");
            assert!(calls > 1 || now >= text.len() as u64 / 4 * 3 / 4, "{now}");
            before = now.min(before);
        }
        // What a text really takes is believed again.
        let real = stream(&text, Some((20, honest)));
        (0..100).for_each(|_| drop(Play { body: &real, ..CHAT }.run(&mut ratios)));
        assert!(Play { body: &cut, ..CHAT }.estimate(&mut ratios).1 > before.max(honest / 2));
    }

    fn contract_an_estimate_beyond_what_models_write_is_flagged() {
        let long = "word ".repeat(140_000);
        for (body, flagged) in [(stream(&long, None), true), (stream(&long[..500_000], None), false)] {
            let record = Play { body: &body, cut: true, ..CHAT }.run(&mut Ratios::default());
            assert_eq!(record.evidence, Evidence::Estimated);
            assert_eq!(record.flags.contains(Flag::ImplausibleCount), flagged, "{:?}", record.usage.output_total());
            let several = Play { request: r#"{"model":"m","n":8}"#, body: &body, cut: true, ..CHAT }.run(&mut Ratios::default());
            assert!(!several.flags.contains(Flag::ImplausibleCount));
        }
        let whole = format!(r#"{{"object":"chat.completion","choices":[{{"message":{{"content":"{}"}}}}]}}"#, "x".repeat(600_000));
        let record = Play { body: &whole, ..CHAT }.run(&mut Ratios::default());
        assert_eq!((record.evidence, record.flags.contains(Flag::ImplausibleCount)), (Evidence::Estimated, true));
    }

    fn contract_escapes_are_characters() {
        let cut = stream("Hi", None);
        let of = |text: &str| {
            let request = format!(r#"{{"model":"m","messages":[{{"content":"{text}"}}]}}"#);
            Play { request: &request, body: &cut, ..CHAT }.estimate(&mut Ratios::default()).0
        };
        assert_eq!(of(&r"\u0041".repeat(400)), of(&"A".repeat(400)));
        assert_eq!(of(&r"\ud83d\ude00".repeat(400)), of(&"\u{1f600}".repeat(400)));
        let escaped = stream(&r"\u0020\u0041".repeat(100), None);
        let plain = stream(&" A".repeat(100), None);
        let output = |body: &str| Play { body, ..CHAT }.estimate(&mut Ratios::default()).1;
        assert_eq!((output(&escaped), output(&plain)), (100, 100));
        // A teacher's prompt of escapes: 2,400 bytes, of which the model reads 400.
        let mut ratios = Ratios::default();
        let told = stream("Hi", Some((90, 1)));
        let request = format!(r#"{{"model":"m","messages":[{{"content":"{}"}}]}}"#, r"\u0020".repeat(400));
        Play { request: &request, body: &told, ..CHAT }.run(&mut ratios);
        let request = format!(r#"{{"model":"m","messages":[{{"content":"{}"}}]}}"#, "x".repeat(4000));
        assert_eq!(Play { request: &request, body: &cut, ..CHAT }.estimate(&mut ratios).0, 900);
    }

    fn contract_the_limit_of_the_api_bounds_an_estimate() {
        let text = WORDS.repeat(30);
        let cut = stream(&text, None);
        for (members, output) in [
            (r#","max_tokens":90"#, 90), (r#","max_completion_tokens":90"#, 90), (r#","max_tokens":90,"max_completion_tokens":100"#, 100),
            (r#","max_tokens":90,"max_tokens":1"#, 90), (r#","max_tokens":500"#, 120), (r#","max_tokens":45,"n":2"#, 90),
            // Not what this API calls it; what no number is; what the provider evidently does not obey.
            (r#","max_output_tokens":90"#, 120), (r#","max_tokens":"x""#, 120), (r#","max_tokens":null"#, 120),
            (r#","max_tokens":0"#, 120), (r#","max_tokens":-1"#, 120), (r#","max_tokens":1"#, 120), (r#","n":18446744073709551615"#, 120),
        ] {
            let request = asking("", members);
            assert_eq!(Play { request: &request, body: &cut, ..CHAT }.estimate(&mut Ratios::default()).1, output, "{members}");
        }
        // Thoughts are written too.
        let mut ratios = Ratios::default();
        let told = stream(&text, None) + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":5120,\"completion_tokens_details\":{\"reasoning_tokens\":5000}}}\n\n";
        Play { body: &told, ..CHAT }.run(&mut ratios);
        assert_eq!(Play { body: &cut, ..CHAT }.estimate(&mut ratios).1, 5120);
        let request = asking("", r#","max_completion_tokens":1000"#);
        assert_eq!(Play { request: &request, body: &cut, ..CHAT }.estimate(&mut ratios).1, 1000);
    }

    fn contract_counts_from_a_streams_start_are_raised_within_the_same_bounds() {
        let start = "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n";
        let text = format!("data: {{\"type\":\"content_block_delta\",\"delta\":{{\"text\":\"{}\"}}}}\n\n", WORDS.repeat(30));
        let end = "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":100000}}\n\ndata: {\"type\":\"message_stop\"}\n\n";
        let (cut, told) = (format!("{start}{text}"), format!("{start}{text}{end}"));
        let mut ratios = Ratios::default();
        let partial = |ratios: &mut Ratios, request: &str| {
            let record = Play { path: "/v1/messages", request, body: &cut, cut: true, ..CHAT }.run(ratios);
            assert!(record.evidence == Evidence::Partial && record.flags.contains(Flag::OutputEstimated));
            record.usage.output_total()
        };
        assert_eq!(partial(&mut ratios, CHAT.request), Some(120));
        Play { path: "/v1/messages", body: &told, ..CHAT }.run(&mut ratios);
        assert_eq!(partial(&mut ratios, CHAT.request), Some(100_000));
        assert_eq!(partial(&mut ratios, r#"{"model":"m","max_tokens":4096}"#), Some(4096));
    }
}
