//! The most that a call can cost: by every entry that may hold for it, whatever its conditions say, with all factors that make it
//! dearer.

use jiff::civil::Date;
use wire::lease::{Ceiling, MAX_AMOUNT, Unit};
use wire::usage::{Class, Kind, Usage};

use super::adjust::{self, On};
use super::entry::{Entry, per};
use super::{PriceBook, RatingInput};
use crate::budget::Amount;
use crate::money::{Charge, Factor, Price};

impl PriceBook {
    /// The most that a token of the input, one of the output, and the call itself cost a tenant on a day or the next one,
    /// nano-USD, rounded up; `None` if no book has an entry for the model. What is charged by what a provider states of its own
    /// price, and what is paid by the unit (searches, images, seconds), has no ceiling.
    pub fn ceiling(&self, tenant: &str, provider: &str, model: &str, day: Date) -> Option<Ceiling> {
        let usage = Usage::default();
        let days = [Some(day), day.tomorrow().ok()];
        let of_days = days.into_iter().flatten().filter_map(|day| {
            let call = RatingInput::new(provider, model, day.at(0, 0, 0, 0), &usage);
            self.ceiling_of(&RatingInput { tenant, request_model: Some(model), ..call })
        });
        of_days.reduce(|one, other| Ceiling {
            input: one.input.max(other.input),
            output: one.output.max(other.output),
            call: one.call.max(other.call),
        })
    }

    fn ceiling_of(&self, call: &RatingInput<'_>) -> Option<Ceiling> {
        let resolved = self.resolve(call);
        let all = self.may_hold(call, &resolved);
        let surcharges = self.surcharges(call, &resolved);
        let mut most = None;
        for found in &all {
            let Some(entry) = found.entry() else { continue };
            let (mut cost, mut charge) = (Vec::new(), Vec::new());
            for adjust in self.adjusts_of(call, &resolved, Some(found)) {
                let factors = if adjust.on == On::Cost { &mut cost } else { &mut charge };
                factors.push(adjust.factor);
            }
            let dearest = |class: Class| {
                let prices = prices(entry, class, call.began.date());
                let with = |price: Price| {
                    let all = surcharges.iter().try_fold(price, |price, surcharge| surcharge.add_to(price, class))?;
                    let (_, charge) = adjust::apply(all.of(1, per(class))?, &cost, &charge)?;
                    Some(charge)
                };
                prices.into_iter().filter_map(with).max()
            };
            let of_kind = |kind: Kind| {
                let classes = Class::ALL.iter().copied().filter(|class| class.kind() == kind);
                nano_usd(classes.filter_map(dearest).max())
            };
            // Only a fee that stands in the book itself is charged.
            let fee = entry.own(Class::Requests, None).and_then(|_| dearest(Class::Requests));
            let own = Ceiling { input: of_kind(Kind::Input), output: of_kind(Kind::Output), call: nano_usd(fee) };
            let before: Ceiling = most.unwrap_or_default();
            most = Some(Ceiling {
                input: before.input.max(own.input),
                output: before.output.max(own.output),
                call: before.call.max(own.call),
            });
        }
        most
    }
}

/// The prices of a class in an entry, of any size of input, each with the factors that can make it dearer.
fn prices(entry: &Entry, class: Class, day: Date) -> Vec<Price> {
    let contexts = std::iter::once(None).chain(entry.contexts.iter().map(Some));
    let dear = |factor: Factor| 10_u64.checked_pow(factor.decimals()).is_some_and(|one| factor.mantissa() > one);
    let price = |context| {
        let (price, by) = entry.price(class, context)?;
        let price = match &entry.currency {
            Some(currency) => price.converted(currency.rate(day)?)?,
            None => price,
        };
        // What always holds counts; of the rest only what makes it dearer.
        let may_hold = |factor: &&super::entry::PriceFactor| factor.conditions.are_none() || dear(factor.factor);
        let factors = entry.factors.iter().filter(|factor| factor.is_for(by)).filter(may_hold);
        price.times(factors.map(|factor| factor.factor))
    };
    contexts.filter_map(price).collect()
}

fn nano_usd(charge: Option<Charge>) -> u64 {
    Amount::of_charge(charge.unwrap_or_default()).whole(Unit::Usd).min(MAX_AMOUNT)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    const BOOK: &str = r#"
        [[price]]
        provider = "openai"
        model = "gpt-5"
        valid_from = 2026-01-01
        input_text = "1.25"
        cache_read = "0.125"
        cache_write_1h = "2.5"
        output_text = "10"
        requests = "0.5"
        [[price.context]]
        above = 200000
        output_text = "15"
        [[price.factor]]
        factor = "0.5"
        service_tier = "flex"
        [[price.factor]]
        factor = "2"
        service_tier = "priority"

        [[price]]
        provider = "openai"
        model = "gpt-5"
        valid_from = 2026-01-01
        region = "eu"
        output_text = "20"

        [[price]]
        provider = "openai"
        model = "gpt-*"
        valid_from = 2026-01-01
        input_text = "900"

        [[price]]
        provider = "openai"
        model = "cheap"
        valid_from = 2026-01-01
        input_text = "0.0375"

        [[price]]
        provider = "openai"
        model = "cheap"
        valid_from = 2026-12-01
        region = "moon"
        input_text = "7"

        [[adjust]]
        on = "charge"
        factor = "1.1"
        tenant = "acme"
    "#;

    fn ceiling(tenant: &str, model: &str, day: Date) -> Option<(u64, u64, u64)> {
        let book = PriceBook::parse(BOOK).unwrap();
        book.ceiling(tenant, "openai", model, day).map(|ceiling| (ceiling.input, ceiling.output, ceiling.call))
    }

    #[test]
    fn contract_the_ceiling_is_the_dearest_that_may_hold_and_not_what_never_does() {
        let november = date(2026, 11, 29);
        // Cache writes of an hour at twice the price; the region's output; half a USD per thousand calls, which a tier does not
        // double. The pattern behind the name itself is never asked.
        assert_eq!(ceiling("globex", "gpt-5", november), Some((5000, 30_000, 500_000)));
        assert_eq!(ceiling("acme", "gpt-5", november), Some((5500, 33_000, 550_000)));
        assert_eq!(ceiling("globex", "gpt-4", november), Some((900_000, 0, 0)));
        assert_eq!(ceiling("globex", "cheap", november), Some((38, 0, 0)), "rounded up");
        assert_eq!(
            ceiling("globex", "cheap", date(2026, 11, 30)),
            Some((7000, 0, 0)),
            "the window may go over midnight"
        );
        assert_eq!(ceiling("globex", "o3", november), None);
        assert_eq!(PriceBook::default().ceiling("a", "openai", "gpt-5", november), None);
    }

    proptest! {
        #[test]
        fn deterministic_no_call_of_tokens_costs_more_than_its_ceiling(
            model in prop::sample::select(&["gpt-5", "gpt-4", "cheap", "o3"][..]), tenant in prop::sample::select(&["acme", "x"][..]),
            tier in prop::option::of("(flex|priority|batch)"), region in prop::option::of("(eu|us|moon)"),
            counts in prop::collection::vec((prop::sample::select(Class::ALL), 0..500_000_u64), 0..6), hour in 0..24_i8
        ) {
            let book = PriceBook::parse(BOOK).unwrap();
            let mut usage = Usage::default();
            let is_token = |class: &Class| matches!(class.kind(), Kind::Input | Kind::Output);
            for (class, count) in counts.into_iter().filter(|(class, _)| is_token(class)) {
                usage.set(class, Some(count));
            }
            let day = date(2026, 11, 30);
            let call = RatingInput {
                tenant, request_model: Some(model), service_tier: tier.as_deref(), region: region.as_deref(), has_response: true,
                ..RatingInput::new("openai", model, day.at(hour, 0, 0, 0), &usage)
            };
            let charge = Amount::of_charge(book.rate(&call).charge()).whole(Unit::Usd);
            let ceiling = book.ceiling(tenant, "openai", model, day).unwrap_or_default();
            let tokens = |total: Option<u64>| total.unwrap_or_default();
            let most = ceiling.input * tokens(usage.input_total()) + ceiling.output * tokens(usage.output_total()) + ceiling.call;
            prop_assert!(charge <= most, "{charge} > {most}");
        }
    }
}
