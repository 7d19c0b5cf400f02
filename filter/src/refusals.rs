//! Refusals of the question for usage, known to all workers, and who has taken it.

use std::hash::{BuildHasher, RandomState};

use meter::call::Call;
use meter::provider::Destination;
use meter::rewrite::refusals::{Name, forget, is_refused, is_taken, learn, take};
use wire::record::NotAsked;

use crate::destination::EnvoyDestination;
use crate::host;
use crate::shared::{Change, Shared};
use crate::vm;

/// What they know. Those that learn something at the same time are few.
pub const KNOWN: Shared = Shared::new("meshmeter: asking refused", 8);
/// Who takes the question.
pub const TAKEN: Shared = Shared::new("meshmeter: asking taken", 8);

/// So long a worker relies on having told the others, s.
const TOLD_S: u64 = 60;
/// Of so many it knows that.
const MAX_TOLD: usize = 64;

/// What a call asked for, beside its cluster.
#[derive(Debug, Hash)]
pub struct At {
    host: Box<[u8]>,
    model: String,
    kind: &'static str,
}

impl At {
    pub fn of(call: &Call) -> At {
        let model = call.model_asked().unwrap_or_default().to_owned();
        At { host: call.claimed_host().into(), model, kind: call.kind_asked() }
    }

    fn name(&self, cluster: &str) -> Name {
        Name::new(cluster, &self.host, &self.model, self.kind)
    }
}

/// Where the question was taken, as this worker has told the others not long ago.
#[derive(Debug, Default)]
pub struct Told {
    /// Digests of cluster, host, model and kind of request, and until when; the last told is the last.
    known: Vec<(u64, u64)>,
    random: RandomState,
}

impl Told {
    /// Whether the others are to be told.
    fn is_due(&mut self, cluster: &str, at: &At, now_s: u64) -> bool {
        let digest = self.random.hash_one((cluster, at));
        let is_fresh = |until_s: u64| until_s.checked_sub(now_s).is_some_and(|left| (1..=TOLD_S).contains(&left));
        if self.known.iter().any(|(known, until_s)| *known == digest && is_fresh(*until_s)) {
            return false;
        }
        self.known.retain(|(known, until_s)| *known != digest && is_fresh(*until_s));
        if self.known.len() >= MAX_TOLD {
            self.known.remove(0);
        }
        self.known.push((digest, now_s.saturating_add(TOLD_S)));
        true
    }
}

/// Why a call that streams is not to be asked for its usage, by all that is known of it now.
pub fn bar(call: &Call) -> Option<NotAsked> {
    if let Some(reason) = call.bar() {
        return Some(reason);
    }
    // Nearly always there is none, and nothing more is asked for.
    let known = KNOWN.get().filter(|known| !known.is_empty())?;
    is_refused(&known, &name(call), now_s()).then_some(NotAsked::RefusedBefore)
}

/// A provider has refused the question in a call; whether that was news. Where it has taken it before, it is none: an error can
/// be provoked, and a count cannot.
pub fn refused(call: &Call) -> bool {
    let (name, now_s) = (name(call), now_s());
    if TAKEN.get().is_some_and(|taken| is_taken(&taken, &name, now_s)) {
        return false;
    }
    let learned = KNOWN.change(|known| match learn(known, &name, now_s) {
        None => Change::Keep(false),
        Some(known) => Change::Set(known, true),
    });
    learned.unwrap_or(false)
}

/// A provider has counted a call that asked for it, whoever wrote the question: it takes it for that model, and what was thought
/// to be a refusal was none.
pub fn taken(told: &mut Told, cluster: &str, at: &At) {
    let now_s = now_s();
    if !told.is_due(cluster, at, now_s) {
        return;
    }
    let name = at.name(cluster);
    let set = |text: Option<String>| text.map_or(Change::Keep(()), |text| Change::Set(text, ()));
    // If it does not come about, the next call tells it.
    let _ = TAKEN.change(|taken| set(take(taken, &name, now_s)));
    let _ = KNOWN.change(|known| set(forget(known, &name)));
}

fn name(call: &Call) -> Name {
    At::of(call).name(EnvoyDestination::default().cluster().unwrap_or_default())
}

fn now_s() -> u64 {
    vm::millis(host::now_ns()) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_the_others_are_told_once_a_minute_and_of_each_model() {
        let mut told = Told::default();
        let at = |host: &str, model: &str, kind| At { host: host.as_bytes().into(), model: model.to_owned(), kind };
        let mut is_due = |cluster: &str, host, model, now_s| told.is_due(cluster, &at(host, model, "chat"), now_s);
        assert!(is_due("c", "h", "m", 10) && is_due("c", "h", "n", 10) && is_due("d", "h", "m", 10));
        assert!(!is_due("c", "h", "m", 69));
        assert!(is_due("c", "h", "m", 70));
        assert!(is_due("c", "h", "m", 0), "the clock was set back");
        for number in 0..1000 {
            told.is_due("c", &at("h", &number.to_string(), "chat"), 10);
        }
        assert!(
            told.is_due("c", &at("h", "999", "chat with tools"), 10) && !told.is_due("c", &at("h", "999", "chat"), 10)
        );
        assert_eq!(told.known.len(), MAX_TOLD);
    }
}
