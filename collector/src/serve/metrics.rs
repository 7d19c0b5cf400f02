//! The collector's own metrics, in Prometheus' text format.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::archive::Archive;
use super::budgets::Budgets;
use super::connections::End;
use super::refusal::Reason;
use super::space::Space;
use super::spend::{Bounds, Spend};
use super::turns::Turns;
use super::wanting::Wanting;
use crate::ledger::Taken;
use crate::money::Charge;

const YOCTO_PER_NANO: i128 = 1_000_000_000_000_000;
/// What becomes of an event.
const OUTCOMES: [&str; 4] = ["accepted", "duplicate", "dead_letter", "alarm"];
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    status: u16,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    state: &'static str,
}

/// What is asked for when the metrics are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Batches that wait.
    pub queued: usize,
    /// Connections that have shown no valid credential.
    pub strangers: usize,
    /// Connections that have.
    pub known: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// Whether what a scrape says names tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenants {
    /// It has what each of them is charged.
    Named,
    /// It has totals.
    Unnamed,
}

/// The metrics; clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// Those that name tenants.
    by_tenant: Arc<Registry>,
    spend: Spend,
    events: Family<Outcome, Counter>,
    batches: Counter,
    charged: Counter,
    cost: Counter,
    refused: Family<Refused, Counter>,
    statements_refused: Counter,
    commits: Family<Outcome, Counter>,
    commit_seconds: Histogram,
    queue: Gauge,
    connections: Family<Of, Gauge>,
    connections_ended: Family<Ended, Counter>,
    /// What the ledger lacks, as it was looked at last.
    pub wanting: Wanting,
    /// The room that its disk has.
    pub space: Space,
    /// The archive of sealed months.
    pub archive: Archive,
    /// Whose turn it was.
    pub turns: Turns,
    /// What is left of budgets.
    pub budgets: Budgets,
}

impl Metrics {
    pub fn new() -> Metrics {
        let (mut all, mut by_tenant) = (Registry::default(), Registry::with_prefix("meshmeter"));
        // What is said of the ledger, of money and of budgets, rather than of this collector.
        let general = all.sub_registry_with_prefix("meshmeter");
        general.register("build", "The collector's version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let spend = Spend::new(Bounds::default());
        spend.register(&mut by_tenant, general);
        let registry = all.sub_registry_with_prefix("meshmeter_collector");
        let events = Family::default();
        let batches = Counter::default();
        let (charged, cost) = (Counter::default(), Counter::default());
        let refused = Family::default();
        let statements_refused = Counter::default();
        let commits = Family::default();
        // From 0.1 ms, an SSD that does not wait for its disk, to 3 s, beyond the patience of senders.
        let commit_seconds = Histogram::new(exponential_buckets(0.0001, 2.0, 16));
        let queue = Gauge::default();
        let connections = Family::default();
        let connections_ended = Family::default();
        registry.register("events", "Events received, by what became of them (`outcome`)", events.clone());
        registry.register("batches", "Batches accepted", batches.clone());
        registry.register(
            "charged_nano_usd",
            "What tenants pay for the calls that this collector accepted, in whole nano-USD per batch, before corrections",
            charged.clone(),
        );
        registry.register(
            "cost_nano_usd",
            "What providers charge for the calls that this collector accepted, in whole nano-USD per batch, before corrections",
            cost.clone(),
        );
        registry.register(
            "requests_refused",
            "Responses with a `status` of 400 or above, by `reason`",
            refused.clone(),
        );
        registry.register(
            "statements_refused",
            "Statements of emitters that could not be read; their events are accepted",
            statements_refused.clone(),
        );
        registry.register(
            "commits",
            "Transactions, each for what was waiting, as far as one takes it (`outcome`)",
            commits.clone(),
        );
        registry.register_with_unit(
            "commit_duration",
            "Duration of transactions",
            Unit::Seconds,
            commit_seconds.clone(),
        );
        registry.register("queue_batches", "Batches that are waiting for the writer", queue.clone());
        registry.register(
            "connections",
            "Connections by `state`: `known` have shown a valid credential, `unknown` have not",
            connections.clone(),
        );
        registry.register(
            "connections_ended",
            "Connections that the collector closed, by `reason`: a `handshake` or `head` that took too long, `idle`, \
             `stalled` (it did not read), `evicted` (another needed its place)",
            connections_ended.clone(),
        );
        for end in End::ALL {
            drop(Family::<Ended, Counter>::get_or_create(&connections_ended, &Ended { reason: end.reason() }));
        }
        let wanting = Wanting::registered(registry);
        let space = Space::registered(registry);
        let archive = Archive::registered(registry);
        let turns = Turns::registered(registry);
        for outcome in OUTCOMES {
            drop(Family::<Outcome, Counter>::get_or_create(&events, &Outcome { outcome }));
        }
        for outcome in ["stored", "failed"] {
            drop(Family::<Outcome, Counter>::get_or_create(&commits, &Outcome { outcome }));
        }
        Metrics {
            registry: Arc::new(all),
            by_tenant: Arc::new(by_tenant),
            spend,
            events,
            batches,
            charged,
            cost,
            refused,
            statements_refused,
            commits,
            commit_seconds,
            queue,
            connections,
            connections_ended,
            wanting,
            space,
            archive,
            turns,
            budgets: Budgets::new(),
        }
    }

    pub fn taken(&self, taken: &Taken) {
        let Taken { accepted, duplicates, dead_letters, alarms, .. } = *taken;
        for (outcome, count) in OUTCOMES.into_iter().zip([accepted, duplicates, dead_letters, alarms]) {
            self.events.get_or_create(&Outcome { outcome }).inc_by(count);
        }
        self.batches.inc();
        self.charged.inc_by(nano_usd(taken.charge));
        self.cost.inc_by(nano_usd(taken.cost));
        self.spend.add(&taken.spending, Instant::now());
        self.budgets.refused(taken.spending.refused());
    }

    pub fn refused(&self, status: StatusCode, Reason(reason): Reason) {
        self.refused.get_or_create(&Refused { status: status.as_u16(), reason }).inc();
    }

    pub fn connection_ended(&self, end: End) {
        self.connections_ended.get_or_create(&Ended { reason: end.reason() }).inc();
    }

    pub fn statement_refused(&self) {
        self.statements_refused.inc();
    }

    pub fn committed(&self, duration: Duration, stored: bool) {
        let outcome = if stored { "stored" } else { "failed" };
        self.commits.get_or_create(&Outcome { outcome }).inc();
        self.commit_seconds.observe(duration.as_secs_f64());
    }

    /// The text of now.
    pub fn text(&self, now: &Now, tenants: Tenants) -> Result<String, std::fmt::Error> {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.queue.set(number(now.queued));
        for (state, count) in [("unknown", now.strangers), ("known", now.known)] {
            self.connections.get_or_create(&Of { state }).set(number(count));
        }
        let mut text = String::new();
        text::encode_registry(&mut text, &self.registry)?;
        if tenants == Tenants::Named {
            text::encode_registry(&mut text, &self.by_tenant)?;
        }
        self.budgets.encode(&mut text, tenants == Tenants::Named)?;
        text::encode_eof(&mut text)?;
        Ok(text)
    }
}

/// Whole nano-USD of an amount; a counter never goes down.
fn nano_usd(amount: Charge) -> u64 {
    let nano = amount.yocto_usd().checked_div(YOCTO_PER_NANO).unwrap_or_default();
    u64::try_from(nano.max(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fmt::Write as _;

    /// The table of docs/metrics.md, from what the service itself says of its metrics.
    fn table() -> String {
        let metrics = Metrics::new();
        // A family that has nothing to say yet is not even named.
        metrics.refused(StatusCode::UNAUTHORIZED, Reason("wrong_token"));
        metrics.turns.waited("egress", 2);
        metrics.turns.refused("egress");
        metrics.wanting.set(Some(Default::default()));
        metrics.space.set(Some(Default::default()));
        metrics.archive.set(Some(Default::default()));
        metrics.budgets.set(Some(vec![super::super::budgets::example()]));
        metrics.budgets.refused([(&"b".to_owned(), 1)]);
        let text = metrics.text(&Now::default(), Tenants::Named).unwrap();
        let said = |what: &str| -> BTreeMap<&str, &str> {
            text.lines().filter_map(|line| line.strip_prefix(what)?.split_once(' ')).collect()
        };
        let kinds = said("# TYPE ");
        let mut table = String::from("| metric | kind | meaning |\n|---|---|---|\n");
        for (name, help) in said("# HELP ") {
            let suffix = match kinds[name] {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            writeln!(table, "| `{name}{suffix}` | {} | {} |", kinds[name], help.trim_end_matches('.')).unwrap();
        }
        table
    }

    #[test]
    fn contract_the_reference_names_every_metric() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let found = std::fs::read_to_string(path).unwrap();
        let (before, rest) =
            found.split_once("<!-- table: collector metrics -->\n").expect("docs/metrics.md has the mark");
        let (_, behind) = rest.split_once("<!-- end of table -->").expect("docs/metrics.md has the end mark");
        let expected = format!("{before}<!-- table: collector metrics -->\n{}<!-- end of table -->{behind}", table());
        if std::env::var_os("MESHMETER_WRITE_DOCS").is_some() {
            std::fs::write(path, expected).unwrap();
        } else {
            assert!(found == expected, "docs/metrics.md is not what the code says: run `just docs`");
        }
    }
}
