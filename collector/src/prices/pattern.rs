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

    /// The order in which patterns are tried, closest first: the more of a name is spelled out, the closer.
    pub fn rank(&self) -> (Reverse<usize>, usize, &str) {
        let count = |wild: u8| self.0.bytes().filter(|byte| *byte == wild).count();
        let (any, digits) = (count(ANY), count(DIGIT));
        let spelled = self.0.len().saturating_sub(any).saturating_sub(digits);
        (Reverse(spelled), any, &self.0)
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
    }
}
