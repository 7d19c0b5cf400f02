//! What a run says: a bar while it works, what it found, and at the end what it did.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Finding, Progress, Reached, Summary, Unmetered, Watch};
use crate::terminal::{self, printable};

/// Findings of a kind that a table names; JSON has them all.
const SHOWN: usize = 20;
/// Foreign lines that are named: a file may consist of them.
const FOREIGN_NAMED: u64 = 20;
/// Without a terminal a line says so often how far it is.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// How it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For the eye, at the end.
    Table,
    /// One line of JSON per finding as it is found, and the summary as the last.
    Json,
}

/// Prints what happens: results to one place, how far it is to standard error.
pub struct Output<W: Write> {
    out: W,
    format: Format,
    bar: Option<ProgressBar>,
    said: Instant,
    unmetered: Vec<Unmetered>,
    others: Vec<String>,
    failed: Option<io::Error>,
}

impl<W: Write> Output<W> {
    /// Results go to `out`.
    pub fn new(out: W, format: Format) -> Output<W> {
        Output { out, format, bar: None, said: Instant::now(), unmetered: Vec::new(), others: Vec::new(), failed: None }
    }

    /// Prints the end of it.
    pub fn finish(mut self, summary: &Summary) -> io::Result<()> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.format {
            // A wrong name, and nothing was done.
            Format::Table if summary.files == 0 => {}
            Format::Json => writeln!(self.out, "{}", serde_json::to_string(summary)?)?,
            Format::Table => self.out.write_all(terminal::lines(&self.table(summary)).as_bytes())?,
        }
        self.out.flush()
    }

    fn table(&self, summary: &Summary) -> String {
        let mut text = String::new();
        if !self.unmetered.is_empty() {
            let mut table = plain();
            table.set_header(["without a record", "status", "host", "path", "reached", "how it ended", "line"]);
            for call in &self.unmetered {
                let reached = match call.reached {
                    Reached::Yes => "yes",
                    Reached::Perhaps => "perhaps",
                    Reached::No => "no",
                };
                let status = call.status.to_string();
                let cells = [&call.time, &status, &call.host, &call.path, reached, &call.details, &call.at];
                table.add_row(cells.map(printable));
            }
            let all = summary.unmetered.saturating_add(summary.not_reached);
            text.push_str(&format!("{}\n{}\n", table.trim_fmt(), more(all, self.unmetered.len())));
        }
        for line in &self.others {
            text.push_str(line);
            text.push('\n');
        }
        if !self.others.is_empty() {
            let all = [summary.torn, summary.foreign.min(FOREIGN_NAMED), summary.too_long, summary.refused];
            text.push_str(&format!("{}\n", more(all.iter().sum(), self.others.len())));
        }
        let mut table = plain();
        for (name, count, meaning) in rows(summary) {
            table.add_row([name.to_owned(), count.to_string(), meaning.to_owned()]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        text.push_str(&format!("{}\n", table.trim_fmt()));
        text
    }

    fn write(&mut self, finding: &Finding) {
        if self.failed.is_none() {
            let line = serde_json::to_string(finding).map_err(io::Error::from);
            self.failed = line.and_then(|line| writeln!(self.out, "{}", terminal::json(&line))).err();
        }
    }
}

impl<W: Write> Watch for Output<W> {
    fn found(&mut self, finding: &Finding, summary: &Summary) {
        if matches!(finding, Finding::Foreign { .. }) && summary.foreign > FOREIGN_NAMED {
            return;
        }
        if self.format == Format::Json {
            self.write(finding);
            return;
        }
        match finding {
            Finding::Unmetered(call) if self.unmetered.len() < SHOWN => self.unmetered.push(call.clone()),
            Finding::Unmetered(_) => {}
            // Not many, and each matters.
            Finding::Broken { .. } => self.others.insert(0, told(finding)),
            _ if self.others.len() < SHOWN => self.others.push(told(finding)),
            _ => {}
        }
    }

    fn waits(&mut self, problem: &str) {
        match &self.bar {
            Some(bar) => bar.println(terminal::lines(&format!("meshmeter: {problem}"))),
            None => say(problem),
        }
    }

    fn progress(&mut self, at: Progress, summary: &Summary) {
        let message = || {
            let Summary { events, accepted, .. } = summary;
            format!("{events} events, {accepted} new in the ledger")
        };
        if terminal::is_watched() {
            let bar = self.bar.get_or_insert_with(|| bar(at.total));
            bar.set_position(at.read);
            bar.set_message(message());
        } else if self.said.elapsed() >= SAY_EVERY {
            self.said = Instant::now();
            let of = at.total.map(|total| format!(" of {total}")).unwrap_or_default();
            say(&format!("{}{of} bytes read, {}", at.read, message()));
        }
    }
}

fn say(text: &str) {
    terminal::complain(&format!("meshmeter: {text}"));
}

fn bar(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} {wide_msg}",
        None => "{spinner} {bytes} {bytes_per_sec} {wide_msg}",
    };
    let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn more(all: u64, shown: usize) -> String {
    match all.saturating_sub(shown as u64) {
        0 => String::new(),
        more => format!("… and {more} more (--format json names them)\n"),
    }
}

fn told(finding: &Finding) -> String {
    let text = match finding {
        Finding::Unmetered(call) => format!("{}: unmetered", call.at),
        Finding::Torn { at, id: Some(id) } => format!("{at}: a part is missing, of event {id}"),
        Finding::Torn { at, id: None } => format!("{at}: a part is missing"),
        Finding::Foreign { at } => format!("{at}: neither of a journal nor of an access log in JSON"),
        Finding::TooLong { at } => format!("{at}: longer than a line may be"),
        Finding::Broken { file, problem } => format!("{file}: not read to the end: {problem}"),
        Finding::Refused { id, problem } => format!("event {id}: the collector does not take it: {problem}"),
    };
    printable(&text)
}

/// What is always told, and what only if there is something to tell.
fn rows(summary: &Summary) -> Vec<(&'static str, u64, &'static str)> {
    let always = [
        ("files", summary.files, ""),
        ("lines", summary.lines, ""),
        ("events", summary.events, "in the files"),
        ("already there", summary.duplicates, "in the ledger, or more than once in the files"),
        ("sent", summary.sent, ""),
        ("accepted", summary.accepted, "new in the ledger"),
        ("emitters", summary.emitters, ""),
        ("emitters closed", summary.emitters_closed, "their numbers end with the journal"),
        ("unmetered calls", summary.unmetered, "to models, without a record"),
    ];
    let sometimes = [
        ("missing", summary.missing.saturating_sub(summary.sent), "in the ledger, not sent"),
        ("dead letters", summary.dead_letters, "quarantined by the collector as unreadable"),
        ("alarms", summary.alarms, "contradict the ledger, never charged"),
        ("refused", summary.refused, "the collector does not even keep them aside"),
        ("not reached", summary.not_reached, "calls without a record to which Envoy itself responded"),
        ("unknown", summary.unknown, "calls to models in lines without a field for a record: metered or not"),
        ("torn lines", summary.torn, "a part is missing"),
        ("foreign lines", summary.foreign, "neither of a journal nor of an access log in JSON"),
        ("long lines", summary.too_long, "passed over"),
    ];
    always.into_iter().chain(sometimes.into_iter().filter(|(_, count, _)| *count > 0)).collect()
}
