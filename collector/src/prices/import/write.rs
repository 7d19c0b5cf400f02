//! Drafts as a price book, TOML: one line a field, so that what changes between two books is seen line by line.

use super::draft::{Conditions, Draft, Factor, Prices};
use super::{Alias, Surcharge};
use crate::prices::keys::{
    ABOVE, ALIAS, CLASSES, CONTEXT, FACTOR, IS, MODEL, PRICE, PROVIDER, SURCHARGE, VALID_FROM, VALID_TO, WEEKDAYS,
};
use crate::prices::read::NOT;
use crate::terminal::is_plain;

pub(super) fn toml(header: &str, drafts: &[Draft], aliases: &[Alias], surcharges: &[Surcharge]) -> String {
    let mut text = header.to_owned();
    for Alias { provider, model, is } in aliases {
        let (provider, model, is) = (quoted(provider), quoted(model), quoted(is));
        text.push_str(&format!("\n[[{ALIAS}]]\n{PROVIDER} = {provider}\n{MODEL} = {model}\n{IS} = {is}\n"));
    }
    for Surcharge { provider, models, from, prices } in surcharges {
        text.push_str(&format!("\n[[{SURCHARGE}]]\n{PROVIDER} = {}\n", quoted(provider)));
        push_models(&mut text, &models.iter().map(|model| quoted(model)).collect::<Vec<_>>());
        text.push_str(&format!("{VALID_FROM} = {from}\n"));
        push_prices(&mut text, prices);
    }
    for draft in drafts {
        text.push_str(&format!("\n[[{PRICE}]]\n{PROVIDER} = {}\n", quoted(&draft.provider)));
        let not = draft.except.iter().map(|except| format!("{NOT}{except}"));
        let models: Vec<String> = draft.models.iter().cloned().chain(not).map(|model| quoted(&model)).collect();
        push_models(&mut text, &models);
        text.push_str(&format!("{VALID_FROM} = {}\n", draft.from));
        if let Some(to) = draft.to {
            text.push_str(&format!("{VALID_TO} = {to}\n"));
        }
        push_conditions(&mut text, &draft.conditions);
        push_prices(&mut text, &draft.rates.prices);
        for (above, prices) in &draft.rates.contexts {
            text.push_str(&format!("[[{PRICE}.{CONTEXT}]]\n{ABOVE} = {above}\n"));
            push_prices(&mut text, prices);
        }
        for Factor { factor, conditions, classes } in &draft.rates.factors {
            text.push_str(&format!("[[{PRICE}.{FACTOR}]]\n{FACTOR} = \"{factor}\"\n"));
            push_conditions(&mut text, conditions);
            if !classes.is_empty() {
                let classes: Vec<String> = classes.iter().map(|class| quoted(class)).collect();
                text.push_str(&format!("{CLASSES} = [{}]\n", classes.join(", ")));
            }
        }
    }
    text
}

fn push_models(text: &mut String, models: &[String]) {
    match models {
        [model] => text.push_str(&format!("{MODEL} = {model}\n")),
        _ => text.push_str(&format!("{MODEL} = [\n  {},\n]\n", models.join(",\n  "))),
    }
}

fn push_conditions(text: &mut String, conditions: &Conditions) {
    for (key, values) in conditions {
        let values = values.iter().map(|value| if *key == WEEKDAYS { value.clone() } else { quoted(value) });
        text.push_str(&format!("{key} = [{}]\n", values.collect::<Vec<_>>().join(", ")));
    }
}

fn push_prices(text: &mut String, prices: &Prices) {
    for (paid, price) in prices {
        text.push_str(&format!("{} = \"{price}\"\n", paid.token_type()));
    }
}

/// A TOML text. What JSON escapes, TOML escapes alike, but beyond 16 bits: it knows no pairs.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let safe = |c: char| if is_plain(c) { c.to_string() } else { format!("\\U{:08x}", u32::from(c)) };
    json.chars().map(safe).collect()
}
