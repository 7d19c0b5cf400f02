//! Tags: facts of a call that the configuration names, each proven by what it comes from.

use wire::event::MAX_TEXT;
use wire::record::{Tag, TagSource};

use super::{Caller, Shown, TagRule, ValueSource};

/// What claims and headers show under the names of the configuration. What is not there, or is no text, gives no tag.
pub fn tags(rules: &[TagRule], caller: &impl Caller) -> Vec<Tag> {
    let tag = |rule: &TagRule| {
        let (shown, source) = match &rule.from {
            ValueSource::Jwt { claim, payload_key } => (caller.claim(payload_key, claim), TagSource::Jwt),
            ValueSource::Header { name, trusted: true } => (caller.header(name), TagSource::Header),
            // Anybody can send it.
            ValueSource::Header { trusted: false, .. } => return None,
        };
        let Shown::Value(value) = shown else { return None };
        let value = match source {
            TagSource::Jwt => claimed(&value),
            TagSource::Header => printable(&value),
        };
        Some(Tag { name: rule.name.clone(), value: value?, source })
    };
    rules.iter().filter_map(tag).collect()
}

/// What a claim says. Envoy hands over a text as it is, a number as the eight bytes of a double, a truth value as one byte, and
/// lists and objects in a form of its own, which begins with their number in four bytes. Only the first has no zero byte and
/// is UTF-8, but for numbers that are no names; a text of control characters is taken for what it looks like.
fn claimed(value: &[u8]) -> Option<String> {
    match value {
        [0] => return Some("false".to_owned()),
        [1] => return Some("true".to_owned()),
        _ => {}
    }
    let is_text = !value.contains(&0) && std::str::from_utf8(value).is_ok();
    if is_text {
        return printable(value);
    }
    let number = f64::from_le_bytes(value.try_into().ok()?);
    // No money: a name that is a number, such as that of a project. Larger ones are not exact.
    let is_whole = number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0;
    is_whole.then(|| (number as i64).to_string())
}

/// A text that may be shown: control characters and what is no UTF-8 are replaced, and it is cut at [`MAX_TEXT`] bytes.
pub fn printable(value: &[u8]) -> Option<String> {
    // A character takes four bytes at most; so many more than fit are never needed.
    let value = value.get(..MAX_TEXT.saturating_add(4)).unwrap_or(value);
    let mut text = String::with_capacity(value.len());
    for character in String::from_utf8_lossy(value).chars() {
        let shown = if character.is_control() { char::REPLACEMENT_CHARACTER } else { character };
        if text.len().saturating_add(shown.len_utf8()) > MAX_TEXT {
            break;
        }
        text.push(shown);
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Refusal;

    struct Fixed(Shown, Shown);

    impl Caller for Fixed {
        fn certificate(&self) -> Shown {
            Shown::Nothing
        }
        fn own_certificate(&self) -> Option<Vec<u8>> {
            None
        }
        fn claim(&self, key: &str, claim: &[String]) -> Shown {
            assert_eq!((key, claim), ("k", &["org".to_owned(), "team".to_owned()][..]));
            self.0.clone()
        }
        fn header(&self, name: &str) -> Shown {
            assert_eq!(name, "x-app");
            self.1.clone()
        }
    }

    fn run(trusted: bool, claim: Shown, header: Shown) -> Vec<(String, String, &'static str)> {
        let rules = [
            TagRule {
                name: "team".into(),
                from: ValueSource::Jwt { claim: vec!["org".into(), "team".into()], payload_key: "k".into() },
            },
            TagRule { name: "app".into(), from: ValueSource::Header { name: "x-app".into(), trusted } },
        ];
        let tags = tags(&rules, &Fixed(claim, header));
        tags.into_iter().map(|tag| (tag.name, tag.value, tag.source.as_str())).collect()
    }

    fn value(bytes: impl Into<Vec<u8>>) -> Shown {
        Shown::Value(bytes.into())
    }

    cases! {
        fn contract_only_claims_and_trusted_headers_are_tags() {
            let (team, app) = (("team".into(), "search".into(), "jwt"), ("app".into(), "web".into(), "header"));
            assert_eq!(run(true, value("search"), value("web")), [team.clone(), app.clone()]);
            assert_eq!(run(false, value("search"), value("web")), [team]);
            assert_eq!(run(true, Shown::Nothing, value("web")), [app]);
            let unusable = Shown::Unusable(Refusal::NoClaim);
            assert_eq!(run(true, unusable, Shown::Unusable(Refusal::RepeatedHeader)), []);
            assert_eq!(run(true, value(""), value("")), []);
        }

        fn contract_claims_that_are_no_texts_are_written_out() {
            let shown = |bytes: &[u8]| run(false, value(bytes), Shown::Nothing).pop().map(|(_, value, _)| value);
            assert_eq!(shown(&42f64.to_le_bytes()).as_deref(), Some("42"));
            assert_eq!(shown(&(-7f64).to_le_bytes()).as_deref(), Some("-7"));
            assert_eq!((shown(&[1]).as_deref(), shown(&[0]).as_deref()), (Some("true"), Some("false")));
            assert_eq!(shown(b"12345678").as_deref(), Some("12345678"));
            // A fraction, no number at all, a list, an object, no text: nothing is guessed.
            for number in [0.5, 0.1, f64::NAN, f64::INFINITY, 1e300] {
                assert_eq!(shown(&number.to_le_bytes()), None, "{number}");
            }
            for other in [&b"\x01\0\0\0\x06\0\0\0\0\0\0\0forged\0\0"[..], b"\0\0\0\0", b"a\0b", b"\xff\xfe"] {
                assert_eq!(shown(other), None, "{}", other.escape_ascii());
            }
        }

        fn contract_hostile_values_are_bounded_and_harmless() {
            for (raw, clean) in [
                (b"a\x00\x1b[31m\r\n\x7f".to_vec(), "a\u{fffd}\u{fffd}[31m\u{fffd}\u{fffd}\u{fffd}".to_owned()),
                ("\u{85}\u{9b}x".into(), "\u{fffd}\u{fffd}x".into()),
                (b"\xff\xfe".to_vec(), "\u{fffd}\u{fffd}".into()),
                (vec![b'a'; 10_000], "a".repeat(256)),
                ("\u{e9}".repeat(1000).into(), "\u{e9}".repeat(128)),
                (vec![0; 10_000], "\u{fffd}".repeat(85)),
            ] {
                assert_eq!(printable(&raw).as_deref(), Some(clean.as_str()));
            }
            assert_eq!(printable(b""), None);
        }
    }
}
