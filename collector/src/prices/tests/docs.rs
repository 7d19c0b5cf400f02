//! The reference of the price book says what the reader knows: `just docs` writes it, this test compares.

use std::fmt::Write;

use crate::prices::keys::{CONDITIONS, Key, SECTIONS};
use crate::prices::read::charged;

fn row(table: &mut String, Key { name, allowed, help }: Key) {
    writeln!(table, "| `{name}` | {allowed} | {help} |").unwrap();
}

fn tables() -> String {
    let mut text = String::new();
    for section in SECTIONS {
        writeln!(text, "\n### `{}`\n\n{}.\n", section.heading, section.help).unwrap();
        text.push_str("| key | type | meaning |\n|---|---|---|\n");
        section.keys.iter().for_each(|key| row(&mut text, *key));
        if section.has_conditions {
            text.push_str("| [conditions](#conditions) | | when it applies; all must hold |\n");
        }
        if section.has_prices {
            text.push_str("| [prices](#prices) | decimal in quotes, at most 12 decimals | at least one |\n");
        }
    }
    text.push_str("\n### Conditions\n\n| key | takes | meaning |\n|---|---|---|\n");
    CONDITIONS.iter().for_each(|key| row(&mut text, *key));
    text.push_str("\n### Prices\n\n| key | USD per | of |\n|---|---|---|\n");
    for class in charged() {
        let per = match crate::prices::entry::per(class) {
            crate::money::Per::MillionTokens => "million",
            crate::money::Per::ThousandUnits => "thousand",
        };
        writeln!(text, "| `{}` | {per} | {} |", class.token_type(), class.help()).unwrap();
    }
    text.push('\n');
    text
}

fn providers() -> String {
    let mut text = String::from("\n| provider | hosts |\n|---|---|\n");
    for (name, hosts) in meter::provider::known() {
        let hosts: Vec<String> = hosts.iter().map(|host| format!("`{host}`")).collect();
        writeln!(text, "| `{name}` | {} |", hosts.join(", ")).unwrap();
    }
    text.push('\n');
    text
}

/// The text with another table behind a mark.
fn with_table(found: &str, name: &str, table: &str) -> String {
    let mark = format!("<!-- table: {name} -->\n");
    let (before, rest) = found.split_once(&mark).expect("docs/prices.md has the mark");
    let (_, behind) = rest.split_once("<!-- end of table -->").expect("docs/prices.md has the end mark");
    format!("{before}{mark}{table}<!-- end of table -->{behind}")
}

#[test]
fn contract_the_reference_names_every_key_and_provider() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/prices.md");
    let found = std::fs::read_to_string(path).unwrap();
    let expected = with_table(&with_table(&found, "price book", &tables()), "providers", &providers());
    if std::env::var_os("MESHMETER_WRITE_DOCS").is_some() {
        std::fs::write(path, expected).unwrap();
    } else {
        assert!(found == expected, "docs/prices.md is not what the code says: run `just docs`");
    }
}

/// Its example is a book.
#[test]
fn contract_the_example_of_the_reference_is_valid() {
    let text = include_str!("../../../../docs/prices.md");
    let example = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    super::PriceBook::parse(example).unwrap();
}
