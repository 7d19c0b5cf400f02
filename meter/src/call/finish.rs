//! The end of a call: what the proxy knows by then, and the records that come of it.

use wire::identity::Identity;
use wire::record::{Evidence, Flag, Flags, Missing, NotAsked, Outcome, Record, USAGE_NOT_ASKED};

use super::estimate::{self, Seen};
use super::outcome::outcome;
use super::response::Response;
use super::units::Sides;
use super::{Call, Cut, Told, TraceParent};
use crate::estimate::Ratios;
use crate::provider::{Api, Certainty, Part, has_counts, read, shape, unknown_usage};

/// What the proxy knows when a stream is over.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// Nanoseconds since the Unix epoch.
    pub now_ns: u64,
    /// What cut the stream short.
    pub cut: Option<Cut>,
    /// Who called.
    pub identity: Identity,
    /// `upstream.request_attempt_count`
    pub attempts: Option<u64>,
    /// The request got a connection to the provider; to be known only where the provider has not responded
    /// ([`Call::has_upstream_response`]).
    pub sent: bool,
    /// The provider's request id.
    pub provider_request_id: Option<String>,
    /// `x-request-id`
    pub request_id: Option<String>,
    /// The request's `traceparent`.
    pub trace: Option<TraceParent>,
    /// What else the request's head told.
    pub told: Told,
    /// The Envoy process.
    pub proxy: Option<String>,
    /// Envoy's route.
    pub route: Option<String>,
    /// Envoy's cluster.
    pub cluster: Option<String>,
    /// Envoy's node.
    pub node: Option<String>,
    /// Envoy's service cluster.
    pub node_cluster: Option<String>,
    /// Why the call was not asked for its usage, if it streams and takes the option.
    pub not_asked: Option<NotAsked>,
    /// Why it was refused, if it was: as in [`Record::refused_by`].
    pub refused_by: Option<String>,
}

impl Call {
    /// The record, and behind it one for each other model that was used; none if the stream turns out not to have been
    /// an LLM call.
    ///
    /// `ratios` learns from a call with counts, and serves one without.
    pub fn finish(mut self, ended: Ended, ratios: &mut Ratios) -> Vec<Record> {
        let Some((record, parts)) = self.record(ended, ratios) else { return Vec::new() };
        let parts = parts.into_iter().map(|(part, flags)| Record {
            usage: part.usage,
            response_model: part.model.or_else(|| record.response_model.clone()),
            part: Some(part.name),
            flags: self.target.flags().union(part.flags).union(flags),
            unknown_usage: None,
            provider_total: None,
            // What the provider says of the whole call covers its parts.
            provider_cost_nano_usd: record.provider_cost_nano_usd.map(|_| 0),
            raw_usage: None,
            time_per_output_token_us: None,
            ..record.clone()
        });
        let parts: Vec<Record> = parts.collect();
        std::iter::once(record).chain(parts).collect()
    }

    fn record(&mut self, ended: Ended, ratios: &mut Ratios) -> Option<(Record, Vec<(Part, Flags)>)> {
        let status = self.response.as_ref().and_then(|response| response.status);
        let own = self.response.as_ref().is_some_and(|response| response.own);
        let is_refused = ended.refused_by.is_some();
        if is_refused || own {
            // What it says is the meter's or the proxy's word.
            self.response = None;
        }
        let outcome = match outcome(ended.cut, status) {
            _ if is_refused => Outcome::Refused,
            Outcome::ErrorStatus if own => Outcome::NotSent,
            outcome => outcome,
        };
        if outcome == Outcome::Completed || outcome == Outcome::ErrorStatus {
            self.response_end();
        }
        let api = self.confirmed()?;
        let first_byte_ns = self.first_byte_ns;
        let Told { session_id, agent_id, tags, service_tier } = ended.told;
        let mut wishes = self.asked.wishes();
        let behind = self.asked.model().and_then(|model| self.target.by_model(model));
        let provider = behind.or(self.target.provider.as_deref()).unwrap_or(api.compatible()).to_owned();
        let mut record = Record {
            started_ns: self.started_ns,
            duration_us: micros(self.started_ns, ended.now_ns),
            time_to_first_token_us: first_byte_ns.map(|first| micros(self.started_ns, first)),
            identity: ended.identity,
            provider,
            provider_source: self.target.source,
            upstream_host: self.target.upstream_host.take(),
            api: api.as_str().to_owned(),
            operation: self.target.operation.unwrap_or("chat").to_owned(),
            request_model: self.asked.take_model().or_else(|| self.target.model.clone()),
            stream: self.asked.stream(),
            status,
            attempts: ended.attempts,
            provider_request_id: ended.provider_request_id,
            request_id: ended.request_id,
            trace_id: ended.trace.as_ref().map(|trace| trace.trace_id.clone()),
            span_id: ended.trace.map(|trace| trace.span_id),
            proxy: ended.proxy,
            route: ended.route,
            cluster: ended.cluster,
            node: ended.node,
            node_cluster: ended.node_cluster,
            service_tier_asked: wishes.service_tier.take().or(service_tier),
            region: self.target.region().map(str::to_owned),
            path_model: self.target.path_model().map(str::to_owned),
            search_context: wishes.search_context.take(),
            session_id,
            agent_id,
            tags,
            outcome,
            missing_reason: Some(Missing::NoResponse),
            refused_by: ended.refused_by,
            flags: self.target.flags(),
            ..Record::default()
        };
        let mut parts = Vec::new();
        let sent = ended.sent && self.asked.may_be_whole();
        if let Some(response) = &mut self.response {
            let mut reading = read(api, &response.facts, &self.target);
            let sides = Sides {
                target: &self.target,
                asked: &self.asked,
                wishes,
                made: response.facts.take_made(),
                search_tool: response.facts.search_tool,
                model: record.request_model.clone(),
                is_taken: status.is_some_and(|status| status < 400),
            };
            sides.count(api, self.started_ns, &mut reading);
            if record.path_model.is_none() && self.target.is_routed() {
                record.path_model = response.facts.service.take();
            }
            record.unknown_usage = unknown_usage(api, &response.facts, &reading);
            if record.unknown_usage.is_some() {
                record.flags.insert(Flag::UnknownUsage);
            }
            let read = response.fill(reading, &self.asked, &mut record);
            if record.service_tier.is_none() && sides.is_taken && self.target.serves_tier_asked() {
                record.service_tier = record.service_tier_asked.clone();
            }
            record.deferred = sides.deferred(&record);
            sides.describe(&mut record);
            let Response { facts, bytes, .. } = response;
            let seen = Seen {
                request: &self.asked,
                api,
                endpoint: self.target.endpoint,
                text: &facts.written(api),
                response_bytes: *bytes,
            };
            estimate::settle(&mut record, &seen, ratios);
            estimate::name_unseen(&mut record, facts.binaries());
            let flagged = |part: Part| {
                let flags = seen.flags(&part.usage);
                (part, flags)
            };
            parts = read.into_iter().map(flagged).collect();
        } else if sent {
            estimate::no_response(&mut record, &self.asked, api, self.target.endpoint, ratios);
        }
        let unknown_path = self.target.may_take_include_usage && api == Api::OpenAiChat;
        let unasked = match () {
            _ if unknown_path => Some(NotAsked::UnknownPath),
            _ if self.target.is_known_late => Some(NotAsked::KnownLate),
            _ => None,
        };
        let not_asked = ended.not_asked.or(unasked);
        let counted = record.evidence == Evidence::Reported || self.asked.includes_usage();
        let is_why = match record.refused_by.as_deref() {
            Some(why) => why == USAGE_NOT_ASKED,
            None => record.stream && !counted,
        };
        record.usage_not_asked = not_asked.filter(|_| is_why);
        let output = record.usage.output_total().and_then(|output| output.checked_sub(1)).filter(|&rest| rest > 0);
        if let (true, Some(first), Some(rest)) = (record.stream, first_byte_ns, output) {
            record.time_per_output_token_us = micros(first, ended.now_ns).checked_div(rest);
        }
        Some((record, parts))
    }

    /// The API, if it is certain by now that this was a call.
    fn confirmed(&self) -> Option<Api> {
        let facts = self.response.as_ref().map(|response| &response.facts);
        let mark = facts.and_then(shape);
        match self.target.certainty {
            _ if self.target.is_not_own => return None,
            // What such a response repeats is another's; but this path begins what it tells of.
            _ if facts.is_some_and(|facts| facts.not_own) && !self.target.endpoint.begins() => return None,
            Certainty::Known => {}
            Certainty::Path if self.asked.names_model() || mark.is_some() => {}
            Certainty::Shape if mark.is_some() => {}
            _ => return None,
        }
        match &self.response {
            Some(response) => self.api_of(response),
            None => self.target.api,
        }
    }

    /// The API of the path, unless the body has the counts of another.
    pub(super) fn api_of(&self, response: &Response) -> Option<Api> {
        let by_path = self.target.api.filter(|&api| has_counts(api, &response.facts));
        by_path.or_else(|| shape(&response.facts)).or(self.target.api)
    }
}

fn micros(from_ns: u64, to_ns: u64) -> u64 {
    to_ns.saturating_sub(from_ns) / 1000
}
