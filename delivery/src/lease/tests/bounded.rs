//! Memory, and who gets it.

use super::*;
use wire::lease::{MAX_LEASES, MAX_PRICES};

fn each() -> Budget {
    Budget { per_tenant: true, ..budget("each") }
}

/// Whatever is asked for is granted.
fn grant(worker: &mut Worker, now_ms: u64) -> usize {
    let mut requests = 0;
    while let Some(request) = worker.ask(now_ms, 0) {
        assert!(request.leases.len() <= MAX_LEASES && request.prices.len() <= MAX_PRICES);
        let grants: Vec<_> =
            request.leases.iter().map(|wanted| Some(lease(now_ms, wanted.up_to, 0, [1 << 40, 1 << 40]))).collect();
        worker.gets(now_ms, &request, &grants);
        requests += 1;
        assert!(requests < 100, "it asks without end");
    }
    requests
}

cases! {
    fn contract_a_tenants_burst_of_subjects_never_takes_anothers_lease_nor_makes_it_wait() {
        let mut worker = Worker::knows("", vec![each()]);
        worker.refuses(NOW, &call("quiet/one"), &bound(10));
        grant(&mut worker, NOW);
        for number in 0..10_000 {
            let tenant = format!("loud/{number}");
            assert_eq!(worker.refuses(NOW + 300, &call(&tenant), &bound(10)).0, Reason::NoLease);
        }
        assert!(worker.admit(NOW + 300, &call("quiet/one"), &bound(10)).is_ok());
        worker.refuses(NOW + 300, &call("late/two"), &bound(10));
        let requests = grant(&mut worker, NOW + 300);
        assert!(requests <= 4, "{requests}: at most an eighth of the room is one tenant's");
        assert!(worker.admit(NOW + 300, &call("late/two"), &bound(10)).is_ok());
        let held = (0..10_000).filter(|number| worker.admit(NOW + 300, &call(&format!("loud/{number}")), &bound(10)).is_ok());
        assert_eq!(held.count(), 512);
    }

    fn contract_memory_is_bounded_and_comes_back() {
        let mut worker = Worker::knows("", vec![each()]);
        for number in 0..20_000 {
            let tenant = format!("t{number}/x");
            worker.refuses(NOW, &call(&tenant), &bound(10));
        }
        grant(&mut worker, NOW);
        assert!(worker.admit(NOW, &call("t0/x"), &bound(10)).is_ok());
        assert_eq!(worker.leases.accounts.places(0).len(), 4096);
        assert_eq!(worker.refuses(NOW, &call("t19999/x"), &bound(10)).0, Reason::NoLease, "there is no room");
        let later = NOW + 600_000;
        grant(&mut worker, later);
        assert!(worker.leases.accounts.places(0).len() <= 1, "one call runs");
        worker.refuses(later, &at("t19999/x", later), &bound(10));
        grant(&mut worker, later + 300);
        assert!(worker.admit(later + 300, &at("t19999/x", later), &bound(10)).is_ok());
    }

    fn contract_prices_are_bounded_and_one_tenants_models_leave_room_for_anothers() {
        let mut worker = Worker::knows("", vec![Budget { unit: Unit::Usd, ..budget("money") }]);
        grant(&mut worker, NOW);
        for number in 0..5000 {
            let model = format!("m{number}");
            worker.refuses(NOW + 300, &Spending { model: Some(&model), ..call("loud") }, &bound(1));
        }
        worker.refuses(NOW + 300, &call("quiet"), &bound(1));
        for step in 0..8 {
            grant(&mut worker, NOW + 1000 + step * 300);
        }
        assert!(worker.admit(NOW + 9000, &call("quiet"), &bound(1)).is_ok());
        assert_eq!(worker.refuses(NOW + 9000, &Spending { model: Some("m4999"), ..call("loud") }, &bound(1)).0, Reason::NoLease);
        let long = "x".repeat(10_000);
        let _rest = worker.admit(NOW + 9000, &Spending { model: Some(&long), ..call("loud") }, &bound(1));
        assert_eq!(grant(&mut worker, NOW + 9300).min(2), 1, "a name that is too long is not asked for");
    }

    fn contract_spent_amounts_are_bounded_and_none_is_lost() {
        let settings = r#""assume_output_tokens":1000000"#;
        let mut worker = Worker::holds(settings, budget("all"), lease(NOW, 100_000, 0, [1 << 40, 1 << 40]));
        for sequence in 1..=10_000 {
            let ticket = worker.admit(NOW, &call("a"), &bound(10)).unwrap();
            worker.leases.settle(NOW, ticket, &call("a"), (5, 5), sequence);
        }
        assert_eq!(worker.refuses(NOW, &call("a"), &bound(1)).0, Reason::NoLease);
        let (now_ms, request) = worker.asks_next(NOW, 5000);
        worker.gets(now_ms, &request, &[Some(lease(NOW, 150_000, 50_000, [1 << 40, 1 << 40]))]);
        // Those of which the number was put together with later ones count for longer: never for less.
        assert!(worker.admit(NOW, &call("a"), &bound(50_001)).is_err());
        let (_, request) = worker.asks_next(now_ms, 10_000);
        worker.gets(NOW + 1000, &request, &[Some(lease(NOW, 150_000, 100_000, [1 << 40, 1 << 40]))]);
        assert!(worker.admit(NOW + 1000, &call("a"), &bound(50_000)).is_ok());
    }
}
