//! One call on its way: headers and chunks of bodies in, one record out.

mod bound;
mod estimate;
mod finish;
mod outcome;
mod request;
mod response;
mod tell;
mod told;
mod trace;
mod units;

pub use bound::Bound;
pub use finish::Ended;
pub use outcome::Cut;
pub use told::Told;
pub use trace::TraceParent;

use wire::record::NotAsked;
use wire::usage::Usage;

use crate::provider::{Api, Asking, Certainty, Destination, Detect, HEADERS, Target, detect, read};
use crate::rewrite::Mention;
use request::Asked;
use response::Response;

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// `:method`
    pub method: &'a [u8],
    /// `:authority`
    pub host: &'a [u8],
    /// `:path`
    pub path: &'a [u8],
    /// `content-encoding`
    pub content_encoding: Option<&'a [u8]>,
}

/// The head of a response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// `:status`
    pub status: Option<u64>,
    /// `content-type`
    pub content_type: Option<&'a [u8]>,
    /// `content-encoding`
    pub content_encoding: Option<&'a [u8]>,
}

/// The headers of a response that say something of its usage; ask for them only if [`Call::reads_headers`].
pub fn counting_headers() -> impl Iterator<Item = &'static str> {
    HEADERS.iter().map(|(name, _)| *name)
}

/// A call on its way: headers and chunks of bodies in, one record out.
///
/// ```
/// use meter::call::{Call, Ended, RequestHead, ResponseHead};
/// use meter::config;
/// use meter::estimate::Ratios;
/// use wire::usage::Class;
///
/// let rules = config::parse(b"{}")?.detect;
/// let head = RequestHead {
///     method: b"POST",
///     host: b"api.openai.com",
///     path: b"/v1/chat/completions",
///     content_encoding: None,
/// };
/// let mut call = Call::begin(&head, &rules, 0).ok_or("not a call to a model")?;
/// call.request_body(br#"{"model": "gpt-5", "messages": []}"#);
///
/// call.response_head(&ResponseHead {
///     status: Some(200),
///     content_type: Some(b"application/json"),
///     content_encoding: None,
/// });
/// // Chunks may be cut anywhere.
/// call.response_body(br#"{"object": "chat.completion", "model": "gpt-5-2025-08-07", "usage": {"prompt_to"#);
/// call.response_body(br#"kens": 19, "completion_tokens": 10, "total_tokens": 29}}"#);
/// call.response_end();
///
/// let records = call.finish(Ended { now_ns: 1_000_000, ..Ended::default() }, &mut Ratios::default());
/// assert_eq!(records[0].response_model.as_deref(), Some("gpt-5-2025-08-07"));
/// assert_eq!(records[0].usage.get(Class::InputText), Some(19));
/// assert_eq!(records[0].usage.output_total(), Some(10));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Call {
    target: Target,
    started_ns: u64,
    first_byte_ns: Option<u64>,
    asked: Asked,
    response: Option<Response>,
}

impl Call {
    /// Begins a call, if the request can be one, where nothing is known of where it will go.
    pub fn begin(head: &RequestHead<'_>, rules: &Detect, now_ns: u64) -> Option<Call> {
        Call::begin_to(head, &(), rules, now_ns)
    }

    /// Begins a call, if the request can be one.
    pub fn begin_to(head: &RequestHead<'_>, to: &dyn Destination, rules: &Detect, now_ns: u64) -> Option<Call> {
        let target = detect(head.method, head.host, head.path, rules, to)?;
        let asked = Asked::new(head.content_encoding, target.endpoint);
        Some(Call { target, started_ns: now_ns, first_byte_ns: None, asked, response: None })
    }

    /// The request's content type: given before its body.
    pub fn request_type(&mut self, content_type: &[u8]) {
        self.asked.set_type(content_type);
    }

    /// What makes it a call, by all that is known now.
    pub fn certainty(&self) -> Certainty {
        self.target.certainty
    }

    /// What is known, by host and path, of whether the provider takes `stream_options.include_usage`.
    pub fn asking(&self) -> Asking {
        self.target.asking
    }

    /// Whether, by host and path, it takes it for some requests at least.
    pub fn may_be_asked(&self) -> bool {
        self.target.asking.is_here() && self.target.asking.takes(self.target.model.as_deref().into_iter(), 0)
    }

    /// Why the call is not to be asked for its usage, by all that the request has said so far; to be believed when its body's
    /// value is over.
    pub fn bar(&self) -> Option<NotAsked> {
        if self.asked.is_unread() && self.target.asking.depends_on_request() {
            return Some(NotAsked::NotKnown);
        }
        let models = self.target.model.as_deref().into_iter().chain(self.asked.model());
        (!self.target.asking.takes(models, self.asked.barring())).then_some(NotAsked::NotKnown)
    }

    /// The model that is asked for: the one that the path names, or else the body.
    pub fn model_asked(&self) -> Option<&str> {
        self.target.model.as_deref().or(self.asked.model())
    }

    /// Which kind of request it is, as servers may tell them apart that take an option or refuse it.
    pub fn kind_asked(&self) -> &'static str {
        match self.target.operation {
            Some("chat") if self.asked.weight().has_tools => "chat with tools",
            operation => operation.unwrap_or_default(),
        }
    }

    /// The model that the record will have as the one that was asked for: the body's, or else the one that the path names.
    pub fn request_model(&self) -> Option<&str> {
        self.asked.model().or(self.target.model.as_deref())
    }

    /// The API that its path belongs to.
    pub fn api(&self) -> Option<Api> {
        self.target.api
    }

    /// When it began, nanoseconds since the Unix epoch.
    pub fn started_ns(&self) -> u64 {
        self.started_ns
    }

    /// The host that the client asked for; empty if it is too long for one.
    pub fn claimed_host(&self) -> &[u8] {
        self.target.claimed_host()
    }

    /// Whether the client asked for a provider's host: then it takes a proof that the call went there.
    pub fn needs_proof(&self) -> bool {
        self.target.claimed().is_some()
    }

    /// The call has gone where it goes: decides which provider it was, before [`Call::finish`]. Returns whether that is somebody else
    /// than was thought before.
    pub fn settle(&mut self, to: &dyn Destination, rules: &Detect) -> bool {
        let before = self.target.provider.clone();
        self.target.settle(to, rules);
        self.target.provider != before
    }

    /// The filter asks for usage in the client's place.
    pub fn asked_for_usage(&mut self) {
        self.asked.set_includes_usage();
    }

    /// Whether the request has said that it asks for a stream, and not for its usage.
    pub fn streams_without_usage(&self) -> bool {
        self.asked.streams_without_usage()
    }

    /// Whether nobody can tell what the request asks for: its body is no JSON, or in a coding that cannot be undone.
    pub fn is_request_unread(&self) -> bool {
        self.asked.is_unread()
    }

    /// Whether a response has begun.
    pub fn has_response(&self) -> bool {
        self.response.is_some()
    }

    /// Whether the provider has begun to respond.
    pub fn has_upstream_response(&self) -> bool {
        self.response.as_ref().is_some_and(|response| !response.own)
    }

    /// The response that has begun is the proxy's own, in the place of one that did not come: given after
    /// [`Call::response_head`].
    pub fn local_reply(&mut self) {
        if let Some(response) = &mut self.response {
            response.own = true;
        }
    }

    /// Whether the request's body can still say something.
    pub fn reads_request(&self) -> bool {
        self.asked.reads()
    }

    /// A chunk of the request's body.
    pub fn request_body(&mut self, bytes: &[u8]) {
        self.asked.feed(bytes);
    }

    /// So many bytes of the request's body went by unread.
    pub fn request_passed(&mut self, bytes: usize) {
        self.asked.passed(bytes);
    }

    /// The response begins. A second head (Envoy's own response in place of the provider's) replaces the first.
    pub fn response_head(&mut self, head: &ResponseHead<'_>) {
        self.response = Some(Response::new(head, &self.target));
    }

    /// The response is one to a question of the filter's, and nothing in the request explains it if it names that: given after
    /// [`Call::response_head`].
    pub fn await_refusal(&mut self) {
        if let Some(response) = self.response.as_mut().filter(|response| Mention::is_for(response.status)) {
            response.mention = Some(Mention::default());
        }
    }

    /// Whether the provider refuses the question, once its response has arrived whole.
    pub fn is_asking_refused(&self) -> bool {
        let whole = self.response.as_ref().filter(|response| response.ending.is_some());
        whole.and_then(|response| response.mention.as_ref()).is_some_and(Mention::is_found)
    }

    /// Whether headers of the response may say something of its usage.
    pub fn reads_headers(&self) -> bool {
        let apis = [Api::BedrockInvoke, Api::BedrockConverse, Api::Gemini, Api::GeminiInteractions];
        self.target.api.is_some_and(|api| apis.contains(&api)) || self.target.counts_in_headers()
    }

    /// A header of [`counting_headers`], given after [`Call::response_head`].
    pub fn response_header(&mut self, name: &str, value: &[u8]) {
        let header = HEADERS.iter().find(|(known, _)| *known == name);
        if let (Some(response), Some((_, header))) = (&mut self.response, header)
            && response.status.is_some_and(|status| status < 400)
        {
            response.facts.header(*header, value);
        }
    }

    /// Whether a header of the response may say in what region it was made.
    pub fn reads_region(&self) -> bool {
        self.target.has_region_in_header()
    }

    /// The value of that header, `x-ms-region`.
    pub fn response_region(&mut self, value: &[u8]) {
        self.target.said_region(value);
    }

    /// Whether the response's body can still say something; if not, its bytes need not be fetched.
    pub fn reads_response(&self) -> bool {
        self.response.as_ref().is_some_and(Response::reads)
    }

    /// The response's body has begun to arrive; of several words the first counts.
    pub fn first_byte(&mut self, now_ns: impl FnOnce() -> u64) {
        self.first_byte_ns.get_or_insert_with(now_ns);
    }

    /// A chunk of the response's body.
    pub fn response_body(&mut self, bytes: &[u8]) {
        if let Some(response) = self.response.as_mut().filter(|response| response.ending.is_none()) {
            response.feed(bytes);
        }
    }

    /// The response has arrived whole. Said again, nothing happens.
    pub fn response_end(&mut self) {
        if let Some(response) = &mut self.response {
            response.end();
        }
    }

    /// Whether a good response has arrived whole: then how the call ended is no question any more.
    pub fn is_completed(&self) -> bool {
        self.response
            .as_ref()
            .is_some_and(|response| response.ending.is_some() && response.status.is_some_and(|status| status < 400))
    }

    /// Who took it, if that is known and the path is not: if there is no record of it, that is worth a word.
    pub fn took_unknown_path(&self) -> Option<String> {
        let is_taken = |response: &Response| !response.own && response.status.is_some_and(|status| status < 400);
        let is_unknown = self.target.certainty == Certainty::Shape && !self.target.is_not_own;
        let taken = is_unknown && self.response.as_ref().is_some_and(is_taken);
        taken.then(|| self.target.provider.as_deref().map(str::to_owned)).flatten()
    }

    /// The counts so far; final after [`Call::response_end`].
    #[inline(never)] // The reading of all APIs is in it.
    pub fn usage(&self) -> Option<Usage> {
        let response = self.response.as_ref()?;
        let usage = read(self.api_of(response)?, &response.facts, &self.target).usage;
        (!usage.is_empty()).then_some(usage)
    }
}

#[cfg(test)]
mod tests;
