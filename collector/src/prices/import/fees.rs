//! What a person wrote down from a vendor's page: what tools cost, models that no list has, and surcharges, as TOML.

use std::collections::BTreeSet;

use jiff::civil::Date;
use toml::{Table, Value};

use super::draft::{Conditions, Draft, Prices, Rates, only};
use super::history::paid;
use super::{Fee, Import, Surcharge};
use crate::money::Price;
use crate::prices::keys::{MODEL, PRICE, PROVIDER, QUALITY, SEARCH_TOOL, SIZE, SURCHARGE, VALID_FROM};

const FEE: &str = "fee";
/// Where a price is from, and the day on which it was written down.
const EVIDENCE: [&str; 2] = ["source", "date"];

pub(super) fn read(text: &str, import: &mut Import<'_>) -> Result<(), String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| format!("is not TOML: {}", error.message()))?;
    if let Some(key) = table.keys().find(|key| ![FEE, PRICE, SURCHARGE].contains(&key.as_str())) {
        return Err(format!(
            "{key}: is not known; a list kept by hand has [[fee]], [[price]] and [[surcharge]] tables only"
        ));
    }
    if table.is_empty() {
        return Err("has no [[fee]], [[price]] or [[surcharge]] in it".to_owned());
    }
    for (kind, rows) in &table {
        let rows = rows.as_array().ok_or_else(|| format!("{kind}: must be a list of tables, [[{kind}]]"))?;
        for (number, row) in rows.iter().enumerate() {
            let name = format!("{kind}[{number}]");
            let row = row.as_table().ok_or_else(|| format!("{name}: must be a table, [[{kind}]]"))?;
            let row = Row::read(kind, row, import.options.valid_from).map_err(|problem| format!("{name}{problem}"))?;
            take(&name, kind, row, import);
        }
    }
    Ok(())
}

/// One table.
struct Row {
    provider: String,
    models: Vec<String>,
    from: Date,
    conditions: Conditions,
    prices: Prices,
}

impl Row {
    fn read(kind: &str, row: &Table, valid_from: Date) -> Result<Row, String> {
        let text = |key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
        let provider = text(PROVIDER).ok_or(".provider: must be a text")?;
        for key in EVIDENCE {
            if text(key).is_none_or(|text| text.is_empty()) {
                return Err(format!(".{key}: must be a text; a price that nobody can look up is no fact"));
            }
        }
        let models = match row.get(MODEL) {
            None if kind == FEE => Vec::new(),
            Some(Value::String(model)) => vec![model.clone()],
            Some(Value::Array(models)) => models.iter().filter_map(|model| model.as_str().map(str::to_owned)).collect(),
            _ => return Err(".model: must be a name or a list of names".to_owned()),
        };
        let mut read = Row { provider, models, from: valid_from, conditions: Conditions::new(), prices: Prices::new() };
        let known = |key: &str| [PROVIDER, MODEL].contains(&key) || EVIDENCE.contains(&key);
        for (key, value) in row.iter().filter(|(key, _)| !known(key)) {
            match key.as_str() {
                VALID_FROM if kind != FEE => {
                    let day = crate::prices::day(&value.as_datetime().map(ToString::to_string).unwrap_or_default());
                    read.from = day.ok_or(".valid_from: must be a date such as 2026-01-31")?;
                }
                SIZE | QUALITY if kind == PRICE => {
                    let value = value.as_str().ok_or_else(|| format!(".{key}: must be a text"))?;
                    let key = if key == SIZE { SIZE } else { QUALITY };
                    read.conditions.extend(only(key, [value.to_owned()]));
                }
                SEARCH_TOOL if kind == FEE => {
                    let value = value.as_str().ok_or(".search_tool: must be a text")?;
                    read.conditions.extend(only(SEARCH_TOOL, [value.to_owned()]));
                }
                _ => {
                    let paid =
                        paid(key).ok_or_else(|| format!(".{key}: is not known; allowed are {}", allowed(kind)))?;
                    let price = value.as_str().ok_or("must be a decimal number in quotes").and_then(Price::parse);
                    read.prices.insert(paid, price.map_err(|why| format!(".{key}: {why}"))?);
                }
            }
        }
        if read.prices.is_empty() { Err(": names no price".to_owned()) } else { Ok(read) }
    }
}

fn allowed(kind: &str) -> &'static str {
    match kind {
        FEE => "provider, model, source, date, search_tool and prices",
        PRICE => "provider, model, source, date, valid_from, size, quality and prices",
        _ => "provider, model, source, date, valid_from and prices",
    }
}

fn take(name: &str, kind: &str, row: Row, import: &mut Import<'_>) {
    let Row { provider, models, from, conditions, prices } = row;
    let source = format!("{name} {provider}");
    import.models.insert(source.clone());
    if !import.wants(&provider) {
        return;
    }
    match kind {
        FEE => import.fees.push(Fee { provider, models, conditions, prices }),
        SURCHARGE => import.surcharges.push(Surcharge { provider, models, from, prices }),
        _ => {
            import.drafts.push(Draft {
                provider,
                models: models.iter().map(|model| model.to_lowercase()).collect(),
                except: BTreeSet::new(),
                aliases: BTreeSet::new(),
                from,
                to: None,
                conditions,
                rates: Rates { prices, ..Rates::default() },
                sources: BTreeSet::from([source]),
                rank: 0,
            });
            return;
        }
    }
    import.taken.insert(source);
}
