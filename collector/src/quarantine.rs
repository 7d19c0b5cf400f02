//! Events that are quarantined, as a person sees them who decides what becomes of them.

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::gaps::time;
use crate::ledger::Arrival;
use crate::store::{Each, Quarantined, QuarantinedEvent, Reader, StoreError, Whose};
use crate::terminal::printable;

/// Digits of a digest that are shown.
const DIGITS: usize = 12;

/// An event that is quarantined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The id of its event, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// Tells it from others under the same id: the beginning of its digest.
    pub digest: String,
    /// `alarm` or `dead_letter`.
    pub kind: &'static str,
    /// Why it was not charged.
    pub reason: String,
    /// Whether it can be read, and so be charged; what cannot be read can be dismissed.
    pub releasable: bool,
    /// Whom it names, if it can be read.
    pub tenant: String,
    /// The model that it names, if it can be read.
    pub model: String,
    /// Who sent it last.
    pub credential: String,
    /// How often it came.
    pub deliveries: i64,
    /// When it came first.
    pub first_received: String,
    /// The entry that it became, if it was released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released: Option<String>,
    /// As it was kept.
    #[serde(skip)]
    pub event: QuarantinedEvent,
}

impl Listed {
    fn of(kept: Quarantined) -> Listed {
        let Quarantined { last, first_received_ns, deliveries, released } = kept;
        let event = Arrival::new(last.bytes.clone()).decoded.ok();
        let record = event.as_ref().map(|event| &event.record);
        let named = last.number.as_ref().map(|(emitter, number)| format!("{emitter}-{number}"));
        Listed {
            call: event.as_ref().map(|event| format!("{}-{}", event.emitter, event.sequence)).or(named),
            digest: last.digest().iter().map(|byte| format!("{byte:02x}")).collect(),
            kind: last.kind(),
            reason: last.reason.clone(),
            releasable: event.is_some(),
            tenant: record.map(|record| record.identity.tenant.clone()).unwrap_or_default(),
            model: record.and_then(|record| record.model()).unwrap_or_default().to_owned(),
            credential: last.credential.clone(),
            deliveries,
            first_received: time(first_received_ns),
            released: released.map(|entry| entry.to_string()),
            event: last,
        }
    }

    /// The beginning of its digest.
    pub fn short(&self) -> &str {
        self.digest.get(..DIGITS).unwrap_or(&self.digest)
    }
}

/// Goes through all of them, by emitter and number.
pub fn each(reader: &dyn Reader, each: Each<'_, Listed>) -> Result<(), StoreError> {
    reader.quarantined(Whose::All, &mut |row| each(Listed::of(row)))
}

/// For the eye: a line each.
pub fn table(all: &[Listed]) -> String {
    if all.is_empty() {
        return "nothing is quarantined\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["call", "digest", "what", "tenant", "model", "came", "since", "sent by", "why"]);
    for kept in all {
        let what = match (&kept.released, kept.releasable) {
            (Some(entry), _) => format!("released: entry {entry}"),
            (None, true) => kept.kind.replace('_', " "),
            (None, false) => format!("{}, unreadable", kept.kind.replace('_', " ")),
        };
        table.add_row([
            kept.call.clone().unwrap_or_else(|| "?".to_owned()),
            kept.short().to_owned(),
            what,
            printable(&kept.tenant),
            printable(&kept.model),
            kept.deliveries.to_string(),
            kept.first_received.clone(),
            printable(&kept.credential),
            printable(&kept.reason),
        ]);
    }
    let how = "To charge one: meshmeter release CALL --reason TEXT --prices FILE\nTo dismiss one: meshmeter release CALL --reason TEXT --void (or --digest DIGEST in CALL's place)\n";
    format!("{table}\n\n{} events\n{how}", all.len())
}
