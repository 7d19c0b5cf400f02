//! The tables in docs/ are generated from the catalogues in the code: `just docs` writes them, this test compares.
#![cfg(not(target_arch = "wasm32"))]

use std::fmt::Write as _;
use std::path::Path;

use meter::signals::{Signal, When};
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

fn signals() -> String {
    let mut table =
        String::from("| `publish` | filter state | attribute | there with | value |\n|---|---|---|---|---|\n");
    for signal in Signal::ALL {
        let spec = signal.spec();
        let when = match spec.when {
            When::Head => "the request's head",
            When::Request => "the request's end",
            When::Response => "the response's end",
            When::End => "the end of the stream",
        };
        let (word, key, attribute) = (spec.word, spec.key, spec.attribute);
        writeln!(table, "| `{word}` | `wasm.{key}` | `{attribute}` | {when} | {} |", spec.help).unwrap();
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
        ("docs/tracing.md", "values", signals()),
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

/// The examples of a language in a document.
fn examples(path: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap();
    let fence = format!("```{language}");
    let mut found: Vec<String> = Vec::new();
    let mut is_inside = false;
    for line in text.lines().map(str::trim) {
        match (is_inside, line) {
            (false, line) if line == fence => {
                is_inside = true;
                found.push(String::new());
            }
            (true, "```") => is_inside = false,
            (true, line) => found.last_mut().unwrap().push_str(&format!("{line}\n")),
            _ => {}
        }
    }
    found
}

#[test]
fn contract_examples_of_the_configuration_are_valid() {
    for (path, count) in [
        ("README.md", 1),
        ("docs/configuration.md", 3),
        ("docs/identity.md", 7),
        ("docs/attribution.md", 3),
        ("docs/tracing.md", 1),
    ] {
        let examples = examples(path, "json");
        assert_eq!(examples.len(), count, "{path}");
        for example in examples {
            if let Err(problems) = config::parse(example.as_bytes()) {
                panic!("{path}: {example}: {problems:?}");
            }
        }
    }
}

#[test]
fn contract_the_example_of_an_event_is_one() {
    let [example] = &examples("docs/events.md", "json")[..] else { panic!("there is one") };
    let event = event::decode(example.as_bytes()).unwrap();
    assert_eq!((event.record.identity.tenant.as_str(), event.sequence), ("acme", 42));
}

#[test]
fn contract_troubleshooting_explains_every_reason_for_which_an_identity_is_refused() {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/troubleshooting.md")).unwrap();
    for refusal in meter::identity::Refusal::ALL {
        assert!(page.contains(&format!("`{}`", refusal.as_str())), "{}", refusal.as_str());
    }
}
