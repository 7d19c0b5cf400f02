//! What the head of a request tells beside what it asks for: session, agent, tags, the service tier.

use wire::record::Tag;

use crate::config::Config;
use crate::identity::{self, Caller, Shown};

/// The headers that ask for a service tier: Bedrock's InvokeModel, and Vertex.
const TIERS: &[&str] =
    &["x-amzn-bedrock-service-tier", "x-vertex-ai-llm-shared-request-type", "x-vertex-ai-llm-request-type"];

/// What it tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The client's name of its session.
    pub session_id: Option<String>,
    /// The client's name of its agent.
    pub agent_id: Option<String>,
    /// What the configuration takes from verified claims and trusted headers.
    pub tags: Vec<Tag>,
    /// The service tier that a header asks for.
    pub service_tier: Option<String>,
}

impl Told {
    /// Asks for what the configuration names.
    pub fn read(config: &Config, caller: &impl Caller) -> Told {
        let first = |names: &[String]| names.iter().find_map(|name| text(caller, name));
        Told {
            session_id: first(&config.session_headers),
            agent_id: first(&config.agent_headers),
            tags: identity::tags(&config.tags, caller),
            service_tier: TIERS.iter().find_map(|name| text(caller, name)),
        }
    }
}

fn text(caller: &impl Caller, name: &str) -> Option<String> {
    match caller.header(name) {
        Shown::Value(value) => identity::printable(&value),
        Shown::Nothing | Shown::Unusable(_) => None,
    }
}
