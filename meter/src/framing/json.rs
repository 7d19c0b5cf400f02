//! JSON values: one, several behind each other (one a line or not), or those of one array.
//!
//! Providers stream an array element by element (Gemini) and objects line by line (Ollama, Cohere): each is a value of
//! its own, so that a cut stream still has all that came before the cut.

use super::{Pieces, Values};
use crate::scan::Progress;

/// Where the reader stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Json {
    shape: Shape,
    /// A value has begun and not ended.
    inside: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shape {
    #[default]
    Start,
    /// Values behind each other.
    Values,
    /// In an array at the root.
    Array,
    /// Behind that array.
    Closed,
    /// Behind something that is no JSON: nothing can be told apart any more.
    Lost,
}

impl Json {
    pub(super) fn is_array(self) -> bool {
        matches!(self.shape, Shape::Array | Shape::Closed)
    }

    /// Whether an array has not been closed.
    pub(super) fn is_open(self) -> bool {
        self.shape == Shape::Array
    }

    pub(super) fn feed<L: Copy, V: Values<L>>(&mut self, bytes: &[u8], pieces: &mut Pieces<'_, L, V>) {
        let mut rest = bytes;
        while let Some(&byte) = rest.first().filter(|_| self.shape != Shape::Lost) {
            if self.inside {
                let used = pieces.feed(rest);
                rest = rest.get(used..).unwrap_or_default();
                if pieces.reader.scanner.progress() == Progress::Done {
                    self.inside = false;
                    pieces.end();
                } else if pieces.reader.scanner.progress() == Progress::Broken {
                    pieces.reader.broken = true;
                    self.shape = Shape::Lost;
                }
                continue;
            }
            let skip = match (self.shape, byte) {
                (_, b' ' | b'\n' | b'\r' | b'\t') => true,
                (Shape::Start, b'[') => {
                    self.shape = Shape::Array;
                    true
                }
                (Shape::Start, _) => {
                    self.shape = Shape::Values;
                    false
                }
                (Shape::Array, b',') => true,
                (Shape::Array, b']') => {
                    self.shape = Shape::Closed;
                    true
                }
                (Shape::Array, _) | (Shape::Values, b'{' | b'[') => false,
                _ => {
                    pieces.reader.broken = true;
                    self.shape = Shape::Lost;
                    return;
                }
            };
            self.inside = !skip;
            if skip {
                rest = rest.get(1..).unwrap_or_default();
            }
        }
    }
}
