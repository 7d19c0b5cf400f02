//! What is held, and what becomes of a call.

use super::*;

cases! {
    fn contract_what_calls_can_cost_is_reserved_and_what_they_have_cost_is_settled() {
        let mut worker = Worker::holds("", budget("all"), lease(NOW, 100, 0, [1000, 1000]));
        let first = worker.admit(NOW, &call("a"), &bound(60)).unwrap();
        let (reason, wait_ms) = worker.refuses(NOW, &call("b"), &bound(60));
        assert!(reason == Reason::NoLease && (2000..4000).contains(&wait_ms.unwrap()), "a call that runs has it: {wait_ms:?}");
        let second = worker.admit(NOW, &call("b"), &bound(40)).unwrap();
        worker.leases.settle(NOW, first, &call("a"), (10, 5), 1);
        assert_eq!(worker.refuses(NOW, &call("a"), &bound(46)).0, Reason::NoLease);
        worker.leases.release(second);
        let _third = worker.admit(NOW, &call("a"), &bound(85)).unwrap();
        assert_eq!(worker.refuses(NOW, &call("a"), &bound(1)).0, Reason::NoLease);
    }

    fn contract_a_refusal_says_when_there_may_be_room_and_by_whom_it_is() {
        let minute = NOW + 10_000;
        let mut worker = Worker::holds("", budget("all"), lease(NOW, 100, 0, [1000, 500]));
        assert_eq!(worker.admit(minute, &call("a"), &bound(1001)).unwrap_err(), ("all".into(), Reason::TooLarge, None));
        assert_eq!(worker.refuses(minute, &call("a"), &bound(501)), (Reason::Exhausted, Some(50_000)), "until the window is over");
        assert_eq!(worker.refuses(minute, &call("a"), &bound(500)), (Reason::NoLease, Some(500)));
        // Of several budgets the one that refuses for longest is named.
        let budgets = ["short", "long", "free"].map(budget).to_vec();
        let mut worker = Worker::knows("", budgets);
        let request = worker.ask(NOW, 0).unwrap();
        let left = |name: &str| match name {
            "short" => lease(NOW, 0, 0, [1000, 900]),
            "long" => lease(NOW, 0, 0, [1000, 0]),
            _ => lease(NOW, 900, 0, [1000, 1000]),
        };
        let leases: Vec<_> = request.leases.iter().map(|wanted| Some(left(&wanted.budget))).collect();
        worker.gets(NOW, &request, &leases);
        assert_eq!(worker.admit(NOW, &call("a"), &bound(10)).unwrap_err(), ("long".into(), Reason::Exhausted, Some(60_000)));
        assert_eq!(worker.admit(NOW, &call("a"), &bound(2000)).unwrap_err().1, Reason::TooLarge);
    }

    fn contract_a_call_that_nothing_bounds_is_reckoned_at_what_is_assumed_and_one_at_a_time_may_take_half_of_the_rest() {
        let settings = r#""assume_output_tokens":50"#;
        let mut worker = Worker::holds(settings, budget("all"), lease(NOW, 100, 0, [1000, 120]));
        let first = worker.admit(NOW, &call("a"), &OPEN).unwrap(); // 51
        let second = worker.admit(NOW, &call("a"), &OPEN).unwrap(); // 25 of 49
        assert_eq!(worker.refuses(NOW, &call("a"), &OPEN).0, Reason::NoLease);
        let other = worker.admit(NOW, &call("b"), &bound(24)).unwrap();
        assert_eq!(worker.refuses(NOW, &call("b"), &bound(1)).0, Reason::NoLease, "nothing is left");
        worker.leases.release(other);
        worker.leases.release(first);
        let third = worker.admit(NOW, &call("a"), &bound(44)).unwrap();
        assert_eq!(worker.refuses(NOW, &call("a"), &OPEN).0, Reason::NoLease, "one has taken of the rest already");
        let small = worker.admit(NOW, &call("a"), &bound(31)).unwrap();
        worker.leases.release(second);
        let _fourth = worker.admit(NOW, &call("a"), &OPEN).unwrap();
        worker.leases.release(small);
        // It costs more than there was: that is what remains possible.
        worker.leases.settle(NOW, third, &call("a"), (0, 500), 1);
        assert_eq!(worker.refuses(NOW, &call("a"), &bound(1)).0, Reason::NoLease);
        // Several responses may cost so many times as much.
        let mut worker = Worker::holds(settings, budget("all"), lease(NOW, 100, 0, [1000, 1000]));
        let _half = worker.admit(NOW, &call("a"), &Bound { choices: 2, ..OPEN }).unwrap();
        assert_eq!(worker.refuses(NOW, &call("a"), &bound(51)).0, Reason::NoLease);
        // Nothing is left of a budget: such a call waits like any other.
        let mut worker = Worker::holds("", budget("all"), lease(NOW, 0, 0, [1000, 0]));
        assert_eq!(worker.refuses(NOW, &call("a"), &OPEN), (Reason::Exhausted, Some(60_000)));
    }

    fn contract_money_is_reckoned_by_what_the_collector_says_a_call_can_cost() {
        let money = Budget { unit: Unit::Usd, ..budget("money") };
        let mut worker = Worker::holds("", money, lease(NOW, 1000, 0, [10_000, 10_000]));
        let asked = Bound { input: 100, output: Some(30), choices: 1, is_open: false };
        assert_eq!(worker.refuses(NOW, &call("a"), &asked).0, Reason::NoLease, "the price is not known");
        let request = worker.ask(NOW, 0).unwrap();
        assert_eq!(request.prices.iter().map(|priced| priced.model.as_str()).collect::<Vec<_>>(), ["gpt-5"]);
        let leases: Vec<_> = request.leases.iter().map(|_| Some(lease(NOW, 1000, 0, [10_000, 10_000]))).collect();
        worker.gets(NOW, &request, &leases);
        let first = worker.admit(NOW, &call("a"), &asked).unwrap(); // 100 × 1 + 30 × 10 + 100
        let _second = worker.admit(NOW, &call("a"), &asked).unwrap();
        assert_eq!(worker.refuses(NOW, &call("a"), &asked).0, Reason::NoLease);
        worker.leases.settle(NOW, first, &call("a"), (100, 0), 1);
        let _third = worker.admit(NOW, &call("a"), &Bound { input: 200, ..bound(0) }).unwrap();
        assert_eq!(worker.refuses(NOW, &call("a"), &bound(0)).0, Reason::NoLease, "a call costs something, too");
        // Whose model nobody knows may cost anything: it takes the rest, and what that was stays until it is charged.
        let mut worker = Worker::holds("", Budget { unit: Unit::Usd, ..budget("money") }, lease(NOW, 1000, 0, [10_000, 10_000]));
        let unknown = Spending { model: None, ..call("a") };
        let ticket = worker.admit(NOW, &unknown, &bound(1)).unwrap();
        worker.leases.settle(NOW, ticket, &unknown, (5, 5), 1);
        assert_eq!(worker.refuses(NOW, &unknown, &bound(1)).0, Reason::NoLease);
    }

    fn contract_a_model_without_a_price_passes_while_anything_is_left() {
        let money = || Budget { unit: Unit::Usd, ..budget("money") };
        for (granted, left, price, passes) in [
            (0, 0, None, false),
            (10, 10, None, true),
            (0, 0, Some(Ceiling::default()), true),
        ] {
            let mut worker = Worker::holds("", money(), lease(NOW, granted, 0, [10_000, left]));
            worker.refuses(NOW, &call("a"), &bound(1));
            let request = worker.ask(NOW + 300, 0).unwrap();
            let leases = request.leases.iter().map(|_| Some(lease(NOW, granted, 0, [10_000, left]))).collect();
            worker.hear(NOW, Response { number: request.number, revision: 3, budgets: None, leases, prices: vec![price] });
            // Another model may respond than the one that was asked for, and that one may have a price.
            assert_eq!(worker.admit(NOW, &call("a"), &bound(1000)).is_ok(), passes, "{left} is left, price {price:?}");
        }
    }

    fn contract_a_shadow_refuses_nothing_and_says_what_it_would_have() {
        let shadow = Budget { mode: Mode::Shadow, ..budget("shadow") };
        let mut worker = Worker::holds("", shadow, lease(NOW, 10, 0, [1000, 10]));
        let names = |admission: &Admission| admission.shadows.iter().map(|budget| budget.name.clone()).collect::<Vec<_>>();
        let fits = worker.leases.admit(NOW, &call("a"), &bound(10));
        assert!(fits.refusal.is_none() && names(&fits).is_empty() && !fits.ticket.is_empty());
        let passes = worker.leases.admit(NOW, &call("a"), &bound(10));
        assert!(passes.refusal.is_none() && names(&passes) == ["shadow"] && passes.ticket.is_empty());
    }

    fn contract_a_call_counts_in_the_window_in_which_it_began() {
        let mut worker = Worker::holds("", budget("all"), lease(NOW, 100, 0, [1000, 1000]));
        let next = NOW + 60_000;
        let old = worker.admit(NOW + 59_000, &at("a", NOW + 59_000), &bound(60)).unwrap();
        let request = worker.ask(NOW + 59_001, 0).unwrap();
        let of_next = request.leases.iter().find(|wanted| wanted.at_s == next / 1000).expect("the next window is asked for");
        assert!(of_next.up_to > 0);
        let leases: Vec<_> = request.leases.iter().map(|wanted| {
            Some(if wanted.at_s == next / 1000 { lease(next, 50, 0, [1000, 1000]) } else { lease(NOW, 100, 0, [1000, 1000]) })
        }).collect();
        worker.gets(NOW + 59_002, &request, &leases);
        let _new = worker.admit(next, &at("a", next), &bound(50)).unwrap();
        assert_eq!(worker.refuses(next, &at("a", next), &bound(1)).0, Reason::NoLease);
        // One whose request took its time.
        let _late = worker.admit(next + 1000, &at("a", NOW + 59_999), &bound(40)).unwrap();
        worker.leases.settle(next + 2000, old, &at("a", NOW + 59_000), (0, 60), 1);
        assert_eq!(worker.refuses(next + 2000, &at("a", NOW + 59_999), &bound(1)).0, Reason::NoLease);
    }

    fn contract_who_was_told_to_wait_for_the_next_window_finds_a_lease_of_it() {
        let mut worker = Worker::holds("", budget("all"), lease(NOW, 0, 0, [1000, 10]));
        for second in [30, 59] {
            // The next window's lease is asked for in between.
            let now_ms = NOW + second * 1000;
            let (reason, wait_ms) = worker.refuses(now_ms, &at("a", now_ms), &bound(40 + second));
            assert_eq!((reason, wait_ms), (Reason::Exhausted, Some(60_000 - second * 1000)));
            let asked_ms = if second == 30 { NOW + 54_000 } else { now_ms + 500 };
            let request = worker.ask(asked_ms, 0).unwrap();
            let next = request.leases.iter().find(|wanted| wanted.at_s == NOW / 1000 + 60).unwrap();
            assert_eq!(next.need, 40 + second);
            let leases: Vec<_> = request.leases.iter().map(|wanted| {
                let window_ms = wanted.at_s * 1000;
                Some(if window_ms > NOW { lease(window_ms, wanted.need, 0, [1000, 1000]) } else { lease(NOW, 0, 0, [1000, 10]) })
            }).collect();
            worker.gets(asked_ms, &request, &leases);
            // It is not returned before it can be used.
            let again = worker.ask(asked_ms + 250, 0);
            assert!(again.is_none_or(|request| request.leases.iter().all(|wanted| wanted.at_s < NOW / 1000 + 60)));
        }
        assert!(worker.admit(NOW + 60_000, &at("a", NOW + 60_000), &bound(99)).is_ok());
    }

    fn contract_who_responded_decides_where_a_call_counts_whatever_was_thought_before() {
        let of = |provider: &str| Budget {
            scope: Scope { provider: Some(provider.to_owned()), ..Scope::default() },
            ..budget(provider)
        };
        let mut worker = Worker::knows("", vec![of("openai"), of("azure")]);
        let request = worker.ask(NOW, 0).unwrap();
        let whole = lease(NOW, 100, 0, [1000, 1000]);
        worker.gets(NOW, &request, &[Some(whole), Some(whole)]);
        let ticket = worker.admit(NOW, &call("a"), &bound(100)).unwrap();
        let azure = Spending { provider: "azure", ..call("a") };
        worker.leases.settle(NOW, ticket, &azure, (100, 0), 1);
        assert!(worker.admit(NOW, &call("a"), &bound(100)).is_ok());
        assert_eq!(worker.refuses(NOW, &azure, &bound(1)).0, Reason::NoLease);
    }
}
