//! Collects a text in fixed memory and undoes its escapes.

/// A buffer of fixed size that knows whether something did not fit.
#[derive(Clone, Debug)]
pub(super) struct Short<const N: usize> {
    bytes: [u8; N],
    len: usize,
    overflow: bool,
}

impl<const N: usize> Short<N> {
    pub(super) const fn new() -> Self {
        Short { bytes: [0; N], len: 0, overflow: false }
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.overflow = false;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len()).min(N);
        let room = end.saturating_sub(self.len);
        if let (Some(target), Some(source)) = (self.bytes.get_mut(self.len..end), bytes.get(..room)) {
            target.copy_from_slice(source);
        }
        self.overflow |= room < bytes.len();
        self.len = end;
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(super) fn overflowed(&self) -> bool {
        self.overflow
    }
}

/// Undoes JSON's escapes and replaces what is not UTF-8; lone surrogates and a cut escape at the end become U+FFFD.
pub(super) fn unescape(raw: &[u8]) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(raw.len());
    let mut rest = raw.iter().copied();
    let mut high: Option<u32> = None;
    let put = |out: &mut Vec<u8>, c: char| out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    while let Some(byte) = rest.next() {
        let unit = match byte {
            b'\\' => match rest.next() {
                Some(b'u') => hex(&mut rest),
                Some(b'n') => Some(0x0a),
                Some(b't') => Some(0x09),
                Some(b'r') => Some(0x0d),
                Some(b'b') => Some(0x08),
                Some(b'f') => Some(0x0c),
                Some(other) => Some(u32::from(other)),
                None => None,
            },
            plain => {
                if high.take().is_some() {
                    put(&mut out, char::REPLACEMENT_CHARACTER);
                }
                out.push(plain);
                continue;
            }
        };
        let unit = unit.unwrap_or(0xfffd);
        match (high.take(), unit) {
            (Some(first), 0xdc00..=0xdfff) => {
                let pair = 0x10000u32.saturating_add((first & 0x3ff) << 10).saturating_add(unit & 0x3ff);
                put(&mut out, char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            (lone, unit) => {
                if lone.is_some() {
                    put(&mut out, char::REPLACEMENT_CHARACTER);
                }
                if (0xd800..=0xdbff).contains(&unit) {
                    high = Some(unit);
                } else {
                    put(&mut out, char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
            }
        }
    }
    if high.is_some() {
        put(&mut out, char::REPLACEMENT_CHARACTER);
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn hex(rest: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let mut value = 0u32;
    for _ in 0..4 {
        let digit = char::from(rest.next()?).to_digit(16)?;
        value = (value << 4) | digit;
    }
    Some(value)
}
