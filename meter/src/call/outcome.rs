//! How a call ended.

use wire::record::Outcome;

/// What cut a stream short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The client went away, or broke the protocol.
    Client,
    /// The proxy gave up waiting.
    Timeout,
    /// The provider's side broke off.
    Upstream,
    /// Nothing reached the provider: the response, if there is one, is the proxy's.
    NotSent,
}

/// How a call ended whose stream was cut, or was not, and whose response has this status.
pub(super) fn outcome(cut: Option<Cut>, status: Option<u64>) -> Outcome {
    match (cut, status) {
        (Some(Cut::Client), _) => Outcome::ClientAborted,
        (Some(Cut::Timeout), _) => Outcome::Timeout,
        (Some(Cut::Upstream), _) => Outcome::UpstreamReset,
        (Some(Cut::NotSent), _) => Outcome::NotSent,
        (None, Some(400..)) => Outcome::ErrorStatus,
        (None, Some(_)) => Outcome::Completed,
        // No response and no word why: the client was gone before anything came.
        (None, None) => Outcome::ClientAborted,
    }
}
