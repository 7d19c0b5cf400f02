//! Whether two records owe the same: only then may one of them be a copy of the other.
//!
//! Both are rated as of now. What decides a price beside the counts is a sender's word, too: a flag, a tier, a region, what the
//! provider says it cost. Whoever may charge a tenant could otherwise put a record that costs nothing in the place of another
//! meter's.

use wire::record::{Evidence, Flag, Record};

use super::responses::{FAR_TOKENS, is_known};
use crate::money::Charge;
use crate::prices::{PriceBook, Rating, RatingInput};

/// A report may cost so much less than the estimate in whose place it is charged, if that is of more than a few tokens: cached
/// input, which no estimate sees, costs a tenth.
const FAR_TIMES: i128 = 16;

/// Whether both owe the same, the counts aside where one of them was estimated: then both are rated for the estimate's.
pub(super) fn is_same(prices: Option<&PriceBook>, one: &Record, other: &Record) -> bool {
    let nothing = PriceBook::default();
    let prices = prices.unwrap_or(&nothing);
    let tenant = if is_known(other) { &other.identity.tenant } else { &one.identity.tenant };
    let rated = |record: &Record, counted: &Record| rate(prices, record, counted, tenant);
    let (first, second) = match (is_reported(one), is_reported(other)) {
        (true, true) => (rated(one, one), rated(other, other)),
        (true, false) => (rated(one, other), rated(other, other)),
        (false, _) => (rated(one, one), rated(other, one)),
    };
    let amounts = |rating: &Rating| (rating.charge(), rating.cost(), rating.is_unpriced());
    let is_far = |estimate: &Record, report: &Record| {
        let yocto = |record| rated(record, record).charge().max(Charge::default()).yocto_usd();
        let are_compared = is_reported(report) && !is_reported(estimate) && tokens(estimate) > FAR_TOKENS;
        are_compared && yocto(estimate) > yocto(report).saturating_mul(FAR_TIMES)
    };
    amounts(&first) == amounts(&second)
        // Nobody knows yet what it costs: that may be another amount for each.
        && (!first.is_unpriced() || differing(one, other).is_empty())
        && !is_far(one, other)
        && !is_far(other, one)
}

/// A record's call, for what was counted in another record of it.
fn rate(prices: &PriceBook, record: &Record, counted: &Record, tenant: &str) -> Rating {
    let call = RatingInput::of(record, tenant).map(|call| RatingInput {
        usage: &counted.usage,
        provider_cost_nano_usd: counted.provider_cost_nano_usd,
        ..call
    });
    call.map(|call| prices.rate(&call)).unwrap_or_default()
}

/// A text that decides a price: its field's name, and where a record has it.
type Text = (&'static str, fn(&Record) -> Option<&str>);

/// What decides a price and differs between two records, beside counts and time, by the names of the event's fields. What a
/// meter that saw less does not know is no difference.
pub fn differing(one: &Record, other: &Record) -> Vec<&'static str> {
    let is_whole = is_reported(one) && is_reported(other);
    let texts: [Text; 9] = [
        ("response_model", |record| record.response_model.as_deref()),
        ("path_model", |record| record.path_model.as_deref()),
        ("service_tier", |record| record.service_tier.as_deref()),
        ("speed", |record| record.speed.as_deref()),
        ("inference_geo", |record| record.inference_geo.as_deref()),
        ("region", |record| record.region.as_deref()),
        ("size", |record| record.size.as_deref()),
        ("quality", |record| record.quality.as_deref()),
        ("search_context", |record| record.search_context.as_deref()),
    ];
    let differs = |(one, other): (Option<&str>, Option<&str>)| one != other && (is_whole || one.zip(other).is_some());
    let texts = texts.into_iter().filter(|(_, read)| differs((read(one), read(other)))).map(|(name, _)| name);
    let is_free = |record: &Record| record.flags.contains(Flag::NotBilled);
    let has_response = |record: &Record| record.status.is_some_and(|status| status < 400);
    let more = [
        ("flags", is_free(one) != is_free(other)),
        ("status", has_response(one) != has_response(other)),
        ("provider_cost_nano_usd", is_whole && one.provider_cost_nano_usd != other.provider_cost_nano_usd),
    ];
    texts.chain(more.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name)).collect()
}

fn tokens(record: &Record) -> u64 {
    let totals = [record.usage.input_total(), record.usage.output_total()];
    totals.into_iter().flatten().fold(0, u64::saturating_add)
}

fn is_reported(record: &Record) -> bool {
    record.evidence == Evidence::Reported
}
