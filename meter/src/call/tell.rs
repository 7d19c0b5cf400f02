//! What a call on its way says of itself, before there is a record.

use std::borrow::Cow;

use super::Call;
use crate::provider::{Destination, Detect};
use crate::signals::Known;

impl Call {
    /// Tells what the request has said and, if it is over, the response.
    pub fn tell<'a>(&'a self, known: &mut Known<'a>, has_responded: bool) {
        known.operation = self.target.operation;
        known.request_model = self.model_asked();
        let Some(response) = self.response.as_ref().filter(|response| has_responded && !response.own) else { return };
        let facts = &response.facts;
        known.response_model = facts.model.as_deref();
        known.response_id = facts.id.as_deref();
        known.service_tier = facts.service_tier.as_deref();
        known.error_type = facts.error_type.as_deref();
        known.finish_reasons = facts.finish_reasons.as_deref();
        known.usage = self.usage().map(Cow::Owned);
    }

    /// The provider, as far as can be told before the stream is over: only by what no client can bend.
    pub fn provider_so_far(&self, to: &dyn Destination, rules: &Detect) -> Option<Cow<'_, str>> {
        self.target.provider_so_far(to, rules)
    }
}
