//! The real `meshmeter` process over real HTTP.

mod auditing;
mod command;
mod durability;
mod ingest;
mod prices;
mod reading;
mod reconcile;
mod support;
