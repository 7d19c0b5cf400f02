//! `just demo`: calls of three tenants through a real Envoy, the bill, and the proof that it is right.

mod bill;
mod calls;
mod keep;
mod show;

use std::process::ExitCode;

use e2e::{
    Result, command,
    provider::Pace,
    stack::{Options, Stack},
};

const HELP: &str = "\
Meters calls of three tenants on a real Envoy, prints what each owes, and checks it against what the provider served.

Usage: demo [up] [--calls N] [--keep]

  up, --keep   stay running until Ctrl-C, and print what to try and where to look
  --calls N    how many calls, 1 to 5000 [default: 48]
  --help       this text

Environment: MESHMETER_ENVOY, MESHMETER_WASM, MESHMETER_COLLECTOR name the binaries (`just demo` sets them).
Exit codes: 0 the ledger equals what the provider served, 1 it does not or something failed, 2 wrong use.
";
const MAX_CALLS: usize = 5000;

struct Arguments {
    calls: usize,
    keep: bool,
}

fn main() -> ExitCode {
    let arguments = arguments(std::env::args().skip(1));
    command::run("demo", HELP, arguments, |arguments| !arguments.keep, async |arguments| run(&arguments).await)
}

fn arguments(given: impl Iterator<Item = String>) -> std::result::Result<Option<Arguments>, String> {
    let mut arguments = Arguments { calls: 48, keep: false };
    let mut given = given.peekable();
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "up" | "--keep" => arguments.keep = true,
            "--calls" => {
                let number = given.next().and_then(|text| text.parse().ok()).filter(|n| (1..=MAX_CALLS).contains(n));
                arguments.calls = number.ok_or(format!("--calls: must be a whole number from 1 to {MAX_CALLS}"))?;
            }
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("{other}: unknown; allowed: up, --keep, --calls, --help")),
        }
    }
    Ok(Some(arguments))
}

async fn run(arguments: &Arguments) -> Result<()> {
    show::step("starting a provider, the collector and Envoy with two workers");
    let options = Options { pace: Pace::real(1.0), direct: true, ..Options::default() };
    let stack = Stack::with(options).await?;
    let plan = calls::plan(&stack, arguments.calls)?;
    show::step(&format!("sending {} calls of three tenants: JWT, SPIFFE certificate, trusted header", plan.len()));
    calls::send(&stack, &plan).await?;
    show::step("waiting for the ledger to have them all");
    let report = stack.settled(plan.len() as u64).await?;
    show::report(&stack)?;
    show::metrics(&stack).await?;
    show::access_log(&stack)?;
    match bill::check(&stack, &plan, &report) {
        Ok(verdict) => show::step(&verdict),
        // A wrong bill is no crash: the logs have nothing to say about it.
        Err(difference) => return stack.finish().and(Err(difference)),
    }
    if arguments.keep {
        return keep::until_interrupted(stack).await;
    }
    stack.finish()
}
