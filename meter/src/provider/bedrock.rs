//! Bedrock's meanings: the cache lies beside the input. Sources: botocore's `bedrock-runtime` service model.

use wire::record::{Flag, Flags};
use wire::usage::{Class, MAX_COUNT, Usage};

use super::asking::IncludeUsage;
use super::catalogue::Provider;
use super::facts::{Facts, GUARDED, Number::*, Raw};
use super::paths::{Endpoint, path};
use super::region::in_host;
use super::{Api, Part, Reading, Target, openai, plain};

pub(super) const BEDROCK: Provider = Provider {
    regions: &[
        in_host("bedrock-runtime.", ".amazonaws.com"),
        in_host("bedrock-runtime-fips.", ".amazonaws.com"),
        in_host("bedrock-agent-runtime.", ".amazonaws.com"),
        in_host("bedrock-agent-runtime-fips.", ".amazonaws.com"),
        in_host("bedrock-mantle.", ".api.aws"),
        in_host("*", ".vpce.amazonaws.com"),
    ],
    paths: &[
        path("model/*/converse", Api::BedrockConverse, "chat"),
        path("model/*/converse-stream", Api::BedrockConverse, "chat"),
        path("model/*/invoke", Api::BedrockInvoke, "chat").at(Endpoint::AnyModel),
        path("model/*/invoke-with-response-stream", Api::BedrockInvoke, "chat"),
        // An ARN whose slash a server in between has decoded.
        path("model/*/*/converse", Api::BedrockConverse, "chat"),
        path("model/*/*/converse-stream", Api::BedrockConverse, "chat"),
        path("model/*/*/invoke", Api::BedrockInvoke, "chat").at(Endpoint::AnyModel),
        path("model/*/*/invoke-with-response-stream", Api::BedrockInvoke, "chat"),
        path("model-invocation-job", Api::BedrockInvoke, "batch").at(Endpoint::Batch),
        // The Rerank API of bedrock-agent-runtime; and that of servers that people run themselves.
        path("rerank", Api::OpenAiChat, "rerank"),
        path("async-invoke", Api::BedrockInvoke, "generate_content").at(Endpoint::Job),
        path("guardrail/*/version/*/apply", Api::BedrockConverse, "guardrail"),
        path("agents/*/agentAliases/*/sessions/*/text", Api::BedrockAgent, "invoke_agent"),
    ],
    // The native bodies of Llama and Titan.
    plain: &[
        plain::plain(&[LlamaPrompt], &[LlamaGeneration], &[]),
        plain::plain(&[TitanInput], &[TitanOutput, TitanTotalOutput], &[]),
    ],
    // Converse and InvokeModel have no such option (litellm#9916); of `/openai/v1` on bedrock-runtime nothing is known.
    include_usage: Some(&IncludeUsage {
        hosts: &["bedrock-mantle.*.api.aws"],
        not_models: &["claude", "anthropic"],
        ..IncludeUsage::ANY
    }),
    counts_in_headers: true,
    // "A query can contain up to 100 document chunks. If a query contains more […], it is counted as multiple queries",
    // <https://aws.amazon.com/bedrock/pricing/>.
    documents_per_search: Some(100),
    ..Provider::of(
        "aws.bedrock",
        &[
            "bedrock-runtime*.amazonaws.com",
            "*.bedrock-runtime*.amazonaws.com",
            "bedrock-agent-runtime*.amazonaws.com",
            "bedrock-runtime*.api.aws",
            "bedrock-mantle.*.api.aws",
            "*.bedrock-mantle*.amazonaws.com",
        ],
    )
};

/// Converse and ConverseStream, and Nova's native body.
///
/// In streams of OpenAI's models the input contains what was written to the cache, and the total counts it twice: an input
/// of 4,995 with 4,993 written has a total of 10,007, where the same call without a stream has an input of 2.
pub(super) fn converse(facts: &Facts, target: &Target) -> Reading {
    let mut reading = Reading { total: facts.get(ConverseTotal), complete: facts.any_closed(), ..Reading::default() };
    let (input, output) = (facts.get(ConverseInput), facts.get(ConverseOutput));
    let read = facts.first(&[ConverseCacheRead, CacheReadCount]);
    let write = facts.first(&[ConverseCacheWrite, CacheWriteCount]);
    let cached = read.unwrap_or(0).saturating_add(write.unwrap_or(0));
    let sum = input.unwrap_or(0).saturating_add(output.unwrap_or(0));
    let mut fresh = input;
    if let Some(total) = reading.total.filter(|&total| total > 0) {
        let counts_twice = facts.is_stream() && input >= Some(cached) && is_openai(facts, target);
        if counts_twice && cached > 0 && total == sum.saturating_add(cached) {
            fresh = input.and_then(|input| input.checked_sub(cached));
            reading.flags.push(Flag::TotalMismatch);
        } else if cached > 0 && total == sum {
            // The total leaves the cache out: then it is part of the input.
            fresh = input.map(|input| match input.checked_sub(cached) {
                Some(rest) => rest,
                None => {
                    reading.flags.push(Flag::PartExceedsParent);
                    0
                }
            });
        } else if total != sum.saturating_add(cached) {
            reading.flags.push(Flag::TotalMismatch);
        }
    }
    reading.set(Class::InputText, fresh);
    reading.set(Class::CacheRead, read);
    reading.set(Class::OutputText, output);
    writes(facts, write, &mut reading);
    reading
}

/// Whether the model is one of OpenAI's, by its id or profile.
fn is_openai(facts: &Facts, target: &Target) -> bool {
    let names = [facts.model.as_deref(), target.model.as_deref()];
    names.into_iter().flatten().any(|model| model.split(['.', '/']).any(|part| part == "openai"))
}

/// `cacheDetails` splits the writes by lifetime; what it leaves open is counted as 5 minutes, the default.
fn writes(facts: &Facts, write: Option<u64>, reading: &mut Reading) {
    let Some(write) = write else { return };
    let raw = facts.raw(Raw::Usage).or_else(|| facts.raw(Raw::MetadataUsage));
    let details = raw.and_then(|raw| wire::read_json(raw).ok());
    let hour = details.as_ref().and_then(|usage| usage.get("cacheDetails")?.as_array()).map(|details| {
        let of_an_hour = details.iter().filter(|detail| detail.get("ttl").and_then(|ttl| ttl.as_str()) == Some("1h"));
        let tokens =
            of_an_hour.filter_map(|detail| detail.get("inputTokens")?.as_u64().filter(|&count| count <= MAX_COUNT));
        tokens.fold(0, u64::saturating_add).min(write)
    });
    reading.set(Class::CacheWrite5m, Some(write.saturating_sub(hour.unwrap_or(0))));
    reading.set(Class::CacheWrite1h, hour);
    if hour.is_none() && write > 0 {
        reading.flags.push(Flag::TtlAssumed);
    }
}

/// InvokeModel: the vendor's own usage; Bedrock's metrics only fill what it leaves out.
pub(super) fn invoke(facts: &Facts, target: &Target) -> Reading {
    let native = native(facts, target);
    let metrics = [InvocationInput, InvocationOutput].map(|number| facts.get(number).is_some()).contains(&true);
    match native {
        Some(reading) if reading.usage.input_total().is_some() || !metrics => reading,
        _ => {
            let mut reading = Reading { complete: true, ..Reading::default() };
            reading.set(Class::InputText, facts.get(InvocationInput));
            reading.set(Class::OutputText, facts.get(InvocationOutput));
            reading.set(Class::CacheRead, facts.get(CacheReadCount));
            writes(facts, facts.get(CacheWriteCount), &mut reading);
            reading
        }
    }
}

fn native(facts: &Facts, target: &Target) -> Option<Reading> {
    if facts.first(&[ConverseInput, ConverseOutput]).is_some() {
        Some(converse(facts, target))
    } else if facts.first(&[PromptTokens, CompletionTokens]).is_some() {
        Some(openai::chat(facts, &Target::of(Api::OpenAiChat)))
    } else if facts.first(&[InputTokens, OutputTokens]).is_some() {
        Some(super::anthropic::messages(facts, target))
    } else if plain::is_there(facts) {
        Some(plain::read(facts))
    } else {
        None
    }
}

/// Headers fill what the body leaves out; they never replace it.
pub(super) fn fill_from_headers(facts: &Facts, reading: &mut Reading) {
    let pairs = [(HeaderCacheRead, Class::CacheRead), (HeaderCacheWrite, Class::CacheWrite5m)];
    if reading.usage.input_total().is_none() {
        reading.set(Class::InputText, facts.get(HeaderInput));
        for (number, class) in pairs {
            reading.set(class, facts.get(number));
        }
    }
    if reading.usage.output_total().is_none() {
        reading.set(Class::OutputText, facts.get(HeaderOutput));
    }
    reading.complete |= facts.first(&[HeaderInput, HeaderOutput]).is_some();
}

/// What guardrails assessed is paid for beside the tokens, each policy at its own price: a part each, whose model is the name of
/// the units. Only the trace has them, if it is asked for, and the response of a guardrail that is applied alone.
pub(super) fn guardrails(facts: &Facts, reading: &mut Reading) {
    for number in GUARDED {
        let Some(units) = facts.get(number).filter(|&units| units > 0) else { continue };
        let model = number.path().rsplit('.').next().map(str::to_owned);
        let mut usage = Usage::default();
        usage.set(Class::GuardrailUnits, Some(units));
        reading.parts.push(Part { name: "guardrail".to_owned(), model, usage, flags: Flags::default() });
        reading.complete |= !reading.is_reported;
        reading.is_reported = true;
    }
}

/// An agent calls models on its own; its trace has the counts of each.
pub(super) fn agent(facts: &Facts) -> Reading {
    let mut reading = Reading { complete: true, ..Reading::default() };
    reading.set(Class::InputText, facts.get(AgentInput));
    reading.set(Class::OutputText, facts.get(AgentOutput));
    reading
}
