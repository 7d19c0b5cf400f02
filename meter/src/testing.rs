//! Test support: one set of cases, run natively and in a WebAssembly VM.

/// Declares tests that run as `#[test]` natively and under wasm-bindgen-test in a WebAssembly VM.
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
