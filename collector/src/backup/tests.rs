use std::io::{Read, Write};
use std::path::Path;

use jiff::Timestamp;
use sha2::Digest;

use super::*;
use crate::store::entry::{Entry, EntryId, Hash, Kind};
use crate::store::names::{Names, Secret};
use crate::store::tables::{Item, TABLES, Value};

#[test]
fn contract_the_reference_names_every_table_of_a_backup() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/backup.md");
    let found = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = found.split_once("<!-- table: backup -->\n").expect("docs/backup.md has the mark");
    let (_, behind) = rest.split_once("<!-- end of table -->").expect("docs/backup.md has the end mark");
    let expected = format!("{before}<!-- table: backup -->\n{}<!-- end of table -->{behind}", documentation());
    if std::env::var_os("MESHMETER_WRITE_DOCS").is_some() {
        std::fs::write(path, expected).unwrap();
    } else {
        assert!(found == expected, "docs/backup.md is not what the code says: run `just docs`");
    }
}

/// The rows of a ledger of two entries with texts that are hard to write, by table.
fn rows() -> Vec<(&'static str, Vec<Value>)> {
    let reason = "\u{0}\u{1b}\u{2028}\"\\\u{fffd}שלום\u{1f600}\r\n";
    let mut before = Hash::default();
    let mut rows = Vec::new();
    for number in 1..=2 {
        let mut entry = Entry::about_no_call(Kind::EmitterClosed, "e", i64::MIN, i64::MAX, reason);
        entry.id = EntryId { writer: 7, number };
        // The first is of before there were salts.
        entry.names = if number == 1 { Names::Plain } else { Secret([5; 32]).salt(&before.0) };
        entry.hash = entry.hash_after(&before);
        before = entry.hash;
        let text = |text: &str| Value::Text(text.to_owned());
        let row = vec![
            Value::Number(7),
            Value::Number(number),
            text("emitter_closed"),
            text("e"),
            Value::Number(i64::MIN),
            Value::Absent,
            Value::Absent,
            Value::Number(i64::MAX),
            Value::Number(i64::MAX),
            text(""),
            text(""),
            text(""),
            text("missing"),
            text("0.00"),
            Value::Absent,
            text(reason),
            Value::Absent,
            Value::Bytes(entry.hash.0.to_vec()),
            Value::Absent,
            Value::Absent,
            entry.names.to_bytes().map_or(Value::Absent, Value::Bytes),
        ];
        rows.push(("ledger", row));
    }
    let head = vec![Value::Number(7), Value::Number(2), Value::Bytes(before.0.to_vec()), Value::Number(5)];
    rows.insert(0, ("chain", head));
    rows
}

fn written(rows: &[(&str, Vec<Value>)]) -> Result<Vec<u8>, crate::store::StoreError> {
    let mut writing = Writing::new(Vec::new(), Timestamp::UNIX_EPOCH)?;
    for table in TABLES {
        writing.item(Item::Table(table))?;
        for (_, row) in rows.iter().filter(|(name, _)| *name == table.name) {
            writing.item(Item::Row(row.clone()))?;
        }
    }
    Ok(writing.end()?.0)
}

#[test]
fn deterministic_what_is_read_is_what_was_written() {
    let rows = rows();
    let file = written(&rows).unwrap();
    assert_eq!(file, written(&rows).unwrap());
    let mut reading = Reading::new(file.as_slice()).unwrap();
    let (mut table, mut found) = ("", Vec::new());
    while let Some(item) = reading.item().unwrap() {
        match item {
            Item::Table(begun) => table = begun.name,
            Item::Row(row) => found.push((table, row)),
        }
    }
    assert_eq!(found, rows);
    assert_eq!(reading.heads().unwrap().len(), 1);
    assert!(reading.item().unwrap().is_none(), "it has ended");
}

#[test]
fn contract_a_ledger_whose_chain_is_not_whole_is_not_written_as_a_backup() {
    let said = |rows: &[(&str, Vec<Value>)]| written(rows).unwrap_err().to_string();
    let good = rows();
    let mut altered = good.clone();
    altered[1].1[9] = Value::Text("acme".to_owned());
    assert!(said(&altered).ends_with("entry 7:1: was altered"), "{}", said(&altered));
    let cut = [good[0].clone(), good[1].clone()];
    assert!(said(&cut).ends_with("entry 7:1: is not where the chain ends"), "{}", said(&cut));
    assert!(said(&good[..1]).ends_with("entry 7:1: is missing"), "{}", said(&good[..1]));
    assert!(said(&good[1..]).contains("is not where the chain ends"), "{}", said(&good[1..]));
}

#[test]
fn contract_of_a_ledger_of_which_months_are_sealed_the_rest_is_checked() {
    let good = rows();
    let hash = |row: &(&str, Vec<Value>)| row.1[17].clone();
    let sealed = |number: i64, hash: Value| {
        let (writer, number) = (Value::Number(7), Value::Number(number));
        let place = Value::Text("/archive".to_owned());
        let said = [
            Value::Text("2026-10".to_owned()),
            Value::Number(7),
            Value::Number(2),
            place,
            Value::Absent,
            Value::Number(5),
        ];
        let archive = [Value::Absent, Value::Number(1), Value::Bytes(vec![9; 32])];
        ("sealed", [vec![writer, number, hash], said.to_vec(), archive.to_vec()].concat())
    };
    let of = |sealed: (&'static str, Vec<Value>), rest: &[(&'static str, Vec<Value>)]| {
        written(&[&[good[0].clone(), sealed], rest].concat()).map_err(|error| error.to_string())
    };
    let (first, second) = (good[1].clone(), good[2].clone());
    // Without the entry that is sealed and with it, and where all is sealed.
    assert!(of(sealed(1, hash(&first)), &good[2..]).is_ok());
    assert!(of(sealed(1, hash(&first)), &good[1..]).is_ok());
    assert!(of(sealed(2, hash(&second)), &[]).is_ok());
    let refused = |found: Result<Vec<u8>, String>, why: &str| {
        let error = found.unwrap_err();
        assert!(error.ends_with(why), "{error}");
    };
    refused(of(sealed(1, hash(&second)), &good[2..]), "entry 7:2: was altered");
    refused(of(sealed(1, hash(&second)), &good[1..]), "entry 7:1: was altered");
    refused(of(sealed(1, hash(&first)), &[]), "entry 7:1: is not where the chain ends");
    refused(of(sealed(2, hash(&first)), &[]), "entry 7:2: is not where the chain ends");
    refused(of(sealed(2, hash(&second)), &[second, first]), "entry 7:1: was altered");
}

#[test]
fn contract_backups_of_earlier_forms_are_read() {
    for version in 1..form::VERSION {
        let mut all = rows();
        // The first had no salts.
        all.truncate(if version == 1 { 2 } else { 3 });
        let (count, last) = (all.len() - 1, all.last().unwrap().1[17].clone());
        (all[0].1[1], all[0].1[2]) = (Value::Number(count as i64), last);
        let mut text = String::new();
        flate2::read::GzDecoder::new(written(&all).unwrap().as_slice()).read_to_string(&mut text).unwrap();
        let mut lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
        lines[0] = lines[0].replace(r#""version":3"#, &format!(r#""version":{version}"#));
        lines.retain(|line| !line.starts_with(r#"{"table":"sealed""#));
        if version == 1 {
            lines.iter_mut().for_each(|line| *line = line.replace(r#","salt"]"#, "]"));
            let row = lines.iter_mut().find(|line| line.starts_with(r#"[7,1,"emitter_closed""#)).unwrap();
            *row = row.strip_suffix(",null]\n").unwrap().to_owned() + "]\n";
            lines.retain(|line| !line.starts_with(r#"{"table":"forgetting""#));
        }
        lines.pop();
        let sum = form::hex(&sha2::Sha256::digest(lines.concat()));
        lines.push(format!("{{\"end\":{{\"rows\":{},\"sha256\":\"{sum}\"}}}}\n", all.len()));
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        to.write_all(lines.concat().as_bytes()).unwrap();
        let file = to.finish().unwrap();
        let mut reading = Reading::new(file.as_slice()).unwrap();
        let mut found = Vec::new();
        while let Some(item) = reading.item().unwrap() {
            if let Item::Row(row) = item {
                found.push(row);
            }
        }
        assert_eq!(found, all.into_iter().map(|(_, row)| row).collect::<Vec<_>>(), "{version}");
        assert_eq!(reading.heads().unwrap().len(), 1);
    }
}
