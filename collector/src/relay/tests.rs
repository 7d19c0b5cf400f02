//! What every ledger's stream must be. The databases' own suite asks it of every ledger that it makes.

use std::collections::BTreeMap;

use relay::Message;
use serde_json::Value;

use super::message::{FIELDS, Field, message};
use super::metrics::{METRICS, Metric};
use crate::money::Charge;
use crate::store::entry::EntryId;
use crate::store::sums::Counted;
use crate::store::{Reader, Selection};

/// Day, adjusted month, tenant, provider, model, evidence.
type Key = [String; 6];

fn messages(reader: &dyn Reader) -> Vec<Message> {
    let mut messages = Vec::new();
    for head in reader.heads().unwrap() {
        let mut keep = |written| {
            messages.push(message(&written)?);
            Ok(())
        };
        reader.written(EntryId { number: 0, ..head.entry }, head.entry.number, &mut keep).unwrap();
    }
    messages
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// The sums over all messages are those of the ledger, to the token and the last decimal, and no message has a member that is
/// not documented.
pub fn adds_up(reader: &dyn Reader) {
    let mut counts: BTreeMap<(Key, String), i64> = BTreeMap::new();
    let mut amounts: BTreeMap<Key, [Charge; 2]> = BTreeMap::new();
    for message in messages(reader) {
        assert!(!message.json.contains(['\n', '\r']), "{}", message.json);
        let value: Value = serde_json::from_str(&message.json).unwrap();
        for name in value.as_object().unwrap().keys() {
            assert!(FIELDS.iter().any(|field| field.name == name), "{name} is not documented");
        }
        assert_eq!((text(&value, "entry"), text(&value, "hash")), (message.id(), message.hash));
        let key = ["counts_on", "adjusts", "tenant", "provider", "model", "evidence"].map(|name| text(&value, name));
        let charged = ["charge", "cost"].map(|name| text(&value, name).parse::<Charge>().unwrap());
        if key[0].is_empty() {
            assert_eq!(charged, [Charge::default(); 2], "{}", message.json);
            assert!(value.get("usage").is_none() && value.get("calls").is_none(), "{}", message.json);
            continue;
        }
        let sums = amounts.entry(key.clone()).or_default();
        *sums = [0, 1].map(|at| sums[at].checked_add(charged[at]).unwrap());
        let usage = value["usage"].as_object().unwrap().iter();
        for (class, count) in usage.map(|(class, count)| (class.as_str(), count)).chain([("calls", &value["calls"])]) {
            *counts.entry((key.clone(), class.to_owned())).or_default() += count.as_i64().unwrap();
        }
    }
    let mut due_counts: BTreeMap<(Key, String), i64> = BTreeMap::new();
    let mut due_amounts: BTreeMap<Key, [Charge; 2]> = BTreeMap::new();
    let mut add = |row: crate::store::RollupRow| {
        let key: Key =
            [row.day.to_string(), row.adjusts, row.tenant, row.provider, row.model, row.evidence.as_str().to_owned()];
        let sums = due_amounts.entry(key.clone()).or_default();
        *sums = [sums[0].checked_add(row.sum.charge).unwrap(), sums[1].checked_add(row.sum.cost).unwrap()];
        if matches!(row.counted, Counted::Calls | Counted::Usage(_)) {
            due_counts.insert((key, row.counted.name().into_owned()), row.sum.quantity);
        }
        Ok(())
    };
    reader.rollup(&Selection::default(), &mut add).unwrap();
    counts.retain(|_, count| *count != 0);
    due_counts.retain(|_, count| *count != 0);
    assert_eq!(counts, due_counts);
    amounts.retain(|_, sums| *sums != [Charge::default(); 2]);
    due_amounts.retain(|_, sums| *sums != [Charge::default(); 2]);
    assert_eq!(amounts, due_amounts);
}

/// The tables of the reference, by their marks.
fn tables() -> [(&'static str, String); 2] {
    let mut members = "| member | type | meaning |\n|---|---|---|\n".to_owned();
    for Field { name, form, meaning } in FIELDS {
        members.push_str(&format!("| `{name}` | {form} | {meaning} |\n"));
    }
    let mut metrics = "| metric | type | meaning |\n|---|---|---|\n".to_owned();
    for Metric { name, form, help, .. } in METRICS {
        metrics.push_str(&format!("| `{name}` | {form} | {help} |\n"));
    }
    [("message", members), ("relay metrics", metrics)]
}

#[test]
fn contract_the_reference_names_every_member_of_a_message() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/relay.md");
    let found = std::fs::read_to_string(path).unwrap();
    let mut expected = found.clone();
    for (mark, table) in tables() {
        let begin = format!("<!-- table: {mark} -->\n");
        let (before, rest) = expected.split_once(&begin).expect("docs/relay.md has the mark");
        let (_, behind) = rest.split_once("<!-- end of table -->").expect("docs/relay.md has the end mark");
        expected = format!("{before}{begin}{table}<!-- end of table -->{behind}");
    }
    if std::env::var_os("MESHMETER_WRITE_DOCS").is_some() {
        std::fs::write(path, expected).unwrap();
    } else {
        assert!(found == expected, "docs/relay.md is not what the code says: run `just docs`");
    }
}
