//! Budgets: whether a call may pass, what it has reserved, and the exchange of leases with the collector.

use std::cell::RefCell;

use delivery::lease::{Admission, Spending, Ticket};
use meter::call::Call;
use meter::config::Config;
use meter::provider::Destination;

use crate::destination::EnvoyDestination;
use crate::host;
use crate::vm::{self, Vm};

thread_local! {
    /// What is to be released when the VM's state is free.
    static UNRELEASED: RefCell<Vec<Ticket>> = const { RefCell::new(Vec::new()) };
}

/// How much of a request's body has come.
#[derive(Debug)]
pub struct Arriving {
    /// How long it is to be, if that was said.
    length: Option<u64>,
    seen: u64,
}

impl Arriving {
    /// A request with this `content-length`.
    pub fn new(length: Option<&[u8]>) -> Arriving {
        let length = length.and_then(|length| std::str::from_utf8(length).ok()?.trim().parse().ok());
        Arriving { length, seen: 0 }
    }

    /// More of it has come. Whether that is all: Envoy says so in a callback of its own, when the provider has it already.
    pub fn add(&mut self, size: usize) -> bool {
        self.seen = self.seen.saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
        self.length.is_some_and(|length| self.seen >= length)
    }
}

/// Whether it is known already that the current call is one: by its request, or because providers respond where it goes.
pub fn may_refuse(call: &Call) -> bool {
    call.is_sure() || {
        let to = EnvoyDestination::default();
        let has_responded = |cluster| vm::with(|vm| vm.responders.of(cluster).is_some()).unwrap_or(false);
        call.is_likely(&to, to.cluster().is_some_and(has_responded))
    }
}

/// Whether the current call may pass. What it can cost is reserved then.
pub fn admit(call: &Call, tenant: &str, config: &Config) -> Admission {
    let now_ms = vm::millis(host::now_ns());
    // To find out who will respond costs hostcalls.
    let asks = vm::with(|vm| vm.leases.asks_for_provider()).unwrap_or(false);
    let provider = asks.then(|| {
        let to = EnvoyDestination::default();
        let before =
            to.cluster().and_then(|cluster| vm::with(|vm| vm.responders.of(cluster).map(str::to_owned)).flatten());
        call.likely_provider(&to, &config.detect, before)
    });
    let spending = Spending {
        tenant,
        provider: provider.as_deref().unwrap_or_default(),
        model: call.request_model(),
        started_s: vm::millis(call.started_ns()) / 1000,
    };
    vm::with(|vm| vm.admit(now_ms, &spending, &call.bound())).unwrap_or_default()
}

/// Releases what a call has reserved that has no event.
pub fn release(ticket: Ticket) {
    if ticket.is_empty() {
        return;
    }
    let mut ticket = Some(ticket);
    vm::with(|vm| ticket.take().map(|ticket| vm.leases.release(ticket)));
    if let Some(ticket) = ticket {
        UNRELEASED.with_borrow_mut(|unreleased| unreleased.push(ticket));
    }
}

impl Vm {
    /// Releases what could not be released when it was to be.
    pub fn release_rest(&mut self) {
        for ticket in UNRELEASED.take() {
            self.leases.release(ticket);
        }
    }
}
