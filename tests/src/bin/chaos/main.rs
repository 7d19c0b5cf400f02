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
use e2e::{Result, command};
use fault::{Fault, schedule};
use run::{Plan, Without, run};

const HELP: &str = "\
Sends calls of many tenants through a real Envoy while the collector, the plugin and Envoy itself suffer every fault there
is, reads the journal back, and compares the ledger with what clients saw and the provider served, call by call.

Usage: chaos [CALLS] [--seed N] [--without deduplication|journal]

  CALLS         how many calls, 1000 to 10000000 [default: 100000]
  --seed N      decides calls and faults; printed, so that a run can be repeated [default: another one each time]
  --without deduplication
                only the control run in which the collector recognises nothing again: it must charge calls twice
  --without journal
                only the control run that does not read the journal back: it must lose calls, and know which
  --help        this text

Without --without, smaller control runs of both kinds follow. The last line is JSON.

Environment: MESHMETER_ENVOY, MESHMETER_WASM_TRAP, MESHMETER_COLLECTOR, MESHMETER_COLLECTOR_FORGETFUL name the binaries
(`just chaos` sets them).
Exit codes: 0 nothing lost and nothing charged twice, and the control runs show what they must; 1 otherwise, or something
failed; 2 wrong use.
";
const CALLS: std::ops::RangeInclusive<u64> = 1000..=10_000_000;

struct Arguments {
    calls: u64,
    seed: u64,
    without: Option<Without>,
}

fn main() -> ExitCode {
    let arguments = arguments(std::env::args().skip(1));
    command::run("chaos", HELP, arguments, |_| true, async |arguments| all(&arguments).await)
}

fn arguments(mut given: impl Iterator<Item = String>) -> std::result::Result<Option<Arguments>, String> {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs() % 1_000_000);
    let mut arguments = Arguments { calls: 100_000, seed, without: None };
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--seed" => {
                let number = given.next().and_then(|text| text.parse().ok());
                arguments.seed = number.ok_or("--seed: must be a whole number")?;
            }
            "--without" => {
                arguments.without = Some(match given.next().as_deref() {
                    Some("deduplication") => Without::Deduplication,
                    Some("journal") => Without::Journal,
                    _ => return Err("--without: must be deduplication or journal".to_owned()),
                });
            }
            "--help" | "-h" => return Ok(None),
            text => {
                let number = text.replace('_', "").parse().ok().filter(|calls| CALLS.contains(calls));
                let (least, most) = (CALLS.start(), CALLS.end());
                arguments.calls = number.ok_or(format!(
                    "{text}: must be --seed, --without, --help or a number of calls from {least} to {most}"
                ))?;
            }
        }
    }
    Ok(Some(arguments))
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
