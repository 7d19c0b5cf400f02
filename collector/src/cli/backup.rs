//! `meshmeter backup` and `restore`.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use collector::backup::{Partial, Reading, Writing};
use collector::store::tables::Item;
use collector::store::{Head, StoreError};
use collector::terminal;
use indicatif::ProgressBar;
use jiff::Timestamp;

use super::args::Database;
use super::{Failure, print};

/// Rows between two steps of the progress bar.
const STEP: u64 = 1 << 10;

/// Copies everything in the ledger into one file, as of one moment, while collectors go on writing.
///
/// The file restores on SQLite and on PostgreSQL, whichever it comes from. It has its name only when it is complete, and is never
/// written over another one. Prints where each chain ends, WRITER:ENTRY:HASH, as `verify` does: keep these lines elsewhere.
#[derive(Args)]
pub struct Backup {
    #[command(flatten)]
    database: Database,
    /// The file to write; - is standard output, to be encrypted or sent on. Only its owner may read it.
    #[arg(long, value_name = "FILE|-")]
    to: PathBuf,
}

/// Makes a ledger of a backup: where there is none, or in one that nothing was entered into.
///
/// Every entry's hash and the file's checksum are checked on the way, and nothing is kept of a file that is not right to its end.
/// Prints where each chain ends, WRITER:ENTRY:HASH, as `verify` does.
#[derive(Args)]
pub struct Restore {
    /// The file that `backup` wrote; - is standard input.
    #[arg(long, value_name = "FILE|-")]
    from: PathBuf,
    #[command(flatten)]
    database: Database,
}

fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

pub fn backup(args: Backup) -> Result<(), Failure> {
    // The file's default name means nothing to whoever keeps the ledger elsewhere.
    args.database.reader()?;
    if is_standard(&args.to) {
        let out = terminal::out();
        if out.is_terminal() {
            return Err(Failure::Usage("--to -: standard output is a terminal; name a file".to_owned()));
        }
        write(&args, out)?;
        return Ok(());
    }
    let failed = |error: io::Error| Failure::Failed(format!("{}: {error}", terminal::file(&args.to)));
    let partial = Partial::create(&args.to).map_err(failed)?;
    let heads = write(&args, partial.file())?;
    partial.keep().map_err(failed)?;
    print(&lines(&heads))
}

fn write(args: &Backup, to: impl Write) -> Result<Vec<Head>, Failure> {
    let bar = ProgressBar::new(0);
    let done = || -> Result<Vec<Head>, StoreError> {
        let mut writing = Writing::new(BufWriter::with_capacity(1 << 16, to), Timestamp::now())?;
        args.database.database.read_all(&mut |item| {
            writing.item(item)?;
            step(&bar, writing.progress());
            Ok(())
        })?;
        let (mut to, heads) = writing.end()?;
        to.flush().map_err(|error| StoreError::Unusable(format!("the backup cannot be written: {error}")))?;
        Ok(heads)
    };
    let done = done();
    bar.finish_and_clear();
    done.map_err(Failure::failed)
}

pub fn restore(args: Restore) -> Result<(), Failure> {
    let bar = ProgressBar::new(0);
    let done = if is_standard(&args.from) {
        read(&args, io::stdin().lock(), &bar)
    } else {
        let file = File::open(&args.from);
        let file = file.map_err(|error| Failure::Failed(format!("{}: {error}", terminal::file(&args.from))))?;
        read(&args, BufReader::with_capacity(1 << 16, file), &bar)
    };
    bar.finish_and_clear();
    print(&lines(&done?))
}

fn read(args: &Restore, from: impl io::BufRead, bar: &ProgressBar) -> Result<Vec<Head>, Failure> {
    let name = terminal::file(&args.from);
    let named = |error: StoreError| StoreError::Unusable(format!("{name}: {error}"));
    let mut reading = Reading::new(from).map_err(named).map_err(Failure::failed)?;
    let mut next = || -> Result<Option<Item>, StoreError> {
        step(bar, reading.progress());
        reading.item().map_err(named)
    };
    match args.database.database.restore(&mut next) {
        // What the database does not take may be damage that only a later checksum shows.
        Err(StoreError::Database(refused)) => {
            while next().map_err(Failure::failed)?.is_some() {}
            Err(Failure::failed(named(StoreError::Database(refused))))
        }
        done => done.and_then(|()| reading.heads()).map_err(Failure::failed),
    }
}

/// Most rows are entries.
fn step(bar: &ProgressBar, (entries, rows): (u64, u64)) {
    if rows.is_multiple_of(STEP) {
        bar.set_length(entries.max(rows));
        bar.set_position(rows);
    }
}

fn lines(heads: &[Head]) -> String {
    heads.iter().map(|head| format!("{}:{}\n", head.entry, head.hash)).collect()
}
