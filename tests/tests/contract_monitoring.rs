//! Alert rules, their unit tests, dashboards and buckets: what users load into Prometheus, Grafana and Envoy is valid, agrees with
//! the documents, and asks for metrics that exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::Command,
};

use e2e::{Result, paths};
use serde_json::Value;

/// Where the alerts are explained.
const RUNBOOK: &str = "https://github.com/meshmeter/meshmeter/blob/main/docs/alerts.md#";

fn read(path: &str) -> Result<String> {
    fs::read_to_string(paths::workspace().join(path)).map_err(|error| format!("{path}: {error}").into())
}

/// The documents of a YAML file.
fn documents(path: &str) -> Result<Vec<Value>> {
    read(path)?
        .split("\n---\n")
        .map(|document| serde_saphyr::from_str(document).map_err(|error| format!("{path}: {error}").into()))
        .collect()
}

/// The rules of a file for Prometheus, or of a manifest.
fn rules(path: &str) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for document in documents(path)? {
        let groups = if document["groups"].is_array() { &document["groups"] } else { &document["spec"]["groups"] };
        for group in groups.as_array().into_iter().flatten() {
            found.extend(group["rules"].as_array().into_iter().flatten().cloned());
        }
    }
    assert!(!found.is_empty(), "{path}");
    Ok(found)
}

fn alerts(path: &str) -> Result<BTreeMap<String, Value>> {
    let named = |rule: Value| Some((rule["alert"].as_str()?.to_owned(), rule));
    Ok(rules(path)?.into_iter().filter_map(named).collect())
}

const STANDALONE: [&str; 2] = ["envoy/prometheus/collector.yaml", "envoy/prometheus/plugin.yaml"];
const ISTIO: [&str; 5] = [
    "istio/monitoring/collector.yaml",
    "istio/monitoring/egress-gateway.yaml",
    "istio/monitoring/waypoint.yaml",
    "istio/monitoring/sidecar-server.yaml",
    "istio/monitoring/sidecar-client.yaml",
];

fn promtool(arguments: &[&str], files: &[&str]) -> Result<()> {
    let mut command = Command::new(paths::prometheus("promtool")?);
    command.args(arguments).args(files.iter().map(|file| paths::workspace().join(file)));
    let output = command.output()?;
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    Ok(())
}

#[test]
fn contract_rules_and_their_unit_tests_pass_promtool() -> Result<()> {
    let rules = ["envoy/prometheus/recording.yaml", STANDALONE[0], STANDALONE[1]];
    promtool(&["check", "rules"], &rules)?;
    let tests = ["recording", "collector", "spend", "plugin"].map(|name| format!("envoy/prometheus/tests/{name}.yaml"));
    promtool(&["test", "rules"], &tests.each_ref().map(String::as_str))?;
    promtool(&["check", "config", "--syntax-only"], &["envoy/prometheus/prometheus.yaml"])
}

#[test]
fn contract_unit_tests_say_of_each_alert_when_it_fires_and_when_it_does_not() -> Result<()> {
    for (file, tests) in [(STANDALONE[0], &["collector", "spend"][..]), (STANDALONE[1], &["plugin"])] {
        let (mut fires, mut is_silent) = (BTreeSet::new(), BTreeSet::new());
        let mut given = Vec::new();
        for name in tests {
            let document = documents(&format!("envoy/prometheus/tests/{name}.yaml"))?.swap_remove(0);
            given.extend(document["tests"].as_array().into_iter().flatten().cloned());
        }
        for test in &given {
            for expectation in test["alert_rule_test"].as_array().into_iter().flatten() {
                let expected = expectation["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
                let name = expectation["alertname"].as_str().unwrap_or_default().to_owned();
                if expected {
                    fires.insert(name)
                } else {
                    is_silent.insert(name)
                };
            }
        }
        let all: BTreeSet<String> = alerts(file)?.into_keys().collect();
        assert_eq!((&fires, &is_silent), (&all, &all), "{tests:?}");
    }
    // And a record that nobody tests may be of nothing.
    let tests = read("envoy/prometheus/tests/recording.yaml")?;
    for rule in rules("envoy/prometheus/recording.yaml")? {
        let record = rule["record"].as_str().unwrap_or_default();
        // What others are made of is tested with them.
        let is_used = tests.contains(record) || read("envoy/prometheus/recording.yaml")?.matches(record).count() > 1;
        let sibling = ["increase1h", "cost_usd"].iter().any(|part| record.contains(part));
        assert!(is_used || sibling, "{record}");
    }
    Ok(())
}

#[test]
fn contract_each_alert_says_what_happened_and_is_explained() -> Result<()> {
    let guide = read("docs/alerts.md")?;
    let headings: BTreeSet<String> =
        guide.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned).collect();
    let mut names = BTreeSet::new();
    for file in STANDALONE.into_iter().chain(ISTIO) {
        for (name, alert) in alerts(file)? {
            for text in ["summary", "description"] {
                assert!(
                    alert["annotations"][text].as_str().is_some_and(|text| text.len() > 10),
                    "{file}: {name}: {text}"
                );
            }
            let severity = alert["labels"]["severity"].as_str().unwrap_or_default();
            assert!(["critical", "warning"].contains(&severity), "{file}: {name}: {severity}");
            assert_eq!(
                alert["annotations"]["runbook_url"],
                format!("{RUNBOOK}{}", name.to_lowercase()),
                "{file}: {name}"
            );
            names.insert(name);
        }
    }
    assert_eq!(headings, names, "docs/alerts.md has a section for each alert, and no other");
    // Documents that annotations name are there.
    for file in STANDALONE.into_iter().chain(ISTIO) {
        for word in read(file)?.split(|c: char| c.is_whitespace() || "\"`,;()".contains(c)) {
            let named = word.trim_end_matches(['.', ':']);
            if named.starts_with("docs/") && named.ends_with(".md") {
                assert!(paths::workspace().join(named).is_file(), "{file} names {named}");
            }
        }
    }
    Ok(())
}

/// An expression without the selector of a placement's pods, and by Prometheus' own labels in place of Kubernetes'.
fn standalone(expression: &str) -> String {
    let selector = r#"namespace="istio-egress",pod=~"istio-egressgateway-.+""#;
    let plain = expression.replace(&format!("{{{selector},"), "{").replace(&format!("{{{selector}}}"), "");
    let plain = plain.replace("by (namespace, pod)", "by (job, instance)").replace("by (namespace, ", "by (job, ");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn contract_alerts_of_one_name_mean_the_same_in_istio() -> Result<()> {
    let one_line = |alert: &Value| standalone(alert["expr"].as_str().unwrap_or_default());
    let (ours, theirs) = (alerts(STANDALONE[1])?, alerts("istio/monitoring/egress-gateway.yaml")?);
    let mut compared = 0;
    for (name, alert) in &ours {
        let Some(other) = theirs.get(name) else { continue };
        assert_eq!((&alert["for"], &alert["labels"]), (&other["for"], &other["labels"]), "{name}");
        // Istio counts requests itself.
        if name != "MeshmeterCallsUnmetered" {
            assert_eq!(one_line(alert), one_line(other), "{name}");
            compared += 1;
        }
    }
    assert!(compared > 10, "{compared}");
    let (ours, theirs) = (alerts(STANDALONE[0])?, alerts("istio/monitoring/collector.yaml")?);
    assert_eq!(ours, theirs, "they are one file: run `just manifests`");
    Ok(())
}

/// Words of an expression that begin as our metrics do.
fn words(expression: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = expression.split(move |c| !is_part(c));
    words.filter(|word| word.starts_with("meshmeter_") || word.starts_with("gen_ai_") || word.contains(":"))
}

#[test]
fn contract_rules_and_dashboards_ask_for_metrics_that_exist() -> Result<()> {
    let reference = read("docs/metrics.md")?;
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for row in reference.lines().filter(|line| line.starts_with("| `")) {
        let columns: Vec<&str> = row.split('|').collect();
        known.extend(
            columns.iter().skip(1).take(3).flat_map(|column| column.split('`')).filter(|word| !word.trim().is_empty()),
        );
    }
    let records = rules("envoy/prometheus/recording.yaml")?;
    known.extend(records.iter().filter_map(|rule| rule["record"].as_str()));
    let mut expressions: Vec<(String, String)> = Vec::new();
    for file in STANDALONE.into_iter().chain(ISTIO).chain(["envoy/prometheus/recording.yaml"]) {
        let text = |rule: &Value| Some((file.to_owned(), rule["expr"].as_str()?.to_owned()));
        expressions.extend(rules(file)?.iter().filter_map(text));
    }
    for dashboard in dashboards()? {
        for panel in dashboard["panels"].as_array().into_iter().flatten() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let text = target["expr"].as_str().unwrap_or_default();
                expressions.push((format!("{}: {}", dashboard["uid"], panel["title"]), text.to_owned()));
            }
        }
    }
    assert!(expressions.len() > 100);
    for (place, expression) in &expressions {
        for word in words(expression) {
            let base = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| word.strip_suffix(suffix));
            assert!(known.contains(word) || base.is_some_and(|base| known.contains(base)), "{place} asks for {word}");
        }
    }
    Ok(())
}

fn dashboards() -> Result<Vec<Value>> {
    let mut files: Vec<PathBuf> = fs::read_dir(paths::workspace().join("envoy/grafana"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    assert_eq!(files.len(), 4, "{files:?}");
    files.iter().map(|file| Ok(serde_json::from_str(&fs::read_to_string(file)?)?)).collect()
}

#[test]
fn contract_dashboards_say_what_each_panel_shows() -> Result<()> {
    let mut uids = BTreeSet::new();
    for dashboard in dashboards()? {
        let uid = dashboard["uid"].as_str().unwrap_or_default().to_owned();
        assert!(uid.starts_with("meshmeter-") && uids.insert(uid.clone()), "{uid}");
        assert!(dashboard["title"].as_str().is_some_and(|title| title.starts_with("meshmeter: ")), "{uid}");
        let (mut ids, mut titles, mut tiles) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for panel in dashboard["panels"].as_array().into_iter().flatten() {
            let title = panel["title"].as_str().unwrap_or_default().to_owned();
            assert!(!title.is_empty() && titles.insert(title.clone()), "{uid}: {title}");
            assert!(ids.insert(panel["id"].as_u64()), "{uid}: {title}");
            assert!(panel["description"].as_str().is_some_and(|text| text.len() > 5), "{uid}: {title}: description");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{uid}: {title}: unit");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{uid}: {title}");
            assert!(panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()), "{uid}: {title}");
            // No panel lies on another.
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|name| panel["gridPos"][name].as_u64().unwrap_or(99));
            assert!(x + w <= 24, "{uid}: {title}");
            for tile in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(tiles.insert(tile), "{uid}: {title} lies on another panel");
            }
        }
        let variables = dashboard["templating"]["list"].as_array().into_iter().flatten();
        let variables: BTreeSet<&str> = variables.filter_map(|variable| variable["name"].as_str()).collect();
        let text = dashboard["panels"].to_string();
        for variable in ["tenant", "provider", "model", "datasource"] {
            assert_eq!(
                text.contains(&format!("${variable}")) || text.contains(&format!("${{{variable}}}")),
                variables.contains(variable),
                "{uid}: ${variable}"
            );
        }
    }
    Ok(())
}

/// The bounds of each histogram's buckets.
type Buckets = BTreeMap<String, Vec<u64>>;

fn buckets(settings: &Value) -> Buckets {
    let bounds = |value: &Value| value.as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    let settings = settings.as_array().into_iter().flatten();
    settings
        .map(|one| (one["match"]["prefix"].as_str().unwrap_or_default().to_owned(), bounds(&one["buckets"])))
        .collect()
}

#[test]
fn contract_histograms_have_the_same_buckets_everywhere() -> Result<()> {
    let bootstrap = documents("envoy/envoy.yaml")?;
    let ours = buckets(&bootstrap[0]["stats_config"]["histogram_bucket_settings"]);
    let reference = read("docs/metrics.md")?;
    let histograms = reference.lines().filter(|line| line.contains("| histogram |") && line.starts_with("| `gen_ai_"));
    let names: BTreeSet<String> =
        histograms.filter_map(|line| line.split('`').nth(1)).map(|name| format!("wasmcustom.{name}")).collect();
    assert_eq!(ours.keys().cloned().collect::<BTreeSet<_>>(), names);
    // OpenTelemetry's conventions advise these; there are more between them.
    let advised = [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 40_960, 81_920];
    for name in ["duration", "time_to_first_chunk"] {
        let bounds = &ours[&format!("wasmcustom.gen_ai_client_inference_{name}_milliseconds")];
        assert!(bounds.is_sorted() && advised.iter().all(|bound| bounds.contains(bound)), "{name}: {bounds:?}");
    }
    let helpers = read("istio/chart/templates/_helpers.tpl")?;
    let (_, text) = helpers.split_once("{{- define \"meshmeter.histogramBuckets\" -}}").ok_or("no buckets")?;
    let (text, _) = text.split_once("{{- end }}").ok_or("no end of them")?;
    assert_eq!(serde_json::from_str::<Buckets>(text)?, ours, "Istio's");
    let gateway = documents("envoy/gateway/gateway.yaml")?;
    let proxy = gateway.iter().find(|document| document["kind"] == "EnvoyProxy").ok_or("no EnvoyProxy")?;
    let merged = proxy["spec"]["bootstrap"]["value"].as_str().ok_or("no bootstrap")?;
    let merged: Value = serde_saphyr::from_str(merged)?;
    assert_eq!(buckets(&merged["stats_config"]["histogram_bucket_settings"]), ours, "Envoy Gateway's");
    Ok(())
}
