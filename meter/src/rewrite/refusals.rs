//! Which providers have refused the option, of late: a text that all workers share, a line for each.
//!
//! A line is for one place (cluster and host) and one model there. There are few lines of one place and few in all: whoever
//! makes a provider refuse for invented models displaces the oldest of that place, and costs nobody more than one call.

use sha2::{Digest, Sha256};

/// So long a refusal holds, s.
pub const HOLDS_S: u64 = 3600;
/// Lines of one place.
const MAX_OF_PLACE: usize = 16;
/// Lines in all; each takes 45 bytes at most.
const MAX: usize = 256;

/// A place and a model there, as their digest names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    place: String,
    model: String,
}

impl Name {
    /// Of the cluster, the host that the client asked for, and the model.
    pub fn new(cluster: &str, host: &[u8], model: &str) -> Name {
        let digest = |parts: [&[u8]; 2]| {
            let mut hash = Sha256::new();
            for part in parts {
                hash.update(u64::try_from(part.len()).unwrap_or(0).to_le_bytes());
                hash.update(part.to_ascii_lowercase());
            }
            let digest = hash.finalize();
            digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        Name { place: digest([cluster.as_bytes(), host]), model: digest([model.as_bytes(), b""]) }
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
fn holds(until_s: u64, now_s: u64) -> bool {
    until_s.checked_sub(now_s).is_some_and(|left| (1..=HOLDS_S).contains(&left))
}

/// Whether the option was refused there.
pub fn is_refused(shared: &str, name: &Name, now_s: u64) -> bool {
    lines(shared).any(|(place, model, until_s)| place == name.place && model == name.model && holds(until_s, now_s))
}

/// What the workers share becomes this, if the refusal is news.
pub fn learn(shared: &str, name: &Name, now_s: u64) -> Option<String> {
    if is_refused(shared, name, now_s) {
        return None;
    }
    let mut kept: Vec<Line<'_>> = lines(shared).filter(|(.., until_s)| holds(*until_s, now_s)).collect();
    let oldest =
        |of_place: bool, kept: &[Line<'_>]| kept.iter().position(|(place, ..)| !of_place || *place == name.place);
    let of_place = kept.iter().filter(|(place, ..)| *place == name.place).count();
    let too_many = if of_place >= MAX_OF_PLACE {
        oldest(true, &kept)
    } else if kept.len() >= MAX {
        oldest(false, &kept)
    } else {
        None
    };
    if let Some(place) = too_many {
        kept.remove(place);
    }
    kept.push((&name.place, &name.model, now_s.saturating_add(HOLDS_S)));
    let line = |(place, model, until_s): &Line<'_>| format!("{place} {model} {until_s}");
    Some(kept.iter().map(line).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(host: &str, model: &str) -> Name {
        Name::new("c", host.as_bytes(), model)
    }

    cases! {
        fn contract_a_refusal_holds_for_its_model_and_its_place_and_an_hour() {
            let shared = learn("", &name("h", "m"), 1000).unwrap();
            assert!(is_refused(&shared, &name("h", "m"), 1000) && is_refused(&shared, &name("H", "M"), 4599));
            assert!(!is_refused(&shared, &name("h", "m"), 4600), "an hour later");
            assert!(!is_refused(&shared, &name("h", "m"), 0), "the clock was set back");
            assert!(!is_refused(&shared, &name("h", "n"), 1000) && !is_refused(&shared, &name("g", "m"), 1000));
            assert!(!is_refused(&shared, &Name::new("d", b"h", "m"), 1000));
            assert_ne!(Name::new("ab", b"c", "m"), Name::new("a", b"bc", "m"));
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

        fn contract_what_is_no_line_is_nothing() {
            assert!(!is_refused("x\n\n a b c\na b", &name("h", "m"), 10));
            assert_eq!(learn("x\n\n a b c\na b", &name("h", "m"), 10).unwrap().lines().count(), 1);
        }
    }
}
