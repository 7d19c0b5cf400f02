//! The format's own tables (RFC 7932, 5, 6 and 7.1).

/// What a symbol stands for: a base, and bits to add.
pub(super) type Extra = (u32, u8);

pub(super) const BLOCK_COUNTS: &[Extra] = &[
    (1, 2),
    (5, 2),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 3),
    (41, 3),
    (49, 4),
    (65, 4),
    (81, 4),
    (97, 4),
    (113, 5),
    (145, 5),
    (177, 5),
    (209, 5),
    (241, 6),
    (305, 6),
    (369, 7),
    (497, 8),
    (753, 9),
    (1265, 10),
    (2289, 11),
    (4337, 12),
    (8433, 13),
    (16625, 24),
];

/// How many literals are inserted.
pub(super) const INSERTS: &[Extra] = &[
    (0, 0),
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 1),
    (8, 1),
    (10, 2),
    (14, 2),
    (18, 3),
    (26, 3),
    (34, 4),
    (50, 4),
    (66, 5),
    (98, 5),
    (130, 6),
    (194, 7),
    (322, 8),
    (578, 9),
    (1090, 10),
    (2114, 12),
    (6210, 14),
    (22594, 24),
];

/// How many bytes are copied.
pub(super) const COPIES: &[Extra] = &[
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 1),
    (12, 1),
    (14, 2),
    (18, 2),
    (22, 3),
    (30, 3),
    (38, 4),
    (54, 4),
    (70, 5),
    (102, 5),
    (134, 6),
    (198, 7),
    (326, 8),
    (582, 9),
    (1094, 10),
    (2118, 24),
];

/// Where the codes of both begin, by the upper bits of a command.
pub(super) const CELLS: [(u16, u16); 11] =
    [(0, 0), (0, 8), (0, 0), (0, 8), (8, 0), (8, 8), (0, 16), (16, 0), (8, 16), (16, 8), (16, 16)];

/// What a byte says about the next one, in UTF-8 texts.
const AFTER_ASCII: [u8; 128] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 0, 0, 4, 0, 0, //
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
    8, 12, 16, 12, 12, 20, 12, 16, 24, 28, 12, 12, 32, 12, 36, 12, //
    44, 44, 44, 44, 44, 44, 44, 44, 44, 44, 32, 32, 24, 40, 28, 12, //
    12, 48, 52, 52, 52, 48, 52, 52, 52, 48, 52, 52, 52, 52, 52, 48, //
    52, 52, 52, 52, 52, 48, 52, 52, 52, 52, 52, 24, 12, 28, 12, 12, //
    12, 56, 60, 60, 60, 56, 60, 60, 60, 56, 60, 60, 60, 60, 60, 56, //
    60, 60, 60, 60, 60, 56, 60, 60, 60, 60, 60, 24, 12, 28, 12, 0, //
];

/// The context of a literal: by the mode of its block, and the bytes before it, the last first.
pub(super) fn context(mode: u8, (last, before): (u8, u8)) -> usize {
    let context = match mode {
        0 => last & 63,
        1 => last >> 2,
        2 => {
            let after = match last {
                0..128 => AFTER_ASCII.get(usize::from(last)).copied().unwrap_or_default(),
                128..192 => last & 1,
                _ => 2 | last & 1,
            };
            after | text_class(before)
        }
        _ => size_class(last) << 3 | size_class(before),
    };
    usize::from(context)
}

fn text_class(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => 3,
        b'0'..=b'9' | b'A'..=b'Z' | 208.. => 2,
        b'!'..=b'~' => 1,
        _ => 0,
    }
}

fn size_class(byte: u8) -> u8 {
    match byte {
        0 => 0,
        1..16 => 1,
        16..64 => 2,
        64..128 => 3,
        128..192 => 4,
        192..240 => 5,
        240..255 => 6,
        255 => 7,
    }
}
