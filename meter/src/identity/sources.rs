//! What the configuration says of where the tenant and the tags come from.

use wire::identity::Source;

/// Where a tenant comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantSource {
    /// The SPIFFE id of the client certificate.
    Spiffe {
        /// The part of the id that is the tenant.
        take: SpiffePart,
        /// The trust domains that count; none named: the proxy's own.
        trust_domains: Vec<String>,
    },
    /// A claim or a header whose value is the tenant.
    Value(ValueSource),
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

impl TenantSource {
    /// What a record says of it.
    pub(super) fn word(&self) -> Source {
        match self {
            TenantSource::Spiffe { .. } => Source::Spiffe,
            TenantSource::Value(ValueSource::Jwt { .. }) => Source::Jwt,
            TenantSource::Value(ValueSource::Header { .. }) => Source::Header,
        }
    }
}
