//! How the programs of this crate begin and end: options, an interrupt, and their exit codes.

use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::Result;

/// Runs a program with what it was given; help and wrong use (2) end it before. SIGTERM ends it in order, and so does Ctrl-C if
/// nobody in it waits for that. 0: done; 1: failed.
pub fn run<A: Parser>(interruptible: impl FnOnce(&A) -> bool, program: impl AsyncFnOnce(A) -> Result<()>) -> ExitCode {
    let arguments = A::parse();
    let interruptible = interruptible(&arguments);
    let ended = tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| {
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::select! {
                result = program(arguments) => result,
                _ = terminate.recv() => Err("terminated".into()),
                _ = tokio::signal::ctrl_c(), if interruptible => Err("interrupted".into()),
            }
        })
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", A::command().get_name());
            ExitCode::FAILURE
        }
    }
}
