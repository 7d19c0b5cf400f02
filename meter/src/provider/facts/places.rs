//! Where a response says what: the paths of every API.

use std::sync::OnceLock;

use super::made::{THINGS, Thing};
use super::numbers::{DIRECT, Number, PLACED};
use super::texts::{TEXTS, Text};
use super::tools::{CALLED, FOUND, ITEM_TEXTS, ITEMS, ItemText, MAPS, Place, QUERIES};
use super::visible::{THOUGHTS, VISIBLE, VISIBLE_OBJECTS};
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
    /// The name of a tool that the model calls.
    Called,
    /// A page that a search of the web has found.
    Found,
    /// A JSON value in base64.
    Wrapped,
    /// Text that the model wrote, for estimates.
    Visible,
    /// Thoughts that the model shows.
    Thought,
}

/// An amount of money, by its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// US dollars, a decimal.
    Dollars,
    /// xAI's ticks: 10^10 to the dollar.
    Ticks,
    /// US dollars that another account is charged: a key of the caller's own.
    Upstream,
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
    NativeInputGuardrail "amazon-bedrock-trace.guardrail.input.*.invocationMetrics.usage",
    NativeOutputGuardrail "amazon-bedrock-trace.guardrail.outputs[].*.invocationMetrics.usage",
    ToolUsage "tool_usage",
    ResponseToolUsage "response.tool_usage",
    TencentUsage "Usage",
    TencentResponseUsage "Response.Usage",
}

impl Raw {
    /// What was used beside the model: it tells nothing of the call's own counts, nor that they are final.
    pub(super) fn is_beside(self) -> bool {
        matches!(self, Raw::PageUsage | Raw::ToolUsage | Raw::ResponseToolUsage) || self.is_guardrails()
    }

    /// What a guardrail weighed.
    pub(in crate::provider) fn is_guardrails(self) -> bool {
        matches!(
            self,
            Raw::InputGuardrail | Raw::OutputGuardrail | Raw::NativeInputGuardrail | Raw::NativeOutputGuardrail
        )
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

const COSTS: &[(&str, Cost)] = &[
    ("usage.cost", Cost::Dollars),
    ("response.usage.cost", Cost::Dollars),
    ("usage.cost.total_cost", Cost::Dollars),
    ("response.usage.cost.total_cost", Cost::Dollars),
    ("usage.cost_in_usd_ticks", Cost::Ticks),
    ("response.usage.cost_in_usd_ticks", Cost::Ticks),
    ("usage.cost_details.upstream_inference_cost", Cost::Upstream),
    ("response.usage.cost_details.upstream_inference_cost", Cost::Upstream),
];

const SWITCHES: &[(&str, Switch)] =
    &[("done", Switch::Done), ("usage.is_byok", Switch::OwnKey), ("response.usage.is_byok", Switch::OwnKey)];

/// The paths of every API, as one tree: it also finds what an unknown host speaks.
pub fn response_paths() -> &'static Paths<Fact> {
    static PATHS: OnceLock<Paths<Fact>> = OnceLock::new();
    PATHS.get_or_init(|| {
        let mut leaves: Vec<(&'static str, Fact)> =
            TEXTS.iter().map(|(path, text)| (*path, Fact::Text(*text))).collect();
        let named = DIRECT.iter().filter(|(path, _)| !path.is_empty());
        leaves.extend(named.map(|(path, number)| (*path, Fact::Count(*number))));
        leaves.extend(COSTS.iter().map(|(path, cost)| (*path, Fact::Cost(*cost))));
        leaves.extend(THINGS.iter().map(|(path, thing)| (*path, Fact::Made(*thing))));
        leaves.extend(SWITCHES.iter().map(|(path, switch)| (*path, Fact::Switch(*switch))));
        leaves.extend(QUERIES.iter().map(|path| (*path, Fact::Query)));
        leaves.extend(MAPS.iter().map(|path| (*path, Fact::Maps)));
        leaves.extend(CALLED.iter().map(|path| (*path, Fact::Called)));
        leaves.extend(FOUND.iter().map(|path| (*path, Fact::Found)));
        for (place, _) in ITEMS {
            for (path, text) in ITEM_TEXTS {
                let path: &'static str = String::leak(format!("{place}.{path}"));
                leaves.push((path, Fact::ItemText(*text)));
            }
        }
        for place in USAGE_PLACES {
            for (path, number) in PLACED {
                // Built once per VM; the table needs names that live as long as it does.
                let path: &'static str = String::leak(format!("{place}.{path}"));
                leaves.push((path, Fact::Count(*number)));
            }
        }
        let mut raws: Vec<(&'static str, Fact)> = Raw::ALL.iter().map(|(path, raw)| (*path, Fact::Raw(*raw))).collect();
        raws.extend(ITEMS.iter().map(|(path, place)| (*path, Fact::Item(*place))));
        raws.extend(VISIBLE_OBJECTS.iter().map(|path| (*path, Fact::Visible)));
        let mut flows = vec![("bytes", Fact::Wrapped)];
        flows.extend(VISIBLE.iter().map(|path| (*path, Fact::Visible)));
        flows.extend(THOUGHTS.iter().map(|path| (*path, Fact::Thought)));
        Paths::new(&leaves, &raws, &flows)
    })
}
