//! Counts whose parts lie inside of them, and what to do when the arithmetic says otherwise.

use wire::record::Flag;
use wire::usage::{Class, Usage};

use super::Reading;

/// Counts as most providers report them: parts are inside their wholes, unless the total proves otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub input: Option<u64>,
    pub output: Option<u64>,
    pub total: Option<u64>,
    pub cache_read: Option<u64>,
    /// Of what the cache served, what is audio and what is an image.
    pub cached_audio: Option<u64>,
    pub cached_image: Option<u64>,
    pub cache_write: Option<u64>,
    /// Of what was written, what is kept for 30 minutes and for 12 hours.
    pub write_30m: Option<u64>,
    pub write_12h: Option<u64>,
    pub audio_input: Option<u64>,
    pub image_input: Option<u64>,
    pub video_input: Option<u64>,
    pub reasoning: Option<u64>,
    pub audio_output: Option<u64>,
    pub image_output: Option<u64>,
    /// Only where the endpoint makes something else.
    pub text_output: Option<u64>,
}

impl Counts {
    /// The endpoint makes something that is no text: what the details leave open of its output is that.
    pub(super) fn make(&mut self, makes: Class) {
        let parts = [self.text_output, self.reasoning, self.audio_output, self.image_output];
        let told = parts.into_iter().flatten().fold(0, u64::saturating_add);
        let rest = self.output.and_then(|output| output.checked_sub(told));
        let slot = match makes {
            Class::OutputImage => &mut self.image_output,
            Class::OutputAudio => &mut self.audio_output,
            _ => return,
        };
        if slot.unwrap_or(0) == 0 {
            *slot = rest;
        }
    }
}

/// The parts that can turn out to lie beside their whole; the first set that explains the total is taken.
const HYPOTHESES: [&[Part]; 5] = [
    &[Part::Reasoning],
    &[Part::AudioInput],
    &[Part::Reasoning, Part::AudioInput],
    &[Part::CacheRead],
    &[Part::CacheRead, Part::CacheWrite],
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Reasoning,
    AudioInput,
    CacheRead,
    CacheWrite,
}

/// Turns counts into disjoint classes. Nothing is ever negative, and what does not fit is flagged.
pub(super) fn settle(mut counts: Counts) -> Reading {
    if counts.cache_write.is_none() {
        counts.cache_write = counts.write_30m.into_iter().chain(counts.write_12h).reduce(u64::saturating_add);
    }
    let mut reading = Reading { total: counts.total, ..Reading::default() };
    let beside = beside(&counts, &mut reading.flags);
    let outside = |part: Part| beside.contains(&part);
    let usage = &mut reading.usage;

    let mut input = Whole::new(counts.input);
    let is_sure = cached_by_modality(&mut counts, beside);
    input.part(usage, Class::CacheRead, counts.cache_read, outside(Part::CacheRead));
    input.part(usage, Class::CacheReadAudio, counts.cached_audio, outside(Part::CacheRead));
    input.part(usage, Class::CacheReadImage, counts.cached_image, outside(Part::CacheRead));
    input.part(usage, Class::CacheWriteOther, counts.cache_write, outside(Part::CacheWrite));
    let is_split = by_lifetime(&counts, usage);
    input.part(usage, Class::InputAudio, counts.audio_input, outside(Part::AudioInput));
    input.part(usage, Class::InputImage, counts.image_input, false);
    input.part(usage, Class::InputVideo, counts.video_input, false);
    input.rest(usage, Class::InputText);

    let mut output = Whole::new(counts.output);
    output.part(usage, Class::OutputReasoning, counts.reasoning, outside(Part::Reasoning));
    output.part(usage, Class::OutputAudio, counts.audio_output, false);
    output.part(usage, Class::OutputImage, counts.image_output, false);
    output.rest(usage, Class::OutputText);

    if input.exceeded || output.exceeded || !is_sure || !is_split {
        reading.flags.push(Flag::PartExceedsParent);
    }
    reading
}

/// Counts of a modality contain what the cache served of it: takes that out of them, and out of the cache's count. Where nothing
/// says how much it is, but cache and modalities are more than the input together, the cache served at least the difference of
/// them: it is taken for text as far as there is text. Returns whether that was said, and fits.
fn cached_by_modality(counts: &mut Counts, beside: &[Part]) -> bool {
    let (Some(input), Some(cached)) = (counts.input, counts.cache_read) else { return true };
    let [audio, image] = [counts.audio_input, counts.image_input].map(Option::unwrap_or_default);
    let told = [&mut counts.cached_audio, &mut counts.cached_image].map(|part| part.take().filter(|&count| count > 0));
    let [mut of_audio, mut of_image] = told.map(Option::unwrap_or_default);
    let fits = of_audio <= audio && of_image <= image && of_audio.saturating_add(of_image) <= cached;
    if !fits {
        (of_audio, of_image) = (0, 0);
    }
    let is_inside = !beside.contains(&Part::CacheRead) && !beside.contains(&Part::AudioInput);
    let others = [audio.saturating_sub(of_audio), image.saturating_sub(of_image)];
    let others = others.into_iter().fold(counts.video_input.unwrap_or(0), u64::saturating_add);
    let excess = cached.saturating_add(others).saturating_sub(input);
    let is_sure = excess == 0 || !is_inside || cached > input || others > input;
    if !is_sure {
        let more = excess.min(image.saturating_sub(of_image));
        of_image = of_image.saturating_add(more);
        of_audio = of_audio.saturating_add(excess.saturating_sub(more).min(audio.saturating_sub(of_audio)));
    }
    let take = |count: Option<u64>, part: u64| count.map(|count| count.saturating_sub(part));
    counts.audio_input = take(counts.audio_input, of_audio);
    counts.image_input = take(counts.image_input, of_image);
    counts.cache_read = take(counts.cache_read, of_audio.saturating_add(of_image));
    let some = |count: u64| Some(count).filter(|&count| count > 0);
    (counts.cached_audio, counts.cached_image) = (some(of_audio), some(of_image));
    is_sure && fits
}

/// Splits what was written to the cache by how long it is kept; returns whether the split fits.
fn by_lifetime(counts: &Counts, usage: &mut Usage) -> bool {
    let (Some(written), true) = (usage.get(Class::CacheWriteOther), counts.write_30m.or(counts.write_12h).is_some())
    else {
        return true;
    };
    let [half_hour, half_day] = [counts.write_30m, counts.write_12h].map(Option::unwrap_or_default);
    let Some(open) = written.checked_sub(half_hour.saturating_add(half_day)) else { return false };
    usage.set(Class::CacheWrite30m, counts.write_30m);
    usage.set(Class::CacheWrite12h, counts.write_12h);
    usage.set(Class::CacheWriteOther, Some(open).filter(|&open| open > 0));
    true
}

/// Which parts the total proves to lie beside their whole.
fn beside(counts: &Counts, flags: &mut Vec<Flag>) -> &'static [Part] {
    let (Some(total), Some(input), Some(output)) = (counts.total, counts.input, counts.output) else { return &[] };
    let sum = input.saturating_add(output);
    if total == 0 || total == sum {
        return &[];
    }
    let count = |part: &Part| match part {
        Part::Reasoning => counts.reasoning,
        Part::AudioInput => counts.audio_input,
        Part::CacheRead => counts.cache_read,
        Part::CacheWrite => counts.cache_write,
    };
    let fits = |parts: &&[Part]| {
        // A part of zero proves nothing.
        let mut with_parts = Some(sum);
        for part in parts.iter() {
            let count = count(part).filter(|&count| count > 0);
            with_parts = with_parts.and_then(|sum| sum.checked_add(count?));
        }
        with_parts == Some(total)
    };
    let mut fitting = HYPOTHESES.into_iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(parts), None) => parts,
        _ => {
            flags.push(Flag::TotalMismatch);
            &[]
        }
    }
}

/// A count from which its parts are taken out.
struct Whole {
    left: Option<u64>,
    exceeded: bool,
}

impl Whole {
    fn new(count: Option<u64>) -> Self {
        Whole { left: count, exceeded: false }
    }

    /// Takes a part out; one that lies beside the whole is a class of its own. One that is inside but larger than what
    /// is left cannot be what it says: the whole stays charged as it was reported.
    fn part(&mut self, usage: &mut Usage, class: Class, count: Option<u64>, beside: bool) {
        let Some(count) = count else { return };
        if !beside && let Some(left) = self.left {
            match left.checked_sub(count) {
                Some(rest) => self.left = Some(rest),
                None => {
                    self.exceeded = true;
                    if class == Class::CacheRead {
                        usage.set(Class::CacheReadUnbilled, Some(count));
                    }
                    return;
                }
            }
        }
        usage.set(class, Some(count));
    }

    fn rest(&self, usage: &mut Usage, class: Class) {
        usage.set(class, self.left);
    }
}
