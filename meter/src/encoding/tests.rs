use super::*;

/// A small response, and the same in every coding (zstd with a checksum, its blocks with sequences).
const PLAIN: &[u8] = include_bytes!("samples/response.sse");
const SAMPLES: [(&[u8], &[u8]); 6] = [
    (b"gzip", include_bytes!("samples/response.sse.gz")),
    (b"X-GZIP", include_bytes!("samples/members.gz")),
    (b"deflate", include_bytes!("samples/response.sse.zlib")),
    (b"DEFLATE", include_bytes!("samples/response.sse.deflate")),
    (b"br", include_bytes!("samples/response.sse.br")),
    (b"zstd", include_bytes!("samples/response.sse.zst")),
];

fn decode<'a>(coding: &[u8], chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Ending) {
    let mut decoder = Decoder::new(Some(coding));
    let mut plain = Vec::new();
    for chunk in chunks {
        decoder.feed(chunk, &mut |piece| plain.extend_from_slice(piece));
    }
    (plain, decoder.end())
}

/// What comes out of zeros, as far as it is let out.
fn count<'a>(coding: &[u8], chunks: impl IntoIterator<Item = &'a [u8]>) -> (u64, Ending) {
    let mut decoder = Decoder::new(Some(coding));
    let mut made = 0;
    for chunk in chunks {
        decoder.feed(chunk, &mut |piece| made += piece.len() as u64);
    }
    (made, decoder.end())
}

/// A zstd frame of 1 GiB of zeros: blocks that are one byte, repeated.
fn zstd_bomb() -> Vec<u8> {
    let block = (128u32 << 10 << 3) | 2;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x38];
    for _ in 0..8192 {
        frame.extend_from_slice(&block.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame.extend_from_slice(&[1, 0, 0]);
    frame
}

cases! {
    fn deterministic_every_split_decodes_alike() {
        for (coding, body) in SAMPLES {
            let name = String::from_utf8_lossy(coding);
            assert_eq!(decode(coding, [body]), (PLAIN.to_vec(), Ending::Whole), "{name}");
            for size in [1, 2, 3, 7, 100] {
                assert_eq!(decode(coding, body.chunks(size)), (PLAIN.to_vec(), Ending::Whole), "{name} by {size}");
            }
            for at in 0..body.len() {
                let (head, tail) = body.split_at(at);
                assert_eq!(decode(coding, [head, tail]), (PLAIN.to_vec(), Ending::Whole), "{name} at {at}");
            }
        }
    }

    fn contract_a_body_without_a_coding_passes_as_it_is() {
        for header in [None, Some(b"".as_slice()), Some(b" Identity , ,identity")] {
            let mut decoder = Decoder::new(header);
            assert!(decoder.is_identity() && decoder.is_supported() && decoder.reads());
            let (body, mut passed) = (PLAIN, false);
            decoder.feed(body, &mut |piece| passed = std::ptr::eq(piece, body));
            assert!(passed, "no copy");
            assert_eq!(decoder.end(), Ending::Whole);
        }
    }

    fn contract_lists_are_undone_from_their_end() {
        let twice: &[u8] = include_bytes!("samples/response.sse.gz.br");
        for list in ["gzip, br", "GZIP,identity,Br", "identity , x-gzip , br,"] {
            assert_eq!(decode(list.as_bytes(), twice.chunks(5)), (PLAIN.to_vec(), Ending::Whole), "{list}");
        }
        assert_eq!(decode(b"br, gzip", [twice]), (Vec::new(), Ending::Broken));
    }

    fn contract_unknown_codings_are_told_at_once() {
        for list in ["compress", "gzip, aws-chunked", "gzip;q=1", "gzip, gzip, gzip", "dcb"] {
            let mut decoder = Decoder::new(Some(list.as_bytes()));
            assert!(!decoder.is_supported() && !decoder.is_identity() && !decoder.reads(), "{list}");
            decoder.feed(PLAIN, &mut |_| panic!("{list} says nothing"));
            assert_eq!(decoder.end(), Ending::Unsupported, "{list}");
        }
    }

    fn contract_a_response_without_a_body_is_whole() {
        for (coding, _) in SAMPLES {
            assert_eq!(decode(coding, []), (Vec::new(), Ending::Whole));
        }
    }

    fn contract_what_is_cut_says_so_and_keeps_what_came_before() {
        for (coding, body) in SAMPLES {
            for end in 1..body.len() {
                let (plain, ending) = decode(coding, [&body[..end]]);
                let members = coding == b"X-GZIP" && ending == Ending::Whole;
                assert!(ending == Ending::Cut || members, "{coding:?} at {end}: {ending:?}");
                assert!(PLAIN.starts_with(&plain), "{coding:?} at {end}");
            }
        }
    }

    fn contract_bits_that_flip_do_no_harm_and_checksums_find_them() {
        for (coding, body) in SAMPLES {
            let checked = matches!(coding, b"gzip" | b"X-GZIP" | b"deflate" | b"zstd");
            for bit in 0..body.len() * 8 {
                let mut flipped = body.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let (plain, ending) = decode(coding, [flipped.as_slice()]);
                let split = decode(coding, flipped.chunks(3));
                assert_eq!(split, (plain.clone(), ending), "{coding:?} bit {bit}");
                assert!(!checked || ending != Ending::Whole || PLAIN.starts_with(&plain), "{coding:?} bit {bit}");
            }
        }
    }

    fn contract_what_stands_behind_the_end_is_not_read() {
        for (coding, body) in SAMPLES {
            let more = [body, b"\0\0 and more"].concat();
            assert_eq!(decode(coding, more.chunks(4)), (PLAIN.to_vec(), Ending::Whole), "{coding:?}");
        }
        let zstd = SAMPLES[5].1;
        let frames = [b"\x5f\x2a\x4d\x18\x03\0\0\0abc".as_slice(), zstd, b"\x50\x2a\x4d\x18\0\0\0\0", zstd].concat();
        assert_eq!(decode(b"zstd", frames.chunks(1)), ([PLAIN, PLAIN].concat(), Ending::Whole));
    }

    fn contract_every_part_of_a_gzip_head_is_skipped() {
        let mut body = b"\x1f\x8b\x08\x1f\0\0\0\0\0\x03\x05\0extraname\0comment\0\x12\x34".to_vec();
        body.extend_from_slice(&SAMPLES[0].1[10..]);
        assert_eq!(decode(b"gzip", body.chunks(1)), (PLAIN.to_vec(), Ending::Whole));
    }

    fn contract_windows_beyond_the_bounds_and_dictionaries_are_refused() {
        for (coding, head) in [
            (b"br".as_slice(), b"\x0d\x00\x00".as_slice()),
            (b"br", b"\x11\x19\x00"),
            (b"zstd", b"\x28\xb5\x2f\xfd\x00\x69\x01\0\0"),
            (b"zstd", b"\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\0\0\x01"),
            (b"zstd", b"\x28\xb5\x2f\xfd\x01\x38\x07\x01\0\0"),
        ] {
            assert_eq!(decode(coding, [head]), (Vec::new(), Ending::Unsupported), "{head:?}");
        }
    }

    fn contract_bombs_stop_at_the_cap() {
        let bomb = zstd_bomb();
        assert_eq!(count(b"zstd", bomb.chunks(100)).1, Ending::TooLarge);
        let first = &bomb[..16 * 1024];
        let (made, ending) = count(b"zstd", [first]);
        let most = FREE_WORK + WORK_A_BYTE * first.len() as u64;
        assert_eq!(ending, Ending::TooLarge);
        assert!((most / 10 * 9..=most).contains(&made), "{made}: a chunk's work is bounded");
    }

    fn contract_no_bytes_ask_for_more_work_than_is_allowed_for_their_number() {
        let size = 256 * 1024;
        for Hostile { name, coding, body } in hostile(size) {
            let mut decoder = Decoder::new(Some(coding.as_bytes()));
            for (index, piece) in body.chunks(16 * 1024).enumerate() {
                decoder.feed(piece, &mut |_| {});
                let most = FREE_WORK + WORK_A_BYTE * ((index as u64 + 1) * 16 * 1024);
                assert!(decoder.work() <= most, "{coding} {name}: {}", decoder.work());
            }
            // Whatever it tries is read as what it is: as a body that is cut, or as one that asks for too much.
            let work = decoder.work();
            let ending = decoder.end();
            assert!(matches!(ending, Ending::TooLarge | Ending::Cut | Ending::Whole | Ending::Unsupported), "{coding} {name}: {ending:?}");
            println!("{coding} {name}: {} a byte, {ending:?}", work / size as u64);
        }
    }

    fn contract_what_costs_tables_or_steps_without_bytes_is_given_up() {
        for (name, ending) in [
            // What is cheap passes, whatever it is for; what costs tables, or a step without a bit, does not.
            ("empty members", Ending::Whole), ("empty fixed blocks", Ending::Cut), ("empty stored blocks", Ending::Cut),
            ("empty dynamic blocks", Ending::TooLarge), ("repeated byte", Ending::TooLarge), ("three copied bytes", Ending::TooLarge),
            ("short copies", Ending::TooLarge), ("single literals", Ending::TooLarge),
            ("long zeros", Ending::TooLarge), ("block switches", Ending::TooLarge),
        ] {
            let body = hostile(1 << 18).into_iter().find(|body| body.name == name).unwrap();
            assert_eq!(decode(body.coding.as_bytes(), body.body.chunks(64 * 1024)).1, ending, "{name}");
        }
    }

    fn fidelity_a_long_stream_of_events_is_no_attack() {
        // As many events as a model's longest response has, each in a member or block of its own.
        let event = SAMPLES[0].1;
        for (coding, piece) in [(b"gzip".as_slice(), event), (b"zstd", SAMPLES[5].1)] {
            let (made, ending) = count(coding, std::iter::repeat_n(piece, 10_000));
            assert_eq!((made, ending), (10_000 * PLAIN.len() as u64, Ending::Whole), "{coding:?}");
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod encoders;
mod hostile;
use hostile::{Hostile, hostile};
