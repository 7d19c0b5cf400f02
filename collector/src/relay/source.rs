//! The ledger, as the relay reads it: in parts of a chain, so that no reading lasts as long as the ledger is.

use std::sync::Arc;

use relay::{End, Limit, Message, Source, SourceError};

use super::message::message;
use crate::store::entry::EntryId;
use crate::store::{Reader, StoreError};

/// A ledger to relay.
pub struct LedgerSource {
    reader: Arc<dyn Reader>,
}

impl LedgerSource {
    /// Of what a reader sees.
    pub fn new(reader: Arc<dyn Reader>) -> LedgerSource {
        LedgerSource { reader }
    }
}

impl From<StoreError> for SourceError {
    fn from(error: StoreError) -> SourceError {
        let may_pass = matches!(error, StoreError::Database(_));
        SourceError { problem: error.to_string(), may_pass }
    }
}

impl Source for LedgerSource {
    fn ends(&self) -> Result<Vec<End>, SourceError> {
        let heads = self.reader.heads()?.into_iter();
        Ok(heads.map(|head| End { writer: head.entry.writer, entry: head.entry.number }).collect())
    }

    fn behind(&self, writer: i64, entry: i64, until: i64, limit: Limit) -> Result<Vec<Message>, SourceError> {
        let most = i64::try_from(limit.entries).unwrap_or(i64::MAX);
        let last = until.min(entry.saturating_add(most));
        let mut messages = Vec::new();
        let mut room = limit.bytes;
        let behind = EntryId { writer, number: entry };
        self.reader.written(behind, last, &mut |written| {
            if room > 0 {
                let message = message(&written)?;
                room = room.saturating_sub(message.json.len());
                messages.push(message);
            }
            Ok(())
        })?;
        Ok(messages)
    }

    fn hash(&self, writer: i64, entry: i64) -> Result<Option<String>, SourceError> {
        Ok(self.reader.entry(EntryId { writer, number: entry })?.map(|entry| entry.hash.to_string()))
    }
}
