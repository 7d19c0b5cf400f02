//! Pydantic's genai-prices, version 2 of its data: providers, each with models, each with prices by date and variant.
//!
//! Source of the meanings: `genai_prices/types.py` of its Python package, 0.2.3: the last price whose constraint holds is
//! taken, else the first; tiers are cliffs above their start; a variant's prices stand over the standard ones.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::Deserialize;
use serde_json::value::RawValue;
use wire::usage::Class;

use super::draft::{Conditions, Draft, Factor, Rates, SERVICE_TIER, only};
use super::{Import, names};
use crate::money::Price;
use crate::prices::conditions::Fact;
use crate::prices::keys::SPEED;
use crate::prices::pattern::Pattern;

mod clause;
mod rates;

use clause::Clause;
use rates::rates;

#[derive(Deserialize)]
struct Provider<'a> {
    id: String,
    #[serde(default)]
    fallback_model_providers: Option<Vec<String>>,
    #[serde(borrow)]
    models: Vec<Model<'a>>,
}

#[derive(Deserialize)]
struct Model<'a> {
    id: String,
    #[serde(borrow, rename = "match")]
    matches: &'a RawValue,
    #[serde(borrow)]
    prices: &'a RawValue,
    #[serde(borrow, default)]
    price_variants: Option<Vec<Priced<'a>>>,
}

/// Prices under a condition.
#[derive(Deserialize)]
struct Priced<'a> {
    #[serde(default)]
    when: BTreeMap<String, String>,
    #[serde(default)]
    constraint: Option<BTreeMap<String, String>>,
    #[serde(borrow)]
    prices: Named<'a>,
}

type Named<'a> = BTreeMap<String, &'a RawValue>;

/// When prices hold.
#[derive(Clone, PartialEq, Eq)]
enum When {
    Always,
    Since(Date),
    /// At these hours.
    Hours(String),
    /// Under a condition that this code does not know.
    Else,
}

pub(super) fn read(text: &str, import: &mut Import<'_>) -> Result<(), String> {
    let providers: Vec<Provider<'_>> =
        serde_json::from_str(text).map_err(|error| format!("is not genai-prices' data, version 2: {error}"))?;
    for provider in &providers {
        for meter in names::of_genai(&provider.id).iter().filter(|name| import.wants(name)).cloned().collect::<Vec<_>>()
        {
            let mut own = BTreeSet::new();
            for model in &provider.models {
                own.extend(read_model(&provider.id, model, &meter, &[], import));
            }
            let own: Vec<Pattern> = own.iter().filter_map(|name| Pattern::new(name)).collect();
            // Models that one provider sells for another, at the same price unless it says otherwise.
            for other in provider.fallback_model_providers.iter().flatten() {
                let others = providers.iter().filter(|provider| &provider.id == other);
                for model in others.flat_map(|provider| &provider.models) {
                    read_model(other, model, &meter, &own, import);
                }
            }
        }
    }
    Ok(())
}

/// Takes over a model for a provider, but for the names that are its own models'; gives the names.
fn read_model(
    provider: &str,
    model: &Model<'_>,
    meter: &str,
    taken: &[Pattern],
    import: &mut Import<'_>,
) -> BTreeSet<String> {
    let source = format!("{provider}/{}", model.id);
    import.models.insert(source.clone());
    let Some(patterns) = serde_json::from_str(model.matches.get()).ok().and_then(|clause: Clause| clause.patterns())
    else {
        import.notes.add("left out, its names cannot be said in patterns", &source);
        return BTreeSet::new();
    };
    let Some(periods) = periods(model, &source, import) else { return BTreeSet::new() };
    let mut names = BTreeSet::new();
    for (except, mut models) in patterns {
        models.retain(|name| !taken.iter().any(|own| own.matches(name)));
        names.extend(models.iter().cloned());
        // What several services sell at different prices is left out under its bare name.
        let of_service = names::service_of_genai(provider).map(|service| {
            models.iter().filter(|model| !model.contains('*')).map(|model| format!("{model}:{service}")).collect()
        });
        let each = std::iter::once(models)
            .chain(of_service)
            .flat_map(|models: BTreeSet<String>| periods.iter().map(move |period| (models.clone(), period)));
        for (models, Period { from, to, conditions, rates }) in each {
            import.drafts.push(Draft {
                provider: meter.to_owned(),
                models,
                except: except.clone(),
                aliases: BTreeSet::new(),
                from: *from,
                to: *to,
                conditions: conditions.clone(),
                rates: rates.clone(),
                sources: BTreeSet::from([source.clone()]),
                rank: u8::from(provider == BESIDE),
            });
        }
    }
    names
}

/// Zhipu in mainland China: the same models as Z.ai's, at other prices.
const BESIDE: &str = "zhipuai";
/// How the names of models end that cost nothing.
const FREE: &str = ":free";

/// What a model costs under conditions between two days.
#[derive(Clone, PartialEq, Eq)]
struct Period {
    from: Date,
    to: Option<Date>,
    conditions: Conditions,
    rates: Rates,
}

/// The prices of a model, day by day; `None` if one of them cannot be carried.
fn periods(model: &Model<'_>, source: &str, import: &mut Import<'_>) -> Option<Vec<Period>> {
    let raw = model.prices.get();
    let parsed = if raw.starts_with('[') {
        serde_json::from_str::<Vec<Priced<'_>>>(raw)
    } else {
        let always = |prices| vec![Priced { when: BTreeMap::new(), constraint: None, prices }];
        serde_json::from_str::<Named<'_>>(raw).map(always)
    };
    let Ok(standard) = parsed else {
        import.notes.add("left out, its prices are not in a form that is known", source);
        return None;
    };
    let variants: Vec<(&Priced<'_>, Conditions)> = model
        .price_variants
        .iter()
        .flatten()
        .filter_map(|variant| Some((variant, condition(variant, source, import)?)))
        .collect();
    let dated = standard.iter().chain(variants.iter().map(|(variant, _)| *variant));
    let mut days: BTreeSet<Date> = dated.filter_map(|priced| priced.since()).collect();
    if days.first().is_none_or(|first| import.options.valid_from < *first) {
        days.insert(import.options.valid_from);
    }
    let days: Vec<Date> = days.into_iter().collect();
    let mut periods: Vec<Period> = Vec::new();
    for (at, &from) in days.iter().enumerate() {
        let to = days.get(at.saturating_add(1)).and_then(|next| next.yesterday().ok());
        let Some((prices, by_hour)) = of_day(&standard, from) else {
            import.notes.add("left out, the times of its prices are not in a form that is known", source);
            return None;
        };
        let mut all: BTreeMap<Conditions, Named<'_>> = by_hour.into_iter().collect();
        all.insert(Conditions::new(), prices.clone());
        for (variant, conditions) in variants.iter().rev().filter(|(variant, _)| variant.holds_on(from)) {
            // In reverse, so that the first variant has the last word.
            all.entry(conditions.clone())
                .or_insert_with(|| prices.clone())
                .extend(variant.prices.iter().map(|(k, v)| (k.clone(), *v)));
        }
        let mut rated = BTreeMap::new();
        for (conditions, prices) in all {
            rated.insert(conditions, rates(&prices, source, import)?);
        }
        speeds_as_factors(&mut rated);
        for (conditions, rates) in rated.into_iter().filter(|(_, rates)| !rates.prices.is_empty()) {
            let period = Period { from, to, conditions, rates };
            let before = periods.iter_mut().rev().find(|before| before.conditions == period.conditions);
            match before {
                Some(before) if before.rates == period.rates && before.to == from.yesterday().ok() => before.to = to,
                _ => periods.push(period),
            }
        }
    }
    if periods.is_empty() && model.id.ends_with(FREE) {
        let prices = [Class::InputText, Class::OutputText, Class::OutputReasoning].map(|class| (class, Price::ZERO));
        let rates = Rates { prices: prices.into(), ..Rates::default() };
        periods.push(Period { from: import.options.valid_from, to: None, conditions: Conditions::new(), rates });
    }
    if periods.is_empty() {
        import.notes.add("left out, it has no price that a price book can hold", source);
    }
    Some(periods)
}

/// A speed that multiplies the price of every token alike is a factor: it then holds beside every other condition.
fn speeds_as_factors(rated: &mut BTreeMap<Conditions, Rates>) {
    let speeds: Vec<Conditions> =
        rated.keys().filter(|conditions| conditions.len() == 1 && conditions.contains_key(SPEED)).cloned().collect();
    for conditions in speeds {
        let factor = rated.get(&Conditions::new()).and_then(|standard| rated.get(&conditions)?.times(standard));
        if let (Some(factor), Some(standard)) = (factor, rated.get_mut(&Conditions::new())) {
            standard.factors.insert(Factor { factor, conditions: conditions.clone(), classes: Vec::new() });
            rated.remove(&conditions);
        }
    }
}

impl Priced<'_> {
    fn when(&self) -> When {
        let Some(constraint) = &self.constraint else { return When::Always };
        let date = constraint.get("start_date").and_then(|text| crate::prices::day(text));
        let time = |key: &str| minute(constraint.get(key)?);
        match (date, time("start_time"), time("end_time"), constraint.len()) {
            (Some(date), None, None, 1) => When::Since(date),
            (None, Some(start), Some(end), 2) if start != end => When::Hours(format!("{start}-{end}")),
            _ => When::Else,
        }
    }

    fn since(&self) -> Option<Date> {
        match self.when() {
            When::Since(date) => Some(date),
            _ => None,
        }
    }

    fn holds_on(&self, day: Date) -> bool {
        self.when() == When::Always || self.since().is_some_and(|date| date <= day)
    }
}

/// `00:30:00Z` as `00:30`; the price book knows no seconds.
fn minute(text: &str) -> Option<&str> {
    let text = text.strip_suffix(['Z', 'z']).or_else(|| text.strip_suffix("+00:00"))?;
    let minute = text.strip_suffix(":00")?;
    let is_time = minute.len() == 5 && minute.bytes().enumerate().all(|(at, byte)| (at == 2) == (byte == b':'));
    is_time.then_some(minute)
}

type ByHour<'a> = Vec<(Conditions, Named<'a>)>;

/// The prices of a day: the last ones that hold, else the first, and before them those of some hours; `None` if they depend
/// on more.
fn of_day<'a>(standard: &[Priced<'a>], day: Date) -> Option<(Named<'a>, ByHour<'a>)> {
    let mut by_hour = ByHour::new();
    for priced in standard.iter().rev() {
        match priced.when() {
            When::Else => return None,
            When::Hours(hours) => by_hour.push((only("hours_utc", [hours]), priced.prices.clone())),
            _ if priced.holds_on(day) => return Some((priced.prices.clone(), by_hour)),
            _ => {}
        }
    }
    Some((standard.first()?.prices.clone(), by_hour))
}

/// The conditions of a variant, if a call says whether they hold.
fn condition(variant: &Priced<'_>, source: &str, import: &mut Import<'_>) -> Option<Conditions> {
    let condition = variant.when.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>();
    let holds_by_day = matches!(variant.when(), When::Always | When::Since(_));
    match condition.as_slice() {
        [("service_tier", tier)] if Fact::ServiceTier.standard().contains(tier) && variant.prices.is_empty() => None,
        [("service_tier", tier)] if !Fact::ServiceTier.standard().contains(tier) && holds_by_day => {
            Some(only(SERVICE_TIER, [(*tier).to_owned()]))
        }
        [("processing", "batch")] if holds_by_day => Some(only(SERVICE_TIER, ["batch".to_owned()])),
        [("speed", speed)] if *speed != "standard" && holds_by_day => Some(only(SPEED, [(*speed).to_owned()])),
        _ => {
            let condition: Vec<String> = condition.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let why = format!("without the prices for {}, of which a call says nothing", condition.join(" and "));
            import.notes.add(why, source);
            None
        }
    }
}
