//! What a request is made of, as far as it matters here.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Before the root object.
    Start,
    /// A name or the end of the object.
    Name,
    InName,
    /// Behind a name.
    Colon,
    /// Before a value.
    Value,
    /// Inside a text, or a number or literal, of this level.
    Text,
    Word,
    /// Behind a value.
    After,
    /// Behind the root object.
    Done,
    /// Not understood: passed unchanged.
    Lost,
}

/// Where a name leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Stream,
    Options,
    IncludeUsage,
    /// One of those in another case: the same to some readers.
    Lookalike,
    Other,
}

/// What a member says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    True,
    /// `false` or `null`.
    Off,
    /// Something that readers may take for either.
    Odd,
}

/// Options that say nothing, and are written anew at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    Null,
    Empty,
}

/// Who asks, by the last options that were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Nobody,
    Client,
    Us,
}
