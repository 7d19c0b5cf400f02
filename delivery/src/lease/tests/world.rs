//! Workers, a collector that gives leases as the wire's contract says, and a network that loses, delays and repeats: what
//! calls may cost together never exceeds a limit, whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use meter::failures::CollectorFailure;

use super::*;

mod together;

/// What a budget counts for, in which window.
type Key = (String, String, u64);

#[derive(Clone, Debug, Default)]
struct Row {
    granted: u64,
    charged: u64,
}

#[derive(Clone, Debug)]
struct Event {
    sequence: u64,
    tenant: String,
    tokens: (u64, u64),
    started_s: u64,
}

/// The collector's side, as simple as it can be.
#[derive(Default)]
struct Collector {
    budgets: Vec<Budget>,
    revision: u64,
    limits: BTreeMap<String, u64>,
    length_s: u64,
    spent: BTreeMap<Key, u64>,
    /// By emitter.
    rows: BTreeMap<(u32, Key), Row>,
    numbers: BTreeMap<u32, u64>,
    heard_ms: BTreeMap<u32, u64>,
    seen: BTreeSet<(u32, u64)>,
}

/// What tokens cost at most, and what they do cost.
const CEILING: Ceiling = Ceiling { input: 3, output: 10, call: 7 };

fn charge(budget: &Budget, (input, output): (u64, u64)) -> u64 {
    match budget.unit {
        Unit::Tokens => input + output,
        Unit::Usd => input * 2 + output * 9 + 7,
    }
}

fn most(budget: &Budget, bound: &Bound) -> u64 {
    match budget.unit {
        Unit::Tokens => bound.input + bound.output.unwrap(),
        Unit::Usd => bound.input * CEILING.input + bound.output.unwrap() * CEILING.output + CEILING.call,
    }
}

impl Collector {
    fn key(&self, budget: &Budget, tenant: &str, at_s: u64) -> Key {
        (budget.name.clone(), budget.subject(tenant).to_owned(), at_s / self.length_s * self.length_s)
    }

    fn take(&mut self, emitter: u32, event: &Event) {
        if !self.seen.insert((emitter, event.sequence)) {
            return;
        }
        for budget in self.budgets.clone() {
            if !budget.scope.covers(&event.tenant, "openai", Some("gpt-5")) {
                continue;
            }
            let key = self.key(&budget, &event.tenant, event.started_s);
            *self.spent.entry(key.clone()).or_default() += charge(&budget, event.tokens);
            if let Some(row) = self.rows.get_mut(&(emitter, key)) {
                row.charged += charge(&budget, event.tokens);
            }
        }
    }

    fn left(&self, key: &Key) -> u64 {
        self.limits[&key.0].saturating_sub(self.spent.get(key).copied().unwrap_or(0))
    }

    fn respond(&mut self, now_ms: u64, emitter: u32, request: &Request) -> Response {
        // An emitter that was silent for long has nothing any more.
        let silent: Vec<u32> = self
            .heard_ms
            .iter()
            .filter(|(_, heard_ms)| now_ms - *heard_ms >= 900_000)
            .map(|(emitter, _)| *emitter)
            .collect();
        for emitter in silent {
            self.rows.retain(|(of, _), _| *of != emitter);
            self.heard_ms.remove(&emitter);
        }
        self.heard_ms.insert(emitter, now_ms);
        let number = self.numbers.entry(emitter).or_default();
        let is_news = request.number > *number;
        *number = request.number.max(*number);
        let leases = request.leases.iter().map(|wanted| {
            let budget = self.budgets.iter().find(|budget| budget.name == wanted.budget)?.clone();
            let subject = if budget.per_tenant { wanted.subject.as_str() } else { "" };
            let key = self.key(&budget, subject, wanted.at_s);
            let held = self.rows.iter().filter(|((_, of), _)| *of == key);
            let held: u64 = held.map(|(_, row)| row.granted.saturating_sub(row.charged)).sum();
            let left = self.left(&key);
            let available = left.saturating_sub(held);
            let row = self.rows.entry((emitter, key.clone())).or_default();
            if is_news && wanted.up_to < row.granted {
                row.granted = wanted.up_to.max(row.charged);
            } else if is_news {
                let share = wanted.up_to.min(row.granted + available / 4);
                let needed = if wanted.need <= row.granted + available { wanted.need } else { 0 };
                row.granted = row.granted.max(share).max(needed);
            }
            let Row { granted, charged } = *row;
            let until_s = key.2 + self.length_s;
            let held = self.rows.iter().filter(|((_, of), _)| *of == key);
            let held: u64 = held.map(|(_, row)| row.granted.saturating_sub(row.charged)).sum();
            let (limit, available) = (self.limits[&key.0], left.saturating_sub(held));
            Some(Lease { window_s: key.2, until_s, granted, charged, limit, left, available })
        });
        let leases = leases.collect();
        let budgets = (request.revision != self.revision).then(|| self.budgets.clone());
        let prices = vec![Some(CEILING); request.prices.len()];
        Response { number: request.number, revision: self.revision, budgets, leases, prices }
    }
}

struct Running {
    worker: usize,
    tenant: String,
    bound: Bound,
    started_s: u64,
    ticket: Ticket,
}

struct Emitter {
    name: u32,
    leases: Leases,
    sequence: u64,
    token: u32,
    /// Events that are not acknowledged.
    queue: Vec<Event>,
}

impl Emitter {
    fn acknowledged(&self) -> u64 {
        self.queue.first().map_or(self.sequence, |event| event.sequence - 1)
    }
}

struct Flying {
    emitter: u32,
    token: u32,
    request: Request,
}

struct World {
    random: Jitter,
    now_ms: u64,
    collector: Collector,
    workers: Vec<Emitter>,
    running: Vec<Running>,
    requests: Vec<Flying>,
    responses: Vec<(u32, u32, Response)>,
    emitters: u32,
    passed: u64,
    refused: u64,
}

impl World {
    fn new(seed: u64) -> World {
        let per_tenant = Budget {
            per_tenant: true,
            scope: Scope { tenant: Some("org".into()), ..Scope::default() },
            ..budget("each")
        };
        let money = Budget {
            unit: Unit::Usd,
            scope: Scope { provider: Some("openai".into()), ..Scope::default() },
            ..budget("money")
        };
        let mut random = Jitter::new(seed);
        let limits = [("all", 12_000), ("each", 6000), ("money", 90_000)].map(|(name, limit)| (name.to_owned(), limit));
        let collector = Collector {
            budgets: vec![budget("all"), per_tenant, money],
            revision: 1,
            limits: limits.into(),
            length_s: if random.next().is_multiple_of(2) { 60 } else { 3600 },
            ..Collector::default()
        };
        let mut world = World {
            random,
            now_ms: NOW,
            collector,
            workers: Vec::new(),
            running: Vec::new(),
            requests: Vec::new(),
            responses: Vec::new(),
            emitters: 0,
            passed: 0,
            refused: 0,
        };
        for _ in 0..4 {
            let emitter = world.emitter();
            world.workers.push(emitter);
        }
        world
    }

    fn emitter(&mut self) -> Emitter {
        self.emitters += 1;
        let leases = Leases::new(self.random.next(), &config(r#""without_collector":"closed""#));
        Emitter { name: self.emitters, leases, sequence: 0, token: 0, queue: Vec::new() }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random.next() % end
    }

    fn step(&mut self) {
        let worker = self.below(self.workers.len() as u64) as usize;
        match self.below(100) {
            0..10 => self.begin(worker),
            10..25 if !self.running.is_empty() => {
                let place = self.below(self.running.len() as u64) as usize;
                let running = self.running.swap_remove(place);
                self.end(running);
            }
            25..45 => self.ask(worker),
            45..60 => self.arrive(),
            60..80 => self.hear(),
            80..87 => self.deliver(worker),
            87..98 => self.now_ms += self.below(200),
            98 => match self.below(20) {
                0 => self.long_silence(),
                1..4 => self.now_ms += 60_000,
                _ => self.now_ms += 4000,
            },
            _ if self.below(8) == 0 => self.rare(worker),
            _ => {}
        }
    }

    fn begin(&mut self, worker: usize) {
        let tenant = ["org/a", "org/b", "other"][self.below(3) as usize].to_owned();
        let bound = Bound { input: self.below(50) + 1, output: Some(self.below(400)), choices: 1, is_open: false };
        let started_s = self.now_ms / 1000;
        let call = Spending { tenant: &tenant, provider: "openai", model: Some("gpt-5"), started_s };
        let admission = self.workers[worker].leases.admit(self.now_ms, &call, &bound);
        assert!(!admission.is_unheld);
        if admission.refusal.is_some() {
            self.refused += 1;
            return;
        }
        self.passed += 1;
        self.running.push(Running { worker, tenant, bound, started_s, ticket: admission.ticket });
    }

    fn end(&mut self, running: Running) {
        let Running { worker, tenant, bound, started_s, ticket } = running;
        if self.below(10) == 0 {
            return self.workers[worker].leases.release(ticket);
        }
        let tokens = (self.below(bound.input + 1), self.below(bound.output.unwrap() + 1));
        let call = Spending { tenant: &tenant, provider: "openai", model: Some("gpt-5"), started_s };
        let now_ms = self.now_ms;
        let emitter = &mut self.workers[worker];
        emitter.sequence += 1;
        emitter.leases.settle(now_ms, ticket, &call, tokens, emitter.sequence);
        emitter.queue.push(Event { sequence: emitter.sequence, tenant, tokens, started_s });
    }

    fn ask(&mut self, worker: usize) {
        let (now_ms, emitter) = (self.now_ms, &mut self.workers[worker]);
        let Some(request) = emitter.leases.poll(now_ms, emitter.acknowledged()) else { return };
        emitter.token += 1;
        emitter.leases.dispatched(now_ms, Ok(emitter.token));
        self.requests.push(Flying { emitter: emitter.name, token: emitter.token, request });
    }

    /// A request arrives, is lost, or stays on its way as well.
    fn arrive(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        let place = self.below(self.requests.len() as u64) as usize;
        let fate = self.below(10);
        let Flying { emitter, token, request } = &self.requests[place];
        if fate > 0 {
            let response = self.collector.respond(self.now_ms, *emitter, request);
            self.responses.push((*emitter, *token, response));
        }
        if fate < 9 {
            self.requests.swap_remove(place);
        }
    }

    /// All requests arrive, and all responses to them.
    fn exchange(&mut self) {
        while let Some(flying) = self.requests.pop() {
            let response = self.collector.respond(self.now_ms, flying.emitter, &flying.request);
            let emitter = self.workers.iter_mut().find(|emitter| emitter.name == flying.emitter).unwrap();
            emitter.leases.respond(self.now_ms, flying.token, Ok(response));
        }
    }

    fn hear(&mut self) {
        if self.responses.is_empty() {
            return;
        }
        let place = self.below(self.responses.len() as u64) as usize;
        let fate = self.below(10);
        let (name, token, response) = self.responses[place].clone();
        let now_ms = self.now_ms;
        if let Some(emitter) = self.workers.iter_mut().find(|emitter| emitter.name == name) {
            let lost = Lost { failure: CollectorFailure::Reset, retry_after_ms: None };
            emitter.leases.respond(now_ms, token, if fate == 0 { Err(lost) } else { Ok(response) });
        }
        if fate < 9 {
            self.responses.swap_remove(place);
        }
    }

    /// A batch arrives; whether the worker hears of it is another matter.
    fn deliver(&mut self, worker: usize) {
        let (count, is_heard) = (self.below(8) as usize, self.below(5) > 0);
        let emitter = &mut self.workers[worker];
        let count = count.min(emitter.queue.len());
        for event in &emitter.queue[..count] {
            self.collector.take(emitter.name, event);
        }
        if is_heard {
            emitter.queue.drain(..count);
        }
    }

    fn rare(&mut self, worker: usize) {
        match self.below(3) {
            // A worker ends: its events are delivered, its leases are gone, and another takes its place.
            0 if !self.running.iter().any(|running| running.worker == worker) => {
                let next = self.emitter();
                let old = std::mem::replace(&mut self.workers[worker], next);
                old.queue.iter().for_each(|event| self.collector.take(old.name, event));
                self.collector.rows.retain(|(emitter, _), _| *emitter != old.name);
                self.requests.retain(|flying| flying.emitter != old.name);
            }
            1 => {
                self.collector.revision += 1;
                *self.collector.limits.get_mut("each").unwrap() += 100;
                let revision = self.collector.revision;
                self.workers[worker].leases.hear_revision(revision);
            }
            _ => self.workers[worker].leases.configure(&config(r#""without_collector":"closed""#)),
        }
    }

    /// So long that the collector gives what workers hold to others: no call runs as long.
    fn long_silence(&mut self) {
        while let Some(running) = self.running.pop() {
            self.end(running);
        }
        for emitter in &mut self.workers {
            emitter.queue.drain(..).for_each(|event| self.collector.take(emitter.name, &event));
        }
        self.now_ms += 1_000_000;
    }

    /// What was charged, what is on its way to be, and what running calls may cost, is within every limit.
    fn check(&self, seed: u64) {
        let mut total: BTreeMap<Key, u64> = self.collector.spent.clone();
        let mut add = |budget: &Budget, tenant: &str, started_s: u64, amount: u64| {
            if budget.scope.covers(tenant, "openai", Some("gpt-5")) {
                *total.entry(self.collector.key(budget, tenant, started_s)).or_default() += amount;
            }
        };
        for budget in &self.collector.budgets {
            for emitter in &self.workers {
                let is_new = |event: &&Event| !self.collector.seen.contains(&(emitter.name, event.sequence));
                for event in emitter.queue.iter().filter(is_new) {
                    add(budget, &event.tenant, event.started_s, charge(budget, event.tokens));
                }
            }
            for running in &self.running {
                add(budget, &running.tenant, running.started_s, most(budget, &running.bound));
            }
        }
        for (key, amount) in total {
            let limit = self.collector.limits[&key.0];
            assert!(amount <= limit, "seed {seed}: {key:?} has {amount} of {limit}");
        }
    }
}
