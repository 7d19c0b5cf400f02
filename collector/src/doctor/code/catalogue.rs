//! The catalogue of findings: the one place that says of each how serious it is, what it means and what to do about it.

use super::{Severity, Spec};

codes! {
    // What cannot be examined.
    EnvoyUnreachable "envoy_unreachable" Error
        "Nothing about this Envoy could be examined",
        "name the address of Envoy's admin listener, as its own host reaches it: port 9901 in `envoy/envoy.yaml`, 15000 in Istio's proxies; and see that Envoy runs: its log says why it did not start, and `--config FILE` checks the plugin's configuration",
        "doctor.md#what-it-reads";
    NotEnvoy "not_envoy" Error
        "What responds there is not the admin listener of an Envoy",
        "name the admin listener, not one that carries traffic or serves metrics only: port 9901 in `envoy/envoy.yaml`, 15000 in Istio's proxies",
        "doctor.md#what-it-reads";
    PageUnread "page_unread" Warning
        "A page could not be read, and what it would show was not examined",
        "run it again; if the page is too large, drop unused metrics or clusters from this Envoy",
        "doctor.md#what-it-reads";
    CollectorUnreachable "collector_unreachable" Error
        "Nothing about the collector could be examined",
        "check the URL, and that `meshmeter serve` runs; it prints where it listens",
        "operations.md#the-collector";
    NotCollector "not_collector" Error
        "What responds there is not a collector",
        "name the address that `meshmeter serve` prints when it starts, or the one of `--metrics-listen`",
        "operations.md#the-collector";
    ReadTokenRefused "read_token_refused" Warning
        "Without the collector's metrics nothing is known of gaps, alarms, prices and failed transactions",
        "set the read token in MESHMETER_READ_TOKEN (or name it by --read-token-env or --read-token-file), or name the address of `--metrics-listen`, which needs none",
        "operations.md#credentials";

    // The plugin.
    PluginAbsent "plugin_absent" Error
        "No HTTP filter chain of this Envoy has the plugin: no call is metered here",
        "add the Wasm filter as in `envoy/envoy.yaml`; in Istio, check that the WasmPlugin's selector and namespace match this proxy",
        "troubleshooting.md#1-does-the-call-pass-through-the-plugin";
    PluginNotFetched "plugin_not_fetched" Error
        "The plugin's place in the filter chain is empty, or something else stands there because the plugin could not be fetched: calls pass unmetered, or are refused",
        "read Envoy's log, in Istio istio-agent's, for why: a wrong URL, tag or digest, or missing credentials for the registry",
        "troubleshooting.md#1-does-the-call-pass-through-the-plugin";
    PluginNotRunning "plugin_not_running" Error
        "The plugin is configured but counts nothing, not even the seconds it runs: its VM did not start",
        "read Envoy's log for the lines with `wasm`; check the plugin's configuration with `meshmeter check FILE`",
        "troubleshooting.md#1-does-the-call-pass-through-the-plugin";
    ConfigurationRefused "configuration_refused" Error
        "Envoy has refused a configuration and keeps the one before it, or serves without that part",
        "read Envoy's log for the reason; check the plugin's configuration with `meshmeter check FILE`",
        "troubleshooting.md#1-does-the-call-pass-through-the-plugin";
    WorkerUnmetered "worker_unmetered" Error
        "A VM of the plugin runs for each worker and for the main thread. Calls of a worker whose VM has failed pass unmetered (FAIL_OPEN) or are refused until it is loaded again",
        "restart this Envoy, set `failure_policy: FAIL_RELOAD`, and report the trap in its log as a bug",
        "operations.md#when-the-plugin-crashes";
    PluginCrashed "plugin_crashed" Warning
        "A VM of the plugin has trapped and was loaded again: calls in flight on that worker were reset, and their records may be missing",
        "report the trap in Envoy's log as a bug; `meshmeter gaps` and `meshmeter reconcile` say what is missing",
        "operations.md#when-the-plugin-crashes";
    FailOpen "fail_open" Note
        "If the plugin ever traps, calls of that worker pass unmetered until Envoy is restarted, as the manifests in `istio/` prefer it",
        "set `failure_policy: FAIL_RELOAD` if calls should rather be refused until the plugin is loaded again",
        "operations.md#when-the-plugin-crashes";
    PluginTwice "plugin_twice" Warning
        "The plugin stands twice in one filter chain. One instance meters; the other costs CPU, and its configuration has no effect",
        "keep one of the two; in Istio, look for two WasmPlugins, or a WasmPlugin and a TrafficExtension",
        "troubleshooting.md#8-is-it-charged-twice";
    PluginUpstream "plugin_upstream" Error
        "As an upstream filter the plugin never learns that a call has ended, so it records nothing",
        "move it to the HTTP filters of the listener",
        "troubleshooting.md#1-does-the-call-pass-through-the-plugin";
    JwtAfterPlugin "jwt_after_plugin" Warning
        "Claims are verified behind the plugin, so it cannot see them: tenants from JWTs are not found",
        "put jwt_authn before the plugin; in Istio, set the WasmPlugin's `phase` to AUTHZ or STATS",
        "identity.md";
    FilterBeforePlugin "filter_before_plugin" Note
        "A filter before the plugin can respond to a request itself, change its path or send it elsewhere; such calls are metered as it leaves them, or not at all",
        "put the plugin before it if it does any of that to calls to models",
        "troubleshooting.md#1-does-the-call-pass-through-the-plugin";
    HostcallsFail "hostcalls_fail" Warning
        "Envoy has refused hostcalls of the plugin; metering went on without their results",
        "read Envoy's log; check that this version of Envoy is one that the plugin is tested on",
        "envoy-versions.md";
    EnvoyUntested "envoy_untested" Note
        "The plugin is not tested on this version of Envoy",
        "see what may be missing, or use a tested version",
        "envoy-versions.md";
    EnvoyNotLive "envoy_not_live" Warning
        "Envoy does not serve, or no longer: it starts, or it drains",
        "run this again when it is live",
        "doctor.md#what-it-reads";

    // Calls that pass unmetered.
    ProviderUnmetered "provider_unmetered" Error
        "A route without the plugin leads to a model provider: its calls pass unmetered",
        "add the plugin to this filter chain; if the route or the filter disables it, enable it",
        "troubleshooting.md#1-does-the-call-pass-through-the-plugin";
    ProviderEncrypted "provider_encrypted" Error
        "Connections to a model provider pass through as bytes (`tcp_proxy`), so no plugin can see their calls",
        "let applications send plain HTTP or mTLS to Envoy, and Envoy originate TLS to the provider",
        "limits.md#what-is-not-metered";
    ProviderUnattributed "provider_unattributed" Warning
        "Calls were metered whose provider nothing shows: they are recorded under the API's name, which has no price",
        "map the cluster in `providers`; Envoy's log suggests the rule",
        "attribution.md";
    CallsUnrecorded "calls_unrecorded" Error
        "Calls ended without a record; they are in no other count and in no journal",
        "report it as a bug, with Envoy's log",
        "metrics.md#alerts";
    UsageMissing "usage_missing" Warning
        "More than a tenth of ten calls or more have no counts, errors of providers aside",
        "see the reasons in `meshmeter_usage_missing_total`",
        "troubleshooting.md#3-does-it-have-counts";
    IdentitiesRefused "identities_refused" Warning
        "Callers showed identities that were refused; where something was wrong with them the tenant is `invalid`",
        "see what the reason means",
        "troubleshooting.md#4-does-it-have-a-tenant";
    TenantUnknown "tenant_unknown" Note
        "Calls were metered whose caller showed no identity",
        "check the sources in `tenant`, and that callers present a certificate, a token or a trusted header",
        "troubleshooting.md#4-does-it-have-a-tenant";

    // Budgets.
    BudgetsOff "budgets_off" Warning
        "The collector has budgets that refuse calls, and this plugin does not ask for them: its calls pass, whatever is spent",
        "set `\"budgets\": {}` in the plugin's configuration",
        "budgets.md#in-the-plugin";
    LeasesFail "leases_fail" Warning
        "The plugin's requests for leases fail: calls pass without being held to budgets, or are refused, as `budgets.without_collector` says",
        "see the reason: `not_found` is a wrong `budgets.path`, or a collector that is too old for budgets; `unauthorized`, where events are accepted, is a policy between the two that lets only `/v1/events` pass; for `no_cluster`, `not_a_collector` and others see the findings about the collector",
        "troubleshooting.md#6-does-it-reach-the-ledger";
    LeasesNotGranted "leases_not_granted" Warning
        "The collector responds, and gives no lease for some of what the plugin asks for: those budgets are as if the collector were away",
        "let the clocks of both hosts agree; check that `tenants=` of the credential has the tenants that call",
        "budgets.md#what-holds-and-what-does-not";
    BudgetUnheld "budget_unheld" Warning
        "Calls pass that a budget covers and that cannot be held to it, because the collector is away or gives no lease",
        "see the findings about the collector and about leases; `budgets.without_collector` says what happens then",
        "budgets.md#without-the-collector";
    BudgetUnheldBefore "budget_unheld_before" Note
        "Calls passed that a budget covers, when a worker had just begun or while the collector gave no lease; none does now",
        "nothing, if they are few: without a response of the collector a new worker lets calls pass, usually for a tenth of a second; `budgets.without_collector` can be `closed`",
        "budgets.md#without-the-collector";
    BudgetUnpriced "budget_unpriced" Warning
        "A call without a price costs nothing in a budget in USD either, so no limit holds it",
        "add a price or an alias for these models, then `meshmeter rerate`; or set a budget in tokens",
        "budgets.md#what-holds-and-what-does-not";
    BudgetRefused "budget_refused" Note
        "Budgets have refused calls, or would have (`shadow`)",
        "see the reason; `meshmeter budgets explain NAME` says what was spent, and who holds the rest",
        "budgets.md#what-a-client-sees";
    BudgetSpent "budget_spent" Note
        "Nothing is left of a budget in its window of now: a hard one refuses calls where the plugin's configuration has `budgets`",
        "`meshmeter budgets` says until when; `meshmeter budgets set NAME --limit AMOUNT --why TEXT` raises it",
        "budgets.md#setting-budgets";

    // Metrics.
    LabelsMissing "labels_missing" Warning
        "Without a rule for each label Envoy leaves labels in the names of metrics: dashboards and alerts find nothing. Records and bills are not affected",
        "take `stats_config.stats_tags` from `envoy/envoy.yaml`; in Istio, add the labels to `extraStatTags` and restart the proxy",
        "metrics.md#the-plugin";
    BucketsDefault "buckets_default" Note
        "Envoy's own histogram buckets are too coarse for the durations of calls and for token counts, so percentiles are guesses",
        "set `stats_config.histogram_bucket_settings` (in Istio the annotation `sidecar.istio.io/statsHistogramBuckets`), as the shipped files do",
        "metrics.md#the-plugin";
    SeriesOverflow "series_overflow" Note
        "There are more sets of tenant and model than `metrics.max_series`; further ones are counted as `overflow`. Records and bills are not affected",
        "raise `metrics.max_series` if you need them apart in metrics",
        "metrics.md#bounded-cardinality";

    // From the plugin to the collector.
    CollectorNotConfigured "collector_not_configured" Warning
        "The plugin's configuration names no collector: there are metrics and access log records, and no bill",
        "set `collector.cluster`",
        "configuration.md#keys";
    CollectorClusterMissing "collector_cluster_missing" Error
        "Envoy has no cluster of the name that the plugin sends to: nothing is delivered, and outboxes fill",
        "correct `collector.cluster`, or add the cluster; in Istio, the Service's host, port and `appProtocol: http` decide the name, and a Sidecar must allow the host",
        "troubleshooting.md#6-does-it-reach-the-ledger";
    CollectorUnhealthy "collector_unhealthy" Error
        "The collector's cluster has no healthy host: nothing is delivered, and outboxes fill",
        "start the collector, or correct the cluster's address",
        "troubleshooting.md#6-does-it-reach-the-ledger";
    CollectorUnavailable "collector_unavailable" Error
        "The collector cannot be reached, or cannot store: events wait in the outboxes",
        "check that it runs and that its /readyz is ok; without a connection Envoy says so in the statistics of the cluster",
        "operations.md#when-the-collector-is-unreachable";
    CollectorUnauthorized "collector_unauthorized" Error
        "The collector refuses the token that the plugin sends: nothing is stored",
        "give Envoy's environment the token that the collector accepts, and restart Envoy",
        "operations.md#credentials";
    CollectorMisplaced "collector_misplaced" Error
        "What responds to the plugin's dispatches is not a collector, or not at this path",
        "correct `collector.path`, or where the cluster leads",
        "troubleshooting.md#6-does-it-reach-the-ledger";
    CollectorRefuses "collector_refuses" Warning
        "The collector refuses what the plugin sends",
        "see what the reason means",
        "troubleshooting.md#6-does-it-reach-the-ledger";
    TokenMissing "token_missing" Warning
        "The plugin's VM is not given the variable with the token, so its dispatches have none, and nothing was acknowledged yet",
        "name the variable in `vm_config.environment_variables.host_env_keys`, and set it in Envoy's environment",
        "operations.md#credentials";
    TokenExposed "token_exposed" Warning
        "The token is written in Envoy's configuration, where everyone who can read it or the admin listener sees it",
        "pass it by the environment: `host_env_keys` instead of `key_values`, in Istio `valueFrom: HOST`",
        "operations.md#credentials";
    OutboxGrows "outbox_grows" Warning
        "Events come faster than the collector acknowledges them; a full outbox drops events",
        "look at the collector: its queue, its disk, its rate limits",
        "operations.md#when-the-collector-is-unreachable";
    CollectorFailedBefore "collector_failed_before" Note
        "Requests to the collector failed since Envoy started, and none does now",
        "nothing, if it was restarted or updated then",
        "operations.md#when-the-collector-is-unreachable";
    ClocksDiffer "clocks_differ" Warning
        "A call counts in the day and the window in which Envoy's clock says that it began. Leases of windows more than 10 minutes ahead of the collector's clock are not given, and events that begin more than an hour ahead are quarantined",
        "let both hosts take the time from the same servers (NTP)",
        "budgets.md#what-holds-and-what-does-not";
    EventsDropped "events_dropped" Warning
        "An outbox was full, and events were dropped; the journal still has them",
        "run `meshmeter reconcile` on the journal; raise `outbox.max_bytes` if the collector may be away for long",
        "journals.md#reconcile";
    EventsRejected "events_rejected" Warning
        "The collector cannot read some events, and the plugin has given them up; the journal still has them",
        "upgrade the collector if the plugin is newer; Envoy's log has the ids",
        "troubleshooting.md#6-does-it-reach-the-ledger";
    AnotherCollector "another_collector" Warning
        "The plugin's events are acknowledged, but not by the collector that was examined",
        "check where the cluster of the plugin leads, and which collector you read",
        "troubleshooting.md#6-does-it-reach-the-ledger";

    // The journal.
    JournalAbsent "journal_absent" Warning
        "No access log writes the records, so what waits in an outbox is lost if Envoy is killed",
        "add the journal as in `envoy/envoy.yaml`; in Istio, the Telemetry of `istio/`",
        "journals.md";
    JournalUnflushed "journal_unflushed" Warning
        "Envoy keeps lines of the journal in memory; if it is killed, the last of them are lost",
        "start Envoy with `--file-flush-min-size-kb 0`; in Istio, set `fileFlushMinSizeKb: 1` and `fileFlushInterval: 0.01s`",
        "operations.md#when-envoy-terminates";
    JournalUnwritten "journal_unwritten" Warning
        "Envoy could not write lines of an access log, perhaps of the journal; they are lost",
        "look at the disk and at the rights of the files' directory",
        "journals.md";

    // The ledger.
    CollectorNotReady "collector_not_ready" Error
        "What is sent to the collector now would not be stored",
        "see the reason; events wait in the outboxes until it is ready again",
        "operations.md#health";
    NumbersMissing "numbers_missing" Error
        "Emitters have numbered records that the ledger does not have: these calls are not charged",
        "`meshmeter gaps` names them, `meshmeter reconcile` brings them from the journal",
        "ledger.md#what-is-missing";
    OpenEnds "open_ends" Warning
        "Emitters fell silent without a final flush: how many records they made since is not known",
        "`meshmeter gaps` names them; `meshmeter reconcile` brings what the journal has, and closes them",
        "ledger.md#what-is-missing";
    Alarms "alarms" Warning
        "Events are quarantined that contradict the ledger or exceed a credential's limits; they are not charged",
        "`meshmeter alarms` says why, `meshmeter release` charges or dismisses them",
        "ledger.md#quarantine";
    DeadLetters "dead_letters" Warning
        "Events are quarantined that cannot be read; they are not charged",
        "`meshmeter alarms` and `meshmeter gaps` list them; upgrade the collector if the plugin is newer",
        "ledger.md#quarantine";
    PricesMissing "prices_missing" Warning
        "Calls have no price, so they are in no charge",
        "`meshmeter report` names the models; add a price or an alias, then `meshmeter rerate`",
        "troubleshooting.md#7-does-it-have-a-price";
    ArchiveBroken "archive_broken" Error
        "Files of the archive of sealed months are missing or were altered, or it does not respond: reports that read calls of these months fail",
        "the collector's log names what is missing: put it back from a copy of the archive, or say with `--archive` where it is now; `meshmeter verify` checks all of it",
        "sealing.md#reading";
    CommitsFail "commits_fail" Error
        "Transactions of the collector fail: events are not acknowledged",
        "see the collector's log; check the database and its disk",
        "operations.md#health";
    QueueGrows "queue_grows" Warning
        "Batches come faster than the collector stores them; when its queue is full it responds with 503, and the plugins wait and retry",
        "see `meshmeter_collector_commit_duration_seconds`; use a faster disk, or PostgreSQL with several collectors",
        "capacity.md#collector";
    RequestsRefused "requests_refused" Warning
        "The collector refuses requests, and did so while it was examined",
        "see the reason, and the collector's log",
        "operations.md#logs";
    DiskLow "disk_low" Warning
        "The ledger's disk is nearly full; below `--min-free` the collector takes no events",
        "enlarge the volume, start a new ledger, or move to PostgreSQL",
        "operations.md#when-the-disk-fills";
    VersionsDiffer "versions_differ" Note
        "This program and the collector are of different versions, so the examination may miss what is new",
        "use the program of the collector's version",
        "versioning.md";

    // A configuration in a file.
    ConfigInvalid "config_invalid" Error
        "The plugin would refuse this configuration",
        "correct the file; `meshmeter check FILE` checks it again",
        "configuration.md#keys";
    ConfigDiffers "config_differs" Warning
        "Envoy runs the plugin with another configuration than the file",
        "apply the file, or find out who changed what runs",
        "configuration.md";

    // A test call.
    CallFailed "call_failed" Error
        "The test call did not succeed",
        "check the URL, the model and the key; without any response, that Envoy listens there",
        "troubleshooting.md#1-does-the-call-pass-through-the-plugin";
    CallUnmetered "call_unmetered" Error
        "The test call was responded to, and no Envoy that was examined has metered it",
        "check that the URL leads through the examined Envoy, and that its path is one of an API",
        "troubleshooting.md#2-is-it-recognised-as-an-llm-call";
    CallUndelivered "call_undelivered" Error
        "The test call was metered, and its event was not acknowledged",
        "see the other findings about the collector",
        "troubleshooting.md#6-does-it-reach-the-ledger";
}
