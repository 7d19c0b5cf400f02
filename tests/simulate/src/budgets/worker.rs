//! A worker: the leases that are shipped, and a queue of events that keeps their order.

use std::collections::{BTreeMap, VecDeque};

use delivery::lease::{Admission, Leases, Spending, Ticket};
use meter::call::Bound;
use wire::emitter::EmitterKey;
use wire::event;
use wire::identity::{Identity, Source};
use wire::record::{Evidence, Outcome, Record};
use wire::statement::Statement;
use wire::usage::Class;

use super::Mutation;
use super::truth::Call;

/// A call that runs.
#[derive(Debug)]
pub struct Running {
    pub call: Call,
    pub started_s: u64,
    pub started_ns: u64,
    ticket: Ticket,
}

/// A worker.
#[derive(Debug)]
pub struct Worker {
    pub leases: Leases,
    pub emitter: String,
    pub skew_ms: i64,
    pub running: BTreeMap<u64, Running>,
    /// Numbers and bytes of events that are not acknowledged, in their order.
    pub outbox: VecDeque<(u64, Vec<u8>)>,
    pub sequence: u64,
    pub acknowledged: u64,
    /// The batch in flight: its token, and its last number.
    pub batch: Option<(u32, u64)>,
    pub batch_deadline_us: u64,
    pub token: u32,
    /// It takes no more calls.
    pub is_ending: bool,
    pub is_gone: bool,
}

/// What a worker makes of a call.
pub struct Admitted {
    pub admission: Admission,
    pub started_s: u64,
}

impl Worker {
    pub fn new(seed: u64, high: u64, skew_ms: i64, is_closed: bool) -> Worker {
        let without = if is_closed { "closed" } else { "open" };
        let json = format!(
            r#"{{"collector":{{"cluster":"c","timeout_ms":2000}},
                "budgets":{{"assume_output_tokens":{},"without_collector":"{without}"}}}}"#,
            super::plan::ASSUMED
        );
        let config = meter::config::parse(json.as_bytes()).unwrap_or_else(|problems| panic!("{problems}"));
        Worker {
            leases: Leases::new(seed, &config),
            emitter: EmitterKey::new(high, seed).emitter(),
            skew_ms,
            running: BTreeMap::new(),
            outbox: VecDeque::new(),
            sequence: 0,
            acknowledged: 0,
            batch: None,
            batch_deadline_us: 0,
            token: 0,
            is_ending: false,
            is_gone: false,
        }
    }

    pub fn now_ms(&self, now_us: u64) -> u64 {
        (now_us / 1000).saturating_add_signed(self.skew_ms)
    }

    fn now_ns(&self, now_us: u64) -> u64 {
        (now_us * 1000).saturating_add_signed(self.skew_ms * 1_000_000)
    }

    /// Whether a call may pass.
    pub fn admit(&mut self, now_us: u64, call: &Call, mutation: Option<Mutation>) -> Admitted {
        let started_s = self.now_ns(now_us) / 1_000_000_000;
        let is_open = call.max_output.is_none();
        let bound = match mutation {
            Some(Mutation::ReserveNothing) if is_open => {
                Bound { input: 0, output: Some(0), choices: 1, is_open: false }
            }
            _ => Bound { input: call.input, output: call.max_output, choices: 1, is_open: false },
        };
        let admission = self.leases.admit(self.now_ms(now_us), &spending(call, started_s), &bound);
        Admitted { admission, started_s }
    }

    /// A call that may pass runs.
    pub fn run(&mut self, now_us: u64, id: u64, call: Call, started_s: u64, ticket: Ticket) {
        let started_ns = self.now_ns(now_us);
        self.running.insert(id, Running { call, started_s, started_ns, ticket });
    }

    /// A call ends, and its event waits.
    pub fn end(&mut self, now_us: u64, id: u64, mutation: Option<Mutation>) -> Option<(Call, u64)> {
        let Running { call, started_s, started_ns, ticket } = self.running.remove(&id)?;
        self.sequence += 1;
        self.outbox.push_back((self.sequence, event::encode(&record(&call, started_ns), &self.emitter, self.sequence)));
        match mutation {
            Some(Mutation::ForgetWhatWasSpent) => self.leases.release(ticket),
            _ => {
                let now_ms = self.now_ms(now_us);
                let counts = (call.input, call.output);
                self.leases.settle(now_ms, ticket, &spending(&call, started_s), counts, self.sequence);
            }
        }
        Some((call, started_s))
    }

    /// What it says of itself, if it has anything to say.
    pub fn statement(&self, ended: bool) -> Option<Statement> {
        let (emitter, head) = (self.emitter.clone(), self.sequence);
        (head > 0).then(|| Statement { emitter, head, dropped: 0, drops: Vec::new(), ended })
    }

    /// Whether nothing of it is to come any more.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.outbox.is_empty()
    }
}

fn spending(call: &Call, started_s: u64) -> Spending<'_> {
    Spending { tenant: call.tenant, provider: "openai", model: Some(call.model), started_s }
}

fn record(call: &Call, started_ns: u64) -> Record {
    let mut record = Record {
        started_ns,
        identity: Identity { tenant: call.tenant.to_owned(), source: Source::Header, principal: None },
        provider: "openai".to_owned(),
        api: "openai_chat".to_owned(),
        operation: "chat".to_owned(),
        request_model: Some(call.model.to_owned()),
        response_model: Some(call.model.to_owned()),
        status: Some(200),
        duration_us: call.duration_us,
        outcome: Outcome::Completed,
        evidence: Evidence::Reported,
        ..Record::default()
    };
    record.usage.set(Class::InputText, Some(call.input));
    record.usage.set(Class::OutputText, Some(call.output));
    record
}
