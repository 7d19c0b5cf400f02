//! A row: what tells it apart, and what it adds up.

use std::collections::BTreeMap;

use jiff::Timestamp;
use wire::record::Outcome;
use wire::usage::{Class, Kind};

use super::{Billed, Dimension, LineKey, Question, ReportError};
use crate::ledger::correct::Called;
use crate::money::Charge;
use crate::prices::{Basis, Free, Line};
use crate::report::Zone;
use crate::report::dimension::Facts;
use crate::report::gather::Counting;
use crate::report::spill::Stored;
use crate::report::{Grade, TOO_LARGE};
use crate::store::months::Month;

const HOUR_NS: i64 = 3_600_000_000_000;
const DAY_NS: i64 = 86_400_000_000_000;
/// What stands for a tenant that has no name.
const NOBODY: &str = "unknown";

/// What tells rows apart beside what always does.
pub struct Apart {
    /// The length of charge periods: an hour, a day or a month.
    time: Dimension,
    /// So many segments of the tenant's path, or all.
    depth: Option<u8>,
    /// The tags that are in the column of tags.
    tags: Vec<Dimension>,
    /// Those that have a column of their own.
    pub others: Vec<Dimension>,
}

impl Apart {
    /// As a question has it.
    pub fn of(question: &Question) -> Apart {
        let by = || question.by.iter();
        let time = by().find(|dimension| dimension.is_time()).cloned().unwrap_or(Dimension::Day);
        let depth = by().filter_map(|of| if let Dimension::Tenant(depth) = of { Some(*depth) } else { None });
        // Without a depth it is all of the path, and that tells more apart than any depth.
        let depth = depth.reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other))).flatten();
        let is_tag = |dimension: &&Dimension| matches!(dimension, Dimension::Tag(_));
        let has_column = |dimension: &&Dimension| match dimension {
            Dimension::Hour | Dimension::Day | Dimension::Month | Dimension::Tag(_) | Dimension::Tenant(_) => false,
            Dimension::Provider | Dimension::Model | Dimension::Operation | Dimension::Evidence => false,
            Dimension::Principal | Dimension::Route | Dimension::Session | Dimension::Agent => true,
            Dimension::Trace | Dimension::Outcome | Dimension::Node | Dimension::Emitter => true,
        };
        Apart {
            time,
            depth,
            tags: by().filter(is_tag).cloned().collect(),
            others: by().filter(has_column).cloned().collect(),
        }
    }

    /// The charge period that a moment is in.
    fn period(&self, ns: i64) -> (i64, i64) {
        let length = match self.time {
            Dimension::Month => {
                let month = Month::of(ns);
                return month.map_or((ns, ns), |month| (month.begins_ns(), month.ends_ns()));
            }
            Dimension::Hour => HOUR_NS,
            _ => DAY_NS,
        };
        let begin = ns.saturating_sub(ns.checked_rem_euclid(length).unwrap_or_default());
        (begin, begin.saturating_add(length))
    }

    fn tags(&self, facts: &Facts<'_>) -> String {
        let tag = |dimension: &Dimension| {
            let Dimension::Tag(name) = dimension else { return None };
            let value = facts.value(dimension, &Zone::default());
            (!value.is_empty()).then(|| (name.clone(), value.into_owned()))
        };
        let tags: BTreeMap<String, String> = self.tags.iter().filter_map(tag).collect();
        if tags.is_empty() { String::new() } else { serde_json::to_string(&tags).unwrap_or_default() }
    }
}

/// What tells rows apart, as texts in the order of rows; what is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub billing_start: String,
    pub billing_end: String,
    pub period_start: String,
    pub period_end: String,
    pub tenant: String,
    pub provider: String,
    pub model: String,
    /// `chat`, `embeddings` and the like.
    pub operation: String,
    pub region: String,
    /// The class of usage; empty of calls of which nothing was counted.
    pub class: String,
    /// The word of what decided on the price.
    pub basis: String,
    /// The entry of the price book.
    pub entry: String,
    /// The list price.
    pub list_price: String,
    /// The price with discounts and mark-ups.
    pub price: String,
    pub tags: String,
    /// The values of what has a column of its own.
    pub others: Vec<String>,
    /// The month of the calls, if it was closed before.
    pub adjusts: String,
    /// How good the counts are.
    pub evidence: &'static str,
}

impl Row {
    /// As the key of a row, without its evidence.
    pub fn to_key(&self, key: &mut LineKey) {
        key.clear();
        let texts = [
            &self.billing_start,
            &self.billing_end,
            &self.period_start,
            &self.period_end,
            &self.tenant,
            &self.provider,
            &self.model,
            &self.operation,
            &self.region,
            &self.class,
            &self.basis,
            &self.entry,
            &self.list_price,
            &self.price,
            &self.tags,
        ];
        texts.into_iter().chain(&self.others).chain([&self.adjusts]).for_each(|text| key.push(text));
        let evidence = wire::record::Evidence::from_word(self.evidence).unwrap_or_default();
        key.end(Grade(evidence));
    }

    /// What [`Row::to_key`] wrote.
    pub fn of_key(key: &LineKey) -> Option<Row> {
        let (key, grade) = key.read()?;
        let mut texts = key.columns.into_iter();
        let mut next = || texts.next();
        Some(Row {
            billing_start: next()?,
            billing_end: next()?,
            period_start: next()?,
            period_end: next()?,
            tenant: next()?,
            provider: next()?,
            model: next()?,
            operation: next()?,
            region: next()?,
            class: next()?,
            basis: next()?,
            entry: next()?,
            list_price: next()?,
            price: next()?,
            tags: next()?,
            others: texts.collect(),
            adjusts: key.adjusts,
            evidence: grade.0.as_str(),
        })
    }

    /// The class, if something was counted.
    pub fn class(&self) -> Option<Class> {
        Class::from_name(&self.class)
    }
}

/// Stands in a text for prices that are not all the same.
const MIXED: &str = "mixed";

/// What a row adds up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many; of calls of which nothing was counted, calls.
    pub quantity: i128,
    /// What it costs by the list price.
    pub list: Charge,
    /// What the tenant pays.
    pub charge: Charge,
    /// What the provider charges.
    pub cost: Charge,
    /// The price that the responses of a row state, which no book has.
    pub stated: Stated,
}

/// What responses say that a pricing unit of theirs costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stated {
    /// Nothing.
    #[default]
    Nothing,
    /// All the same.
    Price(Charge),
    /// One this, another one that.
    Mixed,
}

impl Stated {
    fn and(self, other: Stated) -> Stated {
        match (self, other) {
            (one, Stated::Nothing) | (Stated::Nothing, one) => one,
            (one, other) if one == other => one,
            _ => Stated::Mixed,
        }
    }
}

impl Sums {
    /// Adds another one.
    pub fn add(&mut self, more: &Sums) -> Result<(), ReportError> {
        let sum = |one: Charge, other: Charge| one.checked_add(other).ok_or(TOO_LARGE);
        *self = Sums {
            quantity: self.quantity.checked_add(more.quantity).ok_or(TOO_LARGE)?,
            list: sum(self.list, more.list)?,
            charge: sum(self.charge, more.charge)?,
            cost: sum(self.cost, more.cost)?,
            stated: self.stated.and(more.stated),
        };
        Ok(())
    }

    /// Whether what was added was taken back.
    pub fn is_nothing(&self) -> bool {
        Sums { stated: Stated::Nothing, ..*self } == Sums::default()
    }

    fn reversed(self) -> Result<Sums, ReportError> {
        let neg = |amount: Charge| amount.checked_neg().ok_or(TOO_LARGE);
        let quantity = self.quantity.checked_neg().ok_or(TOO_LARGE)?;
        Ok(Sums { quantity, list: neg(self.list)?, charge: neg(self.charge)?, cost: neg(self.cost)?, ..self })
    }
}

impl Stored for Sums {
    fn merge(&mut self, other: &Sums) -> Result<(), ReportError> {
        self.add(other)
    }

    fn to_text(&self) -> String {
        let [list, charge, cost] = [self.list, self.charge, self.cost].map(Charge::yocto_usd);
        let stated = match self.stated {
            Stated::Nothing => String::new(),
            Stated::Price(price) => price.yocto_usd().to_string(),
            Stated::Mixed => MIXED.to_owned(),
        };
        format!("{} {list} {charge} {cost} {stated}", self.quantity)
    }

    fn from_text(text: &str) -> Option<Sums> {
        let (text, stated) = text.rsplit_once(' ')?;
        let stated = match stated {
            "" => Stated::Nothing,
            MIXED => Stated::Mixed,
            price => Stated::Price(Charge::from_yocto_usd(price.parse().ok()?)),
        };
        let mut numbers = text.split(' ').map(|number| number.parse::<i128>().ok());
        let mut next = || numbers.next().flatten();
        let quantity = next()?;
        let mut amount = || next().map(Charge::from_yocto_usd);
        Some(Sums { quantity, list: amount()?, charge: amount()?, cost: amount()?, stated })
    }
}

/// The rows of a call that counts.
pub fn each(
    apart: &Apart,
    billed: Billed,
    counting: &Counting<'_>,
    each: &mut dyn FnMut(&Row, &Sums) -> Result<(), ReportError>,
) -> Result<(), ReportError> {
    let Counting { called, at_ns, adjusts, is_back } = *counting;
    let Called { entry, event, rating } = called;
    let facts = Facts::Call { called, at_ns };
    let value = |dimension: &Dimension| facts.value(dimension, &Zone::default()).into_owned();
    let (period_start, period_end) = apart.period(entry.started_ns);
    let (billing_start, billing_end) = Month::of(at_ns).map_or((0, 0), |month| (month.begins_ns(), month.ends_ns()));
    let tenant = value(&Dimension::Tenant(apart.depth));
    let mut row = Row {
        billing_start: time(billing_start),
        billing_end: time(billing_end),
        period_start: time(period_start),
        period_end: time(period_end),
        tenant: if tenant.is_empty() { NOBODY.to_owned() } else { tenant },
        provider: entry.provider.clone(),
        model: entry.model.clone(),
        operation: value(&Dimension::Operation),
        region: event.record.region.clone().unwrap_or_default(),
        tags: apart.tags(&facts),
        others: apart.others.iter().map(value).collect(),
        adjusts: adjusts.to_owned(),
        evidence: entry.evidence.as_str(),
        ..Row::default()
    };
    let mut add = |row: &Row, sums: Sums| each(row, &if is_back { sums.reversed()? } else { sums });
    for line in &rating.lines {
        let basis = line.basis(rating.by);
        let [charge, cost] = [line.rated.charge(), line.rated.cost()].map(Option::unwrap_or_default);
        let amount = if billed == Billed::Cost { cost } else { charge };
        row.class = line.class.name().to_owned();
        basis.word().clone_into(&mut row.basis);
        row.entry = if has_entry(basis) { rating.entry.clone().unwrap_or_default() } else { String::new() };
        let price = unit_price(line, amount);
        (row.list_price, row.price) = match (basis, price) {
            (Basis::Price(list) | Basis::Fallback(list), price) => {
                (list.to_string(), price.map(|price| price.to_string()).unwrap_or_default())
            }
            (Basis::Free(_), _) => (Charge::default().to_string(), Charge::default().to_string()),
            _ => (String::new(), String::new()),
        };
        // Without a list price it is what is billed.
        let list = if row.list_price.is_empty() { amount } else { line.list().unwrap_or_default() };
        let stated = match basis {
            Basis::Stated => price.map_or(Stated::Mixed, Stated::Price),
            _ => Stated::Nothing,
        };
        add(&row, Sums { quantity: line.quantity.into(), list, charge, cost, stated })?;
    }
    if rating.lines.is_empty() && is_call_without_counts(called) {
        UNCOUNTED.clone_into(&mut row.basis);
        add(&row, Sums { quantity: 1, ..Sums::default() })?;
    }
    Ok(())
}

/// What stands for a basis where nothing was counted.
pub const UNCOUNTED: &str = "uncounted";

fn has_entry(basis: Basis) -> bool {
    matches!(basis, Basis::Price(_) | Basis::Fallback(_) | Basis::Free(Free::Prepaid))
}

/// A call that was made and of which nothing is known that could be charged.
fn is_call_without_counts(called: &Called) -> bool {
    let record = &called.event.record;
    let counts = record.usage.iter().filter(|(class, _)| class.kind() != Kind::Information);
    record.part.is_none() && record.outcome != Outcome::Refused && counts.count() == 0
}

/// What a pricing unit of a line costs with discounts and mark-ups, if that is an amount.
fn unit_price(line: &Line, amount: Charge) -> Option<Charge> {
    let (amount, quantity) = (amount.yocto_usd(), i128::from(line.quantity));
    let units = crate::prices::price_is_per(line.class).units();
    let one = amount.checked_div(quantity)?;
    (amount.checked_rem(quantity)? == 0).then(|| one.checked_mul(units.into()).map(Charge::from_yocto_usd))?
}

fn time(ns: i64) -> String {
    Timestamp::from_nanosecond(ns.into()).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated(price: i128) -> Sums {
        let amount = Charge::from_yocto_usd(price);
        Sums { quantity: 1, list: amount, charge: amount, cost: amount, stated: Stated::Price(amount) }
    }

    #[test]
    fn contract_a_stated_price_is_told_while_it_is_one_and_not_when_prices_are_mixed() {
        let sum = |all: &[Sums]| {
            let mut sums = Sums::default();
            all.iter().for_each(|one| sums.add(one).unwrap());
            assert_eq!(Sums::from_text(&sums.to_text()), Some(sums), "as it waits in a file");
            sums
        };
        let price = |price| Stated::Price(Charge::from_yocto_usd(price));
        assert_eq!(sum(&[]).stated, Stated::Nothing);
        assert_eq!(sum(&[Sums { quantity: 3, ..Sums::default() }]).stated, Stated::Nothing);
        assert_eq!(sum(&[stated(7), stated(7)]).stated, price(7));
        assert_eq!(sum(&[stated(7), stated(8), stated(7)]).stated, Stated::Mixed);
        let taken_back = sum(&[stated(7), stated(7), stated(7).reversed().unwrap()]);
        assert_eq!((taken_back.quantity, taken_back.stated), (1, price(7)));
        assert!(sum(&[stated(7), stated(7).reversed().unwrap()]).is_nothing());
    }
}
