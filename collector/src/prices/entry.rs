//! An entry of the price book: prices of some models of a provider, while they are valid.

use std::sync::Arc;

use jiff::civil::Date;
use wire::usage::{Class, Kind, Usage};

use super::conditions::{Conditions, same};
use super::pattern::Pattern;
use crate::money::{Factor, Per, Price};

/// Prices of some models of a provider, while they are valid.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub provider: String,
    pub models: Vec<Pattern>,
    /// Models that it is not for, although its patterns match.
    pub except: Vec<Pattern>,
    pub valid_from: Date,
    /// The last day.
    pub valid_to: Option<Date>,
    pub conditions: Conditions,
    /// What the prices are in, if not in USD.
    pub currency: Option<Arc<Currency>>,
    pub prices: Prices,
    /// The prices of larger inputs, the largest first.
    pub contexts: Vec<Context>,
    pub factors: Vec<PriceFactor>,
}

/// Prices by class: a handful, so they are looked through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Prices(pub Vec<(Class, Price)>);

impl Prices {
    fn get(&self, class: Class) -> Option<Price> {
        self.0.iter().find(|(known, _)| *known == class).map(|(_, price)| *price)
    }

    /// The price of a class, or of what stands in for it, and by which class's price.
    pub fn or_stand_in(&self, class: Class) -> Option<(Price, Class)> {
        stand_ins(class).find_map(|candidate| Some((self.get(candidate)?, candidate)))
    }
}

/// Prices of calls whose whole input is larger than a bound.
#[derive(Clone, Debug)]
pub(super) struct Context {
    /// Tokens.
    pub above: u64,
    pub prices: Prices,
}

/// What prices are multiplied by where the conditions hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PriceFactor {
    pub factor: Factor,
    pub conditions: Conditions,
    pub classes: Classes,
}

/// Which prices a factor is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Classes {
    Tokens,
    All,
    These(Vec<Class>),
}

impl PriceFactor {
    /// Whether another one multiplies the same calls' same prices by the same, in whatever order its names stand.
    pub fn is_same(&self, other: &PriceFactor) -> bool {
        let classes = match (&self.classes, &other.classes) {
            (Classes::These(one), Classes::These(other)) => same(one, other),
            (one, other) => one == other,
        };
        classes && self.factor == other.factor && self.conditions.is_same(&other.conditions)
    }

    pub fn is_for(&self, class: Class) -> bool {
        match &self.classes {
            Classes::Tokens => is_token(class),
            Classes::All => true,
            Classes::These(classes) => classes.contains(&class),
        }
    }
}

/// A currency and its dated rates, the earliest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Currency {
    pub code: String,
    pub rates: Vec<(Date, Price)>,
}

impl Currency {
    /// USD for one, on a day.
    pub fn rate(&self, day: Date) -> Option<Price> {
        let after = self.rates.partition_point(|(from, _)| *from <= day);
        self.rates.get(after.checked_sub(1)?).map(|(_, rate)| *rate)
    }
}

impl Entry {
    /// The prices of a call with so much input; `None` for those of the entry itself.
    pub fn context(&self, usage: &Usage) -> Option<&Context> {
        let input = usage.input_total()?;
        self.contexts.iter().find(|context| input > context.above)
    }

    /// Whether the price of a class depends on the context.
    pub fn is_by_context(&self, class: Class) -> bool {
        let always = self.price(class, None);
        self.contexts.iter().any(|context| self.price(class, Some(context)) != always)
    }

    /// The price of a class itself, as it stands in the book. What a context does not name costs what it always does.
    pub fn own(&self, class: Class, context: Option<&Context>) -> Option<Price> {
        context.and_then(|context| context.prices.get(class)).or_else(|| self.prices.get(class))
    }

    /// What a class costs, as it stands in the book, and by which class's price.
    pub fn price(&self, class: Class, context: Option<&Context>) -> Option<(Price, Class)> {
        stand_ins(class).find_map(|candidate| Some((self.own(candidate, context)?, candidate)))
    }

    pub fn is_valid_on(&self, day: Date) -> bool {
        self.valid_from <= day && self.valid_to.is_none_or(|last| day <= last)
    }

    /// Whether both are valid on some day.
    pub fn shares_days(&self, other: &Entry) -> bool {
        let begins_before_end_of = |a: &Entry, b: &Entry| b.valid_to.is_none_or(|last| a.valid_from <= last);
        begins_before_end_of(self, other) && begins_before_end_of(other, self)
    }

    /// Whether on some day both hold for a call, and neither more closely than the other.
    pub fn overlaps(&self, other: &Entry) -> bool {
        self.shares_days(other)
            && self.conditions.rank() == other.conditions.rank()
            && self.conditions.share(&other.conditions)
    }

    /// Whether the entry is for a model, in lower case, that one of its patterns matches.
    pub fn means(&self, model: &str) -> bool {
        !self.except.iter().any(|not| not.matches(model))
    }
}

pub(super) fn per(class: Class) -> Per {
    match class {
        // As price lists have it.
        Class::Characters | Class::CacheStorageTokenHours => Per::MillionTokens,
        _ if is_token(class) => Per::MillionTokens,
        _ => Per::ThousandUnits,
    }
}

pub(super) fn is_token(class: Class) -> bool {
    matches!(class.kind(), Kind::Input | Kind::Output)
}

/// A class, then those whose prices stand in for its own.
fn stand_ins(class: Class) -> impl Iterator<Item = Class> {
    std::iter::successors(Some(class), |class| stand_in(*class))
}

/// The class whose price stands in for a missing one. A new class must be decided on here.
pub(super) fn stand_in(class: Class) -> Option<Class> {
    match class {
        Class::CacheWrite1h | Class::CacheWriteOther => Some(Class::CacheWrite5m),
        Class::CacheWrite30m | Class::CacheWrite12h => Some(Class::CacheWriteOther),
        Class::CacheReadAudio | Class::CacheReadImage | Class::CacheReadVideo => Some(Class::CacheRead),
        Class::CacheReadExplicit => Some(Class::CacheRead),
        Class::CacheWrite5m | Class::CacheRead => Some(Class::InputText),
        Class::InputAudio | Class::InputImage | Class::InputVideo | Class::InputTool => Some(Class::InputText),
        Class::OutputReasoning | Class::OutputAudio | Class::OutputImage | Class::OutputVideo => {
            Some(Class::OutputText)
        }
        Class::OutputCitation => Some(Class::OutputText),
        Class::InputText | Class::OutputText => None,
        Class::WebSearches | Class::XSearches | Class::MapsSearches | Class::FileSearches | Class::WebFetches => None,
        Class::CodeExecutions | Class::ContainerSessions | Class::ImagesIn | Class::ImagesOut => None,
        Class::Pages | Class::AnnotatedPages | Class::Characters | Class::AudioSeconds | Class::VideoSeconds => None,
        Class::CacheStorageTokenHours | Class::SearchUnits | Class::GuardrailUnits | Class::Requests => None,
        Class::CacheReadUnbilled => None,
    }
}
