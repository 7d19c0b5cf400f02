//! Content codings: the bytes of a body as they stand on the wire to those that the provider meant.
//!
//! Any split of the input. What comes out is handed on in pieces and never held: beside a coding's window, and the one
//! block that zstd has to see whole, a decoder takes less than [`MAX_STATE`].

mod brotli;
mod deflate;
mod gzip;
mod hash;
mod window;
mod work;
mod zstd;

use brotli::Brotli;
use deflate::Deflate;
use gzip::Gzip;
use work::Work;
pub use work::{FREE_WORK, WORK_A_BYTE};
use zstd::Zstd;

/// Codings on top of each other that are undone; nobody uses more than one on purpose.
const MAX_LAYERS: usize = 2;
/// What a body may decode to, bytes. Responses of models stay below a hundredth of it; more is an attack or no response.
pub const MAX_OUTPUT: u64 = 256 * 1024 * 1024;
/// The work of handing on a piece, beside its bytes.
const PIECE: u64 = 16;
/// What one decoder takes beside its window, bytes.
pub const MAX_STATE: usize = 64 * 1024;

/// Takes what was decoded; says whether it wants more.
type Out<'a> = &'a mut dyn FnMut(&[u8]) -> bool;

/// Why decoding stops before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// It breaks the rules of its coding.
    Broken,
    /// It needs more than the bounds allow, or something beside the body.
    Unsupported,
    /// Nobody wants more.
    Full,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Where its codings let it end.
    Whole,
    /// In the middle.
    Cut,
    /// It broke the rules of a coding, or a checksum is wrong.
    Broken,
    /// It decodes to more than is read, or asks for more work than is done for so few bytes.
    TooLarge,
    /// A coding that is not known, a window that is too large, a dictionary, or no memory left for windows.
    Unsupported,
}

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`, `x-gzip`
    Gzip,
    /// `deflate`, inside zlib or alone
    Deflate,
    /// `br`
    Brotli,
    /// `zstd`
    Zstd,
}

impl Coding {
    fn parse(name: &[u8]) -> Option<Coding> {
        const NAMES: [(&[u8], Coding); 5] = [
            (b"gzip", Coding::Gzip),
            (b"x-gzip", Coding::Gzip),
            (b"deflate", Coding::Deflate),
            (b"br", Coding::Brotli),
            (b"zstd", Coding::Zstd),
        ];
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, coding)| *coding)
    }

    /// The largest memory that the coding's format itself needs to be decoded at all, bytes.
    pub const fn window(self) -> usize {
        match self {
            Coding::Gzip | Coding::Deflate => deflate::WINDOW,
            Coding::Brotli => 1 << brotli::MAX_WINDOW,
            Coding::Zstd => zstd::MAX_WINDOW + zstd::MAX_BLOCK,
        }
    }
}

/// Undoes the codings of one body.
#[derive(Debug, Default)]
pub struct Decoder {
    /// In the order they are undone.
    layers: [Option<Layer>; MAX_LAYERS],
    /// Bytes of the body so far.
    received: u64,
    work: Work,
    /// Why it came to an end.
    stopped: Option<Ending>,
}

/// One coding, and what came of it.
struct Layer {
    coding: Coding,
    /// Made when the first byte arrives.
    machine: Option<Machine>,
    produced: u64,
}

enum Machine {
    Gzip(Gzip),
    Deflate(Deflate),
    Brotli(Box<Brotli>),
    Zstd(Box<Zstd>),
}

impl Decoder {
    /// A decoder for what the header says; several headers are one, with commas between.
    pub fn new(content_encoding: Option<&[u8]>) -> Decoder {
        let mut decoder = Decoder::default();
        let names = content_encoding.unwrap_or_default().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        let mut layers = decoder.layers.iter_mut();
        // They are listed in the order they were applied.
        for name in names.rev().filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity")) {
            match (Coding::parse(name), layers.next()) {
                (Some(coding), Some(layer)) => *layer = Some(Layer { coding, machine: None, produced: 0 }),
                _ => decoder.stopped = Some(Ending::Unsupported),
            }
        }
        decoder
    }

    /// Whether bytes pass as they are.
    pub fn is_identity(&self) -> bool {
        self.stopped.is_none() && self.layers.iter().all(Option::is_none)
    }

    /// Whether every coding is known.
    pub fn is_supported(&self) -> bool {
        self.stopped != Some(Ending::Unsupported)
    }

    /// Whether more bytes can still say something.
    pub fn reads(&self) -> bool {
        self.stopped.is_none()
    }

    /// Bytes of the body; hands on what they say.
    pub fn feed(&mut self, bytes: &[u8], out: &mut dyn FnMut(&[u8])) {
        if self.stopped.is_some() || bytes.is_empty() {
            return;
        }
        self.received = self.received.saturating_add(bytes.len() as u64);
        self.work.allow(self.received);
        if let Err(ending) = undo(&mut self.layers, bytes, &self.work, out) {
            self.stop(ending);
        }
    }

    /// The work so far, in bytes decoded and what comes to the same: at most [`FREE_WORK`] and [`WORK_A_BYTE`] for each byte
    /// received.
    pub fn work(&self) -> u64 {
        self.work.spent()
    }

    /// The body is over, or nothing more of it is wanted; gives back the memory.
    pub fn end(&mut self) -> Ending {
        let whole = |layer: &Layer| layer.machine.as_ref().is_none_or(Machine::is_whole);
        let ending = if self.layers.iter().flatten().all(whole) { Ending::Whole } else { Ending::Cut };
        let ending = self.stopped.unwrap_or(ending);
        self.stop(ending);
        ending
    }

    fn stop(&mut self, ending: Ending) {
        self.stopped = Some(ending);
        self.layers.iter_mut().flatten().for_each(|layer| layer.machine = None);
    }
}

/// Undoes the first of the layers and hands what comes out to the others.
fn undo(layers: &mut [Option<Layer>], bytes: &[u8], work: &Work, out: &mut dyn FnMut(&[u8])) -> Result<(), Ending> {
    let Some((Some(layer), others)) = layers.split_first_mut() else {
        out(bytes);
        return Ok(());
    };
    let Layer { coding, machine, produced } = layer;
    let mut stopped = Ok(());
    let result = machine.get_or_insert_with(|| Machine::new(*coding)).feed(bytes, work, &mut |piece| {
        let room = work.left().min(MAX_OUTPUT.saturating_sub(*produced));
        let length = piece.len() as u64;
        *produced = produced.saturating_add(length);
        let kept = usize::try_from(room).ok().and_then(|room| piece.get(..room)).unwrap_or(piece);
        let paid = work.spend(length.saturating_add(PIECE));
        stopped = undo(others, kept, work, out);
        if paid.is_none() || kept.len() < piece.len() {
            stopped = stopped.and(Err(Ending::TooLarge));
        }
        stopped.is_ok()
    });
    stopped?;
    result.map_err(|stop| match stop {
        Stop::Broken if work.is_exhausted() => Ending::TooLarge,
        Stop::Broken if window::are_exhausted() => Ending::Unsupported,
        Stop::Broken => Ending::Broken,
        Stop::Unsupported => Ending::Unsupported,
        Stop::Full => Ending::TooLarge,
    })
}

impl Machine {
    fn new(coding: Coding) -> Machine {
        match coding {
            Coding::Gzip => Machine::Gzip(Gzip::new()),
            Coding::Deflate => Machine::Deflate(Deflate::new()),
            Coding::Brotli => Machine::Brotli(Box::new(Brotli::new())),
            Coding::Zstd => Machine::Zstd(Box::new(Zstd::new())),
        }
    }

    fn feed(&mut self, bytes: &[u8], work: &Work, out: Out<'_>) -> Result<(), Stop> {
        match self {
            Machine::Gzip(gzip) => gzip.feed(bytes, work, out),
            Machine::Deflate(deflate) => deflate.feed(bytes, work, out),
            Machine::Brotli(brotli) => brotli.feed(bytes, work, out),
            Machine::Zstd(zstd) => zstd.feed(bytes, work, out),
        }
    }

    fn is_whole(&self) -> bool {
        match self {
            Machine::Gzip(gzip) => gzip.is_whole(),
            Machine::Deflate(deflate) => deflate.is_whole(),
            Machine::Brotli(brotli) => brotli.is_whole(),
            Machine::Zstd(zstd) => zstd.is_whole(),
        }
    }
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layer").field("coding", &self.coding).field("produced", &self.produced).finish()
    }
}

#[cfg(test)]
mod tests;
