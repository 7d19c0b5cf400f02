//! Providers that have no API of their own here, or one that is a few paths.

use super::Api;
use super::asking::{IncludeUsage, Where};
use super::catalogue::{Gateway, Provider};
use super::facts::Number::*;
use super::paths::{Endpoint, path};
use super::plain::plain;
use super::region::in_host;

pub(super) const MISTRAL: Provider = Provider {
    paths: &[
        path("fim/completions", Api::OpenAiChat, "text_completion"),
        path("agents/completions", Api::OpenAiChat, "chat"),
        path("v1/ocr", Api::Plain, "generate_content").at(Endpoint::Ocr),
        path("batch/jobs", Api::OpenAiChat, "batch").at(Endpoint::Batch),
    ],
    ..Provider::of("mistral_ai", &["api.mistral.ai", "codestral.mistral.ai"])
};

pub(super) const GROQ: Provider = Provider {
    // Its own counts (`x_groq`) are not complete (celeste-python#351).
    include_usage: Some(&IncludeUsage::ANY),
    // "Minimum billed length: 10 seconds", <https://console.groq.com/docs/speech-to-text>.
    least_audio_s: 10,
    ..Provider::of("groq", &["api.groq.com"])
};

pub(super) const DEEPSEEK: Provider =
    Provider { include_usage: Some(&IncludeUsage::AND_COMPLETIONS), ..Provider::of("deepseek", &["api.deepseek.com"]) };

pub(super) const XAI: Provider = Provider {
    regions: &[in_host("", ".api.x.ai")],
    paths: &[
        path("v1/stt", Api::OpenAiResponses, "generate_content").at(Endpoint::Transcription),
        path("v1/tts", Api::OpenAiResponses, "generate_content").at(Endpoint::Speech),
        path("videos/generations", Api::OpenAiResponses, "generate_content").at(Endpoint::Video),
        path("videos/edits", Api::OpenAiResponses, "generate_content").at(Endpoint::Video),
        path("videos/extensions", Api::OpenAiResponses, "generate_content").at(Endpoint::Video),
    ],
    // Older models give counts unasked (zed#45812, langchain#626). This one, Baidu, Moonshot and Volcengine take the option by
    // new-api's list of those that do (`relay/common/relay_info.go`).
    include_usage: Some(&IncludeUsage::AND_COMPLETIONS),
    ..Provider::of("x_ai", &["api.x.ai", "*.api.x.ai"])
};

pub(super) const PERPLEXITY: Provider = Provider {
    paths: &[path("async/chat/completions", Api::OpenAiChat, "chat").at(Endpoint::Job)],
    research_beside: true,
    ..Provider::of("perplexity", &["api.perplexity.ai"])
};

pub(super) const MOONSHOT: Provider = Provider {
    include_usage: Some(&IncludeUsage::ANY),
    ..Provider::of("moonshot_ai", &["api.moonshot.ai", "api.moonshot.cn", "api.kimi.com"])
};

pub(super) const WATSONX: Provider = Provider {
    regions: &[in_host("", ".ml.cloud.ibm.com")],
    paths: &[
        path("text/generation", Api::Plain, "text_completion"),
        path("text/generation_stream", Api::Plain, "text_completion"),
        path("text/chat", Api::OpenAiChat, "chat"),
        path("text/chat_stream", Api::OpenAiChat, "chat"),
    ],
    plain: &[plain(&[WatsonxInput], &[WatsonxGenerated], &[])],
    ..Provider::of("ibm.watsonx.ai", &["*.ml.cloud.ibm.com"])
};

pub(super) const OPENROUTER: Provider = Provider::of("openrouter", &["openrouter.ai"]);

pub(super) const VERCEL: Provider =
    Provider { reasoning_in_no_total: true, ..Provider::of("vercel", &["ai-gateway.vercel.sh"]) };

pub(super) const TOGETHER: Provider = Provider {
    // Most of its models give counts unasked, Kimi K3 does not (vercel/ai#17986, which asks for completions, too).
    include_usage: Some(&IncludeUsage::AND_COMPLETIONS),
    ..Provider::of("together", &["api.together.xyz", "api.together.ai"])
};

pub(super) const FIREWORKS: Provider = Provider {
    // Its newer models give counts only if asked (vercel/ai#16087, langchain#36977).
    include_usage: Some(&IncludeUsage::AND_COMPLETIONS),
    // "Priority tier": what it cannot serve so, it answers with 503, <https://docs.fireworks.ai/serverless/serverless-modes>.
    serves_tier_asked: true,
    ..Provider::of("fireworks", &["api.fireworks.ai"])
};

pub(super) const CEREBRAS: Provider = Provider::of("cerebras", &["api.cerebras.ai"]);

pub(super) const DEEPINFRA: Provider = Provider::of("deepinfra", &["api.deepinfra.com"]);

pub(super) const NVIDIA: Provider = Provider {
    include_usage: Some(&IncludeUsage::AND_COMPLETIONS),
    ..Provider::of("nvidia", &["integrate.api.nvidia.com"])
};

pub(super) const SAMBANOVA: Provider = Provider {
    // "Include usage to get generation metrics" (langchain-sambanova).
    include_usage: Some(&IncludeUsage::ANY),
    ..Provider::of("sambanova", &["api.sambanova.ai"])
};

pub(super) const NOVITA: Provider = Provider::of("novita", &["api.novita.ai"]);

pub(super) const HUGGING_FACE: Provider = Provider {
    regions: &[
        in_host("*", ".aws.endpoints.huggingface.cloud"),
        in_host("*", ".azure.endpoints.huggingface.cloud"),
        in_host("*", ".gcp.endpoints.huggingface.cloud"),
    ],
    // Text Generation Inference.
    paths: &[path("generate_stream", Api::Plain, "text_completion")],
    not_own: &["tokenize"],
    // The router's own path; behind those of single providers are their APIs, and a dedicated endpoint runs any server.
    include_usage: Some(&IncludeUsage { hosts: &[ROUTER], only: Where::OwnPath("v1"), ..IncludeUsage::ANY }),
    counts_in_headers: true,
    router: Some(ROUTER),
    plain: &[plain(&[TgiInput], &[TgiGenerated], &[])],
    ..Provider::of("huggingface", &[ROUTER, "api-inference.huggingface.co", "*.endpoints.huggingface.cloud"])
};

const ROUTER: &str = "router.huggingface.co";

pub(super) const ZAI: Provider = Provider::of("zai", &["api.z.ai", "open.bigmodel.cn"]);

pub(super) const MINIMAX: Provider = Provider {
    paths: &[path("v1/t2a_v2", Api::OpenAiResponses, "generate_content").at(Endpoint::Speech)],
    ..Provider::of("minimax", &["api.minimax.io", "api.minimaxi.com", "api.minimax.chat"])
};

pub(super) const ALIBABA: Provider = Provider {
    regions: &[in_host("*", ".maas.aliyuncs.com"), in_host("dashscope-", ".aliyuncs.com")],
    // DashScope's own API: models that make images, and those that write.
    paths: &[
        path("multimodal-generation/generation", Api::OpenAiResponses, "chat").at(Endpoint::AnyModel),
        path("image-generation/generation", Api::OpenAiResponses, "chat").at(Endpoint::AnyModel),
    ],
    include_usage: Some(&IncludeUsage::AND_COMPLETIONS),
    ..Provider::of(
        "alibaba",
        &["dashscope.aliyuncs.com", "dashscope*.aliyuncs.com", "*.dashscope.aliyuncs.com", "*.maas.aliyuncs.com"],
    )
};

pub(super) const BAIDU: Provider = Provider {
    include_usage: Some(&IncludeUsage { hosts: &["qianfan.baidubce.com"], ..IncludeUsage::ANY }),
    ..Provider::of("baidu", &["qianfan.baidubce.com", "aip.baidubce.com"])
};

pub(super) const VOLCENGINE: Provider = Provider {
    include_usage: Some(&IncludeUsage::ANY),
    ..Provider::of("volcengine", &["ark.*.volces.com", "ark.*.bytepluses.com"])
};

pub(super) const TENCENT: Provider = Provider {
    plain: &[plain(&[TencentPrompt], &[TencentCompletion], &[])],
    ..Provider::of("tencent", &["hunyuan.tencentcloudapi.com", "api.hunyuan.cloud.tencent.com"])
};

pub(super) const CLOUDFLARE: Provider = Provider {
    // Workers AI: the model is in the path alone.
    paths: &[path("ai/run/*/*/*", Api::OpenAiChat, "chat"), path("workers-ai/*/*/*", Api::OpenAiChat, "chat")],
    // Its AI gateway passes calls on at the price of who responds, whoever's key it is that pays:
    // `/v1/ACCOUNT/GATEWAY/anthropic/v1/messages`, or `…/compat/chat/completions` with `anthropic/…` as the model.
    gateway: Some(&Gateway {
        first: b"v1",
        before: 3,
        services: &[
            ("openai", "openai"),
            ("anthropic", "anthropic"),
            ("google-ai-studio", "gcp.gemini"),
            ("google-vertex-ai", "gcp.vertex_ai"),
            ("aws-bedrock", "aws.bedrock"),
            ("azure-openai", "azure.ai.openai"),
            ("baseten", "baseten"),
            ("cerebras", "cerebras"),
            ("cohere", "cohere"),
            ("deepseek", "deepseek"),
            ("grok", "x_ai"),
            ("groq", "groq"),
            ("huggingface", "huggingface"),
            ("mistral", "mistral_ai"),
            ("openrouter", "openrouter"),
            ("perplexity-ai", "perplexity"),
            ("replicate", "replicate"),
        ],
    }),
    ..Provider::of("cloudflare", &["api.cloudflare.com", "gateway.ai.cloudflare.com"])
};

pub(super) const DATABRICKS: Provider = Provider {
    paths: &[path("serving-endpoints/*/invocations", Api::OpenAiChat, "chat")],
    // In front of Claude it responds with 400 (opencode#4698, obsidian-copilot#2148), and a name that is not its own may stand for
    // any model of any maker. Of Gemini behind it nothing is known.
    include_usage: Some(&IncludeUsage {
        models: &["databricks-"],
        not_models: &["claude", "anthropic", "gemini"],
        ..IncludeUsage::ANY
    }),
    ..Provider::of(
        "databricks",
        &["*.cloud.databricks.com", "*.azuredatabricks.net", "*.gcp.databricks.com", "*.databricks.azure.us"],
    )
};

pub(super) const SNOWFLAKE: Provider = Provider {
    // As recorded, for Claude, too.
    include_usage: Some(&IncludeUsage::ANY),
    ..Provider::of("snowflake", &["*.snowflakecomputing.com"])
};

pub(super) const REPLICATE: Provider = Provider {
    paths: &[path("predictions", Api::Plain, "text_completion")],
    plain: &[plain(&[ReplicateInput], &[ReplicateOutput], &[])],
    ..Provider::of("replicate", &["api.replicate.com"])
};

pub(super) const AI21: Provider = Provider::of("ai21", &["api.ai21.com"]);

pub(super) const VOYAGE: Provider = Provider {
    paths: &[path("multimodalembeddings", Api::OpenAiChat, "embeddings")],
    ..Provider::of("voyage", &["api.voyageai.com"])
};

pub(super) const JINA: Provider =
    Provider { paths: &[path("v1/rerank", Api::OpenAiChat, "rerank")], ..Provider::of("jina", &["api.jina.ai"]) };

pub(super) const WRITER: Provider = Provider::of("writer", &["api.writer.com"]);

pub(super) const OLLAMA: Provider = Provider {
    paths: &[
        path("api/chat", Api::Plain, "chat"),
        path("api/generate", Api::Plain, "text_completion"),
        path("api/embed", Api::Plain, "embeddings"),
    ],
    include_usage: Some(&IncludeUsage::AND_COMPLETIONS),
    plain: &[plain(&[OllamaPrompt], &[OllamaEval], &[OllamaCached])],
    ..Provider::of("ollama", &["ollama.com"])
};

pub(super) const ALEPH_ALPHA: Provider = Provider {
    plain: &[plain(&[AlephPrompt], &[AlephGenerated], &[])],
    ..Provider::of("aleph_alpha", &["api.aleph-alpha.com"])
};

pub(super) const GITHUB: Provider = Provider {
    include_usage: Some(&IncludeUsage {
        hosts: &["models.github.ai"],
        not_models: &["mistral", "ministral", "codestral"],
        ..IncludeUsage::ANY
    }),
    ..Provider::of(
        "github",
        &["models.github.ai", "models.inference.ai.azure.com", "api.githubcopilot.com", "api.*.githubcopilot.com"],
    )
};

pub(super) const CRUSOE: Provider =
    Provider { include_usage: Some(&IncludeUsage::ANY), ..Provider::of("crusoe", &["*.crusoecloud.com"]) };

pub(super) const ELEVENLABS: Provider = Provider {
    paths: &[
        path("v1/text-to-speech/*", Api::OpenAiResponses, "generate_content").at(Endpoint::Speech),
        path("v1/text-to-speech/*/stream", Api::OpenAiResponses, "generate_content").at(Endpoint::Speech),
        path("v1/text-to-speech/*/with-timestamps", Api::OpenAiResponses, "generate_content").at(Endpoint::Speech),
        path("v1/text-to-speech/*/stream/with-timestamps", Api::OpenAiResponses, "generate_content")
            .at(Endpoint::Speech),
        path("v1/speech-to-text", Api::OpenAiResponses, "generate_content").at(Endpoint::Transcription),
    ],
    ..Provider::of("elevenlabs", &["api.elevenlabs.io", "api.us.elevenlabs.io", "api.*.residency.elevenlabs.io"])
};

/// The model is in the query.
pub(super) const DEEPGRAM: Provider = Provider {
    paths: &[
        path("v1/listen", Api::OpenAiResponses, "generate_content").at(Endpoint::Transcription),
        path("v1/speak", Api::OpenAiResponses, "generate_content").at(Endpoint::Speech),
    ],
    ..Provider::of("deepgram", &["api.deepgram.com"])
};

pub(super) const OCI: Provider = Provider {
    regions: &[in_host("inference.generativeai.", ".oci.oraclecloud.com")],
    paths: &[path("actions/chat", Api::Plain, "chat")],
    plain: &[plain(&[OciPrompt], &[OciCompletion], &[])],
    ..Provider::of("oci", &["inference.generativeai.*.oci.oraclecloud.com"])
};

pub(super) const HEROKU: Provider = Provider::of("heroku", &["*.inference.heroku.com"]);
