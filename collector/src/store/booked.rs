//! What is booked for a tenant in a month: the question that a billing statement is made from.

use super::entry::{Entry, EntryId, Kind};
use super::months::Month;
use crate::tenant::is_within;

/// Which entries of a writer's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    /// The month in which they count: that in which their calls began, unless it was closed before.
    pub month: Month,
    /// Who is charged.
    pub tenant: String,
    /// Whether tenants below it are meant too: `acme/ml` is below `acme`.
    pub below: bool,
    /// The last entry of the chain that is asked for.
    pub until: EntryId,
}

impl Booked {
    /// Whether an entry is one of them.
    pub fn includes(&self, entry: &Entry) -> bool {
        let is_tenant = entry.tenant == self.tenant || self.below && is_within(&entry.tenant, &self.tenant);
        let counts = match &entry.billed {
            Some(day) => Month::of_day(day),
            None => Month::of(entry.started_ns),
        };
        let is_booked = entry.kind.is_charged() || entry.kind == Kind::Reversal;
        let is_there = entry.id.writer == self.until.writer && entry.id.number <= self.until.number;
        is_booked && is_there && is_tenant && counts == Some(self.month)
    }

    /// When its month begins, and when it ends, ns.
    pub fn begins_and_ends_ns(&self) -> (i64, i64) {
        (self.month.begins_ns(), self.month.ends_ns())
    }

    /// The first day of its month and the last, as entries have the day on which they count.
    pub fn days(&self) -> (String, String) {
        (self.month.first_day().to_string(), self.month.last_day().to_string())
    }
}
