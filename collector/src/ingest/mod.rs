//! What becomes of a batch between its request and its response, as a state machine: no sockets, no threads, no clock.
//!
//! A [`request::Request`] begins with the head and ends with the whole body; it is refused, or becomes a batch. So does a
//! [`leases::Request`], of a worker that asks what it may spend. A [`writer::Writer`] takes what waits, commits it together, and
//! says who gets which response. `crate::serve`
//! drives both behind HTTP, the simulator in a world without any.

pub mod leases;
pub mod missing;
pub mod queue;
pub mod rate;
pub mod refusal;
pub mod request;
pub mod response;
pub mod room;
pub mod split;
pub mod writer;
