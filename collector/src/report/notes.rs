//! What a report says below its lines: what its amounts leave out, and what nobody knows yet.

use std::collections::BTreeMap;

use wire::usage::{Class, Kind};

use super::ReportError;
use super::sum::{Sum, add};
use crate::store::Total;
use crate::store::sums::Counted;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpriced {
    /// The model's calls with this evidence, of which something has no price: sums do not tell single calls apart.
    pub calls: i128,
    /// Tokens without a price.
    pub tokens: i128,
    /// What else has none: searches, pages, seconds.
    pub units: BTreeMap<Class, i128>,
}

impl Unpriced {
    fn is_nothing(&self) -> bool {
        self.tokens == 0 && self.units.is_empty()
    }
}

/// Gathers what has no price while the totals pass.
#[derive(Default)]
pub struct Models(BTreeMap<(String, String, &'static str), Unpriced>);

impl Models {
    /// Adds a total of a provider's model.
    pub fn add(&mut self, provider: &str, model: &str, total: &Total) -> Result<(), ReportError> {
        let class = match &total.counted {
            Counted::Calls => None,
            Counted::Usage(class) if total.unpriced != 0 => Some(*class),
            _ => return Ok(()),
        };
        let of = self.0.entry((provider.to_owned(), model.to_owned(), total.evidence.as_str())).or_default();
        match class {
            None => add(&mut of.calls, total.quantity),
            Some(class) if matches!(class.kind(), Kind::Input | Kind::Output) => add(&mut of.tokens, total.unpriced),
            Some(class) => add(of.units.entry(class).or_default(), total.unpriced),
        }
    }

    fn unpriced(self) -> Result<BTreeMap<(String, String), Unpriced>, ReportError> {
        let mut unpriced: BTreeMap<(String, String), Unpriced> = BTreeMap::new();
        for ((provider, model, _), mut of) in self.0 {
            // A call that is priced later takes back what it had no price for.
            of.units.retain(|_, count| *count != 0);
            if of.is_nothing() {
                continue;
            }
            let sum = unpriced.entry((provider, model)).or_default();
            add(&mut sum.calls, of.calls)?;
            add(&mut sum.tokens, of.tokens)?;
            for (class, count) in of.units {
                add(sum.units.entry(class).or_default(), count)?;
            }
        }
        Ok(unpriced)
    }
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
    pub fn end(&mut self, models: Models) -> Result<(), ReportError> {
        self.unpriced = models.unpriced()?;
        self.deferred.retain(|_, calls| *calls != 0);
        self.unknown.retain(|_, calls| *calls != 0);
        Ok(())
    }
}
