//! How a call was rated: the form in which it stands in the ledger, written and read back exactly.

use std::fmt::Write;

use serde_json::Value;
use wire::usage::Class;

use super::entry::per;
use crate::money::{Charge, Per, Price};

/// How a call was rated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rating {
    /// The entry of the price book: provider, model, first day, then all that made it hold.
    pub entry: Option<String>,
    /// What was counted and is charged, in the order of the classes. Nothing of something has no line.
    pub lines: Vec<Line>,
    /// What decided, if it was not the book's prices.
    pub by: Option<By>,
    /// What the provider says that the call cost, unless the policy is to ignore it.
    pub own: Option<Charge>,
    /// What the provider charges by the book, where its own price was charged and the book has all prices.
    pub book: Option<Charge>,
}

wire::words! {
    /// What decides in place of the book's prices.
    By {
        /// The provider's own price is charged, in the line of the request; the other lines cost nothing beside it.
        Own "own",
        /// The provider bills nothing for such a call.
        NotBilled "not_billed",
        /// Tokens were served by throughput that is paid for by time.
        Prepaid "prepaid",
    }
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

/// What a price of a class is for.
pub fn price_is_per(class: Class) -> Per {
    per(class)
}

impl Line {
    /// What it costs by the list price, before discounts and mark-ups, if there is a price.
    pub fn list(&self) -> Option<Charge> {
        self.rated.price()?.of(self.quantity, per(self.class))
    }
}

/// What a count costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rated {
    /// By the price that the book names for it.
    Priced {
        /// The list price: USD per million tokens or per thousand units.
        price: Price,
        /// What the tenant pays.
        charge: Charge,
        /// What the provider charges.
        cost: Charge,
    },
    /// By a price that stands in for one that the book does not name: another class's, or the standard service tier's.
    Fallback {
        /// The list price: USD per million tokens or per thousand units.
        price: Price,
        /// What the tenant pays.
        charge: Charge,
        /// What the provider charges.
        cost: Charge,
    },
    /// There is no price: the cost is unknown, not nothing.
    Unpriced,
}

impl Rated {
    /// The list price, if there is one.
    pub fn price(self) -> Option<Price> {
        match self {
            Rated::Priced { price, .. } | Rated::Fallback { price, .. } => Some(price),
            Rated::Unpriced => None,
        }
    }

    /// What is charged, if there is a price.
    pub fn charge(self) -> Option<Charge> {
        match self {
            Rated::Priced { charge, .. } | Rated::Fallback { charge, .. } => Some(charge),
            Rated::Unpriced => None,
        }
    }

    /// What the provider charges, if there is a price.
    pub fn cost(self) -> Option<Charge> {
        match self {
            Rated::Priced { cost, .. } | Rated::Fallback { cost, .. } => Some(cost),
            Rated::Unpriced => None,
        }
    }
}

const ENTRY: &str = "entry";
const LINES: &str = "lines";
const BY: &str = "by";
const OWN: &str = "own";
const BOOK: &str = "book";
const COST: &str = "cost";
const FALLBACK: &str = "fallback";

impl Rating {
    /// What the tenant pays: the sum of all that has a price.
    pub fn charge(&self) -> Charge {
        self.checked_sum(Rated::charge).unwrap_or_default()
    }

    /// What the provider charges: the sum of all that has a price.
    pub fn cost(&self) -> Charge {
        self.checked_sum(Rated::cost).unwrap_or_default()
    }

    /// Whether every count has the same price, charge and cost in another rating, whatever it says of where that is from.
    pub fn charges_as(&self, other: &Rating) -> bool {
        self.lines == other.lines && self.by == other.by
    }

    /// Whether something that was counted has no price.
    pub fn is_unpriced(&self) -> bool {
        self.lines.iter().any(|line| line.rated == Rated::Unpriced)
    }

    /// What the provider charges by the book, if that has all prices.
    pub fn by_the_book(&self) -> Option<Charge> {
        let is_priced = self.entry.is_some() && !self.is_unpriced();
        if self.by == Some(By::Own) { self.book } else { is_priced.then(|| self.cost()) }
    }

    /// For a person: a line for each count and what it costs, then what decided in place of the book.
    pub fn says(&self) -> Vec<String> {
        let line = |line: &Line| {
            let says = match line.rated {
                Rated::Unpriced => "unpriced: its cost is unknown".to_owned(),
                Rated::Priced { price, charge, cost } => format!("at {price}: {}", amounts(charge, cost)),
                Rated::Fallback { price, charge, cost } => format!("at {price}, fallback: {}", amounts(charge, cost)),
            };
            format!("{} {} {says}", line.quantity, line.class.name())
        };
        let by = self.by.map(|by| match by {
            By::Own => "the provider's own price is charged",
            By::NotBilled => "the provider bills nothing for this call",
            By::Prepaid => "its tokens are paid for by time: provisioned throughput",
        });
        self.lines.iter().map(line).chain(by.map(str::to_owned)).collect()
    }

    /// `None` only for a sum beyond 128 bits, which [`super::PriceBook::rate`] does not make, and [`Rating::from_json`] refuses.
    pub(super) fn checked_sum(&self, of: impl Fn(Rated) -> Option<Charge>) -> Option<Charge> {
        let amounts = self.lines.iter().filter_map(|line| of(line.rated));
        amounts.into_iter().try_fold(Charge::default(), Charge::checked_add)
    }

    /// One line of JSON that is the same for the same rating: the entry, then each class with its count and, if it has one,
    /// its price and charge, the mark of a price that stands in, and the cost where that is another amount; then what else
    /// there is to say.
    pub fn to_json(&self) -> String {
        let mut json = String::from("{\"entry\":");
        json.push_str(&serde_json::Value::from(self.entry.as_deref()).to_string());
        json.push_str(",\"lines\":[");
        for (number, Line { class, quantity, rated }) in self.lines.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            let name = class.name();
            // Writing to a text cannot fail.
            let _ = write!(json, "{comma}[\"{name}\",{quantity}");
            if let Rated::Priced { price, charge, cost } | Rated::Fallback { price, charge, cost } = rated {
                let _ = write!(json, ",\"{price}\",\"{charge}\"");
                if matches!(rated, Rated::Fallback { .. }) {
                    let _ = write!(json, ",\"{FALLBACK}\"");
                }
                if cost != charge {
                    let _ = write!(json, ",{{\"{COST}\":\"{cost}\"}}");
                }
            }
            json.push(']');
        }
        json.push(']');
        let mut amount = |name: &str, amount: Option<Charge>| {
            if let Some(amount) = amount {
                let _ = write!(json, ",\"{name}\":\"{amount}\"");
            }
        };
        amount(COST, Some(self.cost()).filter(|cost| *cost != self.charge()));
        amount(OWN, self.own);
        amount(BOOK, self.book);
        if let Some(by) = self.by {
            let _ = write!(json, ",\"{BY}\":\"{}\"", by.as_str());
        }
        json.push('}');
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
        let lines = lines.collect::<Result<_, _>>()?;
        let amount = |name: &str| match value.get(name) {
            None => Ok(None),
            Some(amount) => match amount.as_str().unwrap_or_default().parse::<Charge>() {
                Ok(amount) => Ok(Some(amount)),
                Err(problem) => Err(format!("rating.{name}: {problem}")),
            },
        };
        let by = match value.get(BY) {
            None => None,
            Some(word) => {
                let by = word.as_str().and_then(By::from_word);
                Some(by.ok_or("rating.by: must be own, not_billed or prepaid")?)
            }
        };
        let rating = Rating { entry, lines, by, own: amount(OWN)?, book: amount(BOOK)? };
        if rating.checked_sum(Rated::charge).is_none() || rating.checked_sum(Rated::cost).is_none() {
            return Err("rating: the sum of its charges does not fit in 128 bits".to_owned());
        }
        if rating.to_json() != text {
            return Err("rating: is not written as ratings are: one line, no spaces, nothing else in it".to_owned());
        }
        Ok(rating)
    }
}

/// An amount, and what the provider charges if that is another one.
pub fn amounts(charge: Charge, cost: Charge) -> String {
    if charge == cost { format!("{charge} USD") } else { format!("{charge} USD, cost {cost} USD") }
}

fn line_from(value: &Value) -> Result<Line, String> {
    const FORM: &str = "must be [class, count], with price and charge if it has a price, then \"fallback\" if that is what \
                        they are, and {\"cost\": …} if that is another amount";
    let parts = value.as_array().ok_or(FORM)?;
    let text = |at: usize| parts.get(at).and_then(Value::as_str).ok_or(FORM);
    let class = Class::from_name(text(0)?).ok_or("names no class of usage")?;
    let quantity = parts.get(1).and_then(Value::as_u64).ok_or(FORM)?;
    if parts.len() == 2 {
        return Ok(Line { class, quantity, rated: Rated::Unpriced });
    }
    let price = Price::parse(text(2)?).map_err(|problem| format!("price {problem}"))?;
    let charge: Charge = text(3)?.parse().map_err(|problem| format!("charge {problem}"))?;
    let (is_fallback, last) = match parts.get(4).and_then(Value::as_str) {
        Some(FALLBACK) => (true, 5),
        Some(_) => return Err(FORM.to_owned()),
        None => (false, 4),
    };
    let cost = match parts.get(last) {
        None => charge,
        Some(more) => {
            let cost = more.get(COST).and_then(Value::as_str).ok_or(FORM)?;
            cost.parse().map_err(|problem| format!("cost {problem}"))?
        }
    };
    let rated = match is_fallback {
        true => Rated::Fallback { price, charge, cost },
        false => Rated::Priced { price, charge, cost },
    };
    Ok(Line { class, quantity, rated })
}
