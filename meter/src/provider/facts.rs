//! What a response says, before anybody knows what it means: counts and texts by their path.

mod costs;
mod counts;
mod distinct;
mod made;
mod numbers;
mod places;
mod raw;
mod strays;
mod texts;
mod tools;
mod visible;

pub use made::Made;
pub(super) use numbers::{GUARDED, PLACED};
pub use numbers::{HEADERS, Header, Number};
pub use places::{Fact, Raw, Switch, response_paths};
pub use texts::Text;
pub(crate) use texts::{ENTERPRISE_SEARCH, search_tool};
pub use tools::ItemText;

use wire::record::{Flag, Flags};
use wire::usage::Class;

use super::Api;
use crate::framing::{Format, Values};
use crate::scan::{Count, MAX_SCALAR, Piece, Scalar, Sink, count};
use costs::Costs;
use counts::Counts;
use numbers::{Merge, round_up};
use strays::Strays;
use tools::Tools;
use visible::AGAIN;

/// The cap of the usage objects that are held for their lists, bytes in all.
const MAX_RAW: usize = 16 * 1024;

/// What a response has said so far. Counts are cumulative: of each the last that says something holds. Only the few
/// that are given per element of a list are added up.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    counts: Counts,
    /// The first id: some gateways change it in every event.
    pub id: Option<String>,
    /// The model that responded.
    pub model: Option<String>,
    /// The service tier that was used.
    pub service_tier: Option<String>,
    /// The provider's word for an error.
    pub error_type: Option<String>,
    /// The speed that it was served with.
    pub speed: Option<String>,
    /// Where inference ran.
    pub inference_geo: Option<String>,
    /// How much a search put into the prompt.
    pub search_context: Option<String>,
    /// The model of a tool that is a model itself.
    pub tool_model: Option<String>,
    /// Which tool could search the web.
    pub search_tool: Option<&'static str>,
    /// What the cache served is from one that the request set up.
    pub has_explicit_cache: bool,
    /// The service that a router handed the call on to.
    pub service: Option<String>,
    /// A search of the web found something that the response shows.
    pub shows_sources: bool,
    /// The model refused.
    pub is_refused: bool,
    /// A gateway had the response in its own cache.
    pub is_from_cache: bool,
    /// Why the model stopped, several separated by commas.
    pub finish_reasons: Option<String>,
    /// What the endpoint makes, where an event says so.
    pub makes: Option<Class>,
    costs: Costs,
    tools: Tools,
    strays: Strays,
    /// What was made, and no token counts: few calls have that.
    made: Option<Box<Made>>,
    /// Values that could not be read.
    pub flags: Flags,
    /// The API whose mark the body bears.
    pub mark: Option<Api>,
    /// The usage in the body is not this call's own.
    pub not_own: bool,
    /// The response itself says that it is over.
    pub terminal: bool,
    /// Text that the model wrote.
    visible: crate::estimate::Text,
    /// The same where it was said again: few responses have that.
    again: Option<Box<[crate::estimate::Text; AGAIN]>>,
    /// What it made that is no text: images, sound, one of them.
    binaries: [bool; 3],
    is_stream: bool,
    closed: u32,
    /// The usage objects that arrived whole.
    raw: Vec<(Raw, Vec<u8>)>,
    /// The one that is arriving. Where its JSON breaks, what follows may be the content: it is never kept.
    arriving: Vec<u8>,
    overlong: bool,
}

impl Facts {
    /// A count, if the response gave it.
    pub fn get(&self, number: Number) -> Option<u64> {
        self.counts.get(number)
    }

    /// Whether the response gave a count.
    pub fn has(&self, number: Number) -> bool {
        self.get(number).is_some()
    }

    /// The first of several names of the same count that the response gave; a zero under one name hides no count under
    /// another.
    pub fn first(&self, numbers: &[Number]) -> Option<u64> {
        let given = || numbers.iter().filter_map(|&number| self.get(number));
        given().find(|&count| count > 0).or_else(|| given().next())
    }

    /// Whether the last value of a count was zero.
    pub fn is_zero_last(&self, number: Number) -> bool {
        self.counts.is_zero_last(number)
    }

    /// Forgets which counts were asked for.
    pub fn forget_reads(&self) {
        self.counts.forget_reads();
    }

    /// Counts that the response gave and nobody has asked for, unless something that was read says the same.
    pub fn unread(&self) -> impl Iterator<Item = Number> {
        self.counts.unread()
    }

    /// Takes what a header says.
    pub fn header(&mut self, header: Header, value: &[u8]) {
        let value = value.trim_ascii();
        match header {
            Header::Count(number) => self.number(number, Scalar::Number(value)),
            Header::Cached => self.is_from_cache |= value.eq_ignore_ascii_case(b"hit"),
            Header::Text(text) => {
                if let Ok(value) = std::str::from_utf8(value.get(..MAX_SCALAR).unwrap_or(value)) {
                    self.text(text, value);
                }
            }
        }
    }

    /// Whether the response comes in events.
    pub fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// What the provider says the call cost, nano-USD.
    pub fn cost(&self) -> Option<u64> {
        self.costs.total()
    }

    /// Members beside the usage that say something and may be usage, too.
    pub fn strays(&self) -> impl Iterator<Item = &str> {
        self.strays.names()
    }

    /// Calls of a tool, by the items of the response.
    pub fn tool_calls(&self, class: Class) -> Option<u64> {
        self.tools.count(class)
    }

    /// Whether a tool made an image.
    pub fn makes_images(&self) -> bool {
        self.tools.makes_images()
    }

    /// The distinct searches that grounded the response.
    pub fn queries(&self) -> u64 {
        self.tools.queries()
    }

    /// Whether a map grounded it.
    pub fn uses_maps(&self) -> bool {
        self.tools.uses_maps()
    }

    /// The type of an item that is not known.
    pub fn unknown_item(&self) -> Option<&str> {
        self.tools.unknown()
    }

    /// Whether there were more items than are counted.
    pub fn has_too_many_items(&self) -> bool {
        self.tools.overflowed()
    }

    /// What the response says it made.
    pub fn made(&mut self) -> Option<&mut Made> {
        self.made.as_deref_mut()
    }

    /// What the model wrote, as far as any place of the response has shown it.
    pub fn written(&self, api: Api) -> crate::estimate::Text {
        let mut written = self.visible.clone();
        let Some(texts) = &self.again else { return written };
        let [text, part, item, list, tokens, thoughts, calls] = &**texts;
        for again in [part, item, list, tokens, calls] {
            written.take_longer(again);
        }
        if api == Api::Cohere {
            // Its text stands nowhere else, and beside the calls of tools.
            written.join(text);
        } else if self.is_stream {
            // Of a response that comes whole, other places tell.
            written.take_longer(text);
        }
        if thoughts.bytes() > 0 {
            written.take_thoughts(thoughts);
        }
        written
    }

    /// What the response holds that is no text, in the words of `unknown_usage`.
    pub fn binaries(&self) -> impl Iterator<Item = &'static str> {
        let names = ["output.image", "output.audio", "output.media"];
        names.into_iter().zip(self.binaries).filter(|(_, is_there)| *is_there).map(|(name, _)| name)
    }

    fn number(&mut self, number: Number, value: Scalar<'_>) {
        let known = self.get(number);
        let count = match (count(value), number.merge()) {
            // A later zero or null takes nothing back.
            (Count::Value(0), _) if known.is_some() => {
                self.counts.take_back(number);
                None
            }
            (Count::Value(count), Merge::Sum) => Some(known.unwrap_or(0).saturating_add(count)),
            (Count::Value(count), Merge::Last) => Some(count),
            (Count::Null, _) => None,
            (Count::Bad, _) if number.is_measure() => round_up(value),
            (Count::Bad, _) => {
                self.flags.insert(Flag::BadValue);
                None
            }
        };
        if let Some(count) = count {
            self.counts.set(number, count);
        }
    }
}

impl Sink<Fact> for Facts {
    fn skips(&self, fact: Fact) -> bool {
        match fact {
            Fact::Text(Text::Id) => self.id.is_some(),
            // Every chunk of a stream says what it is.
            Fact::Text(Text::Object) => self.mark.is_some(),
            _ => false,
        }
    }

    fn scalar(&mut self, fact: Fact, value: Scalar<'_>) {
        match (fact, value) {
            (Fact::Count(number), value) => self.number(number, value),
            (Fact::Cost(cost), value) => self.costs.take(cost, value),
            (Fact::Made(_), Scalar::Null) => {}
            (Fact::Made(thing), value) => self.made.get_or_insert_default().take(thing, value),
            (Fact::Text(text), Scalar::Text(value)) => self.text(text, value),
            // OpenAI's and Cloudflare's codes can be numbers; they say nothing that the status does not.
            (Fact::Switch(Switch::Done), Scalar::Bool(true)) => self.terminal = true,
            (Fact::Switch(Switch::OwnKey), Scalar::Bool(own)) => self.costs.has_own_key = own,
            (Fact::ItemText(text), Scalar::Text(value)) => self.tools.text(text, value),
            (Fact::ItemText(ItemText::Id), Scalar::Number(digits)) => {
                self.tools.text(ItemText::Id, &String::from_utf8_lossy(digits));
            }
            (Fact::Query, Scalar::Text(query)) => self.tools.query(query),
            (Fact::Maps, Scalar::Text(_)) => self.tools.set_uses_maps(),
            (Fact::Found, Scalar::Text(_)) => self.shows_sources = true,
            (Fact::MetricName, Scalar::Text(name)) => self.strays.metric(name),
            (Fact::MetricValue, value) => {
                if let Some(number) = self.strays.metric_number() {
                    self.number(number, value);
                }
            }
            (Fact::Stray, value) => self.strays.scalar(value),
            (Fact::Sign(sign), Scalar::Text(text)) => self.strays.sign(sign, text),
            _ => {}
        }
    }

    fn like(&mut self, _: Fact, name: &[u8]) {
        self.strays.begin(name);
    }

    fn raw_begin(&mut self, fact: Fact) {
        match fact {
            Fact::Raw(_) => {
                self.arriving.clear();
                self.overlong = false;
            }
            Fact::Item(place) => self.tools.begin(place),
            _ => {}
        }
    }

    fn raw(&mut self, fact: Fact, bytes: &[u8]) {
        let raw = match fact {
            Fact::Raw(raw) => raw,
            Fact::Stray => return self.strays.raw(bytes),
            _ => return self.flow(fact, Piece::of(bytes)),
        };
        let others = self.raw.iter().filter(|(known, _)| *known != raw).map(|(_, bytes)| bytes.len());
        let held = others.fold(self.arriving.len(), usize::saturating_add);
        let kept = bytes.len().min(MAX_RAW.saturating_sub(held));
        self.overlong |= kept < bytes.len();
        self.arriving.extend_from_slice(bytes.get(..kept).unwrap_or_default());
    }

    fn raw_end(&mut self, fact: Fact) {
        let raw = match fact {
            Fact::Raw(raw) => raw,
            Fact::Item(place) => return self.tools.end(place),
            Fact::Stray => return self.strays.end(),
            _ => return,
        };
        if !raw.is_beside() {
            self.closed |= raw::bit(raw);
        }
        if std::mem::take(&mut self.overlong) {
            self.flags.insert(Flag::RawUsageCapped);
        }
        let arrived = std::mem::take(&mut self.arriving);
        match self.raw.iter_mut().find(|(known, _)| *known == raw) {
            Some((_, bytes)) => *bytes = arrived,
            None => self.raw.push((raw, arrived)),
        }
    }

    fn flow(&mut self, fact: Fact, piece: Piece<'_>) {
        match fact {
            Fact::Visible => self.visible.feed(piece, self.is_stream),
            Fact::Thought => {
                self.visible.feed(piece, self.is_stream);
                self.visible.set_shows_thoughts();
            }
            Fact::Again(again) => {
                let texts = self.again.get_or_insert_default();
                if let Some(text) = texts.get_mut(again as usize) {
                    text.feed(piece, self.is_stream);
                }
            }
            Fact::Binary(binary) if !piece.bytes.is_empty() => {
                if let Some(is_there) = self.binaries.get_mut(binary as usize) {
                    *is_there = true;
                }
            }
            _ => {}
        }
    }
}

impl Values<Fact> for Facts {
    fn format(&mut self, format: Format) {
        self.is_stream = matches!(format, Format::Sse | Format::EventStream);
    }

    fn value_end(&mut self) {
        self.tools.value_end();
    }

    fn done(&mut self) {
        self.terminal = true;
    }

    fn exception(&mut self, name: &[u8]) {
        self.text(Text::ErrorType, &String::from_utf8_lossy(name));
    }

    fn is_wrapped(fact: Fact) -> bool {
        fact == Fact::Wrapped
    }
}
