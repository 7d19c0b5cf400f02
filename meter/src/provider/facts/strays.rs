//! Members that stand beside the usage and may be usage, too; and counts in a list, whose names are values.

use super::numbers::Number;
use super::places::Sign;
use crate::scan::Scalar;

/// So many names are kept.
const MAX_NAMES: usize = 4;
/// Names are cut to this, bytes.
const MAX_NAME: usize = 64;

/// The names that Meta's Llama API gives its counts.
const METRICS: [(&str, Number); 3] = [
    ("num_prompt_tokens", Number::PromptTokens),
    ("num_completion_tokens", Number::CompletionTokens),
    ("num_total_tokens", Number::TotalTokens),
];

/// What was found: in most responses nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Strays(Option<Box<Found>>);

#[derive(Clone, Debug, Default)]
struct Found {
    /// The name of the value that comes next.
    name: String,
    /// The value says something: it has a digit that is not zero.
    says_something: bool,
    names: Vec<String>,
    metric: Option<Number>,
}

impl Strays {
    /// A value of that name begins.
    pub(super) fn begin(&mut self, name: &[u8]) {
        let found = self.0.get_or_insert_default();
        found.name = String::from_utf8_lossy(name.get(..MAX_NAME).unwrap_or(name)).into_owned();
        found.says_something = false;
    }

    /// The value is a scalar. Of texts only numbers count.
    pub(super) fn scalar(&mut self, value: Scalar<'_>) {
        match value {
            Scalar::Number(digits) => self.raw(digits),
            Scalar::Text(text) if crate::scan::scaled(text.as_bytes(), 0).is_some() => self.raw(text.as_bytes()),
            _ => {}
        }
        self.end();
    }

    /// Bytes of the value.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        if let Some(found) = &mut self.0 {
            found.says_something |= bytes.iter().any(|byte| matches!(byte, b'1'..=b'9'));
        }
    }

    /// The value has ended.
    pub(super) fn end(&mut self) {
        let Some(found) = &mut self.0 else { return };
        let is_new = found.names.len() < MAX_NAMES && !found.names.contains(&found.name);
        if found.says_something && is_new {
            found.names.push(std::mem::take(&mut found.name));
        }
    }

    /// Something was used that is paid for, and that nothing counts.
    pub(super) fn sign(&mut self, sign: Sign, text: &str) {
        if sign.value.is_empty() || sign.value == text {
            self.begin(sign.name.as_bytes());
            self.raw(b"1");
            self.end();
        }
    }

    /// Those that say something.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|found| &found.names).map(String::as_str)
    }

    /// The name of the count that comes next in a list.
    pub(super) fn metric(&mut self, name: &str) {
        let number = METRICS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
        if number.is_some() || self.0.is_some() {
            self.0.get_or_insert_default().metric = number;
        }
    }

    /// The count that this value is, once.
    pub(super) fn metric_number(&mut self) -> Option<Number> {
        self.0.as_mut()?.metric.take()
    }
}
