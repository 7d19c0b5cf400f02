//! Traps on demand, for the test of what a trap costs. Only a build with the feature `trap` has it.
//!
//! Envoy then resets every stream of the worker and throws the VM away, with all that it held.

use std::cell::Cell;

use crate::host::HeaderMap;

/// The request header that asks for it: `request` traps at once, `response` with the next bytes of any response.
const HEADER: &str = "x-meshmeter-trap";

thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
}

/// A request has come.
pub fn on_request(headers: &HeaderMap) {
    match headers.get(HEADER) {
        Some(b"request") => std::process::abort(),
        Some(b"response") => ARMED.set(true),
        _ => {}
    }
}

/// Bytes of a response have come.
pub fn on_response() {
    if ARMED.get() {
        std::process::abort();
    }
}
