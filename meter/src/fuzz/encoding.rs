//! Content codings: any bytes decode alike in every split, within the bounds.

use super::splits;
use crate::encoding::{Decoder, FREE_OUTPUT, MAX_RATIO};

/// Codings to try; an input's first byte chooses one.
const CODINGS: [&str; 6] = ["gzip", "deflate", "br", "zstd", "gzip, br", "identity"];

/// Decodes the bytes in every split.
pub fn encoding(bytes: &[u8]) {
    let Some((&first, body)) = bytes.split_first() else { return };
    let coding = CODINGS[usize::from(first) % CODINGS.len()];
    let [whole, single, pieces] = splits(body).map(|pieces| {
        let mut decoder = Decoder::new(Some(coding.as_bytes()));
        let mut out = Out::default();
        pieces.iter().for_each(|piece| decoder.feed(piece, &mut |plain| out.add(plain)));
        (out, decoder.end())
    });
    // How far a body gets that grows beyond the bounds depends on the split; what it says until then does not.
    if whole.0.length <= FREE_OUTPUT {
        assert_eq!(single, whole, "byte by byte");
        assert_eq!(pieces, whole, "in pieces");
    }
    let most = FREE_OUTPUT + MAX_RATIO * body.len() as u64;
    assert!(whole.0.length <= most, "{} bytes from {}", whole.0.length, body.len());
}

/// What came out, as its length and a sum: bombs are not kept.
#[derive(Debug, Default, PartialEq, Eq)]
struct Out {
    length: u64,
    sum: u64,
}

impl Out {
    fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.sum = bytes.iter().fold(self.sum, |sum, &byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    }
}
