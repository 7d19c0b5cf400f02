//! Failures of calls to the collector: their kinds, and when one is said in the log: when it begins, and then once in a
//! while, by one worker for all of them.

use wire::words;

/// After so long a failure that goes on, or comes again, is said again, ms.
pub const SAY_AGAIN_MS: u64 = 300_000;
/// The line of what all workers share that says that the last dispatch failed.
const FAILING: &str = "failing";

words! {
    /// Why a call to the collector did not succeed.
    CollectorFailure {
        /// The token is wrong or missing (401, 403).
        Unauthorized "unauthorized",
        /// There is nothing that takes events at this path (404, 405, 410).
        NotFound "not_found",
        /// The collector cannot read an event (400, 413, 422).
        RefusedEvents "refused_events",
        /// The collector asks for patience (429).
        TooManyRequests "too_many_requests",
        /// The collector cannot work, or nobody listens (5xx; Envoy says 503 if it cannot connect).
        Unavailable "unavailable",
        /// No response came in time (408, 504).
        Timeout "timeout",
        /// The response broke off.
        Reset "reset",
        /// Envoy has no cluster of this name.
        NoCluster "no_cluster",
        /// Envoy could not send: no host in the cluster, or its limits are reached.
        NotSent "not_sent",
        /// The response is an HTML page, or not the collector's where that has responded before: nothing has been taken.
        NotACollector "not_a_collector",
        /// Any other status.
        UnexpectedStatus "unexpected_status",
    }
}

impl CollectorFailure {
    /// What a status other than 2xx means.
    pub fn of_status(status: u64) -> CollectorFailure {
        match status {
            401 | 403 => CollectorFailure::Unauthorized,
            404 | 405 | 410 => CollectorFailure::NotFound,
            400 | 413 | 422 => CollectorFailure::RefusedEvents,
            429 => CollectorFailure::TooManyRequests,
            408 | 504 => CollectorFailure::Timeout,
            500..=599 => CollectorFailure::Unavailable,
            _ => CollectorFailure::UnexpectedStatus,
        }
    }

    /// What it means, for the reader of a log.
    pub const fn meaning(self) -> &'static str {
        match self {
            CollectorFailure::Unauthorized => "it does not accept the token",
            CollectorFailure::NotFound => "it takes no events at this path",
            CollectorFailure::RefusedEvents => {
                "it cannot read an event; the event that it refuses is found and given up"
            }
            CollectorFailure::TooManyRequests => "it asks for patience",
            CollectorFailure::Unavailable => "it cannot work, or nobody listens",
            CollectorFailure::Timeout => "no response came in time",
            CollectorFailure::Reset => "its response broke off",
            CollectorFailure::NoCluster => "Envoy has no such cluster",
            CollectorFailure::NotSent => "the cluster has no host, or its circuit breaker is open",
            CollectorFailure::NotACollector => "the response is not the collector's, so nothing is taken",
            CollectorFailure::UnexpectedStatus => "unexpected status",
        }
    }
}

/// What one worker has seen of its collector.
#[derive(Debug, Default)]
pub struct Failures {
    kinds: Vec<Kind>,
    /// Since the last success a failure was said.
    said: bool,
}

#[derive(Debug)]
struct Kind {
    failure: CollectorFailure,
    said_ms: u64,
    /// How many came since.
    unsaid: u64,
}

impl Failures {
    /// A call failed. If it is time to say so: how many have failed in this way since it was last said.
    pub fn failed(&mut self, now_ms: u64, failure: CollectorFailure) -> Option<u64> {
        match self.kinds.iter_mut().find(|kind| kind.failure == failure) {
            None => {
                self.kinds.push(Kind { failure, said_ms: now_ms, unsaid: 0 });
                self.said = true;
                Some(1)
            }
            Some(kind) => {
                kind.unsaid = kind.unsaid.saturating_add(1);
                // A clock that was set back must not make it silent for long.
                if now_ms.abs_diff(kind.said_ms) < SAY_AGAIN_MS {
                    return None;
                }
                self.said = true;
                kind.said_ms = now_ms;
                Some(std::mem::take(&mut kind.unsaid))
            }
        }
    }

    /// A call succeeded. Whether that is to be said, because the last that was said is a failure.
    pub fn succeeded(&mut self) -> bool {
        std::mem::take(&mut self.said)
    }
}

/// What the workers share becomes this, if it is for the worker that asks to say a failure; another may have said it.
pub fn share_failure(shared: &str, now_ms: u64, failure: CollectorFailure) -> Option<String> {
    let said =
        |line: &str| line.split_once(' ').and_then(|(word, ms)| Some((word.to_owned(), ms.parse::<u64>().ok()?)));
    let mut lines: Vec<(String, u64)> = shared.lines().filter_map(said).collect();
    match lines.iter_mut().find(|(word, _)| word == failure.as_str()) {
        Some((_, said_ms)) if now_ms.abs_diff(*said_ms) < SAY_AGAIN_MS => return None,
        Some((_, said_ms)) => *said_ms = now_ms,
        None => lines.push((failure.as_str().to_owned(), now_ms)),
    }
    let mut shared = FAILING.to_owned();
    for (word, ms) in lines.iter().take(CollectorFailure::ALL.len()) {
        shared.push_str(&format!("\n{word} {ms}"));
    }
    Some(shared)
}

/// What the workers share becomes this, if it is for the worker that asks to say that all is well again.
pub fn share_success(shared: &str) -> Option<String> {
    let rest = shared.strip_prefix(FAILING)?;
    Some(rest.trim_start_matches('\n').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use CollectorFailure::{Timeout, Unauthorized};

    cases! {
        fn contract_statuses_have_their_kind() {
            let cases = [
                (401, "unauthorized"), (403, "unauthorized"), (404, "not_found"), (405, "not_found"), (400, "refused_events"),
                (422, "refused_events"), (429, "too_many_requests"), (500, "unavailable"), (503, "unavailable"), (504, "timeout"),
                (301, "unexpected_status"), (418, "unexpected_status"), (0, "unexpected_status"), (u64::MAX, "unexpected_status"),
            ];
            for (status, word) in cases {
                assert_eq!(CollectorFailure::of_status(status).as_str(), word, "{status}");
            }
        }

        fn contract_a_failure_is_said_when_it_begins_and_then_once_in_a_while() {
            let mut failures = Failures::default();
            let steps = [
                (0, Some(Unauthorized), Some(1), false),
                (1, Some(Unauthorized), None, false),
                (2, Some(Timeout), Some(1), false),
                (299_999, Some(Unauthorized), None, false),
                (300_000, Some(Unauthorized), Some(3), false),
                (300_001, None, None, true),
                (300_002, None, None, false),
                // It comes again at once: neither it nor its end is said.
                (300_003, Some(Unauthorized), None, false),
                (300_004, None, None, false),
                (600_000, Some(Unauthorized), Some(2), false),
                (600_001, None, None, true),
                // The clock was set back.
                (5, Some(Unauthorized), Some(1), false),
            ];
            for (now_ms, failure, said, well) in steps {
                match failure {
                    Some(failure) => assert_eq!(failures.failed(now_ms, failure), said, "{now_ms}"),
                    None => assert_eq!(failures.succeeded(), well, "{now_ms}"),
                }
            }
        }

        fn contract_of_several_workers_one_says_it() {
            let first = share_failure("", 1000, Unauthorized).unwrap();
            assert_eq!(share_failure(&first, 1001, Unauthorized), None);
            let both = share_failure(&first, 1002, Timeout).unwrap();
            assert_eq!(both, "failing\nunauthorized 1000\ntimeout 1002");
            let well = share_success(&both).unwrap();
            assert_eq!(share_success(&well), None, "it is said once");
            assert_eq!(share_failure(&well, 1003, Unauthorized), None, "it was said a moment ago");
            assert_eq!(share_failure(&well, 301_000, Unauthorized).unwrap(), "failing\nunauthorized 301000\ntimeout 1002");
            assert_eq!(share_success(""), None);
        }

        fn contract_what_is_shared_stays_small_whatever_stands_there() {
            let junk = "x\n".repeat(10_000) + &"y 1\n".repeat(10_000);
            assert!(share_failure(&junk, 0, Timeout).unwrap().lines().count() <= CollectorFailure::ALL.len() + 1);
        }
    }
}
