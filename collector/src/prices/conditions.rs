//! What must be so of a call for an entry or a factor to hold: every condition that is named, of several values one.

use super::keys;
use super::pattern::Pattern;

/// A fact of a call that can be a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    ServiceTier,
    Speed,
    Region,
    InferenceGeo,
    Size,
    Quality,
    SearchContext,
    SearchTool,
    Operation,
}

impl Fact {
    pub const ALL: [Fact; 9] = [
        Fact::ServiceTier,
        Fact::Speed,
        Fact::Region,
        Fact::InferenceGeo,
        Fact::Size,
        Fact::Quality,
        Fact::SearchContext,
        Fact::SearchTool,
        Fact::Operation,
    ];

    pub const fn key(self) -> &'static str {
        match self {
            Fact::ServiceTier => keys::SERVICE_TIER,
            Fact::Speed => keys::SPEED,
            Fact::Region => keys::REGION,
            Fact::InferenceGeo => keys::INFERENCE_GEO,
            Fact::Size => keys::SIZE,
            Fact::Quality => keys::QUALITY,
            Fact::SearchContext => keys::SEARCH_CONTEXT,
            Fact::SearchTool => keys::SEARCH_TOOL,
            Fact::Operation => keys::OPERATION,
        }
    }

    /// Whether a call of which this is not standard has no price of its own where nothing names it.
    pub const fn is_strict(self) -> bool {
        matches!(self, Fact::ServiceTier | Fact::Speed)
    }

    /// The names that providers have for what a call gets that asked for nothing.
    pub const fn standard(self) -> &'static [&'static str] {
        match self {
            // A response of `auto` is served what the account has, which is the standard tier unless it says another one.
            Fact::ServiceTier => &["auto", "default", "on_demand", "standard"],
            Fact::Speed => &["default", "normal", "standard"],
            _ => &[],
        }
    }
}

/// The facts of a call, in lower case; what is standard is left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub values: [Option<String>; Fact::ALL.len()],
    /// Minutes since midnight, UTC.
    pub minute: u16,
    /// Monday is 0.
    pub weekday: u8,
}

impl Facts {
    pub fn get(&self, fact: Fact) -> Option<&str> {
        self.values.get(fact as usize)?.as_deref()
    }

    pub fn set(&mut self, fact: Fact, value: Option<&str>) {
        let is_standard = |value: &&str| fact.standard().iter().any(|name| name.eq_ignore_ascii_case(value));
        let value = value.filter(|value| !value.is_empty() && !is_standard(value)).map(str::to_lowercase);
        if let Some(slot) = self.values.get_mut(fact as usize) {
            *slot = value;
        }
    }
}

/// Names of which one must be the call's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub any: Vec<Pattern>,
    /// Names that are not meant although a pattern matches them.
    pub except: Vec<Pattern>,
}

/// Whether two lists have the same in them, in whatever order.
pub(super) fn same<T: PartialEq>(one: &[T], other: &[T]) -> bool {
    one.len() == other.len() && one.iter().all(|item| other.contains(item))
}

impl Names {
    /// Whether both name the same, in whatever order.
    pub fn is_same(&self, other: &Names) -> bool {
        same(&self.any, &other.any) && same(&self.except, &other.except)
    }

    pub fn matches(&self, value: &str) -> bool {
        self.any.iter().any(|name| name.matches(value)) && !self.excludes(value)
    }

    fn excludes(&self, value: &str) -> bool {
        self.except.iter().any(|name| name.matches(value))
    }

    /// Whether there can be a value that both match.
    pub fn shares(&self, other: &Names) -> bool {
        let is_left_out =
            |name: &Pattern| name.is_exact() && (self.excludes(name.text()) || other.excludes(name.text()));
        self.any
            .iter()
            .any(|one| other.any.iter().any(|two| !is_left_out(one) && !is_left_out(two) && one.intersects(two)))
    }

    /// As they stand in the book.
    pub fn text(&self) -> String {
        let except = self.except.iter().map(|name| format!("!{}", name.text()));
        self.any.iter().map(|name| name.text().to_owned()).chain(except).collect::<Vec<_>>().join(",")
    }
}

/// A time of the day, in minutes: from the first up to the second, which is not in it.
pub(super) type Hours = (u16, u16);

/// Conditions that must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    pub names: Vec<(Fact, Names)>,
    /// Of which one must hold, if there are any.
    pub hours: Vec<Hours>,
    /// Bits of the days, Monday's the lowest; none: every day.
    pub weekdays: u8,
}

const DAY: u16 = 24 * 60;

impl Conditions {
    /// Whether both name the same, in whatever order.
    pub fn is_same(&self, other: &Conditions) -> bool {
        let has = |(fact, names): &(Fact, Names)| {
            other.names.iter().any(|(known, others)| known == fact && names.is_same(others))
        };
        self.names.len() == other.names.len()
            && self.names.iter().all(has)
            && same(&self.hours, &other.hours)
            && self.weekdays == other.weekdays
    }

    pub fn hold(&self, facts: &Facts) -> bool {
        self.names.iter().all(|(fact, names)| facts.get(*fact).is_some_and(|value| names.matches(value)))
            && (self.hours.is_empty() || self.hours.iter().any(|hours| is_within(*hours, facts.minute)))
            && (self.weekdays == 0 || self.weekdays & bit(facts.weekday) != 0)
    }

    /// How closely they describe a call: what must not be missing counts first.
    pub fn rank(&self) -> (usize, usize) {
        let strict = self.names.iter().filter(|(fact, _)| fact.is_strict()).count();
        let times = usize::from(!self.hours.is_empty()).saturating_add(usize::from(self.weekdays != 0));
        (strict, self.names.len().saturating_sub(strict).saturating_add(times))
    }

    pub fn are_none(&self) -> bool {
        self.rank() == (0, 0)
    }

    pub fn name(&self, fact: Fact) -> bool {
        self.names.iter().any(|(named, _)| *named == fact)
    }

    /// Whether one call can meet both.
    pub fn share(&self, other: &Conditions) -> bool {
        let names = self.names.iter().all(|(fact, names)| {
            other.names.iter().find(|(other, _)| other == fact).is_none_or(|(_, other)| names.shares(other))
        });
        let hours = self.hours.is_empty()
            || other.hours.is_empty()
            || self.hours.iter().any(|one| other.hours.iter().any(|two| hours_share(*one, *two)));
        let weekdays = self.weekdays == 0 || other.weekdays == 0 || self.weekdays & other.weekdays != 0;
        names && hours && weekdays
    }

    /// `tier=flex region=eu,us`, in front of each a space.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (fact, names) in &self.names {
            // As ratings have always named it.
            let key = if *fact == Fact::ServiceTier { "tier" } else { fact.key() };
            text.push_str(&format!(" {key}={}", names.text()));
        }
        if !self.hours.is_empty() {
            let hours: Vec<String> =
                self.hours.iter().map(|(from, to)| format!("{}-{}", clock(*from), clock(*to))).collect();
            text.push_str(&format!(" {}={}", keys::HOURS_UTC, hours.join(",")));
        }
        if self.weekdays != 0 {
            let days: Vec<String> = (0..7_u8)
                .filter(|day| self.weekdays & bit(*day) != 0)
                .map(|day| day.saturating_add(1).to_string())
                .collect();
            text.push_str(&format!(" {}={}", keys::WEEKDAYS, days.join(",")));
        }
        text
    }
}

/// The bit of a day, Monday is 0.
pub(super) fn bit(weekday: u8) -> u8 {
    1_u8.checked_shl(weekday.into()).unwrap_or(0)
}

fn is_within((from, to): Hours, minute: u16) -> bool {
    if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
}

fn hours_share(one: Hours, two: Hours) -> bool {
    is_within(one, two.0) || is_within(two, one.0)
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Reads `16:30-00:30`: from the first minute up to the second, over midnight if that is earlier.
pub(super) fn hours(text: &str) -> Option<Hours> {
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let number = |text: &str, most: u16| {
            let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().ok().filter(|number| is_number && *number <= most)
        };
        number(hour, 24)?.checked_mul(60)?.checked_add(number(minute, 59)?).filter(|minute| *minute <= DAY)
    };
    let (from, to) = text.split_once('-')?;
    let (from, to) = (minute(from).filter(|from| *from < DAY)?, minute(to)?);
    // The end of the day is the beginning of the next one.
    let to = if to == DAY { 0 } else { to };
    (from != to).then_some((from, to))
}
