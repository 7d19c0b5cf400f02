//! What a call costs: the book's prices, then the provider's own where it is charged, then discounts and mark-ups.

use wire::usage::{Class, Kind};

use super::adjust::{self, Adjust, On, Whose};
use super::conditions::{Fact, Facts};
use super::entry::{Entry, is_token, per};
use super::find::{Found, Resolved};
use super::policy::Policy;
use super::rating::{By, Line, Rated, Rating};
use super::surcharge::Surcharge;
use super::{PriceBook, RatingInput};
use crate::money::{Charge, Factor, Per, Price};

/// The service tiers that are paid for by time, whatever is used of them.
const PREPAID: [&str; 3] = ["provisioned", "provisioned_throughput", "provisioned-throughput"];

/// The tools whose searches cost what an entry says of searches, unless it tells tools apart.
const USUAL_SEARCHES: [&str; 2] = ["web_search", "web_search_preview"];

/// The factors of a call's amounts.
#[derive(Default)]
struct Factors {
    cost: Vec<Factor>,
    charge: Vec<Factor>,
}

impl PriceBook {
    /// Rates a call. Counts without a price are unpriced, not free.
    pub fn rate(&self, call: &RatingInput<'_>) -> Rating {
        let (facts, resolved) = (call.facts(), self.resolve(call));
        let found = self.find(call, &facts, &resolved);
        let factors = self.factors(call, &resolved, found.as_ref());
        let surcharges = self.surcharges(call, &resolved);
        let entry = found.as_ref().map(|found| {
            let mut text = found.text(&facts, call.usage, call.began.date());
            text.extend(surcharges.iter().map(|surcharge| surcharge.text()));
            text
        });
        let priced = Priced { call, facts: &facts, found: found.as_ref(), surcharges: &surcharges };
        let by = priced.by();
        let lines = priced.counted().map(|(class, quantity)| {
            let price = match by {
                Some(By::NotBilled) => Some((Price::ZERO, true)),
                Some(By::Prepaid) if is_token(class) => Some((Price::ZERO, true)),
                _ => priced.price(class),
            };
            Line { class, quantity, rated: rated(price, class, quantity, &factors) }
        });
        let rating = Rating { entry, lines: lines.collect(), by, own: None, book: None };
        self.settle(call, refuse_what_does_not_fit(rating), &factors)
    }

    /// The provider's own price: charged by the policy, or put beside the book's.
    fn settle(&self, call: &RatingInput<'_>, mut rating: Rating, factors: &Factors) -> Rating {
        let policy = self.policies.of(call.provider);
        let Some(own) = call.provider_cost_nano_usd.and_then(price_of_call) else { return rating };
        if policy == Policy::Ignore || rating.by == Some(By::NotBilled) {
            return rating;
        }
        // A part says so of the price of the whole call, which is charged only where it is preferred.
        if own == Price::ZERO && policy != Policy::Prefer {
            return rating;
        }
        let has_book = rating.entry.is_some() && !rating.is_unpriced();
        if policy == Policy::Prefer || !has_book || rating.lines.is_empty() {
            let without_discount = Factors { cost: Vec::new(), charge: factors.charge.clone() };
            let rated = rated(Some((own, true)), Class::Requests, 1, &without_discount);
            if rated == Rated::Unpriced {
                return rating;
            }
            rating.book = has_book.then(|| rating.cost());
            rating.by = Some(By::Own);
            let nothing = Rated::Priced { price: Price::ZERO, charge: Charge::default(), cost: Charge::default() };
            rating.lines.retain(|line| line.class != Class::Requests);
            rating.lines.iter_mut().for_each(|line| line.rated = nothing);
            rating.lines.push(Line { class: Class::Requests, quantity: 1, rated });
        }
        rating.own = own.of(1, Per::ThousandUnits);
        rating
    }

    /// What is added to the prices of a call: the first book that has something decides.
    pub(super) fn surcharges(&self, call: &RatingInput<'_>, resolved: &Resolved) -> Vec<&Surcharge> {
        let day = call.began.date();
        let of = |surcharges: &&Vec<Surcharge>| {
            surcharges.iter().any(|surcharge| surcharge.is_for(call.provider, &resolved.names, day))
        };
        let first = self.layers.iter().map(|layer| &layer.surcharges).find(of);
        let all = first.into_iter().flatten();
        all.filter(|surcharge| surcharge.is_for(call.provider, &resolved.names, day)).collect()
    }

    /// The discounts and mark-ups of a call.
    pub(super) fn adjusts_of(
        &self,
        call: &RatingInput<'_>,
        resolved: &Resolved,
        found: Option<&Found<'_>>,
    ) -> Vec<&Adjust> {
        if self.adjusts.is_empty() {
            return Vec::new();
        }
        let models = Found::discounted(found, resolved);
        let RatingInput { tenant, provider, .. } = *call;
        let whose = Whose { tenant, provider, models: &models, day: call.began.date() };
        self.adjusts.iter().filter(|adjust| adjust.matches(&whose)).collect()
    }

    fn factors(&self, call: &RatingInput<'_>, resolved: &Resolved, found: Option<&Found<'_>>) -> Factors {
        let mut factors = Factors::default();
        for adjust in self.adjusts_of(call, resolved, found) {
            match adjust.on {
                On::Cost => factors.cost.push(adjust.factor),
                On::Charge => factors.charge.push(adjust.factor),
            }
        }
        factors
    }
}

/// What a provider's own price is for a thousand such calls; `None` for what no call costs, which nobody should believe.
fn price_of_call(nano_usd: u64) -> Option<Price> {
    // A thousand times nano-USD, in pico-USD.
    nano_usd.checked_mul(1_000_000).and_then(Price::from_pico_usd)
}

fn rated(price: Option<(Price, bool)>, class: Class, quantity: u64, factors: &Factors) -> Rated {
    let Some((price, is_own)) = price else { return Rated::Unpriced };
    let amounts = price.of(quantity, per(class)).and_then(|list| adjust::apply(list, &factors.cost, &factors.charge));
    match amounts {
        // More than an amount can be: nobody knows what that costs.
        None => Rated::Unpriced,
        Some((cost, charge)) if is_own => Rated::Priced { price, charge, cost },
        Some((cost, charge)) => Rated::Fallback { price, charge, cost },
    }
}

/// Amounts whose sum is more than an amount can be are unknown, all of them.
fn refuse_what_does_not_fit(mut rating: Rating) -> Rating {
    if rating.checked_sum(Rated::charge).is_none() || rating.checked_sum(Rated::cost).is_none() {
        rating.lines.iter_mut().for_each(|line| line.rated = Rated::Unpriced);
    }
    rating
}

/// A call with the entries that hold for it.
pub(super) struct Priced<'p> {
    pub call: &'p RatingInput<'p>,
    pub facts: &'p Facts,
    pub found: Option<&'p Found<'p>>,
    pub surcharges: &'p [&'p Surcharge],
}

impl<'p> Priced<'p> {
    /// Why nothing is charged for it, although something was counted.
    fn by(&self) -> Option<By> {
        if self.call.is_not_billed {
            return Some(By::NotBilled);
        }
        if self.found.is_none() && self.call.is_provisioned() {
            return Some(By::Prepaid);
        }
        let is_prepaid = self.facts.get(Fact::ServiceTier).is_some_and(|tier| PREPAID.contains(&tier));
        let is_named =
            self.found.and_then(Found::entry).is_some_and(|entry| Found::names(entry, Fact::ServiceTier, self.facts));
        (is_prepaid && !is_named).then_some(By::Prepaid)
    }

    /// What is counted and paid for. The fee of the request is the call's, not a count of the event.
    fn counted(&self) -> impl Iterator<Item = (Class, u64)> + use<'p> {
        let has_fee = self.call.has_response && self.own(Class::Requests).is_some();
        let is_charged = |(class, count): &(Class, u64)| {
            class.kind() != Kind::Information && *class != Class::Requests && *count > 0
        };
        self.call.usage.iter().filter(is_charged).chain(has_fee.then_some((Class::Requests, 1)))
    }

    /// The price of a class itself: that of the entry that describes the call most closely and has one.
    fn own(&self, class: Class) -> Option<(&'p Entry, Price)> {
        let entries = self.found.map(|found| found.entries.as_slice()).unwrap_or_default();
        entries.iter().find_map(|entry| Some((*entry, entry.own(class, entry.context(self.call.usage))?)))
    }

    /// The price of another class that stands in for it.
    fn stand_in(&self, class: Class) -> Option<(&'p Entry, Price, Class)> {
        let entries = self.found.map(|found| found.entries.as_slice()).unwrap_or_default();
        entries.iter().find_map(|entry| {
            let (price, by) = entry.price(class, entry.context(self.call.usage))?;
            Some((*entry, price, by))
        })
    }

    /// What a class costs after rates, factors and surcharges, and whether that is its own price.
    pub fn price(&self, class: Class) -> Option<(Price, bool)> {
        let own = self.own(class).map(|(entry, price)| (entry, price, class));
        let (entry, price, by) = own.or_else(|| self.stand_in(class))?;
        let price = match &entry.currency {
            Some(currency) => price.converted(currency.rate(self.call.began.date())?)?,
            None => price,
        };
        let factors = entry.factors.iter().filter(|factor| factor.is_for(by) && factor.conditions.hold(self.facts));
        let price = price.times(factors.map(|factor| factor.factor))?;
        let price = self.surcharges.iter().try_fold(price, |price, surcharge| surcharge.add_to(price, class))?;
        // Without a count of the input nobody knows which context's prices hold.
        let is_unsure = self.call.usage.input_total().is_none() && entry.is_by_context(class);
        let is_named = |fact: &Fact| self.facts.get(*fact).is_none() || Found::names(entry, *fact, self.facts);
        // A search by a tool that has a price of its own, and not here.
        let is_other = class == Class::WebSearches
            && self.facts.get(Fact::SearchTool).is_some_and(|tool| !USUAL_SEARCHES.contains(&tool))
            && !Found::names(entry, Fact::SearchTool, self.facts);
        let is_unsure = is_unsure || is_other || is_token(class) && self.call.is_tier_unsure();
        let is_own = by == class && !is_unsure && Fact::ALL.iter().filter(|fact| fact.is_strict()).all(is_named);
        Some((price, is_own))
    }
}
