//! Whether a second copy of the records survives a killed Envoy.

use std::collections::BTreeSet;

use crate::doctor::code::Code;
use crate::doctor::envoy::Envoy;
use crate::doctor::envoy::config::Config;
use crate::doctor::finding::Findings;

/// A line that waits in memory no longer than this is as good as written, seconds.
const SHORT: f64 = 0.1;
/// Envoy's own interval, with which the size may be 0, so that no line waits for it.
const USUAL: &str = "10s";

pub fn check(envoy: &Envoy, config: &Config, findings: &mut Findings) {
    let (mut without, mut files) = (BTreeSet::new(), BTreeSet::new());
    for (listener, http) in config.http_chains() {
        let configurations = http.plugins().map(|plugin| meter::config::parse(plugin.configuration.as_bytes()));
        let own: Vec<_> = configurations.flatten().collect();
        if own.is_empty() || own.iter().any(|own| own.journal_log) {
            continue;
        }
        let mut logs = http.logs.iter().filter(|log| log.has_record).peekable();
        if logs.peek().is_none() {
            without.insert(listener.name.clone());
        }
        files.extend(logs.filter_map(|log| log.file.clone()));
    }
    findings.add_each(Code::JournalAbsent, &Vec::from_iter(without), |listeners| {
        format!("no access log of {listeners} has the record")
    });
    if let Some(why) = unflushed(envoy) {
        findings.add_each(Code::JournalUnflushed, &Vec::from_iter(files), |files| format!("{files}: {why}"));
    }
    let failed = envoy.after.sum("envoy_filesystem_write_failed");
    if failed > 0.0 {
        findings.add(Code::JournalUnwritten, format!("writes that failed since Envoy started: {failed}"));
    }
}

/// Why lines of files wait in memory, if they do. Envoy does not tell how it was started; its statistics of files do, unless they
/// are left out, as in Istio's proxies.
fn unflushed(envoy: &Envoy) -> Option<String> {
    let (lines, writes) = ("envoy_filesystem_write_buffered", "envoy_filesystem_write_completed");
    let waiting = "envoy_filesystem_write_total_buffered";
    if envoy.after.has(waiting) {
        let (lines, writes, bytes) = (envoy.after.sum(lines), envoy.after.sum(writes), envoy.after.sum(waiting));
        let wait = bytes > 0.0 && envoy.before.sum(waiting) > 0.0 && writes * 2.0 < lines;
        let said =
            || format!("lines of all access logs: {lines}, writes: {writes}, bytes that wait in memory: {bytes}");
        return wait.then(said);
    }
    let interval = envoy.info.flush_interval.as_str();
    let seconds = interval.trim_end_matches('s').parse::<f64>().unwrap_or_default();
    (seconds > SHORT && interval != USUAL).then(|| format!("a line waits in memory for up to {interval}"))
}
