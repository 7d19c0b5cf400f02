//! The usage record: what is known of one call when it has ended.

use crate::identity::Identity;
use crate::usage::Usage;

words! {
    /// How the call ended.
    #[derive(Default)]
    Outcome {
        /// The response arrived whole, with a status below 400.
        Completed "completed",
        /// The response arrived whole, with a status of 400 or above.
        ErrorStatus "error_status",
        /// The client went away before the end.
        ClientAborted "client_aborted",
        /// The provider's side broke off.
        UpstreamReset "upstream_reset",
        /// Envoy gave up waiting.
        Timeout "timeout",
        /// Envoy itself responded; the provider never saw the call.
        #[default]
        NotSent "not_sent",
        /// The meter refused it; the provider never saw all of it.
        Refused "refused",
    }
}

words! {
    /// How good the counts are.
    #[derive(Default)]
    Evidence {
        /// The provider's final counts.
        Reported "reported",
        /// Counts the provider had reported before the response broke off.
        Partial "partial",
        /// Counted from the visible output.
        Estimated "estimated",
        /// No counts; `missing_reason` says why.
        #[default]
        Missing "missing",
    }
}

words! {
    /// Why there are no counts.
    Missing {
        /// A stream whose request did not ask for usage.
        NotRequested "not_requested",
        /// Well-formed, but no usage in it.
        Absent "absent",
        /// The response had no body.
        NoBody "no_body",
        /// No response came from the provider.
        NoResponse "no_response",
        /// The body ended in the middle.
        TruncatedBody "truncated_body",
        /// The body broke the rules of its format.
        MalformedBody "malformed_body",
        /// The body is in no format the meter reads.
        UnknownFormat "unknown_format",
        /// The body's content encoding is not read.
        EncodedBody "encoded_body",
        /// The body decodes to more than is read.
        BodyTooLarge "body_too_large",
        /// The provider responded with an error.
        ErrorStatus "error_status",
    }
}

words! {
    /// Why a stream was not asked for its usage, where the host takes the option and the client did not ask.
    NotAsked {
        /// The configuration says so.
        Disabled "disabled",
        /// A signature or a digest covers the body.
        Signed "signed",
        /// The body is in a content coding.
        Encoded "encoded",
        /// The content type says that it is a form.
        NotJson "not_json",
        /// The body is no JSON object that strict readers take.
        Unreadable "unreadable",
        /// Readers may differ in what it asks for: a name is there twice, or in another case, or its value is no boolean.
        Ambiguous "ambiguous",
        /// The path is none that is known to take the option.
        UnknownPath "unknown_path",
        /// The provider takes the option, but is not known to take it here: on this path, in this version of its API, for this
        /// model, or with what else the request asks for.
        NotKnown "not_known",
        /// Who responded was known only when the request had left: by the host that Envoy put in the place of the client's.
        KnownLate "known_late",
        /// It has refused the option for this model, not long ago.
        RefusedBefore "refused_before",
        /// Envoy did not let it be changed.
        Failed "failed",
    }
}

words! {
    /// Why the counts of a call are to come in another one.
    Deferred {
        /// The response is made in the background, and polled.
        Background "background",
        /// A batch of calls.
        Batch "batch",
        /// A long job, such as a video or a research.
        Job "job",
    }
}

words! {
    /// What shows which provider it was. A client's word alone never does.
    ProviderSource {
        /// The configuration, by the cluster.
        RuleCluster "rule_cluster",
        /// The configuration, by the route.
        RuleRoute "rule_route",
        /// The configuration, by the beginning of the path.
        RulePrefix "rule_prefix",
        /// The configuration, by the host.
        RuleHost "rule_host",
        /// The cluster's name: that of the provider's host, or that of the provider whose host was asked for.
        Cluster "cluster",
        /// The host that Envoy put in the place of the client's.
        Rewritten "rewritten",
        /// The upstream's certificate is for the host that was asked for.
        Certificate "certificate",
        /// The configuration says that a host is always where the call goes (`detect.trust_host`).
        TrustedHost "trusted_host",
        /// Nothing does: all that is known is the API that was spoken.
        Shape "shape",
    }
}

words! {
    /// What a reader of the counts should know.
    Flag {
        /// The provider's total is not the sum of its parts.
        TotalMismatch "total_mismatch",
        /// A part exceeds the count it should be inside of.
        PartExceedsParent "part_exceeds_parent",
        /// A count that is negative, fractional, absurd or no number was dropped.
        BadValue "bad_value",
        /// The lifetime of some cache writes was assumed.
        TtlAssumed "ttl_assumed",
        /// The provider's usage object was too long to keep whole.
        RawUsageCapped "raw_usage_capped",
        /// The input is reported, the output estimated.
        OutputEstimated "output_estimated",
        /// The body broke off or broke the rules after the usage.
        BodyIncomplete "body_incomplete",
        /// The client named a provider's host, and nothing shows that the call went there.
        HostUnproven "host_unproven",
        /// A count that the bytes of the call cannot explain.
        ImplausibleCount "implausible_count",
        /// The response counts or holds something paid that the meter does not know; `unknown_usage` has its name.
        UnknownUsage "unknown_usage",
        /// The provider counts it and charges nothing: a refusal, or a declined attempt, before any output.
        NotBilled "not_billed",
        /// Neither side names a model: the requested one is what the provider documents as its default.
        ModelAssumed "model_assumed",
        /// What the request asks for, and is charged by, can be read in several ways, or not at all.
        RequestUnclear "request_unclear",
    }
}

/// A set of flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// Adds a flag.
    pub fn insert(&mut self, flag: Flag) {
        self.0 |= Self::bit(flag);
    }

    /// These and one more.
    pub fn with(mut self, flag: Flag) -> Flags {
        self.insert(flag);
        self
    }

    /// The flags of both.
    pub fn union(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether a flag is set.
    pub fn contains(self, flag: Flag) -> bool {
        self.0 & Self::bit(flag) != 0
    }

    /// Whether no flag is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flags that are set.
    pub fn iter(self) -> impl Iterator<Item = Flag> {
        Flag::ALL.iter().copied().filter(move |&flag| self.contains(flag))
    }

    fn bit(flag: Flag) -> u32 {
        1u32.checked_shl(flag as u32).unwrap_or(0)
    }
}

/// A fact about the call that the configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its name, from the configuration.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What proved it.
    pub source: TagSource,
}

words! {
    /// What proved a tag.
    TagSource {
        /// A verified claim.
        Jwt "jwt",
        /// A request header that the configuration trusts.
        Header "header",
    }
}

/// A call is refused because it could not be asked for its usage.
pub const USAGE_NOT_ASKED: &str = "usage_not_asked";
/// A call is refused by a budget; its name follows.
pub const BUDGET: &str = "budget:";

/// What is known of one call. Texts are capped where they are read; absent means unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// When the request began, nanoseconds since the Unix epoch.
    pub started_ns: u64,
    /// From the request's first byte to the end of the stream, microseconds.
    pub duration_us: u64,
    /// From the request's first byte to the first byte of the response's body, microseconds.
    pub time_to_first_token_us: Option<u64>,
    /// From the first byte of the response's body to the end, per output token, microseconds; streams only.
    pub time_per_output_token_us: Option<u64>,
    /// Who is charged, and who called.
    pub identity: Identity,
    /// The provider, in the words of OpenTelemetry's `gen_ai.provider.name`.
    pub provider: String,
    /// What shows that.
    pub provider_source: Option<ProviderSource>,
    /// The host that the upstream was asked for.
    pub upstream_host: Option<String>,
    /// The API spoken.
    pub api: String,
    /// In the words of OpenTelemetry's `gen_ai.operation.name`.
    pub operation: String,
    /// The model asked for.
    pub request_model: Option<String>,
    /// The model that responded.
    pub response_model: Option<String>,
    /// Whether the response was asked for as a stream.
    pub stream: bool,
    /// The HTTP status, if a response began.
    pub status: Option<u64>,
    /// Requests Envoy made for this one; more than one means the provider may have charged for responses nobody saw.
    pub attempts: Option<u64>,
    /// The provider's id of the response.
    pub response_id: Option<String>,
    /// The provider's id of the request.
    pub provider_request_id: Option<String>,
    /// The mesh's id of the request (`x-request-id`).
    pub request_id: Option<String>,
    /// The trace that the request belongs to, as `traceparent` names it: 32 lower-case hex digits.
    pub trace_id: Option<String>,
    /// The span that the request came with, as `traceparent` names it: 16 lower-case hex digits.
    pub span_id: Option<String>,
    /// The Envoy process: 32 lower-case hex digits that all its workers share.
    pub proxy: Option<String>,
    /// Envoy's route.
    pub route: Option<String>,
    /// Envoy's upstream cluster.
    pub cluster: Option<String>,
    /// Envoy's node id.
    pub node: Option<String>,
    /// Envoy's service cluster, which the replicas of one workload share.
    pub node_cluster: Option<String>,
    /// The service tier that the provider says it used.
    pub service_tier: Option<String>,
    /// The service tier that was asked for.
    pub service_tier_asked: Option<String>,
    /// The speed that the provider says it served with.
    pub speed: Option<String>,
    /// Where inference ran, in the provider's words.
    pub inference_geo: Option<String>,
    /// The provider's region: of the host, the profile or the ARN.
    pub region: Option<String>,
    /// The model, deployment, profile or ARN that the path names.
    pub path_model: Option<String>,
    /// The size of what was made: of an image or a video.
    pub size: Option<String>,
    /// The quality of what was made.
    pub quality: Option<String>,
    /// How much a search puts into the prompt, as the request says.
    pub search_context: Option<String>,
    /// Which of the provider's tools searched the web, where it has several.
    pub search_tool: Option<String>,
    /// The client's name of its session; its word alone.
    pub session_id: Option<String>,
    /// The client's name of its agent; its word alone.
    pub agent_id: Option<String>,
    /// What the configuration takes from verified claims and trusted headers.
    pub tags: Vec<Tag>,
    /// Where the counts are to come.
    pub deferred: Option<Deferred>,
    /// Names of what was counted and is not known, separated by commas.
    pub unknown_usage: Option<String>,
    /// The provider's own word for an error; never its message.
    pub error_type: Option<String>,
    /// How the call ended.
    pub outcome: Outcome,
    /// How good the counts are.
    pub evidence: Evidence,
    /// Why there are none.
    pub missing_reason: Option<Missing>,
    /// Why it was not asked for them.
    pub usage_not_asked: Option<NotAsked>,
    /// Why the meter refused it: [`USAGE_NOT_ASKED`], or [`BUDGET`] and a budget's name.
    pub refused_by: Option<String>,
    /// What a reader of the counts should know.
    pub flags: Flags,
    /// The counts, in disjoint classes.
    pub usage: Usage,
    /// The total as the provider reported it, tokens.
    pub provider_total: Option<u64>,
    /// What the provider says the call cost, nano-USD.
    pub provider_cost_nano_usd: Option<u64>,
    /// The provider's usage objects by their path, capped.
    pub raw_usage: Option<String>,
    /// What another model was used for in the same call: such a record is a part of the call's, with its own counts.
    pub part: Option<String>,
}

impl Record {
    /// The model that prices the call: the one that responded, else the one asked for.
    pub fn model(&self) -> Option<&str> {
        self.response_model.as_deref().or(self.request_model.as_deref())
    }
}
