//! The end-to-end harness: a provider that responds like the real ones, a real Envoy, a real collector, a gate between
//! the two that can misbehave, and a client. Everything listens on loopback, on ports the system chooses, and stops
//! when it is dropped.

pub mod aws;
pub mod bootstrap;
pub mod client;
pub mod collector;
pub mod command;
pub mod doctor;
pub mod envoy;
pub mod event;
pub mod exchange;
pub mod expect;
pub mod fault;
pub mod fixture;
pub mod gate;
pub mod identity;
pub mod include_usage;
pub mod kafka;
pub mod lender;
pub mod live;
pub mod openmeter;
pub mod otel;
pub mod parts;
pub mod paths;
pub mod process;
pub mod prometheus;
pub mod promql;
pub mod provider;
pub mod ratelimit;
pub mod reading;
pub mod relay;
pub mod script;
pub mod siege;
pub mod stack;
pub mod statement;
pub mod strict;
pub mod tls;
pub mod traffic;
pub mod wait;
pub mod wire;

/// Any failure of the harness, as a sentence.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// What the harness returns.
pub type Result<T> = std::result::Result<T, Error>;
