//! The conditions of an entry or a factor.

use toml::{Table, Value};

use super::super::conditions::{self, Conditions, Fact, Hours, Names};
use super::super::keys;
use super::fields::Fields;
use super::one_or_many;
use crate::prices::pattern::Pattern;

impl Fields<'_> {
    pub fn conditions(&mut self, table: &Table) -> Conditions {
        let mut conditions = Conditions::default();
        for fact in Fact::ALL {
            let names = if fact.is_strict() { self.strict(table, fact) } else { self.loose(table, fact) };
            conditions.names.extend(names.map(|names| (fact, names)));
        }
        conditions.hours = self.hours(table);
        conditions.weekdays = self.weekdays(table);
        conditions
    }

    /// Names of what a call must have been served so: none of them is the standard one.
    fn strict(&mut self, table: &Table, fact: Fact) -> Option<Names> {
        let (key, mut names) = (fact.key(), Names::default());
        let value = table.get(key)?;
        let (what, standard, example) = match fact {
            Fact::Speed => ("speed", "speed", "fast"),
            _ => ("service tier", "tier", "flex"),
        };
        for value in one_or_many(Some(value)) {
            let Some(name) = value.as_str().and_then(Pattern::new) else {
                self.problem(key, &format!("must be the name of a {what} such as \"{example}\" or a list of names"));
                continue;
            };
            if fact.standard().contains(&name.text()) {
                self.problem(
                    key,
                    &format!("must be left out for the standard {standard}, which every entry without one is for"),
                );
            } else if !names.any.contains(&name) {
                names.any.push(name);
            }
        }
        (!names.any.is_empty()).then_some(names)
    }

    fn loose(&mut self, table: &Table, fact: Fact) -> Option<Names> {
        let problem = "must be a text or a list of texts of at most 256 bytes; * stands for any text and # for a digit, and \
                       what stands after ! is not meant";
        let mut names = self.names(table, fact.key(), problem)?;
        // All but those.
        if names.any.is_empty() {
            names.any.extend(Pattern::new("*"));
        }
        Some(names)
    }

    fn hours(&mut self, table: &Table) -> Vec<Hours> {
        let values = one_or_many(table.get(keys::HOURS_UTC));
        let hours: Vec<Hours> = values.iter().filter_map(|value| conditions::hours(value.as_str()?)).collect();
        if hours.len() != values.len() || (hours.is_empty() && table.contains_key(keys::HOURS_UTC)) {
            self.problem(
                keys::HOURS_UTC,
                "must be a time such as \"16:30-00:30\" or a list of them; the end is not in it",
            );
        }
        hours
    }

    fn weekdays(&mut self, table: &Table) -> u8 {
        let values = one_or_many(table.get(keys::WEEKDAYS));
        let day = |value: &Value| {
            let day = u8::try_from(value.as_integer()?).ok().filter(|day| (1..=7).contains(day))?;
            Some(conditions::bit(day.saturating_sub(1)))
        };
        let days: Option<u8> = values.iter().try_fold(0, |days, value| Some(days | day(value)?));
        match days {
            Some(0) if !table.contains_key(keys::WEEKDAYS) => 0,
            Some(days) if days != 0 => days,
            _ => {
                self.problem(keys::WEEKDAYS, "must be a number from 1 (Monday) to 7 or a list of them");
                0
            }
        }
    }
}
