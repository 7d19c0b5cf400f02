//! The response of a call: its chunks in, what it says into the record.

use wire::record::{Evidence, Flag, Missing, Record};

use super::ResponseHead;
use super::request::Asked;
use crate::encoding::{self, Decoder};
use crate::framing::{Body, Ending, Format};
use crate::provider::{Api, Fact, Facts, Part, Reading, Target, response_paths};
use crate::rewrite::Mention;
use crate::scan::Paths;

/// A response that has begun.
#[derive(Debug)]
pub(super) struct Response {
    pub status: Option<u64>,
    /// It is the proxy's own: the provider has not responded.
    pub own: bool,
    decoder: Decoder,
    body: Body<Fact>,
    /// Where what is said stands, in the API of the path.
    paths: &'static Paths<Fact>,
    pub facts: Facts,
    /// Whether it names the option that was added, where it can be a refusal.
    pub mention: Option<Mention>,
    /// Bytes of the body, decoded.
    pub bytes: u64,
    pub ending: Option<(encoding::Ending, Ending)>,
}

impl Response {
    pub fn new(head: &ResponseHead<'_>, target: &Target) -> Response {
        Response {
            status: head.status,
            own: false,
            decoder: Decoder::new(head.content_encoding),
            body: Body::new(head.content_type),
            paths: response_paths(target.api, target.endpoint),
            facts: Facts::default(),
            mention: None,
            bytes: 0,
            ending: None,
        }
    }

    /// Whether its body can still say something.
    pub fn reads(&self) -> bool {
        self.ending.is_none() && self.decoder.reads() && self.is_wanted()
    }

    /// A chunk of its body.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Response { decoder, body, paths, facts, mention, bytes: length, .. } = self;
        decoder.feed(bytes, &mut |plain| {
            *length = length.saturating_add(plain.len() as u64);
            body.feed(paths, plain, facts);
            if let Some(mention) = mention {
                mention.feed(plain);
            }
        });
        if !self.is_wanted() {
            // Nothing more of it is wanted: its memory goes now.
            self.decoder.end();
        }
    }

    /// Whether more of it is wanted.
    fn is_wanted(&self) -> bool {
        self.body.format() != Format::Unknown || self.mention.as_ref().is_some_and(Mention::reads)
    }

    /// Ends the body, once: how its coding ended, and how what it says.
    pub fn end(&mut self) -> (encoding::Ending, Ending) {
        let Response { decoder, body, paths, facts, ending, .. } = self;
        *ending.get_or_insert_with(|| (decoder.end(), body.end(paths, facts)))
    }

    /// Writes into the record what it says; returns what other models were used for.
    pub fn fill(&mut self, reading: Reading, asked: &Asked, record: &mut Record) -> Vec<Part> {
        let whole = self.ending.is_some();
        let (coding, ending) = self.end();
        let format = self.body.format();
        record.stream = self.body.is_stream() || (record.stream && format != Format::Json);
        record.raw_usage = self.facts.raw_usage();
        for flag in self.facts.flags.iter().chain(reading.flags) {
            record.flags.insert(flag);
        }
        record.provider_total = reading.total;
        record.provider_cost_nano_usd = self.facts.cost();
        record.response_model = self.facts.model.take();
        record.response_id = self.facts.id.take();
        record.service_tier = self.facts.service_tier.take();
        record.speed = self.facts.speed.take();
        record.inference_geo = self.facts.inference_geo.take();
        if let Some(context) = self.facts.search_context.take() {
            record.search_context = Some(context);
        }
        record.error_type = self.facts.error_type.take();
        let incomplete = !whole || ending != Ending::Whole || coding != encoding::Ending::Whole;
        record.evidence = match (reading.is_reported, reading.complete) {
            (false, _) => Evidence::Missing,
            // What was delivered so far, or what was asked for: nobody has reported that.
            (true, _) if reading.by_units && incomplete => Evidence::Estimated,
            (true, true) => Evidence::Reported,
            (true, false) => Evidence::Partial,
        };
        record.usage = reading.usage;
        record.missing_reason = None;
        if record.evidence == Evidence::Missing {
            record.missing_reason = Some(self.missing(asked, format, (coding, ending), incomplete));
        } else if incomplete {
            record.flags.insert(Flag::BodyIncomplete);
        }
        reading.parts
    }

    fn missing(
        &self,
        asked: &Asked,
        format: Format,
        (coding, ending): (encoding::Ending, Ending),
        incomplete: bool,
    ) -> Missing {
        match (format, ending) {
            _ if coding == encoding::Ending::Unsupported => Missing::EncodedBody,
            _ if self.status.is_some_and(|status| status >= 400) => Missing::ErrorStatus,
            _ if coding == encoding::Ending::TooLarge => Missing::BodyTooLarge,
            (Format::Unknown, _) => Missing::UnknownFormat,
            (_, Ending::Broken) => Missing::MalformedBody,
            _ if coding == encoding::Ending::Broken => Missing::MalformedBody,
            _ if incomplete && !self.facts.terminal => Missing::TruncatedBody,
            (Format::Empty, _) => Missing::NoBody,
            (Format::Sse, _) if !asked.includes_usage() && self.facts.mark == Some(Api::OpenAiChat) => {
                Missing::NotRequested
            }
            _ => Missing::Absent,
        }
    }
}
