//! What the items of a response show and its usage leaves out: calls of the provider's own tools that are paid for beside
//! the tokens.
//!
//! An item can arrive twice, at its end and in the list that closes a stream: the two are counted apart, and the larger
//! count holds, for some gateways change the ids on the way. Memory is bounded, whatever comes.

mod fee;

use wire::usage::Class;

use super::distinct::{Distinct, hash_of};
use fee::{Fee, executed};

/// Where an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the list of a response.
    Listed,
    /// Alone in an event of a stream.
    Streamed,
    /// In the list of an interaction with Gemini.
    Step,
    /// In the list of what Groq's systems ran, which a stream repeats piece by piece.
    Executed,
}

/// A text of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemText {
    /// What it is.
    Type,
    /// Which one it is.
    Id,
    /// How it ended.
    Status,
    /// What a search did.
    Action,
    /// Where code ran.
    Container,
    /// What was searched for.
    Query,
    /// What ran, by the name of the tool.
    Name,
}

/// The places of items.
pub(super) const ITEMS: &[(&str, Place)] = &[
    ("output[]", Place::Listed),
    ("response.output[]", Place::Listed),
    ("item", Place::Streamed),
    ("steps[]", Place::Step),
    ("outputs[]", Place::Step),
    ("choices[].message.executed_tools[]", Place::Executed),
    ("choices[].delta.executed_tools[]", Place::Executed),
];

/// The texts of an item.
pub(super) const ITEM_TEXTS: &[(&str, ItemText)] = &[
    ("type", ItemText::Type),
    ("id", ItemText::Id),
    ("index", ItemText::Id),
    ("name", ItemText::Name),
    ("status", ItemText::Status),
    ("action.type", ItemText::Action),
    ("container_id", ItemText::Container),
    ("environment.container_id", ItemText::Container),
    ("arguments.queries[]", ItemText::Query),
];

/// Where the searches stand that grounded a response.
pub(super) const QUERIES: &[&str] = &[
    "candidates[].groundingMetadata.webSearchQueries[]",
    "candidates[].groundingMetadata.imageSearchQueries[]",
    "serverContent.groundingMetadata.webSearchQueries[]",
    "response.candidates[].groundingMetadata.webSearchQueries[]",
];

/// What shows that a place of a map grounded it.
pub(super) const MAPS: &[&str] = &[
    "candidates[].groundingMetadata.groundingChunks[].maps.uri",
    "candidates[].groundingMetadata.groundingChunks[].maps.placeId",
    "response.candidates[].groundingMetadata.groundingChunks[].maps.uri",
];

/// The event that has an item whole.
pub(super) const ITEM_DONE: &str = "response.output_item.done";

#[derive(Clone, Debug, Default)]
struct Item {
    place: Option<Place>,
    fee: Fee,
    /// The type is none of those that are known.
    unknown: Option<Box<str>>,
    id: Option<u64>,
    container: Option<u64>,
    /// A shell: the caller's own, unless it has a container.
    is_shell: bool,
    failed: bool,
    /// Google searched for these.
    is_google_search: bool,
    queries: Distinct,
    /// Its name has said what it costs.
    is_named: bool,
    /// A search that searched nothing: it opened a page, or looked into one.
    is_free: bool,
}

/// The classes that items count.
const COUNTED: [Class; 5] =
    [Class::WebSearches, Class::WebFetches, Class::FileSearches, Class::XSearches, Class::CodeExecutions];

/// The calls of tools in one place.
#[derive(Clone, Debug, Default)]
struct Tally {
    items: Distinct,
    containers: Distinct,
    counts: [u64; COUNTED.len()],
    images: u64,
}

impl Tally {
    /// Whether there was room for it.
    fn add(&mut self, item: &Item) -> bool {
        if item.fee == Fee::None || item.failed || item.is_free {
            return true;
        }
        if let Some(id) = item.id {
            match self.items.add(id) {
                Some(true) => {}
                Some(false) => return true,
                None => return false,
            }
        }
        match item.fee {
            Fee::Each(class) => self.count(class),
            Fee::Container => {
                self.count(Class::CodeExecutions);
                return self.containers.add(item.container.unwrap_or(0)).is_some();
            }
            Fee::Image => self.images = self.images.saturating_add(1),
            Fee::None => {}
        }
        true
    }

    fn count(&mut self, class: Class) {
        let slot = COUNTED.iter().position(|&counted| counted == class);
        if let Some(count) = slot.and_then(|slot| self.counts.get_mut(slot)) {
            *count = count.saturating_add(1);
        }
    }

    fn most(&mut self, other: Tally) {
        for (count, other) in self.counts.iter_mut().zip(other.counts) {
            *count = other.max(*count);
        }
        if other.containers.count() > self.containers.count() {
            self.containers = other.containers;
        }
        self.images = self.images.max(other.images);
    }
}

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Tools(Option<Box<Found>>);

#[derive(Clone, Debug, Default)]
struct Found {
    item: Item,
    /// The item of the event that is arriving.
    arrived: Option<Item>,
    is_done: bool,
    streamed: Tally,
    /// Of the value that is arriving.
    listed: Tally,
    /// Of the values before.
    most: Tally,
    queries: Distinct,
    uses_maps: bool,
    unknown: Option<Box<str>>,
    overflowed: bool,
}

impl Tools {
    fn found(&mut self) -> &mut Found {
        self.0.get_or_insert_default()
    }

    pub(super) fn begin(&mut self, place: Place) {
        self.found().item = Item { place: Some(place), ..Item::default() };
    }

    pub(super) fn text(&mut self, text: ItemText, value: &str) {
        let item = &mut self.found().item;
        match text {
            ItemText::Name => {
                if let Some(fee) = executed(value).filter(|_| item.place == Some(Place::Executed)) {
                    (item.fee, item.is_named, item.unknown) = (fee, true, None);
                }
            }
            ItemText::Type if item.is_named => {}
            ItemText::Type if item.place == Some(Place::Executed) && executed(value).is_some() => {
                item.fee = executed(value).unwrap_or_default();
            }
            ItemText::Type => {
                item.fee = Fee::of(value);
                item.is_google_search = value == "google_search_call";
                item.is_shell = value == "shell_call";
                let known = item.fee != Fee::None || item.is_shell || fee::FREE.contains(&value);
                item.unknown = (!known).then(|| value.into());
            }
            ItemText::Id => item.id = Some(hash_of(value)),
            ItemText::Status => item.failed = value == "failed",
            // OpenAI: "Search actions incur a tool call cost"; to open a page or to find something in it does not.
            ItemText::Action => item.is_free |= matches!(value, "open_page" | "find_in_page" | "find"),
            ItemText::Container => item.container = Some(hash_of(value)),
            ItemText::Query if value.trim().is_empty() => {}
            ItemText::Query => {
                let is_new = item.queries.add(hash_of(value));
                self.found().overflowed |= is_new.is_none();
            }
        }
    }

    pub(super) fn end(&mut self, place: Place) {
        let found = self.found();
        let mut item = std::mem::take(&mut found.item);
        if item.is_shell && item.container.is_some() {
            item.fee = Fee::Container;
        }
        match place {
            Place::Streamed => found.arrived = Some(item),
            Place::Listed => {
                found.overflowed |= !found.listed.add(&item);
                found.keep_unknown(item);
            }
            Place::Step if item.is_google_search => {
                for query in item.queries.into_hashes() {
                    found.overflowed |= found.queries.add(query).is_none();
                }
            }
            Place::Step => {}
            Place::Executed => {
                found.overflowed |= !found.streamed.add(&item);
                found.keep_unknown(item);
            }
        }
    }

    /// The event says what it is.
    pub(super) fn event(&mut self, is_done: bool) {
        if is_done || self.0.is_some() {
            self.found().is_done = is_done;
        }
    }

    /// The value has ended.
    pub(super) fn value_end(&mut self) {
        let Some(found) = &mut self.0 else { return };
        if let Some(item) = found.arrived.take()
            && std::mem::take(&mut found.is_done)
        {
            found.overflowed |= !found.streamed.add(&item);
            found.keep_unknown(item);
        }
        let listed = std::mem::take(&mut found.listed);
        found.most.most(listed);
    }

    /// A search of the web that grounded the response.
    pub(super) fn query(&mut self, query: &str) {
        if !query.trim().is_empty() {
            let found = self.found();
            found.overflowed |= found.queries.add(hash_of(query)).is_none();
        }
    }

    pub(super) fn set_uses_maps(&mut self) {
        self.found().uses_maps = true;
    }

    /// Calls of a tool, by the items.
    pub(super) fn count(&self, class: Class) -> Option<u64> {
        let found = self.0.as_ref()?;
        let places = [&found.streamed, &found.listed, &found.most];
        let count = |tally: &&Tally| match COUNTED.iter().position(|&counted| counted == class) {
            Some(slot) => tally.counts.get(slot).copied().unwrap_or(0),
            None if class == Class::ContainerSessions => tally.containers.count(),
            None => 0,
        };
        places.iter().map(count).max().filter(|&count| count > 0)
    }

    /// Whether a tool made an image.
    pub(super) fn makes_images(&self) -> bool {
        self.0.as_ref().is_some_and(|found| found.streamed.images.max(found.listed.images).max(found.most.images) > 0)
    }

    /// The distinct searches that grounded the response.
    pub(super) fn queries(&self) -> u64 {
        self.0.as_ref().map_or(0, |found| found.queries.count())
    }

    pub(super) fn uses_maps(&self) -> bool {
        self.0.as_ref().is_some_and(|found| found.uses_maps)
    }

    /// The type of an item that is not known.
    pub(super) fn unknown(&self) -> Option<&str> {
        self.0.as_ref()?.unknown.as_deref()
    }

    /// Whether there were too many to count.
    pub(super) fn overflowed(&self) -> bool {
        self.0.as_ref().is_some_and(|found| found.overflowed)
    }
}

impl Found {
    fn keep_unknown(&mut self, item: Item) {
        if self.unknown.is_none() {
            self.unknown = item.unknown;
        }
    }
}
