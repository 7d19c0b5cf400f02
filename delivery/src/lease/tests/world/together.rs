//! What the workers spend together.

use super::*;

cases! {
    fn race_calls_of_all_workers_together_stay_within_every_limit_whatever_gets_lost() {
        let (mut passed, mut refused) = (0, 0);
        for seed in 0..40 {
            let mut world = World::new(seed);
            for _ in 0..3000 {
                world.step();
                world.check(seed);
            }
            passed += world.passed;
            refused += world.refused;
        }
        assert!(passed > 2000 && refused > 2000, "{passed} passed, {refused} refused: nothing is shown");
    }

    fn race_pieces_that_are_too_small_for_a_call_each_come_together() {
        for seed in 0..20 {
            let mut world = World::new(seed);
            world.collector.length_s = 3600;
            world.collector.limits.values_mut().for_each(|limit| *limit = 1_000_000);
            world.collector.limits.insert("all".to_owned(), 1000);
            let mut passed = 0;
            for _ in 0..300 {
                for worker in 0..4 {
                    let now_ms = world.now_ms;
                    let call = at("other", now_ms);
                    let admission = world.workers[worker].leases.admit(now_ms, &call, &bound(400));
                    if admission.refusal.is_none() {
                        passed += 1;
                        let (tenant, bound, started_s) = ("other".to_owned(), bound(400), now_ms / 1000);
                        world.running.push(Running { worker, tenant, bound, started_s, ticket: admission.ticket });
                    }
                    world.ask(worker);
                }
                world.exchange();
                world.now_ms += 100;
                world.check(seed);
            }
            assert_eq!(passed, 2, "of 1000, 400 each");
        }
    }

    fn race_what_is_returned_by_some_is_found_by_others() {
        let mut world = World::new(3);
        world.collector.length_s = 3600;
        world.collector.limits.values_mut().for_each(|limit| *limit = 1_200_000);
        world.collector.limits.insert("money".to_owned(), 12_000_000);
        // One after the other spends all there is, while the others hold what they do not need.
        let mut spent = 0;
        for round in 0..4000 {
            let worker = round / 1000;
            world.begin(worker);
            while let Some(running) = world.running.pop() {
                spent += most(&world.collector.budgets[0], &running.bound);
                world.end(running);
            }
            for worker in 0..4 {
                world.ask(worker);
            }
            while !world.requests.is_empty() {
                world.arrive();
            }
            while !world.responses.is_empty() {
                world.hear();
            }
            world.deliver(worker);
            world.now_ms += 100;
        }
        assert!(world.passed > 3800 && spent > 0, "{} of 4000 passed", world.passed);
    }

    /// Two workers of one Envoy, and a client that comes once a second, to one or the other.
    fn race_a_slow_client_gets_the_last_call_that_fits_and_then_hears_that_nothing_is_left() {
        for seed in 0..20 {
            let mut world = World::new(seed);
            world.collector.length_s = 3600;
            world.collector.limits.values_mut().for_each(|limit| *limit = 1_000_000);
            world.collector.limits.insert("all".to_owned(), 1000);
            world.workers.truncate(2);
            let (mut passed, mut exhausted) = (0, 0);
            for step in 0..1200 {
                if step % 10 == 0 {
                    let (now_ms, worker) = (world.now_ms, world.below(2) as usize);
                    let admission = world.workers[worker].leases.admit(now_ms, &at("other", now_ms), &bound(240));
                    let is_exhausted = admission.refusal.as_ref().is_some_and(|refusal| refusal.reason == Reason::Exhausted);
                    exhausted += u64::from(is_exhausted);
                    if admission.refusal.is_none() {
                        passed += 1;
                        let (tenant, started_s) = ("other".to_owned(), now_ms / 1000);
                        let emitter = &mut world.workers[worker];
                        emitter.sequence += 1;
                        emitter.leases.settle(now_ms, admission.ticket, &at("other", now_ms), (0, 240), emitter.sequence);
                        emitter.queue.push(Event { sequence: emitter.sequence, tenant, tokens: (0, 240), started_s });
                    }
                }
                for worker in 0..2 {
                    world.ask(worker);
                    let emitter = &mut world.workers[worker];
                    emitter.queue.drain(..).for_each(|event| world.collector.take(emitter.name, &event));
                }
                world.exchange();
                world.now_ms += 100;
                world.check(seed);
            }
            assert_eq!(passed, 4, "of 1000, 240 each");
            assert!(exhausted > 60, "{exhausted} of some 110 were told so");
        }
    }

    /// A quiet client under a limit that has room for a few of its calls at once, on few and on many workers. Each call comes to
    /// some worker, and again as told, twice, over the same connection.
    fn race_a_quiet_client_is_let_pass_while_most_of_a_budget_is_left() {
        // Three can hold at once what a call can cost.
        for (workers, most_failed, most_refused) in [(1, 0, 2), (2, 0, 15), (8, 5, 80)] {
            for seed in 0..20 {
                let mut quiet = Quiet::new(seed, workers);
                (0..60).for_each(|_| quiet.call());
                let Quiet { failed, refused, .. } = quiet;
                assert!(failed <= most_failed && refused <= most_refused, "{workers} {seed}: {failed} of 60, {refused}");
            }
        }
    }
}

struct Quiet {
    world: World,
    refused: usize,
    failed: usize,
}

impl Quiet {
    fn new(seed: u64, workers: usize) -> Quiet {
        let mut world = World::new(seed);
        world.collector.length_s = 3600;
        world.collector.budgets.retain(|budget| budget.name == "all");
        world.collector.limits.insert("all".to_owned(), 20_000);
        world.workers.clear();
        for _ in 0..workers {
            let emitter = world.emitter();
            world.workers.push(emitter);
        }
        Quiet { world, refused: 0, failed: 0 }
    }

    /// A call of 87 tokens that can cost 5,200; a second passes.
    fn call(&mut self) {
        let worker = self.world.below(self.world.workers.len() as u64) as usize;
        for attempt in 0..3 {
            let now_ms = self.world.now_ms;
            let call = at("other", now_ms);
            let admission = self.world.workers[worker].leases.admit(now_ms, &call, &bound(5200));
            let Some(refusal) = admission.refusal else {
                self.pass(300);
                let (now_ms, emitter) = (self.world.now_ms, &mut self.world.workers[worker]);
                emitter.sequence += 1;
                emitter.leases.settle(now_ms, admission.ticket, &call, (0, 87), emitter.sequence);
                let (tenant, started_s) = ("other".to_owned(), call.started_s);
                emitter.queue.push(Event { sequence: emitter.sequence, tenant, tokens: (0, 87), started_s });
                return self.pass(700);
            };
            self.refused += 1;
            self.failed += usize::from(attempt == 2);
            self.pass(refusal.retry_after_ms.unwrap());
        }
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(100) {
            self.world.now_ms += 100;
            for worker in 0..self.world.workers.len() {
                self.world.ask(worker);
                let emitter = &mut self.world.workers[worker];
                emitter.queue.drain(..).for_each(|event| self.world.collector.take(emitter.name, &event));
            }
            self.world.exchange();
        }
    }
}
