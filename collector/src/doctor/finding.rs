//! Findings, and what was looked at.

use super::code::{Code, Severity};

/// Something to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind it is.
    pub code: Code,
    /// What it is about: an Envoy, the collector, a file.
    pub at: String,
    /// What was seen, in a sentence without its stop.
    pub what: String,
}

impl Finding {
    /// How serious it is.
    pub fn severity(&self) -> Severity {
        self.code.spec().severity
    }
}

/// Why something could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// Nobody responds.
    Unreachable(String),
    /// What responds is something else.
    Other(String),
}

impl Unseen {
    /// In words that follow a colon.
    pub fn in_words(&self) -> &str {
        let (Unseen::Unreachable(words) | Unseen::Other(words)) = self;
        words
    }
}

/// Collects findings about one thing.
#[derive(Debug)]
pub struct Findings<'a> {
    at: String,
    found: &'a mut Vec<Finding>,
}

impl<'a> Findings<'a> {
    /// About this.
    pub fn about(at: String, found: &'a mut Vec<Finding>) -> Findings<'a> {
        Findings { at, found }
    }

    /// Something was found.
    pub fn add(&mut self, code: Code, what: impl Into<String>) {
        self.found.push(Finding { code, at: self.at.clone(), what: what.into() });
    }

    /// Something was found, if there is anything in the list, of which a few are named.
    pub fn add_each(&mut self, code: Code, named: &[String], sentence: impl FnOnce(&str) -> String) {
        if !named.is_empty() {
            self.add(code, sentence(&some(named)));
        }
    }
}

/// A few of these, and how many there are besides.
pub fn some(named: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = named.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match named.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
