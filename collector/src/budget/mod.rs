//! Budgets: how much the calls of a window of time may cost, in tokens or in money. Rules only, without I/O and without a clock.
//!
//! The collector keeps the [`balance`] of every window in the transaction that charges. Workers hold leases of it,
//! which [`grant`] gives, and spend from them without asking. What the ledger's transactions do with both is in
//! `ledger::budgets` and `ledger::leases`.

pub mod amount;
pub mod balance;
pub mod definition;
pub mod draft;
pub mod grant;
pub mod period;
pub mod set;

pub use amount::Amount;
pub use definition::Definition;
pub use draft::Draft;
pub use period::{Period, Span, Zone};
pub use set::Budgets;
