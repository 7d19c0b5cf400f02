//! An explanation for a person to read.

use jiff::Timestamp;
use wire::record::Record;

use super::{Chain, Counts, Explanation, Step};
use crate::gaps::time;
use crate::money::Charge;
use crate::prices::{Line, Rated, Rating, amounts};
use crate::store::entry::{Entry, Kind};
use crate::terminal::printable;

impl Explanation {
    /// As text.
    pub fn text(&self) -> String {
        let mut text = self.conclusion();
        match &self.event {
            Some(Ok(event)) => {
                section(&mut text, &format!("event {}", event.id), call(&event.record));
                if let Some(raw) = &event.record.raw_usage {
                    section(&mut text, "usage as the response has it", vec![printable(raw)]);
                }
                let counts = event.record.usage.iter().map(|(class, count)| format!("{count} {}", class.name()));
                let total = event.record.provider_total.map(|total| format!("{total} in all, by the provider"));
                section(&mut text, "usage by class, as the meter read it", counts.chain(total).collect());
            }
            Some(Err(problem)) => section(&mut text, "event", vec![printable(problem)]),
            None => {}
        }
        for step in &self.steps {
            let Entry { id, kind, received_ns, .. } = &step.entry;
            let asked = if *id == self.asked && self.steps.len() > 1 { ", the one that was asked for" } else { "" };
            let head = format!("entry {id}, {}, written {}{asked}", kind.as_str(), time(*received_ns));
            section(&mut text, &head, self.step(step));
        }
        text
    }

    /// What it comes to.
    fn conclusion(&self) -> String {
        let Some(event) = &self.event else {
            return format!("entry {} is about no call\n", self.asked);
        };
        let call = event.as_ref().map_or_else(|_| "the call".to_owned(), |event| format!("call {}", event.id));
        match &self.charged {
            Some(entry) => {
                let step = self.steps.iter().find(|step| step.entry.id == entry.id);
                format!("{call}: {}, entry {}\n", charged(entry, step.map(|step| &step.rating)), entry.id)
            }
            None => format!("{call}: nobody is charged\n"),
        }
    }

    fn step(&self, step: &Step) -> Vec<String> {
        let Entry { kind, refers, tenant, charge, cost, .. } = &step.entry;
        let refers = refers.map(|id| id.to_string()).unwrap_or_default();
        let tenant = printable(tenant);
        let mut lines = vec![match kind {
            Kind::Call | Kind::Release => charged(&step.entry, Some(&step.rating)),
            Kind::Copy => format!("another meter's record of the call that entry {refers} charges: not charged"),
            Kind::Reversal => format!("takes entry {refers} back: {tenant}, {}", amounts(*charge, *cost)),
            Kind::Correction => {
                format!("stands instead, behind entry {refers}: {}", charged(&step.entry, Some(&step.rating)))
            }
            Kind::MonthClosed | Kind::EmitterClosed | Kind::Dismissal => "about no call".to_owned(),
            Kind::BudgetSet | Kind::BudgetRemoved => "about a budget".to_owned(),
            Kind::Forgotten => "about a name that was replaced".to_owned(),
            Kind::Sealed | Kind::Unsealed => "about sealed months".to_owned(),
        }];
        lines.extend(step.entry.reason.as_ref().map(|reason| format!("reason: {}", printable(reason))));
        match &step.rating {
            Some(Ok(rating)) => lines.extend(rated(rating)),
            Some(Err(problem)) => lines.push(printable(problem)),
            None => {}
        }
        if step.entry.kind.is_charged() && step.rating.is_none() {
            lines.push("not rated: there was no price book".to_owned());
        }
        if let (false, Some(said)) = (self.sent.is_some(), &step.entry.event) {
            lines.push(printable(said));
        }
        lines.extend(step.counts.as_ref().map(counts));
        let chain = match step.chain {
            Chain::Intact => "intact: it is what was written behind the entry before it",
            Chain::Altered => "ALTERED: it is not what was written behind the entry before it",
            Chain::Broken => "BROKEN: the entry before it is missing",
        };
        lines.push(format!("hash {}", step.entry.hash));
        lines.push(chain.to_owned());
        lines
    }
}

/// Who is charged what. What has no price costs nobody knows what: that it is charged with nothing is no price of zero.
fn charged(entry: &Entry, rating: Option<&Option<Result<Rating, String>>>) -> String {
    let Entry { tenant, charge, cost, .. } = entry;
    let (tenant, amounts) = (printable(tenant), amounts(*charge, *cost));
    let lines = match rating {
        Some(Some(Ok(rating))) => rating.lines.as_slice(),
        Some(None) => return format!("{tenant} is charged nothing, for it has no price"),
        Some(Some(Err(_))) | None => &[],
    };
    let is_unpriced = |line: &Line| line.rated == Rated::Unpriced;
    match (lines.iter().any(is_unpriced), lines.iter().all(is_unpriced)) {
        (true, true) => format!("{tenant} is charged nothing, for it has no price"),
        (true, false) => format!("{tenant} is charged {amounts}, without what has no price"),
        (false, _) => format!("{tenant} is charged {amounts}"),
    }
}

fn section(text: &mut String, head: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("\n{head}\n"));
    lines.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
}

/// What the event says beside its counts. A name that came with the call is escaped, whatever it is.
fn call(record: &Record) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = |name: &str, values: &[Option<String>]| {
        let values: Vec<String> = values.iter().flatten().map(printable).filter(|value| !value.is_empty()).collect();
        if !values.is_empty() {
            lines.push(format!("{name:<12}{}", values.join(", ")));
        }
    };
    let some = |text: &str| Some(text.to_owned());
    let named = |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name} {value}"));
    let given = |name: &str, value: Option<&str>| value.map(|value| format!("{name} {value}"));
    let whole = |us: u64| us.checked_div(1_000_000).unwrap_or_default();
    let rest = |us: u64| us.checked_rem(1_000_000).unwrap_or_default();
    let took = record.duration_us;
    let began = Timestamp::from_nanosecond(record.started_ns.into()).map(|time| time.to_string()).ok();
    line("began", &[began, Some(format!("took {}.{:06} s", whole(took), rest(took)))]);
    let identity = &record.identity;
    let source = given("by", Some(identity.source.as_str()));
    line("tenant", &[some(&identity.tenant), source, named("principal", &identity.principal)]);
    line("session", &[record.session_id.clone(), named("agent", &record.agent_id)]);
    let tags: Vec<Option<String>> =
        record.tags.iter().map(|tag| Some(format!("{}={} ({})", tag.name, tag.value, tag.source.as_str()))).collect();
    line("tags", &tags);
    let source = record.provider_source.map(|source| format!("by {}", source.as_str()));
    line("provider", &[some(&record.provider), source, named("host", &record.upstream_host)]);
    let stream = record.stream.then(|| "a stream".to_owned());
    line("api", &[some(&record.api), some(&record.operation), stream, named("a part of another call:", &record.part)]);
    let models = [
        named("responded", &record.response_model),
        named("asked for", &record.request_model),
        named("in the path", &record.path_model),
    ];
    line("model", &models);
    let facts = [
        named("service tier", &record.service_tier),
        named("tier asked for", &record.service_tier_asked),
        named("speed", &record.speed),
        named("region", &record.region),
        named("inference in", &record.inference_geo),
        named("size", &record.size),
        named("quality", &record.quality),
        named("search context", &record.search_context),
        named("search tool", &record.search_tool),
    ];
    line("price facts", &facts);
    let own = record.provider_cost_nano_usd.map(|nano| format!("{} USD", Charge::from_nano_usd(nano)));
    line("stated cost", &[own]);
    let status = record.status.map(|status| format!("status {status}"));
    let attempts = record.attempts.filter(|attempts| *attempts > 1).map(|attempts| format!("{attempts} attempts"));
    let (error, refused) = (named("error", &record.error_type), named("refused by", &record.refused_by));
    line("outcome", &[some(record.outcome.as_str()), status, error, refused, attempts]);
    let why = [
        some(record.evidence.as_str()),
        given("no counts:", record.missing_reason.map(|why| why.as_str())),
        given("not asked for usage:", record.usage_not_asked.map(|why| why.as_str())),
        given("counts are to come:", record.deferred.map(|why| why.as_str())),
        named("unknown counts:", &record.unknown_usage),
    ];
    let flags = record.flags.iter().map(|flag| some(flag.as_str()));
    line("evidence", &why.into_iter().chain(flags).collect::<Vec<_>>());
    let trace = named("trace", &record.trace_id);
    line("response id", &[record.response_id.clone(), named("provider's request", &record.provider_request_id)]);
    line("request id", &[record.request_id.clone(), trace, named("span", &record.span_id)]);
    line(
        "seen by",
        &[
            named("node", &record.node),
            named("cluster", &record.cluster),
            named("route", &record.route),
            named("process", &record.proxy),
        ],
    );
    lines
}

/// How it was rated: exact, nothing of it is rounded.
fn rated(rating: &Rating) -> Vec<String> {
    let entry = match &rating.entry {
        Some(entry) => format!("price book entry: {}", printable(entry)),
        None => "no price book had an entry for it".to_owned(),
    };
    let mut lines = vec![entry];
    lines.extend(rating.says());
    let list = rating.lines.iter().filter_map(|line| line.list());
    let list = list.into_iter().try_fold(Charge::default(), Charge::checked_add);
    if let Some(list) = list.filter(|list| *list != rating.charge()) {
        let differ = |amount: Charge| amount.checked_sub(list).unwrap_or_default();
        let (charge, cost) = (differ(rating.charge()), differ(rating.cost()));
        lines.push(format!(
            "list price {list} USD; discounts and mark-ups add {charge} USD to the charge, {cost} USD to the cost"
        ));
    }
    if let Some(own) = rating.own {
        let book = rating.book.map(|book| format!(", by the book {book} USD")).unwrap_or_default();
        lines.push(format!("the response says {own} USD{book}"));
    }
    if !rating.lines.is_empty() {
        lines.push(format!("in all {}, not rounded", amounts(rating.charge(), rating.cost())));
    }
    lines
}

fn counts(counts: &Counts) -> String {
    let Counts { day, adjusts, closed } = counts;
    let adjusts =
        if adjusts.is_empty() { String::new() } else { format!(", and adjusts {adjusts}, which was closed before") };
    let closed = closed.map(|id| format!("; its month is closed since, by entry {id}")).unwrap_or_default();
    format!("counts on {day} (UTC){adjusts}{closed}")
}
