//! Which records each line of a statement is made of, as CSV: read again, written one by one, so that memory stays flat.

use std::collections::BTreeMap;
use std::io::Write;

use super::line::{Item, Key, Part, parts};
use super::{BillingStatement, Failure, booked};
use crate::gaps::time;
use crate::ledger::correct::rating_of;
use crate::report::csv_field as name;
use crate::store::entry::Entry;
use crate::store::{Reader, StoreError};

const HEADER: &str = "line,entry,kind,refers,event,tenant,began,item,quantity,exact_usd";

impl BillingStatement {
    /// Writes what each entry adds to which line, in the order of the chains. Of a line that corrections have left nothing of the
    /// number is empty; with these the amounts add up to the exact total.
    pub fn records(&self, reader: &dyn Reader, out: &mut dyn Write) -> Result<(), Failure> {
        let numbers: BTreeMap<&Key, usize> = self.lines.iter().map(|line| &line.key).zip(1..).collect();
        write!(out, "{HEADER}\r\n")?;
        let mut written = Ok(());
        booked(reader, &self.question, &self.position, &mut |entry| {
            let rating = rating_of(&entry).map_err(StoreError::Unusable)?;
            for (key, part) in parts(&entry, &rating).map_err(StoreError::Unusable)? {
                if written.is_ok() {
                    written = out.write_all(record(&entry, &key, &part, numbers.get(&key)).as_bytes());
                }
            }
            match written {
                Ok(()) => Ok(()),
                // Nobody reads any further.
                Err(_) => Err(StoreError::Unusable("standard output cannot be written".to_owned())),
            }
        })
        .or_else(|error| if written.is_err() { Ok(()) } else { Err(error) })?;
        Ok(written?)
    }
}

fn record(entry: &Entry, key: &Key, part: &Part, line: Option<&usize>) -> String {
    let (item, quantity) = match &key.item {
        Item::Usage { class, .. } => (class.name(), part.quantity.to_string()),
        Item::Adjustment { .. } => (super::shown::MARKUP, String::new()),
    };
    let fields = [
        line.map(|line| line.to_string()).unwrap_or_default(),
        entry.id.to_string(),
        entry.kind.as_str().to_owned(),
        entry.refers.map(|id| id.to_string()).unwrap_or_default(),
        name(&format!("{}-{}", entry.emitter, entry.sequence)),
        name(&entry.tenant),
        time(entry.started_ns),
        item.to_owned(),
        quantity,
        part.amount.to_string(),
    ];
    fields.join(",") + "\r\n"
}
