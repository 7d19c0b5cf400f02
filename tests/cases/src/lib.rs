//! Test support: one set of cases, run natively and in a WebAssembly VM.

#![forbid(unsafe_code)]

/// Declares tests that run as `#[test]` natively and under wasm-bindgen-test, which the caller depends on, in a WebAssembly VM.
#[macro_export]
macro_rules! cases {
    ($($(#[$meta:meta])* fn $name:ident() $body:block)+) => {
        $(
            $(#[$meta])*
            #[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
            #[cfg_attr(not(target_arch = "wasm32"), test)]
            fn $name() $body
        )+
    };
}

/// Property tests draw the same cases in every run; `PROPTEST_CASES` asks for more of them.
#[cfg(not(target_arch = "wasm32"))]
pub fn properties() -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x6d65_7465_726d_6574),
        ..proptest::test_runner::Config::default()
    }
}
