//! LiteLLM's model_prices_and_context_window.json: one flat object a model, prices per token under names that are grammar.
//!
//! Source of the meanings: `litellm/litellm_core_utils/llm_cost_calc/` of its Python package, 1.110.2: what is priced
//! above a number of tokens is a cliff over the whole input (at the bound itself for xAI only).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;
use wire::usage::Class;

use super::draft::{Conditions, Draft, Rates, SERVICE_TIER, only};
use super::{Alias, Fee, Import, names};
use crate::prices::keys::{OPERATION, REGION};

mod factors;
pub(super) mod hours;
mod keys;
mod model;
mod name;

use keys::Nature;
use name::Name;

type Model<'a> = BTreeMap<String, &'a RawValue>;

/// The entry that explains the others.
const SAMPLE: &str = "sample_spec";
/// What takes a fee beside the price of the model that it hands a call on to.
const ROUTERS: [&str; 2] = ["/model_router", "/model-router"];
/// Another name of a model.
const ALIAS: &str = "alias_of";
/// What a guardrail's units cost, by policy.
const GUARDRAIL: &str = "guardrail_cost_per_unit";
/// What a provider's tool costs, whatever the model.
const CONTAINER: &str = "code_interpreter_cost_per_session";

pub(super) fn read(text: &str, import: &mut Import<'_>) -> Result<(), String> {
    let models: BTreeMap<String, Model<'_>> = serde_json::from_str(text)
        .map_err(|error| format!("is not LiteLLM's model_prices_and_context_window.json: {error}"))?;
    for (key, model) in models.iter().filter(|(key, _)| *key != SAMPLE) {
        if let Some(target) = text_of(model, ALIAS) {
            read_alias(key, &target, &models, import);
            continue;
        }
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
        if ROUTERS.iter().any(|router| key.ends_with(router)) {
            import
                .notes
                .add("left out, it is added to the price of the model that is routed to, as a [[surcharge]]", key);
            continue;
        }
        if key.ends_with("/container") && model.contains_key(CONTAINER) {
            read_container(key, model, &meters, import);
            continue;
        }
        if model.contains_key(GUARDRAIL) {
            read_guardrail(key, model, &meters, import);
            continue;
        }
        let Some(name) = name::of(key, &provider, import) else { continue };
        read_model(key, &provider, &meters, &name, model, import);
    }
    date_places(&mut import.drafts);
    Ok(())
}

/// The prices of a place hold for a model's dated names, too, which the list has without that place: responses name these.
fn date_places(drafts: &mut [Draft]) {
    let names: Vec<(String, String)> = drafts
        .iter()
        .flat_map(|draft| draft.models.iter().map(|model| (draft.provider.clone(), model.clone())))
        .collect();
    let of_place =
        |draft: &&mut Draft| draft.conditions.get(REGION).is_some_and(|regions| regions.contains(name::US_GOV));
    for draft in drafts.iter_mut().filter(of_place) {
        let is_dated = |model: &str| {
            let is_date = |rest: &str| rest.len() == 11 && rest.starts_with("-20") && rest.matches('-').count() == 3;
            draft.models.iter().any(|undated| model.strip_prefix(undated.as_str()).is_some_and(is_date))
        };
        let dated = names.iter().filter(|(provider, model)| *provider == draft.provider && is_dated(model));
        let dated: Vec<String> = dated.map(|(_, model)| model.clone()).collect();
        draft.models.extend(dated);
    }
}

fn read_model(
    key: &str,
    provider: &str,
    meters: &[String],
    name: &Name,
    model: &Model<'_>,
    import: &mut Import<'_>,
) -> Option<()> {
    let mode = text_of(model, "mode").unwrap_or_default();
    let sells_images = model.keys().any(|key| key.starts_with("output_cost_per_image") && !key.contains("_token"));
    let nature = Nature { mode: &mode, provider, name: key, sells_images };
    let occasions = model::read(key, nature, model, name, import)?;
    let seconds = names::also_of_litellm(provider);
    for (conditions, rates) in occasions {
        for (meter, is_second) in meters.iter().map(|name| (name, false)).chain(seconds.iter().map(|name| (name, true)))
        {
            if !import.wants(meter) {
                continue;
            }
            let mut conditions = conditions.clone();
            if conditions.get(SERVICE_TIER).is_some_and(|tiers| tiers.contains(keys::DECISIONS)) {
                conditions.remove(SERVICE_TIER);
                conditions.extend(only(OPERATION, [keys::DECIDE.to_owned()]));
            }
            if let Some(tiers) = conditions.remove(SERVICE_TIER) {
                let names = tiers.iter().flat_map(|tier| keys::tier_names(tier, meter));
                conditions.extend(only(SERVICE_TIER, names));
            }
            let mut aliases = name.aliases();
            let mut models = BTreeSet::from([name.name.clone()]);
            if is_second {
                aliases.append(&mut models);
            }
            import.drafts.push(Draft {
                provider: meter.clone(),
                models,
                except: BTreeSet::new(),
                aliases,
                from: import.options.valid_from,
                to: None,
                conditions,
                rates: rates.clone(),
                sources: BTreeSet::from([key.to_owned()]),
                rank: rank(key, provider),
            });
        }
    }
    Some(())
}

/// The list looks for a model first under its provider, then by the bare name; other services of a provider have other prices.
fn rank(key: &str, provider: &str) -> u8 {
    let is_beside = ["bedrock_mantle", "bigmodel", "codestral", "azure_text"].contains(&provider)
        || provider.starts_with("text-completion-")
        || key.starts_with("standard/");
    let family = if provider.starts_with("vertex_ai") { "vertex_ai" } else { provider };
    let is_named = key.strip_prefix(family).is_some_and(|rest| rest.starts_with('/'));
    match (is_beside, is_named) {
        (false, true) => 0,
        (false, false) => 1,
        (true, _) => 2,
    }
}

/// A second name: it is the provider's only if both are of the same one.
fn read_alias(key: &str, target: &str, models: &BTreeMap<String, Model<'_>>, import: &mut Import<'_>) {
    let provider = models.get(target).and_then(|model| text_of(model, "litellm_provider"));
    let Some(provider) = provider else {
        import.models.insert(key.to_owned());
        import.notes.add("left out, it is another name of a model that the list does not have", key);
        return;
    };
    let meters: Vec<String> = names::of_litellm(&provider).into_iter().filter(|meter| import.wants(meter)).collect();
    if meters.is_empty() {
        return;
    }
    import.models.insert(key.to_owned());
    let (Some(model), Some(is)) = (name::of(key, &provider, import), name::of(target, &provider, import)) else {
        return;
    };
    for meter in meters {
        let alias = Alias { provider: meter, model: model.name.to_lowercase(), is: is.name.to_lowercase() };
        if alias.model != alias.is {
            import.aliases.push((alias, key.to_owned()));
        }
    }
}

fn read_container(key: &str, model: &Model<'_>, meters: &[String], import: &mut Import<'_>) -> Option<()> {
    let paid = Class::ContainerSessions;
    let price = import.price(model.get(CONTAINER)?.get(), super::decimal::Unit::One, paid, CONTAINER, key)?;
    for meter in meters {
        import.fees.push(Fee {
            provider: meter.clone(),
            models: Vec::new(),
            conditions: Conditions::new(),
            prices: [(paid, price)].into(),
        });
    }
    import.taken.insert(key.to_owned());
    Some(())
}

/// The units of each policy are a part of a call, whose model is their name.
fn read_guardrail(key: &str, model: &Model<'_>, meters: &[String], import: &mut Import<'_>) -> Option<()> {
    let paid = Class::GuardrailUnits;
    let units: BTreeMap<String, &RawValue> = serde_json::from_str(model.get(GUARDRAIL)?.get()).ok()?;
    for (name, value) in units {
        let price = import.price(value.get(), super::decimal::Unit::One, paid, GUARDRAIL, key)?;
        for meter in meters {
            import.drafts.push(Draft {
                provider: meter.clone(),
                models: BTreeSet::from([name.to_lowercase()]),
                except: BTreeSet::new(),
                aliases: BTreeSet::new(),
                from: import.options.valid_from,
                to: None,
                conditions: Conditions::new(),
                rates: Rates { prices: [(paid, price)].into(), ..Rates::default() },
                sources: BTreeSet::from([key.to_owned()]),
                rank: 0,
            });
        }
    }
    Some(())
}

fn text_of(model: &Model<'_>, key: &str) -> Option<String> {
    serde_json::from_str(model.get(key)?.get()).ok()
}

/// The prices under each set of conditions; none for all other calls.
type Occasions = Vec<(Conditions, Rates)>;
