//! Paths: what a provider says of those that it has, and how they are compared and read.

use std::borrow::Cow;

use wire::usage::Class;

use super::Api;

/// What a path does, where its API alone does not say what is paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Endpoint {
    /// A model responds, and its API counts.
    #[default]
    Model,
    /// Keeps content in a cache: its tokens are paid for, and the time they are kept.
    CachedContent,
    /// Speaks a text; without counts the characters of the text are paid for.
    Speech,
    /// Writes down what was said; without counts the seconds are paid for.
    Transcription,
    /// Makes images; without counts the images are paid for.
    Image,
    /// Any model of Vertex or Bedrock, those that make images among them.
    AnyModel,
    /// Begins to make a video, which is paid for by the second and fetched later.
    Video,
    /// Reads pages.
    Ocr,
    /// Takes calls whose responses, and counts, come much later.
    Batch,
    /// Begins a call that is polled.
    Job,
}

impl Endpoint {
    /// Whether it begins what responses on other paths report again.
    pub fn begins(self) -> bool {
        matches!(self, Endpoint::CachedContent | Endpoint::Batch)
    }
}

/// A path, by its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// Segments from the end of the path. `*` is any one segment, `*:verb` any that ends so.
    pub pattern: &'static str,
    pub api: Api,
    /// In the words of OpenTelemetry's `gen_ai.operation.name`.
    pub operation: &'static str,
    pub endpoint: Endpoint,
    /// The model of a request that names none, where the provider documents one.
    pub default_model: Option<&'static str>,
}

impl Path {
    /// What the endpoint makes, where its counts do not tell.
    pub(super) fn makes(&self) -> Class {
        match self.endpoint {
            Endpoint::Image => Class::OutputImage,
            Endpoint::Speech => Class::OutputAudio,
            _ => Class::OutputText,
        }
    }

    /// The same with what it does.
    pub(super) const fn at(self, endpoint: Endpoint) -> Path {
        Path { endpoint, ..self }
    }

    /// The same with the model of a request that names none.
    pub(super) const fn by_default(self, model: &'static str) -> Path {
        Path { default_model: Some(model), ..self }
    }

    /// How many segments its pattern has.
    pub(super) fn segments(&self) -> usize {
        self.pattern.split('/').count()
    }
}

/// A path at which a model responds.
pub(super) const fn path(pattern: &'static str, api: Api, operation: &'static str) -> Path {
    Path { pattern, api, operation, endpoint: Endpoint::Model, default_model: None }
}

/// A path without its query as servers read it: percent-decoded, without empty and dot segments and without parameters
/// behind `;`. A slash stays encoded: it may be one inside of a name.
pub(super) fn normal_path(path: &[u8]) -> Cow<'_, [u8]> {
    let is_plain = |pair: &[u8; 2]| !matches!(pair, b"//" | b"/.");
    let plain = !path.iter().any(|byte| matches!(byte, b'%' | b';'))
        && path.array_windows::<2>().all(is_plain)
        && (path.len() < 2 || !path.ends_with(b"/"));
    if plain {
        return Cow::Borrowed(path);
    }
    let mut normal = Vec::with_capacity(path.len());
    for segment in path.split(|&byte| byte == b'/') {
        let segment = segment.split(|&byte| byte == b';').next().unwrap_or_default();
        match &*decoded(segment, b'/') {
            b"" | b"." => {}
            b".." => normal.truncate(normal.iter().rposition(|&byte| byte == b'/').unwrap_or(0)),
            segment => {
                normal.push(b'/');
                normal.extend_from_slice(segment);
            }
        }
    }
    Cow::Owned(normal)
}

/// A normal path in which encoded slashes are slashes, if it has any: many servers decode before they split.
pub(super) fn with_slashes(normal: &[u8]) -> Option<Vec<u8>> {
    let has = normal.array_windows::<3>().any(|three| three.eq_ignore_ascii_case(b"%2f"));
    has.then(|| normal_path(&decoded(normal, 0)).into_owned())
}

/// Longer names of services there are none.
const MAX_SERVICE: usize = 64;

/// What stands where a path names a model, and is none: Azure's and Databricks' paths for all models.
const NO_MODELS: &[&[u8]] =
    &[b"chat", b"completions", b"embeddings", b"images", b"responses", b"audio", b"rerank", b"info"];

/// How names of models begin that are three segments, which Cloudflare's Workers AI has at the end of its paths.
const OWN_NAMES: [&[u8]; 2] = [b"/@cf/", b"/@hf/"];

/// The model that a path names: the segment behind `models`, `model`, `deployments` or `serving-endpoints`.
pub(super) fn model_of(path: &[u8]) -> Option<String> {
    if let Some(at) = OWN_NAMES.iter().find_map(|begin| memchr::memmem::find(path, begin)) {
        return name(path.get(at.saturating_add(1)..)?);
    }
    let mut segments = path.split(|&byte| byte == b'/');
    let mut is_account = false;
    let place = segments.find(|segment| {
        is_account |= *segment == b"accounts";
        matches!(*segment, b"models" | b"model" | b"deployments" | b"serving-endpoints" | b"tunedModels")
    })?;
    let first = segments.next().filter(|first| !NO_MODELS.contains(first))?;
    let (next, last) = (segments.next(), segments.next());
    let has_two = match place {
        // Of an ARN the last slash may have been decoded on the way; behind it there is the name, and then the verb.
        b"model" => first.starts_with(b"arn:") && last.is_some(),
        // Hugging Face and Replicate name an owner first.
        b"models" => !is_account && matches!(last, None | Some(b"predictions" | b"pipeline" | b"v1")),
        _ => false,
    };
    let both = next.filter(|next| has_two && !matches!(*next, b"" | b"predictions" | b"pipeline" | b"v1"));
    let both = both.map(|next| [first, next].join(&b'/'));
    name(without_verb(both.as_deref().unwrap_or(first))?)
}

/// The model that a query names.
pub(super) fn model_in(query: &[u8]) -> Option<String> {
    query.split(|&byte| byte == b'&').find_map(|pair| name(pair.strip_prefix(b"model=")?))
}

fn name(text: &[u8]) -> Option<String> {
    let name = percent_decoded(text);
    let clean =
        !name.is_empty() && name.len() <= wire::event::MAX_TEXT && name.bytes().all(|byte| byte.is_ascii_graphic());
    clean.then_some(name)
}

/// The service that a path of Hugging Face's router names: its first segment, before the path that the service itself has.
pub(super) fn service_of(path: &[u8]) -> Option<String> {
    let mut segments = path.split(|&byte| byte == b'/').filter(|segment| !segment.is_empty());
    let first = segments.next().filter(|first| !matches!(*first, b"v1" | b"models" | b"pipeline"))?;
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_name = first.len() <= MAX_SERVICE && first.iter().all(is_plain) && segments.next().is_some();
    is_name.then(|| String::from_utf8_lossy(first).to_lowercase())
}

/// Whether segments stand one behind the other in a path, in any case.
pub(super) fn has(path: &[u8], segments: &[&[u8]]) -> bool {
    let rest = |skip: usize| path.split(|&byte| byte == b'/').skip(skip);
    let count = rest(0).count();
    (0..count).any(|skip| {
        let mut here = rest(skip);
        segments.iter().all(|wanted| here.next().is_some_and(|segment| segment.eq_ignore_ascii_case(wanted)))
    })
}

/// A name without Gemini's verb, which stands behind a colon; Bedrock's version does too, but is a number.
fn without_verb(segment: &[u8]) -> Option<&[u8]> {
    match segment.iter().position(|&byte| byte == b':') {
        Some(colon)
            if segment.get(colon.saturating_add(1)..).is_some_and(|verb| verb.iter().all(u8::is_ascii_alphabetic)) =>
        {
            segment.get(..colon)
        }
        _ => Some(segment),
    }
}

/// Whether a path begins with a prefix, by whole segments.
pub(super) fn begins_with(path: &[u8], prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix.as_bytes()).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
}

/// Whether a path ends as a pattern says, in any case: some servers do not mind it.
pub(super) fn ends_with(path: &[u8], pattern: &str) -> bool {
    let mut segments = path.rsplit(|&byte| byte == b'/');
    pattern.as_bytes().rsplit(|&byte| byte == b'/').all(|wanted| {
        segments.next().is_some_and(|segment| match wanted {
            b"*" => !segment.is_empty(),
            [b'*', verb @ ..] => {
                let at = segment.len().checked_sub(verb.len()).filter(|&at| at > 0);
                at.and_then(|at| segment.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(verb))
            }
            wanted => segment.eq_ignore_ascii_case(wanted),
        })
    })
}

/// Percent-decoded, as a text.
pub(crate) fn percent_decoded(text: &[u8]) -> String {
    String::from_utf8_lossy(&decoded(text, 0)).into_owned()
}

/// Percent-decoded, but for the byte that is to stay as it is.
fn decoded(text: &[u8], but: u8) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let hex = |digits: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let coded = after.split_first_chunk::<2>().filter(|_| byte == b'%');
        let coded = coded.and_then(|(digits, later)| Some((hex(digits).filter(|byte| *byte != but)?, later)));
        let (byte, later) = coded.unwrap_or((byte, after));
        out.push(byte);
        rest = later;
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    cases! {
        fn deterministic_paths_of_the_router_name_the_service() {
            for (path, service) in [
                ("/together/v1/chat/completions", Some("together")),
                ("/Fireworks-AI/inference/v1/chat/completions", Some("fireworks-ai")),
                ("/novita/v3/openai/chat/completions", Some("novita")),
                ("/v1/chat/completions", None), ("/models/gpt2", None), ("/pipeline/x/y", None), ("/together", None), ("/", None),
                ("/a%20b/v1/chat/completions", None),
            ] {
                assert_eq!(service_of(path.as_bytes()).as_deref(), service, "{path}");
            }
        }

        fn deterministic_paths_name_their_model() {
            let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.x";
            for (path, model) in [
                ("/openai/deployments/g4o/chat/completions", Some("g4o")),
                ("/v1beta/models/gemini-2.5-pro:streamGenerateContent", Some("gemini-2.5-pro")),
                ("/v1/projects/p/locations/l/publishers/anthropic/models/claude@20250929:rawPredict", Some("claude@20250929")),
                ("/model/amazon.nova-pro-v1%3A0/converse", Some("amazon.nova-pro-v1:0")),
                ("/model/anthropic.claude-3-haiku-20240307-v1:0/invoke", Some("anthropic.claude-3-haiku-20240307-v1:0")),
                ("/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.anthropic.x/converse", Some(arn)),
                ("/model/arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.x/converse", Some(arn)),
                ("/model/arn:aws:bedrock:us-east-1::foundation-model%2Fx/invoke", Some("arn:aws:bedrock:us-east-1::foundation-model/x")),
                ("/serving-endpoints/my-claude/invocations", Some("my-claude")),
                ("/hf-inference/models/Salesforce/blip", Some("Salesforce/blip")),
                ("/models/gpt2", Some("gpt2")),
                ("/hf-inference/models/a/b/v1/chat/completions", Some("a/b")),
                ("/v1/models/meta/llama-2-70b-chat/predictions", Some("meta/llama-2-70b-chat")),
                ("/inference/v1/workflows/accounts/fireworks/models/flux/text_to_image", Some("flux")),
                ("/client/v4/accounts/a/ai/run/@cf/meta/llama-3.1-8b-instruct", Some("@cf/meta/llama-3.1-8b-instruct")),
                ("/v1/a/g/workers-ai/@hf/nousresearch/hermes", Some("@hf/nousresearch/hermes")),
                // Paths for all models.
                ("/models/chat/completions", None), ("/serving-endpoints/chat/completions", None), ("/models/embeddings", None),
                ("/v1/chat/completions", None), ("/models/", None), ("/models", None), ("/deployments/a%20b/chat/completions", None),
            ] {
                assert_eq!(model_of(path.as_bytes()).as_deref(), model, "{path}");
            }
        }
    }
}
