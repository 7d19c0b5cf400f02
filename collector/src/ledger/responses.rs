//! The same call seen by two meters, such as a sidecar and a gateway: charged once, if it is proven.
//!
//! A response id proves nothing: servers repeat theirs, and clients choose some. Two records are of one call only if all of
//! this holds: provider, response id and part are the same; the mesh gave both the same request id, or the same trace and
//! span; both name the Envoy process they were made in, these differ, and no other record of the call was made in it, nor in
//! another replica of the same workload, for no call passes two of them; the same model was asked for; one was under way
//! within the time of the other; the same tenant is to be charged, or one of them knows none; where both were reported the
//! same model responded, and every count agrees; where one was estimated, not far above what the other reports; and both
//! owe the same. So a forged record frees nobody: what it is taken for is charged to the same tenant, at the same price.

use jiff::civil::Date;
use sha2::{Digest, Sha256};
use wire::event::Event;
use wire::identity::Source;
use wire::record::{Evidence, Record};

use crate::store::days::day_begins_ns;
use crate::store::entry::EntryId;
use crate::store::responses::{Holder, Place, Proxy, ResponseKey, days};

/// How far the clocks of two hosts may be apart.
const CLOCK_SKEW_NS: i64 = 2_000_000_000;
/// The most proxies that one call goes through, each with a meter: a sidecar, a waypoint, two gateways.
const MAX_PROXIES: usize = 4;

/// An estimate is far above a report if it has more than so many times its tokens, and so many more: estimates are read off the
/// visible text, at some 4 bytes a token, and no tokenizer takes 16 bytes of text for one.
const FAR_TIMES: i64 = 4;
pub(super) const FAR_TOKENS: u64 = 100;

impl Holder {
    /// What an event says of the call it saw; `entry` is where it will stand.
    pub fn of(event: &Event, entry: EntryId) -> Holder {
        let record = &event.record;
        let started_ns = i64::try_from(record.started_ns).unwrap_or(i64::MAX);
        let duration_ns = i64::try_from(record.duration_us).unwrap_or(i64::MAX).saturating_mul(1000);
        let total = |total: Option<u64>| total.map_or(0, |total| i64::try_from(total).unwrap_or(i64::MAX));
        let (request, trace) = proofs(record);
        Holder {
            entry,
            emitter: hash(&[Some(&event.emitter)]),
            proxies: proxy(record).into_iter().collect(),
            request,
            trace,
            started_ns,
            ended_ns: started_ns.saturating_add(duration_ns),
            reported: record.evidence == Evidence::Reported,
            counts: [total(record.usage.input_total()), total(record.usage.output_total())],
            tenant: is_known(record).then(|| hash(&[Some(&record.identity.tenant)])),
            usage: usage(record),
        }
    }

    /// Whether it is proven that `new` is another meter's record of this call.
    pub fn is_same_call(&self, new: &Holder) -> bool {
        let passed_another = match new.proxies.as_slice() {
            [proxy] => {
                let mut passed = self.proxies.iter();
                (1..MAX_PROXIES).contains(&self.proxies.len())
                    && !passed.any(|passed| passed.is(proxy) || passed.is_beside(proxy))
            }
            _ => false,
        };
        passed_another
            && self.emitter != new.emitter
            && self.has_ids_of(new)
            && (self.is_around(new) || new.is_around(self))
            && (self.tenant.is_none() || new.tenant.is_none() || self.tenant == new.tenant)
            && !self.is_far_from(new)
            && self.may_be(new)
    }

    /// Whether the mesh gave both the same ids.
    fn has_ids_of(&self, other: &Holder) -> bool {
        let same = |a: Option<i64>, b: Option<i64>| a.is_some() && a == b;
        same(self.request, other.request) || same(self.trace, other.trace)
    }

    /// Whether `inner` was under way within the time of this one: a proxy waits for the next one's response.
    fn is_around(&self, inner: &Holder) -> bool {
        self.started_ns <= inner.started_ns.saturating_add(CLOCK_SKEW_NS)
            && inner.ended_ns <= self.ended_ns.saturating_add(CLOCK_SKEW_NS)
    }

    /// Whether the estimate of one is so far above what the other one reports that the report may be forged to take the
    /// estimate's place. Which of them came first is no matter.
    fn is_far_from(&self, other: &Holder) -> bool {
        let sum = |holder: &Holder| holder.counts.iter().fold(0_i64, |sum, count| sum.saturating_add(*count));
        let far = |estimate: &Holder, reported: &Holder| {
            let most = sum(reported).saturating_mul(FAR_TIMES).saturating_add_unsigned(FAR_TOKENS);
            !estimate.reported && reported.reported && sum(estimate) > most
        };
        far(self, other) || far(other, self)
    }

    /// Whether `new` may be another meter's record of this call, although nothing proves it. Two workers of one process
    /// never see the same call, nor do two replicas of one workload; but who has given two workloads one name is to learn of
    /// it.
    pub fn is_possible_copy(&self, new: &Holder) -> bool {
        let any = |is: fn(&Proxy, &Proxy) -> bool| self.proxies.iter().any(|a| new.proxies.iter().any(|b| is(a, b)));
        let is_apart = !any(Proxy::is) && (!any(Proxy::is_beside) || self.has_ids_of(new));
        is_apart && self.emitter != new.emitter && self.may_be(new)
    }

    fn may_be(&self, other: &Holder) -> bool {
        let before = |a: &Holder, b: &Holder| a.started_ns <= b.ended_ns.saturating_add(CLOCK_SKEW_NS);
        let agree = !self.reported || !other.reported || (self.counts, self.usage) == (other.counts, other.usage);
        before(self, other) && before(other, self) && agree
    }

    /// Whether `new`, a record of the same call, says more: who is to be charged; counts of the provider's; else the larger
    /// estimate, so that no cheap record can stand for a dear one. A record of nobody known never stands for a tenant's.
    pub fn is_worse_than(&self, new: &Holder) -> bool {
        if self.tenant.is_some() != new.tenant.is_some() {
            return new.tenant.is_some() && (new.reported || !self.reported);
        }
        let sum = |holder: &Holder| holder.counts.iter().fold(0_i64, |sum, count| sum.saturating_add(*count));
        !self.reported && (new.reported || sum(self) < sum(new))
    }

    /// The record that is charged, when `new` is of the same call and is charged for it, or is not.
    pub fn joined(&self, new: &Holder, is_charged: bool) -> Holder {
        let (base, other) = if is_charged { (new, self) } else { (self, new) };
        let mut joined = base.clone();
        joined.proxies = self.proxies.iter().chain(&new.proxies).copied().collect();
        joined.request = base.request.or(other.request);
        joined.trace = base.trace.or(other.trace);
        joined
    }
}

impl Place {
    /// The name of an entry's tenant was replaced; false if the entry is not held here, or no source told its tenant.
    pub(super) fn rename(&mut self, entry: EntryId, record: &Record) -> bool {
        let held = std::iter::once(&mut self.holder).chain(&mut self.latest);
        let mut is_any = false;
        for holder in held.filter(|holder| holder.entry == entry && holder.tenant.is_some()) {
            holder.tenant = Some(hash(&[Some(&record.identity.tenant)]));
            is_any = true;
        }
        is_any
    }
}

/// The provider's name for a response: its id, or where there is none, the provider's own id of the request. One that repeats
/// the id that the request came with is none.
pub fn name(record: &Record) -> Option<&str> {
    let of_request = || given(&record.provider_request_id).filter(|id| given(&record.request_id) != Some(id));
    given(&record.response_id).or_else(of_request)
}

/// Where a call is to be looked for, its own day first, and there first without a proof; empty if the provider gave it no
/// name.
pub fn keys(record: &Record) -> Vec<ResponseKey> {
    let Some(id) = name(record) else { return Vec::new() };
    let Ok(started_ns) = i64::try_from(record.started_ns) else { return Vec::new() };
    let response = hash(&[Some(&record.provider), Some(id), record.part.as_deref()]);
    let (request, trace) = proofs(record);
    let proofs: Vec<i64> = std::iter::once(0).chain(request).chain(trace).collect();
    let days = days(started_ns);
    let key = |day: &i64| proofs.iter().map(|proof| ResponseKey { day: *day, response, proof: *proof }).collect();
    days.iter().flat_map(|day| -> Vec<ResponseKey> { key(day) }).collect()
}

/// Where a response of a provider is to be looked for among the calls that began on a day, without a proof.
pub fn key(provider: &str, response_id: &str, day: Date) -> ResponseKey {
    let response = hash(&[Some(provider), Some(response_id), None]);
    let day = days(day_begins_ns(day)).into_iter().next().unwrap_or_default();
    ResponseKey { day, response, proof: 0 }
}

/// What the mesh says of a call that every meter on its way sees: its request id, and its trace with the span.
fn proofs(record: &Record) -> (Option<i64>, Option<i64>) {
    let model = record.request_model.as_deref();
    let request = given(&record.request_id).map(|id| hash(&[Some("request"), Some(id), model]));
    let trace = given(&record.trace_id).zip(given(&record.span_id));
    (request, trace.map(|(trace, span)| hash(&[Some("trace"), Some(trace), Some(span), model])))
}

/// Whether two tenants are to be charged, both of them known.
pub fn are_of_two_tenants(one: &Record, other: &Record) -> bool {
    is_known(one) && is_known(other) && one.identity.tenant != other.identity.tenant
}

/// Whether one was estimated so far above what the other reports that nothing proves that they are of one call.
pub fn are_far_apart(one: &Event, other: &Event) -> bool {
    let of = |event: &Event| Holder::of(event, EntryId::default());
    of(one).is_far_from(&of(other))
}

/// Whether both were made in replicas of one workload.
pub fn are_of_one_workload(one: &Record, other: &Record) -> bool {
    proxy(one).zip(proxy(other)).is_some_and(|(one, other)| one.is_beside(&other))
}

/// Whether neither was under way within the time of the other.
pub fn are_beside_in_time(one: &Event, other: &Event) -> bool {
    let [one, other] = [one, other].map(|event| Holder::of(event, EntryId::default()));
    !one.is_around(&other) && !other.is_around(&one)
}

/// The proxy in which a record was made, if it says so.
fn proxy(record: &Record) -> Option<Proxy> {
    let process = hash(&[Some(given(&record.proxy)?)]);
    Some(match given(&record.node_cluster) {
        Some(service) => Proxy::Replica(process, hash(&[Some("service"), Some(service)])),
        None => Proxy::Process(process),
    })
}

/// Whether a source of identity told who is to be charged.
pub(super) fn is_known(record: &Record) -> bool {
    !matches!(record.identity.source, Source::Unknown | Source::Invalid)
}

/// The model that responded, and every count.
fn usage(record: &Record) -> i64 {
    let counts: String = record.usage.iter().map(|(class, count)| format!("{}={count};", class.name())).collect();
    hash(&[record.response_model.as_deref(), Some(&counts)])
}

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// The beginning of the SHA-256 of texts, each with its length; never 0 or negative.
fn hash(texts: &[Option<&str>]) -> i64 {
    let mut sha = Sha256::new();
    for text in texts {
        sha.update(text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
        sha.update(text.unwrap_or_default());
    }
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(sha.finalize());
    (i64::from_le_bytes([a, b, c, d, e, f, g, h]) & i64::MAX).max(1)
}
