//! Pulls named values out of JSON bytes as they stream by: any split, no tree, fixed memory.
//!
//! A [`Paths`] table says which values are wanted. A [`Scanner`] walks the bytes, knows at every moment whether the
//! place it stands at can still lead to a wanted value, and skips what cannot in blocks. Objects and arrays off every
//! path are skipped by counting brackets: the scanner finds values, it does not validate what nobody asked for.

mod fold;
mod machine;
mod number;
mod paths;
mod skip;
mod text;
mod word;

pub(crate) use fold::is_alike;
pub use machine::Scanner;
pub use number::{Count, count, scaled};
pub use paths::{MAX_DEPTH, Paths, Rest};
pub use skip::is_same;
pub(crate) use skip::{inside, run};
pub(crate) use text::{Short, Unescape};
pub(crate) use word::word_length;

/// The longest scalar that is kept, bytes; of longer texts the beginning is kept, longer numbers are no counts.
pub const MAX_SCALAR: usize = 256;

/// A value that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// A number as written.
    Number(&'a [u8]),
    /// A text, unescaped, at most [`MAX_SCALAR`] bytes of it.
    Text(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// A number that is too long to be one.
    Overlong,
}

/// A piece of a text, escapes and all.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// How many escapes begin in it, if that is known and each takes two bytes.
    pub escapes: Option<usize>,
    /// It ends with the backslash of an escape that goes on. Not set where the escapes are not known.
    pub open_escape: bool,
}

impl<'a> Piece<'a> {
    /// One of whose escapes nothing is known.
    pub fn of(bytes: &'a [u8]) -> Self {
        Piece { bytes, escapes: None, open_escape: false }
    }
}

/// Takes what a scanner finds.
pub trait Sink<L> {
    /// Whether it is told where objects and arrays begin and end, and of names whose letters are in other cases.
    const MINDS_SHAPES: bool = false;
    /// An object or array begins at the place of a scalar that is wanted.
    fn began(&mut self, _leaf: L, _object: bool) {}
    /// A name is like that of a place that is wanted, but for the case of its letters. Some readers take it for that.
    fn alike(&mut self, _leaf: L) {}
    /// The name of the value that comes next has no place of its own, and is like what is wanted there.
    fn like(&mut self, _leaf: L, _name: &[u8]) {}
    /// An object or array has ended there, if something within it is wanted.
    fn ended(&mut self, _leaf: L) {}
    /// Whether a text at a wanted path would change nothing, now and later: then it is not made.
    fn skips(&self, _leaf: L) -> bool {
        false
    }
    /// A scalar at a wanted path. Texts and nulls that an event of a stream repeats from the one before are left out, if the
    /// whole event does: to say them again must change nothing.
    fn scalar(&mut self, leaf: L, value: Scalar<'_>);
    /// An object or array begins at a path that is wanted whole; its bytes follow.
    fn raw_begin(&mut self, leaf: L);
    /// In the middle of that begins one at another path that is wanted whole; its bytes are among those of the first.
    fn nested(&mut self, _leaf: L) {}
    /// Bytes of it, as they are.
    fn raw(&mut self, leaf: L, bytes: &[u8]);
    /// It has ended.
    fn raw_end(&mut self, leaf: L);
    /// A piece of a text that is wanted as it flows by.
    fn flow(&mut self, leaf: L, piece: Piece<'_>);
    /// A value has ended that says nothing, but for the text that flowed from it: a text without its quotes, a number or
    /// a literal. Not every such value is told of.
    fn passed(&mut self, _value: &[u8], _flow: Option<L>) {}
}

/// How far a scanner has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing but white space yet.
    Empty,
    /// In the middle of a value.
    Inside,
    /// One whole value has passed.
    Done,
    /// The bytes are not JSON.
    Broken,
}

#[cfg(test)]
mod tests;
