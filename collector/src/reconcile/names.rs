//! Names of files with `*`, for where no shell expands them: in a container that has none, and anew for each run of
//! `--every`, as logs rotate.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A file to read.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its name.
    pub file: PathBuf,
    /// A pattern stands for it, so that nobody has asked for this very file: it may be gone when it is read, for logs rotate.
    pub by_pattern: bool,
}

impl Named {
    /// Whether it is gone, and may be.
    pub(super) fn is_gone(&self) -> bool {
        let found = self.file.symlink_metadata();
        self.by_pattern && found.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    }
}

/// The files that a name stands for, in order. A name without a star, or of a file that is there, stands for itself.
pub fn expand(name: &Path) -> Vec<Named> {
    if !has_star(name.as_os_str()) || name.exists() {
        return vec![Named { file: name.to_owned(), by_pattern: false }];
    }
    let mut found = vec![PathBuf::new()];
    for component in name.components() {
        found = found.iter().flat_map(|folder| step(folder, component)).collect();
    }
    found.retain(|file| file.is_file());
    found.sort();
    found.into_iter().map(|file| Named { file, by_pattern: true }).collect()
}

fn has_star(name: &OsStr) -> bool {
    name.as_bytes().contains(&b'*')
}

/// What a component stands for in a folder. A folder that cannot be read holds nothing that could be.
fn step(folder: &Path, component: Component) -> Vec<PathBuf> {
    let pattern = component.as_os_str();
    if !has_star(pattern) {
        return vec![folder.join(pattern)];
    }
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = fs::read_dir(here).into_iter().flatten().flatten().map(|entry| entry.file_name());
    // As a shell does: what is hidden must be asked for.
    let shown = |name: &OsString| !name.as_bytes().starts_with(b".") || pattern.as_bytes().starts_with(b".");
    let fits = |name: &OsString| shown(name) && matches(pattern.as_bytes(), name.as_bytes());
    names.filter(fits).map(|name| folder.join(name)).collect()
}

/// Whether a name is what a pattern says, in which a star is any text.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let mut parts: Vec<&[u8]> = pattern.split(|byte| *byte == b'*').collect();
    let Some(last) = parts.pop() else { return name.is_empty() };
    let Some((first, middle)) = parts.split_first() else { return name == last };
    let Some(mut rest) = name.strip_prefix(*first) else { return false };
    for part in middle.iter().filter(|part| !part.is_empty()) {
        let Some(at) = rest.windows(part.len()).position(|window| window == *part) else { return false };
        rest = rest.get(at.saturating_add(part.len())..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_only_a_file_that_a_pattern_found_may_be_gone() {
        let gone = Path::new("/nowhere/at/all.log");
        let named = |file: &Path, by_pattern| Named { file: file.to_owned(), by_pattern };
        assert!(named(gone, true).is_gone());
        assert!(!named(gone, false).is_gone(), "somebody has asked for it");
        assert!(!named(Path::new(env!("CARGO_MANIFEST_DIR")), true).is_gone());
    }

    #[test]
    fn deterministic_a_star_is_any_text() {
        for (pattern, fits, does_not) in [
            ("*.log*", vec!["0.log", "0.log.20261129-1.gz", ".log"], vec!["0.lo", "log"]),
            ("istio-egress_*", vec!["istio-egress_", "istio-egress_a_b"], vec!["istio-egress", "x-istio-egress_a"]),
            ("a*b*c", vec!["abc", "axbxc", "abbc", "abcbc"], vec!["ac", "acb", "abcx", "bac"]),
            ("*", vec!["", "a"], vec![]),
            ("**", vec!["", "a"], vec![]),
            ("a*a", vec!["aa", "aba"], vec!["a", "ab"]),
            ("plain", vec!["plain"], vec!["plain2", ""]),
        ] {
            for name in fits {
                assert!(matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
            }
            for name in does_not {
                assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
            }
        }
    }
}
