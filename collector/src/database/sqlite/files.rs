//! The files of a ledger as they were when it was opened. SQLite goes on writing into files that were deleted or replaced:
//! what it commits then, nobody will ever read.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::StoreError;

/// Behind the name of the database: the log of what is not in it yet, and its index.
const ENDS: [&str; 3] = ["", "-wal", "-shm"];

/// Path, device and inode of each.
#[derive(Debug)]
pub struct Files([(PathBuf, (u64, u64)); ENDS.len()]);

/// Makes the file of a new ledger, which only its owner may read: who called what, and what it cost. SQLite gives its log and its
/// index the same mode. One that exists keeps its own. Without a descriptor: to close one would take away the locks of others
/// in this process.
pub fn begin(path: &Path) {
    // What is wrong with the path SQLite says.
    let _ = mknodat(CWD, path, FileType::RegularFile, Mode::RUSR | Mode::WUSR, 0);
}

impl Files {
    /// Those of an open database, whose log has been begun.
    pub fn of(path: &Path) -> Result<Files, StoreError> {
        // SQLite follows links before it names the other two; whoever opens the ledger begins at the link.
        let real = std::fs::canonicalize(path).map_err(|error| gone(path, &error.to_string()))?;
        let file = |path: &Path, end: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            let path = PathBuf::from(name);
            let is = identity(&path)?;
            Ok::<_, StoreError>((path, is))
        };
        let [database, log, index] = ENDS;
        Ok(Files([file(path, database)?, file(&real, log)?, file(&real, index)?]))
    }

    /// Whether each is still there, and the same.
    pub fn look(&self) -> Result<(), StoreError> {
        for (path, was) in &self.0 {
            if identity(path)? != *was {
                return Err(gone(path, "another file is in its place"));
            }
        }
        Ok(())
    }
}

fn identity(path: &Path) -> Result<(u64, u64), StoreError> {
    let file = std::fs::metadata(path).map_err(|error| gone(path, &error.to_string()))?;
    Ok((file.dev(), file.ino()))
}

fn gone(path: &Path, problem: &str) -> StoreError {
    StoreError::Gone(format!(
        "{}: the ledger's file was deleted or replaced while it was open: {problem}",
        path.display()
    ))
}
