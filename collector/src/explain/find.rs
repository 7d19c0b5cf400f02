//! Which entry is meant: by its place in the ledger, by the event of its call, or by the provider's id of the response.

use std::collections::BTreeSet;

use jiff::civil::Date;
use wire::emitter::is_emitter;

use crate::ledger::responses;
use crate::store::days::day_begins_ns;
use crate::store::entry::{Entry, EntryId};
use crate::store::months::{Closing, Month};
use crate::store::{Dimension, Reader, Selection, StoreError};
use crate::terminal::printable;

/// Entries that are named when there are several.
const NAMED: usize = 20;
/// Released events whose number was taken have this before their name.
const RELEASE: &str = "release:";

/// What somebody calls an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Id {
    /// Its place.
    Entry(EntryId),
    /// The emitter and its number of the event.
    Event(String, i64),
    /// The provider's id of the response.
    Response(String),
}

impl Id {
    /// What a text calls an entry.
    pub fn of(text: &str) -> Id {
        if let Ok(entry) = text.parse() {
            return Id::Entry(entry);
        }
        let event = || {
            let (emitter, sequence) = text.rsplit_once('-')?;
            let is_name = is_emitter(emitter) || emitter.starts_with(RELEASE);
            Some(Id::Event(emitter.to_owned(), sequence.parse().ok().filter(|_| is_name)?))
        };
        event().unwrap_or_else(|| Id::Response(text.to_owned()))
    }
}

/// Where a response is looked for.
#[derive(Clone, Debug, Default)]
pub struct Where {
    /// The day on which the call began, UTC.
    pub day: Option<Date>,
    /// Who responded; without it every provider that was charged for on that day.
    pub provider: Option<String>,
}

/// The entry that is meant, or why there is none.
pub fn find(reader: &dyn Reader, id: &Id, place: &Where) -> Result<Result<Entry, String>, StoreError> {
    Ok(match id {
        Id::Entry(id) => reader.entry(*id)?.ok_or_else(|| format!("the ledger has no entry {id}")),
        Id::Event(emitter, sequence) => {
            let record = reader.record(&(emitter.clone(), *sequence))?;
            record.ok_or_else(|| {
                "the ledger has no record of this event: meshmeter gaps says what is missing, alarms what is quarantined"
                    .to_owned()
            })
        }
        Id::Response(response) => match place.day {
            Some(day) => by_response(reader, response, day, place.provider.as_deref())?,
            None => Err("must be an entry such as 1:42, the id of an event, or with --on DAY a provider's response id"
                .to_owned()),
        },
    })
}

fn by_response(
    reader: &dyn Reader,
    response: &str,
    day: Date,
    provider: Option<&str>,
) -> Result<Result<Entry, String>, StoreError> {
    let providers: BTreeSet<String> = match provider {
        Some(provider) => [provider.to_owned()].into(),
        None => {
            let selection = Selection { since: Some(day), until: Some(day), ..Selection::default() };
            let mut providers = BTreeSet::new();
            reader.totals(&selection, &[Dimension::Provider], &mut |total| {
                providers.extend(total.key.into_iter().next());
                Ok(())
            })?;
            providers
        }
    };
    let mut found = BTreeSet::new();
    for provider in &providers {
        let key = responses::key(provider, response, day);
        found.extend(reader.holders(key.day, key.response)?);
    }
    let mut ids = found.iter();
    Ok(match (ids.next(), ids.next()) {
        (Some(id), None) => reader.entry(*id)?.ok_or_else(|| format!("the ledger has no entry {id}")),
        (None, _) => {
            let of: Vec<String> = providers.iter().map(printable).collect();
            let of = if of.is_empty() { "any provider".to_owned() } else { of.join(", ") };
            let month = Month::of(day_begins_ns(day));
            let closings = reader.closings()?;
            let is_closed = closings.iter().filter_map(Closing::read).any(|(closed, _)| Some(closed) == month);
            let pruned =
                "; of a closed month `meshmeter prune` may have removed what finds it: name the event or the entry";
            let pruned = if is_closed { pruned } else { "" };
            Err(format!("no call of {of} that began on {day} (UTC) has this response id{pruned}"))
        }
        _ => {
            let named: Vec<String> = found.iter().take(NAMED).map(EntryId::to_string).collect();
            let more = found.len().saturating_sub(named.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            Err(format!("{} calls have this response id, entries {}{more}: name one", found.len(), named.join(", ")))
        }
    })
}
