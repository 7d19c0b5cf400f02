//! Bodies that ask for much work by few bytes, in each coding; the bench of decoders takes them too.

/// Writes bits, the lowest first.
#[derive(Default)]
pub struct Bits {
    bytes: Vec<u8>,
    held: u64,
    count: u32,
}

impl Bits {
    /// Adds the lowest `count` bits of a value.
    pub fn put(&mut self, value: u64, count: u32) -> &mut Self {
        self.held |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
        self
    }

    /// The bytes, zeros behind the last bit.
    pub fn end(&mut self) -> Vec<u8> {
        if self.count > 0 {
            self.put(0, 8 - self.count);
        }
        std::mem::take(&mut self.bytes)
    }
}

/// A body: what it tries, its coding, its bytes.
pub struct Hostile {
    pub name: &'static str,
    pub coding: &'static str,
    pub body: Vec<u8>,
}

const GZIP_HEAD: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\xff";

/// All of them, of about `size` bytes.
pub fn hostile(size: usize) -> Vec<Hostile> {
    let repeated = |head: &[u8], piece: &[u8]| {
        let mut body = head.to_vec();
        while body.len() < size {
            body.extend_from_slice(piece);
        }
        body
    };
    let member = [GZIP_HEAD, b"\x03\0\0\0\0\0\0\0\0\0"].concat();
    let zstd_head = b"\x28\xb5\x2f\xfd\0\x38";
    vec![
        Hostile { name: "empty members", coding: "gzip", body: repeated(b"", &member) },
        Hostile { name: "empty fixed blocks", coding: "gzip", body: repeated(GZIP_HEAD, &fixed_blocks()) },
        Hostile { name: "empty stored blocks", coding: "gzip", body: repeated(GZIP_HEAD, b"\0\0\0\xff\xff") },
        Hostile { name: "empty dynamic blocks", coding: "gzip", body: repeated(GZIP_HEAD, &dynamic_blocks()) },
        Hostile { name: "one long match", coding: "gzip", body: gzip_zeros(size) },
        Hostile {
            name: "members of one name",
            coding: "gzip",
            body: repeated(b"\x1f\x8b\x08\x08\0\0\0\0\0\xff", b"name"),
        },
        Hostile { name: "empty raw blocks", coding: "zstd", body: repeated(zstd_head, b"\0\0\0") },
        Hostile { name: "empty frames", coding: "zstd", body: repeated(b"", b"\x28\xb5\x2f\xfd\0\0\x01\0\0") },
        Hostile { name: "skippable frames", coding: "zstd", body: repeated(b"", b"\x50\x2a\x4d\x18\0\0\0\0") },
        Hostile { name: "repeated byte", coding: "zstd", body: repeated(zstd_head, &zstd_block(1, 128 << 10, b"x")) },
        Hostile { name: "one repeated byte", coding: "zstd", body: repeated(zstd_head, &zstd_block(1, 1, b"x")) },
        Hostile { name: "three copied bytes", coding: "zstd", body: repeated(&zstd_start(), &zstd_copies()) },
        Hostile { name: "tables", coding: "zstd", body: repeated(&zstd_start(), &zstd_tables()) },
        Hostile { name: "huffman codes", coding: "zstd", body: repeated(&zstd_start(), &zstd_codes()) },
        Hostile { name: "metadata", coding: "br", body: brotli_metadata(size) },
        Hostile { name: "plain bytes", coding: "br", body: brotli_plain(size) },
        Hostile { name: "long zeros", coding: "br", body: brotli_blocks(size, 1 << 24, &Symbols::COPY) },
        Hostile { name: "short copies", coding: "br", body: brotli_blocks(size, 1 << 24, &Symbols::SHORT) },
        Hostile { name: "single literals", coding: "br", body: brotli_blocks(size, 1 << 24, &Symbols::LITERALS) },
        Hostile { name: "small meta-blocks", coding: "br", body: brotli_blocks(size, 2, &Symbols::SHORT) },
        Hostile { name: "large codes", coding: "br", body: brotli_codes(size, 1) },
        Hostile { name: "many large codes", coding: "br", body: brotli_codes(size, 60) },
        Hostile { name: "block switches", coding: "br", body: brotli_switches(size) },
    ]
}

/// Four empty blocks in the fixed code: five bytes.
fn fixed_blocks() -> Vec<u8> {
    let mut bits = Bits::default();
    for _ in 0..4 {
        bits.put(0, 1).put(1, 2).put(0, 7);
    }
    bits.end()
}

/// Eight empty blocks, each with a code for the end and nothing else.
fn dynamic_blocks() -> Vec<u8> {
    let mut bits = Bits::default();
    for _ in 0..8 {
        // 257 lengths of literals, one of distances; codes of lengths for 18 (138 zeros), 0 and 1, in the order of the format.
        bits.put(0, 1).put(2, 2).put(0, 5).put(0, 5).put(14, 4);
        for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1] {
            bits.put(
                match symbol {
                    18 => 1,
                    0 | 1 => 2,
                    _ => 0,
                },
                3,
            );
        }
        // 18 is `0`, 0 is `10`, 1 is `11`: 138 and 118 zeros, a one, a zero.
        bits.put(0, 1).put(127, 7).put(0, 1).put(107, 7).put(3, 2).put(1, 2);
        // The end, by the one code there is.
        bits.put(0, 1);
    }
    bits.end()
}

fn gzip_zeros(size: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    for &byte in GZIP_HEAD {
        bits.put(byte.into(), 8);
    }
    // One block, a zero, then copies of 258 bytes that stand one back: eight bits and five each.
    bits.put(1, 1).put(1, 2).put(0b0000_1100, 8);
    for _ in 0..size * 8 / 13 {
        bits.put(0b1010_0011, 8).put(0, 5);
    }
    bits.end()
}

/// A block of a zstd frame: its kind, the size it names, its content.
fn zstd_block(kind: u32, size: u32, content: &[u8]) -> Vec<u8> {
    let mut block = (size << 3 | kind << 1).to_le_bytes()[..3].to_vec();
    block.extend_from_slice(content);
    block
}

/// A frame with something to copy.
fn zstd_start() -> Vec<u8> {
    [b"\x28\xb5\x2f\xfd\0\x38".as_slice(), &zstd_block(1, 128 << 10, b"x")].concat()
}

/// A block of 43,000 copies of three bytes that take no bit each: the codes of all lengths have one symbol.
fn zstd_copies() -> Vec<u8> {
    let count = 43_000u16 - 0x7f00;
    let mut content = vec![0, 255];
    content.extend_from_slice(&count.to_le_bytes());
    // Literal lengths, offsets, copy lengths: 0, the last offset, 3. With no literals the last but one is meant.
    content.extend_from_slice(&[0b0101_0100, 0, 0, 0, 1]);
    zstd_block(2, content.len() as u32, &content)
}

/// A block of one sequence with all the tables that need not be told.
fn zstd_tables() -> Vec<u8> {
    // One literal byte; one sequence. The bits, from their end: states of 6, 5 and 6 bits. Literal length 1, offset 1.
    let (literal, offset, copy) = (2u64, 0u64, 0u64);
    let mut bits = Bits::default();
    bits.put(0, 0).put(copy, 6).put(offset, 5).put(literal, 6).put(1, 1);
    let tail = bits.end();
    let content = [&[0b1000, b'x', 1, 0][..], &tail].concat();
    zstd_block(2, content.len() as u32, &content)
}

/// A block of one literal in a Huffman code of its own, of eleven bits.
fn zstd_codes() -> Vec<u8> {
    // Twelve symbols with the weights 1, 1, 2, … 10, the last follows: 11.
    let weights = [1u8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    let mut table = vec![127 + weights.len() as u8];
    for pair in weights.chunks(2) {
        table.push(pair[0] << 4 | pair.get(1).copied().unwrap_or(0));
    }
    // The last symbol has one bit, set.
    let coded = [&table[..], &[0b11]].concat();
    // Literals: one stream, one byte of it, so many coded. No sequences.
    let head = 2u32 | 1 << 4 | (coded.len() as u32) << 14;
    let content = [&head.to_le_bytes()[..3], &coded, &[0]].concat();
    zstd_block(2, content.len() as u32, &content)
}

/// Windows of 16 bits; meta-blocks that are metadata of no bytes.
fn brotli_metadata(size: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(0, 1);
    // Not the last, no nibbles, no bytes: then to the next byte.
    bits.put(0, 1).put(3, 2).put(0, 1).put(0, 2).put(0, 1);
    for _ in 1..size {
        bits.put(0, 1).put(3, 2).put(0, 1).put(0, 2).put(0, 2);
    }
    bits.end()
}

/// Meta-blocks of one byte as it is.
fn brotli_plain(size: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(0, 1);
    let mut held = 1;
    while bits.bytes.len() < size {
        bits.put(0, 1).put(0, 2).put(0, 16).put(1, 1);
        held = (held + 20) % 8;
        if held > 0 {
            bits.put(0, 8 - held);
        }
        held = 0;
        bits.put(b'x'.into(), 8);
    }
    bits.end()
}

/// The one symbol of a meta-block's commands, and with it what follows each: all of them take no bit.
pub struct Symbols {
    command: u64,
}

impl Symbols {
    /// No literal, the longest copy without extra bits (9), from the last distance.
    const COPY: Symbols = Symbols { command: 7 };
    /// No literal, a copy of two bytes from the last distance.
    const SHORT: Symbols = Symbols { command: 0 };
    /// One literal and a copy of two bytes.
    const LITERALS: Symbols = Symbols { command: 8 };
}

/// A code of one symbol.
fn one(bits: &mut Bits, symbol: u64, width: u32) {
    bits.put(1, 2).put(0, 2).put(symbol, width);
}

fn brotli_length(bits: &mut Bits, length: u64) {
    let nibbles = if length > 1 << 20 {
        6
    } else if length > 1 << 16 {
        5
    } else {
        4
    };
    bits.put(0, 1).put(nibbles - 4, 2).put(length - 1, nibbles as u32 * 4).put(0, 1);
}

/// A first byte as it is, so that there is something to copy.
fn brotli_start(bits: &mut Bits) {
    // Window, then a meta-block of four plain bytes: 1 + 20 bits, three to the next byte.
    bits.put(0, 1).put(0, 1).put(0, 2).put(3, 16).put(1, 1).put(0, 3);
    for _ in 0..4 {
        bits.put(b'x'.into(), 8);
    }
}

fn brotli_blocks(size: usize, length: u64, symbols: &Symbols) -> Vec<u8> {
    let mut bits = Bits::default();
    brotli_start(&mut bits);
    // Copies come out even.
    let each = match symbols.command {
        7 => 9,
        0 => 2,
        _ => 3,
    };
    let length = (length / each).max(1) * each;
    while bits.bytes.len() < size {
        brotli_length(&mut bits, length);
        // One block type of each kind, no postfix, no context, one code of each kind.
        bits.put(0, 3).put(0, 6).put(0, 2).put(0, 2);
        one(&mut bits, b'y'.into(), 8);
        one(&mut bits, symbols.command, 10);
        one(&mut bits, 0, 6);
    }
    bits.end()
}

/// Meta-blocks of two bytes with as many codes of 256 literals of all lengths.
fn brotli_codes(size: usize, codes: u64) -> Vec<u8> {
    let mut bits = Bits::default();
    brotli_start(&mut bits);
    while bits.bytes.len() < size {
        brotli_length(&mut bits, 2);
        bits.put(0, 3).put(0, 6).put(0, 2);
        if codes == 1 {
            bits.put(0, 1);
        } else {
            // So many codes: width, then what is above the power of two. No runs; a map of 64 zeros.
            let log = 63 - (codes - 1).leading_zeros() as u64;
            bits.put(1, 1).put(log, 3).put(codes - 1 - (1 << log), log as u32).put(0, 1);
            let width = 64 - (codes - 1).leading_zeros();
            one(&mut bits, 0, width);
            bits.put(0, 1);
        }
        bits.put(0, 1);
        for _ in 0..codes {
            long_code(&mut bits);
        }
        one(&mut bits, 0, 10);
        one(&mut bits, 0, 6);
    }
    bits.end()
}

/// A code of literals with lengths up to 15: fourteen single ones, and two of the longest.
fn long_code(bits: &mut Bits) {
    // The lengths 1 to 15 by codes of four bits each, 0 by none: sixteen codes of the same length fill the space.
    bits.put(0, 2);
    let order = [1u64, 2, 3, 4, 0, 5, 17, 6, 16, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    // Length 4 is `01` in the code of the lengths of lengths, 0 is `00`.
    let used = |symbol: u64| (1..=15).contains(&symbol) || symbol == 17;
    for symbol in order {
        bits.put(if used(symbol) { 1 } else { 0 }, 2);
    }
    // Canonical: 1 is 0, … 15 is 14, 17 is 15; read from the highest bit on.
    let code = |length: u64| (length - 1).reverse_bits() >> 60;
    for length in 1..=15 {
        bits.put(code(length), 4);
    }
    bits.put(code(15), 4);
}

/// One meta-block whose every literal, command and distance begins a block of its own, by codes that take no bit.
fn brotli_switches(size: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    brotli_start(&mut bits);
    while bits.bytes.len() < size {
        brotli_length(&mut bits, (1 << 24) / 3 * 3);
        for _ in 0..3 {
            // Two types: codes of types (4 symbols) and of counts (26), each of one symbol. The first count: 1.
            bits.put(1, 1).put(0, 3);
            one(&mut bits, 1, 2);
            one(&mut bits, 0, 5);
            bits.put(0, 2);
        }
        // Two context modes, one code of literals and distances each, two of commands.
        bits.put(0, 6).put(0, 2).put(0, 2).put(0, 1).put(0, 1);
        one(&mut bits, b'y'.into(), 8);
        one(&mut bits, 136, 10);
        one(&mut bits, 136, 10);
        one(&mut bits, 0, 6);
    }
    bits.end()
}
