//! What is seen of an Envoy at its admin listener.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use meter::telemetry::Metric;
use serde_json::Value;

use self::config::Config;
use self::json::{list, text, text_at};
use super::finding::Unseen;
use crate::exposition::Scrape;
use crate::fetch::{Bounds, Fetcher, NoPage, Page};

pub mod config;
pub mod http;
mod json;

/// A page of some numbers.
const SMALL: Bounds = Bounds { size: 1 << 20, time: Duration::from_secs(10) };
/// A page that grows with Envoy's configuration or with its metrics.
const LARGE: Bounds = Bounds { size: 128 << 20, time: Duration::from_secs(30) };
/// The metrics that are of interest: the plugin's, and what Envoy counts of itself and of plugins.
const METRICS: &[&str] = &[
    "meshmeter_",
    "gen_ai_",
    "envoy_wasm_",
    "envoy_listener_manager_",
    "envoy_extension_config_discovery_",
    "envoy_filesystem_",
];
/// How often a counter of seconds is read in a second, and the distance of two such seconds. Each VM counts whole seconds, in
/// its own time; the mean over a whole second is free of that.
const READINGS: u32 = 10;
/// The distance of the two seconds for which counters are read, or of two readings.
pub const DISTANCE: Duration = Duration::from_secs(4);
const SECOND: Duration = Duration::from_secs(1);
/// The plugin repeats a failed dispatch after half a minute at the latest: then it is known why events wait.
const RETRY: Duration = Duration::from_secs(35);

/// An Envoy, as it was seen.
#[derive(Clone, Debug, Default)]
pub struct Envoy {
    /// Its admin listener's URL.
    pub url: String,
    /// What it says of itself.
    pub info: Info,
    /// Its configuration, if it could be read.
    pub config: Option<Config>,
    /// Its metrics at the beginning.
    pub before: Scrape,
    /// Its metrics at the end, some seconds later.
    pub after: Scrape,
    /// How many VMs of the plugin ran in between.
    pub vms: Option<f64>,
    /// The hosts of each cluster.
    pub hosts: BTreeMap<String, Hosts>,
    /// Pages that could not be read, and why.
    pub unread: Vec<String>,
}

/// What an Envoy says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Its version, such as `1.40.0`.
    pub version: String,
    /// `LIVE`, or another word.
    pub state: String,
    /// Its worker threads.
    pub workers: u64,
    /// By how many seconds its clock is ahead of this host's.
    pub ahead_s: Option<i64>,
    /// How long a line of a file may wait in memory, as Envoy writes it, such as `10s`. How many bytes may wait it does not say:
    /// `file_flush_min_size` is always 0 here.
    pub flush_interval: String,
}

/// The hosts of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// All of them.
    pub all: usize,
    /// Those that Envoy would send to.
    pub healthy: usize,
    /// Connections that failed, since Envoy has started.
    pub connections_failed: u64,
}

impl Envoy {
    /// By how much a metric of the plugin grew while it was looked at.
    pub fn growth(&self, metric: Metric) -> f64 {
        let name = metric.spec().name;
        self.after.sum(name) - self.before.sum(name)
    }

    /// Whether events wait, and nothing has come of any dispatch since the beginning.
    fn waits(&self) -> bool {
        self.count(Metric::OutboxBytes) > 0.0
            && self.before.sum(Metric::OutboxBytes.spec().name) > 0.0
            && self.count(Metric::CollectorFailures) > 0.0
            && self.growth(Metric::CollectorFailures) == 0.0
            && self.growth(Metric::Acknowledged) == 0.0
    }

    /// A metric of the plugin, as it was seen last.
    pub fn count(&self, metric: Metric) -> f64 {
        self.after.sum(metric.spec().name)
    }
}

/// An Envoy that is being looked at.
#[derive(Debug)]
pub struct Look {
    envoy: Envoy,
    fetcher: Fetcher,
    first: Option<Reading>,
}

/// The mean of a counter over a second.
#[derive(Clone, Copy, Debug)]
struct Reading {
    begun: Instant,
    /// Whether there was such a counter.
    is_there: bool,
    /// Seconds from its beginning to the middle.
    middle: f64,
    value: f64,
}

impl Look {
    /// Sees whether it is one.
    pub fn begin(url: &str, fetcher: &Fetcher) -> Result<Look, Unseen> {
        let unseen = |problem: NoPage| match problem {
            NoPage::Unreachable(_) | NoPage::Timeout(_) => Unseen::Unreachable(problem.in_words()),
            NoPage::TooLarge(_) | NoPage::Protocol(_) => Unseen::Other(problem.in_words()),
        };
        let page = fetcher.get(&format!("{url}/server_info"), &[], SMALL).map_err(unseen)?;
        let info =
            Info::parse(&page).ok_or_else(|| Unseen::Other(format!("what responds is {}", page.looks_like())))?;
        let envoy = Envoy { url: url.to_owned(), info, ..Envoy::default() };
        Ok(Look { envoy, fetcher: fetcher.clone(), first: None })
    }

    /// Reads what does not need time to pass.
    pub fn read(mut self) -> Look {
        self.envoy.before = self.metrics();
        self.first = self.reading(Instant::now());
        let dump = self.page("/config_dump");
        match dump.as_deref().map(Config::parse) {
            Some(Ok(config)) => self.envoy.config = Some(config),
            Some(Err(problem)) => self.envoy.unread.push(format!("/config_dump: {problem}")),
            None => {}
        }
        if let Some(page) = self.page("/clusters?format=json") {
            self.envoy.hosts = hosts(&page);
        }
        self
    }

    /// Looks again, some seconds after the beginning.
    pub fn end(mut self) -> Envoy {
        if let Some(first) = self.first {
            let whole = first.begun.elapsed().as_secs().saturating_add(1).max(DISTANCE.as_secs());
            let second = first.begun.checked_add(Duration::from_secs(whole)).and_then(|begin| self.reading(begin));
            self.envoy.vms = second.filter(|second| second.is_there).and_then(|second| second.since(first));
        } else {
            thread::sleep(DISTANCE);
        }
        self.envoy.after = self.metrics();
        let begun = Instant::now();
        while self.envoy.waits() && begun.elapsed() < RETRY {
            thread::sleep(SECOND);
            self.envoy.after = self.metrics();
        }
        self.envoy
    }

    fn metrics(&mut self) -> Scrape {
        let page = self.page("/stats/prometheus").unwrap_or_default();
        Scrape::parse(&String::from_utf8_lossy(&page), METRICS)
    }

    /// A page; if there is none, that is noted.
    fn page(&mut self, path: &str) -> Option<Vec<u8>> {
        let problem = match self.fetcher.get(&format!("{}{path}", self.envoy.url), &[], LARGE) {
            Ok(page) if page.status == 200 => return Some(page.body),
            Ok(page) => format!("status {}", page.status),
            Err(problem) => problem.in_words(),
        };
        self.envoy.unread.push(format!("{path}: {problem}"));
        None
    }

    /// Reads for a second how long the plugin's VMs have run.
    fn reading(&self, begin: Instant) -> Option<Reading> {
        let url = format!("{}/stats?filter={}", self.envoy.url, Metric::VmSeconds.spec().name);
        let step = SECOND.checked_div(READINGS).unwrap_or(SECOND);
        let (mut times, mut values, mut is_there) = (0.0, 0.0, false);
        for number in 0..READINGS {
            let at = begin.checked_add(step.saturating_mul(number)).unwrap_or(begin);
            thread::sleep(at.saturating_duration_since(Instant::now()));
            let page = self.fetcher.get(&url, &[], SMALL).ok()?;
            times += begin.elapsed().as_secs_f64();
            let value = seconds(&String::from_utf8_lossy(&page.body));
            is_there |= value.is_some();
            values += value.unwrap_or_default();
        }
        let count = f64::from(READINGS);
        Some(Reading { begun: begin, is_there, middle: times / count, value: values / count })
    }
}

impl Reading {
    /// What was counted since another one, by second.
    fn since(self, before: Reading) -> Option<f64> {
        let between = self.begun.saturating_duration_since(before.begun).as_secs_f64() + self.middle - before.middle;
        (between > 0.5).then(|| (self.value - before.value) / between)
    }
}

/// The value of the counter in Envoy's own notation, `NAME: VALUE`.
fn seconds(text: &str) -> Option<f64> {
    let name = Metric::VmSeconds.spec().name;
    let values = text.lines().filter_map(|line| line.rsplit_once(": ").filter(|(stat, _)| stat.ends_with(name)));
    let values: Vec<f64> = values.filter_map(|(_, value)| value.trim().parse().ok()).collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

impl Info {
    /// Reads `/server_info`; none: it is none.
    fn parse(page: &Page) -> Option<Info> {
        let value: Value = serde_json::from_slice(&page.body).ok().filter(|_| page.status == 200)?;
        let options = value.get("command_line_options")?;
        // hash/1.40.0/Clean/RELEASE/BoringSSL
        let version = text(&value, "version").split('/').nth(1)?.to_owned();
        Some(Info {
            version,
            state: text(&value, "state").to_owned(),
            workers: options.get("concurrency").and_then(Value::as_u64).unwrap_or_default(),
            ahead_s: page.ahead_s,
            flush_interval: text(options, "file_flush_interval").to_owned(),
        })
    }
}

/// Reads `/clusters`.
fn hosts(page: &[u8]) -> BTreeMap<String, Hosts> {
    let value: Value = serde_json::from_slice(page).unwrap_or_default();
    let mut clusters = BTreeMap::new();
    for cluster in list(&value, "cluster_statuses") {
        let mut hosts = Hosts::default();
        for host in list(cluster, "host_statuses") {
            let health = host.get("health_status").and_then(Value::as_object);
            let failed =
                health.into_iter().flatten().any(|(name, value)| name.starts_with("failed_") && *value == true);
            let said = text_at(host, "/health_status/eds_health_status");
            hosts.all = hosts.all.saturating_add(1);
            if !failed && matches!(said, "" | "HEALTHY" | "UNKNOWN" | "DEGRADED") {
                hosts.healthy = hosts.healthy.saturating_add(1);
            }
            let stat = list(host, "stats").find(|stat| text(stat, "name") == "cx_connect_fail");
            let count = stat.and_then(|stat| text(stat, "value").parse::<u64>().ok()).unwrap_or_default();
            hosts.connections_failed = hosts.connections_failed.saturating_add(count);
        }
        clusters.insert(text(cluster, "name").to_owned(), hosts);
    }
    clusters
}

#[cfg(test)]
mod tests;
