//! Whether a body names the option: a provider that refuses it does, and one that repeats what a client wrote may.

use memchr::memmem;

use super::fault;

/// What a refusal names.
const WORDS: [&[u8]; 2] = [b"stream_options", b"include_usage"];
/// How the escape of a byte of ASCII begins; behind it, these are letters and the underscore, for which no writer of JSON has a
/// reason.
const ESCAPE: &[u8] = b"\\u00";
const LETTERS: &[u8] = b"4567";
/// The longest of them without its last byte.
const KEPT: usize = 13;
/// Of an error so much is read at most, bytes: they take some 500.
const MAX_ERROR: usize = 64 * 1024;
/// Of a request so much is searched at most, bytes: what is longer can have anything in it.
const MAX_REQUEST: usize = 256 * 1024;

/// Searches the bytes of a body, in chunks.
#[derive(Clone, Debug, Default)]
struct Search {
    /// The last bytes of the chunks before.
    tail: Vec<u8>,
    found: bool,
}

impl Search {
    fn feed(&mut self, bytes: &[u8], has: impl Fn(&[u8]) -> bool) {
        if self.found {
            return;
        }
        self.tail.extend_from_slice(bytes.get(..KEPT.min(bytes.len())).unwrap_or_default());
        self.found = has(&self.tail) || has(bytes);
        if bytes.len() >= KEPT {
            self.tail.clear();
            self.tail.extend_from_slice(bytes.get(bytes.len().saturating_sub(KEPT)..).unwrap_or_default());
        } else {
            self.tail.drain(..self.tail.len().saturating_sub(KEPT));
        }
    }
}

fn has_word(bytes: &[u8]) -> bool {
    WORDS.iter().any(|word| memmem::find(bytes, word).is_some())
}

fn has_escape(bytes: &[u8]) -> bool {
    let behind = |at: usize| bytes.get(at.saturating_add(ESCAPE.len())).is_some_and(|digit| LETTERS.contains(digit));
    memmem::find_iter(bytes, ESCAPE).any(behind)
}

/// The beginning of an error, which may name the option as its fault.
#[derive(Clone, Debug, Default)]
pub struct Mention {
    error: Vec<u8>,
}

impl Mention {
    /// Whether a status can be a refusal of it.
    pub fn is_for(status: Option<u64>) -> bool {
        matches!(status, Some(400 | 422))
    }

    /// Whether more of it is wanted.
    pub fn reads(&self) -> bool {
        self.error.len() < MAX_ERROR
    }

    /// A chunk of the error.
    pub fn feed(&mut self, bytes: &[u8]) {
        let room = MAX_ERROR.saturating_sub(self.error.len());
        self.error.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }

    /// Whether the option is named as its fault: to be asked when all of it is there, for what follows a name says whether it is.
    pub fn is_found(&self) -> bool {
        fault::is_named(&self.error)
    }
}

/// Whether a request has the words of a refusal in it itself, in any spelling: an error that names them can be an echo then.
#[derive(Clone, Debug, Default)]
pub struct Echo {
    search: Search,
    seen: usize,
}

impl Echo {
    /// A chunk of the request's body, or its head.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.seen = self.seen.saturating_add(bytes.len());
        if self.seen > MAX_REQUEST {
            return self.unread();
        }
        self.search.feed(bytes, |bytes| has_word(bytes) || has_escape(bytes));
    }

    /// A chunk that was not read.
    pub fn unread(&mut self) {
        self.search.found = true;
    }

    /// Whether it can.
    pub fn is_possible(&self) -> bool {
        self.search.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    cases! {
        fn contract_words_are_found_in_any_split() {
            for (text, mentions, echoes) in [
                ("{\"message\":\"stream_options: extraneous key [include_usage] is not permitted\"}", true, true),
                ("{\"loc\":[\"body\",\"stream_options\",\"include_usage\"]}", true, true),
                ("{\"input\":{\"stream_options\":{\"include_usage\":true}}}", false, true),
                ("{\"message\":\"stream_option is unknown, include usage\"}", false, false),
                ("{\"a\":\"stre\\u0061m_options\"}", false, true),
                ("{\"a\":\"stream\\u005foptions\"}", false, true),
                ("{\"a\":\"caf\\u00e9 \\u003c\\u0026 \\u4e00\"}", false, false),
            ] {
                for size in 1..=text.len() {
                    let (mut mention, mut echo) = (Mention::default(), Echo::default());
                    for chunk in text.as_bytes().chunks(size) {
                        mention.feed(chunk);
                        echo.feed(chunk);
                    }
                    assert_eq!((mention.is_found(), echo.is_possible()), (mentions, echoes), "{text} by {size}");
                }
            }
        }

        fn contract_of_a_long_error_the_beginning_is_read() {
            let mut mention = Mention::default();
            mention.feed(&vec![b' '; MAX_ERROR]);
            assert!(!mention.reads());
            mention.feed(b"stream_options");
            assert!(!mention.is_found());
            let mut echo = Echo::default();
            (0..MAX_REQUEST).for_each(|_| echo.feed(b"x"));
            assert!(!echo.is_possible());
            echo.feed(b"x");
            assert!(echo.is_possible());
            assert!(Mention::is_for(Some(400)) && Mention::is_for(Some(422)) && !Mention::is_for(Some(404)) && !Mention::is_for(None));
        }
    }
}
