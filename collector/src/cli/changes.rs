//! What a rating anew would change, by tenant and model: a dry run's table.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use collector::ledger::correct::Correction;
use collector::money::Charge;
use collector::terminal::printable;
use comfy_table::{CellAlignment, Table, presets};

/// Lines that are shown.
const SHOWN: usize = 100;

/// The tenant, the provider and the model of calls.
type Key = (String, String, String);

/// How many calls would be re-rated, and the new charge less the old one.
#[derive(Default)]
pub(super) struct Changes(BTreeMap<Key, (u64, Charge)>);

impl Changes {
    /// Notes a correction; `None` if the sum does not fit in 128 bits.
    pub(super) fn add(&mut self, correction: &Correction) -> Option<()> {
        let entry = &correction.entry;
        let key = (entry.tenant.clone(), entry.provider.clone(), entry.model.clone());
        let (calls, difference) = self.0.entry(key).or_default();
        *calls = calls.saturating_add(1);
        *difference = difference.checked_add(correction.difference())?;
        Some(())
    }

    /// A line each, by tenant; if there are too many of them, those with the most calls.
    pub(super) fn table(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let mut lines: Vec<_> = self.0.iter().collect();
        if lines.len() > SHOWN {
            lines.sort_by_key(|(key, (calls, _))| (Reverse(*calls), *key));
            lines.truncate(SHOWN);
            lines.sort_unstable();
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["tenant", "provider", "model", "calls", "difference (USD)"]);
        for ((tenant, provider, model), (calls, difference)) in &lines {
            let names = [tenant.as_str(), provider, model].map(printable);
            table.add_row(names.into_iter().chain([calls.to_string(), difference.to_string()]));
        }
        for column in table.column_iter_mut().skip(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let more = self.0.len().saturating_sub(lines.len());
        let more = if more > 0 { format!("and {more} more lines with fewer calls\n") } else { String::new() };
        format!("{}\n{more}", table.trim_fmt())
    }
}

#[cfg(test)]
mod tests {
    use collector::ledger::correct::Instead;
    use collector::prices::Rating;
    use collector::store::entry::{Entry, Kind};

    use super::*;

    fn correction(tenant: &str, model: &str, charge: &str) -> Correction {
        let entry = Entry::about_no_call(Kind::Call, "a", 1, 0, "");
        let entry =
            Entry { tenant: tenant.to_owned(), model: model.to_owned(), charge: charge.parse().unwrap(), ..entry };
        let instead = Some(Instead { tenant: tenant.to_owned(), rating: Rating::default() });
        Correction { entry, instead, reason: String::new() }
    }

    #[test]
    fn deterministic_changes_are_told_by_tenant_and_model_and_are_few() {
        let mut changes = Changes::default();
        assert_eq!(changes.table(), "");
        for (tenant, model, charge) in [("b", "m", "1"), ("a", "m", "2"), ("a", "m", "0.5"), ("a", "n\u{1b}", "1")] {
            changes.add(&correction(tenant, model, charge)).unwrap();
        }
        let words =
            |text: &str| text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let lines: Vec<String> = words(&changes.table());
        let expected =
            ["tenant provider model calls difference (USD)", "a m 2 -2.50", "a n\\u{1b} 1 -1.00", "b m 1 -1.00"];
        assert_eq!(lines, expected);
        for number in 0..SHOWN {
            changes.add(&correction("c", &format!("{number}"), "1")).unwrap();
        }
        let table = changes.table();
        assert!(table.contains("-2.50") && table.ends_with("and 3 more lines with fewer calls\n"), "{table}");
    }
}
