//! Text and numbers for bodies: the same in every run, and as an answer has them.

const WORDS: [&str; 48] = [
    "the",
    "a",
    "model",
    "answer",
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

    /// Sentences, paragraphs and now and then a quotation, of at least so many bytes as JSON.
    pub fn prose(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 16);
        let (mut escaped, mut count) = (0, 0_u32);
        while text.len() + escaped < bytes {
            count += 1;
            let word = self.word();
            match count {
                count if count % 90 == 0 => {
                    text.push_str(".\n\n");
                    escaped += 2;
                }
                count if count % 14 == 0 => text.push_str(". "),
                count if count % 37 == 0 => {
                    text.push_str(" \"");
                    text.push_str(word);
                    text.push('"');
                    escaped += 2;
                }
                _ => text.push(' '),
            }
            text.push_str(word);
        }
        text
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
