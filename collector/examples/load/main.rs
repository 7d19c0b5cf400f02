//! How many events a collector acknowledges, and what a large ledger changes: starts a collector, measures over 1, 2, 4 and
//! 8 connections, fills the ledger by the same way, measures again, and asks for a month's report. The last line is JSON.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use serde_json::{Value, json};

mod calls;
mod sender;
mod server;

use calls::NS_PER_DAY;
use sender::{Senders, Sent};
use server::Server;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const CONNECTIONS: [usize; 4] = [1, 2, 4, 8];
/// How often the report is asked for; the median counts.
const REPORTS: usize = 5;

/// Measures how many events a second a collector acknowledges, each on the disk before it is acknowledged: over 1, 2, 4 and 8
/// connections, first on an empty ledger, then (with --fill) on a large one, of which a month's report is timed too.
#[derive(Parser)]
#[command(name = "bench-ingest")]
struct Args {
    /// The URL of a PostgreSQL database without a ledger, postgres://USER@HOST/DATABASE; a SQLite file of its own
    /// otherwise. What is made is removed at the end.
    #[arg(value_name = "DATABASE URL")]
    database: Option<String>,
    /// Fill the ledger with so many events (1,000 tenants, 20 models), one day after the other, and measure again.
    #[arg(long, value_name = "EVENTS", default_value_t = 0)]
    fill: u64,
    /// Over how many days the filled ledger is spread, up to now.
    #[arg(long, default_value_t = 31, value_parser = clap::value_parser!(u64).range(1..=366))]
    days: u64,
    /// How long each number of connections is measured.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Events in a request.
    #[arg(long, value_name = "EVENTS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1000))]
    batch: u64,
    /// The collector.
    #[arg(long, value_name = "FILE", env = "MESHMETER_COLLECTOR")]
    collector: PathBuf,
    /// Its price book.
    #[arg(long, value_name = "FILE", env = "MESHMETER_PRICES")]
    prices: PathBuf,
    /// An empty directory for what must be kept for a while.
    #[arg(long, value_name = "DIRECTORY")]
    dir: PathBuf,
}

fn main() -> Outcome<()> {
    let args = Args::parse();
    let mut server = Server::start(&args.collector, &args.prices, args.database.as_deref(), &args.dir)?;
    let mut senders = Senders::new(server.address(), *CONNECTIONS.iter().max().unwrap_or(&1), args.batch)?;

    println!("empty ledger, events acknowledged in batches of {}:", args.batch);
    let empty = measure(&mut senders, &server, args.seconds)?;
    let mut figures = json!({
        "database": if args.database.is_some() { "postgresql" } else { "sqlite" },
        "batch": args.batch,
        "empty": empty,
    });
    if args.fill > 0 {
        println!("filling, over all connections, each tenth or million of it:");
        figures["fill"] = fill(&mut senders, &server, args.fill, args.days)?;
        println!("ledger of {} events:", senders.acknowledged());
        figures["full"] = measure(&mut senders, &server, args.seconds)?;
    }
    figures["report"] = report(&server, senders.acknowledged(), args.days)?;
    let bytes = server.stop()?;
    let per_event = bytes as f64 / senders.acknowledged() as f64;
    println!("{} events take {bytes} bytes, {per_event:.0} each", senders.acknowledged());
    figures["events"] = json!(senders.acknowledged());
    figures["bytes"] = json!(bytes);
    figures["bytes_per_event"] = json!(per_event.round());
    println!("{figures}");
    Ok(())
}

/// Rates over each number of connections.
fn measure(senders: &mut Senders, server: &Server, seconds: u64) -> Outcome<Value> {
    let mut figures = json!({});
    for connections in CONNECTIONS {
        let cpu = server.cpu();
        let sent = senders.send_for(connections, Duration::from_secs(seconds), noon_ns()?)?;
        figures[connections.to_string()] = told(&format!("{connections} connections"), &sent, server, cpu);
    }
    Ok(figures)
}

/// Fills the ledger, one day after the other, and says after each million how fast that was.
fn fill(senders: &mut Senders, server: &Server, events: u64, days: u64) -> Outcome<Value> {
    let step = (events / 10).clamp(1, 1_000_000);
    let (begin, span) = (now_ns()? - days * NS_PER_DAY, days * NS_PER_DAY);
    let (mut done, mut steps, mut elapsed) = (0, Vec::new(), Duration::ZERO);
    while done < events {
        let cpu = server.cpu();
        let part = step.min(events - done);
        let time = |of: u64| begin + (u128::from(span) * u128::from(of) / u128::from(events)) as u64;
        let sent = senders.send_events(part, time(done), time(done + part))?;
        done += sent.events;
        elapsed += sent.elapsed;
        steps.push(told(&format!("{done} events"), &sent, server, cpu));
    }
    Ok(json!({"events": done, "seconds": elapsed.as_secs_f64().round(), "step": step, "steps": steps}))
}

/// Prints a rate, and what of the collector's CPU (as it was before) an event took.
fn told(what: &str, sent: &Sent, server: &Server, before: Option<Duration>) -> Value {
    let cpu = server.cpu().zip(before).map(|(after, before)| (after - before).as_micros() as f64 / sent.events as f64);
    let with_cpu = cpu.map_or(String::new(), |cpu| format!(", {cpu:.0} µs of the collector's CPU each"));
    println!("  {what}: {:.0} a second{with_cpu}", sent.rate());
    json!({"events_per_s": sent.rate().round(), "cpu_us_per_event": cpu.map(f64::round)})
}

/// How long the month's report by tenant takes, as the command that a user would give.
fn report(server: &Server, events: u64, days: u64) -> Outcome<Value> {
    let mut times = Vec::new();
    let mut lines = 0;
    for _ in 0..REPORTS {
        let (elapsed, report) = server.report(days)?;
        let calls: i64 =
            report["totals"].as_array().into_iter().flatten().filter_map(|total| total["calls"].as_i64()).sum();
        if u64::try_from(calls) != Ok(events) {
            return Err(format!("the report knows of {calls} calls, {events} were acknowledged").into());
        }
        lines = report["lines"].as_array().map_or(0, Vec::len);
        times.push(elapsed.as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    println!("the month's report by tenant, {lines} lines: {median:.0} ms");
    Ok(json!({"lines": lines, "median_ms": median.round(), "worst_ms": times.last().map(|worst| worst.round())}))
}

/// Noon of yesterday: around midnight a response is looked for on two days, and figures would depend on the hour.
fn noon_ns() -> Outcome<u64> {
    let now = now_ns()?;
    Ok(now - now % NS_PER_DAY - NS_PER_DAY / 2)
}

fn now_ns() -> Outcome<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?)
}
