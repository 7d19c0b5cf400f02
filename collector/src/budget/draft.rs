//! A budget as somebody wants it: every part may be left out, and everything that is wrong is named.

use wire::identity::{ALLOWED, INVALID, UNKNOWN};
use wire::lease::{Budget, MAX_BUDGETS, MAX_NAME, Mode, Scope, Unit};

use super::amount::{self, text_of_whole};
use super::period::{Period, Zone};
use super::{Budgets, Definition};
use crate::terminal::{is_plain, printable};

/// The longest name, bytes.
const MAX_BUDGET_NAME: usize = 64;
/// The longest name of who sets it, bytes.
const MAX_WHO: usize = 200;

/// What somebody wants of a budget. What is left out stays as it is, or of a new one is what the fields say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// Its name.
    pub name: String,
    /// The limit: tokens, or USD.
    pub limit: Option<String>,
    /// `tokens` or `usd`.
    pub unit: Option<String>,
    /// `minute`, `hour`, `day`, `week` or `month`.
    pub window: Option<String>,
    /// By whose clocks: an IANA name; of a new one UTC.
    pub zone: Option<String>,
    /// `hard`, `soft` or `shadow`; of a new one hard.
    pub mode: Option<String>,
    /// Only calls of this tenant and those below it.
    pub tenant: Option<String>,
    /// Only calls of this provider.
    pub provider: Option<String>,
    /// Only calls of this model.
    pub model: Option<String>,
    /// Whether each tenant has the limit for itself; of a new one not.
    pub per_tenant: Option<bool>,
    /// Who sets it.
    pub who: String,
}

impl Draft {
    /// The budget that it makes of those in force, as revision `revision` that counts from `now_s` on; or what is wrong.
    pub fn complete(&self, budgets: &Budgets, now_s: i64) -> Result<Definition, String> {
        let definition = self.meant(budgets, now_s)?;
        fits(&definition, budgets)?;
        Ok(definition)
    }

    /// The budget that its words mean; or which word is wrong.
    pub fn meant(&self, budgets: &Budgets, now_s: i64) -> Result<Definition, String> {
        name(&self.name)?;
        who(&self.who)?;
        let before = budgets.get(&self.name);
        let unit = word("unit", &self.unit, before.map(Definition::unit), Unit::from_word, Unit::WORDS)?;
        let period =
            word("window", &self.window, before.map(|before| before.period), Period::from_word, Period::WORDS)?;
        let mode = before.map_or(Mode::Hard, |before| before.budget.mode);
        let mode = word("mode", &self.mode, Some(mode), Mode::from_word, Mode::WORDS)?;
        let zone = match &self.zone {
            Some(name) => Zone::parse(name)?,
            None => before.map(|before| before.zone.clone()).unwrap_or_default(),
        };
        let limit = match (&self.limit, before) {
            (Some(limit), _) => amount::limit(limit, unit)?,
            // An amount of the other unit is another amount.
            (None, Some(before)) if before.unit() == unit => before.limit,
            (None, _) => return Err(format!("limit: is missing; how many {}?", unit.as_str())),
        };
        let part = |own: &Option<String>, of: fn(&Scope) -> &Option<String>| match own {
            Some(own) => Some(own.clone()),
            None => before.and_then(|before| of(&before.budget.scope).clone()),
        };
        let scope = Scope {
            tenant: part(&self.tenant, |scope| &scope.tenant),
            provider: part(&self.provider, |scope| &scope.provider),
            model: part(&self.model, |scope| &scope.model),
        };
        check(&scope)?;
        let per_tenant = self.per_tenant.or(before.map(|before| before.budget.per_tenant)).unwrap_or_default();
        let budget = Budget { name: self.name.clone(), scope, per_tenant, unit, mode };
        let revision = budgets.revision().saturating_add(1);
        let since_s = zone.window(period, now_s).ok_or("this host's clock tells no time: set it")?.begins_s;
        let new = Definition { id: revision, budget, limit, period, zone, since_s, who: self.who.clone() };
        Ok(match before {
            Some(before) if before.counts_as(&new) => Definition { id: before.id, since_s: before.since_s, ..new },
            _ => new,
        })
    }
}

/// Whether there is room for a budget beside those in force.
pub fn fits(definition: &Definition, budgets: &Budgets) -> Result<(), String> {
    if budgets.get(definition.name()).is_none() && budgets.len() >= MAX_BUDGETS {
        return Err(format!("there are {MAX_BUDGETS} budgets already, which is the most: remove one first"));
    }
    twin(definition, budgets)
}

/// Two budgets that count the same calls in the same windows: one of them is a slip.
fn twin(definition: &Definition, budgets: &Budgets) -> Result<(), String> {
    let is_twin = |other: &&Definition| {
        other.name() != definition.name() && other.counts_as(definition) && other.budget.mode == definition.budget.mode
    };
    match budgets.iter().find(is_twin) {
        None => Ok(()),
        Some(other) => Err(format!(
            "{} counts the same calls in the same windows already, up to {} {}: change or remove that one, or set another \
             mode",
            other.name(),
            text_of_whole(other.limit, other.unit()),
            other.unit().as_str(),
        )),
    }
}

/// Whether a text can be a budget's name.
pub fn name(name: &str) -> Result<(), String> {
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    let fits = (1..=MAX_BUDGET_NAME).contains(&name.len()) && name.bytes().all(is_allowed);
    fits.then_some(()).ok_or_else(|| {
        format!("\"{}\": a budget's name must be 1 to {MAX_BUDGET_NAME} of a-z, 0-9, . _ and -", printable(name))
    })
}

/// Whether a text can say who made a change.
pub fn who(who: &str) -> Result<(), String> {
    let fits = !who.trim().is_empty() && who.len() <= MAX_WHO && who.chars().all(is_plain);
    fits.then_some(()).ok_or_else(|| format!("who: must say who you are, in at most {MAX_WHO} bytes on one line"))
}

/// Whether calls can have this tenant.
pub fn tenant(tenant: &str) -> Result<(), String> {
    if matches!(tenant, UNKNOWN | INVALID) || wire::identity::tenant(tenant.as_bytes()).is_some() {
        return Ok(());
    }
    let hint = if tenant.contains('*') { "; a tenant covers all below it without a *" } else { "" };
    Err(format!("tenant: \"{}\" {ALLOWED}{hint}", printable(tenant)))
}

fn check(scope: &Scope) -> Result<(), String> {
    scope.tenant.as_deref().map_or(Ok(()), tenant)?;
    for (field, value) in [("provider", &scope.provider), ("model", &scope.model)] {
        let Some(value) = value else { continue };
        let is_name = !value.trim().is_empty() && value.len() <= MAX_NAME && value.chars().all(is_plain);
        if !is_name || value.contains('*') {
            return Err(format!(
                "{field}: \"{}\" must be one whole name, at most {MAX_NAME} bytes, without *: a provider's as it stands in the \
                 report, a model's as calls ask for it",
                printable(value)
            ));
        }
    }
    Ok(())
}

fn word<T>(
    field: &str,
    value: &Option<String>,
    before: Option<T>,
    read: fn(&str) -> Option<T>,
    allowed: &[&str],
) -> Result<T, String> {
    let list = || {
        let (last, first) = allowed.split_last().unwrap_or((&"", &[]));
        format!("{} or {last}", first.join(", "))
    };
    match value {
        Some(word) => read(&word.to_ascii_lowercase())
            .ok_or_else(|| format!("{field}: must be {}, not \"{}\"", list(), printable(word))),
        None => before.ok_or_else(|| format!("{field}: is missing; must be {}", list())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: i64 = 1_795_942_800;

    fn draft(name: &str) -> Draft {
        let some = |text: &str| Some(text.to_owned());
        Draft {
            name: name.to_owned(),
            limit: some("100"),
            unit: some("tokens"),
            window: some("day"),
            who: "ann".to_owned(),
            ..Draft::default()
        }
    }

    fn with(change: impl Fn(&mut Draft)) -> Result<Definition, String> {
        let mut draft = draft("a");
        change(&mut draft);
        draft.complete(&Budgets::default(), NOW_S)
    }

    #[test]
    fn contract_everything_that_is_wrong_with_a_budget_is_named_with_what_is_allowed() {
        let some = |text: &str| Some(text.to_owned());
        type Case<'c> = (&'c dyn Fn(&mut Draft), &'c str);
        let cases: [Case<'_>; 26] = [
            (&|draft| draft.name = String::new(), "a budget's name must be 1 to 64 of a-z, 0-9, . _ and -"),
            (&|draft| draft.name = "A b".to_owned(), "\"A b\": a budget's name must be"),
            (&|draft| draft.name = "a".repeat(65), "a budget's name must be"),
            (&|draft| draft.name = "a\u{1b}[31m".to_owned(), "\"a\\u{1b}[31m\": a budget's name"),
            (&|draft| draft.who = " ".to_owned(), "who: must say who you are"),
            (&|draft| draft.who = "a\nb".to_owned(), "who: must say who you are"),
            (&|draft| draft.unit = None, "unit: is missing; must be tokens or usd"),
            (&|draft| draft.unit = some("eur"), "unit: must be tokens or usd, not \"eur\""),
            (&|draft| draft.window = None, "window: is missing; must be minute, hour, day, week or month"),
            (&|draft| draft.window = some("year"), "window: must be minute, hour, day, week or month, not \"year\""),
            (&|draft| draft.mode = some("firm"), "mode: must be hard, soft or shadow, not \"firm\""),
            (&|draft| draft.zone = some("Mars/Base"), "zone: there is no time zone \"Mars/Base\""),
            (&|draft| draft.limit = None, "limit: is missing; how many tokens?"),
            (&|draft| draft.limit = some("5 USD"), "limit: must be a whole number of tokens"),
            (&|draft| draft.limit = some("-5"), "limit: must not be negative"),
            (&|draft| draft.tenant = some("a//b"), "tenant: \"a//b\" must be ASCII"),
            (&|draft| draft.tenant = some("a/../b"), "tenant: \"a/../b\" must be ASCII"),
            (&|draft| draft.tenant = some("/a"), "tenant: \"/a\" must be ASCII"),
            (&|draft| draft.tenant = some("a/"), "tenant: \"a/\" must be ASCII"),
            (&|draft| draft.tenant = some("a/*"), "a tenant covers all below it without a *"),
            (&|draft| draft.tenant = some("overflow"), "tenant: \"overflow\" must be ASCII"),
            (&|draft| draft.tenant = Some("x".repeat(129)), "tenant: "),
            (&|draft| draft.provider = some(""), "provider: \"\" must be one whole name"),
            (&|draft| draft.model = some("gpt-*"), "model: \"gpt-*\" must be one whole name"),
            (&|draft| draft.model = some("a\u{202e}b"), "model: \"a\\u{202e}b\" must be one whole name"),
            (&|draft| draft.model = Some("m".repeat(257)), "model: "),
        ];
        for (change, problem) in cases {
            let found = with(change).unwrap_err();
            assert!(found.contains(problem), "{found} instead of {problem}");
        }
        assert!(with(|draft| draft.tenant = some("unknown")).is_ok(), "calls of nobody known can be limited");
        assert!(with(|draft| draft.limit = some("0")).is_ok(), "nothing may pass");
        for (unit, expected) in [("USD", Unit::Usd), ("Tokens", Unit::Tokens)] {
            assert_eq!(with(|draft| draft.unit = some(unit)).unwrap().unit(), expected);
        }
    }

    #[test]
    fn contract_what_is_left_out_stays_and_only_another_counting_begins_anew() {
        let first = draft("a").complete(&Budgets::default(), NOW_S).unwrap();
        assert_eq!((first.id, first.since_s, first.budget.mode), (1, NOW_S - NOW_S % 86_400, Mode::Hard));
        let budgets = Budgets::new(1, vec![first.clone()]);
        let some = |text: &str| Some(text.to_owned());
        let empty = Draft { name: "a".to_owned(), who: "bob".to_owned(), ..Draft::default() };
        let later = NOW_S + 86_400;
        let raised = Draft { limit: some("200"), ..empty.clone() }.complete(&budgets, later).unwrap();
        assert_eq!((raised.id, raised.since_s, raised.limit, raised.period), (1, first.since_s, 200, Period::Day));
        let moved = Draft { zone: some("Asia/Tokyo"), ..empty.clone() }.complete(&budgets, later).unwrap();
        assert_eq!((moved.id, moved.limit), (2, 100));
        assert!(moved.since_s > first.since_s);
        let other = Draft { unit: some("usd"), ..empty }.complete(&budgets, later).unwrap_err();
        assert_eq!(other, "limit: is missing; how many usd?");
    }

    #[test]
    fn contract_two_budgets_that_count_the_same_are_a_slip_and_more_than_there_may_be_are_refused() {
        let budgets = Budgets::new(1, vec![draft("a").complete(&Budgets::default(), NOW_S).unwrap()]);
        let twin = draft("b").complete(&budgets, NOW_S).unwrap_err();
        assert_eq!(
            twin,
            "a counts the same calls in the same windows already, up to 100 tokens: change or remove that one, or set \
             another mode"
        );
        assert!(Draft { mode: Some("soft".to_owned()), ..draft("b") }.complete(&budgets, NOW_S).is_ok());
        let many = |count: usize| {
            let of = |number: usize| {
                let tenant = Some(format!("t{number}"));
                Draft { tenant, ..draft(&format!("n{number}")) }.complete(&Budgets::default(), NOW_S).unwrap()
            };
            Budgets::new(1, (0..count).map(of).collect())
        };
        assert!(draft("b").complete(&many(MAX_BUDGETS - 1), NOW_S).is_ok());
        let full = draft("b").complete(&many(MAX_BUDGETS), NOW_S).unwrap_err();
        assert_eq!(full, "there are 1000 budgets already, which is the most: remove one first");
    }
}
