//! Which sums a question is answered from: the coarsest that have what it asks for.
//!
//! What asks for no tenant is read from the sums of days without tenants; whole months of tenants from the sums of months; the rest
//! from the rollup itself.

use jiff::civil::Date;

use crate::store::{Dimension, Selection, StoreError};

/// A table of sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// By day and tenant, a row for each class.
    Rollup,
    /// By day, without tenants.
    Days,
    /// By month and tenant.
    Months,
}

impl Table {
    /// Its name, in every database.
    pub fn name(self) -> &'static str {
        match self {
            Table::Rollup => "rollup",
            Table::Days => "rollup_days",
            Table::Months => "rollup_months",
        }
    }

    /// The columns of its rows' counts: of all classes at once, or of one.
    pub fn counts(self) -> &'static str {
        match self {
            Table::Rollup => "class, quantity, charge, cost, unpriced, fallback",
            Table::Days | Table::Months => "counts",
        }
    }
}

/// Rows of a table, from a first day to a last; of months, from that in which the first is to that in which the last is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub table: Table,
    pub first: Option<Date>,
    pub last: Option<Date>,
    /// Whether they are to be subtracted.
    pub is_less: bool,
}

impl Part {
    fn of(table: Table, first: Option<Date>, last: Option<Date>) -> Part {
        Part { table, first, last, is_less: false }
    }

    /// All that is selected, from the rollup.
    pub fn of_rollup(selection: &Selection) -> Part {
        Part::of(Table::Rollup, selection.since, selection.until)
    }
}

/// On how many days something counts, of those from a first to a last. It must be of the same moment as what is read then.
pub type Days<'a> = &'a mut dyn FnMut(Date, Date) -> Result<i64, StoreError>;

/// The tables to be read, and what of them.
pub fn plan(selection: &Selection, by: &[Dimension], days: Days<'_>) -> Result<Vec<Part>, StoreError> {
    let Selection { since, until, tenant, .. } = selection;
    let has_tenant = tenant.is_some() || by.contains(&Dimension::Tenant);
    match (has_tenant, by.contains(&Dimension::Day)) {
        (false, _) => Ok(vec![Part::of(Table::Days, *since, *until)]),
        (true, true) => Ok(vec![Part::of_rollup(selection)]),
        (true, false) => by_months(*since, *until, days),
    }
}

/// Months, of which the first and the last may be in part.
fn by_months(since: Option<Date>, until: Option<Date>, days: Days<'_>) -> Result<Vec<Part>, StoreError> {
    let mut parts = Vec::new();
    if let (Some(since), Some(until)) = (since, until)
        && since.first_of_month() == until.first_of_month()
    {
        month_from_to(since, until, days, &mut parts)?;
        return Ok(parts);
    }
    let mut whole = Part::of(Table::Months, None, None);
    // Behind the first of them, and before the last; there may be none.
    let mut is_any = true;
    if let Some(since) = since {
        month_from_to(since, since.last_of_month(), days, &mut parts)?;
        whole.first = since.last_of_month().tomorrow().ok();
        is_any &= whole.first.is_some();
    }
    if let Some(until) = until {
        month_from_to(until.first_of_month(), until, days, &mut parts)?;
        whole.last = until.first_of_month().yesterday().ok();
        is_any &= whole.last.is_some();
    }
    if is_any && whole.first.zip(whole.last).is_none_or(|(first, last)| first <= last) {
        parts.push(whole);
    }
    Ok(parts)
}

/// A month from a day to a day: all of it less the other days, if these are fewer, else its days.
fn month_from_to(from: Date, to: Date, days: Days<'_>, parts: &mut Vec<Part>) -> Result<(), StoreError> {
    let (first, last) = (from.first_of_month(), to.last_of_month());
    let before = from.yesterday().ok().filter(|yesterday| first <= *yesterday);
    let after = to.tomorrow().ok().filter(|tomorrow| *tomorrow <= last);
    let days_before = before.map_or(Ok(0), |before| days(first, before))?;
    let days_after = after.map_or(Ok(0), |after| days(after, last))?;
    let less = days_before.saturating_add(days_after);
    if less > 0 && less > days(from, to)? {
        parts.push(Part::of(Table::Rollup, Some(from), Some(to)));
        return Ok(());
    }
    parts.push(Part::of(Table::Months, Some(first), Some(last)));
    let mut subtract = |first: Option<Date>, last: Option<Date>| {
        parts.push(Part { is_less: true, ..Part::of(Table::Rollup, first, last) });
    };
    if days_before > 0 {
        subtract(Some(first), before);
    }
    if days_after > 0 {
        subtract(after, Some(last));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read for whom, where something counts on every day up to 2026-11-30.
    fn read(since: &str, until: &str, tenant: Option<&str>, by: &[Dimension]) -> Vec<String> {
        let selection = Selection {
            since: since.parse().ok(),
            until: until.parse().ok(),
            tenant: tenant.map(str::to_owned),
            ..Selection::default()
        };
        let end: Date = "2026-11-30".parse().unwrap();
        let mut days = |first: Date, last: Date| Ok(i64::from((last.min(end) - first).get_days() + 1).max(0));
        let text = |day: Option<Date>| day.map_or_else(String::new, |day| day.strftime("%m-%d").to_string());
        let shown = |part: &Part| {
            let sign = if part.is_less { "-" } else { "" };
            format!("{sign}{} {}..{}", part.table.name(), text(part.first), text(part.last))
        };
        plan(&selection, by, &mut days).unwrap().iter().map(shown).collect()
    }

    #[test]
    fn deterministic_a_question_is_answered_by_the_coarsest_sums_that_can() {
        use Dimension::{Day, Model, Month, Tenant};
        assert_eq!(read("2026-10-03", "2026-11-07", None, &[Day, Model]), ["rollup_days 10-03..11-07"]);
        assert_eq!(read("2026-10-01", "2026-10-31", None, &[Tenant]), ["rollup_months 10-01..10-31"]);
        assert_eq!(read("2026-10-01", "2026-10-31", Some("acme"), &[Month]), ["rollup_months 10-01..10-31"]);
        assert_eq!(read("2026-10-01", "2026-10-31", Some("acme"), &[Day]), ["rollup 10-01..10-31"]);
        assert_eq!(read("", "", None, &[Tenant]), ["rollup_months .."]);
        // A month that is not over, and is asked for as far as it goes.
        assert_eq!(read("2026-11-01", "2026-11-30", None, &[Tenant]), ["rollup_months 11-01..11-30"]);
        // Few days of a month; most of them; its first and its last part.
        assert_eq!(read("2026-10-05", "2026-10-09", None, &[Tenant]), ["rollup 10-05..10-09"]);
        let most = ["rollup_months 10-01..10-31", "-rollup 10-01..10-02", "-rollup 10-30..10-31"];
        assert_eq!(read("2026-10-03", "2026-10-29", None, &[Tenant]), most);
        let parts =
            ["rollup 08-30..08-31", "rollup_months 10-01..10-31", "-rollup 10-29..10-31", "rollup_months 09-01..09-30"];
        assert_eq!(read("2026-08-30", "2026-10-28", None, &[Tenant]), parts);
        // No month between.
        assert_eq!(read("2026-09-30", "2026-10-02", None, &[Tenant]), ["rollup 09-30..09-30", "rollup 10-01..10-02"]);
    }
}
