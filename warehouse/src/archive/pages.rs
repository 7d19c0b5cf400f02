//! The values of a column in a row group, one after another, page by page.
//!
//! Pages are taken from the file and decompressed by the Parquet library. What is in them is decoded here: only as an export writes
//! it (first version of data pages, plain or by a dictionary), with every length compared to what is there. A file that says
//! anything else ends in an error, where the library's own decoders may panic, which ends the process.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescPtr;

/// Why a file is not what an export writes.
pub type Unfit = String;

/// The longest page that is read, bytes without compression. An export makes pages of a MiB, or of what the events of a thousand
/// rows take; no row group has more than 64 MiB in memory and a row.
const LONGEST_PAGE: u64 = 256 << 20;
/// Room in which the header of a page is looked for, bytes.
const HEADER: usize = 512;
/// How deep structures and lists are in each other in a header or a footer.
const DEPTH: u8 = 16;
/// How many columns have columns in them: lists, maps, structures. The library reads them by recursion.
const MOST_GROUPS: u32 = 200;

/// What the values of a column are in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Physical {
    /// Four bytes, little endian.
    Int32,
    /// Eight bytes, little endian.
    Int64,
    /// Sixteen bytes, big endian.
    Usd,
    /// Text of any length.
    Text,
}

impl Physical {
    /// How long a value is, if all are of one length.
    pub const fn width(self) -> Option<usize> {
        match self {
            Physical::Int32 => Some(4),
            Physical::Int64 => Some(8),
            Physical::Usd => Some(16),
            Physical::Text => None,
        }
    }
}

/// A file on this machine, read at any place by several readers.
pub struct Place {
    /// The file.
    pub file: File,
    /// How long it is.
    pub length: u64,
}

impl Length for Place {
    fn len(&self) -> u64 {
        self.length
    }
}

/// Reads a file from a place on.
pub struct Reading {
    /// The file.
    pub place: Arc<Place>,
    /// What is read next.
    pub at: u64,
}

impl Read for Reading {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.place.file.read_at(into, self.at)?;
        self.at = self.at.saturating_add(read as u64);
        Ok(read)
    }
}

/// What the Parquet library reads from.
struct Chunks(Arc<Place>);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.length
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<Reading>;

    fn get_read(&self, start: u64) -> Result<BufReader<Reading>, ParquetError> {
        Ok(BufReader::with_capacity(HEADER, Reading { place: self.0.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let left = self.0.length.saturating_sub(start);
        if length as u64 > left {
            return Err(ParquetError::EOF("it ends before".to_owned()));
        }
        let mut bytes = vec![0; length];
        self.0.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// Where a column of a row group lies.
#[derive(Clone, Copy, Debug)]
pub struct Chunk {
    /// Where it begins.
    pub start: u64,
    /// How long it is.
    pub length: u64,
    /// How its pages are compressed.
    pub compression: Compression,
}

/// A column of a row group.
pub struct Leaf {
    pages: Option<SerializedPageReader<Chunks>>,
    place: Arc<Place>,
    column: ColumnDescPtr,
    compression: Compression,
    /// Where the next page begins.
    offset: u64,
    end: u64,
    physical: Physical,
    is_optional: bool,
    dictionary: Option<Dictionary>,
    page: Option<Data>,
    /// The row that is read next.
    next: u64,
    /// What the row before it has.
    current: Current,
}

#[derive(Clone)]
enum Current {
    Absent,
    /// In the page.
    Plain(Range<usize>),
    /// In the dictionary.
    Listed(Range<usize>),
}

/// The values that are numbered.
struct Dictionary {
    bytes: Bytes,
    /// Where each text is; nothing if all are of one length.
    texts: Vec<Range<u32>>,
    count: usize,
}

/// A page of values.
struct Data {
    bytes: Bytes,
    /// For each row whether it has a value; of a column that may have none.
    levels: Option<Runs>,
    values: Values,
    /// Rows that are not passed yet.
    left: u64,
}

enum Values {
    /// One after another, from here on.
    Plain(usize),
    /// By their numbers in the dictionary.
    Numbered(Runs),
}

impl Leaf {
    /// The values of a column. Nothing of it is read before it is asked.
    pub fn new(place: &Arc<Place>, column: &ColumnDescPtr, chunk: Chunk, physical: Physical) -> Leaf {
        Leaf {
            pages: None,
            place: place.clone(),
            column: column.clone(),
            compression: chunk.compression,
            offset: chunk.start,
            end: chunk.start.saturating_add(chunk.length),
            physical,
            is_optional: column.max_def_level() > 0,
            dictionary: None,
            page: None,
            next: 0,
            current: Current::Absent,
        }
    }

    /// The pages that are not read yet.
    fn pages(&mut self) -> Result<&mut SerializedPageReader<Chunks>, Unfit> {
        let pages = match self.pages.take() {
            Some(pages) => pages,
            None => {
                let as_signed =
                    |number: u64| i64::try_from(number).map_err(|_| "lies behind the end of the file".to_owned());
                let metadata = ColumnChunkMetaData::builder(self.column.clone())
                    .set_compression(self.compression)
                    .set_data_page_offset(as_signed(self.offset)?)
                    .set_total_compressed_size(as_signed(self.end.saturating_sub(self.offset))?)
                    .build()
                    .map_err(|error| error.to_string())?;
                let chunks = Arc::new(Chunks(self.place.clone()));
                // How many rows there are is needed only where pages are found by an index.
                SerializedPageReader::new(chunks, &metadata, 0, None).map_err(|error| error.to_string())?
            }
        };
        Ok(self.pages.insert(pages))
    }

    /// What a row has: this row or a later one than that which was read before.
    pub fn at(&mut self, row: u64) -> Result<Option<&[u8]>, Unfit> {
        if row >= self.next {
            self.skip(row.saturating_sub(self.next))?;
            self.current = self.read()?;
            self.next = row.saturating_add(1);
        } else if row.saturating_add(1) != self.next {
            return Err("was read further already".to_owned());
        }
        let found = match &self.current {
            Current::Absent => return Ok(None),
            Current::Plain(range) => self.page.as_ref().and_then(|page| page.bytes.get(range.clone())),
            Current::Listed(range) => self.dictionary.as_ref().and_then(|listed| listed.bytes.get(range.clone())),
        };
        found.map(Some).ok_or_else(|| "ends in the middle of a value".to_owned())
    }

    /// Passes rows.
    fn skip(&mut self, mut rows: u64) -> Result<(), Unfit> {
        while rows > 0 {
            let Some(page) = self.page.as_mut().filter(|page| page.left > 0) else {
                self.page = None;
                rows = rows.saturating_sub(self.pass(rows)?);
                continue;
            };
            let here = rows.min(page.left);
            page.left = page.left.saturating_sub(here);
            rows = rows.saturating_sub(here);
            if page.left == 0 {
                // Nothing of it is wanted any more.
                continue;
            }
            let values = match &mut page.levels {
                Some(levels) => levels.ones(here)?,
                None => here,
            };
            match (&mut page.values, self.physical.width()) {
                (Values::Numbered(numbers), _) => numbers.skip(values)?,
                (Values::Plain(at), Some(width)) => {
                    let bytes = usize::try_from(values).ok().and_then(|values| values.checked_mul(width));
                    *at = bytes.and_then(|bytes| at.checked_add(bytes)).ok_or("is too long")?;
                }
                (Values::Plain(at), None) => {
                    for _ in 0..values {
                        *at = text_at(&page.bytes, *at)?.end;
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads the next value.
    fn read(&mut self) -> Result<Current, Unfit> {
        while self.page.as_ref().is_none_or(|page| page.left == 0) {
            self.load()?;
        }
        let Some(page) = &mut self.page else { return Err("has no page".to_owned()) };
        page.left = page.left.saturating_sub(1);
        if let Some(levels) = &mut page.levels
            && levels.next()? == 0
        {
            return Ok(Current::Absent);
        }
        match &mut page.values {
            Values::Plain(at) => {
                let range = match self.physical.width() {
                    Some(width) => *at..at.checked_add(width).ok_or("is too long")?,
                    None => text_at(&page.bytes, *at)?,
                };
                *at = range.end;
                Ok(Current::Plain(range))
            }
            Values::Numbered(numbers) => {
                let listed = self.dictionary.as_ref().ok_or("has no dictionary")?;
                listed.range(numbers.next()?, self.physical).map(Current::Listed)
            }
        }
    }

    /// Passes the next page, if no more than so many rows are in it: so many it has. Else it is there to be read then.
    fn pass(&mut self, rows: u64) -> Result<u64, Unfit> {
        let header = self.header()?;
        match header.rows {
            Some(has) if has <= rows => {
                self.pages()?.skip_next_page().map_err(|error| error.to_string())?;
                self.offset = header.behind;
                Ok(has)
            }
            _ => self.load().map(|()| 0),
        }
    }

    /// Reads the next page with values.
    fn load(&mut self) -> Result<(), Unfit> {
        // What was read in the page is of no use any more.
        (self.page, self.current) = (None, Current::Absent);
        loop {
            let header = self.header()?;
            if header.length > LONGEST_PAGE {
                return Err(format!("has a page of {} bytes", header.length));
            }
            let page = self.pages()?.get_next_page().map_err(|error| error.to_string())?;
            self.offset = header.behind;
            match page {
                Some(Page::DictionaryPage { buf, num_values, encoding, .. }) => {
                    let is_plain = matches!(encoding, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY);
                    if !is_plain || self.dictionary.is_some() {
                        return Err("has a dictionary of another form".to_owned());
                    }
                    self.dictionary = Some(Dictionary::new(buf, num_values, self.physical)?);
                }
                Some(Page::DataPage { buf, num_values, encoding, def_level_encoding, .. }) => {
                    if self.is_optional && def_level_encoding != Encoding::RLE {
                        return Err("has levels of another form".to_owned());
                    }
                    self.page = Some(Data::new(buf, num_values, encoding, self.is_optional)?);
                    return Ok(());
                }
                Some(_) => return Err("has a page of another form".to_owned()),
                None => return Err("has fewer rows than the others".to_owned()),
            }
        }
    }

    /// The header of the next page.
    fn header(&self) -> Result<Header, Unfit> {
        let left = self.end.saturating_sub(self.offset);
        if left == 0 {
            return Err("has fewer rows than the others".to_owned());
        }
        let mut bytes = [0; HEADER];
        let room = usize::try_from(left).unwrap_or(HEADER).min(HEADER);
        let bytes = bytes.get_mut(..room).ok_or("has no room for a header")?;
        self.place.file.read_exact_at(bytes, self.offset).map_err(|error| error.to_string())?;
        let mut reading = Thrift { bytes, at: 0 };
        let PageHeader { compressed, length, rows } = reading.page_header()?;
        let begin = reading.at as u64;
        let behind = begin.checked_add(compressed).filter(|all| *all <= left).ok_or("has a page that is cut off")?;
        Ok(Header { length, rows, behind: self.offset.saturating_add(behind) })
    }
}

/// What is to be known of a page before it is read.
struct Header {
    /// How long it is without compression.
    length: u64,
    /// How many rows it has; nothing of a dictionary.
    rows: Option<u64>,
    /// Where the next one begins.
    behind: u64,
}

impl Dictionary {
    fn new(bytes: Bytes, count: u32, physical: Physical) -> Result<Dictionary, Unfit> {
        let count = usize::try_from(count).map_err(|error| error.to_string())?;
        let mut texts = Vec::new();
        match physical.width() {
            Some(width) => {
                if count.checked_mul(width).is_none_or(|all| all > bytes.len()) {
                    return Err("has a dictionary that is cut off".to_owned());
                }
            }
            None => {
                let mut at = 0;
                for _ in 0..count {
                    let text = text_at(&bytes, at)?;
                    at = text.end;
                    let number = |at: usize| u32::try_from(at).map_err(|error| error.to_string());
                    texts.push(number(text.start)?..number(text.end)?);
                }
            }
        }
        Ok(Dictionary { bytes, texts, count })
    }

    /// Where a value is.
    fn range(&self, number: u32, physical: Physical) -> Result<Range<usize>, Unfit> {
        let at = usize::try_from(number).ok().filter(|at| *at < self.count);
        let range = match physical.width() {
            Some(width) => at.and_then(|at| {
                let begin = at.checked_mul(width)?;
                Some(begin..begin.checked_add(width)?)
            }),
            None => at.and_then(|at| {
                let Range { start, end } = self.texts.get(at)?.clone();
                Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
            }),
        };
        range.ok_or_else(|| "has a value that its dictionary does not have".to_owned())
    }
}

impl Data {
    fn new(bytes: Bytes, rows: u32, encoding: Encoding, is_optional: bool) -> Result<Data, Unfit> {
        let mut begin = 0;
        let mut levels = None;
        if is_optional {
            let at = text_at(&bytes, 0)?;
            begin = at.end;
            levels = Some(Runs::new(bytes.slice(at), 1));
        }
        let values = match encoding {
            Encoding::PLAIN => Values::Plain(begin),
            Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY => match bytes.get(begin) {
                Some(width) if *width <= 32 => {
                    Values::Numbered(Runs::new(bytes.slice(begin.saturating_add(1)..), u32::from(*width)))
                }
                Some(_) => return Err("has numbers of more than 32 bits".to_owned()),
                // A page without a value.
                None => Values::Numbered(Runs::new(Bytes::new(), 0)),
            },
            other => return Err(format!("is encoded as {other}, which no export is")),
        };
        Ok(Data { bytes, levels, values, left: u64::from(rows) })
    }
}

/// Where the text is whose length is at `at`.
fn text_at(bytes: &[u8], at: usize) -> Result<Range<usize>, Unfit> {
    let read = || {
        let (length, _) = bytes.get(at..)?.split_first_chunk::<4>()?;
        let begin = at.checked_add(4)?;
        let end = begin.checked_add(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        (end <= bytes.len()).then_some(begin..end)
    };
    read().ok_or_else(|| "ends in the middle of a text".to_owned())
}

/// Small numbers: repeated ones as a count, others packed by their bits.
struct Runs {
    bytes: Bytes,
    /// Where the next run begins.
    at: usize,
    /// Bits of a number.
    width: u32,
    run: Run,
    /// Numbers of the run that are not read.
    left: u64,
}

enum Run {
    /// The same number.
    Same(u32),
    /// From this bit on.
    Packed(u64),
}

impl Runs {
    fn new(bytes: Bytes, width: u32) -> Runs {
        Runs { bytes, at: 0, width, run: Run::Same(0), left: 0 }
    }

    /// Begins the next run, if this one is at its end.
    fn begin(&mut self) -> Result<(), Unfit> {
        const CUT_OFF: &str = "has runs that are cut off";
        while self.left == 0 {
            let mut reading = Thrift { bytes: &self.bytes, at: self.at };
            let head = reading.varint().map_err(|_| CUT_OFF.to_owned())?;
            self.at = reading.at;
            let count = head >> 1;
            if count == 0 || count > u64::from(u32::MAX) {
                return Err(CUT_OFF.to_owned());
            }
            if head & 1 == 1 {
                let length = count.checked_mul(u64::from(self.width)).and_then(|length| usize::try_from(length).ok());
                let end = length.and_then(|length| self.at.checked_add(length)).ok_or(CUT_OFF)?;
                let first = u64::try_from(self.at).ok().and_then(|at| at.checked_mul(8)).ok_or(CUT_OFF)?;
                (self.run, self.left) = (Run::Packed(first), count.saturating_mul(8));
                self.at = end;
            } else {
                let length = usize::try_from(self.width.div_ceil(8)).unwrap_or(4);
                let end = self.at.checked_add(length).ok_or(CUT_OFF)?;
                let digits = self.bytes.get(self.at..end).ok_or(CUT_OFF)?;
                let value = digits.iter().rev().fold(0, |value: u32, digit| value << 8 | u32::from(*digit));
                (self.run, self.left) = (Run::Same(value), count);
                self.at = end;
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Result<u32, Unfit> {
        if self.width == 0 {
            return Ok(0);
        }
        self.begin()?;
        self.left = self.left.saturating_sub(1);
        match &mut self.run {
            Run::Same(value) => Ok(*value),
            Run::Packed(bit) => {
                let begin = usize::try_from(*bit >> 3).map_err(|error| error.to_string())?;
                let shift = u32::try_from(*bit & 7).unwrap_or(0);
                *bit = bit.saturating_add(u64::from(self.width));
                let needed = usize::try_from(shift.saturating_add(self.width).div_ceil(8)).unwrap_or(5);
                let bytes = begin.checked_add(needed).and_then(|end| self.bytes.get(begin..end));
                let bytes = bytes.ok_or("has runs that are cut off")?;
                let all = bytes.iter().rev().fold(0, |all: u64, byte| all << 8 | u64::from(*byte));
                let mask = 1_u64.checked_shl(self.width).map_or(u64::MAX, |above| above.wrapping_sub(1));
                u32::try_from(all >> shift & mask).map_err(|error| error.to_string())
            }
        }
    }

    fn skip(&mut self, mut count: u64) -> Result<(), Unfit> {
        while count > 0 && self.width > 0 {
            self.begin()?;
            let here = count.min(self.left);
            if let Run::Packed(bit) = &mut self.run {
                *bit = bit.saturating_add(here.saturating_mul(u64::from(self.width)));
            }
            (self.left, count) = (self.left.saturating_sub(here), count.saturating_sub(here));
        }
        Ok(())
    }

    /// Passes so many levels; how many of them are 1.
    fn ones(&mut self, count: u64) -> Result<u64, Unfit> {
        let mut ones = 0_u64;
        let mut left = count;
        while left > 0 {
            self.begin()?;
            match self.run {
                Run::Same(value) => {
                    let here = left.min(self.left);
                    self.left = self.left.saturating_sub(here);
                    left = left.saturating_sub(here);
                    ones = ones.saturating_add(if value == 0 { 0 } else { here });
                }
                Run::Packed(_) => {
                    ones = ones.saturating_add(u64::from(self.next()? != 0));
                    left = left.saturating_sub(1);
                }
            }
        }
        Ok(ones)
    }
}

/// Whether the end of a file is what it must be, so that the library can read it in the memory and the stack that there is.
pub fn check_footer(bytes: &[u8]) -> Result<(), Unfit> {
    let mut reading = Thrift { bytes, at: 0 };
    let (mut last, mut groups) = (0, 0_u32);
    while let Some((field, kind)) = reading.field(last)? {
        if (field, kind) == (2, 9) {
            let (count, kind) = reading.list()?;
            if kind != 12 {
                return Err("has a schema of another form".to_owned());
            }
            for _ in 0..count {
                groups = groups.saturating_add(u32::from(reading.is_group()?));
            }
        } else {
            reading.pass(kind, DEPTH)?;
        }
        last = field;
    }
    if groups > MOST_GROUPS { Err("has a schema that is too deep".to_owned()) } else { Ok(()) }
}

/// What is before a page.
struct PageHeader {
    compressed: u64,
    length: u64,
    rows: Option<u64>,
}

/// Thrift's compact form, as far as it is needed: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.
struct Thrift<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Thrift<'_> {
    fn byte(&mut self) -> Result<u8, Unfit> {
        let byte = self.bytes.get(self.at).copied().ok_or("has a header that is cut off")?;
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64, Unfit> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("has a number that is too long".to_owned())
    }

    fn signed(&mut self) -> Result<i64, Unfit> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg())
    }

    /// Reads what is before a page. The library's own reading takes for granted that it says what must be said.
    fn page_header(&mut self) -> Result<PageHeader, Unfit> {
        let (mut page, mut compressed, mut length) = (None, None, None);
        let (mut data, mut dictionary) = (None, None);
        let mut last = 0;
        while let Some((field, kind)) = self.field(last)? {
            match (field, kind) {
                (1, 5) => page = Some(self.signed()?),
                (2, 5) => length = u64::try_from(self.signed()?).ok(),
                (3, 5) => compressed = u64::try_from(self.signed()?).ok(),
                (5, 12) => data = self.count()?,
                (7, 12) => dictionary = self.count()?,
                _ => self.pass(kind, DEPTH)?,
            }
            last = field;
        }
        let (compressed, length) = compressed.zip(length).ok_or("has a page without a length")?;
        match (page, data, dictionary) {
            (Some(0), Some(rows), None) => Ok(PageHeader { compressed, length, rows: Some(rows) }),
            (Some(2), None, Some(_)) => Ok(PageHeader { compressed, length, rows: None }),
            _ => Err("has a page of another form".to_owned()),
        }
    }

    /// What a structure says first: how many values there are.
    fn count(&mut self) -> Result<Option<u64>, Unfit> {
        let mut count = None;
        let mut last = 0;
        while let Some((field, kind)) = self.field(last)? {
            match (field, kind) {
                (1, 5) => count = u64::try_from(self.signed()?).ok(),
                _ => self.pass(kind, DEPTH)?,
            }
            last = field;
        }
        Ok(count)
    }

    /// The number and the type of the next field; nothing at the end of a structure.
    fn field(&mut self, last: i64) -> Result<Option<(i64, u8)>, Unfit> {
        let head = self.byte()?;
        match (head >> 4, head & 0xf) {
            (_, 0) => Ok(None),
            (0, kind) => Ok(Some((self.signed()?, kind))),
            (more, kind) => Ok(Some((last.saturating_add(i64::from(more)), kind))),
        }
    }

    /// Passes what is of no interest.
    fn pass(&mut self, kind: u8, depth: u8) -> Result<(), Unfit> {
        let depth = depth.checked_sub(1).ok_or("has a header that is too deep")?;
        match kind {
            // True and false are in the type.
            1 | 2 => Ok(()),
            3 => self.byte().map(drop),
            4..=6 => self.varint().map(drop),
            7 => self.over(8),
            8 => {
                let length = self.varint()?;
                self.over(length)
            }
            9 | 10 => {
                let (count, kind) = self.list()?;
                (0..count).try_for_each(|_| match kind {
                    1 | 2 => self.byte().map(drop),
                    0 => Err("has a list of nothing".to_owned()),
                    kind => self.pass(kind, depth),
                })
            }
            12 => {
                let mut last = 0;
                while let Some((field, kind)) = self.field(last)? {
                    self.pass(kind, depth)?;
                    last = field;
                }
                Ok(())
            }
            _ => Err("has a header of another form".to_owned()),
        }
    }

    /// How many there are in a list, and their type.
    fn list(&mut self) -> Result<(u64, u8), Unfit> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        Ok((count, head & 0xf))
    }

    /// Whether an element of a schema has others in it.
    fn is_group(&mut self) -> Result<bool, Unfit> {
        let mut is_group = false;
        let mut last = 0;
        while let Some((field, kind)) = self.field(last)? {
            match (field, kind) {
                (5, 5) => is_group |= self.signed()? != 0,
                _ => self.pass(kind, DEPTH)?,
            }
            last = field;
        }
        Ok(is_group)
    }

    fn over(&mut self, bytes: u64) -> Result<(), Unfit> {
        let end = usize::try_from(bytes).ok().and_then(|bytes| self.at.checked_add(bytes));
        self.at = end.filter(|end| *end <= self.bytes.len()).ok_or("has a header that is cut off")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Numbers as runs: those that are the same as a count, the others packed.
    fn encode(runs: &[(bool, Vec<u32>)], width: u32) -> (Vec<u8>, Vec<u32>) {
        let (mut bytes, mut numbers) = (Vec::new(), Vec::new());
        for (is_packed, values) in runs {
            let (head, all) = match is_packed {
                true => {
                    let groups = values.len().div_ceil(8);
                    let padded: Vec<u32> =
                        values.iter().copied().chain(std::iter::repeat(0)).take(groups * 8).collect();
                    (groups << 1 | 1, padded)
                }
                false => (values.len() << 1, vec![values[0]; values.len()]),
            };
            let mut rest = head;
            while rest > 127 {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
            if *is_packed {
                let mut bits = vec![0_u8; all.len() * width as usize / 8];
                for (at, value) in all.iter().enumerate() {
                    for bit in 0..width as usize {
                        let place = at * width as usize + bit;
                        bits[place / 8] |= ((value >> bit & 1) as u8) << (place % 8);
                    }
                }
                bytes.extend(bits);
            } else {
                bytes.extend(&all[0].to_le_bytes()[..width.div_ceil(8) as usize]);
            }
            numbers.extend(all);
        }
        (bytes, numbers)
    }

    #[test]
    fn contract_a_schema_that_would_take_the_stack_is_refused() {
        // Each has the next one in it: field 4 is a name, field 5 how many there are.
        let deep = |count: u32| {
            let element = [0x48, 1, b'a', 0x15, 2, 0];
            let mut bytes = vec![0x15, 2, 0x19, 0xfc];
            let mut rest = count;
            while rest > 127 {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
            bytes.extend(element.repeat(count as usize));
            bytes.push(0);
            bytes
        };
        assert_eq!(check_footer(&deep(200)), Ok(()));
        assert_eq!(check_footer(&deep(1_000_000)), Err("has a schema that is too deep".to_owned()));
        let cut_off = &deep(1_000_000)[..1000];
        assert_eq!(check_footer(cut_off), Err("has a header that is cut off".to_owned()));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn deterministic_runs_are_read_as_they_were_packed(
            width in 1..=32_u32,
            runs in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u32>(), 1..40)), 1..8),
            skips in prop::collection::vec(0..20_u64, 1..60),
        ) {
            let mask = u32::MAX >> (32 - width);
            let runs: Vec<_> = runs
                .into_iter()
                .map(|(is_packed, values)| (is_packed, values.iter().map(|value| value & mask).collect()))
                .collect();
            let (bytes, numbers) = encode(&runs, width);
            let mut reading = Runs::new(bytes.clone().into(), width);
            for number in &numbers {
                prop_assert_eq!(reading.next(), Ok(*number));
            }
            prop_assert!(reading.next().is_err());
            // Passing some leads to the same ones.
            let mut reading = Runs::new(bytes.clone().into(), width);
            let mut at = 0;
            for skip in skips {
                at += skip as usize;
                let Some(number) = numbers.get(at) else { break };
                reading.skip(skip).unwrap();
                prop_assert_eq!(reading.next(), Ok(*number));
                at += 1;
            }
            let ones = numbers.iter().filter(|number| **number != 0).count() as u64;
            prop_assert_eq!(Runs::new(bytes.into(), width).ones(numbers.len() as u64), Ok(ones));
        }

        #[test]
        fn contract_bytes_that_mean_nothing_are_an_error_and_no_panic(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xff), Just(0), Just(1)], 0..80),
            width in 0..=32_u32,
            count in prop_oneof![0..100_u32, Just(u32::MAX)],
        ) {
            let mut header = Thrift { bytes: &bytes, at: 0 };
            let _ = header.page_header();
            let _ = check_footer(&bytes);
            let given = Bytes::from(bytes);
            let mut reading = Runs::new(given.clone(), width);
            (0..2000).map_while(|_| reading.next().ok()).for_each(drop);
            let _ = Runs::new(given.clone(), width.max(1)).skip(u64::MAX);
            let _ = Runs::new(given.clone(), 1).ones(3000);
            for physical in [Physical::Int32, Physical::Int64, Physical::Usd, Physical::Text] {
                if let Ok(listed) = Dictionary::new(given.clone(), count, physical) {
                    for number in [0, 1, count, u32::MAX] {
                        let range = listed.range(number, physical);
                        prop_assert!(range.is_ok_and(|range| given.get(range).is_some()) == (number < count));
                    }
                }
                for encoding in [Encoding::PLAIN, Encoding::RLE_DICTIONARY, Encoding::DELTA_BYTE_ARRAY] {
                    let _ = Data::new(given.clone(), count, encoding, true);
                    let _ = Data::new(given.clone(), count, encoding, false);
                }
            }
        }
    }
}
