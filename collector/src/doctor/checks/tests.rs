//! What no Envoy can be made to show in a test: on pages as it writes them.

use serde_json::json;

use super::super::envoy::Info;
use super::super::envoy::config::Config;
use super::super::envoy::http::{AccessLog, Content, Is};
use super::*;
use crate::exposition::Scrape;

/// An Envoy with the plugin, and these metrics.
fn envoy(before: &str, after: &str) -> Envoy {
    let plugin = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {"name": "meshmeter", "configuration": {"value": "{\"collector\": {\"cluster\": \"c\"}}"}},
    });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "http_filters": [{"name": "meshmeter", "typed_config": plugin}],
    });
    let listener = json!({"name": "l", "filter_chains": [{"filters": [{"typed_config": manager}]}]});
    let dump = json!({"configs": [
        {"static_listeners": [{"listener": listener}]},
        {"static_clusters": [{"cluster": {"name": "c"}}]},
    ]});
    let info = Info { version: "1.40.0".to_owned(), state: "LIVE".to_owned(), workers: 2, ..Info::default() };
    let scrape = |text| Scrape::parse(text, &[""]);
    Envoy {
        info,
        config: Some(Config::parse(dump.to_string().as_bytes()).unwrap()),
        before: scrape(before),
        after: scrape(&format!("meshmeter_vm_seconds_total 9\n{after}")),
        vms: Some(3.0),
        ..Envoy::default()
    }
}

fn found(envoy: Envoy) -> Vec<Finding> {
    diagnose(&Observation { envoys: [("http://e".to_owned(), Ok(envoy))].into(), ..Observation::default() })
}

fn what(found: &[Finding], code: Code) -> Option<&str> {
    found.iter().find(|finding| finding.code == code).map(|finding| finding.what.as_str())
}

#[test]
fn contract_what_the_plugin_counts_of_faults_is_found() {
    let counted = "meshmeter_host_failures_total 2\nmeshmeter_calls_unrecorded_total 3\n";
    let found = found(envoy("", counted));
    assert_eq!(what(&found, Code::HostcallsFail), Some("hostcalls that failed since Envoy started: 2"));
    assert_eq!(what(&found, Code::CallsUnrecorded), Some("calls since Envoy started: 3"));
    assert_eq!(found[0].code, Code::CallsUnrecorded, "the most serious comes first");
}

#[test]
fn contract_an_envoy_that_is_not_tested_is_said() {
    let mut old = envoy("", "");
    old.info.version = "1.33.2".to_owned();
    assert!(
        what(&found(old), Code::EnvoyUntested)
            .unwrap()
            .starts_with("this is Envoy 1.33.2; tested are 1.38, 1.39, 1.40")
    );
    assert_eq!(what(&found(envoy("", "")), Code::EnvoyUntested), None);
}

#[test]
fn contract_where_envoy_counts_no_writes_its_interval_tells_whether_lines_wait() {
    let with = |interval: &str| {
        let mut envoy = envoy("", "");
        envoy.info.flush_interval = interval.to_owned();
        for listener in envoy.config.iter_mut().flat_map(|config| &mut config.listeners) {
            if let Content::Http(http) = &mut listener.chains[0].content {
                http.logs = vec![AccessLog { file: Some("/dev/stdout".to_owned()), has_record: true }];
            }
        }
        what(&found(envoy), Code::JournalUnflushed).map(str::to_owned)
    };
    assert_eq!(with("1s").as_deref(), Some("/dev/stdout: a line waits in memory for up to 1s"));
    for interval in ["0.010s", "10s", ""] {
        assert_eq!(with(interval), None);
    }
}

#[test]
fn contract_a_configuration_that_the_plugin_refuses_is_said_while_the_one_before_runs() {
    let mut refused = envoy("", "");
    let text = r#"{"colector": {"cluster": "c"}}"#;
    for listener in refused.config.iter_mut().flat_map(|config| &mut config.listeners) {
        if let Content::Http(http) = &mut listener.chains[0].content
            && let Is::Plugin(plugin) = &mut http.filters[0].is
        {
            plugin.configuration = text.to_owned();
        }
    }
    let running = found(refused.clone());
    let said = what(&running, Code::ConfigurationRefused).unwrap();
    assert!(
        said.starts_with("the plugin refuses the configuration that Envoy was given last: colector: unknown key"),
        "{said}"
    );
    assert_eq!(what(&running, Code::PluginNotRunning), None);
    refused.after = Scrape::default();
    let stopped = found(refused);
    assert!(what(&stopped, Code::PluginNotRunning).unwrap().contains("colector: unknown key"));
    assert_eq!(what(&stopped, Code::ConfigurationRefused), None);
}

#[test]
fn contract_vms_are_counted_for_each_of_their_configurations() {
    let with = |vms| Envoy { vms: Some(vms), ..envoy("", "") };
    assert_eq!(what(&found(with(3.0)), Code::WorkerUnmetered), None);
    assert_eq!(what(&found(with(2.6)), Code::WorkerUnmetered), None, "a reading is never exact");
    assert_eq!(
        what(&found(with(2.0)), Code::WorkerUnmetered),
        Some("2 of 3 VMs of the plugin run; one should for each worker (2) and for the main thread")
    );
}

#[test]
fn contract_a_failure_is_told_from_one_that_is_over() {
    let failures = |reason: &str, count: u64| {
        format!("meshmeter_collector_failures_total{{meshmeter_reason=\"{reason}\"}} {count}\n")
    };
    let waiting = "meshmeter_outbox_bytes 512\nmeshmeter_events_acknowledged_total 4\n";
    let acknowledged = "meshmeter_events_acknowledged_total 9\n";
    // It grows.
    let one = found(envoy(&failures("timeout", 1), &failures("timeout", 3)));
    assert!(what(&one, Code::CollectorUnavailable).unwrap().contains("just now: 2"), "{one:?}");
    // It does not, but events wait and none is acknowledged: the next try is to come.
    let two = found(envoy(&(failures("reset", 1) + waiting), &(failures("reset", 1) + waiting)));
    assert!(what(&two, Code::CollectorUnavailable).unwrap().contains("events that wait: 512"), "{two:?}");
    // It was, and is over.
    let three = found(envoy(&(failures("unauthorized", 1) + waiting), &(failures("unauthorized", 1) + acknowledged)));
    assert_eq!(what(&three, Code::CollectorUnauthorized), None);
    assert!(what(&three, Code::CollectorFailedBefore).unwrap().contains("unauthorized"), "{three:?}");
    for (reason, code) in [
        ("not_a_collector", Code::CollectorMisplaced),
        ("no_cluster", Code::CollectorClusterMissing),
        ("refused_events", Code::CollectorRefuses),
        ("not_sent", Code::CollectorUnavailable),
    ] {
        assert!(what(&found(envoy("", &failures(reason, 1))), code).is_some(), "{reason}");
    }
}

#[test]
fn contract_requests_for_leases_that_fail_now_are_told_from_those_that_did() {
    let counted =
        |reason: &str, count: u64| format!("meshmeter_lease_failures_total{{meshmeter_reason=\"{reason}\"}} {count}\n");
    let now = found(envoy(&counted("not_found", 1), &counted("not_found", 3)));
    let said = what(&now, Code::LeasesFail).unwrap();
    assert!(said.contains("not_found (it has no leases at this path) since Envoy started: 3, just now: 2"), "{said}");
    assert_eq!(what(&now, Code::CollectorMisplaced), None, "events arrive");
    let past = found(envoy(&counted("timeout", 3), &counted("timeout", 3)));
    assert_eq!(what(&past, Code::LeasesFail), None);
    assert!(what(&past, Code::CollectorFailedBefore).unwrap().contains("requests for leases that failed with timeout"));
    let unheld = "meshmeter_budget_unheld_total 4\n";
    let passes = found(envoy("", &(counted("timeout", 1) + unheld)));
    assert_eq!(what(&passes, Code::BudgetUnheld), Some("calls since Envoy started: 4"));
    let passed = found(envoy(unheld, unheld));
    assert_eq!(what(&passed, Code::BudgetUnheldBefore), Some("calls since Envoy started: 4"));
    assert_eq!(what(&passed, Code::BudgetUnheld), None);
    // Of a budget that was removed no lease is given, once.
    let removed = found(envoy(&counted("not_granted", 1), &counted("not_granted", 1)));
    assert!(
        [Code::LeasesNotGranted, Code::LeasesFail, Code::CollectorFailedBefore]
            .iter()
            .all(|code| { what(&removed, *code).is_none() })
    );
    let never = found(envoy("", &counted("not_granted", 2)));
    assert!(
        what(&never, Code::LeasesNotGranted).unwrap().ends_with("since Envoy started: 2, just now: 2"),
        "{never:?}"
    );
}

/// A collector with these metrics, beside an Envoy whose plugin has no `budgets`.
fn beside(metrics: &str, clocks: [Option<i64>; 2]) -> Vec<Finding> {
    let collector = Collector {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        after: Some(Scrape::parse(metrics, &[""])),
        ahead_s: clocks[1],
        ..Collector::default()
    };
    let mut envoy = envoy("", "");
    envoy.info.ahead_s = clocks[0];
    diagnose(&Observation {
        envoys: [("http://e".to_owned(), Ok(envoy))].into(),
        collector: Some(("http://c".to_owned(), Ok(collector))),
        ..Observation::default()
    })
}

#[test]
fn contract_soft_budgets_need_no_plugin_and_tokens_no_price() {
    let gauges = |unit: &str, mode: &str, spent: u64| {
        let labels = format!("{{budget=\"b\",unit=\"{unit}\",window=\"day\",mode=\"{mode}\"}}");
        format!("meshmeter_budget_limit{labels} 7.0\nmeshmeter_budget_spent{labels} {spent}\n")
    };
    let unpriced = "meshmeter_collector_unpriced_calls 3\nmeshmeter_unpriced_calls_total{gen_ai_provider_name=\"p\",gen_ai_response_model=\"m\"} 2\n";
    let hard = beside(&(gauges("usd", "hard", 6) + unpriced), [None, None]);
    assert_eq!(
        what(&hard, Code::BudgetsOff),
        Some("the plugin of listener l has no `budgets`; the collector has b (hard)")
    );
    let said = what(&hard, Code::BudgetUnpriced).unwrap();
    assert_eq!(said, "budgets in USD: b; models without a price since the collector started: p m");
    assert_eq!(what(&hard, Code::BudgetSpent), None);
    let soft = beside(&(gauges("usd", "soft", 7) + unpriced), [None, None]);
    assert_eq!((what(&soft, Code::BudgetsOff), what(&soft, Code::BudgetUnpriced)), (None, None));
    assert_eq!(what(&soft, Code::BudgetSpent), Some("nothing is left of b (soft, 7 of 7 usd)"));
    let each = "meshmeter_budget_exhausted_tenants{budget=\"b\",unit=\"usd\",window=\"day\",mode=\"hard\"} 2\n";
    let each = beside(&(gauges("usd", "hard", 7) + each), [None, None]);
    assert_eq!(
        what(&each, Code::BudgetSpent),
        Some("nothing is left of b (hard, 7 of 7 usd of the tenant that spent most; tenants with nothing left: 2)")
    );
    let tokens = beside(&(gauges("tokens", "shadow", 0) + unpriced), [None, None]);
    assert!(what(&tokens, Code::BudgetsOff).is_some() && what(&tokens, Code::BudgetUnpriced).is_none());
}

#[test]
fn contract_clocks_are_compared_with_each_other_and_not_with_this_hosts() {
    let said = |envoy, collector| what(&beside("", [envoy, collector]), Code::ClocksDiffer).map(str::to_owned);
    assert_eq!(said(Some(7200), Some(7190)), None);
    assert_eq!(said(None, Some(7200)), None);
    assert_eq!(said(Some(900), Some(0)).as_deref(), Some("Envoy's clock is 900 s ahead of the collector's"));
    assert_eq!(said(Some(0), Some(61)).as_deref(), Some("Envoy's clock is 61 s behind the collector's"));
    assert_eq!(said(Some(i64::MIN), Some(i64::MAX)), None, "no clock says that");
}

/// Each code stands in a test that provokes it.
#[test]
fn contract_no_finding_is_without_a_test() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = [
        "tests/collector/doctoring.rs",
        "tests/collector/sealing/archive.rs",
        "src/doctor/checks/tests.rs",
        "../tests/tests/contract_doctor.rs",
        "../tests/tests/contract_doctor_budgets.rs",
        "../tests/tests/contract_doctor_envoy.rs",
    ];
    let tests: String = files.map(|file| std::fs::read_to_string(root.join(file)).unwrap()).concat();
    for code in Code::ALL {
        let (word, name) = (format!("\"{}\"", code.spec().word), format!("Code::{code:?}"));
        assert!(tests.contains(&word) || tests.contains(&name), "no test provokes {word}");
    }
}
