//! The lines of a statement as every format shows them.

use super::line::{Item, Key};
use super::{BillingStatement, Line};
use crate::money::Charge;
use crate::prices::{Basis, price_is_per};

/// What stands for a class in lines of discounts and mark-ups.
pub const MARKUP: &str = "discount_or_markup";

/// What stands for the basis of what had no price in a closed month, and is taken back.
pub const WAS_UNPRICED: &str = crate::prices::WAS_UNPRICED;

/// A line as it is shown; names are as they were sent.
pub struct Shown<'a> {
    /// From 1.
    pub number: usize,
    pub key: &'a Key,
    /// The class of usage, or that it is a discount or a mark-up.
    pub item: &'static str,
    /// By what it is charged.
    pub basis: &'static str,
    pub quantity: Option<i128>,
    /// USD, for so many.
    pub price: Option<String>,
    pub per: Option<u32>,
    /// By what the list price is multiplied.
    pub factor: Option<&'a str>,
    /// The list price that this is on.
    pub base: Option<String>,
    /// To the last decimal; nothing if there is no price.
    pub exact: Option<String>,
    pub amount: Option<String>,
}

impl BillingStatement {
    /// The lines, in their order.
    pub(super) fn shown(&self) -> impl Iterator<Item = Shown<'_>> {
        self.lines.iter().zip(1..).map(|(line, number)| self.line(line, number))
    }

    fn line<'a>(&self, Line { key, part, rounded }: &'a Line, number: usize) -> Shown<'a> {
        let exact = rounded.map(|_| part.amount.to_string());
        let amount = rounded.map(|amount| self.amount(amount));
        let shown = Shown {
            number,
            key,
            item: MARKUP,
            basis: MARKUP,
            quantity: None,
            price: None,
            per: None,
            factor: None,
            base: None,
            exact,
            amount,
        };
        match &key.item {
            Item::Usage { class, basis } => {
                let price = basis.price();
                Shown {
                    item: class.name(),
                    basis: if key.is_unpriced() && rounded.is_some() { WAS_UNPRICED } else { Basis::word(*basis) },
                    quantity: Some(part.quantity),
                    price: price.map(|price| price.to_string()),
                    per: price.map(|_| price_is_per(*class).units()),
                    ..shown
                }
            }
            Item::Adjustment { factor } => {
                Shown { factor: factor.as_deref(), base: Some(part.base.to_string()), ..shown }
            }
        }
    }

    /// A rounded amount with all decimals that it was rounded to, so that columns are even.
    pub(super) fn amount(&self, amount: Charge) -> String {
        let mut text = amount.to_string();
        let has = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let missing = usize::from(self.question.round).saturating_sub(has);
        text.extend(std::iter::repeat_n('0', missing));
        text
    }

    /// Whether the month can still change, in words.
    pub(super) fn state(&self) -> String {
        match self.closed {
            Some(by) => format!("closed by entry {by}: it does not change any more"),
            None => "open: it can still change".to_owned(),
        }
    }

    /// The adjusted months of which there are lines, and whether there are any.
    pub(super) fn has_adjusted(&self) -> bool {
        self.lines.iter().any(|line| !line.key.adjusts.is_empty())
    }
}

/// What a price is for, as lists have it.
pub fn per_text(per: u32) -> &'static str {
    if per == 1_000_000 { "1M" } else { "1K" }
}
