//! A rating as JSON: for explanations, and for the ledger as a stream.

use serde::Serialize;
use wire::usage::Class;

use crate::prices::{Line, Rated, Rating, price_is_per};

/// How an entry was rated.
#[derive(Serialize)]
pub(crate) struct RatingOf<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<&'a str>,
    lines: Vec<RatedLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'static str>,
    /// What the response says that the call costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    stated: Option<String>,
    /// What the book says, where the provider's own price was charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    book: Option<String>,
}

#[derive(Serialize)]
struct RatedLine {
    class: &'static str,
    quantity: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<String>,
    /// How many one price is for.
    per: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    fallback: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unpriced: bool,
}

/// A rating, to be written as JSON.
pub(crate) fn rating(rating: &Rating) -> RatingOf<'_> {
    RatingOf {
        entry: rating.entry.as_deref(),
        lines: rating.lines.iter().map(line).collect(),
        by: rating.by.map(|by| by.as_str()),
        stated: rating.own.map(|own| own.to_string()),
        book: rating.book.map(|book| book.to_string()),
    }
}

fn line(line: &Line) -> RatedLine {
    RatedLine {
        class: Class::name(line.class),
        quantity: line.quantity,
        price: line.rated.price().map(|price| price.to_string()),
        per: price_is_per(line.class).units(),
        list: line.list().map(|list| list.to_string()),
        charge: line.rated.charge().map(|charge| charge.to_string()),
        cost: line.rated.cost().map(|cost| cost.to_string()),
        fallback: matches!(line.rated, Rated::Fallback { .. }),
        unpriced: line.rated == Rated::Unpriced,
    }
}
