//! Files that are read again when they change: tokens and certificates.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::files;

/// The largest file, bytes: a thousand times what one holds.
const MAX_BYTES: u64 = 1 << 20;
/// Everybody may read.
const OTHERS_READ: u32 = 0o004;

/// What tells a file from what it was: where it lies, when it was written, and who may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    dev: u64,
    ino: u64,
    size: u64,
    modified: (i64, i64),
    mode: u32,
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        let file = std::fs::metadata(path).ok()?;
        let modified = (file.mtime(), file.mtime_nsec());
        Some(Stamp { dev: file.dev(), ino: file.ino(), size: file.size(), modified, mode: file.mode() })
    }
}

/// Files that are looked at every now and then.
#[derive(Debug)]
pub struct Watched {
    paths: Vec<PathBuf>,
    used: Vec<Option<Stamp>>,
    last: Vec<Option<Stamp>>,
}

impl Watched {
    /// As they are now: to be called before they are read, so that no change slips in between.
    pub fn new(paths: Vec<PathBuf>) -> Watched {
        let now: Vec<Option<Stamp>> = paths.iter().map(|path| Stamp::of(path)).collect();
        Watched { paths, used: now.clone(), last: now }
    }

    /// Whether they are others than those that were last said to have changed.
    pub fn moves(&self) -> bool {
        self.paths.iter().map(|path| Stamp::of(path)).ne(self.used.iter().copied())
    }

    /// Whether they are others than those that were read, and have come to rest: a file in the middle of being written is
    /// not read.
    pub fn changed(&mut self) -> bool {
        let now: Vec<Option<Stamp>> = self.paths.iter().map(|path| Stamp::of(path)).collect();
        let changed = now != self.used && now == self.last;
        if changed {
            self.used.clone_from(&now);
        }
        self.last = now;
        changed
    }
}

/// Reads a small file. A secret one must not be readable for everybody, unless that is allowed.
pub fn read(path: &Path, secret: bool, allow_readable: bool) -> Result<Vec<u8>, String> {
    let failed = |problem: String| format!("{}: {problem}", path.display());
    let may_read = |metadata: &Metadata| {
        let mode = metadata.mode() & 0o7777;
        if secret && !allow_readable && mode & OTHERS_READ != 0 {
            return Err(format!(
                "must not be readable for everybody, and its mode is {mode:04o}: chmod 640 it, or 600; for a Secret of \
                 Kubernetes set defaultMode: 0440 on the volume, or give --allow-readable-token-files"
            ));
        }
        Ok(())
    };
    files::read(path, MAX_BYTES, may_read).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Dir {
            let path = std::env::temp_dir().join(format!("meshmeter-files-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Dir(path)
        }

        fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn contract_a_change_is_seen_once_and_only_when_it_has_come_to_rest() {
        let dir = Dir::new("watched");
        let path = dir.write("tokens", "a", 0o600);
        let mut watched = Watched::new(vec![path.clone()]);
        assert!(!watched.changed() && !watched.changed());
        for text in ["ab", "abc", "abcd"] {
            dir.write("tokens", text, 0o600);
            assert!(!watched.changed(), "it is being written");
        }
        assert!(watched.changed());
        assert!(!watched.changed(), "seen once");
        fs::rename(dir.write("next", "abcd", 0o600), &path).unwrap();
        assert!(!watched.changed() && watched.changed(), "another file in its place");
        dir.write("tokens", "abcd", 0o640);
        assert!(!watched.changed() && watched.changed(), "another mode");
        fs::remove_file(&path).unwrap();
        assert!(!watched.changed() && watched.changed(), "gone");
    }

    #[test]
    fn contract_a_secret_that_everybody_reads_is_refused_unless_that_is_allowed() {
        let dir = Dir::new("secret");
        for (mode, taken) in [(0o600, true), (0o640, true), (0o440, true), (0o644, false), (0o604, false)] {
            let path = dir.write("secret", "token", mode);
            assert_eq!(read(&path, true, false).is_ok(), taken, "{mode:o}");
            assert!(read(&path, false, false).is_ok() && read(&path, true, true).is_ok(), "{mode:o}");
        }
        let problem = read(&dir.write("secret", "token", 0o644), true, false).unwrap_err();
        assert!(problem.contains("its mode is 0644") && problem.contains("defaultMode: 0440"), "{problem}");
        assert!(read(&dir.0, true, false).unwrap_err().contains("must be a regular file"));
        let large = dir.write("large", &"x".repeat((1 << 20) + 1), 0o600);
        assert!(read(&large, true, false).unwrap_err().contains("must have at most 1048576 bytes"));
    }
}
