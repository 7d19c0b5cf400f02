//! Parameters of a header (`form-data; name="model"`, `multipart/form-data; boundary=x`), in every spelling that servers read.

use crate::provider::percent_decoded;

/// One parameter.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parameter {
    /// As most servers read it, of several the last.
    pub value: String,
    /// Others may read it in another way, or not at all.
    pub is_odd: bool,
}

/// The parameter of a name, if the header has it. Encoded ones (`name*=utf-8''model`) and those in pieces (`name*0=`), which no
/// form may have, are read by most servers, and by some they are not.
pub(super) fn parameter(header: &str, name: &str) -> Option<Parameter> {
    let mut found: Option<Parameter> = None;
    let mut rest = header.split_once(';').map_or("", |(_, rest)| rest);
    while !rest.is_empty() {
        let (part, behind) = cut(rest);
        rest = behind;
        let Some((key, value)) = part.split_once('=') else { continue };
        let key = key.trim().to_ascii_lowercase();
        let Some(star) = key.strip_prefix(name) else { continue };
        let is_star = star.starts_with('*');
        if !(star.is_empty() || is_star) {
            continue;
        }
        let (mut value, mut is_odd) = plain(value.trim());
        if star.ends_with('*') {
            value = decoded(&value);
        }
        let is_piece = star.len() > 1 && star != "*0" && star != "*0*";
        if let Some(before) = &found {
            is_odd |= before.is_odd || !is_piece;
            if is_piece {
                value = [&before.value, value.as_str()].concat();
            }
        }
        found = Some(Parameter { value, is_odd: is_odd || is_star });
    }
    found
}

/// Cuts behind the next semicolon that no quotes have around it.
fn cut(text: &str) -> (&str, &str) {
    let (mut quoted, mut escape) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escape => escape = false,
            b'\\' if quoted => escape = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => {
                return (text.get(..at).unwrap_or_default(), text.get(at.saturating_add(1)..).unwrap_or_default());
            }
            _ => {}
        }
    }
    (text, "")
}

/// A value without its quotes. Of what is behind a backslash, only quotes and backslashes are read alike by all.
fn plain(value: &str) -> (String, bool) {
    let Some(inside) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
        let is_odd =
            value.bytes().any(|byte| matches!(byte, b'"' | b'\'' | b'\\' | b'<') || byte.is_ascii_whitespace());
        return (value.to_owned(), is_odd && !value.is_empty());
    };
    let (mut text, mut is_odd, mut escape) = (String::new(), false, false);
    for letter in inside.chars() {
        match letter {
            '\\' if !escape => escape = true,
            letter => {
                is_odd |= escape != matches!(letter, '"' | '\\');
                escape = false;
                text.push(letter);
            }
        }
    }
    (text, is_odd)
}

/// `charset'language'text` with its percents.
fn decoded(value: &str) -> String {
    let text = value.rsplit('\'').next().unwrap_or_default();
    percent_decoded(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    cases! {
        fn contract_parameters_are_read_in_every_spelling() {
            for (header, value, is_odd) in [
                ("form-data; name=\"model\"", "model", false), ("form-data;name=model", "model", false),
                ("form-data ; NAME = \"model\" ; filename=\"x;name=y\"", "model", false),
                ("form-data; filename=\"a;\\\"name=b\"; name=\"model\"", "model", false),
                ("form-data; name=\"a\\\"b\\\\\"", "a\"b\\", false),
                ("form-data; name=\"mo\\del\"", "model", true), ("form-data; name='model'", "'model'", true),
                ("form-data; name*=utf-8''mo%64el", "model", true), ("form-data; name*0=\"mo\"; name*1=del", "model", true),
                ("form-data; name=a; name=model", "model", true), ("form-data; name=\"\"", "", false),
                ("form-data; name=a; name*=utf-8''model", "model", true),
            ] {
                let expected = Parameter { value: value.to_owned(), is_odd };
                assert_eq!(parameter(header, "name"), Some(expected), "{header}");
            }
            for header in ["", "form-data", "name=x", "form-data; filename=x", "form-data; names=x", "form-data; name"] {
                assert_eq!(parameter(header, "name"), None, "{header}");
            }
        }
    }
}
