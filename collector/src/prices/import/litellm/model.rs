//! The prices of a model, by what must hold of a call.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use wire::usage::Class;

use super::super::Import;
use super::super::decimal::{Decimal, Unit};
use super::super::draft::{Conditions, Prices, Rates, SERVICE_TIER, only};
use super::keys::{self, Key, Nature};
use super::name::{Name, SIZE};
use super::{Model, Occasions, factors, hours};
use crate::money::Price;
use crate::prices::entry::is_token;

/// Prices by the time of the day.
const OFF_PEAK: &str = "off_peak_pricing";
const TIERED: &str = "tiered_pricing";
const SEARCH_CONTEXT: &str = "search_context";
/// Those whose larger context begins at its bound, not above it.
const INCLUSIVE: &str = "xai";
/// What is sold by the piece costs the same in every service tier unless the list says otherwise.
const PIXELS: &str = "input_cost_per_pixel";

/// Whose transcriptions count tokens beside the seconds, always. Those of others count one or the other: where only tokens are
/// counted, a price by the second says nothing of them.
const COUNTS_BOTH: &str = "mistral";

/// What is read of a model, before it is put together.
#[derive(Default)]
struct Found<'m> {
    by_tier: BTreeMap<Option<&'m str>, Rates>,
    /// Under one more condition than the standard tier.
    under: Vec<(Conditions, Prices)>,
    /// Whether something with a price was left out.
    paid_apart: bool,
}

/// The prices of a model; `None` if they cannot be carried, which is noted.
pub(super) fn read(
    key: &str,
    nature: Nature<'_>,
    model: &Model<'_>,
    name: &Name,
    import: &mut Import<'_>,
) -> Option<Occasions> {
    let mut found = Found::default();
    let is_entry = |key: &str| keys::is_price(key) && key != OFF_PEAK && !key.contains("_dbu_");
    let entries = model.iter().filter(|(key, _)| is_entry(key));
    // What is said of a class under its own name stands over what stands in for it.
    let (weak, strong): (Vec<_>, Vec<_>) = entries.partition(|(key, _)| keys::is_weak(key));
    for (field, value) in weak.into_iter().chain(strong) {
        found.field(field, value, key, nature, import)?;
    }
    found.pixels(key, nature, model, name, import)?;
    if nature.mode == "audio_transcription" && nature.provider == COUNTS_BOTH {
        found.by_tier.values_mut().for_each(include_tokens);
    }
    let Found { mut by_tier, mut under, paid_apart } = found;
    finish(&mut by_tier, model);
    by_tier.retain(|tier, rates| {
        let is_of_use = !rates.prices.is_empty();
        if !is_of_use && !rates.contexts.is_empty() {
            let tier = tier.unwrap_or("standard");
            let why = format!("without the prices above a bound of the {tier} tier, which has none below");
            import.notes.add(why, key);
        }
        is_of_use
    });
    if by_tier.is_empty() && under.is_empty() {
        import.notes.add("left out, it has no price that a price book can hold", key);
        return None;
    }
    let are_free = under.iter().flat_map(|(_, prices)| prices.values()).all(|price| *price == Default::default());
    if paid_apart && are_free && by_tier.values().all(Rates::is_free) {
        import.notes.add("left out, what is left of its prices is zero", key);
        return None;
    }
    if let Some(value) = model.get(OFF_PEAK).filter(|value| value.get() != "null") {
        under.extend(off_peak(value, key, nature, import)?);
    }
    Some(occasions(by_tier, under, name, factors::read(key, model, import)))
}

/// Where a transcription is sold by the second, the tokens that every response counts besides are in that price.
fn include_tokens(rates: &mut Rates) {
    let has_tokens = rates.prices.keys().any(|class| is_token(*class));
    if rates.prices.contains_key(&Class::AudioSeconds) && !has_tokens {
        let included = [Class::InputText, Class::InputAudio, Class::OutputText];
        rates.prices.extend(included.map(|class| (class, Price::ZERO)));
    }
}

impl<'m> Found<'m> {
    fn field(
        &mut self,
        field: &'m str,
        value: &'m RawValue,
        name: &str,
        nature: Nature<'_>,
        import: &mut Import<'_>,
    ) -> Option<()> {
        if field == TIERED {
            return read_tiers(value, self.by_tier.entry(None).or_default(), name, nature, import);
        }
        let Some(key) = keys::parse(field, nature) else {
            // Pixels are another way to say what an image costs.
            if !is_nothing(value) && field != PIXELS {
                import.notes.add(format!("without {field}, {}", keys::why(field)), name);
                self.paid_apart = true;
            }
            return Some(());
        };
        let Key { paid, unit, above, tier, size, is_by_context, .. } = key;
        if is_by_context {
            return self.search(paid, value, name, nature, field, import);
        }
        if value.get() == "null" {
            return Some(());
        }
        for &paid in paid {
            let price = import.price(value.get(), unit, paid, field, name)?;
            if let Some(size) = size {
                self.under.push((only(SIZE, keys::sizes(size)), Prices::from([(paid, price)])));
                continue;
            }
            let rates = self.by_tier.entry(tier).or_default();
            let prices = match above {
                Some(above) => rates.contexts.entry(bound(above, nature.provider)).or_default(),
                None => &mut rates.prices,
            };
            prices.insert(paid, price);
        }
        Some(())
    }

    /// Searches, by how much they put into the prompt. What is asked for without a word is the provider's default.
    fn search(
        &mut self,
        paid: &[Class],
        value: &RawValue,
        name: &str,
        nature: Nature<'_>,
        field: &str,
        import: &mut Import<'_>,
    ) -> Option<()> {
        const PREFIX: &str = "search_context_size_";
        let sizes: BTreeMap<String, &RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
        let usual = if nature.provider == "perplexity" { "low" } else { "medium" };
        let mut prices = BTreeMap::new();
        for (size, value) in sizes.iter().filter_map(|(size, value)| Some((size.strip_prefix(PREFIX)?, value))) {
            for &paid in paid {
                prices.insert((size, paid), import.price(value.get(), Unit::One, paid, field, name)?);
            }
        }
        for (&(size, paid), &price) in &prices {
            let base = prices.get(&(usual, paid)).or_else(|| prices.values().next()).copied();
            if let Some(base) = base {
                self.by_tier.entry(None).or_default().prices.insert(paid, base);
            }
            if base != Some(price) {
                self.under.push((only(SEARCH_CONTEXT, [size.to_owned()]), Prices::from([(paid, price)])));
            }
        }
        Some(())
    }

    /// An image whose price is said by the pixel and whose size is in the name.
    fn pixels(
        &mut self,
        key: &str,
        nature: Nature<'_>,
        model: &Model<'_>,
        name: &Name,
        import: &mut Import<'_>,
    ) -> Option<()> {
        const OUT: Class = Class::ImagesOut;
        let Some(value) = model.get(PIXELS).filter(|value| !is_nothing(value)) else { return Some(()) };
        let rates = self.by_tier.entry(None).or_default();
        if rates.prices.contains_key(&OUT) {
            return Some(());
        }
        let Some(pixels) = name.pixels.filter(|_| keys::makes_images(nature.mode)) else {
            import.notes.add(format!("without {PIXELS}, {}", keys::why(PIXELS)), key);
            self.paid_apart = true;
            return Some(());
        };
        let price = import.price(value.get(), Unit::Pieces(pixels), OUT, PIXELS, key)?;
        rates.prices.insert(OUT, price);
        Some(())
    }
}

/// The prices with the conditions of the name, of the tier, and of what else they depend on.
fn occasions(
    by_tier: BTreeMap<Option<&str>, Rates>,
    under: Vec<(Conditions, Prices)>,
    name: &Name,
    factors: Vec<super::super::draft::Factor>,
) -> Occasions {
    let standard = by_tier.get(&None).cloned().unwrap_or_default();
    let mut all: BTreeMap<Conditions, Rates> = BTreeMap::new();
    for (conditions, prices) in under {
        // Those of one condition together; what they do not name is the plain entry's.
        all.entry(conditions).or_default().prices.extend(prices);
    }
    let by_piece = standard.prices.iter().filter(|(paid, _)| is_by_piece(**paid));
    let by_piece: Vec<_> = by_piece.map(|(paid, price)| (*paid, *price)).collect();
    for (tier, mut rates) in by_tier {
        for (paid, price) in &by_piece {
            rates.prices.entry(*paid).or_insert(*price);
        }
        all.insert(tier.map(|tier| only(SERVICE_TIER, [tier.to_owned()])).unwrap_or_default(), rates);
    }
    let mut occasions = Occasions::new();
    for (mut conditions, mut rates) in all {
        if rates.prices.is_empty() {
            continue;
        }
        rates.factors = factors.iter().cloned().collect();
        if name.is_default && conditions.is_empty() {
            occasions.push((Conditions::new(), rates.clone()));
        }
        for (key, values) in &name.conditions {
            conditions.entry(key).or_insert_with(|| values.clone());
        }
        occasions.push((conditions, rates));
    }
    occasions
}

fn is_by_piece(class: Class) -> bool {
    class.kind() == wire::usage::Kind::Unit
}

/// What holds at some times of the day and of the week.
fn off_peak(
    value: &RawValue,
    name: &str,
    nature: Nature<'_>,
    import: &mut Import<'_>,
) -> Option<Vec<(Conditions, Prices)>> {
    let Some(all) = hours::conditions(value) else {
        import.notes.add("left out, the times of its prices are not in a form that is known", name);
        return None;
    };
    let mut prices = Prices::new();
    for (field, value) in &serde_json::from_str::<Model<'_>>(value.get()).unwrap_or_default() {
        if let Some(key) = keys::parse(field, nature).filter(|key| key.above.is_none() && key.tier.is_none()) {
            for &paid in key.paid {
                prices.insert(paid, import.price(value.get(), key.unit, paid, field, name)?);
            }
        }
    }
    if let Some(price) = prices.get(&Class::OutputText).copied() {
        prices.entry(Class::OutputReasoning).or_insert(price);
    }
    Some(all.into_iter().map(|conditions| (conditions, prices.clone())).collect())
}

fn bound(above: u64, provider: &str) -> u64 {
    if provider == INCLUSIVE { above.saturating_sub(1) } else { above }
}

/// The prices of a list of ranges of the input: the first is the entry's own, the others are contexts.
fn read_tiers(
    value: &RawValue,
    rates: &mut Rates,
    name: &str,
    nature: Nature<'_>,
    import: &mut Import<'_>,
) -> Option<()> {
    let mut tiers: Vec<(u64, Prices)> = Vec::new();
    for tier in serde_json::from_str::<Vec<Model<'_>>>(value.get()).unwrap_or_default() {
        let range = tier.get("range").and_then(|range| serde_json::from_str::<Vec<&RawValue>>(range.get()).ok());
        let start = range.and_then(|range| Decimal::from_json(range.first()?.get()).ok()?.whole());
        let Some(start) = start else {
            import.notes.add("left out, a tier of its prices has no bound in tokens", name);
            return None;
        };
        let mut prices = Prices::new();
        for (key, value) in tier.iter().filter(|(key, _)| keys::is_price(key)) {
            match keys::parse(key, nature).filter(|key| key.above.is_none() && key.tier.is_none()) {
                Some(key) => {
                    for &paid in key.paid {
                        prices.insert(paid, import.price(value.get(), key.unit, paid, key.text, name)?);
                    }
                }
                None if is_nothing(value) => {}
                None => import.notes.add(format!("without {key}, {}", keys::why(key)), name),
            }
        }
        tiers.push((start, prices));
    }
    tiers.sort_by_key(|(start, _)| *start);
    let mut tiers = tiers.into_iter();
    let Some((_, first)) = tiers.next() else {
        import.notes.add("left out, its tiers are not in a form that is known", name);
        return None;
    };
    rates.prices.extend(first);
    rates.contexts.extend(tiers.filter(|(_, prices)| !prices.is_empty()));
    Some(())
}

/// Says what the list means without saying it.
fn finish(by_tier: &mut BTreeMap<Option<&str>, Rates>, model: &Model<'_>) {
    let has_12h = model.keys().any(|key| key.starts_with(keys::CACHE_WRITE_12H));
    let (text, reasoning) = (Class::OutputText, Class::OutputReasoning);
    let own_reasoning = by_tier.get(&None).is_some_and(|standard| {
        standard.prices.contains_key(&reasoning) && standard.prices.get(&reasoning) != standard.prices.get(&text)
    });
    for (tier, rates) in by_tier.iter_mut() {
        if tier.is_none() || !own_reasoning {
            rates.complete();
        }
        if has_12h {
            // A write of unknown lifetime has one of two prices: the shorter one's stands in, and is marked.
            for prices in std::iter::once(&mut rates.prices).chain(rates.contexts.values_mut()) {
                if let Some(price) = prices.remove(&Class::CacheWriteOther) {
                    prices.insert(Class::CacheWrite30m, price);
                }
            }
        }
        rates.contexts.retain(|_, prices| !prices.is_empty());
    }
}

/// Whether a price that is not taken over would have cost nothing.
fn is_nothing(value: &RawValue) -> bool {
    value.get() == "null" || Decimal::from_json(value.get()).is_ok_and(Decimal::is_zero)
}
