//! Refusals of the question for usage, known to all workers.

use meter::call::Call;
use meter::provider::Destination;
use meter::rewrite::refusals::{Name, is_refused, learn};
use wire::record::NotAsked;

use crate::destination::EnvoyDestination;
use crate::host;
use crate::shared::{Change, Shared};
use crate::vm;

/// What they know. Those that learn something at the same time are few.
pub const KNOWN: Shared = Shared::new("meshmeter: asking refused", 8);

/// Why a call that streams is not to be asked for its usage, by all that is known of it now.
pub fn bar(call: &Call) -> Option<NotAsked> {
    if let Some(reason) = call.bar() {
        return Some(reason);
    }
    // Nearly always there is none, and nothing more is asked for.
    let known = KNOWN.get().filter(|known| !known.is_empty())?;
    is_refused(&known, &name(call), now_s()).then_some(NotAsked::RefusedBefore)
}

/// A provider has refused the question in a call; whether that was news.
pub fn refused(call: &Call) -> bool {
    let (name, now_s) = (name(call), now_s());
    let learned = KNOWN.change(|known| match learn(known, &name, now_s) {
        None => Change::Keep(false),
        Some(known) => Change::Set(known, true),
    });
    learned.unwrap_or(false)
}

fn name(call: &Call) -> Name {
    let to = EnvoyDestination::default();
    Name::new(to.cluster().unwrap_or_default(), call.claimed_host(), call.model_asked().unwrap_or_default())
}

fn now_s() -> u64 {
    vm::millis(host::now_ns()) / 1000
}
