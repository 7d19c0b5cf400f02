//! The tables in docs/ are generated from the catalogues in the code: `just docs` writes them, this test compares.
#![cfg(not(target_arch = "wasm32"))]

use std::fmt::Write as _;
use std::path::Path;

use meter::{config, telemetry};
use wire::event;

/// Set to have the tables written instead of compared.
const WRITE: &str = "MESHMETER_WRITE_DOCS";

fn configuration() -> String {
    let mut table = String::from("| key | type | default | meaning |\n|---|---|---|---|\n");
    for key in config::KEYS {
        let default = match key.default {
            "" | "{}" => String::new(),
            default => format!("`{default}`"),
        };
        writeln!(table, "| `{}` | {} | {default} | {} |", key.path, key.kind.notation(), key.help).unwrap();
    }
    table
}

fn metrics() -> String {
    let mut table = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for metric in telemetry::Metric::ALL {
        let spec = metric.spec();
        let labels: Vec<String> = spec.labels.iter().map(|label| format!("`{label}`")).collect();
        let kind = format!("{:?}", spec.kind).to_lowercase();
        writeln!(table, "| `{}` | {kind} | {} | {} |", spec.name, labels.join(" "), spec.help).unwrap();
    }
    table
}

fn fields() -> String {
    let mut table = String::from("| field of `data` | type | meaning |\n|---|---|---|\n");
    for spec in event::specs() {
        let kind = match spec.kind {
            event::Kind::Text(max) => format!("string, at most {max} bytes"),
            event::Kind::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            event::Kind::Words => "array of strings".to_owned(),
            event::Kind::Tags(max) => format!("array of `[name, value, source]`, at most {max}"),
            event::Kind::Number(..) if spec.unit.is_empty() => "integer".to_owned(),
            event::Kind::Number(..) => format!("integer, {}", spec.unit),
            event::Kind::Bool => "boolean".to_owned(),
        };
        writeln!(table, "| `{}` | {kind} | {} |", spec.name, spec.help).unwrap();
    }
    table
}

/// Puts a table between its marks.
fn replace(path: &str, text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- table: {name} -->\n"), "<!-- end of table -->");
    let at = text.find(&begin).unwrap_or_else(|| panic!("{path} has no mark {begin}")) + begin.len();
    let length = text[at..].find(end).unwrap_or_else(|| panic!("{path}: {name} has no end mark"));
    format!("{}{table}{}", &text[..at], &text[at + length..])
}

#[test]
fn contract_the_reference_is_what_the_code_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tables = [
        ("docs/configuration.md", "configuration", configuration()),
        ("docs/metrics.md", "metrics", metrics()),
        ("docs/events.md", "event", fields()),
    ];
    for (path, name, table) in tables {
        let found = std::fs::read_to_string(root.join(path)).unwrap();
        let expected = replace(path, &found, name, &table);
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(root.join(path), &expected).unwrap();
        } else {
            assert!(found == expected, "{path} is not what the code says: run `just docs`");
        }
    }
}
