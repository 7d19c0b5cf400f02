//! What an export has committed, and what it is about to: small JSON files beside the data, one for each commit.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::Error;
use crate::files::Written;
use crate::place::Place;
use crate::row::{End, Position};
use crate::selection::Selection;

/// Where manifests are. Engines pass over names that begin with an underscore.
const DIRECTORY: &str = "_meshmeter/manifests";
/// The form of the files and manifests that this version writes.
const FORMAT: u32 = 1;

/// A manifest: the files of a commit. They count once this is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// The commits of a selection are numbered from 1.
    pub commit: u64,
    /// What made it.
    made_by: String,
    /// Which entries.
    pub selection: Selection,
    /// Behind which entry of each chain it begins.
    pub from: Vec<End>,
    /// With which entry of each chain it ends.
    pub to: Vec<End>,
    /// How many entries its files have.
    pub rows: u64,
    /// The files.
    pub files: Vec<Written>,
}

/// What a commit is to be: written before any of its files is shown, so that one that was killed is made again the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    format: u32,
    /// The number of the commit.
    pub commit: u64,
    /// Which entries.
    pub selection: Selection,
    /// With which entry of each chain it ends.
    pub to: Vec<Position>,
    /// The paths of its files.
    pub files: Vec<String>,
}

impl Manifest {
    /// Of a commit.
    pub fn new(commit: u64, selection: &Selection, from: Vec<End>, to: Vec<End>, files: Vec<Written>) -> Manifest {
        let rows = files.iter().map(|file| file.rows).fold(0, u64::saturating_add);
        Manifest {
            format: FORMAT,
            commit,
            made_by: wire::event::EXTRACTOR.to_owned(),
            selection: selection.clone(),
            from,
            to,
            rows,
            files,
        }
    }
}

impl Intent {
    /// Of a commit.
    pub fn new(commit: u64, selection: &Selection, to: Vec<Position>, files: Vec<String>) -> Intent {
        Intent { format: FORMAT, commit, selection: selection.clone(), to, files }
    }
}

/// The manifests of a selection at a place.
pub struct Log<'p> {
    place: &'p dyn Place,
    selection: Selection,
    /// The last commit.
    pub last: Option<Manifest>,
    /// The commit that was begun and not made.
    pub intent: Option<Intent>,
}

impl<'p> Log<'p> {
    /// Reads what is there. An error if another selection is there that could have the same entries.
    pub fn open(place: &'p dyn Place, selection: &Selection) -> Result<Log<'p>, Error> {
        let mut log = Log { place, selection: selection.clone(), last: None, intent: None };
        log.read()?;
        Ok(log)
    }

    /// Which entries it has.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Reads it again.
    pub fn read(&mut self) -> Result<(), Error> {
        let paths = self.place.list(DIRECTORY)?;
        let id = self.selection.id();
        let mut others: Vec<&str> =
            paths.iter().filter_map(|path| path.split('/').nth(2)).filter(|other| *other != id).collect();
        others.dedup();
        for other in others {
            // Any of its files says which selection it is.
            let of_other = |path: &&String| path.split('/').nth(2) == Some(other);
            let Some(path) = paths.iter().find(of_other) else { continue };
            let Some(Selected { selection }) = self.get(path)? else { continue };
            if selection.overlaps(&self.selection) {
                let why = format!(
                    "has {selection} already, so {} would be there twice; export to another place",
                    self.selection
                );
                return Err(Error::of(self.place.name(), why));
            }
        }
        let commits = numbers(self.place, &self.selection, &paths)?;
        self.last = match commits.last() {
            Some(commit) => self.get(&self.path(*commit))?,
            None => None,
        };
        let intent: Option<Intent> = self.get(&self.intent_path())?;
        if intent.as_ref().is_some_and(|intent| intent.commit < self.next()) {
            // What is left of one that was made.
            self.place.delete(&self.intent_path())?;
        }
        self.intent = intent.filter(|intent| intent.commit == self.next());
        Ok(())
    }

    /// The number of the next commit.
    pub fn next(&self) -> u64 {
        self.last.as_ref().map_or(1, |last| last.commit.saturating_add(1))
    }

    /// Says what the next commit is to be; false if somebody else has said it.
    pub fn intend(&mut self, intent: Intent) -> Result<bool, Error> {
        let bytes = json(&intent)?;
        let path = self.intent_path();
        let is_ours = match &self.intent {
            // The same commit again: with what it has in addition.
            Some(_) => self.place.replace(&path, &bytes).map(|()| true)?,
            None => self.place.create(&path, &bytes)?,
        };
        if is_ours {
            self.intent = Some(intent);
        }
        Ok(is_ours)
    }

    /// Commits the files of a manifest; false if somebody else has.
    pub fn commit(&mut self, manifest: Manifest) -> Result<bool, Error> {
        let is_ours = self.place.create(&self.path(manifest.commit), &json(&manifest)?)?;
        if is_ours {
            self.place.delete(&self.intent_path())?;
            (self.last, self.intent) = (Some(manifest), None);
        }
        Ok(is_ours)
    }

    fn path(&self, commit: u64) -> String {
        manifest_path(&self.selection, commit)
    }

    fn intent_path(&self) -> String {
        format!("{}/next", directory(&self.selection))
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Error> {
        get(self.place, path)
    }
}

/// The numbers of a selection's commits: from 1 without holes.
pub fn commits(place: &dyn Place, selection: &Selection) -> Result<Vec<u64>, Error> {
    numbers(place, selection, &place.list(&directory(selection))?)
}

fn numbers(place: &dyn Place, selection: &Selection, paths: &[String]) -> Result<Vec<u64>, Error> {
    let directory = directory(selection);
    let number =
        |path: &String| path.strip_prefix(&directory)?.strip_prefix('/')?.strip_suffix(".json")?.parse::<u64>().ok();
    let commits: Vec<u64> = paths.iter().filter_map(number).collect();
    match commits.iter().zip(1..).find(|(found, expected)| *found != expected) {
        Some((_, commit)) => Err(missing(place, selection, commit)),
        None => Ok(commits),
    }
}

/// That a manifest is missing.
pub fn missing(place: &dyn Place, selection: &Selection, commit: u64) -> Error {
    Error::of(place.name(), format!("{} has no manifest of commit {commit}", directory(selection)))
}

fn directory(selection: &Selection) -> String {
    format!("{DIRECTORY}/{}", selection.id())
}

/// The path of a commit's manifest.
pub fn manifest_path(selection: &Selection, commit: u64) -> String {
    format!("{}/{commit:08}.json", directory(selection))
}

/// Reads a manifest, or an intent; `None` if there is nothing.
pub fn get<T: DeserializeOwned>(place: &dyn Place, path: &str) -> Result<Option<T>, Error> {
    place.get(path)?.map(|bytes| parse(place, path, &bytes)).transpose()
}

/// Parses what was read at a path.
pub fn parse<T: DeserializeOwned>(place: &dyn Place, path: &str, bytes: &[u8]) -> Result<T, Error> {
    let name = || format!("{}/{path}", place.name());
    let Form { format } = serde_json::from_slice(bytes).map_err(|error| Error::of(name(), error))?;
    if format != FORMAT {
        let why =
            format!("is of format {format}, which this version of meshmeter does not write; export to another place");
        return Err(Error::of(name(), why));
    }
    serde_json::from_slice(bytes).map_err(|error| Error::of(name(), error))
}

/// What every manifest says.
#[derive(Deserialize)]
struct Form {
    format: u32,
}

#[derive(Deserialize)]
struct Selected {
    selection: Selection,
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| Error::of("a manifest", error))?;
    bytes.push(b'\n');
    Ok(bytes)
}
