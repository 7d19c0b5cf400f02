//! The columns of the files: the one place from which their schema, their values and their documentation are made.

use std::borrow::Cow;

use serde_json::Value;
use wire::event::{self, Field};
use wire::usage::{self, Class};

use crate::row::{Line, Row};

mod catalogue;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Text.
    Text,
    /// A whole number.
    Int,
    /// True or false.
    Bool,
    /// A day, UTC.
    Day,
    /// A time, UTC; whole microseconds.
    Time,
    /// An exact amount of USD.
    Usd,
    /// A list of texts.
    Texts,
    /// Texts by name.
    Tags,
    /// What is counted and charged, by class.
    Lines,
}

impl Type {
    /// As engines name it.
    pub const fn name(self) -> &'static str {
        match self {
            Type::Text => "VARCHAR",
            Type::Int => "BIGINT",
            Type::Bool => "BOOLEAN",
            Type::Day => "DATE",
            Type::Time => "TIMESTAMP WITH TIME ZONE",
            Type::Usd => "DECIMAL(38,24)",
            Type::Texts => "LIST of VARCHAR",
            Type::Tags => "MAP of VARCHAR to VARCHAR",
            Type::Lines => {
                "LIST of STRUCT: class VARCHAR, quantity BIGINT, charge_usd and cost_usd DECIMAL(38,24), unpriced \
                 BIGINT, fallback BIGINT"
            }
        }
    }

    /// As the schema has it: `message_type` of Parquet's own grammar.
    fn schema(self, name: &str, is_required: bool) -> String {
        let needed = if is_required { "REQUIRED" } else { "OPTIONAL" };
        let usd = |name: &str, needed: &str| format!("{needed} FIXED_LEN_BYTE_ARRAY (16) {name} (DECIMAL(38,24));");
        match self {
            Type::Text => format!("{needed} BYTE_ARRAY {name} (STRING);"),
            Type::Int => format!("{needed} INT64 {name};"),
            Type::Bool => format!("{needed} BOOLEAN {name};"),
            Type::Day => format!("{needed} INT32 {name} (DATE);"),
            Type::Time => format!("{needed} INT64 {name} (TIMESTAMP(MICROS,true));"),
            Type::Usd => usd(name, needed),
            Type::Texts => {
                format!(
                    "REQUIRED group {name} (LIST) {{ REPEATED group list {{ REQUIRED BYTE_ARRAY element (STRING); }} }}"
                )
            }
            Type::Tags => format!(
                "REQUIRED group {name} (MAP) {{ REPEATED group key_value {{ REQUIRED BYTE_ARRAY key (STRING); \
                 REQUIRED BYTE_ARRAY value (STRING); }} }}"
            ),
            Type::Lines => format!(
                "REQUIRED group {name} (LIST) {{ REPEATED group list {{ REQUIRED group element {{ \
                 REQUIRED BYTE_ARRAY class (STRING); REQUIRED INT64 quantity; {} {} \
                 REQUIRED INT64 unpriced; REQUIRED INT64 fallback; }} }} }}",
                usd("charge_usd", "REQUIRED"),
                usd("cost_usd", "REQUIRED"),
            ),
        }
    }
}

/// What a row has in a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    /// Nothing.
    Absent,
    Text(Cow<'a, str>),
    Int(i64),
    Bool(bool),
    /// Days since 1970.
    Day(i32),
    /// Yocto-USD.
    Usd(i128),
    Texts(Vec<&'a str>),
    Tags(Vec<(&'a str, &'a str)>),
    Lines(&'a [Line]),
}

/// Where a column's values come from.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// The entry, as the ledger keeps it.
    Entry(fn(&Row) -> Cell<'_>),
    /// What the entry adds to the ledger's sums.
    Sum(fn(&Row) -> Cell<'_>),
    /// What it adds of a class.
    Class(Class),
    /// A field of the call's event.
    Event,
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub holds: Type,
    /// Whether every row has a value.
    pub is_required: bool,
    /// Its unit; empty where there is none.
    pub unit: &'static str,
    /// What it means.
    pub help: String,
    source: Source,
}

/// Fields of the event that are no columns: what the entry itself says, or what is summed.
const OWN: [Field; 7] = [
    Field::Emitter,
    Field::Sequence,
    Field::Tenant,
    Field::Provider,
    Field::Evidence,
    Field::InputTokens,
    Field::OutputTokens,
];

/// All columns, in their order.
pub fn columns() -> Vec<Column> {
    let mut columns = catalogue::of_the_entry();
    columns.extend(catalogue::sums());
    columns.extend(Class::ALL.iter().map(|class| Column {
        name: class.name(),
        holds: Type::Int,
        is_required: false,
        unit: match class.kind() {
            usage::Kind::Unit => "count",
            _ => "tokens",
        },
        help: class.help().to_owned(),
        source: Source::Class(*class),
    }));
    // The provider's usage objects are in the event, whole.
    let fields = Field::ALL.iter().filter(|field| !OWN.contains(field) && **field != Field::RawUsage);
    columns.extend(fields.map(|field| {
        let spec = field.spec();
        let holds = match spec.kind {
            event::Kind::Text(_) | event::Kind::Word(_) => Type::Text,
            event::Kind::Words => Type::Texts,
            event::Kind::Tags(_) => Type::Tags,
            event::Kind::Number(..) => Type::Int,
            event::Kind::Bool => Type::Bool,
        };
        let is_required = matches!(holds, Type::Texts | Type::Tags);
        Column {
            name: spec.name,
            holds,
            is_required,
            unit: spec.unit,
            help: spec.help.to_owned(),
            source: Source::Event,
        }
    }));
    columns
}

impl Column {
    /// Where its values come from, for the documentation.
    pub fn source(&self) -> &'static str {
        match self.source {
            Source::Entry(_) => "entry",
            Source::Sum(_) | Source::Class(_) => "sum",
            Source::Event => "event",
        }
    }

    /// What a row has here.
    pub(crate) fn cell<'r>(&self, row: &'r Row) -> Cell<'r> {
        match self.source {
            Source::Entry(read) | Source::Sum(read) => read(row),
            Source::Class(class) => {
                row.lines.iter().find(|line| line.class == class).map_or(Cell::Absent, |line| Cell::Int(line.quantity))
            }
            Source::Event => self.fact(row.call.as_ref().and_then(|call| call.get(self.name))),
        }
    }

    /// A value of the event. What is not of the column's type, as a later version may send it, is in the event itself.
    fn fact<'r>(&self, value: Option<&'r Value>) -> Cell<'r> {
        let list = || value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter();
        let found = match self.holds {
            Type::Texts => Some(Cell::Texts(list().filter_map(Value::as_str).collect())),
            Type::Tags => {
                let mut tags: Vec<(&str, &str)> = Vec::new();
                let pair = |tag: &'r Value| Some((tag.get(0)?.as_str()?, tag.get(1)?.as_str()?));
                for (name, value) in list().filter_map(pair) {
                    // Keys of a map are there once.
                    if tags.iter().all(|(known, _)| *known != name) {
                        tags.push((name, value));
                    }
                }
                Some(Cell::Tags(tags))
            }
            Type::Text => value.and_then(Value::as_str).map(|text| Cell::Text(text.into())),
            Type::Int => value.and_then(Value::as_i64).map(Cell::Int),
            Type::Bool => value.and_then(Value::as_bool).map(Cell::Bool),
            Type::Day | Type::Time | Type::Usd | Type::Lines => None,
        };
        found.unwrap_or(Cell::Absent)
    }
}

/// The schema of a file, in Parquet's own grammar.
pub fn schema() -> String {
    let columns = columns();
    let lines = columns.iter().map(|column| format!("  {}\n", column.holds.schema(column.name, column.is_required)));
    format!("message ledger {{\n{}}}\n", lines.collect::<String>())
}

/// The table of the documentation.
pub fn table() -> String {
    let mut table = String::from("| column | type | unit | from | meaning |\n|---|---|---|---|---|\n");
    for column in columns() {
        let Column { name, holds, unit, ref help, .. } = column;
        let null = if column.is_required { "" } else { ", NULL" };
        table.push_str(&format!("| `{name}` | {}{null} | {unit} | {} | {help} |\n", holds.name(), column.source()));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn contract_no_two_columns_have_one_name() {
        let names: BTreeSet<String> = columns().iter().map(|column| column.name.to_ascii_lowercase()).collect();
        assert_eq!(names.len(), columns().len());
        // Those of the partitions are added by the engines.
        assert!(!names.contains("month") && !names.contains("tenant_hash"));
    }

    #[test]
    fn contract_the_reference_names_every_column() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/warehouse.md");
        let found = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = found.split_once("<!-- table: columns -->\n").expect("docs/warehouse.md has the mark");
        let (_, behind) = rest.split_once("<!-- end of table -->").expect("docs/warehouse.md has the end mark");
        let expected = format!("{before}<!-- table: columns -->\n{}<!-- end of table -->{behind}", table());
        if std::env::var_os("MESHMETER_WRITE_DOCS").is_some() {
            std::fs::write(path, expected).unwrap();
        } else {
            assert!(found == expected, "docs/warehouse.md is not what the code says: run `just docs`");
        }
    }
}
