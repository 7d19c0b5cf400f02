//! The bytes of a journal as lines: plain or gzip, from a file or standard input, however long, in bounded memory.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::pipe::Pipe;
use crate::terminal;

/// The longest line that is looked into, bytes: a thousand times a record, with room for what shippers wrap around it.
pub const MAX_LINE: usize = 1 << 20;
const BUFFER: usize = 64 << 10;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What stands for standard input, and what it is called.
const STANDARD_INPUT: (&str, &str) = ("-", "standard input");

/// A journal to read.
pub struct Source {
    /// What it is called in messages.
    pub name: String,
    /// Bytes on the disk; `None` if nobody knows.
    pub size: Option<u64>,
    /// Whether it can be read again.
    pub(super) lasts: bool,
    reader: Box<dyn Read + Send>,
}

impl Source {
    /// Whether a file is there and can be read, and how large it is. Of a pipe nothing is read, nor is its writer waited for.
    pub(super) fn look(path: &Path) -> Result<Option<u64>, String> {
        if path.as_os_str() == STANDARD_INPUT.0 {
            return Ok(None);
        }
        let failed = |error: io::Error| format!("{}: {error}", terminal::file(path));
        let about = fs::metadata(path).map_err(failed)?;
        if about.is_dir() {
            return Err(format!("{}: is a directory; name the files in it", terminal::file(path)));
        }
        if !about.is_file() {
            return Ok(None);
        }
        File::open(path).map_err(failed)?;
        Ok(Some(about.len()))
    }

    /// Opens a file, or standard input for `-`. Whatever it is, reading ends when the operator wants an end.
    pub(super) fn open(path: &Path, interrupted: &Arc<AtomicBool>) -> Result<Source, String> {
        let size = Source::look(path)?;
        let is_input = path.as_os_str() == STANDARD_INPUT.0;
        let (owned, interrupted) = (path.to_owned(), interrupted.clone());
        let reader: Box<dyn Read + Send> = match size {
            Some(_) => {
                let file = File::open(path).map_err(|error| format!("{}: {error}", terminal::file(path)))?;
                Box::new(Interruptible { inner: file, interrupted })
            }
            None if is_input => Box::new(Pipe::read(|| Ok(Box::new(io::stdin())), interrupted)),
            None => Box::new(Pipe::read(move || Ok(Box::new(File::open(owned)?)), interrupted)),
        };
        let name = if is_input { STANDARD_INPUT.1.to_owned() } else { path.to_string_lossy().into_owned() };
        Ok(Source { name, size, lasts: size.is_some(), reader })
    }

    /// What is in memory.
    pub fn of(name: String, bytes: Vec<u8>) -> Source {
        Source { name, size: Some(bytes.len() as u64), lasts: true, reader: Box::new(Cursor::new(bytes)) }
    }

    /// Its lines; every byte that is read from the disk is counted in `read`.
    pub(super) fn lines(self, read: Arc<AtomicU64>) -> io::Result<Lines> {
        let mut plain = BufReader::with_capacity(BUFFER, Counted { inner: self.reader, read });
        let mut head = Vec::new();
        plain.by_ref().take(2).read_to_end(&mut head)?;
        let gzip = head == GZIP;
        let whole = Cursor::new(head).chain(plain);
        let reader: Box<dyn BufRead + Send> =
            if gzip { Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(whole))) } else { Box::new(whole) };
        Ok(Lines { reader, line: Vec::new(), failed: None })
    }
}

/// Ends reading when the operator wants an end, even in a line that has none.
struct Interruptible {
    inner: File,
    interrupted: Arc<AtomicBool>,
}

impl Read for Interruptible {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(interruption());
        }
        self.inner.read(buffer)
    }
}

/// Not of the kind `Interrupted`, which would be tried again.
pub(super) fn interruption() -> io::Error {
    io::Error::other("interrupted")
}

struct Counted {
    inner: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// A line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    Whole(&'a [u8]),
    /// The file ends in it.
    Unended(&'a [u8]),
    /// Over [`MAX_LINE`]; passed over.
    TooLong,
}

/// The lines of a source.
pub struct Lines {
    reader: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    /// What broke the reading, told behind the last line.
    failed: Option<io::Error>,
}

impl Lines {
    /// The next line. After an error there is nothing more to read.
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.fill();
        if self.line.pop_if(|last| *last == b'\n').is_some() {
            return Ok(Some(Line::Whole(&self.line)));
        }
        if self.line.len() > MAX_LINE {
            self.skip();
            return Ok(Some(Line::TooLong));
        }
        match (self.line.is_empty(), self.failed.take()) {
            (true, Some(error)) => Err(error),
            (true, None) => Ok(None),
            (false, failed) => {
                self.failed = failed;
                Ok(Some(Line::Unended(&self.line)))
            }
        }
    }

    /// Up to the end of the line, but at most one byte over the bound. What was read before an error counts.
    fn fill(&mut self) {
        self.line.clear();
        let bound = (MAX_LINE as u64).saturating_add(1);
        if let Err(error) = self.reader.by_ref().take(bound).read_until(b'\n', &mut self.line) {
            self.failed = Some(error);
        }
    }

    fn skip(&mut self) {
        while self.failed.is_none() && !self.line.is_empty() && !self.line.ends_with(b"\n") {
            self.fill();
        }
        self.line = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// The lines of some bytes that come in pieces of one length, and how the reading ended.
    fn lines(bytes: &[u8]) -> (Vec<String>, Option<io::ErrorKind>) {
        let read = Arc::new(AtomicU64::new(0));
        let mut lines = Source::of(String::new(), bytes.to_vec()).lines(read.clone()).unwrap();
        let mut seen = Vec::new();
        loop {
            match lines.next() {
                Ok(None) => {
                    assert_eq!(read.load(Ordering::Relaxed), bytes.len() as u64);
                    return (seen, None);
                }
                Ok(Some(Line::TooLong)) => seen.push("<too long>".to_owned()),
                Ok(Some(Line::Whole(line))) => seen.push(String::from_utf8(line.to_vec()).unwrap()),
                Ok(Some(Line::Unended(line))) => seen.push(format!("{}<unended>", String::from_utf8_lossy(line))),
                Err(error) => return (seen, Some(error.kind())),
            }
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn contract_lines_end_at_line_feeds_and_the_last_says_that_it_does_not() {
        assert_eq!(lines(b""), (vec![], None));
        assert_eq!(lines(b"\n"), (vec!["".into()], None));
        assert_eq!(lines(b"a\n\nb\n"), (vec!["a".into(), "".into(), "b".into()], None));
        assert_eq!(lines(b"a\nb"), (vec!["a".into(), "b<unended>".into()], None));
    }

    #[test]
    fn contract_a_line_over_the_bound_is_passed_over_and_the_rest_goes_on() {
        let at_bound = "x".repeat(MAX_LINE);
        let over = "y".repeat(MAX_LINE + 1);
        let far_over = "z".repeat(3 * MAX_LINE + 7);
        let text = format!("{at_bound}\n{over}\nafter\n{far_over}\nlast\n");
        let expected = [at_bound.as_str(), "<too long>", "after", "<too long>", "last"].map(str::to_owned).to_vec();
        assert_eq!(lines(text.as_bytes()), (expected, None));
        assert_eq!(lines(far_over.as_bytes()), (vec!["<too long>".into()], None));
    }

    #[test]
    fn contract_gzip_is_known_by_its_first_bytes_and_may_have_many_members() {
        let members = [gzip(b"a\nb"), gzip(b"c\n"), gzip(b""), gzip(b"d\n")].concat();
        assert_eq!(lines(&members), (vec!["a".into(), "bc".into(), "d".into()], None));
    }

    #[test]
    fn contract_a_gzip_file_that_breaks_off_gives_what_it_has_and_then_the_error() {
        let text: String = (0..5000).map(|number| format!("line {number} {}\n", number * 7919 % 10_007)).collect();
        let whole = gzip(text.as_bytes());
        let (seen, error) = lines(&whole[..whole.len() / 2]);
        assert_eq!(error, Some(io::ErrorKind::UnexpectedEof));
        assert!(seen.len() > 500 && seen[..seen.len() - 1].iter().zip(text.lines()).all(|(seen, line)| seen == line));
        let (seen, error) = lines(&[gzip(b"a\n"), b"no gzip".to_vec()].concat());
        assert!(seen == ["a"] && error.is_some(), "{seen:?} {error:?}");
    }
}
