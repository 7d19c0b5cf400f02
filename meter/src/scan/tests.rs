use super::*;

/// What a scanner found, in order, as text.
#[derive(Default)]
struct Found {
    values: Vec<String>,
    raw: String,
    flow: String,
}

impl Sink<&'static str> for Found {
    fn scalar(&mut self, leaf: &'static str, value: Scalar<'_>) {
        let value = match value {
            Scalar::Number(digits) => String::from_utf8_lossy(digits).into_owned(),
            other => format!("{other:?}"),
        };
        self.values.push(format!("{leaf}={value}"));
    }
    fn like(&mut self, leaf: &'static str, name: &[u8]) {
        self.values.push(format!("{leaf}~{}", String::from_utf8_lossy(name)));
    }
    fn raw_begin(&mut self, leaf: &'static str) {
        self.raw = format!("{leaf}:");
    }
    fn raw(&mut self, _: &'static str, bytes: &[u8]) {
        self.raw.push_str(&String::from_utf8_lossy(bytes));
    }
    fn raw_end(&mut self, _: &'static str) {
        self.values.push(std::mem::take(&mut self.raw));
    }
    fn flow(&mut self, _: &'static str, Piece { bytes, .. }: Piece<'_>) {
        self.flow.push_str(&String::from_utf8_lossy(bytes));
    }
}

const LEAVES: &[(&str, &str)] = &[
    ("usage.a", "a"),
    ("usage.deep.b", "b"),
    ("model", "model"),
    ("choices[].delta.text", "text"),
    ("stream", "stream"),
];

fn scan(chunks: &[&[u8]], raws: &[(&'static str, &'static str)]) -> (Vec<String>, Progress) {
    let (found, progress, _) = scan_with(chunks, raws, &[]);
    (found.values, progress)
}

/// What was found, how far it came, and how many bytes that took.
fn scan_with(
    chunks: &[&[u8]],
    raws: &[(&'static str, &'static str)],
    flows: &[(&'static str, &'static str)],
) -> (Found, Progress, usize) {
    let paths = Paths::new(LEAVES, raws, flows);
    let mut scanner = Scanner::default();
    let mut found = Found::default();
    let used = chunks.iter().map(|chunk| scanner.feed(&paths, chunk, &mut found)).sum();
    (found, scanner.progress(), used)
}

fn whole(json: &str) -> Vec<String> {
    scan(&[json.as_bytes()], &[]).0
}

cases! {
    fn deterministic_a_star_stands_for_any_name_without_a_place_of_its_own() {
        let leaves = [("a.*.n", "any"), ("a.own.n", "own"), ("b.*[].n", "each")];
        let paths = Paths::new(&leaves, &[], &[]);
        let json = br#"{"a":{"x":{"n":1,"m":9},"own":{"n":2,"*":{"n":9}},"\u0079":{"n":3},"z":[{"n":9}],"n":9},"b":{"q":[{"n":4},{"n":5}],"r":{"n":9}},"n":9}"#;
        for size in [1, 2, 7, json.len()] {
            let (mut scanner, mut found) = (Scanner::default(), Found::default());
            for piece in json.chunks(size) {
                scanner.feed(&paths, piece, &mut found);
            }
            assert_eq!(found.values, ["any=1", "own=2", "any=3", "each=4", "each=5"], "pieces of {size}");
        }
    }

    fn deterministic_values_are_found_by_their_exact_path() {
        assert_eq!(whole(r#"{"usage":{"a":1,"deep":{"b":2,"a":9},"x":{"a":9}},"a":9,"other":{"usage":{"a":9}}}"#), ["a=1", "b=2"]);
        assert_eq!(whole(r#"{"choices":[{"delta":{"text":"x"}},{"delta":{"text":null}},7,"s"],"stream":true}"#), ["text=Text(\"x\")", "text=Null", "stream=Bool(true)"]);
        assert_eq!(whole(r#"[{"usage":{"a":1}}]"#), [""; 0], "an array at the root is not the path");
        assert_eq!(whole(r#"{"usage":[{"a":1}],"model":{"a":1}}"#), [""; 0], "neither is a wrong type");
    }

    fn deterministic_any_name_and_names_alike_lead_on_where_no_own_name_does() {
        let leaves = [("a.*.b", "any"), ("a.own.b", "own"), ("list[].*[].d", "each"), ("like_own.b", "named")];
        let is_like = |name: &[u8]| name.starts_with(b"like");
        let paths = Paths::new(&leaves, &[], &[]).and_like(&["", "inner"], is_like, "like");
        let json = r#"{"a":{"x":{"b":1},"own":{"b":2},"y":{"c":9},"":{"b":3}},"list":[{"g":[{"d":4},{"d":5}]},{"h":[{"d":6}]}],
            "like_own":{"b":7},"like\u0031":8,"likely":{"deep":[{"b":"}"}]},"unlike":9,"inner":{"like":null,"b":9},"outer":{"like":9}}"#;
        let expected = [
            "any=1", "own=2", "any=3", "each=4", "each=5", "each=6", "named=7", "like~like1", "like=8", "like~likely",
            r#"like:{"deep":[{"b":"}"}]}"#, "like~like", "like=Null",
        ];
        for piece in [1, 2, 3, 7, json.len()] {
            let (mut scanner, mut found) = (Scanner::default(), Found::default());
            json.as_bytes().chunks(piece).for_each(|chunk| {
                scanner.feed(&paths, chunk, &mut found);
            });
            assert_eq!(found.values, expected, "in pieces of {piece}");
            assert_eq!(scanner.progress(), Progress::Done);
        }
    }

    fn deterministic_names_inside_texts_are_not_paths() {
        assert_eq!(whole(r#"{"content":"\"usage\":{\"a\":9}","x":["{\"usage\":{\"a\":9}}","\\"],"usage":{"a":1}}"#), ["a=1"]);
    }

    fn deterministic_a_text_ends_at_its_first_quote_without_a_backslash() {
        let naive = |bytes: &[u8], mut escape: bool| {
            let (mut escapes, mut long) = (0, escape);
            for (length, &byte) in bytes.iter().enumerate() {
                match byte {
                    byte if std::mem::take(&mut escape) => long |= byte == b'u',
                    b'"' => {
                        return skip::Inside { length, closed: true, escapes: Some(escapes).filter(|_| !long), open_escape: false };
                    }
                    byte => {
                        escape = byte == b'\\';
                        escapes += usize::from(escape);
                    }
                }
            }
            skip::Inside { length: bytes.len(), closed: false, escapes: Some(escapes).filter(|_| !long), open_escape: escape }
        };
        let mut draw = crate::fuzz::Draw(7);
        for round in 0..20_000 {
            // Few quotes, so that texts reach over blocks; many backslashes, in runs.
            let letters: &[u8] = if round % 2 == 0 { br#"\\\\\\\\\\\\\\\\\"# } else { br#"aaaaaaa\\aaaaaaaauaa""# };
            let bytes: Vec<u8> = (0..draw.below(200)).map(|_| letters[draw.below(letters.len())]).collect();
            for escape in [false, true] {
                assert_eq!(skip::inside(&bytes, escape), naive(&bytes, escape), "{escape} {}", bytes.escape_ascii());
            }
        }
    }

    fn deterministic_escapes_in_names_and_texts_are_undone() {
        assert_eq!(whole(r#"{"us\u0061ge":{"\u0061":3}}"#), ["a=3"]);
        assert_eq!(whole(r#"{"model":"\u00fc\n\"\ud83d\ude00\ud83d"}"#), ["model=Text(\"ü\\n\\\"😀\u{fffd}\")"]);
    }

    fn deterministic_duplicates_come_in_order() {
        assert_eq!(whole(r#"{"usage":{"a":1,"a":2}}"#), ["a=1", "a=2"]);
    }

    fn deterministic_raw_objects_pass_through_unchanged() {
        let raws = [("usage", "raw"), ("choices", "list")];
        let json = r#"{"choices":[ {"delta":1} ],"usage": {"a" : 1,"q":{"z":[1,"}"]}} ,"model":"m"}"#;
        let expected = ["list:[ {\"delta\":1} ]", "a=1", "raw:{\"a\" : 1,\"q\":{\"z\":[1,\"}\"]}}", "model=Text(\"m\")"];
        assert_eq!(scan(&[json.as_bytes()], &raws).0, expected);
        let single: Vec<&[u8]> = json.as_bytes().chunks(1).collect();
        assert_eq!(scan(&single, &raws).0, expected);
    }

    fn deterministic_a_text_flows_by_as_it_is() {
        let json = r#"{"model":"a\"b\u00fc\\","x":"y"}"#;
        for size in [1, 2, 1000] {
            let chunks: Vec<&[u8]> = json.as_bytes().chunks(size).collect();
            assert_eq!(scan_with(&chunks, &[], &[("model", "flow")]).0.flow, r#"a\"b\u00fc\\"#);
        }
    }

    fn contract_a_scanner_stops_behind_its_value() {
        for (json, used) in [("{} {\"model\":1}", 2), ("[1],", 3), ("12,3", 2), ("\"a\"b", 3)] {
            let (found, progress, taken) = scan_with(&[json.as_bytes()], &[], &[]);
            assert_eq!((found.values.len(), progress, taken), (0, Progress::Done, used), "{json}");
        }
    }

    fn contract_progress_tells_whole_from_cut_and_broken() {
        for (json, expected) in [
            ("", Progress::Empty), (" \n", Progress::Empty), ("{\"a\":", Progress::Inside), ("{}", Progress::Done),
            ("{]", Progress::Broken), ("<html>", Progress::Broken), ("{\"model\" \"x\"}", Progress::Broken),
            ("{\"usage\":{\"a\":1]}", Progress::Broken), ("{\"model\":tru}", Progress::Broken), ("[1,2]", Progress::Done), ("{,}", Progress::Broken),
        ] {
            assert_eq!(scan(&[json.as_bytes()], &[]).1, expected, "{json}");
        }
    }

    fn contract_long_values_are_capped() {
        let long = "x".repeat(10_000);
        let found = whole(&format!(r#"{{"model":"{long}","{long}":{{"a":1}},"usage":{{"a":{}}}}}"#, "1".repeat(10_000)));
        assert_eq!(found, [format!("model=Text(\"{}\")", &long[..MAX_SCALAR]), "a=Overlong".to_owned()]);
    }

    fn contract_depth_is_bounded_only_off_the_paths() {
        let deep = format!(r#"{{"x":{}{},"usage":{{"a":1}}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(whole(&deep), ["a=1"]);
    }

    fn deterministic_counts_are_read_as_providers_write_them() {
        let number = |text: &str| count(Scalar::Number(text.as_bytes()));
        for (text, expected) in [
            ("0", 0), ("4", 4), ("4.0", 4), ("4.000", 4), ("4e3", 4000), ("4.5e1", 45), ("40e-1", 4), ("5000000000", 5_000_000_000),
            ("1099511627776", 1 << 40), ("0e999999999", 0), ("-0", 0),
        ] {
            let expected = if text == "-0" { Count::Bad } else { Count::Value(expected) };
            assert_eq!(number(text), expected, "{text}");
        }
        for bad in ["-1", "1.5", "1e99", "1e2147483648", "1099511627777", "18446744073709551616", "", ".", "1.", ".5", "e1", "+1", "0x10", "4e-1"] {
            assert_eq!(number(bad), Count::Bad, "{bad}");
        }
        for (text, by, expected) in [("0.00614", 9, 6_140_000), ("6.14e-3", 9, 6_140_000), ("1721250", -1, 172_125), ("15", -1, 2), ("14", -1, 1),
            ("0.0000000004", 9, 0), ("0.0000000005", 9, 1), ("0.006140000000000001", 9, 6_140_000), ("6.1", 3, 6100), ("0", 9, 0)] {
            assert_eq!(scaled(text.as_bytes(), by), Some(expected), "{text}");
        }
        for bad in ["-1", "1e999999999", "x", ""] {
            assert_eq!(scaled(bad.as_bytes(), 9), None, "{bad}");
        }
        assert_eq!(count(Scalar::Text("4")), Count::Value(4));
        assert_eq!(count(Scalar::Text("four")), Count::Bad);
        assert_eq!(count(Scalar::Bool(true)), Count::Bad);
        assert_eq!(count(Scalar::Null), Count::Null);
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The same response from a whole tree: wanted scalars in document order.
    fn oracle(value: &Value, path: &str, out: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    oracle(value, &path, out);
                }
            }
            Value::Array(elements) => elements.iter().for_each(|value| oracle(value, &format!("{path}[]"), out)),
            scalar => {
                if let Some((_, leaf)) = LEAVES.iter().find(|(wanted, _)| *wanted == path) {
                    out.push(match scalar {
                        Value::Number(number) => format!("{leaf}={number}"),
                        Value::String(text) => format!("{leaf}={:?}", Scalar::Text(text)),
                        Value::Bool(value) => format!("{leaf}={:?}", Scalar::Bool(*value)),
                        _ => format!("{leaf}=Null"),
                    });
                }
            }
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let name = prop_oneof![
            4 => prop::sample::select(vec!["usage", "a", "deep", "b", "model", "choices", "delta", "text", "stream"]).prop_map(str::to_owned),
            1 => "\\PC{0,6}",
        ];
        let leaf = prop_oneof![
            any::<i32>().prop_map(Value::from),
            "\\PC{0,12}|[\"\\\\{}\\[\\]:,]{0,8}".prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(6, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(name.clone(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(cases::properties())]

        #[test]
        fn deterministic_every_split_equals_the_oracle(value in json(), splits in prop::collection::vec(any::<prop::sample::Index>(), 0..6), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assume!(value.is_object() || value.is_array());
            let mut expected = Vec::new();
            oracle(&value, "", &mut expected);
            let mut cuts: Vec<usize> = splits.iter().map(|at| at.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &text.as_bytes()[cut[0]..cut[1]]).collect();
            prop_assert_eq!(scan(&chunks, &[]), (expected.clone(), Progress::Done));
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            prop_assert_eq!(scan(&bytes, &[]).0, expected);
        }

        #[test]
        fn contract_any_bytes_are_survived_and_split_alike(bytes in prop::collection::vec(prop_oneof![Just(b'{'), Just(b'}'), Just(b'"'), Just(b'\\'), Just(b':'), Just(b','), Just(b'['), Just(b'a'), any::<u8>()], 0..200)) {
            let one: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(scan(&[&bytes], &[("usage", "raw")]), scan(&one, &[("usage", "raw")]));
        }
    }
}
