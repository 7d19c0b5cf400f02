use wire::lease::{Ceiling, Lease, Mode, Request, Response, Scope};

use super::*;

mod bounded;
mod covered;
mod exchanged;
mod held;
mod world;

/// The beginning of a minute, ms.
const NOW: u64 = 1_764_370_800_000;

fn config(budgets: &str) -> Config {
    let json = format!(r#"{{"collector":{{"cluster":"here","timeout_ms":1000}},"budgets":{{{budgets}}}}}"#);
    meter::config::parse(json.as_bytes()).unwrap()
}

fn budget(name: &str) -> Budget {
    Budget { name: name.to_owned(), scope: Scope::default(), per_tenant: false, unit: Unit::Tokens, mode: Mode::Hard }
}

fn call(tenant: &str) -> Spending<'_> {
    Spending { tenant, provider: "openai", model: Some("gpt-5"), started_s: NOW / 1000 }
}

fn at(tenant: &str, now_ms: u64) -> Spending<'_> {
    Spending { started_s: now_ms / 1000, ..call(tenant) }
}

/// So many tokens at most.
fn bound(tokens: u64) -> Bound {
    Bound { input: 0, output: Some(tokens), choices: 1, is_open: false }
}

/// Nobody knows how many.
const OPEN: Bound = Bound { input: 1, output: None, choices: 1, is_open: false };

/// A lease of the minute that a time is in.
fn lease(now_ms: u64, granted: u64, charged: u64, [limit, left]: [u64; 2]) -> Lease {
    let window_s = now_ms / 60_000 * 60;
    Lease { window_s, until_s: window_s + 60, granted, charged, limit, left, available: left }
}

/// A worker, and a proxy that takes what it sends.
struct Worker {
    leases: Leases,
    token: u32,
}

impl Worker {
    fn new(budgets: &str) -> Worker {
        Worker { leases: Leases::new(7, &config(budgets)), token: 0 }
    }

    /// One that knows these budgets, at [`NOW`].
    fn knows(settings: &str, budgets: Vec<Budget>) -> Worker {
        let mut worker = Worker::new(settings);
        let request = worker.ask(NOW, 0).unwrap();
        assert_eq!((request.number, request.revision, request.leases.len()), (1, 0, 0));
        let response = Response { number: 1, revision: 3, budgets: Some(budgets), ..Response::default() };
        assert!(worker.hear(NOW, response));
        worker
    }

    /// One that holds so much of one budget for everybody.
    fn holds(settings: &str, budget: Budget, lease: Lease) -> Worker {
        let unit = budget.unit;
        let mut worker = Worker::knows(settings, vec![budget]);
        if unit == Unit::Tokens {
            // A call asks for so much.
            let _ = worker.admit(NOW, &call("a"), &bound(lease.granted));
        }
        let request = worker.ask(NOW, 0).unwrap();
        assert_eq!(request.leases.len(), 1);
        assert!(worker.gets(NOW, &request, &[Some(lease)]));
        worker
    }

    fn ask(&mut self, now_ms: u64, acknowledged: u64) -> Option<Request> {
        let request = self.leases.poll(now_ms, acknowledged)?;
        self.token += 1;
        self.leases.dispatched(now_ms, Ok(self.token));
        Some(request)
    }

    /// The next request, and when it comes.
    fn asks_next(&mut self, from_ms: u64, acknowledged: u64) -> (u64, Request) {
        (from_ms..).find_map(|now_ms| Some((now_ms, self.ask(now_ms, acknowledged)?))).unwrap()
    }

    fn hear(&mut self, now_ms: u64, response: Response) -> bool {
        self.leases.respond(now_ms, self.token, Ok(response))
    }

    fn gets(&mut self, now_ms: u64, request: &Request, leases: &[Option<Lease>]) -> bool {
        let prices = vec![Some(Ceiling { input: 1, output: 10, call: 100 }); request.prices.len()];
        let response = Response { number: request.number, revision: 3, budgets: None, leases: leases.to_vec(), prices };
        self.hear(now_ms, response)
    }

    /// What a call gets: its ticket, or who refuses it, why, and for how long.
    fn admit(
        &mut self,
        now_ms: u64,
        call: &Spending<'_>,
        bound: &Bound,
    ) -> Result<Ticket, (String, Reason, Option<u64>)> {
        let Admission { ticket, refusal, .. } = self.leases.admit(now_ms, call, bound);
        match refusal {
            None => Ok(ticket),
            Some(refusal) => {
                assert!(ticket.is_empty(), "a refused call reserves nothing");
                Err((refusal.name().to_owned(), refusal.reason, refusal.retry_after_ms))
            }
        }
    }

    fn refuses(&mut self, now_ms: u64, call: &Spending<'_>, bound: &Bound) -> (Reason, Option<u64>) {
        let (_, reason, retry_after_ms) = self.admit(now_ms, call, bound).unwrap_err();
        (reason, retry_after_ms)
    }
}
