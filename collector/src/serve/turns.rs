//! Metrics of the turns that senders have: whose requests waited for those of others, and whose share was taken. A label
//! for each credential, of which there are as many as an operator has configured.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    credential: String,
}

/// The metrics; clones share them.
#[derive(Clone, Debug)]
pub struct Turns {
    postponed: Family<Of, Counter>,
    refused: Family<Of, Counter>,
}

impl Turns {
    pub fn registered(registry: &mut Registry) -> Turns {
        let turns = Turns { postponed: Family::default(), refused: Family::default() };
        registry.register(
            "requests_postponed",
            "Commits that went by without a batch or a request for leases that waited, because it was the turn of others, by \
             `credential`",
            turns.postponed.clone(),
        );
        registry.register(
            "requests_over_share",
            "Requests refused (503) because their `credential`, or their emitter within it, had its share of what may wait",
            turns.refused.clone(),
        );
        turns
    }

    /// A request has its response, after so many commits.
    pub fn waited(&self, credential: &str, commits: u64) {
        if commits > 1 {
            let of = Of { credential: credential.to_owned() };
            self.postponed.get_or_create(&of).inc_by(commits.saturating_sub(1));
        }
    }

    /// A request is refused for its share.
    pub fn refused(&self, credential: &str) {
        self.refused.get_or_create(&Of { credential: credential.to_owned() }).inc();
    }
}
