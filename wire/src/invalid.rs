//! Why something that was received cannot be read.

use std::fmt;

/// Why an event or a header was not taken: the field, the problem, what is allowed. Never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The field's path.
    pub field: String,
    /// The problem, and what is allowed.
    pub problem: String,
}

impl Invalid {
    pub(crate) fn new(field: &str, problem: impl Into<String>) -> Invalid {
        Invalid { field: field.to_owned(), problem: problem.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.problem) } else { write!(f, "{}: {}", self.field, self.problem) }
    }
}

impl std::error::Error for Invalid {}
