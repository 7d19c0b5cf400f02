//! `meshmeter top`.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use collector::doctor::collector::Target;
use collector::fetch::{self, Fetcher};
use collector::terminal;
use collector::top::read::Source;
use collector::top::rows::{By, Sort};
use collector::top::{self, Options, screen};

use super::args::Reading;
use super::{Failure, ended, print};

/// The size of a frame that is printed, where no terminal says another.
const SIZE: (u16, u16) = (160, 50);

/// Shows live usage and spend by tenant and model: today's sums (UTC), rates of the last minute, and what is left of budgets.
///
/// The head says how long the rates are of: less than a minute until it has been read for so long, and with --once the time between
/// its two readings.
///
/// It reads the report, the budgets and the metrics of a running collector. Budgets that cover a tenant in view come first, those
/// with the least left before others. The last line says what is wrong, in the words of `meshmeter doctor`, and which budgets are
/// spent, or nearly. An amount with a * leaves out something that has no price.
#[derive(Args)]
#[command(
    after_help = "Keys: q, Esc or Ctrl-C end it; s, r, t, c, n sort by spend, rate, tokens, calls, name; g groups by tenant and \
                        model, by tenant, by model; arrows, Page Up and Page Down scroll."
)]
pub struct Top {
    /// The collector.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = fetch::base)]
    collector: String,
    #[command(flatten)]
    reading: Reading,
    /// Only this tenant and what is below it.
    #[arg(long)]
    tenant: Option<String>,
    /// How often it is read. A collector that takes long is read less often.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
    /// What comes first.
    #[arg(long, value_enum, default_value_t = Order::Spend)]
    sort: Order,
    /// What tells rows apart.
    #[arg(long, value_enum, default_value_t = Group::Both)]
    group: Group,
    /// Print one frame after two readings, and end.
    #[arg(long)]
    once: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Order {
    /// The highest charge of the day.
    Spend,
    /// The most spent in the last minute.
    Rate,
    /// The most tokens.
    Tokens,
    /// The most calls.
    Calls,
    /// By name.
    Name,
}

#[derive(Clone, Copy, ValueEnum)]
enum Group {
    /// Tenant and model.
    Both,
    /// The tenant.
    Tenant,
    /// The model.
    Model,
}

pub fn run(args: Top) -> ExitCode {
    ended(show(args))
}

fn show(args: Top) -> Result<(), Failure> {
    let authorities = args.reading.authorities().map_err(Failure::Failed)?;
    let target = Target {
        url: args.collector,
        token: args.reading.token().map_err(Failure::Failed)?,
        fetcher: Fetcher::new(authorities.as_deref()).map_err(Failure::Failed)?,
    };
    let options = Options {
        source: Source::new(target, args.tenant),
        every: Duration::from_secs(args.every),
        by: match args.group {
            Group::Both => By::Both,
            Group::Tenant => By::Tenant,
            Group::Model => By::Model,
        },
        sort: match args.sort {
            Order::Spend => Sort::Spend,
            Order::Rate => Sort::Rate,
            Order::Tokens => Sort::Tokens,
            Order::Calls => Sort::Calls,
            Order::Name => Sort::Name,
        },
    };
    if args.once {
        let (frame, was_read) = top::once(options, SIZE);
        print(&without_gaps(&frame))?;
        return if was_read { Ok(()) } else { Err(Failure::failed("today's use could not be read")) };
    }
    if !terminal::is_interactive() {
        return Err(Failure::Failed("there is no terminal to draw on; --once prints a frame as text".to_owned()));
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    watch_signals(interrupted.clone()).map_err(|error| Failure::Failed(format!("signals: {error}")))?;
    screen::run(options, &interrupted).map_err(Failure::Failed)
}

/// SIGTERM, SIGHUP and SIGINT end it in order, so that the terminal is left as it was. Ctrl-C is no signal then, but a key.
fn watch_signals(interrupted: Arc<AtomicBool>) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate, mut hangup) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} _ = hangup.recv() => {} }
            interrupted.store(true, Ordering::Relaxed);
        });
    });
    Ok(())
}

/// The frame as text that nobody scrolls: of empty lines in a row one stays, and none has blanks at its end.
fn without_gaps(frame: &str) -> String {
    let mut text = String::new();
    let mut is_empty_before = false;
    for line in frame.lines().map(str::trim_end) {
        if !(line.is_empty() && is_empty_before) {
            text.push_str(line);
            text.push('\n');
        }
        is_empty_before = line.is_empty();
    }
    text
}
