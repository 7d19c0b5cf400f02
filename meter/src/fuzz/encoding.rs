//! Content codings: any bytes decode alike in every split, within the bounds.

use super::splits;
use crate::encoding::{Decoder, FREE_WORK, WORK_A_BYTE};

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
        let work = decoder.work();
        (out, decoder.end(), work)
    });
    // How far a body gets that asks for more work than is done depends on the split; what it says until then does not.
    if single.2 <= FREE_WORK {
        assert_eq!((single.0, single.1), (whole.0, whole.1), "byte by byte");
        assert_eq!((pieces.0, pieces.1), (whole.0, whole.1), "in pieces");
    }
    let most = FREE_WORK + WORK_A_BYTE * body.len() as u64;
    for (out, _, work) in [whole, single, pieces] {
        assert!(out.length <= most, "{} bytes from {}", out.length, body.len());
        assert!(work <= most, "{work} from {}", body.len());
    }
}

/// What came out, as its length and a sum: bombs are not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
