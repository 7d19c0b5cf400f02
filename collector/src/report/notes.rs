//! What a report says below its lines: what its amounts leave out, and what nobody knows yet.

use std::collections::BTreeMap;

use super::sum::{Sum, add};
use super::{Dimension, ReportError};
use crate::store::sums::Counted;
use crate::store::{Reader, Selection};

/// What there is to say.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// What has no price, by provider and model.
    pub unpriced: BTreeMap<(String, String), Unpriced>,
    /// Calls whose counts are to come in another one, by why.
    pub deferred: BTreeMap<&'static str, i128>,
    /// Calls whose response counts something that the meter does not know, by its name.
    pub unknown: BTreeMap<String, i128>,
}

/// What has no price of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpriced {
    /// The model's calls with this evidence, of which something has no price: sums do not tell single calls apart.
    pub calls: i128,
    /// Tokens without a price.
    pub tokens: i128,
}

impl Notes {
    /// What there is to say of lines; the models without a price are asked for if there are any.
    pub fn of<'l>(
        reader: &dyn Reader,
        selection: &Selection,
        lines: impl Iterator<Item = &'l Sum>,
    ) -> Result<Notes, ReportError> {
        let mut notes = Notes::default();
        let mut all_have_prices = true;
        for sum in lines {
            for (why, calls) in &sum.deferred {
                add(notes.deferred.entry(why).or_default(), *calls)?;
            }
            for (name, calls) in &sum.unknown {
                add(notes.unknown.entry(name.clone()).or_default(), *calls)?;
            }
            all_have_prices &= sum.unpriced.values().all(|count| *count == 0);
        }
        notes.deferred.retain(|_, calls| *calls != 0);
        notes.unknown.retain(|_, calls| *calls != 0);
        if !all_have_prices {
            notes.unpriced = unpriced(reader, selection)?;
        }
        Ok(notes)
    }
}

fn unpriced(reader: &dyn Reader, selection: &Selection) -> Result<BTreeMap<(String, String), Unpriced>, ReportError> {
    let mut models: BTreeMap<(Vec<String>, &'static str), (Unpriced, bool)> = BTreeMap::new();
    let mut failed = Ok(());
    reader.totals(selection, &[Dimension::Provider, Dimension::Model], &mut |total| {
        let (of, has_any) = models.entry((total.key, total.evidence.as_str())).or_default();
        let added = match &total.counted {
            Counted::Calls => add(&mut of.calls, total.quantity),
            Counted::Usage(class) if total.unpriced != 0 => {
                *has_any = true;
                let is_token = class.name().ends_with("_tokens");
                if is_token { add(&mut of.tokens, total.unpriced) } else { Ok(()) }
            }
            _ => Ok(()),
        };
        if failed.is_ok() {
            failed = added;
        }
        Ok(())
    })?;
    failed?;
    let mut unpriced: BTreeMap<(String, String), Unpriced> = BTreeMap::new();
    for ((key, _), (of, has_any)) in models {
        let mut key = key.into_iter();
        if has_any {
            let model = (key.next().unwrap_or_default(), key.next().unwrap_or_default());
            let sum = unpriced.entry(model).or_default();
            add(&mut sum.calls, of.calls)?;
            add(&mut sum.tokens, of.tokens)?;
        }
    }
    Ok(unpriced)
}
