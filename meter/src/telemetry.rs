//! The metric catalogue, and the label sets in use.
//!
//! Names and labels follow OpenTelemetry's GenAI conventions in Prometheus form; docs/metrics.md says which state of them, and
//! where they differ. How a metric with its labels is named in the proxy is the [`Registry`]'s affair.

mod room;
mod series;

use wire::for_readers;

pub use series::{Registry, Telemetry};

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// A distribution; its sum is approximate, nothing may be billed on it.
    Histogram,
}

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its name in Prometheus.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels, in the order in which their values are given.
    pub labels: &'static [&'static str],
    /// One sentence for the reader of a table.
    pub help: &'static str,
}

const TENANT: &str = "tenant";
const PROVIDER: &str = "gen_ai_provider_name";
const MODEL: &str = "gen_ai_response_model";
const OPERATION: &str = "gen_ai_operation_name";
const TOKEN_TYPE: &str = "gen_ai_token_type";
const OUTCOME: &str = "meshmeter_outcome";
const EVIDENCE: &str = "meshmeter_evidence";
const STATUS: &str = "meshmeter_status";
const REASON: &str = "meshmeter_reason";
const BUDGET: &str = "meshmeter_budget";
/// The reason of [`Metric::LeaseFailures`] where the collector responds, and gives a lease not.
pub const NOT_GRANTED: &str = "not_granted";
/// Not `version`: Istio's own `source_version` ends with it.
const VERSION: &str = "meshmeter_version";

macro_rules! metrics {
    ($($variant:ident $name:literal $kind:ident [$($label:expr),*] $help:literal;)+) => {
        /// A metric of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Metric {
            $(#[doc = $help] $variant,)+
        }

        impl Metric {
            /// Every metric.
            pub const ALL: &'static [Metric] = &[$(Metric::$variant,)+];

            /// Name, kind, labels and help.
            pub const fn spec(self) -> Spec {
                match self {
                    $(Metric::$variant => Spec { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: for_readers($help) },)+
                }
            }
        }
    };
}

metrics! {
    Tokens "gen_ai_client_inference_usage_tokens_total" Counter [TENANT, PROVIDER, MODEL, TOKEN_TYPE] "tokens in disjoint classes: the sum over `gen_ai_token_type` is the total; `web_searches` are searches";
    Calls "gen_ai_client_inference_calls_total" Counter [TENANT, PROVIDER, MODEL, OPERATION, OUTCOME, EVIDENCE, STATUS] "calls, by how they ended, how good their counts are, and the response's HTTP status: `2xx`, `3xx`, `429`, `4xx` (any other), `5xx`, or `none`";
    Duration "gen_ai_client_inference_duration_milliseconds" Histogram [PROVIDER, MODEL, OPERATION] "from the request's start to the end of the stream, ms";
    TimeToFirstToken "gen_ai_client_inference_time_to_first_chunk_milliseconds" Histogram [PROVIDER, MODEL, OPERATION] "from the request's start to the first byte of the response's body, ms; streams only";
    TimePerOutputToken "gen_ai_server_time_per_output_token_milliseconds" Histogram [PROVIDER, MODEL, OPERATION] "time per output token after the first, ms; streams only";
    InputTokens "gen_ai_client_inference_operation_input_tokens" Histogram [PROVIDER, MODEL, OPERATION] "input tokens per call, cache reads and writes included";
    OutputTokens "gen_ai_client_inference_operation_output_tokens" Histogram [PROVIDER, MODEL, OPERATION] "output tokens per call, reasoning included";
    Seen "meshmeter_calls_total" Counter [] "LLM calls that ended";
    Parts "meshmeter_parts_total" Counter [] "records of what another model was used for in a call";
    Records "meshmeter_records_total" Counter [] "records made: as many as calls and parts, or some were lost";
    AlreadyMetered "meshmeter_calls_already_metered_total" Counter [] "calls that this instance of the plugin left to another one in the same filter chain, which meters them: the plugin is configured twice";
    Unrecorded "meshmeter_calls_unrecorded_total" Counter [] "calls of which there is no record, because they ended in the middle of another callback; Envoy's log says so, too";
    Queued "meshmeter_events_queued_total" Counter [] "events put into the outbox";
    Acknowledged "meshmeter_events_acknowledged_total" Counter [] "events that the collector has acknowledged";
    Retried "meshmeter_events_retried_total" Counter [] "events sent again because the collector did not acknowledge them";
    Dropped "meshmeter_events_dropped_total" Counter [] "events dropped because the outbox was full; each leaves a gap in the sequence";
    Rejected "meshmeter_events_rejected_total" Counter [] "events that the collector refuses, each alone in its batch; their ids are in Envoy's log";
    Quarantined "meshmeter_events_quarantined_total" Counter [] "acknowledged events that the collector has quarantined and not charged; `meshmeter alarms` says why, `meshmeter release` charges one";
    OutboxBytes "meshmeter_outbox_bytes" Gauge [] "bytes of events that are not acknowledged yet";
    OutboxAge "meshmeter_outbox_oldest_age_seconds" Gauge [] "how long the oldest event that is not acknowledged has waited, of all workers; 0 if none waits";
    IdentityRefused "meshmeter_identity_refused_total" Counter [REASON] "identities that were not accepted, by [reason](troubleshooting.md#4-does-it-have-a-tenant): `untrusted_header` changes nothing, every other makes the tenant `invalid`";
    CollectorFailures "meshmeter_collector_failures_total" Counter [REASON] "dispatches of events to the collector that failed, by reason: `unauthorized`, `not_found`, `refused_events`, `too_many_requests`, `unavailable`, `timeout`, `reset`, `no_cluster`, `not_sent`, `not_a_collector`, `unexpected_status`; Envoy's log says more";
    UsageMissing "meshmeter_usage_missing_total" Counter [REASON] "calls without counts, by reason";
    NotAsked "meshmeter_usage_not_asked_total" Counter [REASON] "streams without counts that were not asked for them, or were refused, by reason: the words of `usage_not_asked`";
    AskingRefused "meshmeter_asking_refused_total" Counter [] "calls that the provider refused because the plugin had asked for their usage; it does not ask there again for that model for an hour";
    UnknownUsage "meshmeter_unknown_usage_total" Counter [PROVIDER] "calls whose response counts or holds something that may be charged and that the meter does not know; `unknown_usage` of the event names it";
    UnknownPath "meshmeter_unknown_path_total" Counter [PROVIDER] "POSTs that a provider took at a path that is not known, with nothing in the response that shows a call: there is no record of them. Uploads of files and the like are among them";
    BudgetRefused "meshmeter_budget_refused_total" Counter [BUDGET, REASON] "calls that a budget refused, by budget and reason: `exhausted` (what is left is less than the call can cost), `no_lease` (this worker holds too little of it; the next exchange with the collector may help), `too_large` (more than the limit), `collector_away` (`budgets.without_collector` is `closed`), `shadow` (it would have refused)";
    BudgetUnheld "meshmeter_budget_unheld_total" Counter [] "calls that passed although a budget covers them that could not be held, because the collector is away (`budgets.without_collector` is `open`)";
    BudgetLate "meshmeter_budget_late_total" Counter [] "calls that passed although a budget covers them, because nothing in the request showed in time that it is a call: no model in its body or path, known by its response only, or answered before the request was over";
    LeaseFailures "meshmeter_lease_failures_total" Counter [REASON] "requests for leases that failed, by the reasons of `meshmeter_collector_failures_total`; `not_granted`: responses without some lease that was asked for, because there is no such budget any more, the credential's tenants cannot spend it, or the clocks are more than 10 minutes apart";
    VmSeconds "meshmeter_vm_seconds_total" Counter [] "seconds that VMs of the plugin have run, added up: its rate is how many run, one for each worker and one for Envoy's main thread. Fewer: calls of a worker may pass unmetered";
    BuildInfo "meshmeter_plugin_build_info" Gauge [VERSION] "always 1; the label is the plugin's version";
    HostFailures "meshmeter_host_failures_total" Counter [] "hostcalls that failed; metering went on without their results";
    SeriesOverflow "meshmeter_series_overflow_total" Counter [] "records whose model, or tenant and model, became `overflow` because there was no room for another set";
}

#[cfg(test)]
mod tests;
