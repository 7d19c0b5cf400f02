//! Which records are of one call, as the oracle sees it: record by record, in the order in which they are charged.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::plan::MIDNIGHT_NS;

const SKEW_NS: i64 = 2_000_000_000;
const DAY_NS: i64 = 86_400_000_000_000;
const HOUR_NS: i64 = 3_600_000_000_000;

/// A record that is charged.
#[derive(Clone, Debug)]
struct Charged {
    /// Which record that is, of the oracle's.
    record: usize,
    /// Provider, response id and part.
    response: (String, String, Option<String>),
    day: i64,
    /// Whether it was the first under its response id and day.
    first: bool,
    /// By what it is found otherwise.
    proof: Option<Proof>,
    emitter: String,
    proxies: Vec<Proxy>,
    request: Option<Proof>,
    trace: Option<Proof>,
    started_ns: i64,
    ended_ns: i64,
    /// The model that responded, and every count, if the provider reported them.
    reported: Option<(Option<String>, BTreeMap<String, u64>)>,
    /// Who is charged, if that is known.
    tenant: Option<String>,
    /// By which prices.
    prices: (String, bool),
}

/// A process, and the workload whose replica it is.
type Proxy = (String, Option<String>);

/// What the mesh says of a call, with the model that was asked for.
type Proof = (Vec<String>, Option<String>);

/// Every record that is charged.
#[derive(Debug, Default)]
pub struct Twins {
    all: Vec<Charged>,
    /// Records that were proven to be of a call that another's is charged for.
    pub copies: u64,
    /// Records that were charged and may be copies.
    pub possible: u64,
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twin {
    /// A call of its own.
    None,
    /// A copy, not charged.
    Copy,
    /// It is charged instead of this record.
    Instead(usize),
}

#[derive(Deserialize)]
struct Event {
    time: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    emitter: String,
    provider: String,
    #[serde(default)]
    response_id: String,
    part: Option<String>,
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    trace_id: String,
    #[serde(default)]
    span_id: String,
    proxy: Option<String>,
    node_cluster: Option<String>,
    request_model: Option<String>,
    duration_us: u64,
    evidence: String,
    tenant: String,
    tenant_source: String,
    response_model: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

impl Twins {
    /// A record comes in: what it is.
    pub fn take(&mut self, event: &str, record: usize) -> Twin {
        let Ok(Event { time, data }) = serde_json::from_str(event) else { return Twin::None };
        if data.response_id.is_empty() {
            return Twin::None;
        }
        let started_ns = ns(&time);
        let model = data.request_model;
        let given = |texts: &[&String]| {
            let all = texts.iter().all(|text| !text.is_empty());
            all.then(|| (texts.iter().map(|text| (*text).clone()).collect(), model.clone()))
        };
        let (request, trace) = (given(&[&data.request_id]), given(&[&data.trace_id, &data.span_id]));
        let mut new = Charged {
            record,
            response: (data.provider, data.response_id, data.part),
            day: started_ns.div_euclid(DAY_NS),
            first: false,
            proof: request.clone().or(trace.clone()),
            emitter: data.emitter,
            proxies: data.proxy.into_iter().map(|proxy| (proxy, data.node_cluster.clone())).collect(),
            request,
            trace,
            started_ns,
            ended_ns: started_ns + data.duration_us as i64 * 1000,
            prices: prices(data.response_model.as_deref(), started_ns),
            reported: (data.evidence == "reported").then(|| (data.response_model, counts(data.rest))),
            tenant: Some(data.tenant).filter(|_| !matches!(data.tenant_source.as_str(), "unknown" | "invalid")),
        };
        if let Some(at) = self.same_call(&new) {
            let old = &mut self.all[at];
            old.proxies.extend(new.proxies);
            let stays = match (&old.tenant, &new.tenant) {
                (Some(_), None) => true,
                (None, Some(_)) => old.reported.is_some() && new.reported.is_none(),
                _ => old.reported.is_some() || new.reported.is_none(),
            };
            if stays {
                old.request = old.request.take().or(new.request);
                old.trace = old.trace.take().or(new.trace);
                self.copies += 1;
                return Twin::Copy;
            }
            let replaced = std::mem::replace(&mut old.record, new.record);
            old.request = new.request.or(old.request.take());
            old.trace = new.trace.or(old.trace.take());
            (old.emitter, old.reported, old.tenant) = (new.emitter, new.reported, new.tenant);
            (old.started_ns, old.ended_ns, old.prices) = (new.started_ns, new.ended_ns, new.prices);
            return Twin::Instead(replaced);
        }
        self.possible += u64::from(self.is_possible(&new));
        new.first = !self.all.iter().any(|one| one.response == new.response && one.day == new.day);
        self.all.push(new);
        Twin::None
    }

    /// On its own day first, then on the other side of midnight: the first call of the response id, then the last with its
    /// request id, then the last with its span.
    fn same_call(&self, new: &Charged) -> Option<usize> {
        days(new.started_ns).into_iter().find_map(|day| {
            let of_day = |one: &Charged| one.response == new.response && one.day == day;
            let first = self.all.iter().position(|one| of_day(one) && one.first);
            let last = |proof: &Option<Proof>| {
                let has = |one: &Charged| of_day(one) && !one.first && one.proof == *proof;
                proof.as_ref().and_then(|_| self.all.iter().rposition(has))
            };
            let places = [first, last(&new.request), last(&new.trace)];
            places.into_iter().flatten().find(|at| is_proven(&self.all[*at], new))
        })
    }

    fn is_possible(&self, new: &Charged) -> bool {
        days(new.started_ns).into_iter().any(|day| {
            let of_response: Vec<&Charged> = self.all.iter().filter(|one| one.response == new.response).collect();
            let first = of_response.iter().find(|one| one.day == day && one.first);
            // The last that looked at this day, whatever its own is.
            let last = of_response.iter().rev().find(|one| days(one.started_ns).contains(&day));
            first.is_some() && first.into_iter().chain(last).any(|one| may_be(one, new))
        })
    }
}

fn is_proven(one: &Charged, new: &Charged) -> bool {
    let passes = |proxy| !one.proxies.iter().any(|passed| is_process(passed, proxy) || is_replica(passed, proxy));
    let passed_another = new.proxies.iter().any(passes) && (1..4).contains(&one.proxies.len());
    let around = |outer: &Charged, inner: &Charged| {
        outer.started_ns <= inner.started_ns + SKEW_NS && inner.ended_ns <= outer.ended_ns + SKEW_NS
    };
    passed_another
        && (around(one, new) || around(new, one))
        && (one.prices == new.prices || one.reported.is_none() || new.reported.is_none())
        && one.emitter != new.emitter
        && has_ids_of(one, new)
        && (one.tenant.is_none() || new.tenant.is_none() || one.tenant == new.tenant)
        && overlap(one, new)
}

fn may_be(one: &Charged, new: &Charged) -> bool {
    let any = |is: fn(&Proxy, &Proxy) -> bool| {
        one.proxies.iter().any(|proxy| new.proxies.iter().any(|other| is(proxy, other)))
    };
    let apart = !any(is_process) && (!any(is_replica) || has_ids_of(one, new));
    apart && one.emitter != new.emitter && overlap(one, new)
}

fn is_process(one: &Proxy, other: &Proxy) -> bool {
    one.0 == other.0
}

/// No call passes two replicas of one workload.
fn is_replica(one: &Proxy, other: &Proxy) -> bool {
    one.1.is_some() && one.1 == other.1
}

fn has_ids_of(one: &Charged, other: &Charged) -> bool {
    let same = |a: &Option<Proof>, b: &Option<Proof>| a.is_some() && a == b;
    same(&one.request, &other.request) || same(&one.trace, &other.trace)
}

/// What prices hold for a call: those of one model change at midnight.
fn prices(model: Option<&str>, started_ns: i64) -> (String, bool) {
    let model = model.unwrap_or_default().to_owned();
    let is_late = model == "alpha" && started_ns >= MIDNIGHT_NS as i64;
    (model, is_late)
}

/// Under way at the same time, and counted alike.
fn overlap(one: &Charged, new: &Charged) -> bool {
    let alike = one.reported.is_none() || new.reported.is_none() || one.reported == new.reported;
    alike && one.started_ns <= new.ended_ns + SKEW_NS && new.started_ns <= one.ended_ns + SKEW_NS
}

fn counts(fields: BTreeMap<String, Value>) -> BTreeMap<String, u64> {
    let is_class = |name: &str| {
        let is_total = matches!(name, "input_tokens" | "output_tokens" | "provider_total_tokens");
        !is_total && (name.ends_with("_tokens") || matches!(name, "web_searches" | "search_units" | "audio_seconds"))
    };
    fields
        .into_iter()
        .filter(|(name, _)| is_class(name))
        .filter_map(|(name, count)| Some((name, count.as_u64()?)))
        .collect()
}

fn days(started_ns: i64) -> Vec<i64> {
    let mut days = vec![started_ns.div_euclid(DAY_NS)];
    for near in [started_ns - HOUR_NS, started_ns + HOUR_NS].map(|ns| ns.div_euclid(DAY_NS)) {
        if !days.contains(&near) {
            days.push(near);
        }
    }
    days
}

/// The time of an event; no schedule leaves January and February of 2026.
fn ns(time: &str) -> i64 {
    let number = |from: usize, to: usize| time.get(from..to).and_then(|digits| digits.parse::<i64>().ok()).unwrap_or(0);
    let (month, day) = (number(5, 7), number(8, 10));
    // 2026-01-01 is day 20,454.
    let days = 20_454 + if month == 1 { 0 } else { 31 } + day - 1;
    let seconds = (days * 24 + number(11, 13)) * 3600 + number(14, 16) * 60 + number(17, 19);
    let fraction = time.get(19..).unwrap_or("").trim_start_matches('.').trim_end_matches('Z');
    let nanos: i64 = format!("{fraction:0<9}").parse().unwrap_or(0);
    seconds * 1_000_000_000 + nanos
}
