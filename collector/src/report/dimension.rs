//! What the lines of a report are told apart by, and what calls are chosen by.

use std::borrow::Cow;

use jiff::Timestamp;

use super::kind::Kind;
use super::period::Zone;
use crate::ledger::correct::Called;
use crate::store;
use crate::store::sums::storable;
use crate::tenant;

/// What a call can be told apart by. Lines of different evidence are always apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// The hour in which it counts, in the report's time zone.
    Hour,
    /// The day on which it counts: that on which it began, unless its month was closed before.
    Day,
    /// The month in which it counts.
    Month,
    /// Who is charged; with a depth only so many segments of the path.
    Tenant(Option<u8>),
    /// The workload that called.
    Principal,
    /// The provider.
    Provider,
    /// The model that responded, else the one asked for.
    Model,
    /// What was asked for, such as `chat`.
    Operation,
    /// Envoy's route.
    Route,
    /// The client's session.
    Session,
    /// The client's agent.
    Agent,
    /// The trace.
    Trace,
    /// The tag of a name.
    Tag(String),
    /// How it ended.
    Outcome,
    /// Envoy's node.
    Node,
    /// Who counted it.
    Emitter,
    /// How good the counts are. As a column of usage and costs it adds nothing: it is always there.
    Evidence,
}

/// Those with a name of their own, in the order in which they are listed, and what they are.
const NAMED: [(&str, Dimension, &str); 16] = [
    ("hour", Dimension::Hour, "the hour, with the offset of the time zone"),
    (
        "day",
        Dimension::Day,
        "the day on which the call began; if its month was closed before, the day on which it was booked",
    ),
    ("month", Dimension::Month, "the month of that day"),
    ("tenant", Dimension::Tenant(None), "who is charged; as a filter `acme` is also what is below it"),
    ("principal", Dimension::Principal, "the workload that called, a SPIFFE ID"),
    ("provider", Dimension::Provider, "the provider that responded"),
    ("model", Dimension::Model, "the model that responded, with its provider"),
    ("operation", Dimension::Operation, "`chat`, `embeddings` and the like"),
    ("route", Dimension::Route, "Envoy's route name"),
    ("session", Dimension::Session, "the session, by the client's word"),
    ("agent", Dimension::Agent, "the agent, by the client's word"),
    ("trace", Dimension::Trace, "the trace of the request"),
    ("outcome", Dimension::Outcome, "how the call ended; `refused`: by the plugin, before it was sent"),
    ("node", Dimension::Node, "Envoy's node id"),
    ("emitter", Dimension::Emitter, "who counted the call"),
    ("evidence", Dimension::Evidence, "how good the counts are; of usage and costs always a column"),
];
/// Those with a part that is chosen.
const CHOSEN: [(&str, &str, bool, bool); 2] = [
    ("tenant:DEPTH", "so many segments of the tenant's path", true, false),
    ("tag:NAME", "the value of a tag", false, true),
];
const TAG: &str = "tag:";
const TENANT: &str = "tenant:";
/// The longest name of a tag that can be asked for.
const MAX_TAG: usize = wire::event::MAX_TEXT;
/// The most columns.
const MAX_COLUMNS: usize = 12;

/// The names of all columns, for messages and documentation.
pub fn allowed() -> String {
    let names = NAMED.iter().map(|(name, ..)| *name).chain(CHOSEN.iter().map(|(name, ..)| *name));
    names.collect::<Vec<_>>().join(", ")
}

/// Those with a name of their own.
pub fn named() -> impl Iterator<Item = Dimension> {
    NAMED.into_iter().map(|(_, dimension, _)| dimension)
}

impl Dimension {
    /// The dimension of a name; an error says what is wrong with it.
    pub fn parse(name: &str) -> Result<Dimension, String> {
        if let Some((_, dimension, _)) = NAMED.iter().find(|(named, ..)| *named == name) {
            return Ok(dimension.clone());
        }
        if let Some(depth) = name.strip_prefix(TENANT) {
            let depth = depth.parse().ok().filter(|depth| (1..=64).contains(depth));
            return depth
                .map(|depth| Dimension::Tenant(Some(depth)))
                .ok_or("tenant:DEPTH: must be from 1 to 64".into());
        }
        match name.strip_prefix(TAG) {
            Some(tag) if !tag.is_empty() && tag.len() <= MAX_TAG => Ok(Dimension::Tag(tag.to_owned())),
            Some(_) => Err(format!("tag:NAME: a name has 1 to {MAX_TAG} bytes")),
            None => Err(format!("must be a list of {}, separated by commas", allowed())),
        }
    }

    /// Its name.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Dimension::Tag(tag) => format!("{TAG}{tag}").into(),
            Dimension::Tenant(Some(depth)) => format!("{TENANT}{depth}").into(),
            of => NAMED.iter().find(|(_, named, _)| named == of).map_or("", |(name, ..)| name).into(),
        }
    }

    /// Whether it divides time.
    pub fn is_time(&self) -> bool {
        matches!(self, Dimension::Hour | Dimension::Day | Dimension::Month)
    }

    /// The column of the sums that it is, or is found by; `None` if only entries have it.
    pub fn of_sums(&self) -> Option<Option<store::Dimension>> {
        Some(match self {
            Dimension::Day => Some(store::Dimension::Day),
            Dimension::Month => Some(store::Dimension::Month),
            Dimension::Tenant(_) => Some(store::Dimension::Tenant),
            Dimension::Provider => Some(store::Dimension::Provider),
            Dimension::Model => Some(store::Dimension::Model),
            Dimension::Evidence => None,
            _ => return None,
        })
    }
}

/// The columns, as rows of a table: name, meaning, whether the sums have it, whether calls can be chosen by it.
pub fn described() -> impl Iterator<Item = (&'static str, &'static str, bool, bool)> {
    let named = NAMED.iter().map(|(name, of, help)| (*name, *help, of.of_sums().is_some(), !of.is_time()));
    named.chain(CHOSEN)
}

/// Reads the columns of a report: `tenant,model`. Evidence is always one.
pub fn dimensions(text: &str) -> Result<Vec<Dimension>, String> {
    Kind::Report.columns(text)
}

/// The same with all that are named, in their order. A model's name says nothing without who serves it: that stands before it, unless
/// it is named itself.
pub(super) fn all_dimensions(text: &str) -> Result<Vec<Dimension>, String> {
    let named: Vec<Dimension> =
        text.split(',').map(|name| Dimension::parse(name.trim())).collect::<Result<_, String>>()?;
    let has_provider = named.contains(&Dimension::Provider);
    let mut by = Vec::new();
    for dimension in named {
        if dimension == Dimension::Model && !has_provider && !by.contains(&dimension) {
            by.push(Dimension::Provider);
        }
        if !by.contains(&dimension) {
            by.push(dimension);
        }
    }
    if by.len() > MAX_COLUMNS { Err(format!("must be at most {MAX_COLUMNS} columns")) } else { Ok(by) }
}

/// Calls that count together, as far as is known of them.
pub enum Facts<'a> {
    /// Those of a total of the sums: what is told apart, and its values.
    Sums { columns: &'a [store::Dimension], values: &'a [String], evidence: &'static str },
    /// One call that counts at a time.
    Call { called: &'a Called, at_ns: i64 },
}

impl<'a> Facts<'a> {
    /// The value of a dimension; empty if it is not known.
    pub fn value(&self, dimension: &Dimension, zone: &Zone) -> Cow<'a, str> {
        let value = match self {
            Facts::Sums { columns, values, evidence } => match dimension.of_sums().flatten() {
                Some(column) => {
                    let place = columns.iter().position(|known| *known == column);
                    Cow::Borrowed(place.and_then(|place| values.get(place)).map_or("", String::as_str))
                }
                None if *dimension == Dimension::Evidence => Cow::Borrowed(*evidence),
                None => Cow::Borrowed(""),
            },
            Facts::Call { called, at_ns } => of_call(called, *at_ns, dimension, zone),
        };
        match (dimension, value) {
            (Dimension::Tenant(Some(depth)), Cow::Borrowed(path)) => tenant::cut(path, (*depth).into()).into(),
            (_, value) => value,
        }
    }
}

fn of_call<'a>(called: &'a Called, at_ns: i64, dimension: &Dimension, zone: &Zone) -> Cow<'a, str> {
    let Called { entry, event, .. } = called;
    let record = &event.record;
    let time = |form: &str| {
        let at = Timestamp::from_nanosecond(at_ns.into()).unwrap_or_default();
        at.to_zoned(zone.zone().clone()).strftime(form).to_string().into()
    };
    let known = |text: &'a Option<String>| stored(text.as_deref().unwrap_or_default());
    match dimension {
        // With the offset: an hour comes twice when clocks are set back.
        Dimension::Hour => time("%Y-%m-%dT%H:00%:z"),
        Dimension::Day => time("%Y-%m-%d"),
        Dimension::Month => time("%Y-%m"),
        Dimension::Tenant(_) => Cow::Borrowed(&entry.tenant),
        Dimension::Provider => Cow::Borrowed(&entry.provider),
        Dimension::Model => Cow::Borrowed(&entry.model),
        Dimension::Evidence => Cow::Borrowed(entry.evidence.as_str()),
        Dimension::Principal => known(&record.identity.principal),
        Dimension::Operation => stored(&record.operation),
        Dimension::Route => known(&record.route),
        Dimension::Session => known(&record.session_id),
        Dimension::Agent => known(&record.agent_id),
        Dimension::Trace => known(&record.trace_id),
        Dimension::Outcome => Cow::Borrowed(record.outcome.as_str()),
        Dimension::Node => known(&record.node),
        Dimension::Emitter => Cow::Borrowed(&entry.emitter),
        Dimension::Tag(name) => {
            stored(record.tags.iter().find(|tag| tag.name == *name).map_or("", |tag| tag.value.as_str()))
        }
    }
}

/// Without the character that ends a text in the key of a line, as in the sums.
fn stored(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { storable(text).into() } else { text.into() }
}
