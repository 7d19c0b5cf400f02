//! What a response says it made, read or keeps, where no tokens count it.

use wire::usage::MAX_COUNT;

use crate::scan::{Scalar, scaled};

/// Something of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// An image, in one of the ways in which a response holds it.
    Image(Held),
    /// How many images were made, in the provider's own words.
    ImagesMade,
    /// How many characters were spoken.
    Characters,
    /// How many images were read, where that is what is paid for.
    ImagesRead,
    /// Pages that were read.
    Pages,
    /// Pages that were annotated besides.
    AnnotatedPages,
    /// How long a video is.
    Seconds,
    /// How long a sound was.
    Duration,
    /// The size of an image or a video.
    Size,
    /// The quality of an image or a video.
    Quality,
    /// When a content began to be kept.
    Created,
    /// Until when it is kept.
    Expires,
    /// How far the work is.
    Status,
}

/// How a response holds an image; a response that holds the same images in two ways has made them once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// `data[].b64_json`, as OpenAI does.
    Data,
    /// `data[].url`
    Link,
    /// `predictions[].bytesBase64Encoded`, as Vertex does.
    Prediction,
    /// `predictions[].gcsUri`
    Stored,
    /// `images[]`, as Bedrock does.
    Bare,
    /// `artifacts[].base64`, as Stability does.
    Artifact,
}

const WAYS: usize = 6;

#[rustfmt::skip]
pub(super) const THINGS: &[(&str, Thing)] = &[
    ("data[].b64_json", Thing::Image(Held::Data)), ("data[].url", Thing::Image(Held::Link)),
    ("predictions[].bytesBase64Encoded", Thing::Image(Held::Prediction)),
    ("predictions[].gcsUri", Thing::Image(Held::Stored)),
    ("images[]", Thing::Image(Held::Bare)), ("artifacts[].base64", Thing::Image(Held::Artifact)),
    ("usage.generated_images", Thing::ImagesMade), ("usage.image_count", Thing::ImagesMade),
    ("extra_info.usage_characters", Thing::Characters),
    ("usage.billed_units.images", Thing::ImagesRead), ("meta.billed_units.images", Thing::ImagesRead),
    ("usage_info.pages_processed", Thing::Pages), ("usage_info.pages_processed_annotation", Thing::AnnotatedPages),
    ("seconds", Thing::Seconds), ("n_seconds", Thing::Seconds), ("duration", Thing::Duration), ("size", Thing::Size), ("quality", Thing::Quality),
    ("metadata.duration", Thing::Duration),
    ("createTime", Thing::Created), ("expireTime", Thing::Expires),
    ("status", Thing::Status), ("response.status", Thing::Status), ("output.task_status", Thing::Status),
];

/// What was made. Of a repeated name the last holds.
#[derive(Clone, Debug, Default)]
pub struct Made {
    images: [u64; WAYS],
    /// How many images were made, in the provider's own words.
    pub images_made: Option<u64>,
    /// How many characters were spoken.
    pub characters: Option<u64>,
    /// How many images were read.
    pub images_read: Option<u64>,
    /// Pages that were read.
    pub pages: Option<u64>,
    /// Pages that were annotated besides.
    pub annotated_pages: Option<u64>,
    /// How long a video is.
    pub seconds: Option<u64>,
    /// How long a sound was, seconds.
    pub duration: Option<u64>,
    /// The size of an image or a video.
    pub size: Option<String>,
    /// Its quality.
    pub quality: Option<String>,
    /// When a content began to be kept.
    pub created: Option<String>,
    /// Until when it is kept.
    pub expires: Option<String>,
    /// How far the work is.
    pub status: Option<String>,
}

impl Made {
    pub(super) fn take(&mut self, thing: Thing, value: Scalar<'_>) {
        let count = || match crate::scan::count(value) {
            crate::scan::Count::Value(count) => Some(count),
            _ => None,
        };
        match (thing, value) {
            (Thing::Image(held), Scalar::Text(text)) if !text.is_empty() => {
                if let Some(images) = self.images.get_mut(held as usize) {
                    *images = images.saturating_add(1);
                }
            }
            (Thing::ImagesMade, _) => self.images_made = count().or(self.images_made),
            (Thing::Characters, _) => self.characters = count().or(self.characters),
            (Thing::ImagesRead, _) => self.images_read = count().or(self.images_read),
            (Thing::Pages, _) => self.pages = count().or(self.pages),
            (Thing::AnnotatedPages, _) => self.annotated_pages = count().or(self.annotated_pages),
            (Thing::Seconds, value) => self.seconds = Made::seconds(value).or(self.seconds),
            (Thing::Duration, value) => self.duration = Made::seconds(value).or(self.duration),
            (Thing::Size, Scalar::Text(text)) => keep(&mut self.size, text),
            (Thing::Quality, Scalar::Text(text)) => keep(&mut self.quality, text),
            (Thing::Created, Scalar::Text(text)) => keep(&mut self.created, text),
            (Thing::Expires, Scalar::Text(text)) => keep(&mut self.expires, text),
            (Thing::Status, Scalar::Text(text)) => keep(&mut self.status, text),
            _ => {}
        }
    }

    /// How many images were made: as the response says, or else as many as it holds.
    pub fn images(&self) -> u64 {
        self.images_made.unwrap_or_else(|| self.images.iter().copied().max().unwrap_or(0))
    }

    /// Seconds as a number or a text, with or without their unit: `8`, `"8"`, `"3600s"`. A fraction counts as a whole one.
    pub fn seconds(value: Scalar<'_>) -> Option<u64> {
        let digits = match value {
            Scalar::Number(digits) => digits,
            Scalar::Text(text) => text.strip_suffix('s').unwrap_or(text).as_bytes(),
            _ => return None,
        };
        scaled(digits, 3).map(|thousandths| thousandths.div_ceil(1000)).filter(|&seconds| seconds <= MAX_COUNT)
    }
}

fn keep(slot: &mut Option<String>, text: &str) {
    if !text.is_empty() && slot.as_deref() != Some(text) {
        *slot = Some(text.to_owned());
    }
}
