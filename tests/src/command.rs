//! How the programs of this crate begin and end: `--help`, wrong use, an interrupt, and their exit codes.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::Result;

/// Runs a program with what it was given: nothing means that it was asked for help. SIGTERM ends it in order, and so does
/// Ctrl-C if nobody in it waits for that. 0: done; 1: failed; 2: wrong use.
pub fn run<A>(
    name: &str,
    help: &str,
    arguments: std::result::Result<Option<A>, String>,
    interruptible: impl FnOnce(&A) -> bool,
    program: impl AsyncFnOnce(A) -> Result<()>,
) -> ExitCode {
    let arguments = match arguments {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{help}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("{name}: {problem}\n\n{help}");
            return ExitCode::from(2);
        }
    };
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
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}
