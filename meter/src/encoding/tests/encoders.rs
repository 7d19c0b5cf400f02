//! What real encoders make of any body, on all their levels.

use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::encoding::hash::crc32;

/// Set to have the samples written anew.
const WRITE: &str = "MESHMETER_WRITE_SAMPLES";

fn gzip(plain: &[u8], level: u8) -> Vec<u8> {
    let mut body = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    body.extend(miniz_oxide::deflate::compress_to_vec(plain, level));
    body.extend(crc32(0, plain).to_le_bytes());
    body.extend((plain.len() as u32).to_le_bytes());
    body
}

fn brotli(plain: &[u8], quality: i32, window: i32) -> Vec<u8> {
    let parameters = ::brotli::enc::BrotliEncoderParams { quality, lgwin: window, ..Default::default() };
    let mut body = Vec::new();
    ::brotli::BrotliCompress(&mut &plain[..], &mut body, &parameters).unwrap();
    body
}

/// Among the distances between flushes: none, and no checksum.
const UNCHECKED: usize = usize::MAX - 1;

fn zstd(plain: &[u8], level: i32, window: Option<u32>, sized: bool, flush: usize) -> Vec<u8> {
    let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), level).unwrap();
    encoder.include_checksum(flush != UNCHECKED).unwrap();
    if let Some(window) = window {
        encoder.window_log(window).unwrap();
    }
    if sized {
        encoder.set_pledged_src_size(Some(plain.len() as u64)).unwrap();
    }
    for piece in plain.chunks(flush.max(1)) {
        encoder.write_all(piece).unwrap();
        encoder.flush().unwrap();
    }
    encoder.finish().unwrap()
}

/// The samples that both the machine's and the WebAssembly tests read.
#[test]
fn deterministic_samples_are_what_the_encoders_make() {
    if std::env::var_os(WRITE).is_none() {
        return;
    }
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/encoding/samples");
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(directory.join(name), bytes).unwrap();
    let (head, tail) = PLAIN.split_at(PLAIN.len() / 3);
    write("response.sse.gz", gzip(PLAIN, 6));
    write("members.gz", [gzip(head, 9), gzip(b"", 0), gzip(tail, 1)].concat());
    write("response.sse.zlib", miniz_oxide::deflate::compress_to_vec_zlib(PLAIN, 6));
    write("response.sse.deflate", miniz_oxide::deflate::compress_to_vec(PLAIN, 6));
    write("response.sse.br", brotli(PLAIN, 9, 22));
    write("response.sse.gz.br", brotli(&gzip(PLAIN, 6), 5, 18));
    write("response.sse.zst", zstd(PLAIN, 19, None, false, usize::MAX));
}

/// English, and what else stands in a document.
const TEXT: &[u8] = include_bytes!("../../../../docs/performance.md");

/// Bodies of several kinds: text, repetitive as events, random, and in between.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "data: {\"choices\":[{\"delta\":{\"content\":\"",
        "\"}}]}\n\n",
        " the",
        "é",
        "0.123456",
        "x",
    ]);
    prop_oneof![
        (any::<prop::sample::Index>(), 1usize..3)
            .prop_map(|(from, times)| TEXT[from.index(TEXT.len())..].repeat(times)),
        prop::collection::vec(words, 0..3000).prop_map(|words| words.concat().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..40_000),
        prop::collection::vec(prop_oneof![9 => 0u8..4, 1 => any::<u8>()], 0..60_000),
        (any::<u8>(), 0usize..400_000).prop_map(|(byte, len)| vec![byte; len]),
        (prop::collection::vec(any::<u8>(), 1..200_000), 1usize..3).prop_map(|(once, times)| once.repeat(times)),
    ]
}

/// A case is several encoders at work on a long body.
fn properties() -> ProptestConfig {
    let config = cases::properties();
    ProptestConfig { cases: config.cases.div_ceil(4), ..config }
}

proptest! {
    #![proptest_config(properties())]

    #[test]
    fn deterministic_every_level_of_every_encoder_is_undone(
        plain in body(), level in 1i32..20, quality in 0i32..12, window in 10i32..23, log in prop::option::of(10u32..24),
        sized in any::<bool>(), flush in prop_oneof![Just(usize::MAX), 100usize..100_000], size in 1usize..5000,
    ) {
        let flush = flush.max(plain.len() / 50);
        let quality = if plain.len() > 50_000 { quality.min(9) } else { quality };
        let deflate = (level % 10) as u8;
        for (coding, body) in [
            ("gzip", gzip(&plain, deflate)),
            ("deflate", miniz_oxide::deflate::compress_to_vec_zlib(&plain, deflate)),
            ("deflate", miniz_oxide::deflate::compress_to_vec(&plain, deflate)),
            ("br", brotli(&plain, quality, window)),
            ("zstd", zstd(&plain, level, log, sized, flush)),
        ] {
            let (made, ending) = decode(coding.as_bytes(), body.chunks(size));
            prop_assert_eq!(ending, Ending::Whole, "{}", coding);
            prop_assert!(made == plain, "{} of {} bytes", coding, plain.len());
        }
    }

    #[test]
    fn contract_hostile_bytes_are_survived_and_split_alike(
        plain in body(), level in 1i32..20, flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 0..300), size in 1usize..2000,
    ) {
        let plain = &plain[..plain.len().min(20_000)];
        for (coding, head, mut body) in [
            ("gzip", 10, gzip(plain, (level % 10) as u8)),
            ("deflate", 2, miniz_oxide::deflate::compress_to_vec_zlib(plain, (level % 10) as u8)),
            ("br", 1, brotli(plain, level.min(11), 18)),
            ("zstd", 6, zstd(plain, level, None, false, usize::MAX)),
        ] {
            let noisy = [&body[..head.min(body.len())], noise.as_slice()].concat();
            for (at, value) in &flips {
                let at = at.index(body.len());
                body[at] ^= value;
            }
            body.truncate(cut.index(body.len() * 2 + 1));
            for body in [noise.clone(), noisy, body] {
                let coding = coding.as_bytes();
                let split = decode(coding, body.chunks(size));
                prop_assert!(decode(coding, [body.as_slice()]) == split, "{:?}", coding);
            }
        }
    }

    #[test]
    fn deterministic_damaged_bodies_decode_as_the_reference_decodes_them(
        plain in body(), level in 1i32..20, quality in 0i32..12, from in any::<prop::sample::Index>(), len in 1usize..3000,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u32..8), 1..4),
    ) {
        let start = from.index(plain.len() + 1);
        let plain = &plain[start..plain.len().min(start + len)];
        for (coding, mut body) in [("zstd", zstd(plain, level, None, false, UNCHECKED)), ("br", brotli(plain, quality, 22))] {
            // The window's bits stay: what is too large is refused here and not there.
            let first = if coding == "zstd" { 6 } else { 1 };
            let flips = if body.len() > first { flips.as_slice() } else { &[] };
            for (at, bit) in flips {
                let at = first + at.index(body.len() - first);
                body[at] ^= 1 << bit;
            }
            let reference = match coding {
                "zstd" => ::zstd::stream::decode_all(body.as_slice()).ok(),
                _ => {
                    let mut plain = Vec::new();
                    ::brotli::BrotliDecompress(&mut body.as_slice(), &mut plain).ok().map(|()| plain)
                }
            };
            let (made, ending) = decode(coding.as_bytes(), [body.as_slice()]);
            // libzstd does not look whether literals end where their bits do: what it takes may be refused here.
            let refused = coding == "zstd" && ending == Ending::Broken;
            prop_assert!(refused || (ending == Ending::Whole).then_some(made) == reference, "{} {:?}", coding, body);
        }
    }
}
