//! Callbacks in the middle of others.

use super::*;

cases! {
    fn race_a_callback_in_the_middle_of_another_changes_nothing_and_breaks_nothing() {
        let mut proxy = Proxy::default();
        let mut vm = vm(1, &mut proxy, 1);
        vm.configure(2, &to("here"));
        proxy.drive(&mut vm);
        // Between each action and its reply.
        vm.tick(100, 2);
        let mut actions = 0;
        while let Some(action) = vm.poll() {
            actions += 1;
            vm.tick(100, 2);
            vm.tick(100, 1);
            vm.respond(100, 2, proxy.token + 1, ours(200));
            if !matches!(action, Action::Dispatch { .. }) {
                vm.dispatched(Ok(77));
            }
            assert!(actions < 10);
            proxy.perform(&mut vm, action);
        }
        assert_eq!(std::mem::take(&mut proxy.done), ["send 1 of 1"]);
        // The VM ends in the middle of a dispatch: its token comes too late to matter.
        vm.respond(110, 2, proxy.token, Response { status: Some(500), ..Response::default() });
        proxy.drive(&mut vm);
        assert!(vm.done(110, 1));
        vm.tick(60_000, 2);
        loop {
            match vm.poll().unwrap() {
                Action::Dispatch { .. } => break,
                action => proxy.perform(&mut vm, action),
            }
        }
        assert!(vm.is_alone(2) && vm.done(60_001, 2));
        assert_eq!(proxy.drive(&mut vm), ["abandoned", "send 1 of 1 end"]);
        vm.dispatched(Ok(78));
        assert!(!vm.awaits(78) && vm.awaits(proxy.token));
    }

    fn race_a_response_in_the_middle_of_another_callback_is_settled() {
        // While the proxy takes what goes beside, and while a new configuration is prepared.
        for beside in [true, false] {
            let mut proxy = Proxy::default();
            let mut vm = vm(1, &mut proxy, 1);
            vm.tick(100, 1);
            proxy.drive(&mut vm);
            vm.respond(110, 1, 1, ours(200));
            proxy.drive(&mut vm);
            more(&mut vm, 1);
            vm.tick(15_100, 1);
            if beside {
                while !matches!(vm.state, State::DispatchingBeside { .. }) {
                    let action = vm.poll().unwrap();
                    proxy.perform(&mut vm, action);
                }
                assert!(matches!(vm.poll(), Some(Action::Dispatch { is_beside: true, .. })));
            } else {
                proxy.drive(&mut vm);
                vm.configure(2, &to("here"));
                assert!(matches!(vm.poll(), Some(Action::Read { .. })));
                assert!(!vm.done(15_105, 1), "it stays for its response");
            }
            proxy.done.clear();
            assert!(vm.awaits(2));
            vm.respond(15_110, 1, 2, ours(200));
            let done: &[&str] = if beside { &["acknowledged 1"] } else { &["acknowledged 1", "done"] };
            assert_eq!(proxy.drive(&mut vm), done);
            if beside { vm.dispatched(Ok(3)) } else { vm.read(Ok(None)) }
            proxy.drive(&mut vm);
            assert_eq!((vm.bytes(), vm.is_idle(), vm.awaits(3)), (0, true, false));
            more(&mut vm, 1);
            vm.tick(15_300, if beside { 1 } else { 2 });
            assert_eq!(proxy.drive(&mut vm), ["send 1 of 3"], "it goes on");
        }
    }

    fn race_a_vm_that_ends_while_it_takes_over_hands_off_that_too() {
        // Before the first action of the take-over, between each and its reply, and behind the last.
        for actions in 0..=5 {
            let mut proxy = Proxy::default();
            let mut old = vm(1, &mut proxy, 3);
            old.done(100, 1);
            proxy.drive(&mut old);
            let mut new = vm(2, &mut proxy, 1);
            new.tick(50, 1);
            proxy.drive(&mut new);
            new.tick(550, 1);
            let mut pending = None;
            for _ in 0..actions {
                pending.take().into_iter().for_each(|action| proxy.perform(&mut new, action));
                pending = new.poll();
            }
            assert!(new.is_alone(1) && new.done(600, 1));
            proxy.drive(&mut new);
            pending.take().into_iter().for_each(|action| proxy.perform(&mut new, action));
            let done = proxy.drive(&mut new);
            assert!(!done.contains(&"not handed off".to_owned()), "{actions}: {done:?}");
            let list = proxy.list();
            for emitter in [old.emitter(), new.emitter()] {
                assert_eq!(list.matches(emitter).count(), 1, "{actions}: {list}");
                let key = format!("{LEFT_BY} {emitter}");
                assert!(!proxy.shared[&key].bytes.is_empty(), "{actions}: {emitter}");
            }
        }
    }

    fn race_what_was_settled_before_the_end_is_told_all_the_same() {
        let mut proxy = Proxy::default();
        let mut vm = vm(1, &mut proxy, 2);
        vm.tick(100, 1);
        proxy.drive(&mut vm);
        vm.respond(110, 1, 1, ours(200));
        more(&mut vm, 1);
        // Nobody has asked for the actions yet.
        vm.done(120, 1);
        assert_eq!(proxy.drive(&mut vm), ["acknowledged 2", "send 1 of 3 end"]);
    }

    fn race_what_was_begun_and_not_done_before_the_end_is_left_undone() {
        let mut proxy = Proxy::default();
        let mut old = vm(1, &mut proxy, 1);
        old.done(100, 1);
        proxy.drive(&mut old);
        let mut new = vm(2, &mut proxy, 1);
        new.tick(50, 1);
        proxy.drive(&mut new);
        new.tick(550, 1);
        assert_eq!(proxy.drive(&mut new), ["send 1 of 1 end"], "what was taken over");
        new.respond(560, 1, proxy.token, Response { status: Some(500), ..Response::default() });
        // Its own batch was to go out next.
        new.done(570, 1);
        assert_eq!(proxy.drive(&mut new), ["unavailable", "abandoned", "send 1 of 1 end"]);
        assert_eq!(proxy.list().lines().count(), 2);
    }
}
