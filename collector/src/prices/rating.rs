//! How a call was rated: the form in which it stands in the ledger, written and read back exactly.

use std::fmt::Write;

use jiff::civil::Date;
use meter::usage::{Class, Usage};
use serde_json::Value;

use crate::money::{Charge, Price};

/// What is rated: one call, or a part of one.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Who answered.
    pub provider: &'a str,
    /// The model that answered.
    pub model: &'a str,
    /// The day (UTC) on which the call began.
    pub day: Date,
    /// The service tier that the provider says it used.
    pub service_tier: Option<&'a str>,
    /// The counts.
    pub usage: &'a Usage,
}

/// How a call was rated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rating {
    /// The entry of the price book: provider, model, first day, then service tier and context where they decided.
    pub entry: Option<String>,
    /// What was counted and is charged, in the order of the classes. Nothing of something has no line.
    pub lines: Vec<Line>,
}

/// A count and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// What is counted; never information only.
    pub class: Class,
    /// How many.
    pub quantity: u64,
    /// What it costs.
    pub rated: Rated,
}

/// What a count costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rated {
    /// By the price that the book names for it.
    Priced {
        /// USD per million tokens or per thousand units.
        price: Price,
        /// The price times the quantity.
        charge: Charge,
    },
    /// By a price that stands in for one that the book does not name: another class's, or the standard service tier's.
    Fallback {
        /// USD per million tokens or per thousand units.
        price: Price,
        /// The price times the quantity.
        charge: Charge,
    },
    /// There is no price: the cost is unknown, not nothing.
    Unpriced,
}

impl Rated {
    /// What is charged, if there is a price.
    pub fn charge(self) -> Option<Charge> {
        match self {
            Rated::Priced { charge, .. } | Rated::Fallback { charge, .. } => Some(charge),
            Rated::Unpriced => None,
        }
    }
}

const ENTRY: &str = "entry";
const LINES: &str = "lines";
const FALLBACK: &str = "fallback";

impl Rating {
    /// The sum of all that has a price.
    pub fn charge(&self) -> Charge {
        self.checked_charge().unwrap_or_default()
    }

    /// `None` only for a sum beyond 128 bits, which no counts and prices make, and [`Rating::from_json`] refuses.
    fn checked_charge(&self) -> Option<Charge> {
        let charges = self.lines.iter().filter_map(|line| line.rated.charge());
        charges.into_iter().try_fold(Charge::default(), Charge::checked_add)
    }

    /// One line of JSON, the same for the same rating: `{"entry":…,"lines":[["input_text_tokens",5,"2.50","0.0000125"]]}`.
    /// After price and charge stands `"fallback"` where that is what they are; without a price a line ends after its count.
    pub fn to_json(&self) -> String {
        let entry = self.entry.as_deref().map_or(Value::Null, Value::from);
        let mut json = format!("{{\"{ENTRY}\":{entry},\"{LINES}\":[");
        for (at, Line { class, quantity, rated }) in self.lines.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let name = class.name();
            // Names and numbers need no escapes, and writing into a text cannot fail.
            let _ = match rated {
                Rated::Unpriced => write!(json, "{comma}[\"{name}\",{quantity}]"),
                Rated::Priced { price, charge } => {
                    write!(json, "{comma}[\"{name}\",{quantity},\"{price}\",\"{charge}\"]")
                }
                Rated::Fallback { price, charge } => {
                    write!(json, "{comma}[\"{name}\",{quantity},\"{price}\",\"{charge}\",\"{FALLBACK}\"]")
                }
            };
        }
        json.push_str("]}");
        json
    }

    /// Reads what [`Rating::to_json`] wrote, and nothing else.
    pub fn from_json(text: &str) -> Result<Rating, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("rating: is not JSON: {error}"))?;
        let entry = match value.get(ENTRY) {
            Some(Value::String(entry)) => Some(entry.clone()),
            Some(Value::Null) => None,
            _ => return Err("rating.entry: must be a text or null".to_owned()),
        };
        let lines = value.get(LINES).and_then(Value::as_array).ok_or("rating.lines: must be a list")?;
        let lines = lines
            .iter()
            .enumerate()
            .map(|(number, line)| line_from(line).map_err(|problem| format!("rating.lines[{number}]: {problem}")));
        let rating = Rating { entry, lines: lines.collect::<Result<_, _>>()? };
        if rating.checked_charge().is_none() {
            return Err("rating: the sum of its charges does not fit in 128 bits".to_owned());
        }
        if rating.to_json() != text {
            return Err("rating: is not written as ratings are: one line, no spaces, nothing else in it".to_owned());
        }
        Ok(rating)
    }
}

fn line_from(value: &Value) -> Result<Line, String> {
    const FORM: &str =
        "must be [class, count], with price and charge if it has a price, and \"fallback\" if that is what they are";
    let parts = value.as_array().ok_or(FORM)?;
    let text = |at: usize| parts.get(at).and_then(Value::as_str).ok_or(FORM);
    let class = Class::from_name(text(0)?).ok_or("names no class of usage")?;
    let quantity = parts.get(1).and_then(Value::as_u64).ok_or(FORM)?;
    let rated = match parts.len() {
        2 => Rated::Unpriced,
        length => {
            let price = Price::parse(text(2)?).map_err(|problem| format!("price {problem}"))?;
            let charge = text(3)?.parse().map_err(|problem| format!("charge {problem}"))?;
            match length {
                4 => Rated::Priced { price, charge },
                5 if text(4)? == FALLBACK => Rated::Fallback { price, charge },
                _ => return Err(FORM.to_owned()),
            }
        }
    };
    Ok(Line { class, quantity, rated })
}
