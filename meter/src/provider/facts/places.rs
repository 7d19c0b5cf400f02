//! Where a response says what: the paths of every API.

use std::sync::OnceLock;

use super::costs::{COSTS, Cost};
use super::made::{THINGS, Thing};
use super::numbers::{DIRECT, GUARDED, Number, PLACED};
use super::texts::{TEXTS, Text};
use super::tools::{ITEM_TEXTS, ITEMS, ItemText, MAPS, Place, QUERIES};
use super::visible::{
    AGAIN_OBJECTS, AGAIN_TEXTS, Again, BINARIES, Binary, THOUGHTS, VISIBLE, VISIBLE_OBJECTS, WRITTEN,
};
use crate::provider::{Api, Endpoint};
use crate::scan::Paths;

/// Something a response can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A count.
    Count(Number),
    /// A text.
    Text(Text),
    /// Something that was made, and no token counts.
    Made(Thing),
    /// A usage object as it came.
    Raw(Raw),
    /// An amount of money as the provider writes it.
    Cost(Cost),
    /// A flag.
    Switch(Switch),
    /// An item that the model or a tool made.
    Item(Place),
    /// A text of one.
    ItemText(ItemText),
    /// A search of the web that grounded the response.
    Query,
    /// A place of a map that did.
    Maps,
    /// A source that a search of the web found.
    Found,
    /// The name of a count, in a list of counts.
    MetricName,
    /// The count.
    MetricValue,
    /// A member beside the usage that may be usage, too.
    Stray,
    /// What shows that something was used that is paid for, and that nothing counts.
    Sign(Sign),
    /// A JSON value in base64.
    Wrapped,
    /// Text that the model wrote, for estimates.
    Visible,
    /// Thoughts that the model shows.
    Thought,
    /// Text that the model wrote, in a place that says again what others said.
    Again(Again),
    /// What it made that is no text.
    Binary(Binary),
}

/// A truth value that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Ollama's `done`.
    Done,
    /// OpenRouter's `is_byok`.
    OwnKey,
}

macro_rules! raws {
    ($($variant:ident $path:literal,)+) => {
        /// Where a usage object stands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Raw {
            $(#[doc = concat!("`", $path, "`")] $variant,)+
        }

        impl Raw {
            const ALL: &'static [(&'static str, Raw)] = &[$(($path, Raw::$variant),)+];

            pub(super) fn path(self) -> &'static str {
                match self { $(Raw::$variant => $path,)+ }
            }
        }
    };
}

raws! {
    Usage "usage",
    ResponseUsage "response.usage",
    MessageUsage "message.usage",
    InteractionUsage "interaction.usage",
    DeltaUsage "delta.usage",
    ResultUsage "result.usage",
    GroqUsage "x_groq.usage",
    ChoiceUsage "choices[].usage",
    DataUsage "data.usage",
    MetadataUsage "metadata.usage",
    Metadata "usageMetadata",
    ResponseMetadata "response.usageMetadata",
    Meta "meta",
    ResponseMeta "response.meta",
    Metrics "amazon-bedrock-invocationMetrics",
    PageUsage "usage_info",
    // What Bedrock's guardrails weighed, if the request wants their trace: by Converse, and beside native bodies.
    InputGuardrail "trace.guardrail.inputAssessment.*.invocationMetrics.usage",
    OutputGuardrail "trace.guardrail.outputAssessments.*[].invocationMetrics.usage",
    StreamInputGuardrail "metadata.trace.guardrail.inputAssessment.*.invocationMetrics.usage",
    StreamOutputGuardrail "metadata.trace.guardrail.outputAssessments.*[].invocationMetrics.usage",
    NativeInputGuardrail "amazon-bedrock-trace.guardrail.input.*.invocationMetrics.usage",
    NativeOutputGuardrail "amazon-bedrock-trace.guardrail.outputs[].*.invocationMetrics.usage",
    ToolUsage "tool_usage",
    ResponseToolUsage "response.tool_usage",
    TencentUsage "Usage",
    TencentResponseUsage "Response.Usage",
}

/// Where a guardrail's units stand, by assessment.
const GUARDRAILS: [Raw; 6] = [
    Raw::InputGuardrail,
    Raw::OutputGuardrail,
    Raw::StreamInputGuardrail,
    Raw::StreamOutputGuardrail,
    Raw::NativeInputGuardrail,
    Raw::NativeOutputGuardrail,
];

impl Raw {
    /// What was used beside the model: it tells nothing of the call's own counts, nor that they are final.
    pub(super) fn is_beside(self) -> bool {
        matches!(self, Raw::PageUsage | Raw::ToolUsage | Raw::ResponseToolUsage) || self.is_guardrails()
    }

    /// What a guardrail weighed.
    pub(in crate::provider) fn is_guardrails(self) -> bool {
        GUARDRAILS.contains(&self)
    }

    /// A `meta`, which many APIs have.
    pub(in crate::provider) fn is_meta(self) -> bool {
        matches!(self, Raw::Meta | Raw::ResponseMeta)
    }
}

/// The usage objects that share the names below `usage`.
const USAGE_PLACES: &[&str] = &[
    "usage",
    "response.usage",
    "message.usage",
    "interaction.usage",
    "delta.usage",
    "result.usage",
    "x_groq.usage",
    "choices[].usage",
    "data.usage",
    "metadata.usage",
    "meta",
    "response.meta",
    "usageMetadata",
    "response.usageMetadata",
    "Usage",
    "Response.Usage",
    "amazon-bedrock-invocationMetrics",
];

const SWITCHES: &[(&str, Switch)] =
    &[("done", Switch::Done), ("usage.is_byok", Switch::OwnKey), ("response.usage.is_byok", Switch::OwnKey)];

/// Lists of counts with their names: Meta's Llama API, whole and in a stream.
const METRICS: &[&str] = &["metrics[]", "event.metrics[]"];

/// What a search found, which nothing else tells of (Z.ai).
const FOUND: &[&str] = &["web_search[].link", "web_search[].title"];

/// What is shown of tools that are paid for, and that nothing counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign {
    /// The text that says so; empty: any.
    pub value: &'static str,
    /// What it is called in `unknown_usage`.
    pub name: &'static str,
}

const fn sign(value: &'static str, name: &'static str) -> Sign {
    Sign { value, name }
}

const OWN_DATA: Sign = sign("", "groundingMetadata.retrievalQueries");
const SERVER_TOOL: Sign = sign("server_tool_use", "toolUse.server_tool_use");
const WEB_SEARCH: Sign = sign("$web_search", "tool_calls.web_search");

const SIGNS: &[(&str, Sign)] = &[
    // Grounding in the caller's own data, on Vertex AI.
    ("candidates[].groundingMetadata.retrievalQueries[]", OWN_DATA),
    // Bedrock's system tools.
    ("output.message.content[].toolUse.type", SERVER_TOOL),
    ("start.toolUse.type", SERVER_TOOL),
    ("contentBlockStart.start.toolUse.type", SERVER_TOOL),
    // Moonshot's own search.
    ("choices[].message.tool_calls[].function.name", WEB_SEARCH),
    ("choices[].delta.tool_calls[].function.name", WEB_SEARCH),
];

/// Where members may stand beside the usage.
const STRAYS: &[&str] = &["", "response", "message"];

/// Whether a member that is not known may be usage, by its name: it has one of these words in it.
fn is_like_usage(name: &[u8]) -> bool {
    const WORDS: [[u8; 4]; 5] = [*b"usag", *b"cost", *b"bill", *b"harg", *b"cred"];
    name.array_windows::<4>().any(|four| WORDS.contains(&four.map(|byte| byte | 0x20)))
}

/// What the response of an API has in its `metadata`. Elsewhere that is the client's own, which the response repeats: whoever
/// writes a usage there must not choose what is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metadata {
    /// Nothing.
    Client,
    /// What ends a stream of Bedrock's Converse, and of the models that speak like it.
    Converse,
    /// The counts of PaLM on Vertex AI.
    Palm,
    /// How long the sound was that Deepgram wrote down. Such requests are sound or forms: no words of theirs are repeated.
    Sound,
}

impl Metadata {
    fn of(api: Option<Api>, endpoint: Endpoint) -> Metadata {
        match (api, endpoint) {
            (Some(Api::BedrockConverse | Api::BedrockInvoke), _) => Metadata::Converse,
            (Some(Api::Plain), Endpoint::AnyModel) => Metadata::Palm,
            (_, Endpoint::Transcription) => Metadata::Sound,
            _ => Metadata::Client,
        }
    }

    fn has(self, path: &str) -> bool {
        let owner = match path.strip_prefix("metadata.") {
            None => return true,
            Some(below) if below.starts_with("tokenMetadata.") => Metadata::Palm,
            Some("duration") => Metadata::Sound,
            Some(_) => Metadata::Converse,
        };
        self == owner
    }
}

/// The paths of every API, as one tree: it also finds what an unknown host speaks. Only of `metadata` it depends on the API of
/// the path what it means.
pub fn response_paths(api: Option<Api>, endpoint: Endpoint) -> &'static Paths<Fact> {
    static PATHS: [OnceLock<Paths<Fact>>; 4] = [const { OnceLock::new() }; 4];
    let metadata = Metadata::of(api, endpoint);
    let [client, converse, palm, sound] = &PATHS;
    let paths = match metadata {
        Metadata::Client => client,
        Metadata::Converse => converse,
        Metadata::Palm => palm,
        Metadata::Sound => sound,
    };
    paths.get_or_init(|| build(metadata))
}

fn build(metadata: Metadata) -> Paths<Fact> {
    let mut leaves: Vec<(&'static str, Fact)> = TEXTS.iter().map(|(path, text)| (*path, Fact::Text(*text))).collect();
    let named = DIRECT.iter().filter(|(path, _)| !path.is_empty());
    leaves.extend(named.map(|(path, number)| (*path, Fact::Count(*number))));
    leaves.extend(COSTS.iter().map(|(path, cost)| (*path, Fact::Cost(*cost))));
    leaves.extend(THINGS.iter().map(|(path, thing)| (*path, Fact::Made(*thing))));
    leaves.extend(SWITCHES.iter().map(|(path, switch)| (*path, Fact::Switch(*switch))));
    leaves.extend(QUERIES.iter().map(|path| (*path, Fact::Query)));
    leaves.extend(MAPS.iter().map(|path| (*path, Fact::Maps)));
    leaves.extend(SIGNS.iter().map(|(path, sign)| (*path, Fact::Sign(*sign))));
    leaves.extend(FOUND.iter().map(|path| (*path, Fact::Found)));
    // Built once per VM; the table needs names that live as long as it does.
    let leak = |place: &str, below: &str| -> &'static str { String::leak(format!("{place}.{below}")) };
    for place in METRICS {
        leaves.push((leak(place, "metric"), Fact::MetricName));
        leaves.push((leak(place, "value"), Fact::MetricValue));
    }
    for place in GUARDRAILS {
        for number in GUARDED {
            let name = number.path().rsplit('.').next().unwrap_or_default();
            leaves.push((leak(place.path(), name), Fact::Count(number)));
        }
    }
    for (place, _) in ITEMS {
        for (path, text) in ITEM_TEXTS {
            leaves.push((leak(place, path), Fact::ItemText(*text)));
        }
    }
    for place in USAGE_PLACES {
        for (path, number) in PLACED {
            leaves.push((leak(place, path), Fact::Count(*number)));
        }
    }
    let mut raws: Vec<(&'static str, Fact)> = Raw::ALL.iter().map(|(path, raw)| (*path, Fact::Raw(*raw))).collect();
    raws.extend(ITEMS.iter().map(|(path, place)| (*path, Fact::Item(*place))));
    raws.extend(VISIBLE_OBJECTS.iter().map(|path| (*path, Fact::Visible)));
    raws.extend(AGAIN_OBJECTS.iter().map(|(path, again)| (*path, Fact::Again(*again))));
    leaves.retain(|(path, _)| metadata.has(path));
    raws.retain(|(path, _)| metadata.has(path));
    let mut flows = vec![("bytes", Fact::Wrapped)];
    flows.extend(VISIBLE.iter().map(|path| (*path, Fact::Visible)));
    flows.extend(THOUGHTS.iter().map(|path| (*path, Fact::Thought)));
    flows.extend(AGAIN_TEXTS.iter().map(|(path, again)| (*path, Fact::Again(*again))));
    flows.extend(BINARIES.iter().map(|(path, binary)| (*path, Fact::Binary(*binary))));
    let paths = WRITTEN.iter().fold(Paths::new(&leaves, &raws, &flows), Paths::with_rest);
    paths.and_like(STRAYS, is_like_usage, Fact::Stray)
}
