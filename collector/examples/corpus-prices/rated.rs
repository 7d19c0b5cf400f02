//! The records of one call as the collector takes and rates them.

use std::path::PathBuf;

use collector::money::Charge;
use collector::prices::{PriceBook, Rated, RatingInput};
use corpus::{Bill, Result};
use jiff::Timestamp;
use serde_json::Value;
use wire::event::{decode, encode};
use wire::record::Record;

/// An emitter as events name one.
const EMITTER: &str = "00000000000000000000000000000000";

/// The price books, and the time whose prices they give: recordings do not say when they were made, so it is now.
pub struct Books {
    book: PriceBook,
    now_ns: u64,
}

impl Books {
    /// Reads them; the built-in one, if there are none.
    pub fn load(files: &[PathBuf]) -> Result<Books> {
        let book = PriceBook::layers(files, files.is_empty())?;
        if book.is_empty() {
            return Err("the built-in price book is empty; name one: --prices BOOK".into());
        }
        Ok(Books { book, now_ns: Timestamp::now().as_nanosecond().try_into()? })
    }
}

/// One event of a call and what it is charged.
pub struct Charged {
    /// The event.
    pub event: Value,
    /// By itself.
    pub bill: Bill,
    /// How it was rated.
    pub rating: Value,
}

/// The events of a call with what each is charged, and what they are charged together.
pub fn call(books: &Books, records: &[Record]) -> Result<(Vec<Charged>, Bill)> {
    let (mut all, mut together, mut sum) = (Vec::new(), Bill::default(), Charge::default());
    for record in records {
        let bytes = encode(&Record { started_ns: books.now_ns, ..record.clone() }, EMITTER, 1);
        let record = decode(&bytes).map_err(|invalid| invalid.to_string())?.record;
        let rating = books.book.rate(&RatingInput::of(&record, "").ok_or("it began too late")?);
        sum = sum.checked_add(rating.charge()).ok_or("the sum does not fit")?;
        let mut bill = Bill { usd: rating.charge().to_string(), ..Bill::default() };
        for line in &rating.lines {
            match line.rated {
                Rated::Unpriced => {
                    let model = record.model().unwrap_or_default();
                    bill.unpriced.push(format!("{} {model} {}", record.provider, line.class.name()));
                }
                Rated::Fallback { .. } => bill.fallback = true,
                Rated::Priced { .. } => {}
            }
        }
        let written = serde_json::from_str(&rating.to_json())?;
        bill.entries.extend(rating.entry);
        together.unpriced.extend(bill.unpriced.iter().cloned());
        together.entries.extend(bill.entries.iter().cloned());
        together.fallback |= bill.fallback;
        all.push(Charged { event: serde_json::from_slice(&bytes)?, bill, rating: written });
    }
    together.usd = sum.to_string();
    Ok((all, together))
}
