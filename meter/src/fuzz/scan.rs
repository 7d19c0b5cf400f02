//! The scanner: any split gives the same values, and of valid JSON those of serde_json.

use serde_json::value::RawValue;

use super::oracle::{Inside, inside, text, value};
use super::splits;
use crate::scan::{MAX_SCALAR, Paths, Piece, Progress, Scalar, Scanner, Sink};

/// The longest name that can match, bytes.
const MAX_NAME: usize = 64;

const LEAVES: &[(&str, u8)] = &[
    ("usage.prompt_tokens", 0),
    ("usage", 1),
    ("model", 2),
    ("choices[].usage.total_tokens", 3),
    ("type", 4),
    ("[].n", 5),
];
const RAWS: &[(&str, u8)] = &[("usage", 10), ("choices[].usage", 11), ("usage.prompt_tokens", 12)];
const FLOWS: &[(&str, u8)] = &[("bytes", 20), ("choices[].delta.content", 21), ("model", 22)];

/// Begins what is expected of a text that is too long to be kept whole.
const LONG: &str = "the beginning of ";

/// What a scanner finds, as text; what comes in pieces is joined.
#[derive(Debug, Default, PartialEq)]
struct Found {
    scalars: Vec<(u8, String)>,
    /// Objects and arrays that are wanted whole, in the order of their ends.
    raws: Vec<(u8, Vec<u8>)>,
    open: Vec<(u8, Vec<u8>)>,
    flows: Vec<(u8, Vec<u8>)>,
}

impl Sink<u8> for Found {
    fn scalar(&mut self, leaf: u8, value: Scalar<'_>) {
        let value = match value {
            Scalar::Text(text) => text.to_owned(),
            other => format!("{other:?}"),
        };
        self.scalars.push((leaf, value));
    }
    fn raw_begin(&mut self, leaf: u8) {
        self.open.push((leaf, Vec::new()));
    }
    fn raw(&mut self, leaf: u8, bytes: &[u8]) {
        let open = self.open.last_mut().filter(|(open, _)| *open == leaf);
        open.expect("bytes of an object that has not begun").1.extend_from_slice(bytes);
    }
    fn raw_end(&mut self, leaf: u8) {
        let closed = self.open.pop().filter(|(open, _)| *open == leaf);
        self.raws.push(closed.expect("the end of an object that has not begun"));
    }
    fn flow(&mut self, leaf: u8, Piece { bytes, .. }: Piece<'_>) {
        match self.flows.last_mut() {
            Some((last, flow)) if *last == leaf => flow.extend_from_slice(bytes),
            _ => self.flows.push((leaf, bytes.to_vec())),
        }
    }
}

/// Scans the bytes in every split and compares.
pub fn scan(bytes: &[u8]) {
    let paths = Paths::new(LEAVES, RAWS, FLOWS);
    let scan = |pieces: &[&[u8]]| {
        let (mut scanner, mut found, mut used) = (Scanner::default(), Found::default(), 0);
        for piece in pieces {
            used += scanner.feed(&paths, piece, &mut found);
        }
        (found, scanner.progress(), used)
    };
    let [mut whole, single, pieces] = splits(bytes).map(|pieces| scan(&pieces));
    assert_eq!(single, whole, "byte by byte");
    assert_eq!(pieces, whole, "in pieces");
    let Some(root) = value(bytes) else { return };
    let mut expected = Found::default();
    walk(root, "", false, &mut expected);
    // Flows of one leaf behind each other cannot be told apart.
    expected.flows.dedup_by(|next, last| {
        next.0 == last.0 && {
            last.1.append(&mut next.1);
            true
        }
    });
    whole
        .0
        .scalars
        .iter_mut()
        .zip(&expected.scalars)
        .for_each(|(found, expected)| found.1 = same_beginning(&found.1, &expected.1));
    assert_eq!(whole.0, expected, "serde_json reads it differently");
    if !matches!(inside(root), Inside::Scalar) {
        assert_eq!(whole.1, Progress::Done);
    }
}

/// What is wanted of a value; `path` is as in the tables, with a mark for names that cannot match.
fn walk(value: &RawValue, path: &str, in_raw: bool, found: &mut Found) {
    let wanted = |table: &[(&str, u8)]| table.iter().find(|(known, _)| *known == path).map(|(_, leaf)| *leaf);
    let raw = wanted(RAWS).filter(|_| !in_raw);
    match inside(value) {
        Inside::Object(members) => {
            for (name, value) in members {
                let name = text(name);
                // A name that is no word of a path leads nowhere.
                let is_word = name.len() <= MAX_NAME && !name.contains(['.', '[']) && !name.is_empty();
                let name = if is_word { name } else { "?".to_owned() };
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                walk(value, &path, in_raw || raw.is_some(), found);
            }
        }
        Inside::Array(elements) => {
            let path = format!("{path}[]");
            elements.into_iter().for_each(|value| walk(value, &path, in_raw || raw.is_some(), found));
        }
        Inside::Scalar => {
            if let Some(leaf) = wanted(LEAVES) {
                found.scalars.push((leaf, scalar(value)));
            }
            if let (Some(leaf), true) = (wanted(FLOWS), value.get().starts_with('"')) {
                let written = value.get().as_bytes();
                found.flows.push((leaf, written[1..written.len() - 1].to_vec()));
            }
            return;
        }
    }
    found.raws.extend(raw.map(|leaf| (leaf, value.get().as_bytes().to_vec())));
}

/// A scalar as [`Found`] writes it.
fn scalar(value: &RawValue) -> String {
    let written = value.get();
    let scalar = match written.as_bytes()[0] {
        b'"' => {
            let text = text(value);
            return if text.len() <= MAX_SCALAR { text } else { format!("{LONG}{}", beginning(&text)) };
        }
        b'n' => Scalar::Null,
        b't' => Scalar::Bool(true),
        b'f' => Scalar::Bool(false),
        _ if written.len() > MAX_SCALAR => Scalar::Overlong,
        _ => Scalar::Number(written.as_bytes()),
    };
    format!("{scalar:?}")
}

/// A cut text, up to the last character that is whole.
fn beginning(text: &str) -> &str {
    let whole = (0..=MAX_SCALAR).rev().find(|&end| text.is_char_boundary(end));
    whole.and_then(|end| text.get(..end)).unwrap_or_default()
}

/// What is found, or what is expected if both begin alike and behind that is only what a cut leaves.
fn same_beginning(found: &str, expected: &str) -> String {
    let rest = expected.strip_prefix(LONG).and_then(|beginning| found.strip_prefix(beginning));
    let is_same = rest.is_some_and(|rest| rest.chars().all(|character| character == char::REPLACEMENT_CHARACTER));
    if is_same { expected.to_owned() } else { found.to_owned() }
}
