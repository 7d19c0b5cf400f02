//! What is added to the prices of other entries: the fee of a router that hands a call on to a model with a price of its own.

use jiff::civil::Date;
use wire::usage::Class;

use super::conditions::{Names, same};
use super::entry::Prices;
use crate::money::Price;

/// What is added to the prices of some calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Surcharge {
    pub provider: String,
    pub models: Names,
    pub from: Date,
    /// The last day.
    pub to: Option<Date>,
    pub prices: Prices,
}

impl Surcharge {
    /// Whether another one adds the same to the same calls, in whatever order its names stand.
    pub fn is_same(&self, other: &Surcharge) -> bool {
        let Surcharge { provider, models, from, to, prices } = self;
        let is_alike =
            (provider, from, to) == (&other.provider, &other.from, &other.to) && models.is_same(&other.models);
        is_alike && same(&prices.0, &other.prices.0)
    }

    /// Whether it is for a call of a provider that goes by these names, in lower case.
    pub fn is_for(&self, provider: &str, models: &[(String, usize)], day: Date) -> bool {
        self.provider == provider
            && self.from <= day
            && self.to.is_none_or(|last| day <= last)
            && models.iter().any(|(model, _)| self.models.matches(model))
    }

    /// A price and what is added to it; the price of another class stands in as it does in an entry.
    pub fn add_to(&self, price: Price, class: Class) -> Option<Price> {
        match self.prices.or_stand_in(class) {
            Some((more, _)) => price.plus(more),
            None => Some(price),
        }
    }

    /// In the words of a rating.
    pub fn text(&self) -> String {
        format!(" surcharge={}", self.models.text())
    }
}
