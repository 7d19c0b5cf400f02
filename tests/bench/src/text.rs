//! Text and numbers for bodies: the same in every run, and as a response has them.

const WORDS: [&str; 48] = [
    "the",
    "a",
    "model",
    "response",
    "of",
    "request",
    "is",
    "measured",
    "and",
    "token",
    "that",
    "in",
    "stream",
    "with",
    "for",
    "each",
    "proxy",
    "between",
    "cost",
    "latency",
    "can",
    "be",
    "read",
    "from",
    "response",
    "however",
    "we",
    "should",
    "first",
    "consider",
    "how",
    "large",
    "systems",
    "behave",
    "under",
    "load",
    "example",
    "because",
    "therefore",
    "several",
    "important",
    "differences",
    "throughput",
    "this",
    "means",
    "it",
    "may",
    "also",
];

/// A sequence of words.
pub struct Words(u64);

impl Words {
    /// Another seed, other words.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next word.
    pub fn word(&mut self) -> &'static str {
        WORDS[(self.next() % WORDS.len() as u64) as usize]
    }

    /// A response as models write them, of at least so many bytes as JSON: paragraphs, quotations, now and then code.
    pub fn prose(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 128);
        let mut escapes = 0;
        while text.len() + escapes < bytes {
            let before = text.len();
            match self.next() % 6 {
                0 => self.code(&mut text),
                _ => self.paragraph(&mut text),
            }
            escapes += text[before..].bytes().filter(|byte| matches!(byte, b'"' | b'\n')).count();
        }
        // Cut to size, as a response that reached its limit is: escapes count twice.
        while text.len() + escapes > bytes.max(16) {
            escapes -= usize::from(matches!(text.pop(), Some('"' | '\n')));
        }
        text
    }

    /// Some 450 bytes.
    fn paragraph(&mut self, text: &mut String) {
        for count in 1..=80 {
            let word = self.word();
            match count {
                80 => *text += ".\n\n",
                count if count % 14 == 0 => *text += ". ",
                count if count % 37 == 0 => *text += &format!(" \"{word}\" "),
                _ => text.push(' '),
            }
            *text += word;
        }
    }

    /// Some 400 bytes.
    fn code(&mut self, text: &mut String) {
        *text += "\n```rust\n";
        for _ in 0..10 {
            *text += &format!("    let {} = \"{}\".{}();\n", self.word(), self.word(), self.word());
        }
        *text += "```\n\n";
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Numbers as embeddings have them.
pub fn floats(seed: usize, count: usize) -> String {
    let mut random = Words::new(seed as u64 + 100);
    let numbers = (0..count).map(|_| {
        let digits = random.next() % 90_000_000;
        let sign = if digits.is_multiple_of(2) { "-" } else { "" };
        format!("{sign}0.0{digits:08}")
    });
    numbers.collect::<Vec<_>>().join(",")
}
