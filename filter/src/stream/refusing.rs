//! Calls that the plugin responds to itself, and what it learns of those that the provider refuses.

use meter::call::Call;
use proxy_wasm::types::Action;
use wire::record::{BUDGET, Evidence, Record, USAGE_NOT_ASKED};

use super::{Metered, Stream, known};
use crate::budgets;
use crate::include::Include;
use crate::refusals::{self, At};
use crate::refuse;
use crate::vm;

/// Why the plugin responded to a call itself.
pub(super) enum Refused {
    /// It would not say its usage.
    Unasked,
    /// A budget has no room; its name.
    Budget(String),
}

impl Refused {
    /// What the record says of it.
    pub(super) fn into_text(self) -> String {
        match self {
            Refused::Unasked => USAGE_NOT_ASKED.to_owned(),
            Refused::Budget(name) => [BUDGET, &name].concat(),
        }
    }
}

/// A call that asks for its usage: where, and for what.
pub(super) struct Asked(At);

impl Asked {
    pub(super) fn of(include: Option<&Include>, call: &Call) -> Option<Asked> {
        include.filter(|include| include.is_asked())?;
        Some(Asked(At::of(call)))
    }

    /// Learns that the provider takes the question, if it has given the counts of a stream.
    pub(super) fn hear(self, record: &Record) {
        let is_good = record.status.is_some_and(|status| status < 400);
        if record.stream && is_good && record.evidence == Evidence::Reported {
            let cluster = record.cluster.as_deref().unwrap_or_default();
            vm::with(|vm| refusals::taken(&mut vm.taken, cluster, &self.0));
        }
    }
}

impl Stream {
    /// Whether the call is refused. `is_over`: the request has come whole. `is_end`: and Envoy has said so.
    pub(super) fn refuses(&mut self, is_over: bool, is_end: bool) -> Action {
        if self.refuses_unasked() || self.refuses_by_budget(is_over, is_end) { Action::Pause } else { Action::Continue }
    }

    /// Refuses a call for which a budget has no room, as soon as what it can cost is known and before the provider has it whole.
    fn refuses_by_budget(&mut self, is_over: bool, is_end: bool) -> bool {
        let config = self.config.as_deref().filter(|config| config.budgets.is_some());
        let (Some(config), Some(metered)) = (config, self.metered.as_deref_mut()) else { return false };
        let Metered { call, identity, refused, refusal, ticket, .. } = metered;
        // Behind the head of a response there is no other.
        if call.has_response() {
            *refusal = None;
            return refused.is_some();
        }
        if ticket.is_none() && (is_over || call.is_request_whole()) && budgets::may_refuse(call) {
            let admission = budgets::admit(call, &identity.tenant, config);
            *ticket = Some(admission.ticket);
            *refusal = admission.refusal;
        }
        // Of a request whose end was not seen Envoy closes the connection, and the client would come again to another worker, which
        // has no lease yet. Where all bytes are here, the end follows at once.
        if let Some(due) = refusal.take_if(|_| is_end || !is_over)
            && known(refuse::by_budget(call.api(), &due).map(Some)).is_some()
        {
            *refused = Some(Refused::Budget(due.name().to_owned()));
        }
        refused.is_some() || refusal.is_some()
    }

    /// Refuses a call that will not say its usage, if the configuration wants that; true if it did.
    fn refuses_unasked(&mut self) -> bool {
        let wanted = self.config.as_ref().is_some_and(|config| config.refuses_unasked);
        let Some(metered) = self.metered.as_deref_mut().filter(|_| wanted) else { return false };
        let Metered { call, include, refused, .. } = metered;
        let objection = include.as_ref().and_then(|include| include.objection(call));
        // Behind the head of a response there is no other.
        if let (Some(reason), None, false) = (objection, &refused, call.has_response())
            && known(refuse::unasked(reason).map(Some)).is_some()
        {
            *refused = Some(Refused::Unasked);
        }
        refused.is_some()
    }

    /// Learns that the provider does not take the question, before the client has seen all of the error.
    pub(super) fn hear_refusal(&mut self) {
        let Some(metered) = &mut self.metered else { return };
        if !metered.unasked && metered.call.is_asking_refused() {
            metered.unasked = true;
            let is_news = refusals::refused(&metered.call);
            vm::with(|vm| vm.count_asking_refused(is_news));
        }
    }
}
