//! What the collector says of itself and of its ledger.

use crate::doctor::code::Code;
use crate::doctor::collector::{Collector, NoMetrics};
use crate::doctor::finding::Findings;
use crate::exposition::Scrape;
use crate::terminal::printable;

/// With less than this free, a ledger's disk is nearly full, bytes: a million events take about as much.
const LITTLE: f64 = 2_147_483_648.0;

/// So few batches wait in any collector that is busy.
const MANY: f64 = 16.0;

/// Names of the collector's metrics.
pub mod name {
    /// Events received, by outcome.
    pub const EVENTS: &str = "meshmeter_collector_events_total";
    pub const MISSING: &str = "meshmeter_collector_missing_numbers";
    pub const OPEN_ENDS: &str = "meshmeter_collector_open_ends";
    pub const ALARMS: &str = "meshmeter_collector_alarms";
    pub const DEAD_LETTERS: &str = "meshmeter_collector_dead_letters";
    pub const UNPRICED: &str = "meshmeter_collector_unpriced_calls";
    pub const COMMITS: &str = "meshmeter_collector_commits_total";
    pub const REFUSED: &str = "meshmeter_collector_requests_refused_total";
    pub const QUEUE: &str = "meshmeter_collector_queue_batches";
    pub const SEALED: &str = "meshmeter_collector_sealed_months";
    pub const SEALED_BROKEN: &str = "meshmeter_collector_sealed_months_broken";
    pub const DISK_FREE: &str = "meshmeter_collector_disk_free_bytes";
    pub const DISK_SIZE: &str = "meshmeter_collector_disk_size_bytes";
}

pub fn check(collector: &Collector, findings: &mut Findings) {
    if let Some(reason) = &collector.unready {
        findings.add(Code::CollectorNotReady, format!("/readyz says: {reason}"));
    }
    let own = env!("CARGO_PKG_VERSION");
    if collector.version != own {
        let version = printable(&collector.version);
        findings.add(Code::VersionsDiffer, format!("the collector is {version}, this program is {own}"));
    }
    match &collector.unread {
        None => {}
        Some(NoMetrics::Refused { has_token: true }) => {
            findings.add(Code::ReadTokenRefused, "/metrics does not accept the read token");
        }
        Some(NoMetrics::Refused { has_token: false }) => {
            findings.add(Code::ReadTokenRefused, "/metrics wants a read token, and there is none");
        }
        Some(NoMetrics::Failed(problem)) => findings.add(Code::PageUnread, format!("/metrics: {problem}")),
    }
    if let Some(after) = &collector.after {
        wanting(after, findings);
        now(&collector.before, after, findings);
    }
}

fn wanting(scrape: &Scrape, findings: &mut Findings) {
    for (name, code, what) in [
        (name::MISSING, Code::NumbersMissing, "records that the ledger does not have"),
        (name::OPEN_ENDS, Code::OpenEnds, "emitters that fell silent"),
        (name::ALARMS, Code::Alarms, "events quarantined as alarms"),
        (name::DEAD_LETTERS, Code::DeadLetters, "events quarantined as dead letters"),
        (name::UNPRICED, Code::PricesMissing, "calls, by day, tenant and model, with something that has no price"),
    ] {
        let count = scrape.sum(name);
        if count > 0.0 {
            findings.add(code, format!("{what}: {count}"));
        }
    }
    let (sealed, broken) = (scrape.sum(name::SEALED), scrape.sum(name::SEALED_BROKEN));
    if broken > 0.0 {
        findings.add(Code::ArchiveBroken, format!("sealed months that cannot be read: {broken} of {sealed}"));
    }
    let (free, size) = (scrape.sum(name::DISK_FREE), scrape.sum(name::DISK_SIZE));
    if size > 0.0 && free < LITTLE {
        findings.add(Code::DiskLow, format!("{free} of {size} bytes are free on the ledger's disk"));
    }
}

fn now(before: &Scrape, after: &Scrape, findings: &mut Findings) {
    let failed = |scrape: &Scrape| scrape.by(name::COMMITS, "outcome").remove("failed").unwrap_or_default();
    let grown = failed(after) - failed(before);
    if grown > 0.0 {
        findings.add(Code::CommitsFail, format!("transactions that failed just now: {grown}"));
    }
    let (waited, wait) = (before.sum(name::QUEUE), after.sum(name::QUEUE));
    if wait > waited && wait >= MANY {
        findings.add(Code::QueueGrows, format!("batches that wait for the writer: {wait}, at the beginning {waited}"));
    }
    let earlier = before.by(name::REFUSED, "reason");
    let reasons = after.by(name::REFUSED, "reason").into_iter().filter_map(|(reason, count)| {
        let grown = count - earlier.get(reason).copied().unwrap_or_default();
        (grown > 0.0).then(|| format!("{} {grown}", printable(reason)))
    });
    findings.add_each(Code::RequestsRefused, &reasons.collect::<Vec<_>>(), |by| format!("just now: {by}"));
}
