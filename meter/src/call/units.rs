//! What is paid for by something else than tokens: images, seconds, pages, characters, time in a cache. And what is paid for
//! by a call that has its counts elsewhere.

use wire::record::{Deferred, Evidence, Flag, Record};
use wire::usage::{Class, Kind, MAX_COUNT};

use super::request::{Asked, Wishes};
use crate::provider::{Api, Endpoint, Facts, Made, Reading, Target};

/// How long Gemini keeps a content if nobody says how long, seconds.
const LIFETIME_S: u64 = 3600;
/// How long a video is if nobody says, seconds: OpenAI's, and Veo's.
const VIDEO_S: u64 = 4;
const VEO_S: u64 = 8;
const DALL_E_2_SIZES: [&str; 3] = ["256x256", "512x512", "1024x1024"];

/// What is known of the two sides of a call that a provider has taken.
pub(super) struct Sides<'a> {
    pub target: &'a Target,
    pub asked: &'a Asked,
    pub wishes: Wishes,
    pub made: Made,
    /// Which tool could search the web, as the response says.
    pub search_tool: Option<&'static str>,
    /// The model asked for.
    pub model: Option<String>,
    /// Whether the status is one below 400.
    pub is_taken: bool,
}

impl Sides<'_> {
    /// Adds what the provider counts otherwise than in tokens to what it counts in them.
    pub(super) fn count(&self, api: Api, started_ns: u64, reading: &mut Reading) {
        if !self.is_taken {
            return;
        }
        if self.target.endpoint == Endpoint::Batch {
            // What a batch counts when it is made are the counts of no call.
            *reading = Reading::default();
        }
        let counted = reading.usage.input_total().or(reading.usage.output_total()).is_some_and(|count| count > 0);
        match self.target.endpoint {
            Endpoint::CachedContent => {
                let tokens = reading.usage.input_total();
                reading.usage.set(Class::CacheStorageTokenHours, tokens.map(|tokens| self.kept(tokens, started_ns)));
                // Vertex AI bills what is written at the input's price ("Context caching overview"); the Gemini API the storage
                // alone ("Billing is based on: cache token count … when included in subsequent prompts, storage duration").
                if !self.target.charges_cache_writes() {
                    for class in Class::ALL.iter().filter(|class| class.kind() == Kind::Input) {
                        reading.usage.set(*class, None);
                    }
                }
            }
            Endpoint::Speech if !counted && self.is_paid_by_character() => {
                let characters = self.made.characters.or(self.asked.characters()).or(self.asked.characters_about());
                add(reading, Class::Characters, characters)
            }
            Endpoint::Transcription if !counted && reading.usage.get(Class::AudioSeconds).is_none() => {
                add(reading, Class::AudioSeconds, self.made.duration);
            }
            // Who says how many it made is paid by the image, whatever else it counts.
            Endpoint::Image if !counted || self.made.images_made.is_some() => {
                add(reading, Class::ImagesOut, Some(self.made.images()))
            }
            Endpoint::AnyModel if reading.usage.output_total().unwrap_or(0) == 0 => self.any_model(counted, reading),
            Endpoint::Video if !counted => add(reading, Class::VideoSeconds, self.video(api)),
            _ => {}
        }
        if let (Endpoint::Transcription, Some(seconds)) = (self.target.endpoint, reading.usage.get(Class::AudioSeconds))
        {
            reading.usage.set(Class::AudioSeconds, Some(seconds.max(self.target.least_audio_s())));
        }
        self.rerank(counted, reading);
        if reading.usage.get(Class::InputImage).is_none() {
            add(reading, Class::ImagesIn, self.made.images_read);
        }
        add(reading, Class::Pages, self.made.pages);
        add(reading, Class::AnnotatedPages, self.made.annotated_pages);
    }

    /// Images that were made, or else read: models that embed images are paid by the image, and some by the character.
    fn any_model(&self, counted: bool, reading: &mut Reading) {
        let images = self.made.images();
        add(reading, Class::ImagesOut, Some(images));
        let embeds = self.model.as_deref().is_some_and(|model| model.contains("embed"));
        if images == 0 && embeds {
            add(reading, Class::ImagesIn, Some(self.wishes.images));
            add(reading, Class::Characters, self.asked.characters().filter(|_| !counted));
        }
    }

    /// Search units of a rerank that nobody counts, by the documents that were to be ranked. A long one counts as several there,
    /// which its length does not tell.
    fn rerank(&self, counted: bool, reading: &mut Reading) {
        let Some(documents) = self.target.documents_per_search() else { return };
        let ranks = self.target.operation == Some("rerank")
            || self.target.endpoint == Endpoint::AnyModel
                && self.model.as_deref().is_some_and(|model| model.contains("rerank"));
        if ranks && !counted && reading.usage.get(Class::SearchUnits).is_none() {
            add(reading, Class::SearchUnits, Some(self.asked.documents().div_ceil(documents.max(1)).max(1)));
        }
    }

    /// Token-hours, a fraction counts as a whole one. The response's own times hold, then what was asked for.
    fn kept(&self, tokens: u64, started_ns: u64) -> u64 {
        let expires = self.made.expires.as_deref().and_then(time);
        let responded = self.made.created.as_deref().and_then(time).zip(expires);
        let asked = self.wishes.expiry.as_deref().and_then(time).map(|expires| (u128::from(started_ns), expires));
        // A content is kept for whole seconds; what the clocks of two machines differ by is none of it.
        let between = |(from, to): (u128, u128)| u64::try_from(to.saturating_sub(from).div_ceil(1_000_000_000)).ok();
        let seconds = responded.and_then(between).or(self.wishes.lifetime_s).or_else(|| asked.and_then(between));
        let hours = u128::from(tokens).saturating_mul(u128::from(seconds.unwrap_or(LIFETIME_S))).div_ceil(3600);
        u64::try_from(hours).unwrap_or(MAX_COUNT).min(MAX_COUNT)
    }

    /// Of models of speech those that count tokens give their counts in streams only, and their characters are not paid for.
    fn is_paid_by_character(&self) -> bool {
        let model = self.model.as_deref().unwrap_or_default();
        !["gpt-", "gemini-"].iter().any(|begin| model.rsplit('/').next().is_some_and(|name| name.starts_with(begin)))
    }

    /// Seconds of all the videos of a call.
    fn video(&self, api: Api) -> Option<u64> {
        if self.made.status.as_deref() == Some("failed") {
            return None;
        }
        let default = if api == Api::Plain { VEO_S } else { VIDEO_S };
        let each = self.made.seconds.or(self.wishes.seconds).unwrap_or(default);
        // Only Veo and Azure's jobs make several in one call.
        let videos = if api == Api::Plain { self.asked.choices() } else { self.wishes.variants.unwrap_or(1).max(1) };
        each.checked_mul(videos)
    }

    /// Says where the counts are to come, if they do not come here.
    pub(super) fn deferred(&self, record: &Record) -> Option<Deferred> {
        let status = self.made.status.as_deref().unwrap_or_default();
        let is_waiting = |words: &[&str]| words.iter().any(|word| status.eq_ignore_ascii_case(word));
        match self.target.endpoint {
            _ if !self.is_taken => None,
            Endpoint::Batch => Some(Deferred::Batch),
            Endpoint::Video | Endpoint::Job => Some(Deferred::Job),
            _ if record.usage.input_total().or(record.usage.output_total()).is_some() => None,
            _ if self.wishes.deferred => Some(Deferred::Job),
            _ if self.asked.is_in_background() || is_waiting(&["queued"]) => Some(Deferred::Background),
            // Replicate's words, and those of others.
            _ if is_waiting(&["starting", "processing", "pending", "created"]) => Some(Deferred::Job),
            _ => None,
        }
    }

    /// Whether what is charged depends on a request of which it is in doubt what it says.
    fn is_unclear(&self, record: &Record) -> bool {
        let depends = self.target.endpoint != Endpoint::Model || record.response_model.is_none();
        self.is_taken && depends && self.asked.is_unclear()
    }

    /// Fills what else prices depend on: what the response says was made, else what was asked for.
    pub(super) fn describe(self, record: &mut Record) {
        if self.is_unclear(record) {
            record.flags.insert(Flag::RequestUnclear);
            if record.usage.get(Class::Characters).is_some() && self.asked.characters().is_none() {
                record.evidence = Evidence::Estimated;
            }
        }
        let Sides { target, asked, mut wishes, mut made, search_tool, .. } = self;
        record.size = made.size.take().or_else(|| wishes.size());
        record.quality = made.quality.take().or_else(|| wishes.quality());
        if record.usage.get(Class::WebSearches).is_some_and(|count| count > 0) {
            record.search_tool = search_tool.or(wishes.search_tool).map(str::to_owned);
        }
        if record.usage.get(Class::SearchUnits).is_some() && target.endpoint == Endpoint::AnyModel {
            record.operation = "rerank".to_owned();
        }
        if let Some(model) = target.default_model().filter(|model| is_served_by_default(model, asked, record)) {
            record.request_model = Some(model.to_owned());
            record.flags.insert(Flag::ModelAssumed);
        }
        let makes_images = matches!(target.endpoint, Endpoint::AnyModel | Endpoint::Image);
        if makes_images && record.usage.get(Class::ImagesOut).is_some() {
            record.operation = "generate_content".to_owned();
            default_image(record);
        }
    }
}

/// Adds a count that the provider charges by; where it gives no others, it is all there is.
fn add(reading: &mut Reading, class: Class, count: Option<u64>) {
    if let Some(count) = count.filter(|&count| count > 0) {
        reading.complete |= !reading.is_reported;
        // Pages are in the provider's words.
        reading.by_units |= !reading.is_reported && !matches!(class, Class::Pages | Class::AnnotatedPages);
        reading.is_reported = true;
        reading.usage.set(class, Some(count.min(MAX_COUNT)));
    }
}

/// Whether the provider's default model served a call: its counts are there, the request was read whole and asks for
/// something, and neither side names a model. The GPT image models, which parameters of their own can choose, count tokens;
/// what else is none of DALL-E 2's was not made by it.
fn is_served_by_default(model: &str, asked: &Asked, record: &Record) -> bool {
    let is_nameless = record.model().is_none_or(str::is_empty) && record.path_model.is_none();
    let is_of_dall_e_2 = |record: &Record| {
        let size = record.size.as_deref().is_none_or(|size| DALL_E_2_SIZES.contains(&size));
        let quality = record.quality.as_deref().is_none_or(|quality| quality == "standard");
        record.usage.get(Class::ImagesOut).is_some() && size && quality
    };
    is_nameless
        && record.evidence == Evidence::Reported
        && asked.is_whole()
        && asked.text().bytes() > 0
        && (!model.starts_with("dall-e") || is_of_dall_e_2(record))
}

/// What these models make where a request does not say: OpenAI's older ones, and Stable Diffusion XL, of which Together's API
/// reference says so of width and height. A number of steps that is asked for stands in the place of the quality.
fn default_image(record: &mut Record) {
    let has_defaults = |model: &str| model.starts_with("dall-e") || model.contains("stable-diffusion-xl-base");
    if record.model().is_some_and(has_defaults) {
        record.size.get_or_insert_with(|| "1024x1024".to_owned());
        record.quality.get_or_insert_with(|| "standard".to_owned());
    }
}

/// Nanoseconds since the Unix epoch.
fn time(text: &str) -> Option<u128> {
    let time = humantime::parse_rfc3339(text).ok()?;
    time.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_nanos())
}

impl Facts {
    /// What was made; it is given once.
    pub(super) fn take_made(&mut self) -> Made {
        self.made().map(std::mem::take).unwrap_or_default()
    }
}
