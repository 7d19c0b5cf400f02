//! What a report says below its lines: what its amounts leave out, and what nobody knows yet.

use std::collections::BTreeMap;

use super::ReportError;
use super::sum::{Sum, add};
use super::unpriced::Models;

/// What there is to say.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// What has no price, by provider and model.
    pub unpriced: Models,
    /// Calls whose counts are to come in another one, by why.
    pub deferred: BTreeMap<&'static str, i128>,
    /// Calls whose response counts something that the meter does not know, by its name.
    pub unknown: BTreeMap<String, i128>,
}

impl Notes {
    /// Notes what there is to say of a line.
    pub fn line(&mut self, sum: &Sum) -> Result<(), ReportError> {
        for (why, calls) in &sum.deferred {
            add(self.deferred.entry(why).or_default(), *calls)?;
        }
        for (name, calls) in &sum.unknown {
            add(self.unknown.entry(name.clone()).or_default(), *calls)?;
        }
        Ok(())
    }

    /// When all lines were there: what there is to say of the models in them.
    pub fn end(&mut self, models: Models) {
        self.unpriced = models;
        self.deferred.retain(|_, calls| *calls != 0);
        self.unknown.retain(|_, calls| *calls != 0);
    }
}
