//! The manifests of an export of all entries: which files there are, and which entries these have.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::files::{Written, partition_path};
use crate::log::{self, Manifest};
use crate::place::Place;
use crate::row::{End, Position, hex};
use crate::selection::Selection;

/// What is committed.
pub struct Manifests {
    /// With which entry of each chain each commit ends, the first one first; there is at least one.
    commits: Vec<Vec<End>>,
    /// The digest of the manifests of each commit and of those before it.
    digests: Vec<[u8; 32]>,
    /// All files, in the order of the commits.
    pub files: Vec<Arc<Written>>,
}

/// Some manifests as they were read: their paths, and what is there.
type Raw = Vec<(String, Vec<u8>)>;

impl Manifests {
    /// Reads all of them. An error names the one that is missing, or is not what an export writes.
    pub fn read(place: &dyn Place) -> Result<Manifests, Error> {
        let commits = log::commits(place, &Selection::default())?.len();
        let (raw, digests) = fetch(place, commits as u64)?;
        Manifests::parse(place, raw, digests)
    }

    /// Reads the first ones, of which there must be so many, with this digest.
    pub fn read_pinned(place: &dyn Place, commits: u64, digest: &[u8; 32]) -> Result<Manifests, Error> {
        let (raw, digests) = fetch(place, commits)?;
        if digests.last() != Some(digest) {
            let found = digests.last().map(|found| hex(found)).unwrap_or_default();
            let why = format!(
                "has other manifests of its first {commits} commits: their SHA-256 is {found}, not {}",
                hex(digest)
            );
            return Err(Error::of(place.name(), why));
        }
        Manifests::parse(place, raw, digests)
    }

    fn parse(place: &dyn Place, raw: Raw, digests: Vec<[u8; 32]>) -> Result<Manifests, Error> {
        let mut commits: Vec<Vec<End>> = Vec::new();
        let mut files = Vec::new();
        let mut paths = BTreeSet::new();
        for ((path, bytes), commit) in raw.iter().zip(1..) {
            let unfit = |why: String| Error::of(format!("{}/{path}", place.name()), why);
            let manifest: Manifest = log::parse(place, path, bytes)?;
            if manifest.commit != commit || manifest.selection != Selection::default() {
                return Err(unfit("is the manifest of another commit".to_owned()));
            }
            let ends = commits.last().map_or(&[][..], Vec::as_slice);
            if manifest.from != ends {
                return Err(unfit(format!("does not go on where commit {} ended", commit.saturating_sub(1))));
            }
            follows(ends, &manifest).map_err(unfit)?;
            for file in &manifest.files {
                check_path(file).map_err(unfit)?;
                if !paths.insert(file.path.clone()) {
                    return Err(unfit(format!("names {} again", file.path)));
                }
            }
            commits.push(manifest.to);
            files.extend(manifest.files.into_iter().map(Arc::new));
        }
        Ok(Manifests { commits, digests, files })
    }

    /// The last entry of each chain.
    pub fn ends(&self) -> &[End] {
        self.commits.last().map_or(&[], Vec::as_slice)
    }

    /// The digest of the manifests of the first commits; nothing if there are not so many.
    pub fn digest(&self, commits: u64) -> Option<[u8; 32]> {
        let at = usize::try_from(commits).ok()?.checked_sub(1)?;
        self.digests.get(at).copied()
    }

    /// The first commit behind which all these entries are there; nothing if not all are. An error, which says why, if another
    /// entry is where one of them should be.
    pub fn commit_of(&self, ends: &[End]) -> Result<Option<u64>, String> {
        let mut found = None;
        for (to, commit) in self.commits.iter().zip(1..) {
            let is_there = |end: &End| {
                end.position.entry < 1
                    || to
                        .iter()
                        .any(|to| to.position.writer == end.position.writer && to.position.entry >= end.position.entry)
            };
            if let Some(other) =
                ends.iter().find(|end| to.iter().any(|to| to.position == end.position && to.hash != end.hash))
            {
                return Err(format!("has another entry {} as the last one of commit {commit}", other.position));
            }
            if found.is_none() && ends.iter().all(is_there) {
                found = Some(commit);
            }
        }
        Ok(found)
    }
}

/// Reads the manifests of the first commits, and digests them: the SHA-256 over each one's length, as 64 bits with the highest
/// first, and its bytes.
fn fetch(place: &dyn Place, commits: u64) -> Result<(Raw, Vec<[u8; 32]>), Error> {
    let all = Selection::default();
    if commits == 0 {
        return Err(Error::of(place.name(), "has no export of all entries"));
    }
    let (mut raw, mut digests, mut sha) = (Vec::new(), Vec::new(), Sha256::new());
    for commit in 1..=commits {
        let path = log::manifest_path(&all, commit);
        let bytes = place.get(&path)?.ok_or_else(|| log::missing(place, &all, commit))?;
        sha.update((bytes.len() as u64).to_be_bytes());
        sha.update(&bytes);
        digests.push(sha.clone().finalize().into());
        raw.push((path, bytes));
    }
    Ok((raw, digests))
}

/// Whether a file has a name that an export gives.
fn check_path(file: &Written) -> Result<(), String> {
    let begin = partition_path(&file.month, file.tenant_hash);
    let name = file.path.strip_prefix(&begin).and_then(|rest| rest.strip_suffix(".parquet"));
    let is_plain =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_plain(&file.month) && name.is_some_and(is_plain) {
        return Ok(());
    }
    Err(format!("names a file {:?}, which no export writes", file.path))
}

/// Whether a manifest can be behind these entries: no chain ends before them, and its files have room for all that is between.
fn follows(ends: &[End], manifest: &Manifest) -> Result<(), String> {
    let before =
        |writer: i64| ends.iter().find(|end| end.position.writer == writer).map_or(0, |end| end.position.entry);
    let mut rows = 0_u64;
    let mut last = None;
    for Position { writer, entry } in manifest.to.iter().map(|end| end.position) {
        if last.is_some_and(|last| last >= writer) {
            return Err("does not name the chains in their order".to_owned());
        }
        last = Some(writer);
        let more = entry.checked_sub(before(writer)).and_then(|more| u64::try_from(more).ok());
        rows = more.and_then(|more| rows.checked_add(more)).ok_or("ends before it begins")?;
    }
    if ends.iter().any(|end| manifest.to.iter().all(|to| to.position.writer != end.position.writer)) {
        return Err("leaves out a chain that was there before".to_owned());
    }
    let in_files = manifest.files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.rows));
    if in_files != Some(rows) || manifest.rows != rows {
        return Err(format!("names files that do not have the {rows} entries that it is about"));
    }
    for file in &manifest.files {
        let is_between = |position: Position| {
            let end = manifest.to.iter().find(|end| end.position.writer == position.writer);
            end.is_some_and(|end| position.entry <= end.position.entry) && position.entry > before(position.writer)
        };
        if file.first > file.last || !is_between(file.first) || !is_between(file.last) {
            return Err(format!("names {}, which has other entries than it is about", file.path));
        }
    }
    Ok(())
}
