//! What a request asks for that prices depend on, beside its model and text.

use crate::provider::Made;
use crate::scan::{Count, Scalar, count};

/// Something of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    ServiceTier,
    Size,
    Width,
    Height,
    Quality,
    Steps,
    SearchContext,
    /// Whether the response is made in the background.
    Background,
    /// How long a video is to be.
    Seconds,
    /// How long a content is to be kept.
    Lifetime,
    /// Until when a content is to be kept.
    Expiry,
    /// An image that is to be read.
    Image,
    /// How many videos are to be made.
    Variants,
    /// Whether the response is to be fetched later.
    Deferred,
}

/// Where it stands.
#[rustfmt::skip]
pub(super) const WISHES: &[(&str, Wish)] = &[
    ("service_tier", Wish::ServiceTier), ("serviceTier", Wish::ServiceTier), ("serviceTier.type", Wish::ServiceTier),
    ("size", Wish::Size), ("resolution", Wish::Size), ("image_size", Wish::Size), ("parameters.resolution", Wish::Size),
    ("parameters.sampleImageSize", Wish::Size), ("generationConfig.imageConfig.imageSize", Wish::Size),
    ("modelInput.videoGenerationConfig.dimension", Wish::Size), ("modelInput.resolution", Wish::Size),
    ("width", Wish::Width), ("imageGenerationConfig.width", Wish::Width),
    ("height", Wish::Height), ("imageGenerationConfig.height", Wish::Height),
    ("quality", Wish::Quality), ("imageGenerationConfig.quality", Wish::Quality), ("steps", Wish::Steps),
    ("web_search_options.search_context_size", Wish::SearchContext), ("tools[].search_context_size", Wish::SearchContext),
    ("background", Wish::Background),
    ("seconds", Wish::Seconds), ("duration", Wish::Seconds), ("duration_seconds", Wish::Seconds),
    ("parameters.durationSeconds", Wish::Seconds), ("modelInput.duration", Wish::Seconds),
    ("modelInput.videoGenerationConfig.durationSeconds", Wish::Seconds),
    ("n_seconds", Wish::Seconds), ("n_variants", Wish::Variants), ("deferred", Wish::Deferred),
    ("images[]", Wish::Image), ("singleEmbeddingParams.image.source.bytes", Wish::Image),
    ("singleEmbeddingParams.image.source.s3Location.uri", Wish::Image),
    ("inputImage", Wish::Image), ("instances[].image.bytesBase64Encoded", Wish::Image),
    ("instances[].image.gcsUri", Wish::Image),
    ("ttl", Wish::Lifetime), ("expireTime", Wish::Expiry), ("expire_time", Wish::Expiry),
];

/// What is asked for. Of a repeated name the last holds.
#[derive(Clone, Debug, Default)]
pub(in crate::call) struct Wishes {
    pub service_tier: Option<String>,
    size: Option<String>,
    width: Option<u64>,
    height: Option<u64>,
    quality: Option<String>,
    steps: Option<u64>,
    pub search_context: Option<String>,
    pub background: bool,
    pub seconds: Option<u64>,
    pub lifetime_s: Option<u64>,
    pub expiry: Option<String>,
    pub images: u64,
    pub variants: Option<u64>,
    pub deferred: bool,
    /// Which of the provider's tools is to search the web.
    pub search_tool: Option<&'static str>,
}

impl Wishes {
    pub(super) fn take(&mut self, wish: Wish, value: Scalar<'_>) {
        let number = || match count(value) {
            Count::Value(number) => Some(number),
            Count::Null | Count::Bad => None,
        };
        match (wish, value) {
            (Wish::ServiceTier, Scalar::Text(text)) => self.service_tier = word(text),
            (Wish::Size, Scalar::Text(text)) => self.size = word(text),
            (Wish::Quality, Scalar::Text(text)) => self.quality = word(text),
            (Wish::SearchContext, Scalar::Text(text)) => self.search_context = word(text),
            (Wish::Expiry, Scalar::Text(text)) => self.expiry = word(text),
            (Wish::Image, Scalar::Text(_)) => self.images = self.images.saturating_add(1),
            (Wish::Variants, _) => self.variants = number(),
            (Wish::Deferred, value) => self.deferred = value == Scalar::Bool(true),
            (Wish::Background, value) => self.background = value == Scalar::Bool(true),
            (Wish::Width, _) => self.width = number(),
            (Wish::Height, _) => self.height = number(),
            (Wish::Steps, _) => self.steps = number(),
            (Wish::Seconds, value) => self.seconds = Made::seconds(value),
            (Wish::Lifetime, value) => self.lifetime_s = Made::seconds(value),
            _ => {}
        }
    }

    /// The size that is asked for, as text.
    pub(in crate::call) fn size(&mut self) -> Option<String> {
        let sides = self.width.zip(self.height).map(|(width, height)| format!("{width}x{height}"));
        self.size.take().or(sides)
    }

    /// The quality that is asked for; where the number of steps stands in its place, that.
    pub(in crate::call) fn quality(&mut self) -> Option<String> {
        let steps = self.steps.map(|steps| format!("{steps}-steps"));
        self.quality.take().or(steps)
    }
}

fn word(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
