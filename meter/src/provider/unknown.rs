//! Nothing that may be paid for is silent: names what a response counts and nobody here reads.
//!
//! Each usage object that was held is walked once, when the response is over, without a tree and without a text of its paths, which
//! are told apart by hashes: it costs as much as its bytes. Only one that has an unknown name is walked again, for the name.
//! Beside the usage objects, members of the response that have a name like one of usage or of money are named, too.
//! A member is known if it is read somewhere ([`PLACED`]) or stands in [`HARMLESS`]; zeros, nulls and empty texts say
//! nothing. Names are the provider's, so they are bounded and cleaned.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use wire::usage::{Class, Kind};

use super::facts::{Facts, Number::*, PLACED};
use super::{Api, Reading};

/// So many names are kept.
const MAX_NAMES: usize = 4;
/// The longest name, bytes: four of them with commas are 255.
const MAX_NAME: usize = 63;
/// Members' names are cut to this, bytes: longer than any that is known.
const MAX_MEMBER: usize = 80;

/// Members of usage objects that cost nothing by themselves: wholes and parts of what is counted, times and speeds, costs,
/// modifiers that have a field of their own. A star stands for all that lies below.
#[rustfmt::skip]
const HARMLESS: &[&str] = &[
    // Parts that are the rest of a whole, or inside of it at the same price.
    "prompt_tokens_details.text_tokens", "completion_tokens_details.text_tokens", "input_tokens_details.text_tokens",
    "input_token_details.text_tokens", "output_token_details.text_tokens", "prompt_cache_miss_tokens", "prompt_tokens_details.cache_type", "input_tokens_details.cache_type",
    "completion_tokens_details.accepted_prediction_tokens", "completion_tokens_details.rejected_prediction_tokens",
    "input_tokens_details.cached_tokens_details.text_tokens", "prompt_tokens_details.cached_tokens_details.text_tokens",
    "input_token_details.cached_tokens_details.text_tokens", "context_details.*",
    // Cohere's, of the template that is not billed; Groq's, by the memory that served them.
    "tokens.image_tokens", "dram_cached_tokens", "sram_cached_tokens",
    // Guardrails of Bedrock: units that are parts, and filters by words and by patterns, which are free.
    "topicPolicyUnits", "contentPolicyUnits", "contentPolicyImageUnits", "sensitiveInformationPolicyUnits",
    "contextualGroundingPolicyUnits", "automatedReasoningPolicyUnits",
    "wordPolicyUnits", "sensitiveInformationPolicyFreeUnits", "automatedReasoningPolicies",
    // What was read of pages, counted where it is.
    "pages_processed", "pages_processed_annotation", "doc_size_bytes",
    // Lists that are read whole.
    "promptTokensDetails[].*", "promptTokenDetails[].*", "candidatesTokensDetails[].*", "responseTokensDetails[].*",
    "cacheTokensDetails[].*", "toolUsePromptTokensDetails[].*", "thoughtsTokensDetails[].*",
    "input_tokens_by_modality[].*", "cached_tokens_by_modality[].*", "output_tokens_by_modality[].*",
    "image_gen.*", "web_search.num_requests", "tool_use_tokens_by_modality[].*", "grounding_tool_count[].*",
    "iterations[].type", "iterations[].model", "iterations[].input_tokens", "iterations[].output_tokens",
    "iterations[].cache_creation_input_tokens", "iterations[].cache_read_input_tokens",
    "iterations[].cache_creation.ephemeral_5m_input_tokens", "iterations[].cache_creation.ephemeral_1h_input_tokens",
    "cacheDetails[].ttl", "cacheDetails[].inputTokens",
    // Modifiers and words.
    "service_tier", "serviceTier", "trafficType", "inference_geo", "speed", "extra_properties.google.traffic_type", "type",
    "search_context_size", "stop_reason", "finish_reason", "is_last_response", "is_byok", "api_version.*", "warnings[]",
    // Costs.
    "cost", "cost.*", "cost_details.*", "cost_in_usd_ticks", "pydantic_ai_gateway.*", "market_cost", "estimated_cost",
    // Calls of tools that are free, or that are counted by their kind.
    "server_tool_use.web_fetch_requests", "server_tool_use_details.tool_calls_requested",
    "server_tool_use_details.tool_calls_executed", "server_side_tool_usage_details.mcp_calls", "request_count",
    // Measures of a cached content, whose tokens are counted; images that are counted by what the endpoint does.
    "image_count", "generated_images", "width", "height", "textCount", "imageCount", "videoDurationSeconds", "audioDurationSeconds", "billed_units.images",
    // Times and speeds.
    "queue_time", "prompt_time", "completion_time", "total_time", "start_time", "end_time", "time_to_first_token",
    "total_latency", "invocationLatency", "firstByteLatency", "total_tokens_per_sec", "completion_tokens_per_sec",
    "completion_tokens_after_first_per_sec", "completion_tokens_after_first_per_sec_first_ten", "latency_checkpoint.*",
    "total_duration", "load_duration", "prompt_eval_duration", "eval_duration",
];

/// A path as a number, made segment by segment; `[]` is one (FNV-1a).
#[derive(Clone, Copy)]
struct Path(u64);

impl Path {
    const ROOT: Path = Path(0xcbf2_9ce4_8422_2325);

    fn at(self, segment: &str) -> Path {
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Path(segment.bytes().chain([0xff]).fold(self.0, mix))
    }

    fn of(path: &str) -> Path {
        path.split('.').fold(Path::ROOT, |at, segment| match segment.strip_suffix("[]") {
            Some(name) => at.at(name).at("[]"),
            None => at.at(segment),
        })
    }

    fn is_known(self) -> bool {
        static KNOWN: OnceLock<Vec<u64>> = OnceLock::new();
        let known = KNOWN.get_or_init(|| {
            let paths = PLACED.iter().map(|(path, _)| *path).chain(HARMLESS.iter().copied());
            let mut known: Vec<u64> = paths.map(|path| Path::of(path).0).collect();
            known.sort_unstable();
            known
        });
        known.binary_search(&self.0).is_ok()
    }
}

/// Names without their repetitions.
#[derive(Debug, Default)]
struct Names(Vec<String>);

impl Names {
    fn add(&mut self, name: &str) {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' };
        let name: String = name.chars().filter(|c| !matches!(c, '[' | ']')).take(MAX_NAME).map(plain).collect();
        if self.0.len() < MAX_NAMES && !name.is_empty() && !self.0.contains(&name) {
            self.0.push(name);
        }
    }
}

/// What a response counts that nobody reads, names separated by commas.
pub fn unknown_usage(api: Api, facts: &Facts, reading: &Reading) -> Option<String> {
    let mut names = Names::default();
    // Another API's counts, which this one's reading leaves out.
    for number in facts.unread() {
        names.add(number.path());
    }
    for (raw, object) in facts.usage_objects() {
        let place = if raw.is_guardrails() { "guardrail" } else { "" };
        // Many APIs have a `meta`; only Cohere's is a usage object.
        if !raw.is_meta() || api == Api::Cohere {
            let mut walk = Walk { at: Path::ROOT, all_known: &mut true, path: None, names: &mut names };
            // What cannot be walked, such as one of a thousand levels, can hold anything.
            if walk.run(object, place).is_err() {
                names.add("usage");
            }
        }
    }
    for name in facts.strays() {
        names.add(name);
    }
    if let Some(kind) = facts.unknown_item() {
        names.add(&format!("output.{kind}"));
    }
    let makes_images = facts.first(&[ImageGenOutput, XaiImages]).unwrap_or(0) == 0 && facts.makes_images();
    if makes_images {
        names.add("output.image_generation_call");
    }
    let calls = reading.usage.iter().filter(|(class, _)| class.kind() == Kind::Unit && *class != Class::AudioSeconds);
    if facts.get(XaiTools) > Some(calls.map(|(_, count)| count).fold(0, u64::saturating_add)) {
        names.add("num_server_side_tools_used");
    }
    (!names.0.is_empty()).then(|| names.0.join(","))
}

/// Walks one value.
struct Walk<'a> {
    at: Path,
    all_known: &'a mut bool,
    /// The path as a text, in the second walk.
    path: Option<&'a mut String>,
    names: &'a mut Names,
}

impl Walk<'_> {
    /// Walks an object; names begin with its place, if that is not empty.
    fn run(&mut self, object: &[u8], place: &str) -> serde_json::Result<()> {
        let mut read = serde_json::Deserializer::from_slice(object);
        self.below(Path::ROOT).deserialize(&mut read)?;
        if !*self.all_known {
            let walk = Walk {
                at: Path::ROOT,
                all_known: self.all_known,
                path: Some(&mut place.to_owned()),
                names: self.names,
            };
            walk.deserialize(&mut serde_json::Deserializer::from_slice(object))?;
        }
        Ok(())
    }

    fn below(&mut self, at: Path) -> Walk<'_> {
        Walk { at, all_known: self.all_known, path: self.path.as_deref_mut(), names: self.names }
    }

    fn found(self, says_something: bool) {
        if says_something && !self.at.is_known() {
            *self.all_known = false;
            if let Some(path) = self.path {
                self.names.add(path);
            }
        }
    }

    /// Goes on below a segment; returns how long the path was.
    fn enter(&mut self, segment: &str) -> usize {
        let Some(path) = &mut self.path else { return 0 };
        let length = path.len();
        if length > 0 && segment != "[]" {
            path.push('.');
        }
        let end = segment.char_indices().map(|(at, _)| at).take_while(|&at| at <= MAX_MEMBER).last().unwrap_or(0);
        path.push_str(if segment.len() <= MAX_MEMBER { segment } else { segment.get(..end).unwrap_or_default() });
        length
    }

    fn leave(&mut self, length: usize) {
        if let Some(path) = &mut self.path {
            path.truncate(length);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A member's name: borrowed, unless it has escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.found(value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.found(value > 0);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.found(value != 0);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.found(value != 0.0);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.found(!matches!(value, "" | "0"));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        let at = self.at.at("[]");
        let length = self.enter("[]");
        while elements.next_element_seed(self.below(at))?.is_some() {}
        self.leave(length);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let all_known = self.at.at("*").is_known();
        while let Some(name) = members.next_key_seed(Key)? {
            if all_known {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            let at = self.at.at(&name);
            let length = self.enter(&name);
            members.next_value_seed(self.below(at))?;
            self.leave(length);
        }
        Ok(())
    }
}
