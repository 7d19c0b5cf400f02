//! Who called, and who is charged: ranked sources, each proving what it can. The first that shows anything decides: what it
//! shows and what names nobody makes the tenant `invalid`, whatever the sources below it say.

mod api_key;
mod list;
mod pattern;
mod sources;
mod spiffe;
mod tags;
mod xfcc;

pub use api_key::{ApiKeys, Hash, HashKey};
pub use pattern::{Pattern, Problem};
pub use sources::{Element, San, Shows, SpiffePart, TagRule, TenantSource, ValueSource};
pub use tags::{printable, tags};

use wire::identity::{INVALID, Identity, Source, is_reserved, tenant};
use wire::words;

words! {
    /// Why an identity was not taken.
    Refusal {
        /// A header that names a tenant came, and the configuration does not trust it.
        UntrustedHeader "untrusted_header",
        /// A trusted header came more than once.
        RepeatedHeader "repeated_header",
        /// A verified JWT has no such claim, or an empty one.
        NoClaim "no_claim",
        /// A client certificate has no SPIFFE id.
        NoSpiffeId "no_spiffe_id",
        /// A client certificate has more than one URI as its name.
        SeveralUris "several_uris",
        /// A SPIFFE id is too long, or not as SPIFFE says it must be.
        BadSpiffeId "bad_spiffe_id",
        /// A SPIFFE id is of a trust domain that does not count here.
        ForeignTrustDomain "foreign_trust_domain",
        /// A SPIFFE id lacks the part that names the tenant.
        NoSuchPart "no_such_part",
        /// A certificate has no name of the kind that counts.
        NoName "no_name",
        /// A certificate has more than one name of the kind that counts.
        SeveralNames "several_names",
        /// No pattern matches the identity.
        NoMatch "no_match",
        /// Elements of a claim match the pattern as different tenants.
        SeveralMatches "several_matches",
        /// `x-forwarded-client-cert` is not well-formed, or names fewer proxies than there are.
        BadXfcc "bad_xfcc",
        /// An API key is none that the configuration knows.
        UnknownKey "unknown_key",
        /// A request has more than one API key.
        SeveralKeys "several_keys",
        /// There is no secret to know API keys by.
        NoHashKey "no_hash_key",
        /// A tenant has a name that stands for no tenant.
        ReservedName "reserved_name",
        /// A value is empty, too long, has characters that are not allowed, or is no text.
        InvalidValue "invalid_value",
    }
}

/// Where proxies tell of the certificates that they have checked.
const XFCC: &str = "x-forwarded-client-cert";

/// What a source shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Nothing: the next source decides.
    Nothing,
    /// A value, which is still to be checked.
    Value(Vec<u8>),
    /// It is there, and there is no value to take from it.
    Unusable(Refusal),
}

/// What the proxy knows of the caller; asked for only where the configuration needs it.
pub trait Caller {
    /// The URIs that name the client in the certificate that the transport verified, joined by commas.
    fn certificate(&self) -> Shown;
    /// The names of a kind in that certificate, likewise; of URIs, those of [`Caller::certificate`].
    fn names(&self, _: San) -> Shown {
        Shown::Nothing
    }
    /// The URI that names the proxy in the certificate that it shows on the same connection.
    fn own_certificate(&self) -> Option<Vec<u8>>;
    /// A claim of the verified JWT.
    fn claim(&self, payload_key: &str, claim: &[String]) -> Shown;
    /// A text in the metadata of the proxy's node.
    fn node(&self, _: &[String]) -> Shown {
        Shown::Nothing
    }
    /// A header of the request.
    fn header(&self, name: &str) -> Shown;
}

/// Asks the sources in their order. Refusals are reported to be counted; they never stop the call.
pub fn resolve(sources: &[TenantSource], caller: &impl Caller, mut refused: impl FnMut(Refusal)) -> Identity {
    let id = spiffe::id(caller.certificate());
    let principal = id.as_ref().ok().and_then(Option::as_ref).map(|id| id.text().to_owned());
    let mut identity = Identity { principal, ..Identity::default() };
    let mut decided = false;
    // What the source before has shown, if this one looks at the same.
    let mut again = None;
    let mut rest = sources.iter().peekable();
    while let Some(source) = rest.next() {
        // A client can send any header: one that is not trusted is noticed, wherever it ranks.
        if let Some(name) = source.shows.untrusted_header() {
            if caller.header(name) != Shown::Nothing {
                refused(Refusal::UntrustedHeader);
            }
            continue;
        }
        if decided {
            continue;
        }
        let shown = again.take().unwrap_or_else(|| source.shows.ask(caller));
        let named = match &source.shows {
            Shows::Spiffe { take, trust_domains } => match &id {
                Ok(None) => Ok(None),
                Ok(Some(id)) => id.tenant(*take, source.pattern.as_ref(), trust_domains, caller).map(Some),
                Err(refusal) => Err(*refusal),
            },
            Shows::ApiKey(keys) => keys.tenant(caller),
            _ => source.tenant(&shown),
        };
        match named {
            Ok(None) => continue,
            Ok(Some(tenant)) => {
                identity.tenant = tenant;
                identity.source = source.shows.word();
            }
            Err(Refusal::NoMatch) if rest.peek().is_some_and(|next| next.shows.is_same(&source.shows)) => {
                again = Some(shown);
                continue;
            }
            Err(refusal) => {
                refused(refusal);
                identity.tenant = INVALID.to_owned();
                identity.source = Source::Invalid;
            }
        }
        decided = true;
    }
    identity
}

impl Shows {
    /// The header that any client can send.
    fn untrusted_header(&self) -> Option<&str> {
        match self {
            Shows::Value(ValueSource::Header { name, trusted: false }) => Some(name),
            Shows::Xfcc { trusted: false, .. } => Some(XFCC),
            _ => None,
        }
    }

    /// Asks for the identity, where one question is all.
    fn ask(&self, caller: &impl Caller) -> Shown {
        match self {
            Shows::Spiffe { .. } | Shows::ApiKey(_) => Shown::Nothing,
            Shows::Certificate(San::Uri) => caller.certificate(),
            Shows::Certificate(san) => caller.names(*san),
            Shows::Xfcc { san, hops, .. } => match caller.header(XFCC) {
                Shown::Value(header) => xfcc::names(&header, *san, *hops).map_or_else(Shown::Unusable, Shown::Value),
                other => other,
            },
            Shows::Node(path) => caller.node(path),
            Shows::Element { claim, payload_key, .. } => caller.claim(payload_key, claim),
            Shows::Value(ValueSource::Jwt { claim, payload_key }) => caller.claim(payload_key, claim),
            Shows::Value(ValueSource::Header { name, .. }) => caller.header(name),
        }
    }

    /// Names of a certificate are joined by commas, and no name has one.
    fn is_name(&self) -> bool {
        matches!(self, Shows::Certificate(_) | Shows::Xfcc { .. })
    }
}

impl TenantSource {
    /// The tenant of what was shown.
    fn tenant(&self, shown: &Shown) -> Result<Option<String>, Refusal> {
        let value = match shown {
            Shown::Nothing => return Ok(None),
            Shown::Unusable(refusal) => return Err(*refusal),
            Shown::Value(value) => value,
        };
        let tenant = match (&self.shows, &self.pattern) {
            (shows, _) if shows.is_name() && value.contains(&b',') => Err(Refusal::SeveralNames),
            (Shows::Element { element: Element::Matching, .. }, Some(pattern)) => list::tenant(value, pattern),
            (Shows::Element { .. }, pattern) => list::first(value, pattern.as_ref()),
            (_, Some(pattern)) => pattern.tenant(std::str::from_utf8(value).map_err(|_| Refusal::InvalidValue)?),
            (_, None) => checked(value).map(str::to_owned),
        };
        tenant.map(Some)
    }
}

/// What a source shows as its tenant, if it can be one.
#[inline(never)]
fn checked(value: &[u8]) -> Result<&str, Refusal> {
    let reserved = || std::str::from_utf8(value).is_ok_and(is_reserved);
    tenant(value).ok_or_else(|| if reserved() { Refusal::ReservedName } else { Refusal::InvalidValue })
}

#[cfg(test)]
mod tests;
