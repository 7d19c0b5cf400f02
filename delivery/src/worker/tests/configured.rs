//! Another configuration while something waits.

use super::*;

/// A VM whose predecessor has so many events left, and has been told that they cannot be taken now. The collector of both is
/// known to read statements, or not.
fn succeeding(proxy: &mut Proxy, events: usize, listens: bool) -> Delivery {
    let mut old = vm(1, proxy, 1);
    if listens {
        old.tick(100, 1);
        proxy.drive(&mut old);
        old.respond(110, 1, proxy.token, ours(200));
        proxy.drive(&mut old);
        more(&mut old, events);
    } else {
        more(&mut old, events - 1);
    }
    old.done(120, 1);
    proxy.drive(&mut old);
    let mut new = vm(2, proxy, 0);
    new.tick(200, 1);
    proxy.drive(&mut new);
    new.tick(700, 1);
    let sent = proxy.drive(&mut new);
    assert!(sent.len() == 1 && sent[0].starts_with(&format!("send {events} of ")), "{sent:?}");
    new.respond(710, 1, proxy.token, Response { status: Some(500), ..Response::default() });
    assert_eq!(proxy.drive(&mut new), ["unavailable"]);
    new
}

cases! {
    fn contract_another_collector_has_to_show_anew_that_it_reads_statements() {
        for (cluster, done) in [("here", &["send 0 of 1"][..]), ("elsewhere", &[])] {
            let mut proxy = Proxy::default();
            let mut vm = vm(1, &mut proxy, 1);
            vm.tick(100, 1);
            proxy.drive(&mut vm);
            vm.respond(110, 1, 1, ours(200));
            vm.configure(2, &to(cluster));
            proxy.drive(&mut vm);
            vm.tick(60_000, 2);
            assert_eq!(proxy.drive(&mut vm), done, "{cluster}");
        }
    }

    fn contract_a_predecessor_with_nothing_to_say_to_another_collector_is_done() {
        for (cluster, is_idle) in [("here", false), ("elsewhere", true)] {
            let mut proxy = Proxy::default();
            let mut vm = succeeding(&mut proxy, 0, true);
            assert!(!vm.is_idle(), "its end is still to be told");
            vm.configure(2, &to(cluster));
            assert_eq!((vm.is_idle(), vm.predecessor().is_none()), (is_idle, is_idle), "{cluster}");
        }
    }

    fn contract_what_was_taken_over_is_sent_under_new_limits_too() {
        let mut proxy = Proxy::default();
        let mut vm = succeeding(&mut proxy, 3, false);
        let json = br#"{"collector":{"cluster":"here"},"batch":{"max_events":1}}"#;
        vm.configure(2, &meter::config::parse(json).unwrap());
        proxy.drive(&mut vm);
        vm.tick(60_000, 2);
        assert_eq!(proxy.drive(&mut vm), ["send 1 of 3"]);
    }

    fn contract_a_root_context_beside_one_that_leaves_is_alone() {
        let mut proxy = Proxy::default();
        let mut vm = vm(1, &mut proxy, 1);
        vm.tick(100, 1);
        proxy.drive(&mut vm);
        vm.configure(2, &to("here"));
        proxy.drive(&mut vm);
        assert!(!vm.done(110, 1), "it stays for its response");
        assert!(vm.is_alone(2) && !vm.is_alone(1));
        assert!(vm.done(120, 2));
        assert_eq!(proxy.drive(&mut vm), ["abandoned", "send 1 of 1 end"], "the VM ends");
        assert!(proxy.left() > 0);
    }
}
