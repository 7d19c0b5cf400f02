//! Which rows lack a price: not those that corrections take back, or have given a price since.

use std::collections::HashMap;

use super::ReportError;
use super::row::{Row, Sums};
use crate::prices::{Basis, WAS_UNPRICED};
use crate::report::TOO_LARGE;

/// What has no price in all rows, by the month of the calls, tenant, provider, model, class and evidence: what was taken back is
/// below zero. A row may be of several tenants, of which one takes back what another one has: they are apart here.
#[derive(Default)]
pub struct Lacking(HashMap<[String; 6], HashMap<String, i128>>);

impl Lacking {
    fn of(row: &Row) -> [String; 6] {
        let month = row.period_start.get(.."2026-11".len()).unwrap_or_default();
        [month, &row.tenant, &row.provider, &row.model, &row.class, row.evidence].map(str::to_owned)
    }

    /// Adds a row of a tenant, whose name the row may have in part.
    pub fn add(&mut self, row: &Row, tenant: &str, sums: &Sums) -> Result<(), ReportError> {
        if row.basis != Basis::Unpriced.word() {
            return Ok(());
        }
        let sum = self.0.entry(Lacking::of(row)).or_default().entry(tenant.to_owned()).or_default();
        *sum = sum.checked_add(sums.quantity).ok_or(TOO_LARGE)?;
        Ok(())
    }

    /// Says of a row that it lacks a price no more, or takes back what had none.
    pub fn mark(&self, row: &mut Row, sums: &Sums) {
        if row.basis == Basis::Unpriced.word() {
            let is_lack = sums.quantity > 0
                && self.0.get(&Lacking::of(row)).is_some_and(|sums| sums.values().any(|sum| *sum > 0));
            let word = if is_lack { Basis::Unpriced.word() } else { WAS_UNPRICED };
            word.clone_into(&mut row.basis);
        }
    }
}
