//! Entries of a model of which neither is closer than the other, though both can hold for a call: a price book refuses them.

use std::collections::{BTreeMap, BTreeSet};

use super::Notes;
use super::draft::{Conditions, Draft};
use super::litellm::hours::range;
use crate::prices::keys::{
    HOURS_UTC, INFERENCE_GEO, OPERATION, QUALITY, REGION, SEARCH_CONTEXT, SEARCH_TOOL, SERVICE_TIER, SIZE, SPEED,
    WEEKDAYS,
};
use crate::prices::read::NOT;

/// The conditions that decide before the others.
const STRICT: [&str; 2] = [SERVICE_TIER, SPEED];
/// Of two that tie, the one with the earlier condition stays.
const ORDER: [&str; 11] = [
    SERVICE_TIER,
    SPEED,
    REGION,
    INFERENCE_GEO,
    SIZE,
    QUALITY,
    SEARCH_CONTEXT,
    SEARCH_TOOL,
    OPERATION,
    HOURS_UTC,
    WEEKDAYS,
];

/// Takes the later one's models out of each such pair.
pub(super) fn cut(drafts: &mut [Draft], notes: &mut Notes) {
    let mut by_name: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    for (number, draft) in drafts.iter().enumerate().filter(|(_, draft)| !draft.conditions.is_empty()) {
        for model in &draft.models {
            by_name.entry((draft.provider.clone(), model.clone())).or_default().push(number);
        }
    }
    let mut gone: BTreeSet<(usize, String)> = BTreeSet::new();
    for ((provider, model), mut numbers) in by_name {
        numbers.sort_by_key(|number| drafts.get(*number).map(|draft| place(&draft.conditions)));
        let mut kept: Vec<usize> = Vec::new();
        for number in numbers {
            let Some(draft) = drafts.get(number) else { continue };
            let ties = |other: &&usize| drafts.get(**other).is_some_and(|other| tie(draft, other));
            if kept.iter().find(ties).is_none() {
                kept.push(number);
                continue;
            }
            let said = draft.conditions.iter().map(|(key, values)| format!("{key}={}", join(values)));
            let name = format!("{provider} {model} for {}", said.collect::<Vec<_>>().join(" "));
            notes.add("left out, another price holds for some of the same calls and neither is closer", &name);
            gone.insert((number, model.clone()));
        }
    }
    for (number, model) in gone {
        if let Some(draft) = drafts.get_mut(number) {
            draft.models.remove(&model);
        }
    }
}

fn join(values: &BTreeSet<String>) -> String {
    values.iter().cloned().collect::<Vec<_>>().join(",")
}

fn place(conditions: &Conditions) -> Vec<usize> {
    conditions
        .keys()
        .filter_map(|key| ORDER.iter().position(|known| known == key))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

fn tie(one: &Draft, other: &Draft) -> bool {
    let count = |draft: &Draft| {
        let strict = draft.conditions.keys().filter(|key| STRICT.contains(key)).count();
        (strict, draft.conditions.len())
    };
    let alike = one.conditions == other.conditions;
    count(one) == count(other)
        && one.overlaps(other)
        && (alike || one.conditions.iter().all(|(key, values)| meet(key, values, other.conditions.get(key))))
}

/// Whether a call can meet a condition of two entries.
fn meet(key: &str, one: &BTreeSet<String>, other: Option<&BTreeSet<String>>) -> bool {
    let Some(other) = other else { return true };
    if key == HOURS_UTC {
        let ranges =
            |values: &BTreeSet<String>| values.iter().filter_map(|text| range(text)).flatten().collect::<Vec<_>>();
        let others = ranges(other);
        return ranges(one).iter().any(|(from, to)| others.iter().any(|(start, end)| from < end && start < to));
    }
    let refuses = |values: &BTreeSet<String>, value: &str| values.contains(&format!("{NOT}{value}"));
    let plain =
        |values: &BTreeSet<String>| values.iter().filter(|value| !value.starts_with(NOT)).cloned().collect::<Vec<_>>();
    match (plain(one), plain(other)) {
        (one, other) if !one.is_empty() && !other.is_empty() => one.iter().any(|value| other.contains(value)),
        (one, _) if !one.is_empty() => one.iter().any(|value| !refuses(other, value)),
        (_, values) if !values.is_empty() => values.iter().any(|value| !refuses(one, value)),
        _ => true,
    }
}
