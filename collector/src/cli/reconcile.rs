//! `meshmeter reconcile`: its arguments, and how it ends.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use collector::reconcile::{
    self, Address, Finding, Format, Named, Options, Output, Progress, ReconcileOptions, Summary, Watch,
};
use collector::terminal::{self, complain};

use super::args::{self, read};

/// How long a graceful shutdown may take: a collector may hang, and nobody may read what is printed.
const GRACE: Duration = Duration::from_secs(10);
/// How often a pause looks whether it shall end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Reads journals and access logs back: sends what the ledger is missing, and finds calls that passed unmetered.
///
/// Takes the journal (one event a line) and the access log in JSON with `meshmeter_record`, plain or gzip, also as Docker,
/// containerd or a log shipper wraps them. Running it again changes nothing. Give it only what Envoy alone writes: who can
/// write into these files can write into the ledger.
#[derive(Args)]
#[command(
    after_help = "SIGTERM and SIGINT end it in order: it says what it did, and whatever came from a pipe is sent before.\n\n\
    Exit codes: 0 done; 1 failed or interrupted, run it again; 2 wrong use; 3 done, and there are unmetered \
    calls, dead letters or alarms to look at."
)]
pub struct Reconcile {
    /// Journals and access logs; - is standard input. In a name that no shell has expanded * stands for any text.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where the collector listens: http://… or https://…
    #[arg(long, value_name = "URL")]
    collector: String,
    /// File with the certificates (PEM) that vouch for an https:// collector, instead of the public ones.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Environment variable that holds the journal token.
    #[arg(long, value_name = "NAME", default_value = "MESHMETER_JOURNAL_TOKEN")]
    journal_token_env: String,
    /// File with the journal token, instead of the variable.
    #[arg(long, value_name = "FILE")]
    journal_token_file: Option<PathBuf>,
    /// Send every event, so that the ledger compares it with what it has.
    #[arg(long)]
    all: bool,
    /// Envoy still writes these files: do not say that its numbers end here.
    #[arg(long)]
    live: bool,
    /// Do it again so many seconds after each run, until SIGTERM or SIGINT: for files that Envoy still writes, so only with
    /// --live. Names, tokens and files are read anew each time; files that are not there yet are waited for.
    #[arg(long, value_name = "SECONDS", requires = "live", value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,
    /// Only ask the ledger; change nothing.
    #[arg(long)]
    dry_run: bool,
    /// The plugin's configuration (JSON), if it names hosts of your own: which calls without a record were calls to models.
    #[arg(long, value_name = "FILE")]
    plugin_config: Option<PathBuf>,
    /// How long to try again when the collector does not respond.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    patience: u64,
    /// How to print it; json: a line for each finding, the last line is the summary.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub fn run(args: Reconcile) -> ExitCode {
    if args.every.is_some() && args.files.iter().any(|file| file.as_os_str() == "-") {
        complain("meshmeter: standard input cannot be read again: name files with --every");
        return ExitCode::from(2);
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    if let Err(error) = watch_signals(interrupted.clone()) {
        return fail(&format!("signals: {error}"));
    }
    let mut files = None;
    loop {
        let code = once(&args, &interrupted, &mut files);
        let Some(pause) = args.every else { return code };
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(pause) && !interrupted.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK_EVERY);
        }
        if interrupted.load(Ordering::Relaxed) {
            return ExitCode::SUCCESS;
        }
    }
}

/// One run. `before` is how many files the last one of several read.
fn once(args: &Reconcile, interrupted: &Arc<AtomicBool>, before: &mut Option<usize>) -> ExitCode {
    let files: Vec<Named> = args.files.iter().flat_map(|name| reconcile::expand(name)).collect();
    if args.every.is_some() {
        // A mistyped pattern would find nothing for ever.
        if before.replace(files.len()) != Some(files.len()) {
            complain(&format!("meshmeter: the names stand for {} files", files.len()));
        }
        if files.is_empty() {
            return ExitCode::SUCCESS;
        }
    }
    if files.is_empty() {
        let names: Vec<String> = args.files.iter().map(|name| terminal::file(name)).collect();
        return fail(&format!("{}: there is no such file", names.join(", ")));
    }
    let options = match options(args, files) {
        Ok(options) => options,
        Err(problem) => return fail(&problem),
    };
    let mut output = Output::new(terminal::out(), args.format);
    let (summary, result) = match args.every {
        None => reconcile::run(options, interrupted.clone(), &mut output),
        Some(_) => reconcile::run(options, interrupted.clone(), &mut Brief(&mut output)),
    };
    let printed = output.finish(&summary);
    match (result, printed) {
        (Err(problem), _) => fail(&problem),
        (Ok(()), Err(error)) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            fail(&format!("standard output: {error}"))
        }
        (Ok(()), _) if summary.needs_attention() => ExitCode::from(3),
        (Ok(()), _) => ExitCode::SUCCESS,
    }
}

/// Names no foreign lines: a proxy's own log is full of them, and each run meets them again.
struct Brief<'a>(&'a mut dyn Watch);

impl Watch for Brief<'_> {
    fn found(&mut self, finding: &Finding, summary: &Summary) {
        if !matches!(finding, Finding::Foreign { .. }) {
            self.0.found(finding, summary);
        }
    }

    fn waits(&mut self, problem: &str) {
        self.0.waits(problem);
    }

    fn progress(&mut self, at: Progress, summary: &Summary) {
        self.0.progress(at, summary);
    }
}

fn fail(problem: &str) -> ExitCode {
    complain(&format!("meshmeter: {problem}"));
    ExitCode::from(1)
}

fn options(args: &Reconcile, files: Vec<Named>) -> Result<Options, String> {
    let (name, config) = match &args.plugin_config {
        None => ("the default configuration".to_owned(), Vec::new()),
        Some(file) => (terminal::file(file), read(file)?),
    };
    let config = meter::config::parse(&config).map_err(|problems| format!("{name}: {problems}"))?;
    let token = args::token("the journal token", args.journal_token_file.as_deref(), &args.journal_token_env)?;
    let authorities = args.ca_file.as_deref().map(read).transpose()?;
    Ok(Options {
        files,
        address: Address { url: args.collector.clone(), token, authorities },
        patience: Duration::from_secs(args.patience),
        reconcile: ReconcileOptions { rules: config.detect, all: args.all, live: args.live, dry_run: args.dry_run },
    })
}

/// The first SIGINT or SIGTERM asks for a graceful shutdown, the second ends at once, and so does a shutdown that takes too long.
fn watch_signals(interrupted: Arc<AtomicBool>) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
            interrupted.store(true, Ordering::Relaxed);
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = tokio::time::sleep(GRACE) => {}
            }
            complain("meshmeter: interrupted, and did not shut down gracefully; run it again to continue");
            std::process::exit(1);
        });
    });
    Ok(())
}
