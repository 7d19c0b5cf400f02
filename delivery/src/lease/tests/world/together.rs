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
}
