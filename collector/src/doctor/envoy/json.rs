//! Reads values from JSON whose shape is another program's: what is not there is empty.

use serde_json::Value;

/// The text of a member.
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The text at a JSON pointer.
pub fn text_at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The elements of a member that is a list.
pub fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// The elements of the list at a JSON pointer.
pub fn list_at<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// The name of a typed configuration's type, and the configuration itself: control planes wrap those that
/// they do not know in a struct.
pub fn unwrapped(typed: Option<&Value>) -> (&str, &Value) {
    let Some(typed) = typed else { return ("", &Value::Null) };
    let url = text(typed, "@type");
    let (url, own) = match (url.ends_with("TypedStruct"), typed.get("value")) {
        (true, Some(own)) => (text(typed, "type_url"), own),
        _ => (url, typed),
    };
    (url.rsplit('/').next().unwrap_or_default(), own)
}
