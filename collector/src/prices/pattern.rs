//! Which models an entry names: a name in which `*` stands for any text and `#` for a digit. Case does not matter.

use std::cmp::Reverse;

/// A model's name, or what names it has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pattern(String);

/// What a pattern looks like; what can be hashed is looked up, not tried.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape<'a> {
    Exact(&'a str),
    /// How the name begins.
    Prefix(&'a str),
    Glob,
}

const ANY: u8 = b'*';
const DIGIT: u8 = b'#';

impl Pattern {
    /// Reads a pattern: any text that is not empty.
    pub fn new(text: &str) -> Option<Pattern> {
        (!text.is_empty()).then(|| Pattern(text.to_lowercase()))
    }

    pub fn text(&self) -> &str {
        &self.0
    }

    pub fn shape(&self) -> Shape<'_> {
        let is_wild = |text: &str| text.bytes().any(|byte| byte == ANY || byte == DIGIT);
        match self.0.strip_suffix('*') {
            Some(prefix) if !is_wild(prefix) => Shape::Prefix(prefix),
            None if !is_wild(&self.0) => Shape::Exact(&self.0),
            _ => Shape::Glob,
        }
    }

    /// Whether it is a name that only it has.
    pub fn is_exact(&self) -> bool {
        matches!(self.shape(), Shape::Exact(_))
    }

    /// How much of a name it spells out, bytes.
    pub fn spelled(&self) -> usize {
        self.0.bytes().filter(|byte| *byte != ANY && *byte != DIGIT).count()
    }

    /// Whether there is a name that both match.
    pub fn intersects(&self, other: &Pattern) -> bool {
        intersect(self.0.as_bytes(), other.0.as_bytes())
    }

    /// The order in which patterns are tried, closest first: the more of a name is spelled out, the closer.
    pub fn rank(&self) -> (Reverse<usize>, usize, &str) {
        (Reverse(self.spelled()), self.0.bytes().filter(|byte| *byte == ANY).count(), &self.0)
    }

    /// Whether a name, in lower case, is what the pattern says.
    pub fn matches(&self, name: &str) -> bool {
        glob(self.0.as_bytes(), name.as_bytes())
    }
}

/// Goes back to the last star only, so the work is at most the product of the two lengths.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut pos) = (0_usize, 0_usize);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(pos) {
        match pattern.get(at) {
            Some(&ANY) => {
                star = Some((at.saturating_add(1), pos));
                at = at.saturating_add(1);
            }
            Some(&expected) if expected == *byte || (expected == DIGIT && byte.is_ascii_digit()) => {
                at = at.saturating_add(1);
                pos = pos.saturating_add(1);
            }
            _ => match &mut star {
                Some((after, from)) => {
                    *from = from.saturating_add(1);
                    (at, pos) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == ANY)
}

/// Whether two patterns have a name in common: for each rest of the one, which rests of the other do.
fn intersect(one: &[u8], other: &[u8]) -> bool {
    let is_stars = |rest: &[u8]| rest.iter().all(|byte| *byte == ANY);
    let rests = 0..=other.len();
    // Of nothing: the rests that can be nothing, too.
    let mut below: Vec<bool> = rests.clone().map(|at| other.get(at..).is_some_and(is_stars)).collect();
    for at in (0..one.len()).rev() {
        let mut row = vec![false; below.len()];
        for to in rests.clone().rev() {
            let next = to.saturating_add(1);
            let get = |row: &[bool], to: usize| row.get(to).copied().unwrap_or(false);
            let shares = match (one.get(at).copied(), other.get(to).copied()) {
                (Some(ANY), _) => get(&below, to) || get(&row, next),
                (_, Some(ANY)) => get(&row, next) || get(&below, to),
                (Some(a), Some(b)) => {
                    let is_digit = |wild: u8, byte: u8| wild == DIGIT && byte.is_ascii_digit();
                    (a == b || is_digit(a, b) || is_digit(b, a)) && get(&below, next)
                }
                (_, None) | (None, _) => false,
            };
            if let Some(slot) = row.get_mut(to) {
                *slot = shares;
            }
        }
        below = row;
    }
    below.first().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text).unwrap()
    }

    #[test]
    fn deterministic_stars_are_any_text_and_hashes_one_digit() {
        let cases: [(&str, &[&str], &[&str]); 7] = [
            ("gpt-4.1", &["gpt-4.1"], &["gpt-4.1-mini", "gpt-4", "gpt-4x1", ""]),
            ("gpt-4*", &["gpt-4", "gpt-4o-mini"], &["gpt-", "xgpt-4"]),
            ("*nova-lite*", &["nova-lite", "us.amazon.nova-lite-v1:0"], &["nova-light"]),
            (
                "grok-4.3-########",
                &["grok-4.3-20260101"],
                &["grok-4.3-2026010", "grok-4.3-2026010a", "grok-4.3-202601011"],
            ),
            ("a*b*c", &["abc", "aXbYbZc", "abcabc"], &["ab", "acb", "abcd"]),
            ("*", &["", "anything"], &[]),
            ("Meta/LLAMA-*", &["meta/llama-3"], &["meta-llama"]),
        ];
        for (text, matching, others) in cases {
            for name in matching {
                assert!(pattern(text).matches(name), "{text} {name}");
            }
            for name in others {
                assert!(!pattern(text).matches(name), "{text} {name}");
            }
        }
        assert_eq!(Pattern::new(""), None);
        assert_eq!(pattern("A-1").shape(), Shape::Exact("a-1"));
        assert_eq!(pattern("a*").shape(), Shape::Prefix("a"));
        assert!(["a#", "a#*", "*a", "a*b", "**"].iter().all(|text| pattern(text).shape() == Shape::Glob));
    }

    /// The same question, asked of every way to cut the name.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|cut| naive(rest, &name[cut..])),
            Some((b'#', rest)) => name.first().is_some_and(u8::is_ascii_digit) && naive(rest, &name[1..]),
            Some((byte, rest)) => name.first() == Some(byte) && naive(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn deterministic_matching_is_trying_every_cut(text in "[ab1*#]{1,8}", name in "[ab1]{0,8}") {
            prop_assert_eq!(pattern(&text).matches(&name), naive(text.as_bytes(), name.as_bytes()));
        }

        /// Against every name of up to six letters, which is as long as the shortest common one can be here.
        #[test]
        fn deterministic_patterns_intersect_if_a_name_is_what_both_say(one in "[a1*#]{1,3}", other in "[a1*#]{1,3}") {
            let names = (0..=6_u32).flat_map(|length| (0..1_u32 << length).map(move |bits| {
                (0..length).map(|at| if bits >> at & 1 == 0 { 'a' } else { '1' }).collect::<String>()
            }));
            let (one, other) = (pattern(&one), pattern(&other));
            let expected = names.into_iter().any(|name| one.matches(&name) && other.matches(&name));
            prop_assert_eq!(one.intersects(&other), expected);
            prop_assert_eq!(other.intersects(&one), expected);
        }
    }
}
