//! A model's prices in genai-prices' words, by class and context.

use serde::Deserialize;
use serde_json::value::RawValue;
use wire::usage::Class;

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
        let Some((paid, unit)) = paid(key) else {
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
        for &paid in paid {
            rates.prices.insert(paid, import.price(tiered.base.get(), unit, paid, key, source)?);
            for tier in &tiered.tiers {
                let Some(above) = Decimal::from_json(tier.start.get()).ok().and_then(Decimal::whole) else {
                    import.notes.add("left out, a tier of its prices has no bound", source);
                    return None;
                };
                let price = import.price(tier.price.get(), unit, paid, key, source)?;
                rates.contexts.entry(above).or_default().insert(paid, price);
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

macro_rules! paid {
    ($($class:ident)+) => { &[$(Class::$class),+] };
}

/// What a price of the list is for.
fn paid(key: &str) -> Option<(&'static [Class], Unit)> {
    let paid: &'static [Class] = match key {
        "input_mtok" | "input_text_mtok" => paid![InputText],
        "output_mtok" | "output_text_mtok" => paid![OutputText],
        "cache_read_mtok" | "cache_text_read_mtok" => paid![CacheRead],
        "cache_write_mtok" | "cache_text_write_mtok" => paid![CacheWrite5m CacheWriteOther],
        "cache_write_5m_mtok" | "cache_text_write_5m_mtok" => paid![CacheWrite5m],
        "cache_write_1h_mtok" | "cache_text_write_1h_mtok" => paid![CacheWrite1h],
        "input_audio_mtok" => paid![InputAudio],
        "input_image_mtok" => paid![InputImage],
        "input_video_mtok" => paid![InputVideo],
        "input_tool_mtok" => paid![InputTool],
        "cache_audio_read_mtok" => paid![CacheReadAudio],
        "cache_image_read_mtok" => paid![CacheReadImage],
        "cache_video_read_mtok" => paid![CacheReadVideo],
        "output_reasoning_mtok" => paid![OutputReasoning],
        "output_audio_mtok" => paid![OutputAudio],
        "output_image_mtok" => paid![OutputImage],
        "output_video_mtok" => paid![OutputVideo],
        "output_citation_mtok" => paid![OutputCitation],
        "web_searches_kcount" => paid![WebSearches],
        "storage_searches_kcount" => paid![FileSearches],
        "input_mchars" => paid![Characters],
        "input_document_kpages" => paid![Pages],
        "input_annotated_document_kpages" => paid![AnnotatedPages],
        "requests_kcount" => &[Class::Requests],
        "audio_hours" | "input_audio_hours" => return Some((paid![AudioSeconds], Unit::Hour)),
        _ => return None,
    };
    Some((paid, Unit::Same))
}
