//! Azure: OpenAI's models, and Foundry, whose hosts have both.

use super::Api;
use super::asking::{AZURE_DATA, IncludeUsage, Where};
use super::catalogue::Provider;
use super::paths::{Endpoint, path};
use super::region::{InHost, all_in, in_host};

pub(super) const OPENAI: Provider = Provider {
    regions: REGIONS,
    paths: &[
        path("openai/batches", Api::OpenAiChat, "batch").at(Endpoint::Batch),
        path("video/generations/jobs", Api::OpenAiResponses, "generate_content").at(Endpoint::Video),
    ],
    // The option came with 2024-09-01-preview and stayed in 2024-10-21 (azure-rest-api-specs#29157, #30810, griptape#1640);
    // 2023-05-15 responds with 400 (openai-python#1469). "On your data" does not take it in any version (openai-python#2296), and
    // its requests had other names once (`dataSources`). Foundry serves other makers' models under the same path.
    include_usage: Some(&IncludeUsage {
        completions: true,
        says_null: true,
        only: Where::AzureVersion("2024-09-01"),
        not_models: &["claude", "mistral", "ministral", "codestral", "devstral", "magistral", "pixtral"],
        not_with: AZURE_DATA,
        ..IncludeUsage::ANY
    }),
    region_in_header: true,
    ..Provider::of(
        "azure.ai.openai",
        &[
            "*.openai.azure.com",
            "*.openai.azure.us",
            "*.cognitiveservices.azure.com",
            "*.cognitiveservices.azure.us",
            "*.azure-api.net",
            "*.azure-api.us",
        ],
    )
};

pub(super) const INFERENCE: Provider = Provider {
    regions: &[in_host("*", ".models.ai.azure.com"), in_host("*", ".inference.ml.azure.com")],
    paths: &[path("azure/ocr", Api::Plain, "generate_content").at(Endpoint::Ocr)],
    region_in_header: true,
    below: Some(("openai", "azure.ai.openai")),
    ..Provider::of(
        "azure.ai.inference",
        &["*.services.ai.azure.com", "*.models.ai.azure.com", "models.inference.ai.azure.com"],
    )
};

const REGIONS: &[InHost] = &[
    in_host("", ".api.cognitive.microsoft.com"),
    // Azure Government has prices of its own.
    all_in("us-gov", ".openai.azure.us"),
    all_in("us-gov", ".cognitiveservices.azure.us"),
    all_in("us-gov", ".azure-api.us"),
];
