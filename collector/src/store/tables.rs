//! All that is kept, table by table, as a backup has it and every database can give and take it.
//!
//! The tables and columns are those of PostgreSQL's schema, but what each writer has added up for itself there (sums, balances) is
//! one sum here.

use super::error::StoreError;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number of 64 bits.
    Number,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// An exact decimal number, as text.
    Amount,
    /// A day, `2026-01-31`.
    Day,
    /// The writer of an entry; its number is in the next column.
    Writer,
    /// The number of an entry; its writer is in the column before.
    Entry,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be absent.
    pub optional: bool,
}

/// A table.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What it has, for readers of the documentation.
    pub help: &'static str,
    /// How many of its columns tell its rows apart; rows come in their order.
    pub keys: usize,
    /// Whether PostgreSQL has a row for each writer, to be added up.
    pub by_writer: bool,
    /// Its columns.
    pub columns: &'static [Column],
}

const fn of(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, optional: false }
}

const fn maybe(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, optional: true }
}

const fn table(name: &'static str, keys: usize, help: &'static str, columns: &'static [Column]) -> Table {
    Table { name, help, keys, by_writer: false, columns }
}

use Kind::{Amount, Bytes, Day, Entry, Number, Text, Writer};

/// Where each chain ends.
pub static CHAIN: Table = table(
    "chain",
    1,
    "where each writer's chain ends, with the hash of that entry",
    &[of("writer", Writer), of("entry", Entry), of("hash", Bytes), of("written_ns", Number)],
);

/// How far each chain is sealed.
pub static SEALED: Table = table(
    "sealed",
    1,
    "up to which entry each chain is sealed, and where the archive is: what is sealed is not in the backup",
    &[
        of("writer", Writer),
        of("entry", Entry),
        of("hash", Bytes),
        of("before_month", Text),
        of("said_writer", Writer),
        of("said_entry", Entry),
        of("place", Text),
        maybe("endpoint", Text),
        of("at_ns", Number),
        maybe("behind", Number),
        of("commits", Number),
        of("manifests", Bytes),
    ],
);

/// The entries.
pub static LEDGER: Table = table(
    "ledger",
    2,
    "every entry, in the order of the chains: calls with their events, corrections, releases, closed months, budgets",
    &[
        of("writer", Writer),
        of("entry", Entry),
        of("kind", Text),
        of("emitter", Text),
        of("sequence", Number),
        maybe("refers_writer", Writer),
        maybe("refers_entry", Entry),
        of("started_ns", Number),
        of("received_ns", Number),
        of("tenant", Text),
        of("provider", Text),
        of("model", Text),
        of("evidence", Text),
        of("charge", Amount),
        maybe("rating", Text),
        maybe("reason", Text),
        maybe("event", Text),
        of("hash", Bytes),
        maybe("cost", Amount),
        maybe("billed", Text),
        maybe("salt", Bytes),
    ],
);

/// Every table, in the order in which a backup has them.
pub static TABLES: [&Table; 16] = [
    &CHAIN,
    &SEALED,
    &LEDGER,
    &table(
        "emitters",
        1,
        "who counts, how far, who said so",
        &[
            of("emitter", Text),
            of("credential", Text),
            of("node", Text),
            of("first_ns", Number),
            of("heard_ns", Number),
            of("last", Number),
            of("head", Number),
            of("dropped", Number),
            maybe("ended", Text),
        ],
    ),
    &table(
        "emitter_ranges",
        2,
        "the sequence numbers that the ledger has, by which a duplicate is recognised",
        &[of("emitter", Text), of("first", Number), of("last", Number)],
    ),
    &table(
        "emitter_notes",
        4,
        "what happened to sequence numbers: came late, were dropped, closed by a person",
        &[of("emitter", Text), of("first", Number), of("last", Number), of("what", Text), of("at_ns", Number)],
    ),
    &table(
        "responses",
        3,
        "which entry is charged for a provider's response, by which another meter's copy is recognised",
        &[of("day", Number), of("response", Number), of("proof", Number), of("place", Text)],
    ),
    &table(
        "possible_copies",
        3,
        "entries that may be of one call, for a person to decide",
        &[
            of("day", Number),
            of("response", Number),
            of("slot", Number),
            of("first_writer", Writer),
            of("first_entry", Entry),
            of("second_writer", Writer),
            of("second_entry", Entry),
            of("records", Number),
            of("noted_ns", Number),
        ],
    ),
    &Table {
        name: "rollup",
        help: "the sums that reports are read from",
        keys: 7,
        by_writer: true,
        columns: &[
            of("day", Day),
            of("adjusts", Text),
            of("tenant", Text),
            of("provider", Text),
            of("model", Text),
            of("evidence", Text),
            of("class", Text),
            of("quantity", Number),
            of("charge", Amount),
            maybe("cost", Amount),
            of("unpriced", Number),
            of("fallback", Number),
        ],
    },
    &table(
        "quarantined",
        1,
        "dead letters and alarms, with their bytes as they were sent",
        &[
            of("digest", Bytes),
            of("kind", Text),
            of("reason", Text),
            maybe("emitter", Text),
            maybe("sequence", Number),
            of("credential", Text),
            of("event", Bytes),
            of("deliveries", Number),
            of("first_received_ns", Number),
            of("last_received_ns", Number),
            maybe("released_writer", Writer),
            maybe("released_entry", Entry),
        ],
    ),
    &table("budget_revision", 1, "how often budgets were changed", &[of("revision", Number)]),
    &table("budgets", 1, "the budgets in force", &[of("name", Text), of("budget", Number), of("definition", Text)]),
    &Table {
        name: "budget_balances",
        help: "what was spent of budgets, by window and tenant",
        keys: 3,
        by_writer: true,
        columns: &[of("budget", Number), of("begins_s", Number), of("subject", Text), of("spent", Amount)],
    },
    &table(
        "budget_leases",
        4,
        "what workers hold of budgets: they go on with it after a restore",
        &[
            of("budget", Number),
            of("begins_s", Number),
            of("subject", Text),
            of("emitter", Text),
            of("ends_s", Number),
            of("granted", Number),
            of("charged", Amount),
        ],
    ),
    &table(
        "budget_lessees",
        1,
        "workers that have asked for leases, with the number of their last request",
        &[of("emitter", Text), of("number", Number), of("seen_ns", Number)],
    ),
    &table(
        "forgetting",
        1,
        "names that `meshmeter forget` was replacing: not the names, but by what it knows them when it is run again",
        &[of("digest", Bytes), of("salt", Bytes), of("pseudonym", Text), of("begun_ns", Number)],
    ),
];

impl Table {
    /// Its columns in a form of the backup; of a table that it did not have yet nothing.
    pub fn columns_in(&self, version: u32) -> Option<&'static [Column]> {
        match (self.name, version) {
            ("ledger", 1) => self.columns.split_last().map(|(_, columns)| columns),
            ("forgetting", 1) | ("sealed", 1 | 2) => None,
            _ => Some(self.columns),
        }
    }

    /// Whether a ledger that nothing was entered into may have rows of it.
    pub fn may_be_in_an_empty_one(&self) -> bool {
        matches!(self.name, "chain" | "budget_revision")
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Absent,
    /// Of the kinds that are numbers.
    Number(i64),
    /// Of the kinds that are texts.
    Text(String),
    /// Of [`Kind::Bytes`].
    Bytes(Vec<u8>),
}

impl Value {
    /// Whether a column may hold it.
    pub fn fits(&self, column: &Column) -> bool {
        match (self, column.kind) {
            (Value::Absent, _) => column.optional,
            (Value::Number(_), Kind::Number | Kind::Writer | Kind::Entry) => true,
            (Value::Text(_), Kind::Text | Kind::Amount | Kind::Day) => true,
            (Value::Bytes(_), Kind::Bytes) => true,
            _ => false,
        }
    }
}

/// What comes one after the other: a table, then its rows.
#[derive(Clone, Debug)]
pub enum Item {
    /// The rows from here on are of this table.
    Table(&'static Table),
    /// A row of the table before.
    Row(Vec<Value>),
}

/// What takes all of a ledger, in the order of [`TABLES`], as of one moment.
pub type EachItem<'a> = &'a mut dyn FnMut(Item) -> Result<(), StoreError>;

/// What gives all of a ledger, in the order of [`TABLES`]: nothing at the end. Unless it comes to that end, nothing may be kept.
pub type NextItem<'a> = &'a mut dyn FnMut() -> Result<Option<Item>, StoreError>;
