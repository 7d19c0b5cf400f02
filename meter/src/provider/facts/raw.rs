//! The usage objects as they came, and what of them is kept: counts, and no text that may be somebody's words.

use wire::event::MAX_RAW_USAGE;
use wire::record::Flag;

use super::{Facts, Raw};

/// The longest text that is kept, bytes: a tier, a region, a kind, a model.
const MAX_WORD: usize = 64;

impl Facts {
    /// Whether a usage object arrived whole.
    pub fn closed(&self, raw: Raw) -> bool {
        self.closed & bit(raw) != 0
    }

    /// Whether any usage object arrived whole.
    pub fn any_closed(&self) -> bool {
        self.closed != 0
    }

    /// A usage object as it came, if it arrived whole and was not too long to be held.
    pub fn raw(&self, raw: Raw) -> Option<&[u8]> {
        let whole = self.closed(raw) && !self.flags.contains(Flag::RawUsageCapped);
        whole.then(|| self.raw.iter().find(|(known, _)| *known == raw).map(|(_, bytes)| bytes.as_slice())).flatten()
    }

    /// The usage objects that are held whole.
    pub fn usage_objects(&self) -> impl Iterator<Item = (Raw, &[u8])> {
        let whole = !self.flags.contains(Flag::RawUsageCapped);
        self.raw.iter().filter(move |_| whole).map(|(raw, bytes)| (*raw, bytes.as_slice()))
    }

    /// The usage objects as they came, a JSON text of path and object, cut at [`MAX_RAW_USAGE`]. Most tools were not used: those
    /// that say nothing are left out.
    pub fn raw_usage(&mut self) -> Option<String> {
        let says_something = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'1'..=b'9'));
        self.raw.retain(|(raw, bytes)| !raw.is_beside() || says_something(bytes));
        if self.raw.is_empty() {
            return None;
        }
        let mut text = String::with_capacity(MAX_RAW_USAGE.saturating_add(4));
        let mut whole = true;
        for (index, (raw, bytes)) in self.raw.iter().enumerate() {
            text.push_str(if index == 0 { "{\"" } else { ",\"" });
            text.push_str(raw.path());
            text.push_str("\":");
            let bytes = said(bytes);
            let room = MAX_RAW_USAGE.saturating_sub(text.len()).saturating_sub(1);
            whole &= bytes.len() <= room;
            // What is no UTF-8 becomes longer: cut once more below.
            text.push_str(&String::from_utf8_lossy(bytes.get(..room).unwrap_or(&bytes)));
            if text.len() >= MAX_RAW_USAGE {
                break;
            }
        }
        text.push('}');
        if !whole || text.len() > MAX_RAW_USAGE {
            self.flags.insert(Flag::RawUsageCapped);
            let mut end = text.len().min(MAX_RAW_USAGE);
            while !text.is_char_boundary(end) {
                end = end.saturating_sub(1);
            }
            text.truncate(end);
        }
        Some(text)
    }
}

pub(super) fn bit(raw: Raw) -> u32 {
    1u32.checked_shl(raw as u32).unwrap_or(0)
}

/// A usage object without what may be words of a prompt: of texts and names only those that are one word are left, of others
/// the quotes. What is no JSON outside of them goes, too.
fn said(object: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(object.len());
    let mut rest = object;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = match byte {
            b'"' => {
                let length = crate::scan::inside(behind, false).length;
                let (text, behind) = behind.split_at_checked(length).unwrap_or((behind, &[]));
                kept.push(b'"');
                kept.extend_from_slice(if is_word(text) { text } else { b"" });
                kept.push(b'"');
                behind.get(1..).unwrap_or_default()
            }
            b'a'..=b'z' | b'A'..=b'Z' => {
                let length = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
                let (word, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                if matches!(word, b"true" | b"false" | b"null" | b"e" | b"E") {
                    kept.extend_from_slice(word);
                }
                behind
            }
            _ => {
                let is_json = byte.is_ascii_digit() || byte.is_ascii_whitespace() || b"{}[]:,+-.".contains(&byte);
                kept.extend(is_json.then_some(byte));
                behind
            }
        };
    }
    kept
}

/// Whether a text is an identifier or a number.
fn is_word(text: &[u8]) -> bool {
    text.len() <= MAX_WORD && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:/+@".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    cases! {
        fn contract_no_words_of_a_prompt_are_kept_of_a_usage_object() {
            for (object, kept) in [
                (r#"{"prompt_tokens": 1, "cost":1.5e-3,"x":[true,null,-2]}"#, r#"{"prompt_tokens": 1, "cost":1.5e-3,"x":[true,null,-2]}"#),
                (r#"{"service_tier":"standard","model":"a/b-1.5:free","cost":"0.01"}"#, r#"{"service_tier":"standard","model":"a/b-1.5:free","cost":"0.01"}"#),
                (r#"{"echo":"SECRET PROMPT","n":1}"#, r#"{"echo":"","n":1}"#),
                (r#"{"a SECRET name":1,"esc\"aped":2,"\u0041":"\u0042"}"#, r#"{"":1,"":2,"":""}"#),
                (r#"{"a":SECRET,"b":tru,"c":1SECRET}"#, r#"{"a":,"b":,"c":1}"#),
                ("{\"a\":\"\u{fc}\"}", r#"{"a":""}"#),
            ] {
                assert_eq!(String::from_utf8(said(object.as_bytes())).unwrap(), kept, "{object}");
            }
            let long = format!(r#"{{"a":"{}","{0}":1}}"#, "x".repeat(65));
            assert_eq!(said(long.as_bytes()), br#"{"a":"","":1}"#);
        }
    }
}
