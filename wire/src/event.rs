//! The wire form of a record: one CloudEvent, flat, the same bytes for collector and journal.

mod decode;
mod encode;

pub use decode::{Event, decode};
pub use encode::encode;

use crate::emitter::MAX_SEQUENCE;
use crate::for_readers;
use crate::identity::{MAX_PRINCIPAL, MAX_TENANT, Source};
use crate::record::{Deferred, Evidence, Missing, NotAsked, Outcome, ProviderSource};
use crate::usage::{self, Class};

/// The CloudEvents `type` of a call's record.
pub const TYPE: &str = "meshmeter.call.v1";
/// The CloudEvents `source`.
pub const SOURCE: &str = "meshmeter";
/// The content type of a batch.
pub const BATCH_CONTENT_TYPE: &str = "application/cloudevents-batch+json";
/// The extractor's version, part of every event.
pub const EXTRACTOR: &str = concat!("meshmeter/", env!("CARGO_PKG_VERSION"));
/// The longest text of a field, bytes; `raw_usage` has its own cap.
pub const MAX_TEXT: usize = 256;
/// The cap of `raw_usage`, bytes.
pub const MAX_RAW_USAGE: usize = 2048;
/// What stands before an event in Envoy's own log, where the plugin writes it on demand.
pub const LOGGED: &str = "meshmeter: record ";
/// The most tags of a call.
pub const MAX_TAGS: usize = 8;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text of at most so many bytes.
    Text(usize),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of words.
    Words,
    /// A list of at most so many tags: `["name", "value", "source"]` each.
    Tags(usize),
    /// A whole number from .0 to .1.
    Number(u64, u64),
    /// True or false.
    Bool,
}

/// A field of the event's `data`.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Its unit, empty where there is none.
    pub unit: &'static str,
    /// One sentence for the reader of a table.
    pub help: &'static str,
}

macro_rules! fields {
    ($($variant:ident $name:literal $kind:expr, $unit:literal, $help:literal;)+) => {
        /// The fields of `data` beside the usage classes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Field {
            $(#[doc = $help] $variant,)+
        }

        impl Field {
            /// Every field, in the order of the wire.
            pub const ALL: &'static [Field] = &[$(Field::$variant,)+];

            /// Name, kind, unit and help.
            pub const fn spec(self) -> Spec {
                match self {
                    $(Field::$variant => Spec { name: $name, kind: $kind, unit: $unit, help: for_readers($help) },)+
                }
            }
        }
    };
}

const COUNT: Kind = Kind::Number(0, usage::MAX_COUNT);
const TOTAL: Kind = Kind::Number(0, MAX_SEQUENCE);
const MICROSECONDS: Kind = Kind::Number(0, MAX_SEQUENCE);
const TEXT: Kind = Kind::Text(MAX_TEXT);

fields! {
    Emitter "emitter" Kind::Text(32), "", "who counts, a WebAssembly VM: the hash of its key, 32 lower-case hex digits";
    Sequence "sequence" Kind::Number(1, MAX_SEQUENCE), "", "the emitter's number of this record, from 1, without gaps";
    Tenant "tenant" Kind::Text(MAX_TENANT), "", "who is charged; `unknown` if no source showed anything, `invalid` if one did and it names nobody";
    TenantSource "tenant_source" Kind::Word(Source::WORDS), "", "what proved the tenant";
    Principal "principal" Kind::Text(MAX_PRINCIPAL), "", "the authenticated workload that called, a SPIFFE ID";
    Provider "provider" TEXT, "", "the provider that responded, in the terms of `gen_ai.provider.name`; `openai_compatible` and the like: none that is known";
    ProviderSource "provider_source" Kind::Word(ProviderSource::WORDS), "", "what shows which provider responded: a rule of `providers` by cluster, route, prefix or host; the cluster's name; the host as Envoy rewrote it; the upstream's certificate; the client's host, trusted by `detect.trust_host`; `shape`: only the API is known";
    UpstreamHost "upstream_host" TEXT, "", "the host that the upstream was asked for, after rewriting";
    Api "api" TEXT, "", "the API";
    Operation "operation" TEXT, "", "in the terms of `gen_ai.operation.name`, and also `rerank`, `decide`, `cache_content`, `guardrail` and `batch`";
    RequestModel "request_model" TEXT, "", "the requested model";
    ResponseModel "response_model" TEXT, "", "the model that responded";
    Stream "stream" Kind::Bool, "", "whether the response was a stream of events or, if none came, was asked to be one";
    Status "status" Kind::Number(100, 999), "", "the HTTP status, if a response began";
    Attempts "attempts" Kind::Number(0, u32::MAX as u64), "", "requests that Envoy made for this call; more than one may have been charged more than once";
    ResponseId "response_id" TEXT, "", "the provider's id of the response";
    ProviderRequestId "provider_request_id" TEXT, "", "the provider's id of the request";
    RequestId "request_id" TEXT, "", "the mesh's id of the request, `x-request-id`";
    TraceId "trace_id" Kind::Text(32), "", "the trace of the request, from `traceparent`: 32 lower-case hex digits";
    SpanId "span_id" Kind::Text(16), "", "the span that the request came with, from `traceparent`: 16 lower-case hex digits";
    Proxy "proxy" Kind::Text(32), "", "the Envoy process that saw the call, the same for all its workers: 32 lower-case hex digits";
    Route "route" TEXT, "", "Envoy's route name";
    Cluster "cluster" TEXT, "", "Envoy's upstream cluster";
    Node "node" TEXT, "", "Envoy's node id";
    NodeCluster "node_cluster" TEXT, "", "Envoy's service cluster (`node.cluster`), which the replicas of one workload share";
    ServiceTier "service_tier" TEXT, "", "the service tier that the provider says it used; of Fireworks, which says nothing and refuses what it cannot serve so, the one that was asked for";
    ServiceTierAsked "service_tier_asked" TEXT, "", "the service tier that the request asked for, in its body or a header";
    Speed "speed" TEXT, "", "the speed that the provider says it used, such as `fast`";
    InferenceGeo "inference_geo" TEXT, "", "where inference ran, in the provider's words";
    Region "region" TEXT, "", "the provider's region: from the cluster's or the host's name, else the location, ARN or inference profile in the path, else `x-ms-region`; only where the provider is known";
    PathModel "path_model" TEXT, "", "the model, deployment, inference profile or ARN that the path names; for Hugging Face's router the service, such as `together`";
    Size "size" TEXT, "", "the size of the image or video that was made";
    Quality "quality" TEXT, "", "the quality of the image or video that was made; if the request names a number of steps instead, as `30-steps`";
    SearchContext "search_context" TEXT, "", "how much a search was to put into the prompt: `low`, `medium`, `high`";
    SearchTool "search_tool" TEXT, "", "which of the provider's tools searched the web, where these have different prices: `web_search`, `web_search_preview`, `enterprise_web_search`";
    SessionId "session_id" TEXT, "", "the session, by the client's word alone (`session.headers`)";
    AgentId "agent_id" TEXT, "", "the agent, by the client's word alone (`agent.headers`)";
    Tags "tags" Kind::Tags(MAX_TAGS), "", "facts that the configuration takes from verified claims (`jwt`) and trusted headers (`header`)";
    Deferred "deferred" Kind::Word(Deferred::WORDS), "", "the counts arrive in another call, which is not metered";
    UnknownUsage "unknown_usage" TEXT, "", "names of counts or items in the response that may be charged and that the meter does not know, separated by commas";
    ErrorType "error_type" TEXT, "", "the provider's word for an error, never its message";
    Outcome "outcome" Kind::Word(Outcome::WORDS), "", "how the call ended";
    Evidence "evidence" Kind::Word(Evidence::WORDS), "", "how good the counts are";
    MissingReason "missing_reason" Kind::Word(Missing::WORDS), "", "why there are no counts";
    UsageNotAsked "usage_not_asked" Kind::Word(NotAsked::WORDS), "", "why a stream that gave no counts was not asked for them, or was refused";
    RefusedBy "refused_by" TEXT, "", "why the plugin refused the call (`outcome` is `refused`): `usage_not_asked`, or `budget:` and the budget's name; `budget:` alone where the collector has never been heard";
    Flags "flags" Kind::Words, "", "what a consumer of the counts should know; `implausible_count`: a count that the bytes of the call cannot explain; `not_billed`: the provider counts it and charges nothing, as for a refusal before any output; `model_assumed`: neither request nor response names a model, and `request_model` is what the provider documents as its default; `request_unclear`: servers can read the request in several ways, or the meter cannot read it, and what it asks for decides the charge; `unknown_usage`: see there";
    Duration "duration_us" MICROSECONDS, "µs", "from the request's start to the end of the stream";
    TimeToFirstToken "time_to_first_token_us" MICROSECONDS, "µs", "from the request's start to the first byte of the response's body";
    TimePerOutputToken "time_per_output_token_us" MICROSECONDS, "µs", "from the first byte of a streamed response to its end, per output token after the first";
    InputTokens "input_tokens" TOTAL, "tokens", "all that the model read: the sum of the input and cache classes";
    OutputTokens "output_tokens" TOTAL, "tokens", "all that the model wrote: the sum of the output classes";
    ProviderTotal "provider_total_tokens" COUNT, "tokens", "the total as the provider reported it, for audits";
    ProviderCost "provider_cost_nano_usd" TOTAL, "nano-USD", "what the provider says the call cost";
    RawUsage "raw_usage" Kind::Text(MAX_RAW_USAGE), "", "the provider's usage objects by their path, as JSON, for audits";
    Part "part" TEXT, "", "only in a record of what another model was used for in the same call: for what; such a record is not a call";
    Extractor "extractor" TEXT, "", "what extracted the counts, with its version";
}

impl Field {
    /// The field's name.
    pub const fn name(self) -> &'static str {
        self.spec().name
    }
}

/// Every field of `data`, usage classes included, for documentation.
pub fn specs() -> impl Iterator<Item = Spec> {
    let classes = Class::ALL.iter().map(|class| {
        let unit = if class.kind() == usage::Kind::Unit { "count" } else { "tokens" };
        Spec { name: class.name(), kind: COUNT, unit, help: class.help() }
    });
    Field::ALL.iter().map(|field| field.spec()).chain(classes)
}

#[cfg(test)]
mod tests;
