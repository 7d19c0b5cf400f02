//! What multiplies a model's prices of tokens: where it is served, and how fast.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::super::Import;
use super::super::decimal::Decimal;
use super::super::draft::{Conditions, Factor, only};
use super::Model;
use super::name::REGION;

/// Multipliers by the region that a host or a profile names.
const BY_REGION: [(&str, &[&str]); 4] = [
    ("regional_processing_uplift_multiplier_eu", &["eu"]),
    ("regional_processing_uplift_multiplier_us", &["us"]),
    // gov.api.openai.com.
    ("fedramp_uplift_multiplier", &["gov"]),
    ("regional_endpoint_uplift_multiplier", NOT_GLOBAL),
];
/// Google's regions and multi-regions.
const NOT_GLOBAL: &[&str] = &["!global"];
const SPECIFIC: &str = "provider_specific_entry";
/// What multiplies by the speed that the response names, and by where it says that inference ran.
const SPEEDS: [&str; 1] = ["fast"];
const PLACES: [&str; 2] = ["eu", "us"];

pub(super) fn read(key: &str, model: &Model<'_>, import: &mut Import<'_>) -> Vec<Factor> {
    let mut factors = Vec::new();
    for (name, regions) in BY_REGION {
        if let Some(value) = model.get(name) {
            let regions = regions.iter().map(|&region| region.to_owned());
            factors.extend(factor(key, name, value, only(REGION, regions), import));
        }
    }
    let specific =
        model.get(SPECIFIC).and_then(|value| serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get()).ok());
    for (name, value) in specific.into_iter().flatten() {
        let conditions = match name.as_str() {
            speed if SPEEDS.contains(&speed) => only("speed", [name.clone()]),
            place if PLACES.contains(&place) => only("inference_geo", [name.clone()]),
            // All others are about requests, not prices.
            _ => continue,
        };
        factors.extend(factor(key, &name, value, conditions, import));
    }
    factors
}

/// `None` for one that changes nothing, and for one that no price book can hold, which is noted.
fn factor(key: &str, what: &str, value: &RawValue, conditions: Conditions, import: &mut Import<'_>) -> Option<Factor> {
    if value.get() == "null" {
        return None;
    }
    match Decimal::from_json(value.get()).ok().and_then(Decimal::factor) {
        Some(factor) if factor == "1" => None,
        Some(factor) => Some(Factor { factor, conditions, classes: Vec::new() }),
        None => {
            import.notes.add(format!("without {what}, which is no factor"), key);
            None
        }
    }
}
