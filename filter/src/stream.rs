//! One HTTP stream: hands its heads and chunks to a call, and makes the record when it is over.
//!
//! Every callback lets the stream go on, whatever metering makes of it. The bytes are only looked at, but for one case:
//! a stream of an API that counts only if asked is asked, and the response to that is taken out again (`include`).

mod refusing;

use std::rc::Rc;

use delivery::lease::{Refusal, Ticket};
use meter::call::{Call, Ended, RequestHead, ResponseHead, Told, TraceParent, counting_headers};
use meter::config::Config;
use meter::identity;
use meter::signals::{Known, When};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use wire::event::{LOGGED, MAX_TEXT};
use wire::identity::Identity;
use wire::record::{Flag, Outcome, ProviderSource};

use crate::alias;
use crate::budgets::{self, Arriving};
use crate::caller::EnvoyCaller;
use crate::destination::{self, EnvoyDestination};
use crate::host::{self, Buffer, Failure, Headers};
use crate::include::Include;
use crate::mark::Mark;
use crate::publish::Published;
use crate::refusals;
use crate::response_flags;
use crate::vm::{self, Vm};
use refusing::{Asked, Refused};

/// So much of a body is fetched at once, bytes. Envoy hands over up to a megabyte; in pieces it takes less of the VM's memory,
/// and a piece is read while it is in the processor's caches.
const PIECE: usize = 64 * 1024;

/// What a metered stream carries from its beginning to its end.
struct Metered {
    call: Call,
    identity: Identity,
    include: Option<Include>,
    /// The plugin itself responded to the call.
    refused: Option<Refused>,
    /// It will, when Envoy has said that the request is over.
    refusal: Option<Refusal>,
    /// How much of the request has come.
    arriving: Arriving,
    /// What it has reserved of budgets; none: they have not been asked whether it may pass.
    ticket: Option<Ticket>,
    request_id: Option<String>,
    trace: Option<TraceParent>,
    told: Told,
    provider_request_id: Option<String>,
    /// The provider refused to be asked, and that is known.
    unasked: bool,
    /// The single values that are in the filter state.
    published: Published,
    /// A header of Envoy's that comes to it is Envoy's.
    is_clean: bool,
    /// By which other instances of the plugin leave it to this one.
    mark: Mark,
}

/// A stream; `metered` is empty if it is no LLM call, and after its record is made.
pub struct Stream {
    config: Option<Rc<Config>>,
    metered: Option<Box<Metered>>,
}

impl Stream {
    pub fn new(config: Option<Rc<Config>>) -> Self {
        Stream { config, metered: None }
    }

    fn begin(&mut self, end_of_stream: bool) -> Option<Box<Metered>> {
        let config = self.config.as_deref()?;
        let headers = known(host::headers(Headers::Request).map(Some))?;
        #[cfg(feature = "trap")]
        crate::trap::on_request(&headers);
        let header = |name: &str| headers.get(name);
        let head = RequestHead {
            method: header(":method")?,
            host: header(":authority").unwrap_or_default(),
            path: header(":path")?,
            content_encoding: header("content-encoding"),
        };
        let mut call = Call::begin_to(&head, &EnvoyDestination::default(), &config.detect, host::now_ns())?;
        header("content-type").into_iter().for_each(|kind| call.request_type(kind));
        let mark = Mark::of(config, &call);
        if mark.is_left_to_another() {
            vm::with(Vm::count_already_metered);
            return None;
        }
        let caller = EnvoyCaller(&headers);
        let identity = identity::resolve(&config.tenant, &caller, |refusal| {
            vm::with(|vm| vm.count_refusal(refusal));
        });
        let told = Told::read(config, &caller);
        let mut published = Published::default();
        published.so_far(config, &call, &identity, told.session_id.as_deref(), When::Head);
        let request_id = header("x-request-id").and_then(text);
        let include = Include::of(&call, &headers, request_id.as_deref(), config.include_usage, end_of_stream);
        Some(Box::new(Metered {
            include,
            is_clean: call.needs_proof() && destination::cleaned(&headers),
            call,
            identity,
            refused: None,
            refusal: None,
            arriving: Arriving::new(header("content-length")),
            ticket: None,
            unasked: false,
            request_id,
            trace: header("traceparent").and_then(TraceParent::parse),
            told,
            provider_request_id: None,
            published,
            mark,
        }))
    }

    /// The response is complete.
    fn responded(&mut self) {
        if let Some(metered) = &mut self.metered {
            metered.call.response_end();
        }
        self.hear_refusal();
        self.publish(When::Response);
    }

    /// Rate limits and span attributes read values before the stream is over.
    fn publish(&mut self, now: When) {
        if let (Some(metered), Some(config)) = (self.metered.as_deref_mut(), self.config.as_deref()) {
            let Metered { call, identity, told, published, .. } = metered;
            published.so_far(config, call, identity, told.session_id.as_deref(), now);
        }
    }

    /// Makes the record, once: on_log comes whatever ends the stream.
    fn finish(&mut self) {
        let Some(mut metered) = self.metered.take() else { return };
        let mut ticket = metered.ticket.take();
        self.record(*metered, &mut ticket);
        // Of a call without an event.
        budgets::release(ticket.unwrap_or_default());
    }

    fn record(&self, metered: Metered, ticket: &mut Option<Ticket>) {
        let Metered {
            mut call,
            identity,
            include,
            refused,
            request_id,
            trace,
            told,
            provider_request_id,
            mut published,
            is_clean,
            mark,
            ..
        } = metered;
        if !call.has_response() && is_sent_elsewhere() {
            // The same request comes again in another stream, and what comes of that is the call.
            if include.as_ref().is_some_and(Include::is_added) {
                vm::with(|vm| vm.redirected.add(request_id.as_deref()));
            }
            return;
        }
        let now_ns = host::now_ns();
        // The dearest question of all (2.7 µs), asked only where the response does not say itself how the call ended.
        let flags = if call.is_completed() { None } else { known(host::number("response\0flags")) };
        let to = EnvoyDestination::at_end(is_clean);
        if let Some(config) = &self.config {
            call.settle(&to, &config.detect);
        }
        let (cluster, route) = to.into_names();
        let ended = Ended {
            now_ns,
            cut: flags.and_then(response_flags::cut),
            identity,
            attempts: known(host::number("upstream\0request_attempt_count")),
            sent: !call.has_upstream_response() && is_connected(),
            provider_request_id,
            request_id,
            trace,
            told,
            proxy: vm::with(|vm| vm.proxy().map(str::to_owned)).flatten(),
            route,
            cluster,
            node: vm::with(|vm| vm.node().map(str::to_owned)).flatten(),
            node_cluster: vm::with(|vm| vm.node_cluster().map(str::to_owned)).flatten(),
            not_asked: include.as_ref().and_then(Include::not_asked),
            refused_by: refused.map(Refused::into_text),
        };
        let unknown_path = call.took_unknown_path();
        let asked = Asked::of(include.as_ref(), &call);
        let Some(records) = vm::with(|vm| call.finish(ended, &mut vm.ratios)) else { return vm::unrecorded() };
        let Some(record) = records.first() else {
            if let Some(provider) = unknown_path {
                vm::with(|vm| vm.count_unknown_path(&provider));
            }
            return;
        };
        let Some(config) = self.config.as_deref() else { return };
        if mark.is_taken_over() {
            vm::with(Vm::count_already_metered);
            return;
        }
        if let Some(asked) = asked {
            asked.hear(record);
        }
        if record.flags.contains(Flag::HostUnproven) && record.outcome != Outcome::NotSent {
            vm::with(|vm| vm.warn_of_unproven(record));
        } else if record.provider_source == Some(ProviderSource::Shape) && record.outcome == Outcome::Completed {
            vm::with(|vm| vm.warn_of_unmapped(record));
        }
        // What a provider's counts mean may depend on who it is, and that is known only now.
        published.write(&config.publish, &Known::of(record));
        alias::learn(config.collector.as_ref());
        let (send, logs) = (config.collector.is_some(), config.journal_log);
        if vm::with(|vm| vm.emit(&records, now_ns, send, ticket, |events| journal(events, logs))).is_none() {
            vm::unrecorded();
        }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _headers: usize, end_of_stream: bool) -> Action {
        self.metered = self.begin(end_of_stream);
        if end_of_stream {
            self.publish(When::Request);
        }
        self.refuses(end_of_stream, end_of_stream)
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let mut is_over = end_of_stream;
        if let Some(Metered { call, include, refused: None, refusal: None, arriving, .. }) = self.metered.as_deref_mut()
        {
            is_over |= arriving.add(size);
            // What may be changed is needed whole.
            let whole = include.as_ref().is_some_and(|include| size > 0 && include.rewrites());
            let bytes = if whole { known(host::buffer(Buffer::RequestBody, 0..size)) } else { None };
            match &bytes {
                Some(bytes) => call.request_body(bytes),
                None if !call.reads_request() => call.request_passed(size),
                None => read(Buffer::RequestBody, size, call, Call::reads_request, Call::request_body),
            }
            if let Some(include) = include {
                if whole && (call.streams_without_usage() || call.is_request_unread()) {
                    include.set_bar(refusals::bar(call));
                }
                known(include.request_body(bytes.as_deref(), size, end_of_stream).map(Some));
                if include.asks() {
                    call.asked_for_usage();
                }
            }
        }
        if is_over {
            self.publish(When::Request);
        }
        self.refuses(is_over, end_of_stream)
    }

    /// With trailers the end of the body is not said.
    fn on_http_request_trailers(&mut self, _trailers: usize) -> Action {
        self.refuses(true, true)
    }

    fn on_http_response_headers(&mut self, _headers: usize, end_of_stream: bool) -> Action {
        if let Some(metered) = &mut self.metered
            && let Some(headers) = known(host::headers(Headers::Response).map(Some))
        {
            let head = ResponseHead {
                status: headers.get(":status").and_then(|status| std::str::from_utf8(status).ok()?.parse().ok()),
                content_type: headers.get("content-type"),
                content_encoding: headers.get("content-encoding"),
            };
            metered.call.response_head(&head);
            if head.status.is_some_and(|status| status >= 400) && is_own() {
                metered.call.local_reply();
            }
            if metered.call.reads_headers() {
                for name in counting_headers() {
                    if let Some(value) = headers.get(name) {
                        metered.call.response_header(name, value);
                    }
                }
            }
            if let Some(region) = headers.get("x-ms-region").filter(|_| metered.call.reads_region()) {
                metered.call.response_region(region);
            }
            // OpenAI's name, Anthropic's, AWS's.
            let ids = ["x-request-id", "request-id", "x-amzn-requestid"];
            metered.provider_request_id = ids.iter().find_map(|name| headers.get(name)).and_then(text);
            if let Some(include) = &mut metered.include {
                known(include.response_head(&head).map(Some));
                if include.asks_alone() {
                    metered.call.await_refusal();
                }
            }
        }
        if end_of_stream {
            self.responded();
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        #[cfg(feature = "trap")]
        crate::trap::on_response();
        if let Some(Metered { call, include, refused: None, .. }) = self.metered.as_deref_mut() {
            if size > 0 {
                call.first_byte(host::now_ns);
            }
            match include.as_mut().filter(|include| include.withholds()) {
                None => read(Buffer::ResponseBody, size, call, Call::reads_response, Call::response_body),
                Some(include) => {
                    let fetch = || known(host::buffer(Buffer::ResponseBody, 0..size));
                    let bytes = if size > 0 { fetch() } else { Some(Vec::new()) };
                    if let Some(bytes) = &bytes {
                        call.response_body(bytes);
                    }
                    known(include.response_body(bytes.as_deref(), size, end_of_stream).map(Some));
                }
            }
        }
        if end_of_stream {
            self.responded();
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _trailers: usize) -> Action {
        self.responded();
        Action::Continue
    }

    fn on_log(&mut self) {
        self.finish();
    }
}

/// Whether Envoy follows a redirect of the provider's itself; the filters see nothing of such a response.
fn is_sent_elsewhere() -> bool {
    known(host::property("response\0code_details")).is_some_and(|details| details == b"internal_redirect")
}

/// Whether the response whose head has come is Envoy's own: a timeout, a reset, a limit, a refusal.
fn is_own() -> bool {
    known(host::property("response\0code_details"))
        .is_some_and(|details| !details.is_empty() && details != b"via_upstream")
}

/// Whether the request got a connection to the provider. Envoy counts an attempt before it has one.
fn is_connected() -> bool {
    known(host::property("upstream\0local_address")).is_some_and(|address| !address.is_empty())
}

/// Hands events to the access log, and to Envoy's own on demand.
fn journal(events: &[u8], logs: bool) -> Result<(), Failure> {
    host::set_property("meshmeter", events)?;
    if logs {
        for line in String::from_utf8_lossy(events).lines() {
            host::log(&format!("{LOGGED}{line}"))?;
        }
    }
    Ok(())
}

/// Fetches a chunk that stays as it is, piece by piece, for as long as the call wants it.
fn read(kind: Buffer, size: usize, call: &mut Call, wants: impl Fn(&Call) -> bool, feed: impl Fn(&mut Call, &[u8])) {
    for start in (0..size).step_by(PIECE) {
        if !wants(call) {
            return;
        }
        if let Some(bytes) = known(host::buffer(kind, start..start.saturating_add(PIECE).min(size))) {
            feed(call, &bytes);
        }
    }
}

/// What the host knows; a failure is counted and otherwise like not knowing.
pub fn known<T>(response: Result<Option<T>, Failure>) -> Option<T> {
    response.unwrap_or_else(|failure| {
        vm::with(|vm| vm.count_failure(failure));
        None
    })
}

/// A short text of a header or property, as the record keeps it.
pub fn text(value: impl AsRef<[u8]>) -> Option<String> {
    let value = value.as_ref();
    let value = value.get(..MAX_TEXT).unwrap_or(value);
    // Lossy decoding takes its time, and finds nothing to do.
    let text = std::str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value).into_owned(), str::to_owned);
    (!text.is_empty()).then_some(text)
}
