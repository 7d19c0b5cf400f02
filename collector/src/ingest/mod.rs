//! What becomes of a batch between its request and its response, as a state machine: no sockets, no threads, no clock.
//!
//! A [`request::Request`] begins with the head and ends with the whole body; it is refused, or becomes a batch. A
//! [`writer::Writer`] takes the batches that wait, commits them together, and says who gets which response. `crate::serve`
//! drives both behind HTTP, the simulator in a world without any.

pub mod missing;
pub mod rate;
pub mod refusal;
pub mod request;
pub mod response;
pub mod room;
pub mod split;
pub mod writer;
