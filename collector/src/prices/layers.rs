//! Several price books as layers: those of files in their order, then the built-in one.

use std::path::{Path, PathBuf};

use super::read::{self, Read};
use super::{Layer, PriceBook, day};
use crate::files;
use crate::terminal::{self, printable};

/// The book that holds where no other has an entry, made from public lists.
const BUILT_IN: &str = include_str!("../../prices/builtin.toml");

/// The largest file of a book, bytes: ten times the built-in one.
const MAX_BYTES: u64 = 16 << 20;

/// Which price books hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Their files, the first one decides first.
    pub files: Vec<PathBuf>,
    /// Whether the built-in one holds after them.
    pub with_built_in: bool,
}

impl Books {
    /// Reads them; `None` if there is none.
    pub fn load(&self) -> Result<Option<PriceBook>, String> {
        let book = PriceBook::layers(&self.files, self.with_built_in)?;
        Ok(Some(book).filter(|book| !self.files.is_empty() || !book.is_empty()))
    }
}

impl PriceBook {
    /// Reads the price books of files, the first one decides first; then the built-in one, if it is wanted.
    pub fn layers<P: AsRef<Path>>(files: &[P], with_built_in: bool) -> Result<PriceBook, String> {
        let mut books = Vec::new();
        let mut problems = Vec::new();
        for file in files {
            match read_file(file.as_ref()) {
                Ok(read) => {
                    books.push((Layer { name: terminal::file(file.as_ref()).to_string(), ..Layer::default() }, read))
                }
                Err(found) => problems.push(found),
            }
        }
        if with_built_in {
            let (layer, read) = built_in()?;
            books.extend((!read.entries.is_empty()).then_some((layer, read)));
        }
        if !problems.is_empty() {
            return Err(problems.join("\n"));
        }
        PriceBook::of(books).map_err(|found| {
            let names: Vec<String> = files.iter().map(|file| terminal::file(file.as_ref()).to_string()).collect();
            found
                .iter()
                .map(|problem| format!("{}: {}", names.join(", "), printable(problem)))
                .collect::<Vec<_>>()
                .join("\n")
        })
    }

    /// Reads the price book of a file.
    pub fn load(path: &Path) -> Result<PriceBook, String> {
        PriceBook::layers(&[path], false)
    }

    /// The built-in book alone.
    pub fn built_in() -> Result<PriceBook, String> {
        PriceBook::layers::<&Path>(&[], true)
    }
}

/// Reads the price book of a file. One without a table, or whose last line has no end, is what is left of a book: nothing would
/// have a price, or another one.
fn read_file(path: &Path) -> Result<Read, String> {
    let name = terminal::file(path);
    let bytes = files::read(path, MAX_BYTES, |_| Ok(())).map_err(|problem| format!("{name}: {problem}"))?;
    let text = String::from_utf8(bytes).map_err(|error| format!("{name}: {error}"))?;
    let line = |problem: &str| format!("{name}: {}", printable(problem));
    let read = read::parse(&text)
        .map_err(|problems| problems.iter().map(|problem| line(problem)).collect::<Vec<_>>().join("\n"))?;
    if read.is_empty() {
        return Err(line("has no [[price]] in it; by an empty book nothing would have a price"));
    }
    if !text.ends_with('\n') {
        return Err(line("its last line has no end, so the file may be cut off; end it with a line feed"));
    }
    Ok(read)
}

fn built_in() -> Result<(Layer, Read), String> {
    let problems = |problems: Vec<String>| format!("the built-in price book: {}", problems.join("; "));
    let read = read::parse(BUILT_IN).map_err(problems)?;
    let words = BUILT_IN.lines().take_while(|line| line.starts_with('#')).flat_map(str::split_whitespace);
    let date = words.map(|word| word.trim_matches(|c: char| !c.is_ascii_digit())).find_map(day);
    let date = date.map(|date| date.to_string()).unwrap_or_default();
    Ok((Layer { name: "the built-in price book".to_owned(), built_in: Some(date), ..Layer::default() }, read))
}
