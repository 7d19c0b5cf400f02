//! What was found, as text and as JSON.

use serde::Serialize;

use super::Observation;
use super::code::{Code, Severity};
use super::envoy::Envoy;
use super::finding::Finding;
use crate::terminal::{self, printable};

#[derive(Serialize)]
struct Document<'a> {
    examined: Vec<Examined<'a>>,
    findings: Vec<Found<'a>>,
    errors: usize,
    warnings: usize,
    notes: usize,
}

#[derive(Serialize)]
struct Examined<'a> {
    kind: &'static str,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workers: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_chains: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    with_plugin: Option<usize>,
}

#[derive(Serialize)]
struct Found<'a> {
    code: &'static str,
    severity: Severity,
    at: &'a str,
    what: &'a str,
    why: &'static str,
    remedy: &'static str,
    documentation: String,
}

/// As JSON.
pub fn json(seen: &Observation, findings: &[Finding]) -> Result<String, String> {
    let envoys = seen.envoys.iter().map(|(url, envoy)| {
        let envoy = envoy.as_ref().ok();
        let (all, with) = envoy.map(chains).unzip();
        Examined {
            kind: "envoy",
            url,
            version: envoy.map(|envoy| envoy.info.version.as_str()),
            workers: envoy.map(|envoy| envoy.info.workers),
            filter_chains: all,
            with_plugin: with,
        }
    });
    let collector = seen.collector.iter().map(|(url, collector)| Examined {
        kind: "collector",
        url,
        version: collector.as_ref().ok().map(|collector| collector.version.as_str()),
        workers: None,
        filter_chains: None,
        with_plugin: None,
    });
    let found = findings.iter().map(|finding| {
        let spec = finding.code.spec();
        Found {
            code: spec.word,
            severity: spec.severity,
            at: &finding.at,
            what: &finding.what,
            why: spec.why,
            remedy: spec.remedy,
            documentation: documentation(finding.code),
        }
    });
    let document = Document {
        examined: envoys.chain(collector).collect(),
        findings: found.collect(),
        errors: count(findings, Severity::Error),
        warnings: count(findings, Severity::Warning),
        notes: count(findings, Severity::Note),
    };
    let text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?;
    Ok(terminal::json(&text) + "\n")
}

/// As text.
pub fn text(seen: &Observation, findings: &[Finding]) -> String {
    let mut text = String::new();
    for (url, envoy) in &seen.envoys {
        let Ok(envoy) = envoy else { continue };
        let (all, with) = chains(envoy);
        let (version, workers) = (printable(&envoy.info.version), envoy.info.workers);
        text.push_str(&format!(
            "Envoy {url}: version {version}, workers: {workers}, HTTP filter chains with the plugin: {with} of {all}\n"
        ));
    }
    if let Some((url, Ok(collector))) = &seen.collector {
        let state = if collector.unready.is_some() { "not ready" } else { "ready" };
        text.push_str(&format!("collector {url}: version {}, {state}\n", printable(&collector.version)));
    }
    if seen.call.as_ref().is_some_and(|call| call.problem().is_none()) {
        text.push_str("test call: it got a response\n");
    }
    for finding in findings {
        let spec = finding.code.spec();
        let (at, what) = (printable(&finding.at), printable(&finding.what));
        text.push_str(&format!("\n{}: {} ({at})\n", spec.severity.word(), spec.word));
        for (name, said) in [("what", what.as_str()), ("why", spec.why), ("do", spec.remedy)] {
            text.push_str(&format!("  {name}:  {}{said}\n", " ".repeat(4usize.saturating_sub(name.len()))));
        }
        text.push_str(&format!("  more:  {}\n", documentation(finding.code)));
    }
    let count = |severity, one: &str| match count(findings, severity) {
        1 => format!("1 {one}"),
        many => format!("{many} {one}s"),
    };
    let counts = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let counts = counts.map(|(severity, one)| count(severity, one)).join(", ");
    let gap = if text.is_empty() { "" } else { "\n" };
    text.push_str(&format!("{gap}{counts}\n"));
    text
}

/// How many filter chains there are, and how many have the plugin.
fn chains(envoy: &Envoy) -> (usize, usize) {
    let Some(config) = &envoy.config else { return (0, 0) };
    let with = config.http_chains().filter(|(_, http)| http.plugins().next().is_some()).count();
    (config.http_chains().count(), with)
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity() == severity).count()
}

fn documentation(code: Code) -> String {
    format!("docs/{}", code.spec().link)
}
