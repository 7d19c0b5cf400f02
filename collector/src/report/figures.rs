//! Which figures of a report are shown, and how far the ledger had got when they were read.

use crate::store::Head;

/// Which figures are shown. Calls and evidence always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Figures {
    /// All of them.
    #[default]
    All,
    /// Quantities.
    Usage,
    /// Charge and cost, and what they leave out.
    Costs,
}

impl Figures {
    /// Whether quantities are shown.
    pub fn has_usage(self) -> bool {
        self != Figures::Costs
    }

    /// Whether amounts are shown.
    pub fn has_costs(self) -> bool {
        self != Figures::Usage
    }
}

/// How far the ledger had got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Where its chains ended before the figures were read: they have every entry up to there.
    pub heads: Vec<Head>,
    /// Whether the chains ended there afterwards, too. If not, some later entries may be among the figures.
    pub exact: bool,
}
