//! Files that a process reads again while it serves: regular ones of bounded size, so that none can stop it. A pipe would keep
//! whoever opens it waiting, and a device has no end.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Reads a file of at most so many bytes, if `check` has nothing against it. The problem does not name the file.
pub fn read(
    path: &Path,
    max_bytes: u64,
    check: impl FnOnce(&Metadata) -> Result<(), String>,
) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| error.to_string();
    // Asked of its name first: to open a device can do something.
    is_regular(&fs::metadata(path).map_err(failed)?)?;
    let file = open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    // Another may lie there now.
    is_regular(&metadata)?;
    check(&metadata)?;
    let mut bytes = Vec::new();
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max_bytes {
        return Err(format!("must have at most {max_bytes} bytes"));
    }
    Ok(bytes)
}

/// Opens a file without waiting for whoever writes to it, if it is a pipe after all.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn is_regular(metadata: &Metadata) -> Result<(), String> {
    if metadata.is_file() { Ok(()) } else { Err("must be a regular file".to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use rustix::fs::{Mode, mkfifoat};

    use super::*;

    #[test]
    fn contract_what_is_no_regular_file_or_too_large_is_refused_at_once() {
        let dir = std::env::temp_dir().join(format!("meshmeter-regular-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (pipe, file) = (dir.join("pipe"), dir.join("file"));
        mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        fs::write(&file, "12345678").unwrap();
        let look = |path: &Path, max| read(path, max, |_| Ok(()));
        let begun = Instant::now();
        for path in [&pipe, &dir, Path::new("/dev/zero")] {
            assert_eq!(look(path, 8).unwrap_err(), "must be a regular file");
        }
        // One that takes a file's place between the two questions keeps nobody waiting either.
        assert!(open(&pipe).is_ok());
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(look(&file, 8).unwrap(), b"12345678");
        assert_eq!(look(&file, 7).unwrap_err(), "must have at most 7 bytes");
        assert_eq!(read(&file, 8, |_| Err("no".to_owned())).unwrap_err(), "no");
        fs::remove_dir_all(&dir).unwrap();
    }
}
