//! The provider's responses: files in the shape of the three APIs, and beside them what a meter must read in each.

use std::{collections::BTreeMap, fs};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Result, client::Call, include_usage, paths};

/// Counts by class, named as in the event. A class the provider did not report is not there.
pub type Classes = BTreeMap<String, u64>;

/// The APIs the provider speaks.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// `/v1/chat/completions`
    OpenaiChat,
    /// `/v1/responses`
    OpenaiResponses,
    /// `/v1/messages`
    AnthropicMessages,
}

impl Api {
    /// The value of the event's `api`.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai_chat",
            Self::OpenaiResponses => "openai_responses",
            Self::AnthropicMessages => "anthropic_messages",
        }
    }

    /// Its path.
    pub fn path(self) -> &'static str {
        match self {
            Self::OpenaiChat => "/v1/chat/completions",
            Self::OpenaiResponses => "/v1/responses",
            Self::AnthropicMessages => "/v1/messages",
        }
    }

    /// The API behind a path, with or without a prefix in front.
    pub fn of(path: &str) -> Option<Self> {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        [Self::OpenaiChat, Self::OpenaiResponses, Self::AnthropicMessages]
            .into_iter()
            .find(|api| path.ends_with(api.path()))
    }

    /// The body that refuses a request.
    pub fn invalid(self, text: &str, param: Value) -> String {
        let kind = "invalid_request_error";
        let body = match self {
            Self::AnthropicMessages => json!({"type": "error", "error": {"type": kind, "message": text}}),
            _ => json!({"error": {"message": text, "type": kind, "param": param, "code": null}}),
        };
        body.to_string()
    }

    /// An error body as its provider writes it.
    pub fn error(self, status: u16) -> String {
        let (kind, text) = match (self, status) {
            (Self::AnthropicMessages, 529) => ("overloaded_error", "Overloaded"),
            (Self::AnthropicMessages, 429) => ("rate_limit_error", "Number of requests has exceeded your rate limit."),
            (Self::AnthropicMessages, 401) => ("authentication_error", "invalid x-api-key"),
            (Self::AnthropicMessages, _) => ("api_error", "Internal server error"),
            (_, 429) => ("rate_limit_exceeded", "Rate limit reached for requests per min (RPM): Limit 500, Used 500."),
            (_, 401) => ("invalid_api_key", "Incorrect API key provided: sk-***."),
            _ => ("server_error", "The server had an error while processing your request. Sorry about that!"),
        };
        let body = match self {
            Self::AnthropicMessages => json!({"type": "error", "error": {"type": kind, "message": text}}),
            _ => json!({"error": {"message": text, "type": kind, "param": null, "code": kind}}),
        };
        body.to_string()
    }
}

/// What a meter must read in a fixture.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The API it belongs to.
    pub api: Api,
    /// The host that responds so: what the client calls.
    pub host: String,
    /// The event's `provider`.
    pub provider: String,
    /// What the client asks for.
    pub request_model: String,
    /// What the response says it is from.
    pub response_model: String,
    /// The id in the file, which the server replaces by one of its own.
    pub response_id: String,
    /// Whether it responds calls that ask for a stream.
    pub stream: bool,
    /// Whether its own call asks for usage in a stream of chat completions.
    #[serde(default)]
    pub asks: bool,
    /// Events of a stream after which the model has written something: text, or the name of a tool.
    #[serde(default)]
    pub text_from: usize,
    /// The disjoint classes.
    pub usage: Classes,
    /// Those known when only the first event came.
    #[serde(default)]
    pub usage_at_start: Classes,
    /// The provider's own total, if it reports one.
    pub provider_total_tokens: Option<u64>,
    /// The tier it says it used.
    pub service_tier: Option<String>,
}

/// One response.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// Its file name.
    pub name: String,
    /// What must be read in it.
    pub expected: Expected,
    /// The file: a stream of chat completions as it comes to those who asked for usage.
    pub text: String,
}

impl Fixture {
    /// The response with a response id that no other response has: its last 12 characters are the serial number. In a
    /// stream of chat completions there is usage only if it was asked for.
    pub fn response(&self, serial: u64, asked: bool) -> (String, String) {
        let old = &self.expected.response_id;
        let keep = old.len().saturating_sub(12);
        let new = format!("{}{serial:012x}", &old[..keep]);
        let text = self.text.replace(old.as_str(), &new);
        let text = if self.is_chat_stream() && !asked { include_usage::not_asked(&text) } else { text };
        (new, text)
    }

    /// Whether it has usage only for those who ask.
    pub fn is_chat_stream(&self) -> bool {
        self.expected.stream && self.expected.api == Api::OpenaiChat
    }

    /// The call of an application that gets this response.
    pub fn call(&self) -> Call {
        let Expected { api, host, request_model, stream, .. } = &self.expected;
        let turn =
            json!([{"role": "user", "content": "Wie wird das Wetter in Zürich? \"usage\":{\"prompt_tokens\":9999}"}]);
        let mut body = match api {
            Api::OpenaiChat => json!({"model": request_model, "messages": turn}),
            Api::OpenaiResponses => json!({"model": request_model, "input": turn}),
            Api::AnthropicMessages => json!({"model": request_model, "max_tokens": 1024, "messages": turn}),
        };
        if *stream {
            body["stream"] = Value::Bool(true);
        }
        if self.expected.asks {
            body["stream_options"] = json!({"include_usage": true});
        }
        let call = Call::post(host, api.path(), &body);
        match api {
            Api::AnthropicMessages => call.header("x-api-key", "sk-ant-e2e").header("anthropic-version", "2023-06-01"),
            _ => call.header("authorization", "Bearer sk-e2e"),
        }
    }

    /// Its content type.
    pub fn content_type(&self) -> &'static str {
        if self.expected.stream { "text/event-stream; charset=utf-8" } else { "application/json" }
    }
}

/// The events of a stream, each with the blank line that ends it.
pub fn events(text: &str) -> Vec<&str> {
    text.split_inclusive("\n\n").collect()
}

/// All fixtures.
#[derive(Clone, Debug)]
pub struct Catalogue(pub Vec<Fixture>);

impl Catalogue {
    /// Reads `fixtures/provider/expected.json` and the files it names.
    pub fn load() -> Result<Self> {
        let dir = paths::fixture("provider");
        let expected: BTreeMap<String, Expected> = serde_json::from_slice(&fs::read(dir.join("expected.json"))?)?;
        let read = |(name, expected): (String, Expected)| -> Result<Fixture> {
            let text = fs::read_to_string(dir.join(&name)).map_err(|error| format!("{name}: {error}"))?;
            if !text.contains(&expected.response_id) {
                return Err(format!("{name}: does not contain its response id").into());
            }
            Ok(Fixture { name, expected, text })
        };
        Ok(Self(expected.into_iter().map(read).collect::<Result<_>>()?))
    }

    /// The fixture of a name.
    pub fn get(&self, name: &str) -> Result<&Fixture> {
        self.0.iter().find(|fixture| fixture.name == name).ok_or_else(|| format!("no fixture {name}").into())
    }

    /// What a real provider would respond to this request: same API, same mode, and the model if it is known.
    pub fn choose(&self, api: Api, request: &Value) -> Option<&Fixture> {
        let stream = request["stream"].as_bool().unwrap_or(false);
        let fits = |fixture: &&Fixture| {
            let expected = &fixture.expected;
            expected.api == api && expected.stream == stream
        };
        let model = request["model"].as_str().unwrap_or_default();
        let of_model = |fixture: &&Fixture| fixture.expected.request_model == model;
        self.0.iter().filter(fits).find(of_model).or_else(|| self.0.iter().find(fits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_every_fixture_is_what_its_own_call_gets() {
        let catalogue = Catalogue::load().unwrap();
        assert!(catalogue.0.len() >= 8);
        for fixture in &catalogue.0 {
            let request = serde_json::from_slice(&fixture.call().body).unwrap();
            let chosen = catalogue.choose(fixture.expected.api, &request).unwrap();
            assert_eq!(chosen.name, fixture.name);
        }
    }

    #[test]
    fn contract_fixtures_are_well_formed_and_their_classes_add_up() {
        for fixture in Catalogue::load().unwrap().0 {
            let (id, text) = fixture.response(0xabcdef, true);
            assert_eq!(id.len(), fixture.expected.response_id.len());
            assert!(text.contains(&id) && !text.contains(&fixture.expected.response_id));
            if fixture.expected.stream {
                let payloads = text.lines().filter_map(|line| line.strip_prefix("data: "));
                for payload in payloads.filter(|payload| *payload != "[DONE]") {
                    serde_json::from_str::<Value>(payload)
                        .unwrap_or_else(|e| panic!("{}: {e}: {payload}", fixture.name));
                }
                assert!(text.ends_with("\n\n"));
            } else {
                serde_json::from_str::<Value>(&text).unwrap();
            }
            if let Some(total) = fixture.expected.provider_total_tokens {
                let tokens = fixture.expected.usage.iter().filter(|(class, _)| class.ends_with("_tokens"));
                assert_eq!(tokens.map(|(_, count)| count).sum::<u64>(), total, "{}", fixture.name);
            }
        }
    }
}
