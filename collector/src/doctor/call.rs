//! A test call: the smallest that an API takes, sent where an application would send it.

use std::time::Duration;

use serde_json::json;

use crate::fetch::{Body, Bounds, Fetcher, NoPage, Page};
use crate::terminal::printable;

const BOUNDS: Bounds = Bounds { size: 4 << 20, time: Duration::from_secs(60) };
/// What is said to the model.
const PROMPT: &str = "Say OK.";
/// The longest part of a response that is shown, characters.
const MAX_SHOWN: usize = 200;

/// A call to make.
#[derive(Clone, Debug)]
pub struct Call {
    /// Where it goes, with its path.
    pub url: String,
    /// The model.
    pub model: String,
    /// The provider's key.
    pub key: Option<String>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
}

/// A call that was made.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Where it went.
    pub url: String,
    /// What came of it.
    pub response: Result<Page, NoPage>,
}

impl Call {
    /// Makes it.
    pub fn send(self, fetcher: &Fetcher) -> Sent {
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        let messages = json!([{"role": "user", "content": PROMPT}]);
        let (is_anthropic, body) = if path.ends_with("/messages") {
            (true, json!({"model": self.model, "max_tokens": 16, "messages": messages}))
        } else if path.ends_with("/responses") || path.ends_with("/embeddings") {
            (false, json!({"model": self.model, "input": PROMPT}))
        } else {
            (false, json!({"model": self.model, "messages": messages}))
        };
        let bearer = self.key.as_ref().map(|key| format!("Bearer {key}"));
        let mut headers: Vec<(&str, &str)> = Vec::new();
        match (&self.key, &bearer) {
            (Some(key), _) if is_anthropic => headers.push(("x-api-key", key)),
            (_, Some(bearer)) => headers.push(("authorization", bearer)),
            _ => {}
        }
        if is_anthropic {
            headers.push(("anthropic-version", "2023-06-01"));
        }
        headers.extend(self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let body = body.to_string();
        let body = Body { content_type: "application/json", bytes: body.as_bytes() };
        let response = fetcher.post(&self.url, &headers, body, BOUNDS);
        Sent { url: self.url, response }
    }
}

impl Sent {
    /// Why it did not succeed, if it did not.
    pub fn problem(&self) -> Option<String> {
        match &self.response {
            Err(problem) => Some(problem.in_words()),
            Ok(page) if (200..300).contains(&page.status) => None,
            Ok(page) => {
                let said: String = String::from_utf8_lossy(&page.body).chars().take(MAX_SHOWN).collect();
                Some(format!("status {}: {}", page.status, printable(said.trim())))
            }
        }
    }
}
