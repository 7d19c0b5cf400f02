//! Records that are charged and may be of one call, for a person to decide: what nobody could prove, and why not.

use comfy_table::{Table, presets};
use serde::Serialize;
use wire::record::Record;

use crate::gaps::time;
use crate::ledger::again::{self, Now};
use crate::ledger::correct::event_of;
use crate::ledger::{owed, responses};
use crate::store::entry::Entry;
use crate::store::responses::PossibleCopy;
use crate::store::{Each, Reader, StoreError};
use crate::terminal::printable;

/// Two records that may be of one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// The provider.
    pub provider: String,
    /// The provider's id of the response, which both have.
    pub response_id: String,
    /// The record that was charged before.
    pub first: Side,
    /// The one that was charged besides.
    pub second: Side,
    /// What the proof lacks.
    pub missing: Vec<String>,
    /// How many records there were: more than one if their server repeats its ids so often that only the last is shown.
    pub records: i64,
    /// When it was noted.
    pub noted: String,
}

/// One of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The id of its event, which `meshmeter correct` takes.
    pub call: String,
    /// Who is charged.
    pub tenant: String,
    /// The model that is charged for.
    pub model: String,
    /// When the call began.
    pub began: String,
    /// How long it took, µs.
    pub duration_us: u64,
    /// What it costs, USD; nothing if a person took it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
}

impl Pair {
    /// Whether nobody has decided yet: both are charged.
    pub fn is_open(&self) -> bool {
        self.first.cost.is_some() && self.second.cost.is_some()
    }
}

/// Goes through the pairs, by the day on which the calls began.
pub fn each(reader: &dyn Reader, each: Each<'_, Pair>) -> Result<(), StoreError> {
    reader.possible_copies(&mut |(_, noted)| match pair(reader, &noted)? {
        Some(pair) => each(pair),
        None => Ok(()),
    })
}

/// Whether nobody has decided yet of a pair that was noted.
pub(crate) fn is_open(reader: &dyn Reader, noted: &PossibleCopy) -> Result<bool, StoreError> {
    Ok(pair(reader, noted)?.is_some_and(|pair| pair.is_open()))
}

fn pair(reader: &dyn Reader, noted: &PossibleCopy) -> Result<Option<Pair>, StoreError> {
    let (Some(first), Some(second)) = (reader.entry(noted.first)?, reader.entry(noted.second)?) else {
        return Ok(None);
    };
    let (Ok(one), Ok(other)) = (event_of(&first), event_of(&second)) else { return Ok(None) };
    let unlike = [
        (responses::are_far_apart(&one, &other), "the estimate is far above the report"),
        (responses::are_beside_in_time(&one, &other), "neither was under way within the other's time"),
    ];
    let (one, other) = (one.record, other.record);
    let mut missing = missing(&one, &other);
    missing.extend(unlike.iter().filter(|(is_so, _)| *is_so).map(|(_, why)| (*why).to_owned()));
    if missing.is_empty() {
        let is_equal = first.charge == second.charge;
        let why = if is_equal { "another record of the same proxy is a copy" } else { "charge differs" };
        missing.push(why.to_owned());
    }
    Ok(Some(Pair {
        provider: second.provider.clone(),
        response_id: responses::name(&other).unwrap_or_default().to_owned(),
        first: side(reader, first, &one)?,
        second: side(reader, second, &other)?,
        missing,
        records: noted.records,
        noted: time(noted.noted_ns),
    }))
}

fn side(reader: &dyn Reader, entry: Entry, record: &Record) -> Result<Side, StoreError> {
    let call = format!("{}-{}", entry.emitter, entry.sequence);
    let (began, model) = (time(entry.started_ns), entry.model.clone());
    let tenant = entry.tenant.clone();
    // A copy costs nothing of its own, and one that gave way to another record costs what that does: not here.
    let own = (entry.emitter.clone(), entry.sequence);
    let now = if entry.kind.is_charged() { Some(again::now(reader, entry)?) } else { None };
    let (tenant, cost) = match now {
        Some(Now::Stands(now)) if (&now.emitter, now.sequence) == (&own.0, own.1) => {
            (now.tenant, Some(now.charge.to_string()))
        }
        _ => (tenant, None),
    };
    Ok(Side { call, tenant, model, began, duration_us: record.duration_us, cost })
}

/// What would have to be there, or the same, for a proof.
fn missing(one: &Record, other: &Record) -> Vec<String> {
    let mut missing = Vec::new();
    let mut tell = |field: &str, one: &Option<String>, other: &Option<String>| {
        let is_there = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let problem = if is_there(one) && is_there(other) { "differs" } else { "is missing" };
        missing.push(format!("{field} {problem}"));
    };
    let same = |one: &Option<String>, other: &Option<String>| {
        one == other && one.as_ref().is_some_and(|text| !text.is_empty())
    };
    if one.proxy.is_none() || other.proxy.is_none() {
        tell("proxy", &one.proxy, &other.proxy);
    }
    let by_trace = same(&one.trace_id, &other.trace_id) && same(&one.span_id, &other.span_id);
    if !same(&one.request_id, &other.request_id) && !by_trace {
        tell("request_id", &one.request_id, &other.request_id);
        let field = if same(&one.trace_id, &other.trace_id) { "span_id" } else { "trace_id" };
        let of = |record: &Record| if field == "span_id" { record.span_id.clone() } else { record.trace_id.clone() };
        tell(field, &of(one), &of(other));
    }
    if one.request_model != other.request_model {
        tell("request_model", &one.request_model, &other.request_model);
    }
    if responses::are_of_two_tenants(one, other) {
        missing.push("tenant differs".to_owned());
    }
    if responses::are_of_one_workload(one, other) {
        missing.push("node_cluster is the same".to_owned());
    }
    missing.extend(owed::differing(one, other).iter().map(|field| format!("{field} differs")));
    missing
}

/// Pairs for the eye: two lines each.
pub fn table(pairs: &[Pair]) -> String {
    if pairs.is_empty() {
        return "no possible copies\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["response", "call", "tenant", "model", "began", "cost", "no proof:"]);
    for pair in pairs {
        let response = format!("{} {}", printable(&pair.provider), printable(&pair.response_id));
        let more = match pair.records {
            1 => String::new(),
            records => format!(" ({records} records, the last is shown)"),
        };
        let told =
            [(&pair.first, response, pair.missing.join(", ") + &more), (&pair.second, String::new(), String::new())];
        for (side, response, missing) in told {
            let cost = side.cost.clone().unwrap_or_else(|| "reversed".to_owned());
            let (tenant, model) = (printable(&side.tenant), printable(&side.model));
            table.add_row([response, side.call.clone(), tenant, model, side.began.clone(), cost, missing]);
        }
    }
    let decide = "Charge one of two only: meshmeter correct CALL --void --reason TEXT";
    format!("{table}\n\n{} pairs. {decide}\n", pairs.len())
}
