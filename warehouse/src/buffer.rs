//! Rows that wait to be written: column by column, as Parquet has them.

use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedRowGroupWriter;

use crate::columns::{Cell, Column, Type};
use crate::error::Error;
use crate::row::{Position, Row};

/// The first amount that DECIMAL(38,24) has no room for, yocto-USD: 10^14 USD.
const TOO_MUCH: u128 = 10_u128.pow(38);
/// What a value takes in memory beside its text: a counted reference, and its levels.
const OVERHEAD: usize = 48;

/// Rows of one row group to be.
pub struct Buffer {
    leaves: Vec<Leaf>,
    rows: usize,
    bytes: usize,
}

/// The values of one column of numbers or texts, and what they belong to.
struct Leaf {
    values: Values,
    /// Whether there is a value: only of what may be absent, or in a list.
    definition: Option<Vec<i16>>,
    /// Whether it goes on the list of the row before: only of lists.
    repetition: Option<Vec<i16>>,
}

enum Values {
    Bool(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Text(Vec<ByteArray>),
    Usd(Vec<FixedLenByteArray>),
}

impl Values {
    fn of(holds: Type) -> Values {
        match holds {
            Type::Bool => Values::Bool(Vec::new()),
            Type::Day => Values::Int32(Vec::new()),
            Type::Int | Type::Time => Values::Int64(Vec::new()),
            Type::Usd => Values::Usd(Vec::new()),
            Type::Text | Type::Texts | Type::Tags | Type::Lines => Values::Text(Vec::new()),
        }
    }

    /// Takes a value; false if it is not of this type. Says what it takes in memory.
    fn push(&mut self, cell: Cell<'_>) -> Option<usize> {
        let mut text_bytes = 0;
        match (self, cell) {
            (Values::Bool(values), Cell::Bool(value)) => values.push(value),
            (Values::Int32(values), Cell::Day(value)) => values.push(value),
            (Values::Int64(values), Cell::Int(value)) => values.push(value),
            (Values::Usd(values), Cell::Usd(value)) => {
                values.push(FixedLenByteArray::from(value.to_be_bytes().to_vec()));
            }
            (Values::Text(values), Cell::Text(text)) => {
                text_bytes = text.len();
                values.push(ByteArray::from(text.into_owned().into_bytes()));
            }
            _ => return None,
        }
        Some(text_bytes.saturating_add(OVERHEAD))
    }
}

impl Leaf {
    fn flat(holds: Type, is_required: bool) -> Leaf {
        Leaf { values: Values::of(holds), definition: (!is_required).then(Vec::new), repetition: None }
    }

    fn of_list(holds: Type) -> Leaf {
        Leaf { values: Values::of(holds), definition: Some(Vec::new()), repetition: Some(Vec::new()) }
    }

    /// One value, or none. False if it does not fit the column.
    fn push(&mut self, cell: Cell<'_>) -> Option<usize> {
        if let Cell::Absent = cell {
            self.definition.as_mut()?.push(0);
            return Some(2);
        }
        let bytes = self.values.push(cell)?;
        if let Some(definition) = &mut self.definition {
            definition.push(1);
        }
        Some(bytes)
    }

    /// A list.
    fn push_all<'a>(&mut self, cells: impl Iterator<Item = Cell<'a>>) -> Option<usize> {
        let mut bytes = 0_usize;
        let mut goes_on = 0;
        for cell in cells {
            bytes = bytes.saturating_add(self.push(cell)?);
            self.repetition.as_mut()?.push(goes_on);
            goes_on = 1;
        }
        if goes_on == 0 {
            self.push(Cell::Absent)?;
            self.repetition.as_mut()?.push(0);
        }
        Some(bytes.saturating_add(4))
    }
}

impl Buffer {
    /// None yet, of these columns.
    pub fn new(columns: &[Column]) -> Buffer {
        let mut leaves = Vec::new();
        for column in columns {
            match column.holds {
                Type::Texts => leaves.push(Leaf::of_list(Type::Text)),
                Type::Tags => leaves.extend([Leaf::of_list(Type::Text), Leaf::of_list(Type::Text)]),
                Type::Lines => {
                    let types = [Type::Text, Type::Int, Type::Usd, Type::Usd, Type::Int, Type::Int];
                    leaves.extend(types.map(Leaf::of_list));
                }
                holds => leaves.push(Leaf::flat(holds, column.is_required)),
            }
        }
        Buffer { leaves, rows: 0, bytes: 0 }
    }

    /// How many rows wait.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// About what they take in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a row of these columns.
    pub fn push(&mut self, columns: &[Column], row: &Row) -> Result<(), Error> {
        let too_much = |amount: &i128| amount.unsigned_abs() >= TOO_MUCH;
        let amounts = row.lines.iter().flat_map(|line| [line.charge, line.cost]);
        if amounts.chain([row.charge, row.cost]).any(|amount| too_much(&amount)) {
            let why = "an amount of 100,000,000,000,000 USD or more does not fit into DECIMAL(38,24)";
            return Err(Error::of(format!("entry {}", row.position), why));
        }
        let mut leaves = self.leaves.iter_mut();
        for column in columns {
            let bytes = push(&mut leaves, column.cell(row)).ok_or_else(|| unfit(row.position, column))?;
            self.bytes = self.bytes.saturating_add(bytes);
        }
        self.rows = self.rows.saturating_add(1);
        Ok(())
    }

    /// Writes them as a row group. They wait no more.
    pub fn write<W: std::io::Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        for leaf in &mut self.leaves {
            let Some(mut column) = group.next_column()? else {
                return Err(ParquetError::General("the schema has fewer columns than there are".to_owned()));
            };
            let (definition, repetition) = (leaf.definition.as_deref(), leaf.repetition.as_deref());
            match (column.untyped(), &leaf.values) {
                (ColumnWriter::BoolColumnWriter(to), Values::Bool(values)) => {
                    to.write_batch(values, definition, repetition)?
                }
                (ColumnWriter::Int32ColumnWriter(to), Values::Int32(values)) => {
                    to.write_batch(values, definition, repetition)?
                }
                (ColumnWriter::Int64ColumnWriter(to), Values::Int64(values)) => {
                    to.write_batch(values, definition, repetition)?
                }
                (ColumnWriter::ByteArrayColumnWriter(to), Values::Text(values)) => {
                    to.write_batch(values, definition, repetition)?
                }
                (ColumnWriter::FixedLenByteArrayColumnWriter(to), Values::Usd(values)) => {
                    to.write_batch(values, definition, repetition)?
                }
                _ => return Err(ParquetError::General("a column is not of the type that the schema says".to_owned())),
            };
            column.close()?;
            leaf.clear();
        }
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl Leaf {
    fn clear(&mut self) {
        // The room is given back: a partition may not be written to again.
        self.values = match self.values {
            Values::Bool(_) => Values::Bool(Vec::new()),
            Values::Int32(_) => Values::Int32(Vec::new()),
            Values::Int64(_) => Values::Int64(Vec::new()),
            Values::Text(_) => Values::Text(Vec::new()),
            Values::Usd(_) => Values::Usd(Vec::new()),
        };
        self.definition = self.definition.is_some().then(Vec::new);
        self.repetition = self.repetition.is_some().then(Vec::new);
    }
}

/// Takes what a row has in a column into the leaves that the column has.
fn push<'l>(leaves: &mut impl Iterator<Item = &'l mut Leaf>, cell: Cell<'_>) -> Option<usize> {
    let text = |text: &'_ str| Cell::Text(text.to_owned().into());
    match cell {
        Cell::Texts(texts) => leaves.next()?.push_all(texts.into_iter().map(text)),
        Cell::Tags(tags) => {
            let names = leaves.next()?.push_all(tags.iter().map(|(name, _)| text(name)))?;
            Some(names.saturating_add(leaves.next()?.push_all(tags.iter().map(|(_, value)| text(value)))?))
        }
        Cell::Lines(lines) => {
            let mut bytes = leaves.next()?.push_all(lines.iter().map(|line| Cell::Text(line.class.name().into())))?;
            let mut add = |more: usize| bytes = bytes.saturating_add(more);
            add(leaves.next()?.push_all(lines.iter().map(|line| Cell::Int(line.quantity)))?);
            add(leaves.next()?.push_all(lines.iter().map(|line| Cell::Usd(line.charge)))?);
            add(leaves.next()?.push_all(lines.iter().map(|line| Cell::Usd(line.cost)))?);
            add(leaves.next()?.push_all(lines.iter().map(|line| Cell::Int(line.unpriced)))?);
            add(leaves.next()?.push_all(lines.iter().map(|line| Cell::Int(line.fallback)))?);
            Some(bytes)
        }
        cell => leaves.next()?.push(cell),
    }
}

fn unfit(position: Position, column: &Column) -> Error {
    Error::of(format!("entry {position}"), format!("has no value for the column {}", column.name))
}
