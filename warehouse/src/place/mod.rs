//! Where an export goes.

use std::path::{Path, PathBuf};

use crate::error::Error;

mod connector;
mod dir;
mod profile;
mod s3;

pub use connector::Patience;
pub use dir::Dir;
pub use s3::{Bucket, Settings};

/// What is read whole is a manifest or an intent, and no longer than this, bytes.
const LONGEST: u64 = 64 << 20;

fn too_long() -> String {
    format!("is longer than {LONGEST} bytes, and so none of an export")
}

/// A directory or a bucket. Paths are relative to it and have `/` between their parts.
pub trait Place: Send + Sync {
    /// How it is called in messages.
    fn name(&self) -> String;
    /// An empty directory on this machine, in which files are made before they are shown.
    fn staging(&self) -> Result<PathBuf, Error>;
    /// What is there, whole; `None` if there is nothing.
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, Error>;
    /// How long a file is, without reading it; `None` if there is no such file.
    fn size(&self, path: &str) -> Result<Option<u64>, Error>;
    /// A file of any length, on this machine: where it lies, or else a copy of it that is made where `copy` says, a path at
    /// which nothing is. `None` if there is no such file.
    fn fetch(&self, path: &str, copy: &dyn Fn() -> Result<PathBuf, Error>) -> Result<Option<PathBuf>, Error>;
    /// Puts a small file where there is none; false if there is one. It is durable when this returns, and never seen half.
    fn create(&self, path: &str, bytes: &[u8]) -> Result<bool, Error>;
    /// The same, whether there is one or not.
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), Error>;
    /// The paths of all files below a directory, in their order.
    fn list(&self, directory: &str) -> Result<Vec<String>, Error>;
    /// Takes a file away, if there is one.
    fn delete(&self, path: &str) -> Result<(), Error>;
    /// Shows a file that was made in the staging directory: whole, in place of what may be there.
    fn publish(&self, staged: &Path, path: &str) -> Result<(), Error>;
}

/// A place as a command line names it: a directory, or `s3://BUCKET/PREFIX`.
pub fn open(to: &str, settings: &Settings) -> Result<Box<dyn Place>, Error> {
    find(to, settings, Dir::open)
}

/// The same, only to read it: nothing is made there, a directory must be there already, and others may write to it.
pub fn open_to_read(from: &str, settings: &Settings) -> Result<Box<dyn Place>, Error> {
    find(from, settings, Dir::open_to_read)
}

fn find(
    place: &str,
    settings: &Settings,
    directory: impl FnOnce(&Path) -> Result<Dir, Error>,
) -> Result<Box<dyn Place>, Error> {
    match place.split_once("://") {
        Some(("s3", rest)) => Ok(Box::new(Bucket::open(rest, settings)?)),
        Some(_) => Err(Error::new("must be a directory, or s3://BUCKET/PREFIX")),
        None if place.is_empty() => Err(Error::new("must be a directory, or s3://BUCKET/PREFIX")),
        None => Ok(Box::new(directory(Path::new(place))?)),
    }
}
