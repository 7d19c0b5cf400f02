//! Who finds room, and who gives way.

use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds { bytes: 400, events: 40, batches: 16 };

fn gave_way(place: &Place) -> bool {
    place.poll_gives_way(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Places in the queue that somebody gets until there are no more for it.
fn queued(room: &Arc<Room>, credential: &str, emitters: &[&str]) -> Vec<Place> {
    let now = Instant::now();
    let place = |emitter: &&str| room.place(credential, Some(emitter), now);
    let once = || emitters.iter().map(place).filter(|place| place.queue().is_ok()).collect::<Vec<_>>();
    std::iter::repeat_with(once).take_while(|got| !got.is_empty()).flatten().collect()
}

fn over_share(credential: &str, of: Busy) -> Result<(), Refusal> {
    Err(Refusal::Share { credential: credential.to_owned(), of })
}

#[test]
fn contract_one_credential_leaves_room_for_others() {
    let room = Room::new(BOUNDS);
    let now = Instant::now();
    let (one, two) = (room.place("stolen", Some("1"), now), room.place("stolen", Some("2"), now));
    let honest = room.place("honest", None, now);
    assert_eq!((one.bytes(200, now), two.bytes(75, now)), (Ok(()), Ok(())));
    assert_eq!(two.bytes(26, now), over_share("stolen", Busy::Bodies));
    assert_eq!((one.events(20), two.events(8)), (Ok(()), Ok(())));
    assert_eq!(two.events(3), over_share("stolen", Busy::Events));
    assert_eq!((honest.bytes(71, now), honest.events(7), honest.queue()), (Ok(()), Ok(()), Ok(())));
    drop(honest);
    let places = queued(&room, "stolen", &["1", "2", "3", "4", "5"]);
    assert_eq!(places.len(), 12);
    assert_eq!(two.queue(), over_share("stolen", Busy::Queue));
    assert_eq!(room.place("honest", None, now).queue(), Ok(()));
    places[0].dequeued();
    let next = room.place("stolen", Some("6"), now);
    assert_eq!((next.queue(), room.waiting()), (Ok(()), 12), "what the writer has taken waits no more");
}

#[test]
fn contract_one_emitter_leaves_room_for_others_of_its_credential() {
    let room = Room::new(BOUNDS);
    let of_one = queued(&room, "egress", &["burst"]);
    assert_eq!(of_one.len(), 9, "three quarters of what its credential may have");
    let of_another = queued(&room, "egress", &["another"]);
    assert_eq!(of_another.len(), 3);
    let now = Instant::now();
    assert_eq!(room.place("egress", Some("burst"), now).queue(), over_share("egress", Busy::Queue));
    assert_eq!(room.place("other", Some("burst"), now).queue(), Ok(()), "an emitter's share is of its credential");
}

#[test]
fn contract_whoever_has_nothing_yet_finds_room_however_many_fill_the_queue() {
    let room = Room::new(Bounds { batches: 256, ..BOUNDS });
    let emitters: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let emitters: Vec<&str> = emitters.iter().map(String::as_str).collect();
    let mut greedy: Vec<Vec<Place>> = vec![queued(&room, "g0", &emitters), queued(&room, "g1", &emitters)];
    assert!((180..=192).contains(&greedy[0].len()) && greedy[1].len() > 40);
    assert_eq!(room.place("small", Some("1"), Instant::now()).queue(), Ok(()));
    // As commits take what waits, each gets as much as the other, and more stays free.
    for _ in 0..40 {
        for (of, name) in greedy.iter_mut().zip(["g0", "g1"]) {
            of.drain(..of.len() / 4);
            of.extend(queued(&room, name, &emitters));
        }
        assert_eq!(room.place("small", Some("1"), Instant::now()).queue(), Ok(()));
    }
    let (one, two) = (greedy[0].len(), greedy[1].len());
    assert!(one.abs_diff(two) < 16 && one + two > 200, "{one} and {two}");
}

#[test]
fn contract_little_room_is_for_one_as_a_whole() {
    for batches in 1..4 {
        let room = Room::new(Bounds { batches, ..BOUNDS });
        let places = queued(&room, "egress", &["1"]);
        assert_eq!(places.len(), batches);
        assert_eq!(room.place("other", None, Instant::now()).queue(), Err(Refusal::Busy(Busy::Queue)));
    }
}

#[test]
fn contract_a_body_that_has_been_coming_for_long_gives_way_and_a_whole_one_does_not() {
    let room = Room::new(BOUNDS);
    let now = Instant::now();
    let place = |emitter| room.place("one", Some(emitter), now);
    let places = [place("1"), place("2"), place("3")];
    assert!(places.iter().zip([100, 100, 70]).all(|(place, bytes)| place.bytes(bytes, now).is_ok()));
    let late = place("4");
    assert_eq!(late.bytes(50, now), over_share("one", Busy::Bodies), "none of them is slow yet");
    places[0].whole().unwrap();
    let then = now + YIELDS_IDLE;
    places[2].progress(then);
    late.progress(then);
    assert!(!gave_way(&places[1]));
    assert_eq!(late.bytes(50, then), Ok(()));
    assert!(gave_way(&places[1]) && !gave_way(&places[0]) && !gave_way(&places[2]));
    assert_eq!(places[1].whole(), Err(Refusal::Busy(Busy::Bodies)), "what gave way is not taken");
    assert_eq!(places[1].bytes(1, then), Err(Refusal::Busy(Busy::Bodies)));
    assert_eq!(late.bytes(100, then), over_share("one", Busy::Bodies), "the whole one stays");
    let (long, other) = (now + YIELDS_AFTER, room.place("other", None, now));
    places[2].progress(long);
    late.whole().unwrap();
    assert_eq!(other.bytes(140, long), Ok(()), "there is too little room: the slow one of another gives way");
    assert!(gave_way(&places[2]), "however much it got on");
    drop((places, late, other));
    let taken = room.taken();
    assert!(taken.places.is_empty() && taken.shares.all == Amount::default(), "{taken:?}");
    assert_eq!(taken.shares.each().count(), 0, "nobody is remembered");
}

proptest! {
    #[test]
    fn deterministic_what_is_taken_is_what_the_places_hold_and_leaves_room_for_others(
        steps in prop::collection::vec((0_usize..6, 0_usize..8, 0_usize..150), 0..200)
    ) {
        let room = Room::new(BOUNDS);
        let begun = Instant::now();
        let mut now = begun;
        let mut places: Vec<Place> = Vec::new();
        for (step, which, amount) in steps {
            let which = which % places.len().max(1);
            match (step, places.get(which)) {
                (0, _) | (_, None) => {
                    let emitter = [None, Some("1"), Some("2")][amount / 3 % 3];
                    places.push(room.place(["a", "b", "c"][amount % 3], emitter, now));
                }
                (1, Some(place)) => { let _ = place.bytes(amount, now); }
                (2, Some(place)) => { let _ = place.events(amount / 10); }
                (3, Some(place)) => { let _ = place.whole().and_then(|()| place.queue()); }
                (4, Some(place)) => place.dequeued(),
                _ => drop(places.swap_remove(which)),
            }
            now += Duration::from_millis(100 * amount as u64);
            let taken = room.taken();
            let sum = taken.places.values().fold(Amount::default(), |sum, held| sum.with(held.amount));
            prop_assert_eq!(sum, taken.shares.all);
            let all = taken.shares.each().fold(Amount::default(), |sum, (.., amount)| sum.with(amount));
            prop_assert_eq!(all, sum);
            prop_assert!(all.bytes <= 400 && all.events <= 40 && all.batches <= 16, "{:?}", all);
            for name in ["a", "b", "c"] {
                let of = taken.shares.each().filter(|(credential, ..)| *credential == name);
                let of = of.fold(Amount::default(), |sum, (.., amount)| sum.with(amount));
                prop_assert!(of.bytes <= 300 && of.events <= 30 && of.batches <= 12, "{}: {:?}", name, of);
            }
            // Where three have all they can get, the fourth finds a hundredth.
            drop(taken);
            prop_assert_eq!(room.place("d", None, begun).bytes(4, begun), Ok(()));
        }
    }
}
