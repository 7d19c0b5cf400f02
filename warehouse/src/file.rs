//! One Parquet file that is being written.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, Type};
use sha2::{Digest, Sha256};

use crate::buffer::Buffer;
use crate::columns;
use crate::row::hex;

/// Columns of which each value is another one: a dictionary and the lowest and highest value would only cost room.
const EACH_ANOTHER: [&str; 5] = ["hash", "rating", "event", "reason", "salt"];
const ZSTD_LEVEL: i32 = 3;

/// How files are written: the same for all of an export.
#[derive(Clone)]
pub struct Form {
    schema: Arc<Type>,
    properties: Arc<WriterProperties>,
}

impl Form {
    /// With the columns of [`columns::columns`].
    pub fn new() -> Result<Form, ParquetError> {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_created_by(format!("meshmeter version {}", env!("CARGO_PKG_VERSION")))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true);
        for name in EACH_ANOTHER {
            let path = ColumnPath::from(name);
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_statistics_enabled(path, EnabledStatistics::None);
        }
        Ok(Form { schema: Arc::new(parse_message_type(&columns::schema())?), properties: Arc::new(properties.build()) })
    }
}

/// A file that is not whole yet.
pub struct File {
    writer: SerializedFileWriter<Digesting>,
}

/// What a file became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digested {
    /// Its length.
    pub bytes: u64,
    /// SHA-256 over it, hex digits.
    pub sha256: String,
}

impl File {
    /// Begins a file; there must be none of that name.
    pub fn create(path: &Path, form: &Form) -> Result<File, ParquetError> {
        let file = fs::File::options().write(true).create_new(true).open(path)?;
        let to = Digesting { file: BufWriter::new(file), sha: Sha256::new(), bytes: 0 };
        Ok(File { writer: SerializedFileWriter::new(to, form.schema.clone(), form.properties.clone())? })
    }

    /// Writes the rows that wait.
    pub fn write(&mut self, rows: &mut Buffer) -> Result<(), ParquetError> {
        if rows.rows() == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        rows.write(&mut group)?;
        group.close()?;
        Ok(())
    }

    /// How long it is so far.
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.writer.bytes_written()).unwrap_or(u64::MAX)
    }

    /// Ends it: on the disk when this returns.
    pub fn close(self) -> Result<Digested, ParquetError> {
        let Digesting { file, sha, bytes } = self.writer.into_inner()?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(Digested { bytes, sha256: hex(&sha.finalize()) })
    }
}

/// Writes, and digests what is written.
struct Digesting {
    file: BufWriter<fs::File>,
    sha: Sha256,
    bytes: u64,
}

impl Write for Digesting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.sha.update(bytes);
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
