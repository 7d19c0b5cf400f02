//! What a provider says a call cost.

use crate::scan::{Scalar, scaled};

/// An amount of money, by its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// US dollars, a decimal.
    Dollars,
    /// xAI's ticks: 10^10 to the dollar.
    Ticks,
    /// GitHub's billionths of an AI credit: a credit is a cent.
    NanoCredits,
    /// US dollars that another account is charged: a key of the caller's own.
    Upstream,
    /// US dollars that a gateway takes; zero where the caller's own key pays, of which it says nothing.
    Gateway,
}

pub(super) const COSTS: &[(&str, Cost)] = &[
    ("usage.cost", Cost::Dollars),
    ("response.usage.cost", Cost::Dollars),
    ("usage.cost.total_cost", Cost::Dollars),
    ("response.usage.cost.total_cost", Cost::Dollars),
    // Vercel, where the usage does not say it.
    ("choices[].message.provider_metadata.gateway.cost", Cost::Gateway),
    ("choices[].delta.provider_metadata.gateway.cost", Cost::Gateway),
    // DeepInfra.
    ("usage.estimated_cost", Cost::Dollars),
    ("copilot_usage.total_nano_aiu", Cost::NanoCredits),
    ("usage.cost_in_usd_ticks", Cost::Ticks),
    ("response.usage.cost_in_usd_ticks", Cost::Ticks),
    ("usage.cost_details.upstream_inference_cost", Cost::Upstream),
    ("response.usage.cost_details.upstream_inference_cost", Cost::Upstream),
];

/// Amounts in nano-USD, as far as they were stated.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Costs {
    stated: Option<u64>,
    upstream: Option<u64>,
    /// The call was made on the caller's own key.
    pub has_own_key: bool,
}

impl Costs {
    /// Takes an amount; a later zero takes nothing back.
    pub(super) fn take(&mut self, cost: Cost, value: Scalar<'_>) {
        let digits = match value {
            Scalar::Number(digits) => digits,
            Scalar::Text(text) => text.as_bytes(),
            _ => return,
        };
        let shift = match cost {
            Cost::Dollars | Cost::Upstream | Cost::Gateway => 9,
            Cost::Ticks => -1,
            Cost::NanoCredits => -2,
        };
        match (cost, scaled(digits, shift)) {
            (_, None) | (Cost::Upstream | Cost::Gateway, Some(0)) => {}
            (Cost::Upstream, amount) => self.upstream = amount,
            (_, Some(0)) => self.stated = self.stated.or(Some(0)),
            (_, amount) => self.stated = amount,
        }
    }

    /// All of it: with what it cost on the caller's own key. Nothing is a price, too; but on the caller's own key it is the fee
    /// alone, and what the call cost is not said.
    pub(super) fn total(&self) -> Option<u64> {
        let is_paid = self.stated > Some(0);
        match self.upstream.filter(|_| self.has_own_key || !is_paid) {
            Some(upstream) => Some(self.stated.unwrap_or(0).saturating_add(upstream)),
            None => self.stated.filter(|_| is_paid || !self.has_own_key),
        }
    }
}
