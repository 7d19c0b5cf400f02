//! Which providers have refused the option, of late, and which have taken it: a text for each that all workers share, with a
//! line for each of them.
//!
//! A line is for one place (cluster and host) and one model there, and for one kind of request: a server may take the option in
//! chats and refuse it elsewhere, or beside tools. There are few lines of one place and few in all: whoever makes a provider refuse
//! for invented models displaces the oldest of that place, and costs nobody more than one call. What was taken is not
//! displaced: where there is no room, what is new is not remembered.

use sha2::{Digest, Sha256};

/// So long a refusal holds, s.
pub const HOLDS_S: u64 = 3600;
/// So long it is remembered that the option was taken, s; while calls are counted, that is renewed when half of it is over.
pub const TAKEN_HOLDS_S: u64 = 24 * 3600;
/// Lines of one place: refused, and taken.
const MAX_OF_PLACE: usize = 16;
const MAX_TAKEN_OF_PLACE: usize = 64;
/// Lines in all; each takes 45 bytes at most.
const MAX: usize = 256;

/// A place and a model there, as their digest names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    place: String,
    model: String,
}

impl Name {
    /// Of the cluster, the host that the client asked for, the model, and the kind of the request.
    pub fn new(cluster: &str, host: &[u8], model: &str, kind: &str) -> Name {
        let digest = |parts: [&[u8]; 2]| {
            let mut hash = Sha256::new();
            for part in parts {
                hash.update(u64::try_from(part.len()).unwrap_or(0).to_le_bytes());
                hash.update(part.to_ascii_lowercase());
            }
            let digest = hash.finalize();
            digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        Name { place: digest([cluster.as_bytes(), host]), model: digest([model.as_bytes(), kind.as_bytes()]) }
    }
}

/// A line: place, model, and when it ends.
type Line<'a> = (&'a str, &'a str, u64);

fn lines(shared: &str) -> impl Iterator<Item = Line<'_>> {
    shared.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?, words.next()?, words.next()?.parse().ok()?))
    })
}

/// Whether it holds at a time; a clock that was set back makes none hold for ever.
fn holds(until_s: u64, now_s: u64, longest_s: u64) -> bool {
    until_s.checked_sub(now_s).is_some_and(|left| (1..=longest_s).contains(&left))
}

/// Whether a text has a line for it that holds.
fn has(shared: &str, name: &Name, now_s: u64, longest_s: u64) -> bool {
    let is_name = |place: &str, model: &str| place == name.place && model == name.model;
    lines(shared).any(|(place, model, until_s)| is_name(place, model) && holds(until_s, now_s, longest_s))
}

/// Whether the option was refused there.
pub fn is_refused(shared: &str, name: &Name, now_s: u64) -> bool {
    has(shared, name, now_s, HOLDS_S)
}

/// Whether the option was taken there: what an error says then is no refusal of it.
pub fn is_taken(shared: &str, name: &Name, now_s: u64) -> bool {
    has(shared, name, now_s, TAKEN_HOLDS_S)
}

/// What the workers share of refusals becomes this, if the refusal is news.
pub fn learn(shared: &str, name: &Name, now_s: u64) -> Option<String> {
    let displaced = |kept: &mut Vec<Line<'_>>| {
        let oldest = match (of_place(kept, name) >= MAX_OF_PLACE, kept.len() >= MAX) {
            (true, _) => kept.iter().position(|(place, ..)| *place == name.place),
            (false, true) => Some(0),
            (false, false) => None,
        };
        oldest.map(|oldest| kept.remove(oldest));
        true
    };
    if is_refused(shared, name, now_s) { None } else { with(shared, name, now_s, HOLDS_S, displaced) }
}

/// What the workers share of places that take the option becomes this, if that is not known, or not for long any more.
pub fn take(shared: &str, name: &Name, now_s: u64) -> Option<String> {
    let half_s = TAKEN_HOLDS_S.div_euclid(2);
    // A line that was made less than half of the time ago still holds then.
    let is_fresh = has(shared, name, now_s.saturating_add(half_s), half_s);
    let has_room = |kept: &mut Vec<Line<'_>>| of_place(kept, name) < MAX_TAKEN_OF_PLACE && kept.len() < MAX;
    if is_fresh { None } else { with(shared, name, now_s, TAKEN_HOLDS_S, has_room) }
}

/// What the workers share of refusals becomes this where the option was taken after all, if that is news.
pub fn forget(shared: &str, name: &Name) -> Option<String> {
    let is_other = |(place, model, _): &Line<'_>| !(*place == name.place && *model == name.model);
    let kept: Vec<_> = lines(shared).filter(is_other).collect();
    (kept.len() < lines(shared).count()).then(|| text(&kept))
}

/// How many lines there are of a place.
fn of_place(lines: &[Line<'_>], name: &Name) -> usize {
    lines.iter().filter(|(place, ..)| *place == name.place).count()
}

/// With a line for it as the last, if room is made for it.
fn with(
    shared: &str,
    name: &Name,
    now_s: u64,
    longest_s: u64,
    make_room: impl FnOnce(&mut Vec<Line<'_>>) -> bool,
) -> Option<String> {
    let is_other = |place: &str, model: &str| !(place == name.place && model == name.model);
    let keeps = |(place, model, until_s): &Line<'_>| holds(*until_s, now_s, longest_s) && is_other(place, model);
    let mut kept: Vec<Line<'_>> = lines(shared).filter(keeps).collect();
    make_room(&mut kept).then(|| {
        kept.push((&name.place, &name.model, now_s.saturating_add(longest_s)));
        text(&kept)
    })
}

fn text(lines: &[Line<'_>]) -> String {
    let line = |(place, model, until_s): &Line<'_>| format!("{place} {model} {until_s}");
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(host: &str, model: &str) -> Name {
        Name::new("c", host.as_bytes(), model, "chat")
    }

    cases! {
        fn contract_a_refusal_holds_for_its_model_and_its_place_and_an_hour() {
            let shared = learn("", &name("h", "m"), 1000).unwrap();
            assert!(is_refused(&shared, &name("h", "m"), 1000) && is_refused(&shared, &name("H", "M"), 4599));
            assert!(!is_refused(&shared, &name("h", "m"), 4600), "an hour later");
            assert!(!is_refused(&shared, &name("h", "m"), 0), "the clock was set back");
            assert!(!is_refused(&shared, &name("h", "n"), 1000) && !is_refused(&shared, &name("g", "m"), 1000));
            assert!(!is_refused(&shared, &Name::new("d", b"h", "m", "chat"), 1000));
            assert!(!is_refused(&shared, &Name::new("c", b"h", "m", "tools"), 1000));
            assert_ne!(Name::new("ab", b"c", "m", ""), Name::new("a", b"bc", "m", ""));
            assert_eq!(learn(&shared, &name("h", "m"), 2000), None, "no news");
            let again = learn(&shared, &name("h", "m"), 5000).unwrap();
            assert_eq!(again.lines().count(), 1, "what is over goes");
        }

        fn contract_invented_models_displace_their_own_kind() {
            let mut shared = learn("", &name("honest", "m"), 10).unwrap();
            for number in 0..1000 {
                shared = learn(&shared, &name("flooded", &format!("m{number}")), 10).unwrap();
            }
            assert!(is_refused(&shared, &name("honest", "m"), 10) && is_refused(&shared, &name("flooded", "m999"), 10));
            assert_eq!(shared.lines().count(), 1 + MAX_OF_PLACE);
            for number in 0..1000 {
                shared = learn(&shared, &name(&format!("h{number}"), "m"), 10).unwrap();
            }
            assert_eq!(shared.lines().count(), MAX);
            assert!(shared.len() < 46 * MAX);
        }

        fn contract_what_was_taken_is_remembered_for_half_a_day_at_least_and_takes_a_refusal_back() {
            let taken = take("", &name("h", "m"), 1000).unwrap();
            assert!(is_taken(&taken, &name("H", "M"), 1000 + TAKEN_HOLDS_S - 1));
            assert!(!is_taken(&taken, &name("h", "m"), 1000 + TAKEN_HOLDS_S) && !is_taken(&taken, &name("h", "n"), 1000));
            assert_eq!(take(&taken, &name("h", "m"), 1000 + TAKEN_HOLDS_S / 2 - 1), None, "no news");
            let again = take(&taken, &name("h", "m"), 1000 + TAKEN_HOLDS_S / 2).unwrap();
            assert_eq!(again.lines().count(), 1);
            assert!(is_taken(&again, &name("h", "m"), 1000 + TAKEN_HOLDS_S));
            let refused = learn(&learn("", &name("h", "m"), 10).unwrap(), &name("h", "n"), 10).unwrap();
            let left = forget(&refused, &name("h", "m")).unwrap();
            assert!(!is_refused(&left, &name("h", "m"), 10) && is_refused(&left, &name("h", "n"), 10));
            assert_eq!(forget(&left, &name("h", "m")), None, "no news");
        }

        fn contract_invented_models_displace_nothing_that_was_taken() {
            let mut taken = take("", &name("h", "m"), 10).unwrap();
            for number in 0..1000 {
                for host in ["h".to_owned(), format!("h{number}")] {
                    taken = take(&taken, &name(&host, &format!("m{number}")), 10).unwrap_or(taken);
                }
            }
            assert!(is_taken(&taken, &name("h", "m"), 10) && is_taken(&taken, &name("h", "m62"), 10));
            assert!(!is_taken(&taken, &name("h", "m63"), 10));
            assert_eq!(taken.lines().count(), MAX);
            // It is renewed all the same.
            let half_s = TAKEN_HOLDS_S / 2;
            let renewed = take(&taken, &name("h", "m"), 10 + half_s).unwrap();
            assert!(is_taken(&renewed, &name("h", "m"), 10 + TAKEN_HOLDS_S));
        }

        fn contract_what_is_no_line_is_nothing() {
            assert!(!is_refused("x\n\n a b c\na b", &name("h", "m"), 10));
            assert_eq!(learn("x\n\n a b c\na b", &name("h", "m"), 10).unwrap().lines().count(), 1);
        }
    }
}
