//! What must be right of the rows that pass, whichever way they go: the chains.

use std::collections::BTreeMap;

use wire::record::Evidence;

use crate::store::Head;
use crate::store::entry::{Entry, EntryId, Hash, Kind};
use crate::store::names::Names;
use crate::store::tables::{CHAIN, LEDGER, SEALED, Table, Value};
use crate::terminal::printable;

/// The chains, as far as they have passed.
#[derive(Debug, Default)]
pub struct Chains {
    /// Where they end by their own table.
    ends: BTreeMap<i64, Head>,
    /// Up to where they are sealed: of that only some entries are here.
    sealed: BTreeMap<i64, Head>,
    /// Where they have come to.
    reached: BTreeMap<i64, Head>,
    /// The last entry of each chain that is sealed and here all the same.
    kept: BTreeMap<i64, i64>,
}

impl Chains {
    /// A row of any table; what is wrong with it.
    pub fn row(&mut self, table: &Table, row: &[Value]) -> Result<(), String> {
        if table.name == CHAIN.name {
            let head = Cells::of(table, row).head().ok_or("the end of a chain is not one")?;
            return match self.ends.insert(head.entry.writer, head) {
                None => Ok(()),
                Some(_) => Err(format!("the chain of writer {} ends twice", head.entry.writer)),
            };
        }
        if table.name == SEALED.name {
            let end = Cells::of(table, row).head().ok_or("the end of what is sealed is none")?;
            self.reached.insert(end.entry.writer, end);
            self.sealed.insert(end.entry.writer, end);
            return Ok(());
        }
        if table.name != LEDGER.name {
            return Ok(());
        }
        let entry = Cells::of(table, row).entry()?;
        let writer = entry.id.writer;
        if let Some(sealed) = self.sealed.get(&writer).filter(|sealed| entry.id.number <= sealed.entry.number) {
            let is_other = entry.id == sealed.entry && entry.hash != sealed.hash;
            let before = self.kept.insert(writer, entry.id.number).unwrap_or_default();
            let is_right = before < entry.id.number && !is_other;
            return if is_right { Ok(()) } else { Err(format!("entry {}: was altered", entry.id)) };
        }
        let begin = Head { entry: EntryId { writer, number: 0 }, hash: Hash::default() };
        let reached = self.reached.entry(writer).or_insert(begin);
        let expected = EntryId { writer, number: reached.entry.number.saturating_add(1) };
        if entry.id != expected {
            return Err(format!("entry {expected}: is missing"));
        }
        if !entry.follows(&reached.hash) {
            return Err(format!("entry {expected}: was altered"));
        }
        *reached = Head { entry: entry.id, hash: entry.hash };
        Ok(())
    }

    /// Entries that there are by the ends of the chains.
    pub fn entries(&self) -> u64 {
        self.ends.values().fold(0, |sum, head| sum.saturating_add(head.entry.number.unsigned_abs()))
    }

    /// Where the chains end, when all of it has passed.
    pub fn heads(&self) -> Result<Vec<Head>, String> {
        for (writer, reached) in &self.reached {
            if self.ends.get(writer) != Some(reached) {
                return Err(format!("entry {}: is not where the chain ends", reached.entry));
            }
        }
        let is_reached = |head: &&Head| head.entry.number == 0 || self.reached.contains_key(&head.entry.writer);
        match self.ends.values().find(|head| !is_reached(head)) {
            Some(head) => Err(format!("entry {}: is missing", EntryId { number: 1, ..head.entry })),
            None => Ok(self.ends.values().copied().collect()),
        }
    }
}

/// The values of a row, by the names of their columns.
struct Cells<'a> {
    table: &'a Table,
    row: &'a [Value],
}

impl<'a> Cells<'a> {
    fn of(table: &'a Table, row: &'a [Value]) -> Cells<'a> {
        Cells { table, row }
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        let at = self.table.columns.iter().position(|column| column.name == name)?;
        self.row.get(at)
    }

    fn number(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn hash(&self) -> Option<Hash> {
        match self.get("hash")? {
            Value::Bytes(bytes) => bytes.as_slice().try_into().map(Hash).ok(),
            _ => None,
        }
    }

    fn names(&self) -> Option<Names> {
        match self.get("salt")? {
            Value::Bytes(bytes) => Names::from_bytes(Some(bytes)),
            _ => Names::from_bytes(None),
        }
    }

    fn head(&self) -> Option<Head> {
        let entry = EntryId { writer: self.number("writer")?, number: self.number("entry")? };
        Some(Head { entry, hash: self.hash()? })
    }

    fn entry(&self) -> Result<Entry, String> {
        let Some(Head { entry: id, hash }) = self.head() else { return Err("an entry has no place".to_owned()) };
        let wrong = |name: &str| format!("entry {id}: its {name} cannot be read");
        let number = |name: &str| self.number(name).ok_or_else(|| wrong(name));
        let text = |name: &str| self.text(name).map(str::to_owned).ok_or_else(|| wrong(name));
        let maybe = |name: &str| self.text(name).map(str::to_owned);
        let word = |name: &str| {
            let text = self.text(name).map(printable).unwrap_or_default();
            format!("entry {id}: this version does not know the {name} \"{text}\"; use the version that wrote it")
        };
        let charge = self.text("charge").and_then(|text| text.parse().ok()).ok_or_else(|| wrong("charge"))?;
        let cost = match self.text("cost") {
            Some(text) => text.parse().map_err(|_| wrong("cost"))?,
            None => charge,
        };
        let refers = self.number("refers_writer").zip(self.number("refers_entry"));
        Ok(Entry {
            id,
            kind: self.text("kind").and_then(Kind::from_word).ok_or_else(|| word("kind"))?,
            emitter: text("emitter")?,
            sequence: number("sequence")?,
            refers: refers.map(|(writer, number)| EntryId { writer, number }),
            started_ns: number("started_ns")?,
            received_ns: number("received_ns")?,
            tenant: text("tenant")?,
            provider: text("provider")?,
            model: text("model")?,
            evidence: self.text("evidence").and_then(Evidence::from_word).ok_or_else(|| word("evidence"))?,
            charge,
            cost,
            rating: maybe("rating"),
            reason: maybe("reason"),
            event: maybe("event"),
            billed: maybe("billed"),
            hash,
            names: self.names().ok_or_else(|| wrong("salt"))?,
        })
    }
}
