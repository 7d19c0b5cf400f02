//! The two changes that metering may make to a body, both only where the client would otherwise get no usage counted:
//! asking an OpenAI-style stream for its usage, and taking the extra response to that out again.
//!
//! Bytes are rewritten as they stream by. Nothing waits for the end of a body; what is not understood passes unchanged.

mod ask;
mod bar;
mod edit;
mod fault;
mod mention;
pub mod refusals;
mod withhold;

pub use ask::{Ask, Asking, ROOM};
pub use bar::changeable;
pub use edit::Change;
pub use mention::{Echo, Mention};
pub use withhold::Withhold;

/// The bytes of a text up to and with its closing quote, or the end; and whether it closed.
fn run_of_text(rest: &[u8], escape: &mut bool) -> (usize, bool) {
    let inside = crate::scan::inside(rest, *escape);
    *escape = inside.open_escape;
    (inside.length.saturating_add(usize::from(inside.closed)), inside.closed)
}

#[cfg(test)]
mod tests;
