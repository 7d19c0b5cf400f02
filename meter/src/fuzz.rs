//! What must hold for any bytes: a function per part of the meter that panics where it does not.
//!
//! `just fuzz SECONDS` calls them from libFuzzer; the tests here call them with seeds and with random mutations of seeds.
//! To add one: a file beside this one, a line in [`TARGETS`], a target of one line in `tests/fuzz/targets/` and its
//! `[[bin]]` in `tests/fuzz/Cargo.toml`; seeds go into `tests/fuzz/seeds/meter/`.
// A promise that does not hold must panic: that is what a fuzzer looks for.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod encoding;
mod framing;
mod identity;
mod oracle;
mod provider;
mod rewrite;
mod scan;
#[cfg(not(target_arch = "wasm32"))]
pub mod smoke;

pub use encoding::encoding;
pub use framing::framing;
pub use identity::identity;
pub use provider::provider;
pub use rewrite::rewrite;
pub use scan::scan;

/// Takes any bytes, and panics where a promise does not hold for them.
pub type Function = fn(&[u8]);

/// Every fuzz function by the name of its target.
pub const TARGETS: &[(&str, Function)] = &[
    ("encoding", encoding),
    ("framing", framing),
    ("identity", identity),
    ("provider", provider),
    ("rewrite", rewrite),
    ("scan", scan),
];

/// The ways to cut bytes up that are tried: as one piece, byte by byte, and in pieces whose lengths follow from the
/// bytes, so that an input says all there is to know and any body can be one.
fn splits(bytes: &[u8]) -> [Vec<&[u8]>; 3] {
    let mut draw = Draw(seed(bytes));
    let (mut rest, mut pieces) = (bytes, Vec::new());
    while !rest.is_empty() {
        let most = 1 << draw.below(9);
        let (piece, behind) = rest.split_at(draw.below(most + 1).min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    [vec![bytes], bytes.chunks(1).collect(), pieces]
}

/// A number that any change of the bytes changes (FNV-1a).
pub fn seed(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Random numbers, the same for the same seed (xorshift64*).
#[derive(Clone, Debug)]
pub struct Draw(pub u64);

impl Draw {
    /// A number below the bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.max(1);
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize;
        high % bound.max(1)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
