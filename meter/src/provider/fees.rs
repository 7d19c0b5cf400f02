//! What is paid for beside the tokens: calls of the provider's own tools. The usage's word comes first, then what the items
//! of the response show.

use wire::record::Flag;
use wire::usage::{Class, MAX_COUNT};

use super::facts::{Facts, Number, Number::*};
use super::{Api, Reading, Target};

/// Classes by the counts that usage objects give of them.
#[rustfmt::skip]
const COUNTED: &[(Class, &[Number])] = &[
    (Class::WebSearches, &[XaiWeb, WebSearchRequests, SearchRequests, SearchQueries, ToolSearches, PluginSearches, AgentSearches]),
    (Class::WebFetches, &[AgentFetches]),
    (Class::XSearches, &[XaiX]),
    (Class::CodeExecutions, &[XaiCode, CodeRequests, ConnectorCode]),
    (Class::FileSearches, &[ConnectorFiles]),
    (Class::ImagesOut, &[XaiImages, ConnectorImages]),
];

/// What the items of a response can show.
const SHOWN: [Class; 6] = [
    Class::WebSearches,
    Class::WebFetches,
    Class::XSearches,
    Class::FileSearches,
    Class::CodeExecutions,
    Class::ContainerSessions,
];

/// Adds the fees to what was read.
pub(super) fn add(facts: &Facts, target: &Target, reading: &mut Reading) {
    // xAI tells successful calls, which are paid, from attempts, which are items too.
    let tools = facts.get(XaiTools);
    let is_told = facts.first(&[XaiWeb, XaiX, XaiCode, XaiFiles, XaiDocuments, XaiImages]).is_some();
    for (class, numbers) in COUNTED {
        if let Some(count) = facts.first(numbers) {
            reading.set(*class, Some(count));
        }
    }
    sum(facts, reading, Class::WebSearches, &[ConnectorWeb, ConnectorWebPremium]);
    sum(facts, reading, Class::FileSearches, &[XaiFiles, XaiDocuments]);
    if !is_told {
        // xAI charges each run of code, OpenAI the container.
        let by_run = tools.is_some();
        let unpaid = if by_run { Class::ContainerSessions } else { Class::CodeExecutions };
        for class in SHOWN.into_iter().filter(|&class| class != unpaid) {
            if reading.usage.get(class).unwrap_or(0) == 0 {
                let count = facts.tool_calls(class).or(reading.usage.get(class));
                reading.set(class, count);
            }
        }
        if reading.usage.get(Class::WebSearches).unwrap_or(0) == 0 && facts.get(XaiSources) > Some(0) {
            reading.set(Class::WebSearches, facts.get(XaiSources));
        }
    }
    grounding(facts, target, reading);
    // Of Z.ai's search the response shows what it found, and that it ran once.
    if facts.shows_sources && reading.usage.get(Class::WebSearches).unwrap_or(0) == 0 {
        reading.set(Class::WebSearches, Some(1));
    }
    if is_search_model(facts, target) && reading.usage.get(Class::WebSearches).unwrap_or(0) == 0 {
        let has_output = reading.is_reported || facts.written(Api::OpenAiChat).bytes() > 0;
        reading.set(Class::WebSearches, has_output.then_some(1));
    }
    if facts.has_too_many_items() {
        reading.flag(Flag::BadValue);
    }
}

fn sum(facts: &Facts, reading: &mut Reading, class: Class, numbers: &[Number]) {
    let sum = numbers.iter().filter_map(|&number| facts.get(number)).reduce(u64::saturating_add);
    let sum = sum.map(|sum| sum.min(MAX_COUNT));
    if reading.usage.get(class).unwrap_or(0) == 0 && sum.is_some() {
        reading.set(class, sum);
    }
}

/// Google's grounding: each distinct search on Gemini 3 and later, the prompt on what came before; a map by the prompt.
fn grounding(facts: &Facts, target: &Target, reading: &mut Reading) {
    let queries = facts.queries();
    if queries > 0 && reading.usage.get(Class::WebSearches).unwrap_or(0) == 0 {
        let searches = if pays_by_prompt(facts, target) { 1 } else { queries };
        reading.set(Class::WebSearches, Some(searches));
    }
    if facts.uses_maps() {
        reading.set(Class::MapsSearches, Some(1));
    }
}

fn model<'a>(facts: &'a Facts, target: &'a Target) -> Option<&'a str> {
    facts.model.as_deref().or(target.model.as_deref())
}

fn pays_by_prompt(facts: &Facts, target: &Target) -> bool {
    let version = model(facts, target).and_then(|model| model.split_once("gemini-").map(|(_, version)| version));
    version.is_some_and(|version| version.starts_with("1.") || version.starts_with("2."))
}

/// OpenAI's search models search once in each call of Chat Completions; nothing in the response counts it.
fn is_search_model(facts: &Facts, target: &Target) -> bool {
    model(facts, target).is_some_and(|model| model.contains("-search-preview") || model.contains("-search-api"))
}
