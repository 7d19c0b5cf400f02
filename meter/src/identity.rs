//! Who called, and who is charged: ranked sources, each proving what it can. The first that shows anything decides: what it
//! shows and what names nobody makes the tenant `invalid`, whatever the sources below it say.

mod sources;
mod spiffe;
mod tags;

pub use sources::{SpiffePart, TagRule, TenantSource, ValueSource};
pub use tags::{printable, tags};

use wire::identity::{INVALID, Identity, Source, is_reserved, tenant};
use wire::words;

words! {
    /// Why an identity was not taken.
    Refusal {
        /// A tenant header came from a client, and the configuration does not trust it.
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
        /// A tenant has a name that stands for no tenant.
        ReservedName "reserved_name",
        /// A value is empty, too long, has characters that are not allowed, or is no text.
        InvalidValue "invalid_value",
    }
}

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
    /// The URI that names the proxy in the certificate that it shows on the same connection.
    fn own_certificate(&self) -> Option<Vec<u8>>;
    /// A claim of the verified JWT.
    fn claim(&self, payload_key: &str, claim: &[String]) -> Shown;
    /// A header of the request.
    fn header(&self, name: &str) -> Shown;
}

/// Asks the sources in their order. Refusals are reported to be counted; they never stop the call.
pub fn resolve(sources: &[TenantSource], caller: &impl Caller, mut refused: impl FnMut(Refusal)) -> Identity {
    let id = spiffe::id(caller.certificate());
    let principal = id.as_ref().ok().and_then(Option::as_ref).map(|id| id.text().to_owned());
    let mut identity = Identity { principal, ..Identity::default() };
    let mut decided = false;
    for source in sources {
        let named = match source {
            // A client can send any header: one that is not trusted is noticed, wherever it ranks.
            TenantSource::Value(ValueSource::Header { name, trusted: false }) => {
                if caller.header(name) != Shown::Nothing {
                    refused(Refusal::UntrustedHeader);
                }
                continue;
            }
            _ if decided => continue,
            TenantSource::Value(ValueSource::Header { name, trusted: true }) => value(caller.header(name)),
            TenantSource::Value(ValueSource::Jwt { claim, payload_key }) => value(caller.claim(payload_key, claim)),
            TenantSource::Spiffe { take, trust_domains } => match &id {
                Ok(None) => Ok(None),
                Ok(Some(id)) => id.tenant(*take, trust_domains, caller).map(Some),
                Err(refusal) => Err(*refusal),
            },
        };
        match named {
            Ok(None) => continue,
            Ok(Some(tenant)) => {
                identity.tenant = tenant;
                identity.source = source.word();
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

fn value(shown: Shown) -> Result<Option<String>, Refusal> {
    match shown {
        Shown::Nothing => Ok(None),
        Shown::Unusable(refusal) => Err(refusal),
        Shown::Value(value) => checked(&value).map(|tenant| Some(tenant.to_owned())),
    }
}

/// What a source shows as its tenant, if it can be one.
fn checked(value: &[u8]) -> Result<&str, Refusal> {
    let reserved = || std::str::from_utf8(value).is_ok_and(is_reserved);
    tenant(value).ok_or_else(|| if reserved() { Refusal::ReservedName } else { Refusal::InvalidValue })
}

#[cfg(test)]
mod tests;
