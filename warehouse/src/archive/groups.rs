//! The row groups of a Parquet file, read by the Parquet library: column by column, a few rows at a time.
//!
//! The library may panic on a file that was made to be hostile. None comes here: a file is opened only when its SHA-256 is that of
//! its manifest, so it is what an export wrote.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::{Range, RangeInclusive};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Type;
use parquet::column::page::PageReader;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FixedLenByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;

use super::kept::{Batch, COLUMNS, SALT};

/// Why a file is not what an export writes.
pub type Unfit = String;

/// The longest end of a file, in which it says what is where, bytes.
const LONGEST_FOOTER: u64 = 64 << 20;
/// How many rows are read at once.
const BATCH: usize = 256;

/// A file from a place on. Each reader has its own place, also in different threads, which handles of the same file have not.
#[derive(Clone)]
pub struct Source {
    /// The file.
    pub file: Arc<File>,
    /// How long it is.
    pub length: u64,
    /// What is read next.
    pub at: u64,
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at = self.at.saturating_add(read as u64);
        Ok(read)
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Source {
    type T = BufReader<Source>;

    fn get_read(&self, start: u64) -> Result<BufReader<Source>, ParquetError> {
        // The header of a page is read so, which is short.
        Ok(BufReader::with_capacity(512, Source { at: start, ..self.clone() }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// A row group: the columns that an entry is read from.
pub struct Group {
    rows: usize,
    columns: Vec<ColumnChunkMetaData>,
}

/// All row groups of a file that has so many rows.
pub fn read(source: &Source, rows: u64) -> Result<Vec<Group>, Unfit> {
    let mut end = [0; 8];
    let begin = source.length.checked_sub(8).ok_or("is too short")?;
    source.file.read_exact_at(&mut end, begin).map_err(|error| error.to_string())?;
    let [a, b, c, d, ..] = end;
    if u64::from(u32::from_le_bytes([a, b, c, d])) > LONGEST_FOOTER.min(begin) {
        return Err("ends with more than there can be".to_owned());
    }
    let metadata = ParquetMetaDataReader::new().parse_and_finish(source).map_err(|error| error.to_string())?;
    let schema = metadata.file_metadata().schema_descr().columns();
    let mut places = Vec::new();
    for (column, name) in COLUMNS.iter().enumerate() {
        places.push(schema.iter().position(|of| of.path().parts() == [*name]).ok_or_else(|| match column {
            SALT => "has no column salt, as it was written by an earlier version, so its entries are not complete: export \
                     all of them to another place"
                .to_owned(),
            _ => format!("has no column {name}"),
        })?);
    }
    let mut groups = Vec::new();
    for group in metadata.row_groups() {
        let columns = places.iter().filter_map(|place| group.columns().get(*place)).cloned().collect();
        groups.push(Group { rows: usize::try_from(group.num_rows()).map_err(|error| error.to_string())?, columns });
    }
    if groups.iter().map(|group| group.rows as u64).sum::<u64>() != rows {
        return Err(format!("has not the {rows} rows that it has by its manifest"));
    }
    Ok(groups)
}

impl Group {
    /// All of its rows.
    pub fn all(&self) -> Vec<Range<usize>> {
        std::iter::once(0..self.rows).collect()
    }

    /// From the lowest to the highest number in a column, if that is known.
    pub fn numbers(&self, column: usize) -> Option<RangeInclusive<i64>> {
        match self.columns.get(column)?.statistics()? {
            Statistics::Int64(found) => Some(*found.min_opt()?..=*found.max_opt()?),
            _ => None,
        }
    }

    /// Whether a text can be in a column.
    pub fn can_have(&self, column: usize, text: &str) -> bool {
        match self.columns.get(column).and_then(ColumnChunkMetaData::statistics) {
            Some(Statistics::ByteArray(found)) => {
                found.min_opt().is_none_or(|min| min.data() <= text.as_bytes())
                    && found.max_opt().is_none_or(|max| max.data() >= text.as_bytes())
            }
            _ => true,
        }
    }

    /// Those of some rows of which something is true in a column.
    pub fn filter(
        &self,
        source: &Source,
        column: usize,
        rows: Vec<Range<usize>>,
        is_meant: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Range<usize>>, Unfit> {
        let mut found: Vec<Range<usize>> = Vec::new();
        if rows.is_empty() {
            return Ok(found);
        }
        let mut reading = self.column(source, column)?;
        for part in parts(rows) {
            for (row, value) in part.clone().zip(reading.read(&part)?) {
                let behind = row.saturating_add(1);
                match found.last_mut() {
                    _ if !is_meant(&value) => {}
                    Some(last) if last.end == row => last.end = behind,
                    _ => found.push(row..behind),
                }
            }
        }
        Ok(found)
    }

    /// Reads all columns of some rows.
    pub fn batches(&self, source: &Source, rows: Vec<Range<usize>>) -> Result<Batches, Unfit> {
        let columns = (0..COLUMNS.len()).map(|column| self.column(source, column)).collect::<Result<_, Unfit>>()?;
        Ok(Batches { columns, parts: Box::new(parts(rows)) })
    }

    fn column(&self, source: &Source, column: usize) -> Result<Column, Unfit> {
        let chunk = self.columns.get(column).ok_or("has no such column")?;
        let name = COLUMNS.get(column).copied().unwrap_or_default();
        let failed = |error: ParquetError| format!("column {name}: {error}");
        let pages = SerializedPageReader::new(Arc::new(source.clone()), chunk, self.rows, None).map_err(failed)?;
        let (of, pages) = (chunk.column_descr_ptr(), Box::new(pages));
        let values = match of.physical_type() {
            Type::INT32 => Typed::<Int32Type>::values(of, pages, |number| Value::Number(number.into())),
            Type::INT64 => Typed::<Int64Type>::values(of, pages, Value::Number),
            Type::BYTE_ARRAY => Typed::<ByteArrayType>::values(of, pages, Value::Bytes),
            Type::FIXED_LEN_BYTE_ARRAY => {
                Typed::<FixedLenByteArrayType>::values(of, pages, |bytes| Value::Bytes(bytes.into()))
            }
            _ => return Err(format!("column {name}: is of another type")),
        };
        Ok(Column { name, values, at: 0 })
    }
}

/// Rows in parts that are read at once.
fn parts(rows: Vec<Range<usize>>) -> impl Iterator<Item = Range<usize>> + Send {
    rows.into_iter()
        .flat_map(|rows| rows.clone().step_by(BATCH).map(move |begin| begin..begin.saturating_add(BATCH).min(rows.end)))
}

/// Rows of a row group, of which all columns are read.
pub struct Batches {
    columns: Vec<Column>,
    parts: Box<dyn Iterator<Item = Range<usize>> + Send>,
}

impl Batches {
    /// The next rows; nothing behind the last.
    pub fn next(&mut self) -> Result<Option<Batch>, Unfit> {
        let Some(part) = self.parts.next() else { return Ok(None) };
        let values = self.columns.iter_mut().map(|column| column.read(&part)).collect::<Result<_, Unfit>>()?;
        Ok(Some(Batch::new(part.len(), values)))
    }
}

/// What a row has in a column.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing.
    Absent,
    /// A number, or a day.
    Number(i64),
    /// A text, or an amount.
    Bytes(ByteArray),
}

impl Value {
    /// Whether it is this text.
    pub fn is(&self, text: &str) -> bool {
        matches!(self, Value::Bytes(bytes) if bytes.data() == text.as_bytes())
    }
}

/// A column of a row group, whose rows are read in their order.
struct Column {
    name: &'static str,
    values: Box<dyn Values>,
    /// The row that is read next.
    at: usize,
}

impl Column {
    /// What these rows have.
    fn read(&mut self, rows: &Range<usize>) -> Result<Vec<Value>, Unfit> {
        let passed = rows.start.saturating_sub(self.at);
        self.at = rows.end;
        let read = self.values.read(passed, rows.len());
        let read = read.map_err(|error| format!("column {}: {error}", self.name))?;
        if read.len() == rows.len() { Ok(read) } else { Err(format!("column {}: has not all rows", self.name)) }
    }
}

trait Values: Send {
    /// What so many rows have, behind so many that are passed.
    fn read(&mut self, passed: usize, rows: usize) -> Result<Vec<Value>, ParquetError>;
}

/// Values of a type of the library.
struct Typed<T: DataType> {
    reader: ColumnReaderImpl<T>,
    value: fn(T::T) -> Value,
}

impl<T: DataType> Typed<T> {
    fn values(of: ColumnDescPtr, pages: Box<dyn PageReader>, value: fn(T::T) -> Value) -> Box<dyn Values> {
        Box::new(Typed::<T> { reader: ColumnReaderImpl::new(of, pages), value })
    }
}

impl<T: DataType> Values for Typed<T> {
    fn read(&mut self, passed: usize, rows: usize) -> Result<Vec<Value>, ParquetError> {
        self.reader.skip_records(passed)?;
        // Of a column in which each row has a value there are no levels.
        let (mut levels, mut values) = (Vec::new(), Vec::with_capacity(rows));
        self.reader.read_records(rows, Some(&mut levels), None, &mut values)?;
        let mut values = values.into_iter().map(self.value);
        if levels.is_empty() {
            return Ok(values.collect());
        }
        Ok(levels.into_iter().map_while(|level| if level == 0 { Some(Value::Absent) } else { values.next() }).collect())
    }
}
