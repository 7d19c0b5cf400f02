//! Says in Envoy's log what goes wrong with the collector, and that it is well again: one worker for all of them.

use meter::config::{Collector, Config};
use meter::failures::{CollectorFailure, Failures, SAY_AGAIN_MS, share_failure, share_success};

use crate::host;
use crate::shared::{Change, Shared, Unchanged};

/// What was said, for all VMs. Those that say something at the same time are few.
pub const SAID: Shared = Shared::new("meshmeter: failures said", 8);
/// The mark of the worker that has said that somebody else takes the events.
const ANOTHER: &str = "meshmeter: another ingest";
/// What this worker has seen of its collector.
#[derive(Default)]
pub struct Report {
    failures: Failures,
    collector: Option<Collector>,
    /// There is a token to show to it.
    has_token: bool,
    /// Somebody else has taken events.
    is_another: bool,
    /// Events quarantined since that was last said, and when it was.
    quarantined: Option<(usize, u64)>,
}

impl Report {
    /// The collector is the one of this configuration.
    pub fn configure(&mut self, config: &Config, has_token: bool) {
        self.collector.clone_from(&config.collector);
        self.has_token = has_token;
    }

    /// A call has failed.
    pub fn failed(&mut self, now_ms: u64, failure: CollectorFailure, status: Option<u64>) {
        let (Some(count), Some(collector)) = (self.failures.failed(now_ms, failure), &self.collector) else { return };
        if !share(|shared| share_failure(shared, now_ms, failure)) {
            return;
        }
        let Collector { path, token_env, .. } = collector;
        // A path may carry a key as its query.
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let status = status.map(|status| format!(", HTTP {status}")).unwrap_or_default();
        let (word, clusters) = (failure.as_str(), collector.clusters_in_words());
        let meaning = match failure {
            CollectorFailure::Unauthorized if self.has_token => format!("{} of {token_env}", failure.meaning()),
            CollectorFailure::Unauthorized => format!(
                "no token is set: the plugin's VM has no variable {token_env}, or an empty one \
                 (environment_variables in Envoy, vmConfig.env in Istio), and the collector wants one"
            ),
            CollectorFailure::NoCluster if collector.alias.is_some() => format!(
                "{}, or the route of no call has had this alias yet (backends in the EnvoyExtensionPolicy)",
                failure.meaning()
            ),
            _ => failure.meaning().to_owned(),
        };
        log::warn!(
            "meshmeter: the collector takes no events: {word}{status}: {meaning}; {clusters}, path {path}; \
             failed calls of this worker since this was last said: {count}; events wait, and are sent again"
        );
    }

    /// The collector has stored events and not charged them.
    pub fn quarantined(&mut self, now_ms: u64, events: usize) {
        let (unsaid, said_ms) = self.quarantined.unwrap_or_default();
        let unsaid = unsaid.saturating_add(events);
        // A clock that was set back must not make it silent for long.
        if self.quarantined.is_some() && now_ms.abs_diff(said_ms) < SAY_AGAIN_MS {
            self.quarantined = Some((unsaid, said_ms));
            return;
        }
        self.quarantined = Some((0, now_ms));
        log::warn!(
            "meshmeter: the collector has quarantined {unsaid} events of this worker and not charged them: `meshmeter alarms` \
             says why; the journal has them, too"
        );
    }

    /// A call has succeeded.
    pub fn succeeded(&mut self, reads_statements: bool) {
        if self.failures.succeeded() && share(share_success) {
            log::info!("meshmeter: the collector takes events again");
        }
        let Some(collector) = &self.collector else { return };
        if !reads_statements && !std::mem::replace(&mut self.is_another, true) && host::first_to_mark(ANOTHER) {
            let clusters = collector.clusters_in_words();
            log::warn!(
                "meshmeter: the service behind {clusters} is not meshmeter's collector: right for another \
                 CloudEvents ingest, else they are lost there"
            );
        }
    }
}

/// Changes what was said; whether it was for this VM to do so.
fn share(change: impl Fn(&str) -> Option<String>) -> bool {
    let said = SAID.change(|shared| match change(shared) {
        None => Change::Keep(false),
        Some(changed) => Change::Set(changed, true),
    });
    match said {
        Ok(said) => said,
        Err(Unchanged::Contended) => false,
        // Better said twice than not at all.
        Err(Unchanged::Failed) => true,
    }
}
