use wire::record::Record;
use wire::statement::{DroppedRange, Reason, Statement};

use super::*;
use crate::database::memory::Memory;
use crate::ledger::{Arrival, Delivery, Ledger, Sender};

const SECOND: i64 = 1_000_000_000;

struct World(Ledger<Memory>);

impl World {
    fn new() -> World {
        World(Ledger::new(Memory::new()))
    }

    fn arrival(emitter: char, sequence: u64) -> Arrival {
        let record = Record { provider: "openai".to_owned(), node: Some("node-1".to_owned()), ..Record::default() };
        Arrival::new(wire::event::encode(&record, &emitter.to_string().repeat(32), sequence))
    }

    fn deliver(&mut self, at: i64, journal: bool, arrivals: Vec<Arrival>, statement: Option<Statement>) {
        let sender = Sender::new("default", journal);
        self.0.append(&[&Delivery { sender, statement, arrivals }], at * SECOND).unwrap();
    }

    fn send(&mut self, at: i64, emitter: char, sequences: &[u64]) {
        let arrivals = sequences.iter().map(|sequence| Self::arrival(emitter, *sequence)).collect();
        self.deliver(at, false, arrivals, None);
    }

    /// One line per emitter.
    fn seen(&self, at: i64) -> Vec<String> {
        let question = Question { now_ns: at * SECOND, silent_after_ns: 300 * SECOND };
        let found = find(self.0.store(), question).unwrap();
        let (counts, lacking) = count(self.0.store(), question, 10).unwrap();
        let open_ends = found.iter().filter(|gaps| gaps.state == State::OpenEnd).count() as i64;
        let missing: i64 = found.iter().map(Gaps::missing).sum();
        assert_eq!((counts.missing, counts.open_ends), (missing, open_ends), "what is counted is what is named");
        let mut named: Vec<_> = found.iter().map(|gaps| (gaps.missing(), gaps.emitter.clone(), gaps.state)).collect();
        named.retain(|(missing, _, state)| *missing > 0 || *state == State::OpenEnd);
        named.sort_by(|(one, by, _), (other, than, _)| other.cmp(one).then(by.cmp(than)));
        let of = |lacking: Vec<Lacking>| {
            lacking.into_iter().map(|of| (of.missing, of.emitter, of.state)).collect::<Vec<_>>()
        };
        assert_eq!(of(lacking), named, "those of which most is missing come first");
        named.truncate(1);
        assert_eq!(of(count(self.0.store(), question, 1).unwrap().1), named, "and no more than are asked for");
        let alarms: usize = found.iter().map(|gaps| gaps.alarms.len()).sum();
        assert_eq!(counts.tally.alarms, alarms as i64);
        for gaps in &found {
            let lacks =
                gaps.missing() + gaps.unnamed_drops > 0 || gaps.state == State::OpenEnd || !gaps.alarms.is_empty();
            assert_eq!(gaps.lacks(), lacks, "{gaps:?}");
        }
        let lines = found.into_iter().map(|gaps| {
            let hole = |hole: &Hole| {
                format!(
                    "{}-{} {} since {}",
                    hole.range.first,
                    hole.range.last,
                    hole.cause.as_str(),
                    hole.since_ns / SECOND
                )
            };
            let closed = |closed: &Closed| {
                format!(
                    "{}-{} {} at {}",
                    closed.range.first,
                    closed.range.last,
                    closed.by.as_str(),
                    closed.at_ns / SECOND
                )
            };
            let holes: Vec<String> = gaps.holes.iter().map(hole).collect();
            let closed: Vec<String> = gaps.closed.iter().map(closed).collect();
            format!(
                "{} {} of {}: {}; {}",
                gaps.state.as_str(),
                gaps.taken,
                gaps.head,
                holes.join(", "),
                closed.join(", ")
            )
        });
        lines.collect()
    }
}

fn says(emitter: char, head: u64, drops: &[(u64, u64, Reason)], ended: bool) -> Option<Statement> {
    let drops: Vec<DroppedRange> = drops
        .iter()
        .map(|(first, last, reason)| DroppedRange { first: *first, last: *last, reason: *reason })
        .collect();
    let dropped = drops.iter().map(DroppedRange::count).sum();
    Some(Statement { emitter: emitter.to_string().repeat(32), head, dropped, drops, ended })
}

#[test]
fn contract_a_hole_has_numbers_a_time_and_a_cause_and_what_closed_it_is_told() {
    let mut world = World::new();
    world.send(1, 'a', &[1, 2, 5, 9]);
    assert_eq!(world.seen(2), ["counting 4 of 9: 3-4 unknown since 1, 6-8 unknown since 1; "]);
    world.send(3, 'a', &[4]);
    world.deliver(4, true, vec![World::arrival('a', 7), World::arrival('a', 8)], None);
    assert_eq!(
        world.seen(5),
        ["counting 7 of 9: 3-3 unknown since 1, 6-6 unknown since 1; 4-4 delivered at 3, 7-8 recovered at 4"]
    );
}

#[test]
fn contract_drops_are_told_by_the_emitter_even_before_anything_came_behind_them() {
    let mut world = World::new();
    let drops = [(3, 4, Reason::Full), (6, 6, Reason::Refused)];
    world.deliver(1, false, vec![World::arrival('a', 1)], says('a', 9, &drops, false));
    assert_eq!(world.seen(2), ["counting 1 of 9: ; "], "what lies behind the last may be on its way");
    world.deliver(3, false, vec![World::arrival('a', 2), World::arrival('a', 5)], says('a', 9, &[], true));
    assert_eq!(
        world.seen(4),
        ["ended 3 of 9: 3-4 full since 1, 6-6 refused since 1, 7-9 unknown since 3; "],
        "after its final flush, everything up to its head is missing"
    );
}

#[test]
fn contract_an_event_that_could_not_be_taken_is_the_cause_of_its_hole() {
    let mut world = World::new();
    let mut bad = World::arrival('a', 2);
    bad = Arrival::new(String::from_utf8(bad.bytes).unwrap().replace("\"provider\"", "\"provided\"").into());
    world.deliver(1, false, vec![World::arrival('a', 1), bad, World::arrival('a', 3)], None);
    assert_eq!(world.seen(2), ["counting 2 of 3: 2-2 dead_letter since 1; "]);
    let gaps = find(world.0.store(), Question { now_ns: 0, silent_after_ns: 1 }).unwrap();
    assert_eq!(gaps[0].holes[0].cause, Cause::DeadLetter("data.provider: is missing".to_owned()));
}

#[test]
fn contract_what_the_emitter_says_counts_more_than_what_came_of_it_here() {
    let mut world = World::new();
    let drops = [(2, 5, Reason::Full)];
    world.deliver(1, false, vec![World::arrival('a', 1), World::arrival('a', 6)], says('a', 6, &drops, false));
    let bad = String::from_utf8(World::arrival('a', 3).bytes).unwrap().replace("\"provider\"", "\"provided\"");
    world.deliver(2, true, vec![Arrival::new(bad.into()), World::arrival('a', 2)], None);
    assert_eq!(world.seen(3), ["counting 3 of 6: 3-5 full since 1; 2-2 recovered at 2"]);
}

#[test]
fn contract_whoever_may_not_spend_a_number_says_nothing_of_it() {
    let mut world = World::new();
    world.send(1, 'a', &[1, 4]);
    let unreadable = |number| Arrival::new(format!("{{\"id\":\"{}-{number}\"}}", "a".repeat(32)).into());
    let foreign = Sender::new("another", false);
    let record = Record { started_ns: 2_000_000_000_000_000_000, ..Record::default() };
    let ahead = Arrival::new(wire::event::encode(&record, &"a".repeat(32), 2));
    let delivery = Delivery { sender: foreign, statement: None, arrivals: vec![unreadable(2), ahead] };
    assert_eq!(world.0.append(&[&delivery], 1_900_000_000 * SECOND).unwrap()[0].dead_letters, 2);
    world.deliver(2, true, vec![unreadable(3)], None);
    assert_eq!(world.seen(3), ["counting 2 of 4: 2-2 unknown since 1, 3-3 dead_letter since 1; "]);
    assert_eq!(nameless(world.0.store()).unwrap().len(), 2, "it is kept all the same");
    let within = Range { first: 1, last: 4 };
    let missing = crate::ingest::missing::missing(world.0.store(), &"a".repeat(32), within).unwrap();
    assert_eq!(missing, [Range { first: 2, last: 3 }], "a journal is asked for both: a later version may read them");
}

#[test]
fn contract_who_falls_silent_without_a_final_flush_is_an_open_end_until_its_journal_closes_it() {
    let mut world = World::new();
    world.deliver(1, false, vec![World::arrival('a', 1)], says('a', 3, &[], false));
    world.deliver(1, false, vec![World::arrival('b', 1)], says('b', 1, &[], true));
    assert_eq!(world.seen(301), ["counting 1 of 3: ; ", "ended 1 of 1: ; "]);
    assert_eq!(world.seen(302), ["open_end 1 of 3: 2-3 unknown since 1; ", "ended 1 of 1: ; "]);
    let recovered = [2, 3, 4].map(|sequence| World::arrival('a', sequence)).to_vec();
    world.deliver(400, true, recovered, says('a', 4, &[], true));
    assert_eq!(world.seen(401)[0], "ended 4 of 4: ; ");
    world.send(402, 'a', &[5]);
    world.deliver(402, false, Vec::new(), says('a', 6, &[], false));
    assert_eq!(world.seen(403)[0], "counting 5 of 6: ; ", "it was not at its end at all");
}

#[test]
fn contract_another_event_under_a_number_is_an_alarm_and_no_hole() {
    let mut world = World::new();
    world.send(1, 'a', &[1]);
    let other = String::from_utf8(World::arrival('a', 1).bytes).unwrap().replace("node-1", "node-2");
    world.deliver(2, false, vec![Arrival::new(other.into())], None);
    let foreign = Sender::new("another", false);
    let delivery = Delivery { sender: foreign, statement: None, arrivals: vec![World::arrival('a', 2)] };
    assert_eq!(world.0.append(&[&delivery], 3 * SECOND).unwrap()[0].alarms, 1);
    let gaps = find(world.0.store(), Question { now_ns: 0, silent_after_ns: 1 }).unwrap();
    let reasons: Vec<&str> = gaps[0].alarms.iter().map(|alarm| alarm.last.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "data.sequence: the ledger has another event under this number",
            "data.emitter: its numbers belong to another sender"
        ]
    );
    assert_eq!((gaps[0].taken, gaps[0].holes.len()), (1, 0));
}

proptest::proptest! {
    #[test]
    fn deterministic_the_earliest_note_about_a_number_says_since_when(
        notes in proptest::collection::vec((1..30_i64, 0..9_i64, 0..5_i64, 0..What::ALL.len()), 0..20)
    ) {
        let note = |(first, more, at_ns, what): (i64, i64, i64, usize)| Note {
            emitter: String::new(),
            range: Range { first, last: first + more },
            what: What::ALL[what],
            at_ns,
        };
        let notes: Vec<Note> = notes.into_iter().map(note).collect();
        let mut since = Since::new(&notes);
        for number in 1..40 {
            let is_about = |note: &&Note| {
                matches!(note.what, What::Opened | What::Full | What::Refused)
                    && (note.range.first..=note.range.last).contains(&number)
            };
            let naive = notes.iter().filter(is_about).map(|note| note.at_ns).min();
            proptest::prop_assert_eq!(since.of(number), naive);
        }
    }
}

/// Whoever may speak for an emitter may lie. What is missing stays missing: a lie can only name another cause.
#[test]
fn contract_a_false_statement_closes_no_hole_and_hides_none() {
    let mut world = World::new();
    world.send(1, 'a', &[1, 2, 3, 7]);
    // Drops over what was delivered and over what is missing; a head beyond reality; a final flush.
    let drops = [(1, 5, Reason::Full)];
    world.deliver(2, false, Vec::new(), says('a', 9, &drops, true));
    assert_eq!(world.seen(3), ["ended 4 of 9: 4-5 full since 1, 6-6 unknown since 1, 8-9 unknown since 2; "]);
    let gaps = |world: &World| find(world.0.store(), Question { now_ns: 0, silent_after_ns: 1 }).unwrap().remove(0);
    assert_eq!(gaps(&world).unnamed_drops, 3, "drops that name what was delivered name nothing");
    world.deliver(4, false, Vec::new(), says('a', 1 << 53, &[], true));
    assert_eq!(gaps(&world).missing(), 5, "numbers far beyond all that is known are invented");
    let far = 1_000_009;
    world.deliver(4, false, Vec::new(), says('a', far, &[], true));
    assert_eq!(gaps(&world).missing(), (far as i64) - 4, "what it says it counted is missing until it comes");
    // It is there all the same: events beyond a final flush take it back.
    let mut world = World::new();
    world.deliver(1, false, vec![World::arrival('b', 1)], says('b', 1, &[], true));
    world.send(2, 'b', &[2]);
    assert_eq!(world.seen(400), ["open_end 2 of 2: ; "]);
    world.deliver(401, true, vec![World::arrival('b', 3)], says('b', 3, &[], true));
    assert_eq!(world.seen(402), ["ended 3 of 3: ; "]);
}

#[test]
fn contract_what_a_journal_recovers_of_drops_stays_named() {
    let mut world = World::new();
    world.deliver(
        1,
        false,
        vec![World::arrival('a', 1), World::arrival('a', 4)],
        says('a', 4, &[(2, 3, Reason::Full)], false),
    );
    world.deliver(2, true, vec![World::arrival('a', 2), World::arrival('a', 3)], None);
    let gaps = find(world.0.store(), Question { now_ns: 0, silent_after_ns: 1 }).unwrap().remove(0);
    assert_eq!((gaps.unnamed_drops, gaps.missing()), (0, 0));
}
