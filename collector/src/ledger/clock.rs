//! Whose clock is wrong when an event comes from the future: its meter's, or the collector's own.

use super::Delivery;
use crate::store::StoreError;

/// How far in the future a call may have begun: clocks of hosts differ.
const MAX_FUTURE_NS: i64 = 3_600_000_000_000;
/// How far a clock may be set back before it is not trusted, ns: 5 minutes.
const TOLERANCE_NS: i64 = 300_000_000_000;
/// No collector of this version can run before: 2026-01-01, ns.
const RELEASED_NS: i64 = 1_767_225_600_000_000_000;

/// Whether an event is of the future.
pub fn is_future(started_ns: i64, now_ns: i64) -> bool {
    started_ns > now_ns.saturating_add(MAX_FUTURE_NS)
}

/// Why nothing can be taken now: an event is of the future, and the collector's own clock is known to be behind. It would be
/// quarantined although nothing is wrong with it. Without such an event a clock that is behind does no harm, and whoever once
/// wrote under a clock that was ahead goes on.
pub fn behind(deliveries: &[&Delivery], written_ns: i64, now_ns: i64) -> Option<StoreError> {
    let cause = match () {
        () if now_ns < RELEASED_NS => "the release of this version",
        () if now_ns < written_ns.saturating_sub(TOLERANCE_NS) => "what it has written before",
        () => return None,
    };
    let mut events =
        deliveries.iter().flat_map(|delivery| &delivery.arrivals).filter_map(|arrival| arrival.decoded.as_ref().ok());
    let ahead = |started_ns: u64| is_future(i64::try_from(started_ns).unwrap_or(i64::MAX), now_ns);
    events.any(|event| ahead(event.record.started_ns)).then_some(StoreError::Clock(cause))
}
