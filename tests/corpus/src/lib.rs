//! A corpus: recordings of real responses, and beside them what a full parse says each call used.
//!
//! A directory with `index.jsonl` (where a response came from, how it was asked for), `truth.jsonl` (the counts) and
//! `bodies/`. Nothing here knows the meter: what it made of a recording comes as its event, in JSON, so that the meter
//! alone and the whole of it inside Envoy are measured by the same rule.

mod arguments;
mod compare;
mod money;
mod recording;
mod rows;
mod tally;
mod upstream;

pub use arguments::Arguments;
pub use compare::{Counts, Problem, compare};
pub use money::{Bill, Money, Verdict, is_commercial, record_differences, verdict};
pub use recording::{Corpus, Recording, Truth, exceptions};
pub use tally::{Progress, Tally};
pub use upstream::{Client, Served};

/// The project's own recordings.
pub fn own() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("recordings")
}

/// How a program of this kind ends: what failed stands on standard error.
pub fn exit(result: Result<()>) -> std::process::ExitCode {
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("corpus: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// Any failure, as a sentence that names the file.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// What this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
