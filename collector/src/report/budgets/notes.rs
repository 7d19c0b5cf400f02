//! What somebody should know who has just set a budget: why it may refuse nothing, or nearly everything.

use std::collections::BTreeSet;

use meter::provider::{self, Api};
use wire::lease::{Mode, Unit};

use crate::budget::Definition;
use crate::budget::amount::text_of_whole;
use crate::prices::nearest;
use crate::store::{Dimension, Reader, Selection, StoreError};
use crate::terminal::printable;

/// Fewer tokens than a handful of calls reserve.
const SMALL_TOKENS: u64 = 10_000;

/// What is worth a look, a line each.
pub fn notes(reader: &dyn Reader, budget: &Definition) -> Result<Vec<String>, StoreError> {
    // A soft one refuses nothing, and no worker asks for leases of it.
    let is_held = budget.budget.mode != Mode::Soft;
    let mut notes = Vec::new();
    if is_held && budget.unit() == Unit::Tokens && (1..SMALL_TOKENS).contains(&budget.limit) {
        notes.push(format!(
            "note: a call reserves its bytes, 1,024 tokens and its max_tokens, and each worker of Envoy holds a part of what is \
             left: few calls fit in {} tokens",
            text_of_whole(budget.limit, budget.unit())
        ));
    }
    if is_held && !has_leases(reader)? {
        notes.push(
            "note: no worker of Envoy has a lease of any budget yet; nothing is refused until the plugin's configuration has \
             \"budgets\": {}"
                .to_owned(),
        );
    }
    if let Some(provider) = &budget.budget.scope.provider {
        notes.extend(unknown(reader, provider)?);
    }
    Ok(notes)
}

/// Whether a worker has, or had, a lease of a budget in force. Workers without budgets in their configuration ask for none.
fn has_leases(reader: &dyn Reader) -> Result<bool, StoreError> {
    for budget in reader.budgets()?.iter() {
        let mut is_found = false;
        reader.leases(budget.id, 0, &mut |_| {
            is_found = true;
            Ok(())
        })?;
        if is_found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What is said of a provider that nobody knows: neither the meter nor a record.
fn unknown(reader: &dyn Reader, name: &str) -> Result<Option<String>, StoreError> {
    let compatible = Api::ALL.iter().map(|api| api.compatible());
    let mut known: BTreeSet<String> =
        provider::known().map(|(name, _)| name).chain(compatible).map(str::to_owned).collect();
    // The ledger is asked only when its answer matters: that takes a while where it is large.
    if known.contains(name) {
        return Ok(None);
    }
    reader.totals(&Selection::default(), &[Dimension::Provider], &mut |total| {
        known.extend(total.key);
        Ok(())
    })?;
    if known.contains(name) {
        return Ok(None);
    }
    let meant = nearest(name, known.iter().map(String::as_str));
    let hint = meant.map_or_else(String::new, |meant| format!("; is it {}?", printable(meant)));
    Ok(Some(format!(
        "note: meshmeter knows no provider \"{}\", and no call in the ledger has it: unless the plugin's configuration gives \
         calls that name, the budget covers none{hint}",
        printable(name)
    )))
}
