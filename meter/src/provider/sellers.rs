//! Providers that sell models by the paths that many speak, and of which no more is known than where they are: hosts as their
//! documentation has them. Built-in price lists have prices for each.

use super::asking::IncludeUsage;
use super::catalogue::Provider;

const fn asked(name: &'static str, hosts: &'static [&'static str]) -> Provider {
    Provider { include_usage: Some(&IncludeUsage::ANY), ..Provider::of(name, hosts) }
}

/// Every one, by the name that the price lists have for it.
#[rustfmt::skip]
pub(super) const SELLERS: &[Provider] = &[
    Provider::of("abliteration", &["api.abliteration.ai"]),
    Provider::of("aiand", &["api.aiand.com"]),
    Provider::of("aihubmix", &["aihubmix.com"]),
    Provider::of("aiml", &["api.aimlapi.com"]),
    Provider::of("amazon_nova", &["api.nova.amazon.com"]),
    Provider::of("arcee", &["api.arcee.ai"]),
    Provider::of("avian", &["api.avian.io"]),
    // Images by paths of their own: counted as unknown.
    Provider::of("black_forest_labs", &["api.bfl.ai", "api.*.bfl.ai"]),
    Provider::of("fal_ai", &["fal.run", "queue.fal.run"]),
    Provider::of("runwayml", &["api.dev.runwayml.com"]),
    Provider::of("stability", &["api.stability.ai"]),
    // Its reference lists the option, and clients that always send it (pipecat) are its own guide's.
    asked("baseten", &["inference.baseten.co"]),
    Provider::of("cognition", &["api.cognition.ai"]),
    Provider::of("coralbricks", &["inference.coralbricks.ai"]),
    Provider::of("darkbloom", &["api.darkbloom.dev"]),
    Provider::of("doubleword", &["api.doubleword.ai"]),
    Provider::of("empiriolabs", &["api.empiriolabs.ai"]),
    Provider::of("friendliai", &["api.friendli.ai"]),
    Provider::of("gmi", &["api.gmi-serving.com"]),
    // DigitalOcean.
    Provider::of("gradient_ai", &["inference.do-ai.run"]),
    Provider::of("hostinger_router", &["router.hostinger.com"]),
    Provider::of("hyperbolic", &["api.hyperbolic.xyz"]),
    Provider::of("inception", &["api.inceptionlabs.ai"]),
    Provider::of("inferenceapis", &["api.inferenceapis.com"]),
    Provider::of("kyma", &["kymaapi.com"]),
    Provider::of("lambda_ai", &["api.lambda.ai"]),
    Provider::of("libertai", &["api.libertai.io"]),
    Provider::of("llamagate", &["api.llamagate.dev"]),
    Provider::of("meta", &["api.meta.ai"]),
    Provider::of("morph", &["api.morphllm.com"]),
    // AI Studio became Token Factory.
    Provider::of("nebius", &["api.tokenfactory.nebius.com", "api.studio.nebius.ai", "api.studio.nebius.com"]),
    Provider::of("nscale", &["inference.api.nscale.com"]),
    Provider::of("openinfer", &["api.openinfer.ai"]),
    Provider::of("ovhcloud", &["*.endpoints.kepler.ai.cloud.ovh.net"]),
    Provider::of("pinstripes", &["pinstripes.io"]),
    Provider::of("prism", &["api.prisminference.com"]),
    Provider::of("publicai", &["api.publicai.co"]),
    Provider::of("quicksilverpro", &["api.quicksilverpro.io"]),
    Provider::of("recraft", &["external.api.recraft.ai"]),
    Provider::of("refuseless", &["api.refuseless.com"]),
    Provider::of("sail", &["api.sailresearch.com"]),
    Provider::of("sarvam", &["api.sarvam.ai"]),
    // As recorded by its users (otoroshi-llm-extension#178).
    asked("scaleway", &["api.scaleway.ai"]),
    Provider::of("scx-ai", &["api.scx.ai"]),
    Provider::of("streamlake", &["vanchin.streamlake.ai"]),
    Provider::of("tensormesh", &["serverless.tensormesh.ai"]),
    Provider::of("typesafe", &["api.typesafe.ai"]),
    Provider::of("v0", &["api.v0.dev"]),
    Provider::of("wally", &["inference.runanywhere.ai"]),
    Provider::of("wandb", &["api.inference.wandb.ai"]),
    Provider::of("xiaomi_mimo", &["api.xiaomimimo.com"]),
    Provider::of("zerogpu", &["api.zerogpu.ai"]),
];
