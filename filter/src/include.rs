//! Asks a stream for its usage where the client did not, and takes the response to that out again.
//!
//! An announced length of the request goes out with its head, before anybody knows whether it asks for a stream; so the body
//! grows by the same number of bytes in any case. See `meter::rewrite`.

use meter::call::{Call, ResponseHead};
use meter::rewrite::{Ask, Asking, Change, Echo, ROOM, Withhold, changeable};
use meter::scan::is_same;
use wire::record::NotAsked;

use crate::host::{self, Buffer, Failure, HeaderMap, Headers};
use crate::vm;

/// What becomes of one stream.
pub struct Include {
    asks: Asks,
    /// The response says `"usage":null` in every other chunk.
    nulls: bool,
    /// For a response from which something may have to be taken out.
    withhold: Option<Withhold>,
    /// Whether a provider's error can repeat what the client wrote.
    echo: Echo,
}

/// Who asks for usage.
enum Asks {
    /// The plugin, if the client does not.
    Here(Box<Ask>),
    /// The plugin did before Envoy followed a redirect: the request that comes now is the changed one.
    Before,
    /// Nobody but the client can.
    Not(NotAsked),
}

impl Include {
    /// For a request that takes the question, if it has a body.
    pub fn of(
        call: &Call,
        headers: &HeaderMap,
        request_id: Option<&str>,
        allowed: bool,
        end_of_stream: bool,
    ) -> Option<Include> {
        let asking = call.asking();
        let takes = !end_of_stream && asking.is_known();
        // Envoy says so where it has followed a redirect; a client may say so too.
        let asked_before = headers.get("x-envoy-original-url").is_some()
            && vm::with(|vm| vm.redirected.take(request_id)).unwrap_or(false);
        let nulls = asking.says_null();
        match (takes, asked_before) {
            (false, _) => None,
            (true, true) => Some(Include::again(nulls)),
            (true, false) => Some(Include::begin(headers, call.may_be_asked(), nulls, allowed)),
        }
    }

    /// Announces the longer body, if the request may be changed; `here`: the provider is known to take the option, for some
    /// requests at least; `allowed`: the configuration lets it.
    pub fn begin(headers: &HeaderMap, here: bool, nulls: bool, allowed: bool) -> Include {
        let asks = match changeable(|name| headers.get(name)) {
            _ if !allowed => Asks::Not(NotAsked::Disabled),
            _ if !here => Asks::Not(NotAsked::NotKnown),
            Err(reason) => Asks::Not(reason),
            Ok(length) => match announce(headers, length) {
                Ok(()) => Asks::Here(Box::new(Ask::new(length))),
                Err(_) => Asks::Not(NotAsked::Failed),
            },
        };
        let mut echo = Echo::default();
        echo.feed(headers.bytes());
        Include { asks, nulls, withhold: None, echo }
    }

    /// For a request that was asked before Envoy followed a redirect with it.
    pub fn again(nulls: bool) -> Include {
        Include { asks: Asks::Before, nulls, withhold: None, echo: Echo::default() }
    }

    /// Whether the option was added.
    pub fn is_added(&self) -> bool {
        match &self.asks {
            Asks::Here(ask) => ask.is_added(),
            Asks::Before => true,
            Asks::Not(_) => false,
        }
    }

    /// Whether the call is asked for its usage in the client's place.
    pub fn asks(&self) -> bool {
        match &self.asks {
            Asks::Here(ask) => ask.asking() == Asking::Added,
            Asks::Before => true,
            Asks::Not(_) => false,
        }
    }

    /// Whether the call asks for its usage, whoever wrote that.
    pub fn is_asked(&self) -> bool {
        self.asks() || matches!(&self.asks, Asks::Here(ask) if ask.asking() == Asking::Client)
    }

    /// Why the call is not asked for its usage, if it streams.
    pub fn not_asked(&self) -> Option<NotAsked> {
        match &self.asks {
            Asks::Not(reason) => Some(*reason),
            Asks::Here(ask) => match ask.asking() {
                Asking::Not(reason) => Some(reason),
                _ => None,
            },
            Asks::Before => None,
        }
    }

    /// Why the call will not say its usage, as soon as that is certain. Where the provider does not take the option, the client
    /// could not ask, either.
    pub fn objection(&self, call: &Call) -> Option<NotAsked> {
        let reason =
            self.not_asked().filter(|reason| !matches!(reason, NotAsked::NotKnown | NotAsked::RefusedBefore))?;
        let certain = match &self.asks {
            Asks::Here(_) => true,
            _ => call.streams_without_usage() || call.is_request_unread(),
        };
        certain.then_some(reason)
    }

    /// Whether the question is the only thing in the request that can make a provider name it.
    pub fn asks_alone(&self) -> bool {
        matches!(&self.asks, Asks::Here(ask) if ask.is_alone()) && !self.echo.is_possible()
    }

    /// Why the request that comes with the next chunk is not to be asked, if it ends there.
    pub fn set_bar(&mut self, bar: Option<NotAsked>) {
        if let Asks::Here(ask) = &mut self.asks {
            ask.set_bar(bar);
        }
    }

    /// Whether the request's bytes are needed whole, because they may be changed.
    pub fn rewrites(&self) -> bool {
        matches!(&self.asks, Asks::Here(ask) if !ask.is_settled())
    }

    /// A chunk of the request's body, the first `size` bytes of the buffer; `None`: they could not be had, or need not, and
    /// pass as they are.
    pub fn request_body(&mut self, bytes: Option<&[u8]>, size: usize, end_of_stream: bool) -> Result<(), Failure> {
        let Asks::Here(ask) = &mut self.asks else { return Ok(()) };
        match bytes {
            Some(bytes) => self.echo.feed(bytes),
            None if size > 0 => self.echo.unread(),
            None => {}
        }
        let mut out = Vec::new();
        let mut change = match bytes {
            // Frames without content come, too, and at the end.
            _ if size == 0 => Change::None,
            Some(bytes) => ask.feed(bytes, &mut out),
            None => ask.pass(size, &mut out),
        };
        if end_of_stream {
            let last = ask.end(&mut out);
            change = if change == Change::None { last } else { change };
        }
        match change {
            Change::None => Ok(()),
            Change::Behind => host::append_buffer(Buffer::RequestBody, size, &out),
            Change::Whole => host::set_buffer(Buffer::RequestBody, size, &out),
        }
    }

    /// The head of the response: decides whether there will be something to take out.
    pub fn response_head(&mut self, head: &ResponseHead<'_>) -> Result<(), Failure> {
        let is_stream = head.content_type.is_some_and(|value| {
            let value = value.trim_ascii_start();
            value.get(..EVENTS.len()).is_some_and(|start| start.eq_ignore_ascii_case(EVENTS))
        });
        // A response may begin before the request is over.
        let may_be_added = self.is_added() || self.rewrites();
        if !(may_be_added && is_stream && head.content_encoding.is_none()) {
            return Ok(());
        }
        self.withhold = Some(Withhold::new(self.nulls));
        // It will be shorter than was said.
        host::remove_header(Headers::Response, "content-length")
    }

    /// Whether something may be taken out of the response.
    pub fn withholds(&self) -> bool {
        self.withhold.is_some() && self.is_added()
    }

    /// A chunk of the response's body, the first `size` bytes of the buffer; `None`: they could not be had and pass as they
    /// are.
    pub fn response_body(&mut self, bytes: Option<&[u8]>, size: usize, end_of_stream: bool) -> Result<(), Failure> {
        let (Some(withhold), Some(bytes)) = (&mut self.withhold, bytes) else { return Ok(()) };
        let mut out = Vec::with_capacity(size);
        withhold.feed(bytes, &mut out);
        if end_of_stream {
            withhold.end(&mut out);
        }
        if is_same(&out, bytes) { Ok(()) } else { host::set_buffer(Buffer::ResponseBody, size, &out) }
    }
}

const EVENTS: &[u8] = b"text/event-stream";

/// Tells the provider of the longer body, if its length was announced at all, and that the response must be readable.
fn announce(headers: &HeaderMap, length: Option<u64>) -> Result<(), Failure> {
    // First what only changes the response: a compressed one could not be changed back.
    if headers.get("accept-encoding").is_some() {
        host::set_header(Headers::Request, "accept-encoding", "identity")?;
    }
    match length {
        Some(length) => {
            let longer = length.saturating_add(u64::try_from(ROOM).unwrap_or(0));
            host::set_header(Headers::Request, "content-length", &longer.to_string())
        }
        None => Ok(()),
    }
}
