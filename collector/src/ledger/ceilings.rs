//! What calls can cost at most, for workers that must know it before they let one pass.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use wire::lease::{Ceiling, Priced};

use super::Ledger;
use super::leases::{LeaseRequest, may_charge};

/// Kinds of calls whose ceilings are kept; when there are more, all of them are looked up anew.
const KEPT: usize = 4096;

/// Ceilings of a day, by the book that holds.
#[derive(Debug, Default)]
pub(super) struct Ceilings {
    day: Date,
    known: HashMap<Priced, Option<Ceiling>>,
}

impl<S> Ledger<S> {
    /// The ceilings that a request asks for. What others pay is not told.
    pub(super) fn ceilings(
        &mut self,
        LeaseRequest { sender, request }: &LeaseRequest,
        now_ns: i64,
    ) -> Vec<Option<Ceiling>> {
        let now = Timestamp::from_nanosecond(now_ns.into()).unwrap_or_default();
        let day = now.to_zoned(TimeZone::UTC).date();
        if self.ceilings.day != day || self.ceilings.known.len() >= KEPT {
            self.ceilings = Ceilings { day, known: HashMap::new() };
        }
        let Some(book) = self.prices.as_deref() else { return vec![None; request.prices.len()] };
        let known = &mut self.ceilings.known;
        let ceiling = |priced: &Priced| {
            if !may_charge(&sender.limits, &priced.tenant) {
                return None;
            }
            if let Some(ceiling) = known.get(priced) {
                return *ceiling;
            }
            let ceiling = book.ceiling(&priced.tenant, &priced.provider, &priced.model, day);
            known.insert(priced.clone(), ceiling);
            ceiling
        };
        request.prices.iter().map(ceiling).collect()
    }
}
