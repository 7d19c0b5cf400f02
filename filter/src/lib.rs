//! The proxy-wasm plugin: Envoy's callbacks in, hostcalls out. What a call used is found out in `meter`; what lives
//! here is only the wiring. Nothing in here may trap: a trap resets every stream of the worker.

#![allow(missing_docs)] // The SDK's macro exports a function without; everything of ours is private.
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

mod alias;
mod budgets;
mod caller;
mod destination;
mod envoy_version;
mod failures;
mod host;
mod include;
mod mark;
mod metrics;
mod plugin;
mod process;
mod publish;
mod redirected;
mod refusals;
mod refuse;
mod responders;
mod response_flags;
mod running;
mod shared;
mod stat_name;
mod stream;
#[cfg(test)]
mod tests;
#[cfg(feature = "trap")]
mod trap;
mod unmapped;
mod vm;
mod waiting;

use proxy_wasm::traits::RootContext;
use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|context_id| -> Box<dyn RootContext> { Box::new(plugin::Plugin::new(context_id)) });
}}
