//! A file that has its name only when it is complete.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// A file on its way: under another name beside its own, removed unless it is kept. Only its owner may read it.
#[derive(Debug)]
pub struct Partial {
    file: File,
    path: PathBuf,
    to: PathBuf,
    is_kept: bool,
}

impl Partial {
    /// Begins one. What a killed process has left of it is overwritten; one that is being written is not.
    pub fn create(to: &Path) -> io::Result<Partial> {
        if to.try_exists()? {
            return Err(io::Error::new(ErrorKind::AlreadyExists, "there is a file of this name already"));
        }
        let mut name = to.as_os_str().to_owned();
        name.push(".partial");
        let path = PathBuf::from(name);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(ErrorKind::ResourceBusy, "another process is writing it"),
            TryLockError::Error(error) => error,
        })?;
        file.set_len(0)?;
        Ok(Partial { file, path, to: to.to_owned(), is_kept: false })
    }

    /// What is written to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its name, when all of it is on the disk; never the place of another file.
    pub fn keep(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        rename(&self.path, &self.to)?;
        self.is_kept = true;
        let directory = self.to.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// Renames a file where there is none of the new name.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can promise it.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if !to.try_exists()? => std::fs::rename(from, to),
        done => Ok(done?),
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
