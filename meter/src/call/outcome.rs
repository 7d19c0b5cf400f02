//! How a stream ended, read off Envoy's response flags.

use wire::record::Outcome;

// Envoy's `StreamInfo::CoreResponseFlag`, a bit each; the letters are those of the access log's `%RESPONSE_FLAGS%`.
const NO_HEALTHY_UPSTREAM: u64 = 1 << 1; // UH
const UPSTREAM_REQUEST_TIMEOUT: u64 = 1 << 2; // UT
const UPSTREAM_REMOTE_RESET: u64 = 1 << 4; // UR
const UPSTREAM_CONNECTION_FAILURE: u64 = 1 << 5; // UF
const UPSTREAM_CONNECTION_TERMINATION: u64 = 1 << 6; // UC
const UPSTREAM_OVERFLOW: u64 = 1 << 7; // UO
const NO_ROUTE: u64 = 1 << 8; // NR
const FAULT_INJECTED: u64 = 1 << 10; // FI
const RATE_LIMITED: u64 = 1 << 11; // RL
const UNAUTHORIZED: u64 = 1 << 12; // UAEX
const RATE_LIMIT_SERVICE_ERROR: u64 = 1 << 13; // RLSE
const DOWNSTREAM_CONNECTION_TERMINATION: u64 = 1 << 14; // DC
const STREAM_IDLE_TIMEOUT: u64 = 1 << 16; // SI
const DOWNSTREAM_PROTOCOL_ERROR: u64 = 1 << 18; // DPE
const UPSTREAM_MAX_STREAM_DURATION: u64 = 1 << 19; // UMSDR
const DURATION_TIMEOUT: u64 = 1 << 22; // DT
const UPSTREAM_PROTOCOL_ERROR: u64 = 1 << 23; // UPE
const NO_CLUSTER: u64 = 1 << 24; // NC
const OVERLOAD: u64 = 1 << 25; // OM
const DNS_FAILURE: u64 = 1 << 26; // DF
const DOWNSTREAM_REMOTE_RESET: u64 = 1 << 28; // DR

/// Envoy itself responded; nothing reached the provider.
const NOT_SENT: u64 = NO_HEALTHY_UPSTREAM
    | UPSTREAM_CONNECTION_FAILURE
    | UPSTREAM_OVERFLOW
    | NO_ROUTE
    | FAULT_INJECTED
    | RATE_LIMITED
    | UNAUTHORIZED
    | RATE_LIMIT_SERVICE_ERROR
    | NO_CLUSTER
    | OVERLOAD
    | DNS_FAILURE;
const CLIENT: u64 = DOWNSTREAM_CONNECTION_TERMINATION | DOWNSTREAM_PROTOCOL_ERROR | DOWNSTREAM_REMOTE_RESET;
const TIMEOUT: u64 = UPSTREAM_REQUEST_TIMEOUT | STREAM_IDLE_TIMEOUT | UPSTREAM_MAX_STREAM_DURATION | DURATION_TIMEOUT;
const RESET: u64 = UPSTREAM_REMOTE_RESET | UPSTREAM_CONNECTION_TERMINATION | UPSTREAM_PROTOCOL_ERROR;

/// How the stream ended. What the client did is asked first: its leaving also resets the upstream.
pub fn outcome(response_flags: u64, status: Option<u64>) -> Outcome {
    let any = |flags: u64| response_flags & flags != 0;
    if any(CLIENT) {
        Outcome::ClientAborted
    } else if any(TIMEOUT) {
        Outcome::Timeout
    } else if any(RESET) {
        Outcome::UpstreamReset
    } else if any(NOT_SENT) {
        Outcome::NotSent
    } else {
        match status {
            Some(400..) => Outcome::ErrorStatus,
            Some(_) => Outcome::Completed,
            // No response and no word why: the client was gone before anything came.
            None => Outcome::ClientAborted,
        }
    }
}
