//! What no Envoy can be made to show in a test: on pages as it writes them.

use serde_json::json;

use super::super::envoy::Info;
use super::super::envoy::config::Config;
use super::super::envoy::http::{AccessLog, Content};
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
    let counted =
        "meshmeter_host_failures_total 2\nmeshmeter_calls_unrecorded_total 3\nmeshmeter_budget_unheld_total 4\n";
    let found = found(envoy("", counted));
    assert_eq!(what(&found, Code::BudgetUnheld), Some("calls since Envoy started: 4"));
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

/// Each code stands in a test that provokes it.
#[test]
fn contract_no_finding_is_without_a_test() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = [
        "tests/collector/doctoring.rs",
        "src/doctor/checks/tests.rs",
        "../tests/tests/contract_doctor.rs",
        "../tests/tests/contract_doctor_envoy.rs",
    ];
    let tests: String = files.map(|file| std::fs::read_to_string(root.join(file)).unwrap()).concat();
    for code in Code::ALL {
        let (word, name) = (format!("\"{}\"", code.spec().word), format!("Code::{code:?}"));
        assert!(tests.contains(&word) || tests.contains(&name), "no test provokes {word}");
    }
}
