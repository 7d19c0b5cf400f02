//! By what a quantity is charged: what a billing statement and a FOCUS file say of it.

use wire::usage::Class;

use super::rating::{By, Line, Rated};
use crate::money::Price;

/// What stands in place of [`Basis::Unpriced`] where that is no lack of a price: it was taken back, or takes back what had none.
pub const WAS_UNPRICED: &str = "was_unpriced";

/// By what a quantity is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// The price that the book names for it.
    Price(Price),
    /// A price that stands in for one that the book does not name.
    Fallback(Price),
    /// What the response of each call says that it costs.
    Stated,
    /// Nothing by itself: what decides in place of the book's prices.
    Free(Free),
    /// There is no price: the cost is unknown, not nothing.
    Unpriced,
}

wire::words! {
    /// Why a quantity costs nothing by itself.
    #[derive(PartialOrd, Ord)]
    Free {
        /// It is in the price that the response states.
        Own "own",
        /// The provider bills nothing for such a call.
        NotBilled "not_billed",
        /// It was served by throughput that is paid for by time.
        Prepaid "prepaid",
    }
}

impl Basis {
    /// The price of one unit, if there is one.
    pub fn price(self) -> Option<Price> {
        match self {
            Basis::Price(price) | Basis::Fallback(price) => Some(price),
            Basis::Stated | Basis::Free(_) | Basis::Unpriced => None,
        }
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Basis::Price(_) => "price",
            Basis::Fallback(_) => "fallback",
            Basis::Stated => "stated",
            Basis::Free(free) => free.as_str(),
            Basis::Unpriced => "unpriced",
        }
    }
}

impl Line {
    /// By what it is charged, where this decided in place of the book's prices.
    pub fn basis(&self, by: Option<By>) -> Basis {
        let free = match by {
            Some(By::Own) if self.class == Class::Requests => return Basis::Stated,
            Some(By::Own) => Some(Free::Own),
            Some(By::NotBilled) => Some(Free::NotBilled),
            Some(By::Prepaid) => Some(Free::Prepaid),
            None => None,
        };
        match (self.rated, free) {
            (Rated::Unpriced, _) => Basis::Unpriced,
            (Rated::Priced { price, .. } | Rated::Fallback { price, .. }, Some(free)) if price == Price::ZERO => {
                Basis::Free(free)
            }
            (Rated::Priced { price, .. }, _) => Basis::Price(price),
            (Rated::Fallback { price, .. }, _) => Basis::Fallback(price),
        }
    }
}
