//! Whose turn it is, against what a plain list of what waits says must hold.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const MOST: Most = Most { things: 256, cost: 1000 };

/// Somebody's turn: credential, tenant, emitter.
type Who = (&'static str, Option<&'static str>, Option<u32>);

fn whose((credential, tenant, emitter): Who) -> Whose {
    Whose::of(&Sender { emitter: emitter.map(|number| number.to_string()), ..Sender::new(credential, false) }, tenant)
}

/// Something that waits.
#[derive(Clone, Debug)]
struct Thing {
    who: Who,
    cost: usize,
    number: usize,
}

/// A queue of so many things of each, in this order, each of which costs so much.
fn queue(of: &[(Who, usize, usize)]) -> Queue<Thing> {
    let mut queue = Queue::default();
    for (who, count, cost) in of {
        (0..*count).for_each(|number| push(&mut queue, *who, *cost, number));
    }
    queue
}

fn push(queue: &mut Queue<Thing>, who: Who, cost: usize, number: usize) {
    queue.push(whose(who), cost, Thing { who, cost, number });
}

fn take(queue: &mut Queue<Thing>, most: Most) -> Vec<Thing> {
    queue.take(most, |thing| thing.cost).into_iter().map(|next| next.thing).collect()
}

/// How many things each has of those that were taken.
fn count(taken: &[Thing], is_meant: impl Fn(Who) -> bool) -> usize {
    taken.iter().filter(|thing| is_meant(thing.who)).count()
}

#[test]
fn contract_who_comes_late_is_in_the_next_commit_however_much_another_has_waiting() {
    let (greedy, small, large): (Who, Who, Who) =
        (("greedy", None, Some(1)), ("small", None, Some(2)), ("large", None, Some(3)));
    let mut queue = queue(&[(greedy, 100_000, 100)]);
    assert_eq!(take(&mut queue, MOST).len(), 11, "the first, and as much as a commit takes");
    // One at a time, small or larger than a commit: never behind what waits of the other, which gets on as before.
    for (number, (who, cost)) in [(small, 1), (large, 50_000), (small, 1), (large, 50_000)].into_iter().enumerate() {
        push(&mut queue, who, cost, number);
        let next = queue.take(MOST, |thing| thing.cost);
        let own = next.iter().find(|next| next.thing.who == who).map(|next| (next.thing.number, next.commits));
        assert_eq!(own, Some((number, 1)));
        assert_eq!(next.len(), 12, "what is first of somebody takes nothing from the others");
    }
}

#[test]
fn contract_within_a_credential_each_tenant_has_its_turn_and_each_emitter_of_several() {
    let of_a = |emitter: u32| ("egress", Some("a"), Some(emitter));
    let (of_b, of_several): (Who, Who) = (("egress", Some("b"), Some(1000)), ("egress", None, Some(1001)));
    let mut all: Vec<(Who, usize, usize)> = (0..1000).map(|emitter| (of_a(emitter), 1, 10)).collect();
    all.push((of_b, 30, 10));
    all.push((of_several, 30, 10));
    let taken = take(&mut queue(&all), Most { things: 30, ..MOST });
    let of = |tenant| count(&taken, |who| who.1 == tenant);
    assert_eq!((of(Some("a")), of(Some("b")), of(None)), (10, 10, 10));
}

#[test]
fn contract_within_a_tenant_each_emitter_has_its_turn_by_what_it_has_had() {
    let emitter = |number| ("egress", Some("a"), Some(number));
    let mut queue = queue(&[(emitter(1), 500, 100), (emitter(2), 500, 50), (emitter(3), 1, 1)]);
    for commit in 0..3 {
        let taken = take(&mut queue, MOST);
        let had = |number| count(&taken, |who| who == emitter(number));
        assert!(had(1) >= 5 && (had(1) * 100).abs_diff(had(2) * 50) <= 100, "{taken:?}");
        assert_eq!(had(3), usize::from(commit == 0));
    }
}

#[test]
fn contract_an_emitter_of_changing_tenants_stays_in_order() {
    let mut queue: Queue<usize> = Queue::default();
    for number in 0..300 {
        let tenant = ["a", "b", "c"][number % 3];
        queue.push(whose(("egress", Some(tenant), Some(7))), 1, number);
        queue.push(whose(("egress", Some(tenant), Some(8))), 1, 1000);
    }
    let mut own = Vec::new();
    while !queue.is_empty() {
        own.extend(
            queue.take(Most { things: 7, cost: 5 }, |_| 1).into_iter().map(|next| next.thing).filter(|n| *n < 1000),
        );
    }
    assert!(own.is_sorted() && own.len() == 300, "{own:?}");
}

#[test]
fn contract_more_credentials_than_a_commit_takes_have_their_turn_one_after_the_other() {
    let names: Vec<String> = (0..10).map(|number| format!("c{number}")).collect();
    let mut queue: Queue<usize> = Queue::default();
    for (number, name) in names.iter().enumerate() {
        (0..50).for_each(|_| queue.push(Whose::of(&Sender::new(name, false), None), 1, number));
    }
    let taken: Vec<usize> =
        (0..10).flat_map(|_| queue.take(Most { things: 3, cost: 1000 }, |_| 1)).map(|next| next.thing).collect();
    assert_eq!(taken, (0..30).map(|turn| turn % 10).collect::<Vec<_>>());
}

#[test]
fn contract_what_waits_for_the_turn_of_others_counts_the_commits_that_go_by() {
    let mut queue = queue(&[(("a", None, None), 5, 1)]);
    let mut commits = Vec::new();
    for _ in 0..3 {
        commits.extend(queue.take(Most { things: 2, cost: 9 }, |_| 1).iter().map(|next| next.commits));
    }
    assert_eq!(commits, [1, 1, 2, 2, 3]);
    assert!(queue.is_empty() && take(&mut queue, MOST).is_empty());
}

/// What was taken of a commit, and waits still, by credential.
fn by_credential(all: &[Thing]) -> BTreeMap<&'static str, usize> {
    let mut by: BTreeMap<&str, usize> = BTreeMap::new();
    all.iter().for_each(|thing| *by.entry(thing.who.0).or_default() += thing.cost);
    by
}

proptest! {
    #[test]
    fn deterministic_each_has_its_turn_in_order_and_nothing_is_lost(
        steps in prop::collection::vec(
            prop_oneof![
                9 => (0_usize..4, 0_usize..4, 0_u32..6, 1_usize..60).prop_map(Some),
                1 => Just(None),
            ],
            0..250,
        ),
        things in 4_usize..40,
        cost in 0_usize..200,
    ) {
        let most = Most { things, cost };
        let (mut queue, mut waits) = (Queue::default(), Vec::<Thing>::new());
        let mut last: BTreeMap<(&str, Option<u32>), usize> = BTreeMap::new();
        let drain = std::iter::repeat_n(None, steps.len() + 1);
        for (number, step) in steps.into_iter().chain(drain).enumerate() {
            if let Some((credential, tenant, emitter, cost)) = step {
                let tenant = [Some("x"), Some("y"), Some("z"), None][tenant];
                let who = (["a", "b", "c", "d"][credential], tenant, (emitter > 0).then_some(emitter));
                push(&mut queue, who, cost, number);
                waits.push(Thing { who, cost, number });
                continue;
            }
            let waited: Vec<&str> = by_credential(&waits).into_keys().collect();
            let mut taken: Vec<Thing> = Vec::new();
            for thing in take(&mut queue, most) {
                let at = waits.iter().position(|waits| waits.number == thing.number).expect("taken once");
                taken.push(waits.remove(at));
            }
            for Thing { who, number, .. } in &taken {
                let before = last.insert((who.0, who.2), *number);
                prop_assert!(before < Some(*number), "{who:?} out of order");
            }
            prop_assert_eq!(queue.is_empty(), waits.is_empty());
            // Everybody who waits has something of it: there are no more than it takes.
            let had = by_credential(&taken);
            prop_assert_eq!(had.keys().copied().collect::<Vec<_>>(), waited);
            // It is bounded, and is full if something waits still.
            let firsts: usize =
                had.keys().filter_map(|name| taken.iter().find(|taken| taken.who.0 == *name)).map(|first| first.cost).sum();
            let all: usize = taken.iter().map(|taken| taken.cost).sum();
            let end = taken.last().map_or(0, |last| last.cost);
            prop_assert!(taken.len() <= things && all < firsts + most.cost + end.max(1));
            prop_assert!(waits.is_empty() || taken.len() == things || all >= firsts + most.cost);
            // Whoever waits still has had as much of it as the others, but for one thing.
            for left in by_credential(&waits).keys() {
                for (name, other) in &had {
                    let end = taken.iter().rfind(|taken| taken.who.0 == *name).map_or(0, |last| last.cost);
                    prop_assert!(*other <= had[left] + end, "{name} has had {other}, {left} {}", had[left]);
                }
            }
        }
        prop_assert!(queue.is_empty());
        // And nobody is remembered.
        queue.credentials.new_round();
        prop_assert!(queue.credentials.is_empty() && !queue.credentials.has_untouched());
    }
}
