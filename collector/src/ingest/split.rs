//! Splits a JSON array into its elements without reading them: one that cannot be read does not take its neighbours
//! with it.

/// The most elements: a proxy sends at most a thousand, and each takes many times the memory of the two bytes that it
/// may be written with.
pub const MAX_ELEMENTS: usize = 16 << 10;

/// The elements' bytes; an error if it is not clear where they begin and end.
pub fn elements(body: &[u8]) -> Result<Vec<&[u8]>, String> {
    let body = body.trim_ascii();
    let inner = body.strip_prefix(b"[").and_then(|body| body.strip_suffix(b"]"));
    let mut rest = inner.ok_or("must be a JSON array of events")?.trim_ascii();
    let mut elements = Vec::new();
    while !rest.is_empty() {
        let number = elements.len();
        if number >= MAX_ELEMENTS {
            return Err(format!("must be of at most {MAX_ELEMENTS} events"));
        }
        let end = end_of(rest).ok_or_else(|| format!("[{number}]: breaks off in a text, an object or a list"))?;
        let (element, behind) = rest.split_at_checked(end).unwrap_or((rest, b""));
        let element = element.trim_ascii_end();
        if element.is_empty() {
            return Err(format!("[{number}]: is empty"));
        }
        elements.push(element);
        rest = match behind.split_first() {
            None => b"",
            Some((b',', more)) if !more.trim_ascii_start().is_empty() => more.trim_ascii_start(),
            Some((b',', _)) => return Err(format!("[{}]: is missing behind the comma", number.saturating_add(1))),
            Some(_) => return Err(format!("[{number}]: closes what it has not opened")),
        };
    }
    Ok(elements)
}

/// Where the first element ends: before a comma, a bracket that it has not opened, or at the end.
fn end_of(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut in_text = false;
    let mut escaped = false;
    for (index, byte) in bytes.iter().enumerate() {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (true, _) => {}
            (false, b'{' | b'[') => depth = depth.saturating_add(1),
            (false, b'}' | b']') => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return Some(index),
            },
            (false, b',') if depth == 0 => return Some(index),
            (false, _) => {}
        }
    }
    (depth == 0 && !in_text).then_some(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(body: &str) -> Result<Vec<String>, String> {
        elements(body.as_bytes()).map(|all| all.iter().map(|one| String::from_utf8_lossy(one).into_owned()).collect())
    }

    #[test]
    fn contract_elements_are_found_whatever_is_in_them() {
        let cases: [(&str, &[&str]); 7] = [
            ("[]", &[]),
            (" [ ] \n", &[]),
            ("[{}]", &["{}"]),
            (" [ {\"a\":[1,2]} ,\n{} ] ", &["{\"a\":[1,2]}", "{}"]),
            (r#"[{"a":"],[\""},"\\",7]"#, &[r#"{"a":"],[\""}"#, r#""\\""#, "7"]),
            ("[nonsense, {\"a\" 1}]", &["nonsense", "{\"a\" 1}"]),
            ("[{]]", &["{]"]),
        ];
        for (body, expected) in cases {
            assert_eq!(texts(body).unwrap(), expected, "{body}");
        }
        let deep = format!("[{}1{}]", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(texts(&deep).unwrap().len(), 1);
        assert_eq!(elements(b"[{\"a\":\"\xff\"},{}]").unwrap().len(), 2, "one that is no UTF-8 has a neighbour");
    }

    #[test]
    fn contract_what_has_no_clear_elements_is_refused() {
        for body in ["", "{}", "[", "]", "[{]", "[\"]", "[{},]", "[,{}]", "[{}]]", "[] []", "[{}},{]", "[\"a\\\"]"] {
            assert!(texts(body).is_err(), "{body}: {:?}", texts(body));
        }
    }

    #[test]
    fn contract_more_elements_than_are_taken_are_refused_before_they_take_memory() {
        let of = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        assert_eq!(elements(of(MAX_ELEMENTS).as_bytes()).unwrap().len(), MAX_ELEMENTS);
        assert_eq!(elements(of(MAX_ELEMENTS + 1).as_bytes()).unwrap_err(), "must be of at most 16384 events");
    }

    proptest! {
        #[test]
        fn deterministic_any_bytes_are_split_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = elements(&body);
        }

        #[test]
        fn deterministic_json_is_split_as_a_reader_of_json_would(
            values in prop::collection::vec(("[a-z\\[\\]{},\"\\\\ ]{0,9}", any::<i32>()), 0..9), spaces in "[ \n]{0,3}"
        ) {
            let values: Vec<serde_json::Value> =
                values.into_iter().map(|(text, number)| serde_json::json!({ text.clone(): [text, number] })).collect();
            let written: Vec<String> = values.iter().map(ToString::to_string).collect();
            let body = format!("{spaces}[{spaces}{}{spaces}]", written.join(&format!("{spaces},{spaces}")));
            prop_assert_eq!(texts(&body).unwrap(), written);
        }
    }
}
