//! What is asked for, and how it is read from parameters: the same for the command line and HTTP.

use std::fmt;

use super::dimension::Dimension;
use super::filter::{Chosen, Filters, Restriction};
use super::kind::Kind;
use super::lines::Which;
use super::period::{self, Period, Zone};
use super::{ReportError, round};
use crate::store::{self, months::Month};

/// The columns of a report nobody chose columns for.
pub const DEFAULT_BY: &str = "tenant,model";
/// The most lines that `top` gives.
pub const MAX_TOP: usize = 10_000;
/// The longest period of which hours can be told apart, days.
const MAX_DAYS_OF_HOURS: i64 = 366;
const DAY_NS: i64 = 86_400_000_000_000;

wire::words! {
    /// What the first lines have most of.
    #[derive(Default)]
    Sort {
        /// What the tenant pays.
        #[default]
        Charge "charge",
        /// What the provider charges.
        Cost "cost",
        /// Input and output.
        Tokens "tokens",
        /// Calls.
        Calls "calls",
    }
}

/// Only the first lines; the others are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Top {
    /// How many.
    pub lines: usize,
    /// In which order.
    pub sort: Sort,
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// What is made of them.
    pub kind: Kind,
    /// When what is summed up counts.
    pub period: Period,
    /// What calls must be.
    pub filters: Filters,
    /// What whoever asks may know of.
    pub restriction: Restriction,
    /// The columns that tell lines apart, in their order.
    pub by: Vec<Dimension>,
    /// Round to so many decimals, as on an invoice: what a tenant owes for a month is rounded once, whatever the lines are.
    pub round: Option<u8>,
    /// Only the first lines, and the others in one.
    pub top: Option<Top>,
    /// Beside each line what it was in the period before.
    pub compare: bool,
}

/// A parameter that cannot be, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadParameter {
    /// Which.
    pub name: String,
    /// What it must be.
    pub problem: String,
}

impl fmt::Display for BadParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.problem)
    }
}

macro_rules! parameters {
    ($($name:literal $form:literal, $help:literal;)+) => {
        /// A parameter of a question.
        #[derive(Clone, Copy, Debug)]
        pub struct Parameter {
            /// Its name.
            pub name: &'static str,
            /// What it looks like.
            pub form: &'static str,
            /// What it does.
            pub help: &'static str,
        }

        /// Every parameter beside the filters.
        pub const PARAMETERS: &[Parameter] = &[$(Parameter { name: $name, form: $form, help: $help }),+];
    };
}

parameters! {
    "since" "day, month or moment", "the first day, or the moment from which on calls count; where calls are read, without it the first day of the month";
    "until" "day, month or moment", "the last day, or the moment before which calls count";
    "time_zone" "name", "where days, months and hours are those of; without it UTC";
    "by" "columns", "what tells lines apart, separated by commas";
    "top" "number", "only so many lines, the largest; the others are one line";
    "sort" "`charge`, `cost`, `tokens` or `calls`", "what the lines of `top` have most of; without it the charge";
    "compare" "`true` or `false`", "beside each line what it was in the period before, which has the same length, or as many months";
    "round" "0 to 15", "decimals, as on an invoice: what a tenant owes for a month is rounded once, and the lines add up to it";
}

impl Question {
    /// Reads the parameters of a report, see [`Question::of`].
    pub fn parse<N: AsRef<str>, V: AsRef<str>>(
        parameters: impl IntoIterator<Item = (N, V)>,
        now_ns: i64,
    ) -> Result<Question, BadParameter> {
        Question::of(Kind::Report, parameters, now_ns)
    }

    /// Reads parameters: `since=2026-11-01`, `by=session`, `provider=openai`. A filter may be given more than once: any of its
    /// values will do.
    pub fn of<N: AsRef<str>, V: AsRef<str>>(
        kind: Kind,
        parameters: impl IntoIterator<Item = (N, V)>,
        now_ns: i64,
    ) -> Result<Question, BadParameter> {
        let mut question = Question { kind, ..Question::default() };
        let mut given: Vec<&'static str> = Vec::new();
        let (mut by, mut top, mut sort, mut zone) = (None, None, None, None);
        for (name, value) in parameters {
            let (name, value) = (name.as_ref(), value.as_ref());
            let bad = |problem: String| BadParameter { name: name.to_owned(), problem };
            if let Ok(dimension) = Dimension::parse(name) {
                question.filters.add(dimension, value).map_err(bad)?;
                continue;
            }
            let known = kind.parameter(name)?;
            if given.contains(&known.name) {
                return Err(bad("is given more than once".to_owned()));
            }
            given.push(known.name);
            match name {
                "since" => question.period.since = Some(period::since(value).map_err(bad)?),
                "until" => question.period.until = Some(period::until(value).map_err(bad)?),
                "time_zone" => zone = Some(Zone::parse(value).map_err(bad)?),
                "by" => by = Some(kind.columns(value).map_err(bad)?),
                "top" => {
                    let lines = value.parse().ok().filter(|lines| (1..=MAX_TOP).contains(lines));
                    top = Some(lines.ok_or_else(|| bad(format!("must be a whole number from 1 to {MAX_TOP}")))?);
                }
                "sort" => {
                    let word = Sort::from_word(value);
                    sort = Some(word.ok_or_else(|| bad(format!("must be one of {}", Sort::WORDS.join(", "))))?);
                }
                "compare" => {
                    question.compare = match value {
                        "true" => true,
                        "false" => false,
                        _ => return Err(bad("must be true or false".to_owned())),
                    };
                }
                _ => {
                    let decimals = value.parse().ok().filter(|decimals| *decimals <= 15);
                    question.round =
                        Some(decimals.ok_or_else(|| bad("must be a whole number from 0 to 15".to_owned()))?);
                }
            }
        }
        question.by = match by {
            Some(by) => by,
            None => kind.columns(kind.default_by()).unwrap_or_default(),
        };
        question.period.zone = zone.unwrap_or_default();
        let bad = |name: &str, problem: &str| BadParameter { name: name.to_owned(), problem: problem.to_owned() };
        question.top = match (top, sort) {
            (Some(lines), sort) => Some(Top { lines, sort: sort.unwrap_or_default() }),
            (None, Some(_)) => return Err(bad("sort", "orders the lines of top: give top, too")),
            (None, None) => None,
        };
        question.begun(now_ns)
    }

    /// The same with the period that it is about, if its parts fit together.
    fn begun(mut self, now_ns: i64) -> Result<Question, BadParameter> {
        let bad = |name: &str, problem: &str| BadParameter { name: name.to_owned(), problem: problem.to_owned() };
        if self.period.is_empty() {
            return Err(bad("since", "must be before until"));
        }
        if self.kind == Kind::Focus && self.period.zone != Zone::default() {
            return Err(bad("time_zone", "must be UTC: FOCUS has no other"));
        }
        if self.reads_entries() {
            self.period = self.period.begun(now_ns);
        }
        if self.top.is_some() && self.by.is_empty() {
            return Err(bad("top", "needs a column in by"));
        }
        if self.compare {
            if let Some(time) = self.by.iter().find(|dimension| dimension.is_time()) {
                let problem = format!("cannot be by {}: its lines are none of the period before", time.name());
                return Err(bad("compare", &problem));
            }
            self.period.before().map_err(|problem| bad("compare", problem))?;
        }
        let until_ns = if self.period.until.is_some() { self.period.until_ns() } else { now_ns };
        let days = until_ns.saturating_sub(self.period.from_ns()).checked_div(DAY_NS).unwrap_or(i64::MAX);
        if self.by.contains(&Dimension::Hour) && days > MAX_DAYS_OF_HOURS {
            return Err(bad(
                "by",
                &format!("hour: of at most {MAX_DAYS_OF_HOURS} days; a later since, or an earlier until"),
            ));
        }
        Ok(self)
    }

    /// Whether the sums cannot tell: then every call of the period is read.
    pub fn reads_entries(&self) -> bool {
        self.kind.reads_calls() || self.columns().is_none() || self.period.selection().is_none()
    }

    /// The first month of which calls are read; without one from the first on.
    pub fn first_month(&self) -> Option<Month> {
        let before = self.compare.then(|| self.period.before().ok()).flatten();
        Month::of(before.as_ref().unwrap_or(&self.period).from_ns())
    }

    /// One of the two periods.
    pub(super) fn period_of(&self, which: Which) -> Result<Period, ReportError> {
        match which {
            Which::Now => Ok(self.period.clone()),
            Which::Before => self.period.before().map_err(|why| ReportError::Stopped(why.to_owned())),
        }
    }

    /// The period and the filters, in a line: `from 2026-11-01, time zone UTC; only tenant=acme or beta, model=gpt-4*`.
    pub(super) fn said(&self) -> String {
        let filters = self.filters.said().map(|said| format!("; only {said}")).unwrap_or_default();
        format!("{}{filters}", self.period.said())
    }

    /// What is told apart for an invoice.
    pub(super) fn invoice(&self) -> &'static [Dimension] {
        if self.round.is_some() { &round::INVOICE } else { &[] }
    }

    /// The columns of the sums that tell; `None` if they cannot. A month of another zone is none of theirs.
    pub(super) fn columns(&self) -> Option<Vec<store::Dimension>> {
        let asked = self.by.iter().chain(self.filters.dimensions()).chain(self.invoice());
        self.columns_of(asked, &[store::Dimension::Adjusts])
    }

    /// The columns that tell what has no price, by model and the month in which calls began.
    pub(super) fn columns_of_models(&self) -> Option<Vec<store::Dimension>> {
        use store::Dimension::{Adjusts, Model, Month, Provider};
        self.columns_of(self.filters.dimensions(), &[Month, Adjusts, Provider, Model])
    }

    /// The columns of lines, and those that tell who takes back what: a tenant's model and the month in which calls began.
    pub(super) fn columns_apart(&self) -> Option<Vec<store::Dimension>> {
        use store::Dimension::{Adjusts, Model, Month, Provider, Tenant};
        let asked = self.by.iter().chain(self.filters.dimensions()).chain(self.invoice());
        self.columns_of(asked, &[Month, Adjusts, Tenant, Provider, Model])
    }

    fn columns_of<'q>(
        &'q self,
        asked: impl Iterator<Item = &'q Dimension>,
        more: &[store::Dimension],
    ) -> Option<Vec<store::Dimension>> {
        let mut columns = more.to_vec();
        for dimension in asked {
            if dimension.is_time() && !self.period.zone.is_utc() {
                return None;
            }
            columns.extend(dimension.of_sums()?);
        }
        if self.restriction.is_restricted() {
            columns.push(store::Dimension::Tenant);
        }
        columns.sort();
        columns.dedup();
        Some(columns)
    }

    pub(super) fn chosen(&self) -> Chosen<'_> {
        Chosen { filters: &self.filters, restriction: &self.restriction, zone: &self.period.zone }
    }
}
