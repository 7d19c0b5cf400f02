//! The manifests of an export of all entries: which files there are, and which entries these have.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::Error;
use crate::files::{Written, partition_path};
use crate::log::{self, Manifest};
use crate::place::Place;
use crate::row::{End, Position};
use crate::selection::Selection;

/// What is committed.
pub struct Manifests {
    /// The last entry of each chain.
    pub ends: Vec<End>,
    /// All files, in the order of the commits.
    pub files: Vec<Arc<Written>>,
}

impl Manifests {
    /// Reads all of them. An error names the one that is missing, or is not what an export writes.
    pub fn read(place: &dyn Place) -> Result<Manifests, Error> {
        let all = Selection::default();
        let commits = log::commits(place, &all)?;
        if commits.is_empty() {
            return Err(Error::of(place.name(), "has no export of all entries"));
        }
        let mut ends: Vec<End> = Vec::new();
        let mut files = Vec::new();
        let mut paths = BTreeSet::new();
        for commit in commits {
            let path = log::manifest_path(&all, commit);
            let unfit = |why: String| Error::of(format!("{}/{path}", place.name()), why);
            let manifest: Manifest =
                log::get(place, &path)?.ok_or_else(|| unfit("was there, and is not any more".to_owned()))?;
            if manifest.commit != commit || manifest.selection != all {
                return Err(unfit("is the manifest of another commit".to_owned()));
            }
            if manifest.from != ends {
                return Err(unfit(format!("does not go on where commit {} ended", commit.saturating_sub(1))));
            }
            follows(&ends, &manifest).map_err(unfit)?;
            for file in &manifest.files {
                let begin = partition_path(&file.month, file.tenant_hash);
                let name = file.path.strip_prefix(&begin).and_then(|rest| rest.strip_suffix(".parquet"));
                let is_plain = |text: &str| {
                    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                };
                if !is_plain(&file.month) || !name.is_some_and(is_plain) {
                    return Err(unfit(format!("names a file {:?}, which no export writes", file.path)));
                }
                if !paths.insert(file.path.clone()) {
                    return Err(unfit(format!("names {} again", file.path)));
                }
            }
            ends = manifest.to;
            files.extend(manifest.files.into_iter().map(Arc::new));
        }
        Ok(Manifests { ends, files })
    }
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
