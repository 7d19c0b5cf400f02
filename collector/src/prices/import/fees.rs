//! What tools cost, as a person wrote it down from a vendor's page: TOML, [[fee]] tables.

use toml::{Table, Value};

use super::draft::Prices;
use super::history::paid;
use super::{Fee, Import};
use crate::money::Price;

const ALLOWED: &str = "provider, model, source, date and prices";

pub(super) fn read(text: &str, import: &mut Import<'_>) -> Result<(), String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| format!("is not TOML: {}", error.message()))?;
    if let Some(key) = table.keys().find(|key| *key != "fee") {
        return Err(format!("{key}: is not known; a list of fees has [[fee]] tables only"));
    }
    let fees = table.get("fee").and_then(Value::as_array).ok_or("has no [[fee]] in it")?;
    for (number, fee) in fees.iter().enumerate() {
        let problem = |what: &str| format!("fee[{number}]{what}");
        let fee = fee.as_table().ok_or_else(|| problem(": must be a table, [[fee]]"))?;
        let text = |key: &str| fee.get(key).and_then(Value::as_str).map(str::to_owned);
        let provider = text("provider").ok_or_else(|| problem(".provider: must be a text"))?;
        for key in ["source", "date"] {
            if text(key).is_none_or(|text| text.is_empty()) {
                return Err(problem(&format!(".{key}: must be a text; a price that nobody can look up is no fact")));
            }
        }
        let models = match fee.get("model") {
            None => Vec::new(),
            Some(Value::String(model)) => vec![model.clone()],
            Some(Value::Array(models)) => models.iter().filter_map(|model| model.as_str().map(str::to_owned)).collect(),
            Some(_) => return Err(problem(".model: must be a name or a list of names")),
        };
        let mut prices = Prices::new();
        for (key, value) in
            fee.iter().filter(|(key, _)| !["provider", "model", "source", "date"].contains(&key.as_str()))
        {
            let paid = paid(key).ok_or_else(|| problem(&format!(".{key}: is not known; allowed are {ALLOWED}")))?;
            let price = value.as_str().ok_or("must be a decimal number in quotes").and_then(Price::parse);
            prices.insert(paid, price.map_err(|why| problem(&format!(".{key}: {why}")))?);
        }
        if prices.is_empty() {
            return Err(problem(": names no price"));
        }
        let source = format!("fee[{number}] {provider}");
        import.models.insert(source.clone());
        if import.wants(&provider) {
            import.taken.insert(source);
            import.fees.push(Fee { provider, models, prices });
        }
    }
    Ok(())
}
