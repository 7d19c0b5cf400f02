//! A budget as it stands in the ledger: an entry says all of it, as JSON, beside who set it; the entry's reason says why.

use serde::{Deserialize, Serialize};
use wire::lease::{Budget, Mode, Scope, Unit};

use super::amount::text_of_whole;
use super::period::{Period, Zone};
use super::{Amount, amount};

/// A budget that is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// By which its balances are found: the revision with which its counting began. It stays when only the limit, the mode or
    /// who set it changes.
    pub id: i64,
    /// What a worker has to know of it.
    pub budget: Budget,
    /// Whole tokens or nano-USD.
    pub limit: u64,
    /// How long a window is.
    pub period: Period,
    /// By whose clocks.
    pub zone: Zone,
    /// Calls that began before do not count: the begin of the window in which its counting began, seconds since 1970.
    pub since_s: i64,
    /// Who set it.
    pub who: String,
}

/// What an entry says that sets a budget.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    revision: i64,
    name: String,
    id: i64,
    since_s: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    per_tenant: bool,
    unit: String,
    limit: String,
    window: String,
    zone: String,
    mode: String,
    who: String,
}

/// What an entry says that removes one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Removed {
    revision: i64,
    name: String,
    who: String,
}

impl Definition {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.budget.name
    }

    /// What is counted.
    pub fn unit(&self) -> Unit {
        self.budget.unit
    }

    /// The limit, exactly.
    pub fn limit_amount(&self) -> Amount {
        Amount::of_whole(self.limit, self.unit())
    }

    /// Whether the same calls count in the same windows: then balances go on.
    pub fn counts_as(&self, other: &Definition) -> bool {
        let what = |definition: &Definition| {
            let Definition { budget, period, zone, .. } = definition;
            (budget.scope.clone(), budget.per_tenant, budget.unit, *period, zone.name().to_owned())
        };
        what(self) == what(other)
    }

    /// As it stands in the entry that makes it revision `revision`.
    pub fn to_json(&self, revision: i64) -> String {
        let Budget { name, scope: Scope { tenant, provider, model }, per_tenant, unit, mode } = self.budget.clone();
        let text = Text {
            revision,
            name,
            id: self.id,
            since_s: self.since_s,
            tenant,
            provider,
            model,
            per_tenant,
            unit: unit.as_str().to_owned(),
            limit: text_of_whole(self.limit, unit),
            window: self.period.as_str().to_owned(),
            zone: self.zone.name().to_owned(),
            mode: mode.as_str().to_owned(),
            who: self.who.clone(),
        };
        serde_json::to_string(&text).unwrap_or_default()
    }
}

/// A change of the budgets that are in force, as its entry has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// One is set, and takes the place of the one of its name.
    Set(Definition),
    /// One is removed.
    Removed {
        /// Its name.
        name: String,
        /// By whom.
        who: String,
    },
}

impl Change {
    /// Reads what an entry says that sets a budget, with the revision that it made.
    pub fn set(json: &str) -> Result<(i64, Change), String> {
        let Text {
            revision,
            name,
            id,
            since_s,
            tenant,
            provider,
            model,
            per_tenant,
            unit,
            limit,
            window,
            zone,
            mode,
            who,
        } = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let unknown = |field: &str, word: &str| {
            format!("{field}: this version does not know \"{}\"", crate::terminal::printable(word))
        };
        let unit = Unit::from_word(&unit).ok_or_else(|| unknown("unit", &unit))?;
        let mode = Mode::from_word(&mode).ok_or_else(|| unknown("mode", &mode))?;
        let definition = Definition {
            id,
            limit: amount::limit(&limit, unit)?,
            budget: Budget { name, scope: Scope { tenant, provider, model }, per_tenant, unit, mode },
            period: Period::from_word(&window).ok_or_else(|| unknown("window", &window))?,
            zone: Zone::parse(&zone)?,
            since_s,
            who,
        };
        Ok((revision, Change::Set(definition)))
    }

    /// Reads what an entry says that removes a budget, with the revision that it made.
    pub fn removed(json: &str) -> Result<(i64, Change), String> {
        let Removed { revision, name, who } = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Ok((revision, Change::Removed { name, who }))
    }

    /// As it stands in the entry that makes it revision `revision`.
    pub fn to_json(&self, revision: i64) -> String {
        match self {
            Change::Set(definition) => definition.to_json(revision),
            Change::Removed { name, who } => {
                let text = Removed { revision, name: name.clone(), who: who.clone() };
                serde_json::to_string(&text).unwrap_or_default()
            }
        }
    }

    /// Whose.
    pub fn name(&self) -> &str {
        match self {
            Change::Set(definition) => definition.name(),
            Change::Removed { name, .. } => name,
        }
    }

    /// By whom.
    pub fn who(&self) -> &str {
        match self {
            Change::Set(definition) => &definition.who,
            Change::Removed { who, .. } => who,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deterministic_a_change_is_read_back_as_it_was_written() {
        let definition = Definition {
            id: 3,
            budget: Budget {
                name: "acme.month".to_owned(),
                scope: Scope { tenant: Some("acme".to_owned()), provider: None, model: Some("m\"1".to_owned()) },
                per_tenant: true,
                unit: Unit::Usd,
                mode: Mode::Shadow,
            },
            limit: 250_000_000_001,
            period: Period::Month,
            zone: Zone::parse("Europe/Berlin").unwrap(),
            since_s: 1_793_484_000,
            who: "ann".to_owned(),
        };
        let json = definition.to_json(7);
        assert!(json.contains(r#""limit":"250.000000001""#), "{json}");
        assert_eq!(Change::set(&json), Ok((7, Change::Set(definition.clone()))));
        let removed = Change::Removed { name: "acme.month".to_owned(), who: "bob".to_owned() };
        assert_eq!(Change::removed(&removed.to_json(8)), Ok((8, removed)));
        let other = Definition { limit: 1, who: String::new(), id: 9, ..definition.clone() };
        assert!(definition.counts_as(&other));
        assert!(!definition.counts_as(&Definition { period: Period::Day, ..other }));
        for bad in [
            "",
            "{}",
            &json.replace("usd", "eur"),
            &json.replace("Europe/Berlin", "Mars/Base"),
            &json.replace("month\",\"z", "moon\",\"z"),
        ] {
            assert!(Change::set(bad).is_err(), "{bad}");
        }
    }
}
