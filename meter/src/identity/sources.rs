//! What the configuration says of where the tenant and the tags come from.

use wire::identity::Source;

use super::api_key::ApiKeys;
use super::pattern::Pattern;

/// Where a tenant comes from: an identity, and how it names the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantSource {
    /// The identity.
    pub shows: Shows,
    /// Its pattern; without one it is the tenant itself, or a part of it is.
    pub pattern: Option<Pattern>,
}

/// An identity that a source shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shows {
    /// The SPIFFE id of the client certificate.
    Spiffe {
        /// The part of the id that is the tenant.
        take: SpiffePart,
        /// The trust domains that count; none named: the proxy's own.
        trust_domains: Vec<String>,
    },
    /// Another name in the client certificate.
    Certificate(San),
    /// The client certificate that a proxy in front has checked, as `x-forwarded-client-cert` tells it.
    Xfcc {
        /// Which of its names.
        san: San,
        /// How many proxies stand between that one and this.
        hops: usize,
        /// Whether the header counts.
        trusted: bool,
    },
    /// What the proxy says of itself: a path in its node's metadata.
    Node(Vec<String>),
    /// A claim that is a list, of which one element counts.
    Element {
        /// The path of the claim.
        claim: Vec<String>,
        /// jwt_authn's `payload_in_metadata`.
        payload_key: String,
        /// Which one.
        element: Element,
    },
    /// An API key that the configuration knows by its hash.
    ApiKey(ApiKeys),
    /// A claim or a header.
    Value(ValueSource),
}

/// A kind of name in a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum San {
    /// A URI.
    Uri,
    /// A host name.
    Dns,
    /// An e-mail address.
    Email,
}

/// Which element of a list counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// The first.
    First,
    /// The one that the pattern matches.
    Matching,
}

/// Where a value comes from that a tenant or a tag can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueSource {
    /// A claim of the JWT that Envoy's jwt_authn verified.
    Jwt {
        /// The path of the claim.
        claim: Vec<String>,
        /// jwt_authn's `payload_in_metadata`.
        payload_key: String,
    },
    /// A request header.
    Header {
        /// Its name, in lower case.
        name: String,
        /// Whether its value counts; if not, requests that name a tenant by it are counted.
        trusted: bool,
    },
}

/// A tag, and where its value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRule {
    /// Its name.
    pub name: String,
    /// Where its value comes from.
    pub from: ValueSource,
}

/// The part of a SPIFFE id that names a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpiffePart {
    /// The segment behind `ns`.
    Namespace,
    /// Everything behind the trust domain.
    Path,
    /// The trust domain.
    TrustDomain,
}

impl Shows {
    /// What a record says of it.
    pub(super) fn word(&self) -> Source {
        match self {
            Shows::Spiffe { .. } => Source::Spiffe,
            Shows::Certificate(_) => Source::Certificate,
            Shows::Xfcc { .. } => Source::Xfcc,
            Shows::Node(_) => Source::Node,
            Shows::ApiKey(_) => Source::ApiKey,
            Shows::Element { .. } | Shows::Value(ValueSource::Jwt { .. }) => Source::Jwt,
            Shows::Value(ValueSource::Header { .. }) => Source::Header,
        }
    }

    /// Whether both look at the same thing, so that where one has no answer the other may have it.
    pub(super) fn is_same(&self, other: &Shows) -> bool {
        let are_spiffe = matches!((self, other), (Shows::Spiffe { .. }, Shows::Spiffe { .. }));
        are_spiffe || self == other
    }
}
