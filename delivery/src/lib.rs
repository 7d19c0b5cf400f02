//! Delivery: how events get from a worker of the proxy to the collector, in order and until each is acknowledged.
//!
//! Sans-IO: a [`Delivery`] makes no hostcall and reads no clock. The proxy's callbacks and the time come in as arguments;
//! out come [`Action`]s, and how often to tick. What only the proxy knows is an action whose result is fed back: the
//! token of a dispatch, or why there is none, and the data that the VMs of one process share.
//!
//! The plugin drives it inside Envoy, the simulator in a world where a seed decides what goes wrong.
//!
//! ```
//! use delivery::{Action, Delivery, Response};
//! use wire::emitter::EmitterKey;
//!
//! let config = meter::config::parse(br#"{"collector": {"cluster": "collector"}}"#)?;
//! let mut delivery = Delivery::new(EmitterKey::new(0x5eed, 1), 2, &config);
//! let tick_ms = delivery.configure(1, &config);
//! let encode = |record: &&str, emitter: &str, sequence| format!(r#"{{"id":"{emitter}-{sequence}",{record}}}"#).into_bytes();
//! let emitted = delivery.emit(0, &[r#""tokens":7"#], true, encode, |journal| assert!(journal.ends_with(b"-1\",\"tokens\":7}")));
//! assert!(emitted[0].is_queued);
//!
//! // A driver: this one's proxy has no shared data, and takes every dispatch.
//! let mut sent = 0;
//! let mut drive = |delivery: &mut Delivery| {
//!     while let Some(action) = delivery.poll() {
//!         match action {
//!             Action::Dispatch { batch, .. } => {
//!                 sent += batch.events;
//!                 delivery.dispatched(Ok(7));
//!             }
//!             Action::Read { .. } => delivery.read(Ok(None)),
//!             Action::Write { .. } => delivery.written(delivery::Written::Failed),
//!             Action::Settled(outcome) => assert_eq!(outcome.settled.acknowledged, 1),
//!             Action::Done | Action::NotHandedOff { .. } => {}
//!         }
//!     }
//! };
//! drive(&mut delivery);
//! delivery.tick(1000, 1);
//! drive(&mut delivery);
//! delivery.respond(1010, 1, 7, Response { status: Some(200), ..Response::default() });
//! drive(&mut delivery);
//! assert_eq!((sent, delivery.is_idle()), (1, true));
//! # Ok::<(), meter::config::Problems>(())
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

#[cfg(test)]
#[macro_use]
extern crate cases;

mod action;
mod batch;
mod handoff;
mod jitter;
pub mod lease;
mod outbox;
mod response;
mod settings;
mod worker;

pub use action::{Action, Outcome, SharedValue, Unavailable, Written};
pub use batch::{Batch, Settled, lease_headers};
pub use response::Response;
pub use worker::{Delivery, Emitted};
