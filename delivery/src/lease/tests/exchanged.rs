//! What is asked for, and what lost, late and wrong responses do.

use meter::failures::CollectorFailure;

use super::*;

const WHOLE: [u64; 2] = [1_000_000, 1_000_000];

fn lost(failure: CollectorFailure) -> Lost {
    Lost { failure, retry_after_ms: None }
}

cases! {
    fn contract_budgets_are_asked_for_at_once_and_one_request_is_in_flight() {
        let mut worker = Worker::new("");
        let request = worker.ask(NOW, 5).unwrap();
        assert_eq!(request, Request { number: 1, acknowledged: 5, ..Request::default() });
        assert_eq!(worker.ask(NOW + 1999, 5), None, "its response is awaited");
        let (at_ms, again) = worker.asks_next(NOW + 2000, 6);
        assert_eq!((again.number, again.acknowledged), (2, 6), "none comes any more");
        assert!(at_ms <= NOW + 2250);
        let mut off = Leases::new(7, &meter::config::parse(br#"{"collector":{"cluster":"here"}}"#).unwrap());
        assert_eq!(off.poll(NOW, 0), None);
        assert!(off.admit(NOW, &call("a"), &OPEN).refusal.is_none());
    }

    fn contract_a_call_without_room_has_what_it_needs_asked_for() {
        let mut worker = Worker::holds("", budget("all"), lease(NOW, 100, 30, WHOLE));
        let _running = worker.admit(NOW, &call("a"), &bound(50)).unwrap();
        worker.refuses(NOW, &call("a"), &bound(400));
        worker.refuses(NOW, &call("b"), &bound(300));
        let (_, request) = worker.asks_next(NOW, 0);
        let wanted = &request.leases[0];
        assert_eq!((wanted.budget.as_str(), wanted.subject.as_str(), wanted.at_s), ("all", "", NOW / 1000));
        assert_eq!(wanted.need, 30 + 50 + 400, "with the dearest of them");
        assert!(wanted.up_to >= 30 + 50 + 400 + 300, "and for all");
        worker.gets(NOW, &request, &[Some(lease(NOW, 480, 30, WHOLE))]);
        let _dear = worker.admit(NOW, &call("a"), &bound(400)).unwrap();
    }

    fn contract_what_is_charged_takes_the_place_of_what_was_reckoned() {
        let mut worker = Worker::holds("", budget("all"), lease(NOW, 1000, 0, WHOLE));
        for sequence in 1..=3 {
            let ticket = worker.admit(NOW, &call("a"), &bound(100)).unwrap();
            worker.leases.settle(NOW, ticket, &call("a"), (50, 50), sequence);
        }
        worker.refuses(NOW, &call("a"), &bound(800));
        let (_, request) = worker.asks_next(NOW, 2);
        assert_eq!((request.acknowledged, request.leases[0].need), (2, 1100));
        // Two were charged less; the third counts as it was reckoned.
        worker.gets(NOW, &request, &[Some(lease(NOW, 1000, 120, WHOLE))]);
        assert_eq!(worker.refuses(NOW, &call("a"), &bound(781)).0, Reason::NoLease);
        let _fits = worker.admit(NOW, &call("a"), &bound(780)).unwrap();
    }

    fn contract_what_is_given_back_is_not_spent_whether_the_request_arrives_or_not() {
        let mut worker = Worker::holds("", budget("all"), lease(NOW, 65_536, 0, WHOLE));
        let ticket = worker.admit(NOW, &call("a"), &bound(100)).unwrap();
        worker.leases.settle(NOW, ticket, &call("a"), (0, 100), 1);
        // What nobody has used for a while is returned, but for what a call needs, or if that is much, a little.
        let request = worker.ask(NOW + 11_000, 1).unwrap();
        let up_to = request.leases[0].up_to;
        assert_eq!(up_to, 100 + 1_000_000 / 256);
        assert_eq!(worker.refuses(NOW + 11_000, &at("a", NOW + 11_000), &bound(up_to)).0, Reason::NoLease);
        // It is lost; so is whoever hoped.
        let token = worker.token;
        assert!(!worker.leases.respond(NOW + 11_100, token, Err(lost(CollectorFailure::Reset))));
        assert_eq!(worker.refuses(NOW + 12_000, &at("a", NOW + 12_000), &bound(up_to)).0, Reason::NoLease);
        let _fits = worker.admit(NOW + 12_000, &at("a", NOW + 12_000), &bound(up_to - 100)).unwrap();
    }

    fn race_late_repeated_and_foreign_responses_change_nothing() {
        let mut worker = Worker::knows("", vec![budget("all")]);
        let request = worker.ask(NOW, 0).unwrap();
        let (first, granted) = (worker.token, |number| Response {
            number, revision: 3, budgets: None, leases: vec![Some(lease(NOW, 500, 0, WHOLE))], prices: vec![],
        });
        assert!(!worker.leases.respond(NOW, first + 1, Ok(granted(request.number))), "nobody asked for that");
        assert_eq!(worker.refuses(NOW, &call("a"), &bound(500)).0, Reason::NoLease);
        let (now_ms, second) = worker.asks_next(NOW + 2000, 0);
        assert!(!worker.leases.respond(now_ms, first, Ok(granted(request.number))), "it comes too late");
        assert_eq!(worker.refuses(now_ms, &call("a"), &bound(1)).0, Reason::NoLease);
        assert!(!worker.hear(now_ms, granted(request.number)), "another's number");
        let (now_ms, third) = worker.asks_next(now_ms, 0);
        let short = Response { leases: vec![], ..granted(third.number) };
        assert!(!worker.hear(now_ms, short), "a lease is missing");
        let (now_ms, fourth) = worker.asks_next(now_ms, 0);
        assert_eq!([second.number, third.number, fourth.number], [3, 4, 5]);
        assert!(worker.hear(now_ms, granted(5)));
        let ticket = worker.admit(NOW, &call("a"), &bound(500)).unwrap();
        assert!(!worker.hear(now_ms, granted(5)), "it was heard before");
        assert_eq!(worker.refuses(NOW, &call("a"), &bound(1)).0, Reason::NoLease);
        worker.leases.release(ticket);
    }

    fn contract_without_the_collector_the_lease_is_used_up_then_it_is_as_configured() {
        for (settings, is_closed) in [("", false), (r#""without_collector":"closed""#, true)] {
            let mut worker = Worker::new(settings);
            let never = worker.leases.admit(NOW, &call("a"), &OPEN);
            assert_eq!((never.refusal.is_some(), never.is_unheld), (is_closed, !is_closed), "it was never heard");
            let mut worker = Worker::holds(settings, budget("all"), lease(NOW, 100, 0, [1000, 1000]));
            let _rest = worker.admit(NOW, &call("a"), &bound(90)).unwrap();
            assert_eq!(worker.refuses(NOW, &call("a"), &bound(90)).0, Reason::NoLease);
            let (since_ms, _) = worker.asks_next(NOW, 0);
            worker.leases.respond(since_ms, worker.token, Err(lost(CollectorFailure::Unavailable)));
            assert_eq!(worker.refuses(since_ms + 9999, &call("a"), &bound(90)).0, Reason::NoLease, "it may come back");
            let away_ms = since_ms + 10_000;
            let _last = worker.admit(away_ms, &call("a"), &bound(10)).unwrap();
            let away = worker.leases.admit(away_ms, &call("a"), &bound(90));
            assert_eq!((away.refusal.map(|refusal| refusal.reason), away.is_unheld), (is_closed.then_some(Reason::CollectorAway), !is_closed));
            // What is known to be spent stays so.
            let gone = worker.leases.admit(away_ms, &call("a"), &bound(1001));
            assert_eq!(gone.refusal.unwrap().reason, Reason::TooLarge);
            // It is back.
            let request = worker.ask(NOW + 20_000, 0).unwrap();
            worker.gets(NOW + 20_000, &request, &[Some(lease(NOW, 100, 0, [1000, 100]))]);
            assert_eq!(worker.refuses(NOW + 20_000, &call("a"), &bound(101)).0, Reason::Exhausted);
        }
    }

    fn contract_a_lease_is_used_no_more_when_the_collector_may_have_given_it_to_others() {
        let hour = Lease { until_s: NOW / 1000 + 3600, ..lease(NOW, 100, 0, [1000, 1000]) };
        let mut worker = Worker::holds(r#""without_collector":"closed""#, budget("all"), hour);
        let soon = NOW + 599_999;
        let ticket = worker.admit(soon, &at("a", soon), &bound(1)).unwrap();
        worker.leases.release(ticket);
        let late = NOW + 600_000;
        assert_eq!(worker.refuses(late, &at("a", late), &bound(1)).0, Reason::CollectorAway);
    }

    fn race_what_was_held_before_a_long_silence_is_held_no_more_when_the_collector_responds_again() {
        let hour = |granted| Lease { until_s: NOW / 1000 + 3600, ..lease(NOW, granted, 0, WHOLE) };
        let of = |tenant: &str| Budget {
            scope: Scope { tenant: Some(tenant.to_owned()), ..Scope::default() },
            ..budget(tenant)
        };
        let mut worker = Worker::knows("", vec![of("a"), of("b")]);
        let request = worker.ask(NOW, 0).unwrap();
        worker.gets(NOW, &request, &[Some(hour(65_536)), Some(hour(65_536))]);
        worker.refuses(NOW, &call("a"), &bound(80_000));
        let (_, request) = worker.asks_next(NOW, 0);
        assert_eq!(request.leases.iter().map(|wanted| wanted.budget.as_str()).collect::<Vec<_>>(), ["a"]);
        let late = NOW + 600_000;
        worker.gets(late, &request, &[Some(hour(80_000))]);
        assert_eq!(worker.refuses(late, &at("b", late), &bound(1)).0, Reason::NoLease);
        assert!(worker.admit(late, &at("a", late), &bound(80_000)).is_ok());
    }

    fn contract_failures_are_tried_again_later_and_later() {
        let mut worker = Worker::new("");
        let (mut now_ms, mut times) = (NOW, Vec::new());
        while times.len() < 12 {
            if worker.ask(now_ms, 0).is_some() {
                times.push(now_ms);
                worker.leases.respond(now_ms, worker.token, Err(lost(CollectorFailure::Unavailable)));
            }
            now_ms += 1;
        }
        let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().zip(0..).all(|(gap, n)| *gap <= (250 << n).min(5000) + 250), "{gaps:?}");
        assert!(gaps.iter().sum::<u64>() > 5000, "{gaps:?}");
        let asked = Lost { failure: CollectorFailure::TooManyRequests, retry_after_ms: Some(20_000) };
        let start = (now_ms..).find(|now_ms| worker.ask(*now_ms, 0).is_some()).unwrap();
        worker.leases.respond(start, worker.token, Err(asked));
        assert_eq!(worker.ask(start + 19_999, 0), None);
        assert!(worker.ask(start + 20_000, 0).is_some());
    }

    fn contract_another_revision_brings_other_budgets_and_what_is_held_stays() {
        let mut worker = Worker::holds("", budget("all"), lease(NOW, 100, 0, [1000, 1000]));
        worker.leases.hear_revision(3);
        assert_eq!(worker.ask(NOW + 900, 0), None, "that is known");
        worker.leases.hear_revision(4);
        let request = worker.ask(NOW + 900, 0).unwrap();
        assert_eq!(request.revision, 0);
        let budgets = vec![budget("all"), budget("new")];
        let leases = request.leases.iter().map(|_| Some(lease(NOW, 100, 0, [1000, 1000]))).collect();
        worker.hear(NOW + 1000, Response { number: request.number, revision: 4, budgets: Some(budgets), leases, prices: vec![] });
        let request = worker.ask(NOW + 1000, 0).unwrap();
        let mut names: Vec<_> = request.leases.iter().map(|wanted| wanted.budget.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["all", "new"], "limits may have changed");
        assert_eq!(worker.admit(NOW + 1000, &call("a"), &bound(50)).unwrap_err().0, "new");
        // One that is gone holds nobody back.
        worker.leases.hear_revision(5);
        let _ = worker.leases.respond(NOW + 1000, worker.token, Err(lost(CollectorFailure::Reset)));
        let (_, request) = worker.asks_next(NOW + 1000, 0);
        let leases = request.leases.iter().map(|_| None).collect();
        worker.hear(NOW + 2000, Response { number: request.number, revision: 5, budgets: Some(vec![]), leases, prices: vec![] });
        assert!(worker.admit(NOW + 2000, &call("a"), &bound(5000)).unwrap().is_empty());
    }

    fn contract_a_worker_where_there_are_no_budgets_asks_from_time_to_time_only() {
        let mut worker = Worker::new("");
        let request = worker.ask(NOW, 0).unwrap();
        worker.hear(NOW, Response { number: request.number, ..Response::default() });
        assert!(worker.admit(NOW, &call("a"), &OPEN).unwrap().is_empty());
        assert_eq!(worker.ask(NOW + 14_999, 0), None);
        assert_eq!(worker.asks_next(NOW + 14_999, 0).0, NOW + 15_249, "it looks four times a second");
    }

    fn contract_a_budget_of_which_there_is_no_lease_is_as_without_the_collector() {
        for (settings, is_closed) in [("", false), (r#""without_collector":"closed""#, true)] {
            let mut worker = Worker::knows(settings, vec![budget("all")]);
            let request = worker.ask(NOW, 0).unwrap();
            worker.gets(NOW, &request, &[None]);
            let admission = worker.leases.admit(NOW, &call("a"), &bound(1));
            assert_eq!((admission.refusal.is_some(), admission.is_unheld), (is_closed, !is_closed));
        }
    }

    fn contract_another_collector_has_given_no_leases() {
        let mut worker = Worker::holds("", budget("all"), lease(NOW, 100, 0, [1000, 1000]));
        worker.leases.configure(&config(""));
        let ticket = worker.admit(NOW, &call("a"), &bound(100)).unwrap();
        let elsewhere = meter::config::parse(br#"{"collector":{"cluster":"there"},"budgets":{}}"#).unwrap();
        worker.leases.configure(&elsewhere);
        assert!(worker.leases.admit(NOW, &call("a"), &bound(1)).is_unheld);
        worker.leases.settle(NOW, ticket, &call("a"), (1, 1), 1);
        assert_eq!(worker.ask(NOW, 0).unwrap().revision, 0);
    }
}
