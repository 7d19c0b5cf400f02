//! LiteLLM's model_prices_and_context_window.json: one flat object a model, prices per token under names that are grammar.
//!
//! Source of the meanings: `litellm/litellm_core_utils/llm_cost_calc/` of its Python package, 1.109.1: what is priced
//! above a number of tokens is a cliff over the whole input (at the bound itself for xAI only).

use std::collections::{BTreeMap, BTreeSet};

use meter::usage::Class;
use serde_json::value::RawValue;

use super::decimal::Decimal;
use super::draft::{Draft, Prices, Rates};
use super::{Import, names};

mod keys;

use keys::Key;

type Model<'a> = BTreeMap<String, &'a RawValue>;

/// The entry that explains the others.
const SAMPLE: &str = "sample_spec";
/// Prices by the time of the day.
const OFF_PEAK: &str = "off_peak_pricing";
const TIERED: &str = "tiered_pricing";
/// What changes a price by something that a call does not say.
const FACTORS: [&str; 4] = [
    "provider_specific_entry",
    "regional_endpoint_uplift_multiplier",
    "regional_processing_uplift_multiplier_eu",
    "regional_processing_uplift_multiplier_us",
];
/// Providers whose models have no slash in their names: one in a key is a region, a size or a commitment.
const FLAT: [&str; 8] =
    ["anthropic", "aws.bedrock", "azure.ai.inference", "azure.ai.openai", "gcp.gemini", "mistral_ai", "openai", "x_ai"];
/// Those whose larger context begins at its bound, not above it.
const INCLUSIVE: &str = "xai";

pub(super) fn read(text: &str, import: &mut Import<'_>) -> Result<(), String> {
    let models: BTreeMap<String, Model<'_>> = serde_json::from_str(text)
        .map_err(|error| format!("is not LiteLLM's model_prices_and_context_window.json: {error}"))?;
    for (key, model) in models.iter().filter(|(key, _)| *key != SAMPLE) {
        let Some(provider) = text_of(model, "litellm_provider") else {
            import.notes.add("left out, it names no provider", key);
            continue;
        };
        let mut meters = names::of_litellm(&provider);
        meters.retain(|meter| import.wants(meter));
        if meters.is_empty() {
            continue;
        }
        import.models.insert(key.clone());
        let Some(name) = name(key, &provider, &meters, import) else { continue };
        let Some(tiers) = read_model(key, &provider, model, import) else { continue };
        for (tier, rates) in tiers {
            for meter in &meters {
                import.drafts.push(Draft {
                    provider: meter.clone(),
                    models: BTreeSet::from([name.clone()]),
                    except: BTreeSet::new(),
                    aliases: aliases(&name),
                    from: import.options.valid_from,
                    to: None,
                    tiers: tier.map(|tier| keys::tier_names(tier, meter)).unwrap_or_default(),
                    rates: rates.clone(),
                    sources: BTreeSet::from([key.clone()]),
                });
            }
        }
    }
    Ok(())
}

fn text_of(model: &Model<'_>, key: &str) -> Option<String> {
    serde_json::from_str(model.get(key)?.get()).ok()
}

/// The model's name as its provider has it.
fn name(key: &str, provider: &str, meters: &[String], import: &mut Import<'_>) -> Option<String> {
    let family = match provider {
        "azure_text" => "azure",
        "bedrock_converse" => "bedrock",
        _ if provider.starts_with("vertex_ai-") => "vertex_ai",
        _ => provider.strip_suffix("-embedding-models").unwrap_or(provider),
    };
    let name = key.strip_prefix(family).and_then(|rest| rest.strip_prefix('/')).unwrap_or(key);
    if name.contains('/') && meters.iter().any(|meter| FLAT.contains(&meter.as_str())) {
        import.notes.add("left out, for a region, a size or a commitment, of which a call says nothing", key);
        return None;
    }
    if name.is_empty() || name.contains(['*', '#']) || name.starts_with('!') {
        import.notes.add("left out, its name cannot stand in a price book", key);
        return None;
    }
    Some(name.to_owned())
}

/// Other names that answers give a model: of a fine-tuned one the longer, of a version after @ the one with a dash.
fn aliases(name: &str) -> BTreeSet<String> {
    let mut aliases = BTreeSet::new();
    if name.starts_with("ft:") {
        aliases.insert(format!("{name}:*"));
    }
    if let Some((model, version)) = name.split_once('@').filter(|(model, _)| !model.is_empty()) {
        aliases.insert(if version == "default" { model.to_owned() } else { format!("{model}-{version}") });
    }
    aliases
}

/// The prices by service tier; `None` if they cannot be carried.
fn read_model<'m>(
    name: &str,
    provider: &str,
    model: &'m Model<'_>,
    import: &mut Import<'_>,
) -> Option<Vec<(Option<&'m str>, Rates)>> {
    let has = |key: &str| model.get(key).is_some_and(|value| !matches!(value.get(), "null" | "{}" | "[]"));
    if has(OFF_PEAK) {
        import.notes.add("left out, its price depends on the time of the day", name);
        return None;
    }
    for factor in FACTORS.iter().filter(|factor| has(factor)) {
        import.notes.add(format!("without {factor}, of which a call says nothing"), name);
    }
    let mode = text_of(model, "mode").unwrap_or_default();
    let mut by_tier: BTreeMap<Option<&str>, Rates> = BTreeMap::new();
    let mut paid_apart = false;
    let entries = model.iter().filter(|(key, _)| keys::is_price(key) && key.as_str() != OFF_PEAK);
    // What is said of a class under its own name stands over what stands in for it.
    let (weak, strong): (Vec<_>, Vec<_>) = entries.partition(|(key, _)| keys::is_weak(key));
    for (key, value) in weak.into_iter().chain(strong) {
        if key == TIERED {
            let rates = by_tier.entry(None).or_default();
            read_tiers(value, rates, name, import)?;
            continue;
        }
        let Some(key) = keys::parse(key, &mode) else {
            if !is_nothing(value) {
                import.notes.add(format!("without {key}, {}", keys::why(key)), name);
                paid_apart = true;
            }
            continue;
        };
        let Key { classes, unit, above, tier, .. } = key;
        let Some(number) = number(key, value, name, import) else { continue };
        let rates = by_tier.entry(tier).or_default();
        for &class in classes {
            let price = import.price(number, unit, class, key.text, name)?;
            let prices = match above {
                Some(above) => rates.contexts.entry(bound(above, provider)).or_default(),
                None => &mut rates.prices,
            };
            prices.insert(class, price);
        }
    }
    finish(&mut by_tier, model);
    by_tier.retain(|tier, rates| {
        if rates.prices.is_empty() && !rates.contexts.is_empty() {
            let tier = tier.unwrap_or("standard");
            import
                .notes
                .add(format!("without the prices above a bound of the {tier} tier, which has none below"), name);
        }
        !rates.prices.is_empty()
    });
    if by_tier.is_empty() {
        import.notes.add("left out, it has no price that a price book can hold", name);
        return None;
    }
    if paid_apart && by_tier.values().all(Rates::is_free) {
        import.notes.add("left out, what is left of its prices is zero", name);
        return None;
    }
    Some(by_tier.into_iter().collect())
}

/// The number of a price. Searches have one by the size of what they bring; only if all are the same is it the price.
fn number<'a>(key: Key<'_>, value: &'a RawValue, name: &str, import: &mut Import<'_>) -> Option<&'a str> {
    if !key.is_by_size {
        return (value.get() != "null").then(|| value.get());
    }
    let sizes: BTreeMap<String, &'a RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
    let mut prices = sizes.values().map(|price| (Decimal::from_json(price.get()), price.get()));
    let (first, text) = prices.next()?;
    if first.is_err() || prices.any(|(price, _)| price != first) {
        import.notes.add(format!("without {}, which depends on a size of which a call says nothing", key.text), name);
        return None;
    }
    Some(text)
}

fn bound(above: u64, provider: &str) -> u64 {
    if provider == INCLUSIVE { above.saturating_sub(1) } else { above }
}

/// The prices of a list of ranges of the input: the first is the entry's own, the others are contexts.
fn read_tiers(value: &RawValue, rates: &mut Rates, name: &str, import: &mut Import<'_>) -> Option<()> {
    let mut tiers: Vec<(u64, Prices)> = Vec::new();
    for tier in serde_json::from_str::<Vec<Model<'_>>>(value.get()).unwrap_or_default() {
        let range = tier.get("range").and_then(|range| serde_json::from_str::<Vec<&RawValue>>(range.get()).ok());
        let start = range.and_then(|range| Decimal::from_json(range.first()?.get()).ok()?.whole());
        let Some(start) = start else {
            import.notes.add("left out, a tier of its prices has no bound", name);
            return None;
        };
        let mut prices = Prices::new();
        for (key, value) in tier.iter().filter(|(key, _)| keys::is_price(key)) {
            match keys::parse(key, "chat").filter(|key| key.above.is_none() && key.tier.is_none()) {
                Some(key) => {
                    for &class in key.classes {
                        prices.insert(class, import.price(value.get(), key.unit, class, key.text, name)?);
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
    let own_reasoning = by_tier.get(&None).is_some_and(|standard| {
        let reasoning = standard.prices.get(&Class::OutputReasoning);
        reasoning.is_some() && reasoning != standard.prices.get(&Class::OutputText)
    });
    for (tier, rates) in by_tier.iter_mut() {
        if tier.is_none() || !own_reasoning {
            rates.complete();
        }
        if has_12h {
            // A write of unknown lifetime has one of two prices: the shorter one's stands in, and is marked.
            for prices in std::iter::once(&mut rates.prices).chain(rates.contexts.values_mut()) {
                prices.remove(&Class::CacheWriteOther);
            }
        }
        rates.contexts.retain(|_, prices| !prices.is_empty());
    }
}

/// Whether a price that is not taken over would have cost nothing.
fn is_nothing(value: &RawValue) -> bool {
    value.get() == "null" || Decimal::from_json(value.get()).is_ok_and(Decimal::is_zero)
}
