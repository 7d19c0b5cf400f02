//! A directory. Nothing is seen half: files get their names when they are whole and on the disk.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::{LONGEST, Place, too_long};
use crate::error::Error;
use crate::files::empty;

/// Where everything is that is not for readers.
const OWN: &str = "_meshmeter";

/// A directory; nobody else exports to it until this is dropped, unless it is only read.
#[derive(Debug)]
pub struct Dir {
    root: PathBuf,
    /// Only of one that is written to.
    lock: Option<fs::File>,
}

impl Dir {
    /// Opens a directory, and makes it if there is none.
    pub fn open(root: &Path) -> Result<Dir, Error> {
        let own = root.join(OWN);
        fs::create_dir_all(&own).map_err(|error| Error::of(own.display(), error))?;
        let path = own.join("lock");
        let lock = fs::File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|error| Error::of(path.display(), error))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Dir { root: root.to_owned(), lock: Some(lock) }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::of(root.display(), "another export is writing to it")),
            Err(error) => Err(Error::of(path.display(), error)),
        }
    }

    /// Opens a directory that is there, only to read it; somebody else may write to it.
    pub fn open_to_read(root: &Path) -> Result<Dir, Error> {
        match fs::metadata(root) {
            Ok(found) if found.is_dir() => Ok(Dir { root: root.to_owned(), lock: None }),
            Ok(_) => Err(Error::of(root.display(), "is no directory")),
            Err(error) => Err(Error::of(root.display(), error)),
        }
    }

    fn to_write(&self) -> Result<(), Error> {
        match self.lock {
            Some(_) => Ok(()),
            None => Err(Error::of(self.root.display(), "was opened only to be read")),
        }
    }

    fn failed(&self, path: &str) -> impl Fn(io::Error) -> Error {
        let path = self.root.join(path);
        move |error| Error::of(path.display(), error)
    }

    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.root.join(OWN).join("next.tmp");
        let mut file = fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        rename(&temporary, &self.root.join(path))
    }

    fn walk(&self, directory: &str, found: &mut Vec<String>) -> io::Result<()> {
        let entries = match fs::read_dir(self.root.join(directory)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = format!("{directory}/{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() { self.walk(&path, found)? } else { found.push(path) }
        }
        Ok(())
    }
}

/// Gives a file its name, durably.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let directory = to.parent().unwrap_or(Path::new("."));
    make(directory)?;
    fs::rename(from, to)?;
    fs::File::open(directory)?.sync_all()
}

/// Makes a directory, durably.
fn make(directory: &Path) -> io::Result<()> {
    if directory.as_os_str().is_empty() || directory.is_dir() {
        return Ok(());
    }
    let above = directory.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make(above)?;
    match fs::create_dir(directory) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => made?,
    }
    fs::File::open(above)?.sync_all()
}

impl Place for Dir {
    fn name(&self) -> String {
        self.root.display().to_string()
    }

    fn staging(&self) -> Result<PathBuf, Error> {
        self.to_write()?;
        let staging = self.root.join(OWN).join("staging");
        empty(&staging)?;
        Ok(staging)
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let file = self.root.join(path);
        // What is no file may never end, and a manifest is short.
        match fs::metadata(&file) {
            Ok(found) if !found.is_file() => return Err(Error::of(file.display(), "is no file")),
            Ok(found) if found.len() > LONGEST => return Err(Error::of(file.display(), too_long())),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            _ => {}
        }
        match fs::read(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(self.failed(path)),
        }
    }

    fn size(&self, path: &str) -> Result<Option<u64>, Error> {
        let path = self.root.join(path);
        match fs::metadata(&path) {
            Ok(found) if found.is_file() => Ok(Some(found.len())),
            Ok(_) => Err(Error::of(path.display(), "is no file")),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(Error::of(path.display(), error)),
        }
    }

    fn fetch(&self, path: &str, _: &dyn Fn() -> Result<PathBuf, Error>) -> Result<Option<PathBuf>, Error> {
        Ok(self.size(path)?.map(|_| self.root.join(path)))
    }

    fn create(&self, path: &str, bytes: &[u8]) -> Result<bool, Error> {
        self.to_write()?;
        // Nobody comes between: there is a lock.
        if self.root.join(path).exists() {
            return Ok(false);
        }
        self.put(path, bytes).map(|()| true).map_err(self.failed(path))
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        self.to_write()?;
        self.put(path, bytes).map_err(self.failed(path))
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        self.walk(directory, &mut found).map_err(self.failed(directory))?;
        found.sort();
        Ok(found)
    }

    fn delete(&self, path: &str) -> Result<(), Error> {
        self.to_write()?;
        match fs::remove_file(self.root.join(path)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(self.failed(path)),
        }
    }

    fn publish(&self, staged: &Path, path: &str) -> Result<(), Error> {
        self.to_write()?;
        rename(staged, &self.root.join(path)).map_err(self.failed(path))
    }
}
