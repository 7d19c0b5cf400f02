//! What the document says of the paths for those who send.

use serde_json::{Value, json};
use wire::event::BATCH_CONTENT_TYPE;
use wire::{emitter, lease, quarantine, statement};

use super::{Operation, header, in_head, json_of};
use crate::ingest::{leases as ingest_leases, missing as ingest_missing, request};

/// Of a body that is taken from a credential's room and rate.
const OF_BODIES: &[u16] = &[400, 408, 413, 415, 429, 500, 503];

fn key(is_required: bool) -> Value {
    let what = "the emitter's key: its numbers belong to whoever shows it";
    in_head(emitter::KEY_HEADER, what, is_required, json!({"type": "string", "pattern": "^[0-9a-f]{32}$"}))
}

fn schema(name: &str) -> Value {
    json!({"schema": {"$ref": format!("#/components/schemas/{name}")}})
}

pub fn events() -> Operation {
    let mut response = json_of("the events are stored, each as what is counted here", "Taken");
    if let Some(response) = response.as_object_mut() {
        let quarantined = header(
            "numbers of the emitter that are quarantined and not charged, as `3,7-9`; if it is only one emitter",
        );
        let revision = header("the revision of the budgets in force");
        response
            .insert("headers".to_owned(), json!({quarantine::HEADER: quarantined, lease::REVISION_HEADER: revision}));
    }
    Operation {
        id: "sendEvents",
        summary: "Store events, each charged at most once",
        description: format!(
            "Responds when the events are stored. An event that was sent before is a duplicate and changes nothing, so that a \
             batch may be sent again after any failure. A batch is taken as a whole; an event in it that cannot be read is \
             quarantined, and counted as a dead letter. At most {} bytes.",
            request::MAX_BODY
        ),
        parameters: vec![
            key(false),
            in_head(
                statement::HEADER,
                "what the emitter says of itself: up to which number it counted, what it dropped, and whether it has ended",
                false,
                json!({"type": "string"}),
            ),
        ],
        body: Some(json!({"required": true, "content": {
            BATCH_CONTENT_TYPE: {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}}},
            request::EVENT_CONTENT_TYPE: schema("Event"),
        }})),
        response,
        others: OF_BODIES,
    }
}

pub fn leases() -> Operation {
    Operation {
        id: "askForLeases",
        summary: "Hold leases of budgets",
        description: format!(
            "Amounts are totals of the emitter in the window, so that a request which is repeated changes nothing. At most {} \
             bytes.",
            ingest_leases::MAX_BODY
        ),
        parameters: vec![key(true)],
        body: Some(json!({"required": true, "content": {ingest_leases::CONTENT_TYPE: schema("LeaseRequest")}})),
        response: json_of("what stands now, in the order of the request", "LeaseResponse"),
        others: OF_BODIES,
    }
}

pub fn missing() -> Operation {
    Operation {
        id: "askWhatIsMissing",
        summary: "Which of these numbers the ledger does not have",
        description: format!("Of any type of content; at most {} bytes.", ingest_missing::MAX_BODY),
        parameters: Vec::new(),
        body: Some(json!({"required": true, "content": {"application/json": schema("Numbers")}})),
        response: json_of("those of the numbers that are missing; an emitter that misses none is not named", "Numbers"),
        others: &[400, 408, 413, 500, 503],
    }
}
