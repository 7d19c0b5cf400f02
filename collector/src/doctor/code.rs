//! Kinds of findings: how serious each is, what it means and what to do about it. The table in docs/doctor.md is made from them.

use serde::Serialize;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Metering or billing is incomplete, or will be when something fails.
    Warning,
    /// Calls pass unmetered, events are lost or not delivered, or the examination could not be made.
    Error,
}

impl Severity {
    /// As a word.
    pub const fn word(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// What is said of a code.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// The code.
    pub word: &'static str,
    /// How serious it is.
    pub severity: Severity,
    /// What it means.
    pub why: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    /// Where to read more: a file in docs/, perhaps with an anchor.
    pub link: &'static str,
}

macro_rules! codes {
    ($($variant:ident $word:literal $severity:ident $why:literal, $remedy:literal, $link:literal;)+) => {
        /// A kind of finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $why] $variant,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)+];

            /// What is said of it.
            pub const fn spec(self) -> Spec {
                match self {
                    $(Code::$variant => Spec {
                        word: $word, severity: Severity::$severity, why: $why, remedy: $remedy, link: $link,
                    },)+
                }
            }
        }
    };
}

mod catalogue;

pub use catalogue::Code;

/// The table of the documentation.
pub fn table() -> String {
    let mut table = String::from("| code | severity | meaning | what to do |\n|---|---|---|---|\n");
    for spec in Code::ALL.iter().map(|code| code.spec()) {
        let Spec { word, severity, why, remedy, link } = spec;
        let severity = severity.word();
        table.push_str(&format!(
            "| `{word}` | {severity} | {why} | {remedy}; [more]({}) |\n",
            link.trim_start_matches("doctor.md")
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    fn docs() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
    }

    #[test]
    fn contract_the_reference_names_every_finding() {
        let path = docs().join("doctor.md");
        let found = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = found.split_once("<!-- table: findings -->\n").expect("docs/doctor.md has the mark");
        let (_, behind) = rest.split_once("<!-- end of table -->").expect("docs/doctor.md has the end mark");
        let expected = format!("{before}<!-- table: findings -->\n{}<!-- end of table -->{behind}", table());
        if std::env::var_os("MESHMETER_WRITE_DOCS").is_some() {
            std::fs::write(path, expected).unwrap();
        } else {
            assert!(found == expected, "docs/doctor.md is not what the code says: run `just docs`");
        }
    }

    #[test]
    fn contract_codes_are_unique_and_their_links_lead_somewhere() {
        let words: BTreeSet<&str> = Code::ALL.iter().map(|code| code.spec().word).collect();
        assert_eq!(words.len(), Code::ALL.len());
        for spec in Code::ALL.iter().map(|code| code.spec()) {
            let (file, anchor) = spec.link.split_once('#').unwrap_or((spec.link, ""));
            let text = std::fs::read_to_string(docs().join(file)).unwrap_or_else(|_| panic!("{}: {file}", spec.word));
            let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| {
                let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
                words.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect::<String>()
            });
            assert!(
                anchor.is_empty() || headings.into_iter().any(|heading| heading == anchor),
                "{}: {}",
                spec.word,
                spec.link
            );
            assert!(!spec.why.ends_with('.') && !spec.remedy.ends_with('.'), "{}: no stop at the end", spec.word);
        }
    }
}
