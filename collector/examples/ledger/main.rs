//! What questions take of a large ledger: fills one through the rules that every event goes through, asks it what the command and
//! the page ask, and says how long each took. The last line is JSON.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

#[path = "../load/calls.rs"]
mod calls;
mod fill;
mod months;
mod server;

use calls::NS_PER_DAY;
use months::Months;
use server::Server;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How often each question is asked; the median counts.
const TIMES: usize = 3;

/// Fills a SQLite ledger and measures what questions take: reports of a month, a tenant's billing statement, the page's first
/// questions, and the collector's memory. The ledger stays in the directory, and is asked again if it is there.
#[derive(Parser)]
#[command(name = "bench-ledger")]
struct Args {
    /// Events of the ledger; each takes 2 to 3 KB of disk.
    #[arg(long, default_value_t = 50_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    entries: u64,
    /// Tenants, ten in each team.
    #[arg(long, default_value_t = calls::TENANTS, value_parser = clap::value_parser!(u64).range(1..))]
    tenants: u64,
    /// Over how many days before today the calls are spread.
    #[arg(long, default_value_t = 62, value_parser = clap::value_parser!(u64).range(32..=1100))]
    days: u64,
    /// Closes each month once it is filled and seals it to an archive beside the ledger, as a company would, but the last that
    /// is over: a call takes a fifth of the disk then.
    #[arg(long)]
    seal: bool,
    /// Also proves the ledger with `meshmeter verify`, and that reports read from sums and from entries say the same.
    #[arg(long)]
    verify: bool,
    /// The collector.
    #[arg(long, value_name = "FILE", env = "MESHMETER_COLLECTOR")]
    collector: PathBuf,
    /// Its price book.
    #[arg(long, value_name = "FILE", env = "MESHMETER_PRICES")]
    prices: PathBuf,
    /// Where the ledger is made.
    #[arg(long, value_name = "DIRECTORY")]
    dir: PathBuf,
}

fn main() -> Outcome<()> {
    let args = Args::parse();
    let database = args.dir.join("ledger.db");
    let mut figures = json!({"entries": args.entries, "tenants": args.tenants, "days": args.days});
    if !database.exists() {
        let mut months =
            args.seal.then(|| Months::new(&args.collector, &database, &args.dir.join("archive"), &month()));
        figures["fill"] = fill::fill(&database, &args.prices, args.entries, args.tenants, args.days, &mut months)?;
        if let Some(months) = months {
            figures["seal"] = months.done()?;
        }
    }
    let bytes = std::fs::metadata(&database)?.len();
    println!("{bytes} bytes, {} an event", bytes / args.entries);
    figures["bytes"] = json!(bytes);
    figures["commands"] = commands(&args, &database)?;
    figures["page"] = page(&args, &database)?;
    if args.verify {
        proven(&args, &database)?;
    }
    println!("{figures}");
    Ok(())
}

/// The last month that is over, within the days that are filled.
fn month() -> String {
    let first = Timestamp::now().to_zoned(TimeZone::UTC).date().first_of_month();
    first.yesterday().map_or_else(|_| String::new(), |day| day.strftime("%Y-%m").to_string())
}

/// What the command takes from its start to its end.
fn commands(args: &Args, database: &std::path::Path) -> Outcome<Value> {
    let month = month();
    let whole = ["--since", month.as_str(), "--until", month.as_str(), "--format", "csv"];
    let tenant = "team-0/service-0";
    let report =
        |by: &[&str]| [&["report"], &whole[..], by].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let statement: Vec<String> =
        ["statement", "--tenant", tenant, "--month", &month, "--format", "csv"].map(str::to_owned).into();
    let questions: [(&str, Vec<String>); 8] = [
        ("the month", report(&["--by", "month"])),
        ("the month by day", report(&["--by", "day"])),
        ("the month by model", report(&["--by", "model"])),
        ("the month by tenant", report(&["--by", "tenant"])),
        ("the month by tenant, the 10 largest", report(&["--by", "tenant", "--top", "10"])),
        ("the month of one tenant by day and model", report(&["--by", "day,model", "--tenant", tenant])),
        ("the month of one tenant by session", report(&["--by", "session", "--tenant", tenant])),
        ("a tenant's billing statement", statement),
    ];
    let mut figures = json!({});
    for (name, arguments) in questions {
        let mut lines = 0;
        figures[name] = timed(name, || {
            let output = run(args, database, &arguments)?;
            lines = output.lines().count();
            Ok(lines)
        })?;
    }
    Ok(figures)
}

fn run(args: &Args, database: &std::path::Path, arguments: &[String]) -> Outcome<String> {
    let output = Command::new(&args.collector).args(arguments).env("MESHMETER_DATABASE", database).output()?;
    if !output.status.success() {
        return Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// What the page's first questions take over HTTP, and the collector's memory before and after.
fn page(args: &Args, database: &std::path::Path) -> Outcome<Value> {
    let server = Server::start(&args.collector, &args.prices, database)?;
    let before = server.memory_kib("VmRSS");
    let now = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let since = now.checked_sub(jiff::Span::new().days(30))?;
    let when = format!("since={since}&until={now}&time_zone=UTC");
    // The longest way: a month of which half is to be read by day, and half of the one before, which is compared.
    let middle = now.first_of_month().checked_sub(jiff::Span::new().days(15))?;
    let halves = format!("since={}&until={middle}&time_zone=UTC", middle.first_of_month());
    let questions = [
        (
            "page: tenants, in the middle of a month",
            format!("/v1/report?{halves}&by=tenant&top=50&sort=charge&compare=true"),
        ),
        ("page: totals and bars", format!("/v1/report?{when}&by=day")),
        ("page: teams", format!("/v1/report?{when}&by=tenant:1&top=50&sort=charge&compare=true")),
        ("page: tenants", format!("/v1/report?{when}&by=tenant&top=50&sort=charge&compare=true")),
        ("page: models", format!("/v1/report?{when}&by=provider,model&top=50&sort=charge&compare=true")),
        ("page: bars of seven teams", {
            let teams: String = (0..7).map(|team| format!("&tenant=team-{team}")).collect();
            format!("/v1/report?{when}&by=day,tenant:1{teams}")
        }),
        ("page: one team", format!("/v1/report?{when}&by=tenant:2&top=50&sort=charge&compare=true&tenant=team-1")),
    ];
    let mut figures = json!({});
    for (name, path) in questions {
        figures[name] = timed(name, || server.get(&path))?;
    }
    let [rss, peak] = ["VmRSS", "VmHWM"].map(|what| server.memory_kib(what));
    println!("memory of the collector: {before} KiB before, {rss} KiB after, {peak} KiB at most");
    figures["memory_kib"] = json!({"before": before, "after": rss, "peak": peak});
    Ok(figures)
}

/// Asks some times, prints the median and the size of what came.
fn timed(name: &str, mut ask: impl FnMut() -> Outcome<usize>) -> Outcome<Value> {
    let mut times: Vec<Duration> = Vec::new();
    let mut size = 0;
    for _ in 0..TIMES {
        let begun = Instant::now();
        size = ask()?;
        times.push(begun.elapsed());
    }
    times.sort();
    let median = times[times.len() / 2].as_secs_f64() * 1000.0;
    println!("  {name}: {median:.0} ms ({size})");
    Ok(json!({"median_ms": median.round(), "size": size}))
}

/// The chain and the sums are right, and what is read from the sums is what the entries say.
fn proven(args: &Args, database: &std::path::Path) -> Outcome<()> {
    let text = |arguments: &[&str]| run(args, database, &arguments.iter().map(|&of| of.to_owned()).collect::<Vec<_>>());
    println!("{}", text(&["verify"])?.trim_end());
    let month = month();
    let whole = ["report", "--since", &month, "--until", &month, "--format", "csv", "--by"];
    for by in ["tenant", "day,model", "month"] {
        let sums = text(&[&whole[..], &[by]].concat())?;
        // A filter that every call passes, and that the sums do not have.
        let entries = text(&[&whole[..], &[by, "--filter", "emitter=*"]].concat())?;
        if sums != entries {
            return Err(format!("by {by}: sums and entries say different things").into());
        }
    }
    println!("reports from sums and from entries are the same");
    Ok(())
}

fn now_ns() -> Outcome<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?)
}

/// Midnight of today.
fn today_ns() -> Outcome<u64> {
    let now = now_ns()?;
    Ok(now - now % NS_PER_DAY)
}
