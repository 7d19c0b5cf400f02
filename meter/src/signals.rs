//! The catalogue of single values that the plugin puts into Envoy's filter state, for access logs, span attributes and rate
//! limits: the one place that names them, the attributes that OpenTelemetry has for them, and when they are there.

use std::borrow::Cow;

use wire::for_readers;
use wire::identity::Identity;
use wire::record::Record;
use wire::usage::{Class, Usage};

/// When a value is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// With the head of the request.
    Head,
    /// With the end of the request.
    Request,
    /// With the end of the response.
    Response,
    /// When the stream is over: for access logs only.
    End,
}

/// A value.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its word in `publish`; the filter state is `wasm.meshmeter_WORD`.
    pub word: &'static str,
    /// Its name in the filter state, as the plugin writes it.
    pub key: &'static str,
    /// The attribute of a span or log that it is.
    pub attribute: &'static str,
    /// When it is there.
    pub when: When,
    /// What it says, for the reader of a table.
    pub help: &'static str,
}

macro_rules! signals {
    ($($variant:ident $word:literal $attribute:literal $when:ident $help:literal;)+) => {
        /// A value of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Signal {
            $(#[doc = $help] $variant,)+
        }

        impl Signal {
            /// Every value.
            pub const ALL: &'static [Signal] = &[$(Signal::$variant,)+];

            /// Their words, in the same order.
            pub const WORDS: &'static [&'static str] = &[$($word,)+];

            /// Word, names, time and help.
            pub const fn spec(self) -> Spec {
                match self {
                    $(Signal::$variant => Spec {
                        word: $word,
                        key: concat!("meshmeter_", $word),
                        attribute: $attribute,
                        when: When::$when,
                        help: for_readers($help),
                    },)+
                }
            }
        }
    };
}

signals! {
    Tenant "tenant" "meshmeter.tenant" Head "who is charged";
    SessionId "session_id" "gen_ai.conversation.id" Head "the session, by the client's word alone";
    Operation "operation" "gen_ai.operation.name" Request "`chat`, `embeddings`, …";
    Provider "provider" "gen_ai.provider.name" Request "the provider, as far as the cluster, a rule of `providers` by cluster, route or prefix, or the upstream's certificate shows it; when the stream is over, as in the record";
    RequestModel "request_model" "gen_ai.request.model" Request "the requested model";
    ResponseModel "response_model" "gen_ai.response.model" Response "the model that responded";
    ResponseId "response_id" "gen_ai.response.id" Response "the provider's ID of the response";
    ServiceTier "service_tier" "meshmeter.service_tier" Response "the service tier that the provider says it used";
    FinishReasons "finish_reasons" "gen_ai.response.finish_reasons" Response "why the model stopped, in the provider's words, each once and separated by commas";
    ErrorType "error_type" "error.type" Response "the provider's word for an error";
    InputTokens "input_tokens" "gen_ai.usage.input_tokens" Response "all that the model read, caches included";
    OutputTokens "output_tokens" "gen_ai.usage.output_tokens" Response "all that the model wrote, reasoning included";
    TotalTokens "total_tokens" "meshmeter.total_tokens" Response "the sum of both, for rate limits; 0 when the stream is over and nothing was counted";
    CacheReadTokens "cache_read_tokens" "gen_ai.usage.cache_read.input_tokens" Response "input from the provider's cache";
    CacheWriteTokens "cache_write_tokens" "gen_ai.usage.cache_creation.input_tokens" Response "input written to the provider's cache";
    ReasoningTokens "reasoning_tokens" "gen_ai.usage.reasoning.output_tokens" Response "output spent on reasoning";
    Outcome "outcome" "meshmeter.outcome" End "how the call ended";
    Evidence "evidence" "meshmeter.evidence" End "how good the counts are";
}

/// What is known of a call so far.
#[derive(Clone, Debug, Default)]
pub struct Known<'a> {
    /// Who called.
    pub identity: Option<&'a Identity>,
    /// The client's session.
    pub session_id: Option<&'a str>,
    /// The operation.
    pub operation: Option<&'a str>,
    /// The provider.
    pub provider: Option<Cow<'a, str>>,
    /// The model that was asked for.
    pub request_model: Option<&'a str>,
    /// The model that responded.
    pub response_model: Option<&'a str>,
    /// The provider's id of the response.
    pub response_id: Option<&'a str>,
    /// The service tier.
    pub service_tier: Option<&'a str>,
    /// Why the model stopped.
    pub finish_reasons: Option<&'a str>,
    /// The provider's word for an error.
    pub error_type: Option<&'a str>,
    /// The counts.
    pub usage: Option<Cow<'a, Usage>>,
    /// How the call ended, and how good its counts are.
    pub ended: Option<(&'static str, &'static str)>,
}

impl<'a> Known<'a> {
    /// What a record says.
    pub fn of(record: &'a Record) -> Known<'a> {
        Known {
            identity: Some(&record.identity),
            session_id: record.session_id.as_deref(),
            operation: Some(&record.operation),
            provider: Some(Cow::Borrowed(&record.provider)),
            request_model: record.request_model.as_deref(),
            response_model: record.response_model.as_deref(),
            response_id: record.response_id.as_deref(),
            service_tier: record.service_tier.as_deref(),
            // A signal only: the record does not have it.
            finish_reasons: None,
            error_type: record.error_type.as_deref(),
            usage: Some(Cow::Borrowed(&record.usage)),
            ended: Some((record.outcome.as_str(), record.evidence.as_str())),
        }
    }

    /// A value, if it is known. What is not known has none; a count is never guessed to be zero.
    pub fn value(&self, signal: Signal) -> Option<Cow<'_, str>> {
        let text = |value: Option<&'a str>| value.filter(|text| !text.is_empty()).map(Cow::Borrowed);
        match signal {
            Signal::Tenant => text(self.identity.map(|identity| identity.tenant.as_str())),
            Signal::SessionId => text(self.session_id),
            Signal::Operation => text(self.operation),
            Signal::Provider => self.provider.as_deref().map(Cow::Borrowed),
            Signal::RequestModel => text(self.request_model),
            Signal::ResponseModel => text(self.response_model),
            Signal::ResponseId => text(self.response_id),
            Signal::ServiceTier => text(self.service_tier),
            Signal::FinishReasons => text(self.finish_reasons),
            Signal::ErrorType => text(self.error_type),
            Signal::Outcome => text(self.ended.map(|(outcome, _)| outcome)),
            Signal::Evidence => text(self.ended.map(|(_, evidence)| evidence)),
            counted => {
                // Envoy's rate limits want a number of every stream, and complain of none.
                let none = (counted == Signal::TotalTokens && self.ended.is_some()).then_some(0);
                Some(Cow::Owned(count(counted, self.usage.as_deref()?).or(none)?.to_string()))
            }
        }
    }
}

fn count(signal: Signal, usage: &Usage) -> Option<u64> {
    use Class::{CacheRead, CacheReadAudio, CacheReadExplicit, CacheReadImage, CacheReadVideo};
    use Class::{CacheWrite1h, CacheWrite5m, CacheWrite12h, CacheWrite30m, CacheWriteOther, OutputReasoning};
    let sum = |classes: &[Class]| classes.iter().filter_map(|class| usage.get(*class)).reduce(u64::saturating_add);
    match signal {
        Signal::InputTokens => usage.input_total(),
        Signal::OutputTokens => usage.output_total(),
        Signal::TotalTokens => {
            [usage.input_total(), usage.output_total()].into_iter().flatten().reduce(u64::saturating_add)
        }
        Signal::CacheReadTokens => sum(&[CacheRead, CacheReadAudio, CacheReadImage, CacheReadVideo, CacheReadExplicit]),
        Signal::CacheWriteTokens => sum(&[CacheWrite5m, CacheWrite1h, CacheWrite30m, CacheWrite12h, CacheWriteOther]),
        Signal::ReasoningTokens => sum(&[OutputReasoning]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::identity::Source;

    fn record() -> Record {
        let mut usage = Usage::default();
        let counts = [
            (Class::InputText, 100),
            (Class::CacheRead, 20),
            (Class::CacheReadImage, 3),
            (Class::CacheWrite5m, 4),
            (Class::CacheWriteOther, 1),
            (Class::OutputText, 10),
            (Class::OutputReasoning, 7),
        ];
        counts.into_iter().for_each(|(class, count)| usage.set(class, Some(count)));
        Record {
            identity: Identity { tenant: "acme".into(), source: Source::Jwt, principal: None },
            session_id: Some("s".into()),
            operation: "chat".into(),
            provider: "openai".into(),
            request_model: Some("m".into()),
            response_model: Some("m-1".into()),
            response_id: Some("r".into()),
            service_tier: Some("flex".into()),
            error_type: Some(String::new()),
            usage,
            ..Record::default()
        }
    }

    cases! {
        fn deterministic_values_are_those_of_the_record() {
            let record = record();
            let known = Known::of(&record);
            let found: Vec<_> = Signal::ALL.iter().map(|&signal| known.value(signal).map(Cow::into_owned)).collect();
            let expected = [
                Some("acme"), Some("s"), Some("chat"), Some("openai"), Some("m"), Some("m-1"), Some("r"), Some("flex"), None, None,
                Some("128"), Some("17"), Some("145"), Some("23"), Some("5"), Some("7"),
                Some(record.outcome.as_str()), Some(record.evidence.as_str()),
            ];
            assert_eq!(found.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
        }

        fn contract_what_is_not_known_has_no_value() {
            let nothing = Known::default();
            assert!(Signal::ALL.iter().all(|&signal| nothing.value(signal).is_none()));
            let none = Record { usage: Usage::default(), ..record() };
            let known = Known::of(&none);
            for signal in [Signal::InputTokens, Signal::OutputTokens, Signal::ReasoningTokens] {
                assert_eq!(known.value(signal), None, "{signal:?}");
            }
            assert_eq!(known.value(Signal::TotalTokens).as_deref(), Some("0"), "for rate limits");
            assert_eq!(Known { ended: None, ..known }.value(Signal::TotalTokens), None);
        }

        fn contract_names_are_unique() {
            let names = |name: fn(Spec) -> &'static str| {
                let mut names: Vec<_> = Signal::ALL.iter().map(|signal| name(signal.spec())).collect();
                names.sort_unstable();
                names.dedup();
                names.len()
            };
            let all = Signal::ALL.len();
            assert_eq!((names(|spec| spec.word), names(|spec| spec.key), names(|spec| spec.attribute)), (all, all, all));
        }
    }
}
