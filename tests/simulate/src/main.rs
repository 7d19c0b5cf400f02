//! `just simulate`: runs schedules, shows one, or takes the guards away.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use simulate::arguments::{Arguments, Task};
use simulate::budgets::Budgeting;
use simulate::runner::{Total, Until, run_many};
use simulate::{Counted, Delivering, Guard, Violation, World};

fn main() -> ExitCode {
    let result = match Arguments::read() {
        Arguments::Delivering(task) => perform::<Delivering>(task, &["calls", "crashes", "kills", "dropped"]),
        Arguments::Budgeting(task) => perform::<Budgeting>(task, &["calls", "admitted", "exhausted", "kills"]),
    };
    // Whoever reads the output may have gone.
    if result.unwrap_or(true) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `shown`: what is told while it runs.
fn perform<W: World>(task: Task<W::Mutation>, shown: &[&str]) -> std::io::Result<bool> {
    match task {
        Task::One { seed, trace, mutation } => one::<W>(seed, trace, mutation),
        Task::Mutations { bound } => mutations::<W>(bound),
        Task::Many { until, schedules, from, mutation } => {
            many::<W>(Arguments::until(until, schedules), from, mutation, shown)
        }
    }
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// One schedule: its world, its steps if they are wanted, and what it came to.
fn one<W: World>(seed: u64, trace: bool, mutation: Option<W::Mutation>) -> std::io::Result<bool> {
    let outcome = W::run(seed, mutation, trace);
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

fn tell(out: &mut impl Write, seed: u64, mutation: Option<impl Guard>, violation: &Violation) -> std::io::Result<()> {
    let without = mutation.map(|mutation| format!(" --mutate {}", mutation.word())).unwrap_or_default();
    writeln!(out, "seed {seed} breaks a law: {}", violation.law)?;
    writeln!(out, "  {}", violation.found)?;
    writeln!(out, "  its steps: just simulate --seed {seed} --trace{without}")
}

fn many<W: World>(
    until: Until,
    from: Option<u64>,
    mutation: Option<W::Mutation>,
    shown: &[&str],
) -> std::io::Result<bool> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let first = from.unwrap_or(clock.as_secs() * 1_000_000);
    let begun = Instant::now();
    let told = Mutex::new(begun);
    let is_terminal = std::io::stderr().is_terminal();
    let progress = |total: &Total<W::Counts>| {
        let every = Duration::from_millis(if is_terminal { 200 } else { 10_000 });
        let Ok(mut told) = told.try_lock() else { return };
        if told.elapsed() >= every {
            *told = Instant::now();
            let (begin, end) = if is_terminal { ("\r", " ") } else { ("", "\n") };
            let mut line = format!("{} s: {} schedules", begun.elapsed().as_secs(), total.schedules);
            for (name, count) in total.counts.named().iter().filter(|(name, _)| shown.contains(name)) {
                line += &format!(", {count} {name}");
            }
            let _ = write!(std::io::stderr(), "{begin}{line}{end}");
        }
    };
    let total = run_many::<W>(first, until, mutation, threads(), &progress);
    if is_terminal {
        let _ = writeln!(std::io::stderr());
    }
    let mut out = std::io::stdout().lock();
    if let Some((seed, violation)) = &total.broken {
        tell(&mut out, *seed, mutation, violation)?;
    }
    let seconds = begun.elapsed().as_secs_f64().max(0.001);
    let calls = total.counts.named().iter().find(|(name, _)| *name == "calls").map_or(0, |(_, calls)| *calls);
    let (schedules, per_second) = (total.schedules, (calls as f64 / seconds) as u64);
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
fn mutations<W: World>(bound: u64) -> std::io::Result<bool> {
    let mut out = std::io::stdout().lock();
    let mut missed = 0;
    writeln!(out, "{:<28}{:>10}  the law that did not hold", "without the guard", "schedules")?;
    let all = W::Mutation::ALL;
    for mutation in all {
        let total = run_many::<W>(1, Until::Schedules(bound), Some(*mutation), threads(), &|_| {});
        match total.broken {
            Some((seed, violation)) => writeln!(out, "{:<28}{seed:>10}  {}", mutation.word(), violation.law)?,
            None => {
                missed += 1;
                writeln!(out, "{:<28}{:>10}  not noticed", mutation.word(), "-")?;
            }
        }
    }
    writeln!(out, "{{\"mutations\":{},\"caught\":{}}}", all.len(), all.len() - missed)?;
    Ok(missed == 0)
}

fn json(counts: &impl Counted) -> String {
    let fields: Vec<String> = counts.named().into_iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
    fields.join(",")
}
