//! The checksums that codings end with: what was decoded is what was encoded.

/// CRC-32 as gzip has it: table `k` is what a byte does that stands `k` bytes before the end.
static CRC: [[u32; 256]; 8] = crc_tables();

#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "what is wrong in here does not compile")]
const fn crc_tables() -> [[u32; 256]; 8] {
    let mut tables = [[0u32; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

/// The checksum of what `crc` is the checksum of (0 of nothing) and `bytes`.
pub(super) fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    let at = |table: &[u32; 256], byte: u32| table.get((byte & 0xff) as usize).copied().unwrap_or_default();
    let [t0, t1, t2, t3, t4, t5, t6, t7] = &CRC;
    let mut crc = !crc;
    let (eights, rest) = bytes.as_chunks::<8>();
    for [a, b, c, d, e, f, g, h] in eights {
        let low = u32::from_le_bytes([*a, *b, *c, *d]) ^ crc;
        let high = u32::from_le_bytes([*e, *f, *g, *h]);
        crc = at(t7, low) ^ at(t6, low >> 8) ^ at(t5, low >> 16) ^ at(t4, low >> 24);
        crc ^= at(t3, high) ^ at(t2, high >> 8) ^ at(t1, high >> 16) ^ at(t0, high >> 24);
    }
    for &byte in rest {
        crc = at(t0, crc ^ u32::from(byte)) ^ (crc >> 8);
    }
    !crc
}

/// Adler-32 as zlib has it: of what `adler` is the checksum of (1 of nothing) and `bytes`.
pub(super) fn adler32(adler: u32, bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65521;
    let (mut low, mut high) = (adler & 0xffff, adler >> 16);
    // As many as 32 bits have room for.
    for piece in bytes.chunks(5552) {
        for &byte in piece {
            low = low.wrapping_add(byte.into());
            high = high.wrapping_add(low);
        }
        low %= MODULUS;
        high %= MODULUS;
    }
    high << 16 | low
}

/// XXH64 with seed 0, as zstd has it.
pub(super) struct XxHash64 {
    lanes: [u64; 4],
    held: [u8; 32],
    len: u64,
}

const P1: u64 = 0x9e37_79b1_85eb_ca87;
const P2: u64 = 0xc2b2_ae3d_27d4_eb4f;
const P3: u64 = 0x1656_67b1_9e37_79f9;
const P4: u64 = 0x85eb_ca77_c2b2_ae63;
const P5: u64 = 0x27d4_eb2f_1656_67c5;

impl XxHash64 {
    pub(super) fn new() -> Self {
        XxHash64 { lanes: [P1.wrapping_add(P2), P2, 0, 0u64.wrapping_sub(P1)], held: [0; 32], len: 0 }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let filled = (self.len % 32) as usize;
        self.len = self.len.wrapping_add(bytes.len() as u64);
        let mut bytes = bytes;
        if filled > 0 {
            let room = self.held.get_mut(filled..).unwrap_or_default();
            let size = room.len().min(bytes.len());
            let (piece, rest) = bytes.split_at_checked(size).unwrap_or_default();
            room.iter_mut().zip(piece).for_each(|(target, &byte)| *target = byte);
            bytes = rest;
            if filled.wrapping_add(size) < 32 {
                return;
            }
            let held = self.held;
            self.stripe(&held);
        }
        let (stripes, rest) = bytes.as_chunks::<32>();
        stripes.iter().for_each(|stripe| self.stripe(stripe));
        self.held.iter_mut().zip(rest).for_each(|(target, &byte)| *target = byte);
    }

    pub(super) fn finish(&self) -> u64 {
        let [a, b, c, d] = self.lanes;
        let mut hash = P5;
        if self.len >= 32 {
            hash = a.rotate_left(1).wrapping_add(b.rotate_left(7)).wrapping_add(c.rotate_left(12));
            hash = hash.wrapping_add(d.rotate_left(18));
            for lane in self.lanes {
                hash = (hash ^ round(0, lane)).wrapping_mul(P1).wrapping_add(P4);
            }
        }
        hash = hash.wrapping_add(self.len);
        let rest = self.held.get(..(self.len % 32) as usize).unwrap_or_default();
        let (eights, rest) = rest.as_chunks::<8>();
        for &eight in eights {
            hash = (hash ^ round(0, u64::from_le_bytes(eight))).rotate_left(27).wrapping_mul(P1).wrapping_add(P4);
        }
        let (fours, rest) = rest.as_chunks::<4>();
        for &four in fours {
            let four = u64::from(u32::from_le_bytes(four)).wrapping_mul(P1);
            hash = (hash ^ four).rotate_left(23).wrapping_mul(P2).wrapping_add(P3);
        }
        for &byte in rest {
            hash = (hash ^ u64::from(byte).wrapping_mul(P5)).rotate_left(11).wrapping_mul(P1);
        }
        hash = (hash ^ (hash >> 33)).wrapping_mul(P2);
        hash = (hash ^ (hash >> 29)).wrapping_mul(P3);
        hash ^ (hash >> 32)
    }

    fn stripe(&mut self, stripe: &[u8; 32]) {
        let (eights, _) = stripe.as_chunks::<8>();
        for (lane, &eight) in self.lanes.iter_mut().zip(eights) {
            *lane = round(*lane, u64::from_le_bytes(eight));
        }
    }
}

fn round(lane: u64, value: u64) -> u64 {
    lane.wrapping_add(value.wrapping_mul(P2)).rotate_left(31).wrapping_mul(P1)
}
