//! What a terminal may be sent. Names come from calls, files and command lines; what in them could steer a terminal, turn
//! the direction of a line or hide is written as an escape. Everything that the command line prints passes here.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use crate::secret;

/// Letters that are blank and as wide as a letter, or not wide at all.
const BLANK: [char; 5] = ['\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];

/// Whether a character only shows itself. Controls (C0, DEL, C1) do not, nor do marks of direction, characters without
/// width, other spaces than the usual one, and what no version of Unicode has named.
pub fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~') || (c.escape_debug().eq([c]) && !BLANK.contains(&c))
}

/// A text in one line.
pub fn printable(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_plain(c) { safe.push(c) } else { safe.extend(c.escape_default()) }
    }
    safe
}

/// A text of our own in lines. Whatever is foreign in it should be [`printable`] already, or it can begin a line.
pub fn lines(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| c == '\n' || is_plain(c)) {
        return text.into();
    }
    let line = |line: &str| {
        // The lines of CSV end in two characters.
        let ends = ["\r\n", "\n"];
        let end = ends.into_iter().find(|end| line.ends_with(end)).unwrap_or_default();
        printable(line.strip_suffix(end).unwrap_or(line)) + end
    };
    text.split_inclusive('\n').map(line).collect::<String>().into()
}

/// A text of JSON, in which every text is what it was: only written otherwise.
pub fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        // Outside of texts JSON has no other character than these.
        if c == '\n' || is_plain(c) {
            safe.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| safe.push_str(&format!("\\u{unit:04x}")));
        }
    }
    safe
}

/// Digits in groups of three.
pub fn grouped(number: i128) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (position, digit) in digits.chars().enumerate() {
        if position != 0 && digits.len().saturating_sub(position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The name of a file. What looks like the address of a database has a password in it, and is not shown.
pub fn file(path: &Path) -> String {
    printable(secret::masked(&path.to_string_lossy()))
}

/// Passes a long text on line by line, each made safe.
pub struct ByLine<W, F> {
    to: W,
    safe: F,
    line: Vec<u8>,
}

impl<W: Write, F: Fn(&str) -> Cow<'_, str>> ByLine<W, F> {
    /// To there, made safe so.
    pub fn new(to: W, safe: F) -> ByLine<W, F> {
        ByLine { to, safe, line: Vec::new() }
    }

    /// Writes what has no end of a line behind it.
    pub fn end(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.to.write_all((self.safe)(&String::from_utf8_lossy(&line)).as_bytes())
    }
}

impl<W: Write, F: Fn(&str) -> Cow<'_, str>> Write for ByLine<W, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.end()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Prints what is written bit by bit, as [`print()`] does a text.
pub fn print_with<E: From<io::Error>>(write: impl FnOnce(&mut dyn Write) -> Result<(), E>) -> Result<(), E> {
    let mut out = ByLine::new(io::BufWriter::new(out()), lines);
    write(&mut out)?;
    out.end()?;
    Ok(out.flush()?)
}

/// Prints results. Who reads them may have seen enough: `meshmeter report | head`.
pub fn print(text: &str) -> Result<(), String> {
    let mut out = out();
    match out.write_all(lines(text).as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| format!("standard output: {error}")),
    }
}

/// Standard output, for whoever escapes what is written there.
#[expect(clippy::disallowed_methods, reason = "everything else takes it from here")]
pub fn out() -> io::StdoutLock<'static> {
    io::stdout().lock()
}

/// Says what is wrong, or how far it is. Without standard error there is nobody to tell.
#[expect(clippy::disallowed_methods, reason = "this is where it is made safe")]
pub fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", lines(text));
}

/// Whether a person may be looking at what is said.
#[expect(clippy::disallowed_methods, reason = "nothing is written")]
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Whether a person can use what is drawn: input and output are a terminal.
#[expect(clippy::disallowed_methods, reason = "nothing is written")]
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What must never reach a terminal, by ranges of their own: controls, marks of direction, and what has no width.
    fn steers(c: char) -> bool {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}')
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
            || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
    }

    #[test]
    fn deterministic_no_character_that_steers_or_hides_is_printed() {
        for c in '\0'..=char::MAX {
            assert!(!steers(c) || !is_plain(c), "{c:?}");
        }
        for c in "aZ09-._/:@\"'\\äßñ中文한글ひらがなЖשع─…→😀".chars() {
            assert!(is_plain(c), "{c:?}");
        }
    }

    #[test]
    fn deterministic_a_name_is_one_line_that_says_what_is_in_it() {
        let cases = [
            ("gpt-4.1", "gpt-4.1"),
            ("\u{1b}]0;x\u{7}\u{9b}31m", "\\u{1b}]0;x\\u{7}\\u{9b}31m"),
            ("a\r\n\tb", "a\\r\\n\\tb"),
            ("\u{202e}4-tpg", "\\u{202e}4-tpg"),
            ("gpt\u{200b}-4", "gpt\\u{200b}-4"),
            ("\"C:\\x\" it's", "\"C:\\x\" it's"),
        ];
        for (name, expected) in cases {
            assert_eq!(printable(name), expected);
        }
    }

    #[test]
    fn deterministic_the_lines_of_a_text_stay_lines() {
        assert_eq!(lines("a\nb\n"), "a\nb\n");
        assert_eq!(lines("a,b\r\nc\u{1b},d\r\n"), "a,b\r\nc\\u{1b},d\r\n");
        assert_eq!(lines("a\rb\u{85}"), "a\\rb\\u{85}");
    }

    proptest! {
        #[test]
        fn contract_escaped_json_is_the_same_document(texts: Vec<String>) {
            for text in [serde_json::to_string(&texts).unwrap(), serde_json::to_string_pretty(&texts).unwrap()] {
                let safe = json(&text);
                prop_assert!(safe.chars().all(|c| c == '\n' || !steers(c)));
                prop_assert_eq!(lines(&safe), safe.as_str());
                prop_assert_eq!(&serde_json::from_str::<Vec<String>>(&safe).unwrap(), &texts);
            }
        }

        #[test]
        fn contract_a_name_is_printed_without_what_steers(text: String) {
            let shown = printable(&text);
            prop_assert!(!shown.chars().any(steers), "{shown:?}");
            prop_assert_eq!(lines(&shown), shown.as_str());
        }
    }
}
