//! JSON as providers read it: one value and nothing behind it. A strict one takes no name twice in an object; others take the
//! first or the last of them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::Result;

/// Reads a body as a strict reader does.
pub fn parse(body: &[u8]) -> Result<Value> {
    read::<REFUSED>(body)
}

/// Reads a body; of a repeated name the first holds.
pub fn parse_first(body: &[u8]) -> Result<Value> {
    read::<FIRST>(body)
}

/// Reads a body; of a repeated name the last holds.
pub fn parse_last(body: &[u8]) -> Result<Value> {
    Ok(serde_json::from_slice(body)?)
}

fn read<const REPEATED: u8>(body: &[u8]) -> Result<Value> {
    let Read::<REPEATED>(value) = serde_json::from_slice(body)?;
    Ok(value)
}

const REFUSED: u8 = 0;
const FIRST: u8 = 1;

struct Read<const REPEATED: u8>(Value);

impl<'de, const REPEATED: u8> Deserialize<'de> for Read<REPEATED> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Reader::<REPEATED>).map(Read)
    }
}

struct Reader<const REPEATED: u8>;

impl<'de, const REPEATED: u8> Visitor<'de> for Reader<REPEATED> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Read::<REPEATED>(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Read(value))) = members.next_entry::<String, Read<REPEATED>>()? {
            if !object.contains_key(&name) {
                object.insert(name, value);
            } else if REPEATED == REFUSED {
                return Err(A::Error::custom(format!("{name} is there twice")));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_only_one_whole_value_without_doubles_is_read() {
        assert!(parse(br#" {"a":[1,-2,3.5,null,true,"x"],"b":{"a":{}}} "#).is_ok());
        for wrong in [r#"{"a":1,"a":2}"#, r#"{"b":{"a":1,"a":1}}"#, "{} {}", "", r#"{"a":1"#, "[1,]"] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn contract_of_a_repeated_name_one_holds() {
        let body = br#"{"a":1,"\u0061":{"b":1,"b":2}}"#;
        assert_eq!(parse_first(body).unwrap(), serde_json::json!({"a": 1}));
        assert_eq!(parse_last(body).unwrap(), serde_json::json!({"a": {"b": 2}}));
        assert!(parse(body).is_err());
    }
}
