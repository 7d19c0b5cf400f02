//! A model's prices in genai-prices' words, by class and context.

use meter::usage::Class;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Named;
use crate::prices::import::Import;
use crate::prices::import::decimal::{Decimal, Unit};
use crate::prices::import::draft::Rates;

#[derive(Deserialize)]
struct Tiered<'a> {
    #[serde(borrow)]
    base: &'a RawValue,
    #[serde(borrow)]
    tiers: Vec<Tier<'a>>,
}

#[derive(Deserialize)]
struct Tier<'a> {
    #[serde(borrow)]
    start: &'a RawValue,
    #[serde(borrow)]
    price: &'a RawValue,
}

/// The prices by class and context; `None` if one of them cannot be carried.
pub(super) fn rates(prices: &Named<'_>, source: &str, import: &mut Import<'_>) -> Option<Rates> {
    let mut rates = Rates::default();
    let mut paid_apart = false;
    // From the general to the special: what is said of some cache writes stands over what is said of all.
    let by_length = |(one, _): &(&String, _), (other, _): &(&String, _)| (one.len(), *one).cmp(&(other.len(), *other));
    let mut sorted: Vec<(&String, &&RawValue)> = prices.iter().filter(|(_, value)| value.get() != "null").collect();
    sorted.sort_by(by_length);
    for (key, value) in sorted {
        let Some((classes, unit)) = classes(key) else {
            if !Decimal::from_json(value.get()).is_ok_and(Decimal::is_zero) {
                import.notes.add(format!("without {key}, which is not counted"), source);
                paid_apart = true;
            }
            continue;
        };
        let tiered = if value.get().starts_with('{') {
            let Ok(tiered) = serde_json::from_str::<Tiered<'_>>(value.get()) else {
                import.notes.add("left out, its prices are not in a form that is known", source);
                return None;
            };
            tiered
        } else {
            Tiered { base: value, tiers: Vec::new() }
        };
        for &class in classes {
            rates.prices.insert(class, import.price(tiered.base.get(), unit, class, key, source)?);
            for tier in &tiered.tiers {
                let Some(above) = Decimal::from_json(tier.start.get()).ok().and_then(Decimal::whole) else {
                    import.notes.add("left out, a tier of its prices has no bound", source);
                    return None;
                };
                let price = import.price(tier.price.get(), unit, class, key, source)?;
                rates.contexts.entry(above).or_default().insert(class, price);
            }
        }
    }
    rates.complete();
    if rates.is_free() && paid_apart {
        import.notes.add("left out, what is left of its prices is zero", source);
        return None;
    }
    Some(rates)
}

/// What a price of the list is for.
fn classes(key: &str) -> Option<(&'static [Class], Unit)> {
    let classes: &'static [Class] = match key {
        "input_mtok" | "input_text_mtok" => &[Class::InputText],
        "output_mtok" | "output_text_mtok" => &[Class::OutputText],
        "cache_read_mtok" | "cache_text_read_mtok" => &[Class::CacheRead],
        "cache_write_mtok" | "cache_text_write_mtok" => &[Class::CacheWrite5m, Class::CacheWriteOther],
        "cache_write_5m_mtok" | "cache_text_write_5m_mtok" => &[Class::CacheWrite5m],
        "cache_write_1h_mtok" | "cache_text_write_1h_mtok" => &[Class::CacheWrite1h],
        "input_audio_mtok" => &[Class::InputAudio],
        "input_image_mtok" => &[Class::InputImage],
        "input_video_mtok" => &[Class::InputVideo],
        "input_tool_mtok" => &[Class::InputTool],
        "cache_audio_read_mtok" => &[Class::CacheReadAudio],
        "cache_image_read_mtok" => &[Class::CacheReadImage],
        "cache_video_read_mtok" => &[Class::CacheReadVideo],
        "output_reasoning_mtok" => &[Class::OutputReasoning],
        "output_audio_mtok" => &[Class::OutputAudio],
        "output_image_mtok" => &[Class::OutputImage],
        "output_video_mtok" => &[Class::OutputVideo],
        "output_citation_mtok" => &[Class::OutputCitation],
        "web_searches_kcount" => &[Class::WebSearches],
        "audio_hours" | "input_audio_hours" => return Some((&[Class::AudioSeconds], Unit::Hour)),
        _ => return None,
    };
    Some((classes, Unit::Same))
}
