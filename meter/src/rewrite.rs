//! The two changes that metering may make to a body, both only where the client would otherwise get no usage counted:
//! asking an OpenAI-style stream for its usage, and taking the extra answer to that out again.
//!
//! Bytes are rewritten as they stream by. Nothing waits for the end of a body; what is not understood passes unchanged.

mod ask;
mod withhold;

pub use ask::{Ask, Asking, ROOM};
pub use withhold::Withhold;

#[cfg(test)]
mod tests;
