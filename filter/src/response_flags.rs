//! How a stream ended, by Envoy's response flags.

use meter::call::Cut;

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

/// What cut the stream short, if anything did. What the client did is asked first: its leaving also resets the upstream.
pub fn cut(response_flags: u64) -> Option<Cut> {
    let any = |flags: u64| response_flags & flags != 0;
    if any(CLIENT) {
        Some(Cut::Client)
    } else if any(TIMEOUT) {
        Some(Cut::Timeout)
    } else if any(RESET) {
        Some(Cut::Upstream)
    } else if any(NOT_SENT) {
        Some(Cut::NotSent)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_each_flag_says_what_cut_the_stream_and_the_client_is_asked_first() {
        // By Envoy's own numbers of `CoreResponseFlag`, beside the letters.
        let (client, timeout, upstream, not_sent) = (Cut::Client, Cut::Timeout, Cut::Upstream, Cut::NotSent);
        for (letters, bit, expected) in [
            ("LH", 0, None),
            ("UH", 1, Some(not_sent)),
            ("UT", 2, Some(timeout)),
            ("LR", 3, None),
            ("UR", 4, Some(upstream)),
            ("UF", 5, Some(not_sent)),
            ("UC", 6, Some(upstream)),
            ("UO", 7, Some(not_sent)),
            ("NR", 8, Some(not_sent)),
            ("DI", 9, None),
            ("FI", 10, Some(not_sent)),
            ("RL", 11, Some(not_sent)),
            ("UAEX", 12, Some(not_sent)),
            ("RLSE", 13, Some(not_sent)),
            ("DC", 14, Some(client)),
            ("URX", 15, None),
            ("SI", 16, Some(timeout)),
            ("IH", 17, None),
            ("DPE", 18, Some(client)),
            ("UMSDR", 19, Some(timeout)),
            ("RFCF", 20, None),
            ("NFCF", 21, None),
            ("DT", 22, Some(timeout)),
            ("UPE", 23, Some(upstream)),
            ("NC", 24, Some(not_sent)),
            ("OM", 25, Some(not_sent)),
            ("DF", 26, Some(not_sent)),
            ("DO", 27, None),
            ("DR", 28, Some(client)),
        ] {
            assert_eq!(cut(1 << bit), expected, "{letters}");
            assert_eq!(cut(1 << bit | DOWNSTREAM_CONNECTION_TERMINATION), Some(client), "{letters}");
        }
        assert_eq!(
            (cut(0), cut(UPSTREAM_REMOTE_RESET | NO_ROUTE), cut(u64::MAX)),
            (None, Some(upstream), Some(client))
        );
        assert_eq!(cut(UPSTREAM_REMOTE_RESET | STREAM_IDLE_TIMEOUT), Some(timeout));
    }
}
