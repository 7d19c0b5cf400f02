//! `just simulate`: runs schedules, shows one, or takes the guards away.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use simulate::arguments::Arguments;
use simulate::runner::{Total, Until, run_many};
use simulate::{Counts, Mutation, Violation, run};

fn main() -> ExitCode {
    let result = match Arguments::read() {
        Arguments::One { seed, trace, mutation } => one(seed, trace, mutation),
        Arguments::Mutations { bound } => mutations(bound),
        Arguments::Many { until, schedules, from, mutation } => {
            many(Arguments::until(until, schedules), from, mutation)
        }
    };
    // Whoever reads the output may have gone.
    if result.unwrap_or(true) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// One schedule: its world, its steps if they are wanted, and what it came to.
fn one(seed: u64, trace: bool, mutation: Option<Mutation>) -> std::io::Result<bool> {
    let outcome = run(seed, mutation, trace);
    let mut out = std::io::stdout().lock();
    if trace {
        writeln!(out, "{}", outcome.plan)?;
    }
    for line in &outcome.lines {
        writeln!(out, "{line}")?;
    }
    if let Some(violation) = &outcome.violation {
        tell(&mut out, seed, mutation, violation)?;
    }
    let held = outcome.violation.is_none();
    writeln!(
        out,
        "{{\"seed\":{seed},\"holds\":{held},\"trace\":\"{:016x}\",{}}}",
        outcome.hash,
        json(&outcome.counts)
    )?;
    Ok(held)
}

fn tell(out: &mut impl Write, seed: u64, mutation: Option<Mutation>, violation: &Violation) -> std::io::Result<()> {
    let without = mutation.map(|mutation| format!(" --mutate {}", mutation.word())).unwrap_or_default();
    writeln!(out, "seed {seed} breaks a law: {}", violation.law)?;
    writeln!(out, "  {}", violation.found)?;
    writeln!(out, "  its steps: just simulate --seed {seed} --trace{without}")
}

fn many(until: Until, from: Option<u64>, mutation: Option<Mutation>) -> std::io::Result<bool> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let first = from.unwrap_or(clock.as_secs() * 1_000_000);
    let begun = Instant::now();
    let told = Mutex::new(begun);
    let is_terminal = std::io::stderr().is_terminal();
    let progress = |total: &Total| {
        let every = Duration::from_millis(if is_terminal { 200 } else { 10_000 });
        let Ok(mut told) = told.try_lock() else { return };
        if told.elapsed() >= every {
            *told = Instant::now();
            let (begin, end) = if is_terminal { ("\r", " ") } else { ("", "\n") };
            let Counts { calls, crashes, kills, dropped, .. } = total.counts;
            let line = format!(
                "{} s: {} schedules, {calls} calls, {crashes} crashes, {kills} kills, {dropped} drops",
                begun.elapsed().as_secs(),
                total.schedules
            );
            let _ = write!(std::io::stderr(), "{begin}{line}{end}");
        }
    };
    let total = run_many(first, until, mutation, threads(), &progress);
    if is_terminal {
        let _ = writeln!(std::io::stderr());
    }
    let mut out = std::io::stdout().lock();
    if let Some((seed, violation)) = &total.broken {
        tell(&mut out, *seed, mutation, violation)?;
    }
    let seconds = begun.elapsed().as_secs_f64().max(0.001);
    let (schedules, per_second) = (total.schedules, (total.counts.calls as f64 / seconds) as u64);
    let held = total.broken.is_none();
    let counts = json(&total.counts);
    writeln!(
        out,
        "{{\"holds\":{held},\"from_seed\":{first},\"schedules\":{schedules},{counts},\"seconds\":{seconds:.1},\
         \"calls_per_second\":{per_second}}}"
    )?;
    Ok(held)
}

/// Takes away each guard in turn.
fn mutations(bound: u64) -> std::io::Result<bool> {
    let mut out = std::io::stdout().lock();
    let mut missed = 0;
    writeln!(out, "{:<28}{:>10}  the law that did not hold", "without the guard", "schedules")?;
    for mutation in Mutation::ALL {
        let total = run_many(1, Until::Schedules(bound), Some(*mutation), threads(), &|_| {});
        match total.broken {
            Some((seed, violation)) => writeln!(out, "{:<28}{seed:>10}  {}", mutation.word(), violation.law)?,
            None => {
                missed += 1;
                writeln!(out, "{:<28}{:>10}  not noticed", mutation.word(), "-")?;
            }
        }
    }
    writeln!(out, "{{\"mutations\":{},\"caught\":{}}}", Mutation::ALL.len(), Mutation::ALL.len() - missed)?;
    Ok(missed == 0)
}

fn json(counts: &Counts) -> String {
    let fields = counts.named().map(|(name, count)| format!("\"{name}\":{count}"));
    fields.join(",")
}
