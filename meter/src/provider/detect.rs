//! Which requests are LLM calls, by method, host and path.

use std::borrow::Cow;

use wire::record::{Flag, Flags, ProviderSource};

use super::catalogue::{self, Provider};
use super::destination::Destination;
use super::paths::{Endpoint, Path};
use super::rules::{Detect, Rule};
use super::{Api, Asking, hosts, paths, region};

/// The longest host with a port; longer ones are nobody's.
const MAX_HOST_AND_PORT: usize = hosts::MAX_HOST + ":65535".len();

/// How sure it is that a request is an LLM call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// Host and path say so.
    Known,
    /// The path says so; the request's body must name a model or the response must have an API's counts.
    Path,
    /// Nothing says so yet; the response must have an API's counts or bear its mark.
    Shape,
}

/// What a request is thought to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Who is thought to respond; after [`Target::settle`], who has.
    pub provider: Option<Cow<'static, str>>,
    /// What shows that, when it is settled.
    pub source: Option<ProviderSource>,
    /// The client named a provider's host, and nothing bears it out.
    pub is_unproven: bool,
    /// The host that the upstream was asked for, when it is settled.
    pub upstream_host: Option<String>,
    /// The API that the path belongs to.
    pub api: Option<Api>,
    /// In the words of OpenTelemetry's `gen_ai.operation.name`.
    pub operation: Option<&'static str>,
    /// The model that the path names.
    pub model: Option<String>,
    /// The service that a path of Hugging Face's router names.
    pub(super) service: Option<String>,
    /// Whether it may be asked for its usage.
    pub asking: Asking,
    /// The provider takes the option somewhere, but the path that the client asked for is not known, so the call could not be asked.
    pub may_take_include_usage: bool,
    /// The provider takes the option there, but who it is was known only when the request had left.
    pub is_known_late: bool,
    /// How sure that is.
    pub certainty: Certainty,
    /// The path is known for responses without usage of their own.
    pub is_not_own: bool,
    /// What the path does.
    pub endpoint: Endpoint,
    /// The provider's region.
    pub(super) region: Option<String>,
    /// The region that the path names.
    path_region: Option<String>,
    /// The host that the client asked for; empty if it is too long for one.
    pub(super) claimed_host: Box<[u8]>,
    /// The provider of that host.
    pub(super) claimed: Option<&'static str>,
    /// That host is a gateway's.
    is_gateway: bool,
    /// What is known of the path.
    pub(super) known_path: Option<&'static Path>,
    /// The rules whose conditions on the path are met, a bit each.
    rules: u64,
}

impl Target {
    /// What is known of the provider that the call is thought to go to.
    pub(super) fn known(&self) -> Option<&'static Provider> {
        catalogue::named(self.provider.as_deref()?)
    }

    /// Whether it went to a router, which hands it on to a service.
    pub fn is_routed(&self) -> bool {
        self.known().is_some_and(|provider| provider.router.is_some())
    }

    /// The model of a request that names none, where the provider whose path it is documents one.
    pub fn default_model(&self) -> Option<&'static str> {
        let path = self.known_path.filter(|path| self.known().is_some_and(|provider| provider.paths.contains(path)))?;
        path.default_model.filter(|_| self.model.is_none())
    }

    /// Whether headers of the response may have counts, or say that there is nothing to charge, by who the provider is.
    pub fn counts_in_headers(&self) -> bool {
        self.is_gateway || self.known().is_some_and(|provider| provider.counts_in_headers)
    }

    /// Whether a header of the response may say the region.
    pub fn has_region_in_header(&self) -> bool {
        self.known().is_some_and(|provider| provider.region_in_header)
    }

    /// Whether what a call writes into a cache is charged as input.
    pub fn charges_cache_writes(&self) -> bool {
        self.known().is_some_and(|provider| provider.charges_cache_writes)
    }

    /// The provider behind a gateway, by the name of the model that was asked for.
    pub fn by_model(&self, model: &str) -> Option<&'static str> {
        self.known()?.by_model(model)
    }

    /// Whether the service tier that is asked for is the one that a taken call gets, though its response says nothing.
    pub fn serves_tier_asked(&self) -> bool {
        self.known().is_some_and(|provider| provider.serves_tier_asked)
    }

    /// How many documents a search unit of a rerank has, where no response counts these.
    pub fn documents_per_search(&self) -> Option<u64> {
        self.known()?.documents_per_search
    }

    /// The shortest sound that is charged for, seconds.
    pub fn least_audio_s(&self) -> u64 {
        self.known().map_or(0, |provider| provider.least_audio_s)
    }

    /// What the path names: a model, or else the service behind Hugging Face's router.
    pub fn path_model(&self) -> Option<&str> {
        let service =
            || self.service.as_deref().filter(|_| self.known().is_some_and(|provider| provider.router.is_some()));
        self.model.as_deref().or_else(service)
    }

    /// The host that the client asked for; empty if it is too long for one.
    pub fn claimed_host(&self) -> &[u8] {
        &self.claimed_host
    }

    /// The provider whose host the client asked for.
    pub fn claimed(&self) -> Option<&'static str> {
        self.claimed
    }

    /// What a reader of the counts should know of it.
    pub fn flags(&self) -> Flags {
        let mut flags = Flags::default();
        if self.is_unproven {
            flags.insert(Flag::HostUnproven);
        }
        flags
    }

    /// The provider's region, as far as cluster, host and path say.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The response says in what region it was made; what where the call went says holds.
    pub fn said_region(&mut self, value: &[u8]) {
        self.region = self.region.take().or_else(|| region::of_azure(value));
    }

    /// Takes the model that a path names, and the region, unless they are known.
    pub(super) fn name_model(&mut self, path: &[u8]) {
        self.model = self.model.take().or_else(|| paths::model_of(path));
        let region = || region::of_path(path).or_else(|| region::of_model(self.model.as_deref()?));
        self.path_region = self.path_region.take().or_else(region);
    }

    /// Decides the region by where the call went: the cluster's name first, for no client can bend it.
    pub(super) fn settle_region(&mut self, cluster: Option<&str>, upstream: Option<&[u8]>) {
        let host = || region::of_host(upstream.unwrap_or(&self.claimed_host));
        let region = cluster.and_then(region::of_cluster).or_else(host).or_else(|| self.path_region.clone());
        // Who is not known has no region, and what only a client says is none.
        self.region = region.filter(|_| self.provider.is_some() && !self.is_unproven);
    }

    /// An API and nothing else.
    pub(super) fn of(api: Api) -> Target {
        Target { api: Some(api), ..Target::at(b"", b"", None, 0) }
    }

    /// A host and a path, before anything is decided.
    fn at(host: &[u8], path: &[u8], known_path: Option<&'static Path>, rules: u64) -> Target {
        let of_host = catalogue::provider_of(host).and_then(catalogue::named);
        Target {
            provider: None,
            source: None,
            is_unproven: false,
            upstream_host: None,
            api: None,
            operation: known_path.map(|known_path| known_path.operation),
            model: None,
            service: if catalogue::is_router(host) { paths::service_of(path) } else { None },
            asking: Asking::default(),
            may_take_include_usage: false,
            is_known_late: false,
            certainty: Certainty::Shape,
            is_not_own: false,
            endpoint: known_path.map(|known_path| known_path.endpoint).unwrap_or_default(),
            region: None,
            path_region: None,
            claimed: of_host.map(|provider| provider.by_path(path)),
            is_gateway: of_host.is_some_and(|provider| provider.gateway.is_some()),
            claimed_host: if host.len() <= MAX_HOST_AND_PORT { host.into() } else { Box::default() },
            known_path,
            rules,
        }
    }

    /// The rules for calls of that path that go there.
    pub(super) fn rules<'a>(&self, detect: &'a Detect, to: &dyn Destination) -> impl Iterator<Item = &'a Rule> {
        let fits = self.rules;
        bits().zip(&detect.rules).filter(move |(bit, rule)| fits & bit != 0 && rule.leads(to)).map(|(_, rule)| rule)
    }

    /// Takes a rule or a provider for what holds.
    pub(super) fn decide(&mut self, rule: Option<&Rule>, provider: Option<Cow<'static, str>>) {
        self.api = rule.and_then(|rule| rule.api).or(self.known_path.map(|known_path| known_path.api));
        // A rule that names a path or an API knows what it maps.
        let mapped = rule.is_some_and(|rule| rule.path.is_some() || rule.api.is_some());
        if mapped || (provider.is_some() && self.known_path.is_some()) {
            self.certainty = Certainty::Known;
        }
        self.may_take_include_usage = self.api.is_none() && asking(rule, provider.as_deref()).is_known();
        self.provider = provider;
    }
}

/// What a request is thought to be; `None`: no LLM call. Only the call that creates a response counts: retrieving it
/// again repeats its usage.
///
/// The host is the client's word: it says what to look for and whom to ask for usage, not who is charged
/// ([`Target::settle`]). Of the destination only cluster and route are asked for, where they are needed.
pub fn detect(method: &[u8], host: &[u8], path: &[u8], detect: &Detect, to: &dyn Destination) -> Option<Target> {
    if method != b"POST" {
        return None;
    }
    let path = Spelled::of(path);
    if path.is_not_own() {
        return None;
    }
    let known_path = path.known();
    let fits = |rule: &Rule| path.fits(rule);
    let rules = bits().zip(&detect.rules).filter(|(_, rule)| fits(rule)).fold(0, |all, (bit, _)| all | bit);
    let mut target = Target::at(host, &path.normal, known_path, rules);
    let rule = target.rules(detect, to).find(|rule| rule.is_for(&target.claimed_host));
    let provider = rule.map(|rule| Cow::Owned(rule.provider.clone())).or(target.claimed.map(Cow::Borrowed));
    target.decide(rule, provider);
    if target.certainty == Certainty::Shape {
        match known_path {
            Some(_) => target.certainty = Certainty::Path,
            None if detect.by_shape => {}
            None => return None,
        }
    }
    target.name_model(path.sent);
    if matches!(target.endpoint, Endpoint::Speech | Endpoint::Transcription) {
        target.model = target.model.take().or_else(|| paths::model_in(path.query));
    }
    target.region = target.claimed.and_then(|_| region::of_host(host)).or_else(|| target.path_region.clone());
    if target.api == Some(Api::OpenAiChat) {
        target.asking = whom_to_ask(&target, rule, &path, to);
    }
    Some(target)
}

/// What is known of asking a call for its usage: by the rule, or the client's host, or the name of the cluster. By its host a
/// client may say that it goes where nobody is asked; so if the cluster's name is that of somebody else, this counts.
fn whom_to_ask(target: &Target, rule: Option<&Rule>, path: &Spelled<'_>, to: &dyn Destination) -> Asking {
    if !matches!(target.operation, None | Some("chat" | "text_completion")) {
        return Asking::default();
    }
    let at = |known: Asking, host| known.at(host, target.operation, &path.normal, path.query);
    let claimed = target.claimed.map(|_| &*target.claimed_host);
    let named = asking(rule, target.provider.as_deref());
    if rule.is_some() {
        let cluster = if claimed.is_none() && named.depends_on_host() { to.cluster() } else { None };
        return at(named, claimed.or_else(|| cluster.and_then(hosts::host_of_cluster).map(str::as_bytes)));
    }
    let known = at(named, claimed);
    if (known.is_here() && !known.depends_on_request()) || target.known_path.is_none() {
        return known;
    }
    let Some(cluster) = to.cluster() else { return known };
    let by_cluster = catalogue::provider_of_cluster(cluster).or_else(|| catalogue::provider_named(cluster));
    match by_cluster.map(|provider| catalogue::by_path(provider, &path.normal)) {
        Some(provider) if target.provider.as_deref() != Some(provider) => {
            at(asking(None, Some(provider)), hosts::host_of_cluster(cluster).map(str::as_bytes))
        }
        _ => known,
    }
}

/// Whether a provider may be asked, as a rule says or else as is known of it.
pub(super) fn asking(rule: Option<&Rule>, provider: Option<&str>) -> Asking {
    Asking::of(provider, rule.and_then(|rule| rule.include_usage))
}

/// A path without its query, in the spellings that servers may read it in.
pub(super) struct Spelled<'a> {
    /// As it was sent.
    pub sent: &'a [u8],
    /// What was sent behind the question mark.
    pub query: &'a [u8],
    /// As most servers read it.
    pub normal: Cow<'a, [u8]>,
    /// As those read it that decode slashes before they split, where that makes a difference.
    with_slashes: Option<Vec<u8>>,
}

impl<'a> Spelled<'a> {
    /// Of a path with its query.
    pub(super) fn of(path: &'a [u8]) -> Spelled<'a> {
        let path = path.split(|&byte| byte == b'#').next().unwrap_or_default();
        let sent = path.split(|&byte| byte == b'?').next().unwrap_or_default();
        let query = path.get(sent.len().saturating_add(1)..).unwrap_or_default();
        let normal = paths::normal_path(sent);
        let with_slashes = paths::with_slashes(&normal);
        Spelled { sent, query, normal, with_slashes }
    }

    /// Whether it is one that a rule is for. Where it begins is compared as Envoy's routes do: as it was sent.
    fn fits(&self, rule: &Rule) -> bool {
        let begins = rule.prefix.as_deref().is_none_or(|prefix| paths::begins_with(self.sent, prefix));
        begins && rule.path.as_deref().is_none_or(|pattern| paths::ends_with(&self.normal, pattern))
    }

    /// Whether its response is known to have no usage of its own.
    pub(super) fn is_not_own(&self) -> bool {
        self.all().any(catalogue::is_not_own)
    }

    /// What is known of it.
    pub(super) fn known(&self) -> Option<&'static Path> {
        self.all().find_map(catalogue::path)
    }

    fn all(&self) -> impl Iterator<Item = &[u8]> {
        [Some(&*self.normal), self.with_slashes.as_deref()].into_iter().flatten()
    }
}

/// A bit for each rule; there are no more than bits.
fn bits() -> impl Iterator<Item = u64> {
    (0..u64::BITS).filter_map(|place| 1u64.checked_shl(place))
}
