//! The provider, by where the call went: what a client says of that is believed only where something bears it out.

use std::borrow::Cow;
use std::cell::OnceCell;

use wire::record::ProviderSource;

use super::detect::{Certainty, Spelled, Target, asking};
use super::rules::{Detect, Rule};
use super::{Api, catalogue, hosts, paths};

/// Where a call goes, as the proxy knows it. A question may cost a hostcall, so each is asked only where its response decides.
pub trait Destination {
    /// Envoy's cluster; known as soon as the route is.
    fn cluster(&self) -> Option<&str>;
    /// Envoy's route; known as soon as the cluster.
    fn route(&self) -> Option<&str>;
    /// The host that the upstream was asked for, after rewriting.
    fn host(&self) -> Option<String>;
    /// The path that the upstream was asked for, after rewriting.
    fn path(&self) -> Option<String>;
    /// The first name of the upstream's certificate.
    fn certificate(&self) -> Option<String>;
    /// Whether the proxy has put a host in the place of the client's, be it the same.
    fn is_rewritten(&self) -> bool {
        false
    }
}

/// Nothing is known.
impl Destination for () {
    fn cluster(&self) -> Option<&str> {
        None
    }
    fn route(&self) -> Option<&str> {
        None
    }
    fn host(&self) -> Option<String> {
        None
    }
    fn path(&self) -> Option<String> {
        None
    }
    fn certificate(&self) -> Option<String> {
        None
    }
}

/// The provider without a rule that says so.
struct Shown {
    provider: Option<&'static str>,
    source: ProviderSource,
    /// The client named a provider's host, and nothing bears it out.
    is_unproven: bool,
}

impl Shown {
    fn by(provider: &'static str, source: ProviderSource) -> Shown {
        Shown { provider: Some(provider), source, is_unproven: false }
    }

    fn nobody(is_unproven: bool) -> Shown {
        Shown { provider: None, source: ProviderSource::Shape, is_unproven }
    }
}

impl Target {
    /// Decides which provider it was, when the call has gone where it goes. Whether it was a call, and what was asked of it, had to be
    /// decided before.
    pub fn settle(&mut self, to: &dyn Destination, detect: &Detect) {
        let upstream = OnceCell::new();
        let host = || upstream.get_or_init(|| to.host()).as_deref().map(str::as_bytes);
        // A rule's host is the one that Envoy asked the upstream for, or else the one that the client asked for.
        let rule =
            self.rules(detect, to).find(|rule| rule.host.is_none() || host().is_some_and(|host| rule.is_for(host)));
        let rule = rule.or_else(|| self.rules(detect, to).find(|rule| rule.is_for(&self.claimed_host)));
        let (provider, source) = match rule {
            Some(rule) => (Some(Cow::Owned(rule.provider.clone())), rule.source()),
            None => {
                let shown = self.shown(to, detect, host);
                self.is_unproven = shown.is_unproven;
                (shown.provider.map(|provider| Cow::Borrowed(self.by_path(provider, to))), shown.source)
            }
        };
        self.decide(rule, provider);
        self.source = Some(source);
        self.is_known_late = self.could_be_asked(rule, to, host);
        if self.known_path.is_none() && self.provider.is_some() {
            self.read_path(to.path());
        }
        self.settle_region(to.cluster(), host());
        if self.known().is_some_and(|provider| provider.router.is_some())
            && let Some(host) = host()
        {
            let path = if catalogue::is_router(host) { to.path() } else { None };
            let service = |path: String| paths::service_of(&paths::normal_path(Spelled::of(path.as_bytes()).sent));
            self.service = path.map_or(self.service.take().filter(|_| catalogue::is_router(host)), service);
        }
        self.upstream_host = upstream.into_inner().flatten();
    }

    /// The provider, before the host is known that the upstream is asked for: by what no client can bend. Where a provider's
    /// host has several services, the path decides, and that is not known either.
    pub fn provider_so_far<'a>(&'a self, to: &dyn Destination, detect: &Detect) -> Option<Cow<'a, str>> {
        if let Some(rule) = self.rules(detect, to).find(|rule| rule.host.is_none()) {
            return Some(Cow::Owned(rule.provider.clone()));
        }
        let provider = self.shown(to, detect, || None).provider?;
        (!catalogue::depends_on_path(provider)).then_some(Cow::Borrowed(provider))
    }

    /// The provider without a rule that says so.
    fn shown<'h>(&self, to: &dyn Destination, detect: &Detect, upstream: impl FnOnce() -> Option<&'h [u8]>) -> Shown {
        let (claimed, cluster) = (self.claimed, to.cluster());
        if let Some(provider) = cluster.and_then(catalogue::provider_of_cluster) {
            return Shown::by(provider, ProviderSource::Cluster);
        }
        // Anything may be called `openai`; that the operator and the client mean the same is enough.
        if let Some(provider) = claimed.filter(|provider| cluster == Some(*provider)) {
            return Shown::by(provider, ProviderSource::Cluster);
        }
        // The operator's word in the place of the client's, which says nothing any more.
        if let Some(host) = upstream().filter(|host| !hosts::is_same(host, &self.claimed_host)) {
            let provider = catalogue::provider_of(host);
            return provider.map_or(Shown::nobody(false), |provider| Shown::by(provider, ProviderSource::Rewritten));
        }
        let Some(claimed) = claimed else { return Shown::nobody(false) };
        if detect.trust_host {
            return Shown::by(claimed, ProviderSource::TrustedHost);
        }
        if to.certificate().is_some_and(|name| hosts::covers(&name, &self.claimed_host)) {
            return Shown::by(claimed, ProviderSource::Certificate);
        }
        // The host is the one that was claimed, and the operator's word all the same.
        if to.is_rewritten() {
            return Shown::by(claimed, ProviderSource::Rewritten);
        }
        Shown::nobody(true)
    }

    /// Whether a call that was not asked could have been, had it been known to whom it goes.
    fn could_be_asked<'h>(
        &self,
        rule: Option<&Rule>,
        to: &dyn Destination,
        host: impl FnOnce() -> Option<&'h [u8]>,
    ) -> bool {
        let known = asking(rule, self.provider.as_deref());
        // What is asked for has to be known; the path costs a hostcall.
        let asks = self.api == Some(Api::OpenAiChat) && matches!(self.operation, Some("chat" | "text_completion"));
        if self.asking.is_known() || !asks || !known.is_known() {
            return false;
        }
        let path = to.path().unwrap_or_default();
        let path = Spelled::of(path.as_bytes());
        known.at(host(), self.operation, &path.normal, path.query).is_here()
    }

    /// The provider by the path that the upstream was asked for, where a host has several services.
    fn by_path(&self, provider: &'static str, to: &dyn Destination) -> &'static str {
        let path = if catalogue::depends_on_path(provider) { to.path() } else { None };
        path.map_or(provider, |path| {
            catalogue::by_path(provider, &paths::normal_path(Spelled::of(path.as_bytes()).sent))
        })
    }

    /// Reads the path as the upstream saw it, where the one that the client asked for says nothing.
    fn read_path(&mut self, path: Option<String>) {
        let Some(path) = path else { return };
        let path = Spelled::of(path.as_bytes());
        self.is_not_own = path.is_not_own();
        if let Some(known_path) = path.known() {
            self.api = self.api.or(Some(known_path.api));
            self.operation = Some(known_path.operation);
            self.endpoint = known_path.endpoint;
            self.certainty = Certainty::Known;
        }
        self.name_model(path.sent);
    }
}
