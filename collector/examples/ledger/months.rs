//! Closes and seals months while those after them are filled.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::Instant;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::Outcome;

/// The months of a ledger that is filled in the order of time. One is sealed at a time, so that what waits for it is bounded.
pub struct Months {
    seal: Seal,
    /// The first month that stays in the database.
    keep: String,
    month: Option<Date>,
    running: Option<JoinHandle<Outcome<()>>>,
    sealed: u64,
    waited_s: f64,
}

#[derive(Clone)]
struct Seal {
    collector: PathBuf,
    database: PathBuf,
    archive: PathBuf,
}

impl Months {
    pub fn new(collector: &Path, database: &Path, archive: &Path, keep: &str) -> Months {
        let seal = Seal { collector: collector.into(), database: database.into(), archive: archive.into() };
        Months { seal, keep: keep.to_owned(), month: None, running: None, sealed: 0, waited_s: 0.0 }
    }

    /// Everything before this time is in the ledger.
    pub fn filled_to(&mut self, now_ns: u64) -> Outcome<()> {
        let now = Timestamp::from_nanosecond(i128::from(now_ns))?.to_zoned(TimeZone::UTC).date().first_of_month();
        let Some(over) = self.month.replace(now).filter(|&over| over != now) else { return Ok(()) };
        let name = |month: Date| month.strftime("%Y-%m").to_string();
        if name(over) < self.keep {
            let begun = Instant::now();
            self.wait()?;
            self.waited_s += begun.elapsed().as_secs_f64();
            self.sealed += 1;
            // Few events may pass more than one at once.
            let over: Vec<String> = over
                .series(1.month())
                .take_while(|month| *month < now)
                .map(name)
                .filter(|name| *name < self.keep)
                .collect();
            let (seal, now) = (self.seal.clone(), name(now).min(self.keep.clone()));
            self.running = Some(std::thread::spawn(move || seal.months(&over, &now)));
        }
        Ok(())
    }

    fn wait(&mut self) -> Outcome<()> {
        self.running.take().map_or(Ok(()), |running| running.join().map_err(|_| "sealing ended by a panic")?)
    }

    /// Once the last of them is sealed; the database is written anew without what was taken out.
    pub fn done(mut self) -> Outcome<Value> {
        self.wait()?;
        let begun = Instant::now();
        self.seal.run(&["prune", "--copies", "32d"])?;
        let shrink_s = begun.elapsed().as_secs_f64().round();
        println!("  the database is written anew: {shrink_s} s");
        // Of too few events, or too few days, no month is over and may go.
        let bytes = if self.sealed > 0 { bytes(&self.seal.archive)? } else { 0 };
        println!("  the archive: {bytes} bytes");
        Ok(
            json!({"months": self.sealed, "filling_waited_s": self.waited_s.round(), "shrink_s": shrink_s, "archive_bytes": bytes}),
        )
    }
}

impl Seal {
    fn months(&self, months: &[String], next: &str) -> Outcome<()> {
        let begun = Instant::now();
        months.iter().try_for_each(|month| self.run(&["close", month, "--anyway"]))?;
        let archive = self.archive.to_str().ok_or("the directory's name is no text")?;
        self.run(&["seal", "--before", next, "--to", archive, "--who", "bench", "--no-vacuum"])?;
        self.run(&["prune", "--copies", "32d", "--no-vacuum"])?;
        println!("  what is before {next} is sealed: {:.0} s", begun.elapsed().as_secs_f64());
        Ok(())
    }

    fn run(&self, arguments: &[&str]) -> Outcome<()> {
        let output =
            Command::new(&self.collector).args(arguments).env("MESHMETER_DATABASE", &self.database).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

/// Of all files below a directory.
fn bytes(directory: &Path) -> Outcome<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() { bytes(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}
