//! JSON as serde_json reads it, with everything a tree of maps would lose: the order, repeated names, numbers and escapes
//! as written. Slow and simple.

use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object or the elements of an array.
pub(super) enum Inside<'a> {
    Object(Vec<(&'a RawValue, &'a RawValue)>),
    Array(Vec<&'a RawValue>),
    Scalar,
}

/// One value, if the bytes are one JSON value and serde_json can read all of it: it refuses lone surrogates, numbers
/// beyond a float and more than 128 levels.
pub(super) fn value(bytes: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice::<serde_json::Value>(bytes).ok()?;
    serde_json::from_slice(bytes).ok()
}

/// What is in it.
pub(super) fn inside(value: &RawValue) -> Inside<'_> {
    let mut reader = serde_json::Deserializer::from_str(value.get());
    match value.get().as_bytes()[0] {
        b'{' => Inside::Object(reader.deserialize_map(Members).unwrap()),
        b'[' => Inside::Array(reader.deserialize_seq(Elements).unwrap()),
        _ => Inside::Scalar,
    }
}

/// A text without its escapes.
pub(super) fn text(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap()
}

struct Members;

impl<'a> Visitor<'a> for Members {
    type Value = Vec<(&'a RawValue, &'a RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

struct Elements;

impl<'a> Visitor<'a> for Elements {
    type Value = Vec<&'a RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(elements)
    }
}
