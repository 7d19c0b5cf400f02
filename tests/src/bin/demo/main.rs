//! `just demo`: calls of three tenants through a real Envoy, the bill, and the proof that it is right.

mod bill;
mod calls;
mod keep;
mod show;

use std::process::ExitCode;

use clap::{Parser, builder::RangedU64ValueParser};
use e2e::{
    Result, command,
    provider::Pace,
    stack::{Options, Stack},
};

/// Meters calls of three tenants on a real Envoy, prints what each owes, and checks it against what the provider served.
#[derive(Parser)]
#[command(
    name = "demo",
    bin_name = "just demo",
    after_help = "Environment: MESHMETER_ENVOY, MESHMETER_WASM, MESHMETER_COLLECTOR name the binaries (`just demo` sets them).\n\
                  Exit codes: 0 the ledger equals what the provider served, 1 it does not or something failed, 2 wrong use."
)]
struct Arguments {
    /// The same as --keep.
    #[arg(value_name = "up", value_parser = ["up"], hide_possible_values = true)]
    up: Option<String>,
    /// Stay running until Ctrl-C, and print what to try and where to look.
    #[arg(long)]
    keep: bool,
    /// How many calls, 1 to 5000.
    #[arg(long, value_name = "N", default_value_t = 48, value_parser = RangedU64ValueParser::<usize>::new().range(1..=5000))]
    calls: usize,
}

impl Arguments {
    fn keeps(&self) -> bool {
        self.keep || self.up.is_some()
    }
}

fn main() -> ExitCode {
    command::run(|arguments: &Arguments| !arguments.keeps(), async |arguments| run(&arguments).await)
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
    if arguments.keeps() {
        return keep::until_interrupted(stack).await;
    }
    stack.finish()
}
