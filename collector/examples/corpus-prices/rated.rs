//! The records of one call as the collector takes and rates them.

use std::path::PathBuf;

use collector::money::Charge;
use collector::prices::{Call, PriceBook, Rated};
use corpus::{Bill, Result};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use meter::event::{decode, encode};
use meter::record::Record;
use serde_json::Value;

/// An emitter as events name one.
const EMITTER: &str = "00000000000000000000000000000000";

/// The price books, and the day whose prices they give: recordings do not say when they were made, so it is today.
pub struct Books {
    book: PriceBook,
    day: Date,
}

impl Books {
    /// Reads them.
    pub fn load(files: &[PathBuf]) -> Result<Books> {
        let book = match files {
            [file] => PriceBook::load(file)?,
            _ => return Err("--prices: needs one BOOK".into()),
        };
        Ok(Books { book, day: Timestamp::now().to_zoned(TimeZone::UTC).date() })
    }
}

/// The events of a call, and what they are charged together.
pub fn call(books: &Books, records: &[Record]) -> Result<(Vec<Value>, Bill)> {
    let (mut events, mut bill, mut sum) = (Vec::new(), Bill::default(), Charge::default());
    for record in records {
        let bytes = encode(record, EMITTER, 1);
        let event = decode(&bytes).map_err(|invalid| invalid.to_string())?;
        events.push(serde_json::from_slice(&bytes)?);
        let (provider, model) = (event.record.provider.as_str(), event.record.model().unwrap_or_default());
        let rating = books.book.rate(&Call {
            provider,
            model,
            day: books.day,
            service_tier: event.record.service_tier.as_deref(),
            usage: &event.record.usage,
        });
        sum = sum.checked_add(rating.charge()).ok_or("the sum does not fit")?;
        bill.entries.extend(rating.entry);
        for line in &rating.lines {
            match line.rated {
                Rated::Unpriced => bill.unpriced.push(format!("{provider} {model} {}", line.class.name())),
                Rated::Fallback { .. } => bill.fallback = true,
                Rated::Priced { .. } => {}
            }
        }
    }
    bill.usd = sum.to_string();
    Ok((events, bill))
}
