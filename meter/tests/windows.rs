//! Many compressed streams at once share one bound for their windows; a test of its own process, for the bound is the
//! process's.
#![cfg(not(target_arch = "wasm32"))]

use meter::encoding::{Decoder, Ending};

/// A decoder that has decoded a window full and holds it.
fn hold(encoded: &[u8]) -> (Decoder, usize) {
    let mut decoder = Decoder::new(Some(b"zstd"));
    let mut length = 0;
    decoder.feed(encoded, &mut |piece| length += piece.len());
    (decoder, length)
}

#[test]
fn contract_windows_of_all_streams_together_are_bounded() {
    let body = vec![b'x'; 8 << 20];
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(23).unwrap();
    std::io::copy(&mut body.as_slice(), &mut encoder).unwrap();
    let whole = encoder.finish().unwrap();
    // Without its last bytes a stream stays open, as one that is still arriving does.
    let open = &whole[..whole.len() - 1];
    let mut held: Vec<(Decoder, usize)> = (0..40).map(|_| hold(open)).collect();
    let reading = held.iter().filter(|(decoder, _)| decoder.reads()).count();
    assert!((28..=32).contains(&reading), "{reading} windows of 8 MiB within 256 MiB");
    let refused = held.iter_mut().find(|(decoder, _)| !decoder.reads()).unwrap();
    assert_eq!(refused.0.end(), Ending::Unsupported);
    drop(held);
    let (mut decoder, length) = hold(&whole);
    assert_eq!((decoder.end(), length), (Ending::Whole, body.len()), "memory that was given back serves again");
}
