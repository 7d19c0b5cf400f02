//! Calls as a mesh makes them: few tenants call much and many little, each with a few models of its own, half of them as
//! streams; some fail, and some break off before their counts.

use wire::identity::{Identity, Source};
use wire::record::{Evidence, Missing, Outcome, Record};
use wire::usage::{Class, Usage};

pub const NS_PER_DAY: u64 = 86_400_000_000_000;
/// Tenants of a ledger of the usual size.
pub const TENANTS: u64 = 1000;
/// Models that one tenant uses, and how often of 100 calls.
const FAVOURITES: [u64; 5] = [60, 20, 12, 5, 3];

/// Provider, API, model as it is asked for, what the response's name has more.
const MODELS: [(&str, &str, &str, &str); 20] = [
    ("openai", "openai_chat", "gpt-4.1", "-2025-04-14"),
    ("openai", "openai_chat", "gpt-4.1-mini", "-2025-04-14"),
    ("openai", "openai_chat", "gpt-4o", "-2024-11-20"),
    ("openai", "openai_chat", "gpt-4o-mini", "-2024-07-18"),
    ("openai", "openai_responses", "gpt-5", "-2025-08-07"),
    ("openai", "openai_responses", "gpt-5-mini", "-2025-08-07"),
    ("openai", "openai_responses", "o4-mini", "-2025-04-16"),
    ("openai", "openai_embeddings", "text-embedding-3-small", ""),
    ("anthropic", "anthropic_messages", "claude-sonnet-4-5", "-20250929"),
    ("anthropic", "anthropic_messages", "claude-opus-4-1", "-20250805"),
    ("anthropic", "anthropic_messages", "claude-haiku-4-5", "-20251001"),
    ("gcp.gemini", "gemini", "gemini-2.5-pro", ""),
    ("gcp.gemini", "gemini", "gemini-2.5-flash", ""),
    ("gcp.gemini", "gemini", "gemini-2.5-flash-lite", ""),
    ("mistral_ai", "openai_chat", "mistral-large-latest", ""),
    ("mistral_ai", "openai_chat", "codestral-latest", ""),
    ("deepseek", "openai_chat", "deepseek-chat", ""),
    ("groq", "openai_chat", "llama-3.3-70b-versatile", ""),
    ("x_ai", "openai_chat", "grok-4", "-0709"),
    ("aws.bedrock", "bedrock_converse", "amazon.nova-pro-v1:0", ""),
];

/// Numbers without a pattern, always the same ones.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A call of one of so many tenants that began at this time.
pub fn call(dice: &mut Dice, started_ns: u64, node: &str, tenants: u64) -> Record {
    // The product of two: the first tenth of the tenants makes a third of the calls.
    let tenant = dice.below(tenants) * dice.below(tenants) / tenants;
    let mut of_100 = dice.below(100);
    let mut favourite = 0;
    for (number, share) in (0..).zip(FAVOURITES) {
        favourite = number;
        match of_100.checked_sub(share) {
            Some(rest) => of_100 = rest,
            None => break,
        }
    }
    let model = (tenant * 7 + favourite * 3) % MODELS.len() as u64;
    let (provider, api, asked, responses) = MODELS[model as usize];
    let stream = !api.ends_with("embeddings") && dice.below(2) == 0;
    let duration_us = 200_000 + dice.below(8_000_000);
    let mut record = Record {
        started_ns,
        duration_us,
        identity: Identity {
            tenant: format!("team-{}/service-{tenant}", tenant / 10),
            source: Source::Spiffe,
            principal: Some(format!("spiffe://cluster.local/ns/team-{}/sa/service-{tenant}", tenant / 10)),
        },
        provider: provider.to_owned(),
        api: api.to_owned(),
        operation: if api.ends_with("embeddings") { "embeddings" } else { "chat" }.to_owned(),
        request_model: Some(asked.to_owned()),
        request_id: Some(format!("{:016x}{:016x}", dice.next(), dice.next())),
        route: Some("llm".to_owned()),
        cluster: Some(provider.to_owned()),
        node: Some(node.to_owned()),
        stream,
        attempts: Some(1),
        ..Record::default()
    };
    if dice.below(100) == 0 {
        record.status = Some(429);
        record.outcome = Outcome::ErrorStatus;
        record.error_type = Some("rate_limit_exceeded".to_owned());
        record.missing_reason = Some(Missing::ErrorStatus);
        return record;
    }
    record.status = Some(200);
    record.time_to_first_token_us = Some(duration_us / 8);
    record.response_model = Some(format!("{asked}{responses}"));
    record.response_id = Some(format!("chatcmpl-{:016x}{:08x}", dice.next(), dice.below(1 << 32)));
    let usage = &mut record.usage;
    usage.set(Class::InputText, Some(200 + dice.below(4000)));
    if dice.below(3) == 0 {
        usage.set(Class::CacheRead, Some(1024 + dice.below(8) * 128));
    }
    if stream && dice.below(50) == 0 {
        // The client went away: what it saw was counted.
        usage.set(Class::OutputText, Some(20 + dice.below(100)));
        record.outcome = Outcome::ClientAborted;
        record.evidence = Evidence::Estimated;
        return record;
    }
    record.outcome = Outcome::Completed;
    record.evidence = Evidence::Reported;
    if record.operation == "chat" {
        usage.set(Class::OutputText, Some(20 + dice.below(900)));
        if dice.below(4) == 0 {
            usage.set(Class::OutputReasoning, Some(64 * dice.below(30)));
        }
    }
    record.raw_usage = Some(raw(usage));
    record
}

/// A usage object as providers write it.
fn raw(usage: &Usage) -> String {
    let [input, cached, output, reasoning] =
        [Class::InputText, Class::CacheRead, Class::OutputText, Class::OutputReasoning]
            .map(|class| usage.get(class).unwrap_or(0));
    format!(
        r#"{{"usage":{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":{cached}}},"completion_tokens_details":{{"reasoning_tokens":{reasoning}}}}}}}"#,
        input + cached,
        output + reasoning,
        input + cached + output + reasoning
    )
}
