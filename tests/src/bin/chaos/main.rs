//! `just chaos`: every call exactly once, on real processes that are killed, cut off, slowed down and updated.

mod account;
mod fault;
mod holes;
mod ledger;
mod run;
mod seed;
mod show;
mod traffic;
mod world;

use std::{process::ExitCode, time::SystemTime};

use account::{Account, Figure};
use clap::Parser;
use e2e::{Result, command};
use fault::{Fault, schedule};
use run::{Plan, Without, run};

const CALLS: std::ops::RangeInclusive<u64> = 1000..=10_000_000;

/// Sends calls of many tenants through a real Envoy while the collector, the plugin and Envoy itself suffer every fault there
/// is, reads the journal back, and compares the ledger with what clients saw and the provider served, call by call.
///
/// Without --without, smaller control runs of both kinds follow. The last line is JSON.
#[derive(Parser)]
#[command(
    name = "chaos",
    bin_name = "just chaos",
    after_help = "Environment: MESHMETER_ENVOY, MESHMETER_WASM_TRAP, MESHMETER_COLLECTOR, MESHMETER_COLLECTOR_FORGETFUL name the \
                  binaries (`just chaos` sets them).\n\
                  Exit codes: 0 nothing lost and nothing charged twice, and the control runs show what they must; 1 otherwise, or \
                  something failed; 2 wrong use."
)]
struct Arguments {
    /// How many calls, 1000 to 10000000.
    #[arg(default_value = "100000", value_parser = calls)]
    calls: u64,
    /// Decides calls and faults; printed, so that a run can be repeated. Another one each time by default.
    #[arg(long, value_name = "N", default_value_t = another_seed(), hide_default_value = true)]
    seed: u64,
    /// Only a control run without this guard.
    #[arg(long, value_name = "GUARD")]
    without: Option<Without>,
}

fn main() -> ExitCode {
    command::run(|_: &Arguments| true, async |arguments| all(&arguments).await)
}

fn another_seed() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs() % 1_000_000)
}

/// A number of calls, which may have underscores.
fn calls(text: &str) -> std::result::Result<u64, String> {
    let number = text.replace('_', "").parse().ok().filter(|calls| CALLS.contains(calls));
    number.ok_or_else(|| format!("must be a number of calls from {} to {}", CALLS.start(), CALLS.end()))
}

async fn all(arguments: &Arguments) -> Result<()> {
    let Arguments { calls, seed, without } = *arguments;
    let figure = match without {
        Some(without) => control(without, Fault::ALL.to_vec(), calls, seed).await?,
        None => {
            let figure = experiment(calls, seed).await?;
            // Smaller ones, of what each must show.
            let calls = (calls / 10).clamp(1000, 5000);
            let (collector, envoy) = Fault::ALL.into_iter().partition(|fault| fault.is_at_the_collector());
            control(Without::Deduplication, collector, calls, seed).await?;
            control(Without::Journal, envoy, calls, seed).await?;
            figure
        }
    };
    println!("{}", serde_json::to_string(&figure)?);
    Ok(())
}

/// Everything at once: nothing may be lost or charged twice.
async fn experiment(calls: u64, seed: u64) -> Result<Figure> {
    show::note(&format!("{calls} calls, seed {seed}"));
    let rounds = 1 + calls / 20_000;
    let plan = Plan { calls, seed, faults: schedule(&Fault::ALL, rounds, seed), without: None };
    let account = run(&plan).await?;
    show::account(&account);
    let wrong: Vec<&String> = account.lost.iter().chain(&account.doubled).chain(&account.problems).collect();
    if !wrong.is_empty() {
        return Err(show::list("the ledger is wrong", &wrong).into());
    }
    Ok(account.figure)
}

/// The same without a guard: it must show.
async fn control(without: Without, kinds: Vec<Fault>, calls: u64, seed: u64) -> Result<Figure> {
    show::note(&format!("control run without {without}: {calls} calls, seed {seed}"));
    let plan = Plan { calls, seed, faults: schedule(&kinds, 1, seed), without: Some(without) };
    let account = run(&plan).await?;
    show::account(&account);
    let Account { figure, problems, .. } = account;
    match without {
        Without::Deduplication if figure.double_charged == 0 => {
            Err("without deduplication nothing was charged twice: the experiment proves nothing".into())
        }
        Without::Journal if figure.lost == 0 => {
            Err("without the journal nothing was lost: the experiment proves nothing".into())
        }
        _ if !problems.is_empty() => {
            Err(show::list("the control run is wrong", &problems.iter().collect::<Vec<_>>()).into())
        }
        _ => Ok(figure),
    }
}
