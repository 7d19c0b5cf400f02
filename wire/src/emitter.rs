//! Who counts: an emitter has a name, numbers its records, and proves both with a key, a secret whose hash is its name.
//!
//! A token says who may send; many emitters share one. The key says whose numbers are sent: whoever has stolen a token
//! still cannot speak for an emitter that is not his.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::Invalid;

/// The request header that carries the key.
pub const KEY_HEADER: &str = "meshmeter-emitter-key";

/// Sequence numbers stay exact in any JSON reader.
pub const MAX_SEQUENCE: u64 = (1 << 53) - 1;

/// Whether a text can be an emitter's name: 32 lower-case hex digits.
pub fn is_emitter(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A secret of an emitter: 128 random bits, as 32 lower-case hex digits. Never logged, never part of an event.
#[derive(Clone, PartialEq, Eq)]
pub struct EmitterKey(String);

impl EmitterKey {
    /// The key of these bits.
    pub fn new(high: u64, low: u64) -> EmitterKey {
        EmitterKey(format!("{high:016x}{low:016x}"))
    }

    /// Reads the value of the header.
    pub fn parse(value: &[u8]) -> Result<EmitterKey, Invalid> {
        let text = std::str::from_utf8(value).ok().filter(|text| is_emitter(text));
        let problem = || Invalid::new(KEY_HEADER, "must be 32 lower-case hex digits");
        text.map(|text| EmitterKey(text.to_owned())).ok_or_else(problem)
    }

    /// What the header says.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// The emitter's name: the first 128 bits of the SHA-256 of the key's digits, as 32 lower-case hex digits.
    pub fn emitter(&self) -> String {
        let hash = u128::from_be_bytes(first(Sha256::digest(&self.0).into()));
        format!("{hash:032x}")
    }
}

impl fmt::Debug for EmitterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmitterKey(of {})", self.emitter())
    }
}

fn first(hash: [u8; 32]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = hash;
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

#[cfg(test)]
mod tests {
    use super::*;

    cases! {
        fn contract_the_name_is_the_hash_of_the_key_and_the_key_is_not_shown() {
            let key = EmitterKey::new(0, 0xabc);
            assert_eq!(key.secret(), "00000000000000000000000000000abc");
            // printf 00000000000000000000000000000abc | sha256sum
            assert_eq!(key.emitter(), "a23bee2b24db041e1c3d9748ab7ffa99");
            assert_eq!(EmitterKey::parse(key.secret().as_bytes()).unwrap(), key);
            assert!(!format!("{key:?}").contains(key.secret()));
            for bad in [&b""[..], b"00000000000000000000000000000ABC", b"0abc", &[0xff; 32]] {
                let problem = EmitterKey::parse(bad).unwrap_err().to_string();
                assert_eq!(problem, "meshmeter-emitter-key: must be 32 lower-case hex digits");
            }
        }
    }
}
