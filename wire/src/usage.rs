//! The usage classes: disjoint counts, each absent until a provider reported it.
//!
//! A total is always a sum of classes. Absent is not zero: a class nobody reported stays `None`.

use crate::for_readers;

/// What a class counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Tokens the model read; summed in `input_tokens`.
    Input,
    /// Tokens the model wrote; summed in `output_tokens`.
    Output,
    /// Something else that is paid for, never part of a token total.
    Unit,
    /// Said for information: in no total, never charged.
    Information,
}

macro_rules! classes {
    ($($variant:ident $name:literal $kind:ident $help:literal;)+) => {
        /// One disjoint class of usage. The name is the event's field, the price book's key and, without
        /// `_tokens`, the value of the metrics' `gen_ai_token_type`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Class {
            $(#[doc = $help] $variant,)+
        }

        impl Class {
            /// Every class, in the order of reports.
            pub const ALL: &'static [Class] = &[$(Class::$variant,)+];

            /// The field's name.
            pub const fn name(self) -> &'static str {
                match self { $(Class::$variant => $name,)+ }
            }

            /// What it counts.
            pub const fn kind(self) -> Kind {
                match self { $(Class::$variant => Kind::$kind,)+ }
            }

            /// One sentence for the reader of a table.
            pub const fn help(self) -> &'static str {
                match self { $(Class::$variant => for_readers($help),)+ }
            }
        }

        /// The counts of one call.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Usage {
            counts: [Option<u64>; Class::ALL.len()],
        }

        impl Default for Usage {
            fn default() -> Self {
                Usage { counts: [None; Class::ALL.len()] }
            }
        }
    };
}

classes! {
    InputText "input_text_tokens" Input "input not served from a cache, text or of unknown modality";
    InputAudio "input_audio_tokens" Input "audio input not served from a cache";
    InputImage "input_image_tokens" Input "image and document input not served from a cache";
    InputVideo "input_video_tokens" Input "video input not served from a cache";
    InputTool "input_tool_tokens" Input "input that the provider's own tools put into the prompt";
    CacheRead "cache_read_tokens" Input "input served from the provider's cache, text or of unknown modality";
    CacheReadAudio "cache_read_audio_tokens" Input "audio input served from the cache";
    CacheReadImage "cache_read_image_tokens" Input "image and document input served from the cache";
    CacheReadVideo "cache_read_video_tokens" Input "video input served from the cache";
    CacheReadExplicit "cache_read_explicit_tokens" Input "input served from a cache that the request itself set up, where the provider tells it from its own";
    CacheWrite5m "cache_write_5m_tokens" Input "input written to a cache of 5 minutes";
    CacheWrite1h "cache_write_1h_tokens" Input "input written to a cache of 1 hour";
    CacheWrite30m "cache_write_30m_tokens" Input "input written to a cache of 30 minutes";
    CacheWrite12h "cache_write_12h_tokens" Input "input written to a cache of 12 hours";
    CacheWriteOther "cache_write_other_tokens" Input "input written to a cache of another or unknown lifetime";
    OutputText "output_text_tokens" Output "visible output, tool calls included";
    OutputReasoning "output_reasoning_tokens" Output "output spent on reasoning";
    OutputAudio "output_audio_tokens" Output "audio output";
    OutputImage "output_image_tokens" Output "image output";
    OutputVideo "output_video_tokens" Output "video output";
    OutputCitation "output_citation_tokens" Output "output spent on citations";
    WebSearches "web_searches" Unit "web searches the provider ran for the call";
    WebFetches "web_fetches" Unit "pages of the web the provider opened for the call, where each is charged";
    XSearches "x_searches" Unit "searches of X (Twitter) the provider ran for the call";
    MapsSearches "maps_searches" Unit "map look-ups the provider ran for the call";
    FileSearches "file_searches" Unit "searches of the caller's files the provider ran for the call";
    CodeExecutions "code_executions" Unit "code executions by the provider, where each is charged";
    ContainerSessions "container_sessions" Unit "containers the provider opened to run code for the call";
    ImagesIn "input_images" Unit "images the model read, where images are what is charged";
    ImagesOut "output_images" Unit "images the model made, where images are what is charged";
    Pages "pages" Unit "pages of documents that were read (OCR)";
    AnnotatedPages "annotated_pages" Unit "pages that were also annotated";
    GuardrailUnits "guardrail_units" Unit "text or image units that a guardrail assessed";
    Characters "characters" Unit "characters of the request, where they are what is charged, as for speech";
    VideoSeconds "video_seconds" Unit "seconds of video that were made; a fraction counts as a whole second";
    CacheStorageTokenHours "cache_storage_token_hours" Unit "tokens kept in a cache times the hours they are kept for, as asked; a fraction counts as a whole one";
    CacheReadUnbilled "cache_read_unbilled_tokens" Information "cache hits that the provider names besides what it bills, or that exceed their whole: in no total, never charged";
    SearchUnits "search_units" Unit "search units of a rerank, as the provider counts them";
    AudioSeconds "audio_seconds" Unit "seconds of audio, where they are what is charged; a fraction counts as a whole second";
    Requests "requests" Unit "calls, where each has a fee of its own; only in ratings, never in events";
}

/// Counts above this are nonsense, not usage (2^40 tokens).
pub const MAX_COUNT: u64 = 1 << 40;

impl Class {
    /// The class of a field's name.
    pub fn from_name(name: &str) -> Option<Class> {
        Class::ALL.iter().copied().find(|class| class.name() == name)
    }

    /// The value of the metrics' `gen_ai_token_type`.
    pub fn token_type(self) -> &'static str {
        let name = self.name();
        name.strip_suffix("_tokens").unwrap_or(name)
    }
}

impl Usage {
    /// The count of a class, `None` if it was not reported.
    pub fn get(&self, class: Class) -> Option<u64> {
        self.counts.get(class as usize).copied().flatten()
    }

    /// Sets or clears the count of a class.
    pub fn set(&mut self, class: Class, count: Option<u64>) {
        if let Some(slot) = self.counts.get_mut(class as usize) {
            *slot = count;
        }
    }

    /// The classes that were reported, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Class, u64)> + '_ {
        Class::ALL.iter().filter_map(|&class| Some((class, self.get(class)?)))
    }

    /// Tokens read, cache reads and writes included; `None` if no input class was reported.
    pub fn input_total(&self) -> Option<u64> {
        self.total(Kind::Input)
    }

    /// Tokens written, reasoning included; `None` if no output class was reported.
    pub fn output_total(&self) -> Option<u64> {
        self.total(Kind::Output)
    }

    /// Whether nothing at all was reported.
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(Option::is_none)
    }

    fn total(&self, kind: Kind) -> Option<u64> {
        self.iter().filter(|(class, _)| class.kind() == kind).map(|(_, count)| count).reduce(u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    cases! {
        fn deterministic_totals_are_sums_of_disjoint_classes() {
            let mut usage = Usage::default();
            assert_eq!((usage.input_total(), usage.output_total()), (None, None));
            usage.set(Class::CacheRead, Some(5));
            usage.set(Class::InputText, Some(0));
            usage.set(Class::OutputReasoning, Some(7));
            usage.set(Class::WebSearches, Some(9));
            assert_eq!((usage.input_total(), usage.output_total()), (Some(5), Some(7)));
        }

        fn contract_class_names_are_unique_and_found_again() {
            for &class in Class::ALL {
                assert_eq!(Class::from_name(class.name()), Some(class));
            }
        }
    }
}
