//! Who called, and who is charged: ranked sources, each proving what it can, the first that matches wins.

use crate::config::{SpiffePart, TenantSource};
use crate::record::words;

/// The longest tenant, bytes: it becomes a metric label and an invoice's key.
pub const MAX_TENANT: usize = 128;
/// The longest principal, bytes: SPIFFE ids may have 2048, in practice they are short.
pub const MAX_PRINCIPAL: usize = 256;
/// The tenant of a call that no source identifies.
pub const UNKNOWN: &str = "unknown";
/// The tenant of a call whose identity does not pass validation.
pub const INVALID: &str = "invalid";

words! {
    /// Where the tenant came from.
    Source {
        /// The client certificate's SPIFFE id.
        Spiffe "spiffe",
        /// A claim of a verified JWT.
        Jwt "jwt",
        /// A request header that the configuration trusts.
        Header "header",
        /// No source matched.
        Unknown "unknown",
        /// A source matched, but its value does not pass validation.
        Invalid "invalid",
    }
}

words! {
    /// Why an identity was not taken.
    Refusal {
        /// A tenant header came from a client, and the configuration does not trust it.
        UntrustedHeader "untrusted_header",
        /// A value is empty, too long or has characters that are not allowed.
        InvalidValue "invalid_value",
    }
}

/// Who called, and who is charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who is charged: a path such as `org/team/user`.
    pub tenant: String,
    /// Where the tenant came from.
    pub source: Source,
    /// The authenticated workload that called (a SPIFFE id).
    pub principal: Option<String>,
}

impl Default for Identity {
    fn default() -> Self {
        Identity { tenant: UNKNOWN.to_owned(), source: Source::Unknown, principal: None }
    }
}

/// What the proxy knows of the caller; asked for only where the configuration needs it.
pub trait Caller {
    /// The SPIFFE id that the transport authenticated.
    fn spiffe_id(&self) -> Option<Vec<u8>>;
    /// A claim of the verified JWT.
    fn claim(&self, payload_key: &str, claim: &[String]) -> Option<Vec<u8>>;
    /// A header of the request.
    fn header(&self, name: &str) -> Option<Vec<u8>>;
}

/// Asks the sources in their order. Refusals are reported to be counted; they never stop the call.
pub fn resolve(sources: &[TenantSource], caller: &impl Caller, mut refused: impl FnMut(Refusal)) -> Identity {
    let principal = caller.spiffe_id().and_then(|id| principal(&id));
    let mut identity = Identity { principal, ..Identity::default() };
    let mut found = false;
    for source in sources {
        let value = match source {
            // A client can send any header: one that is not trusted is noticed, wherever it ranks.
            TenantSource::Header { name, trusted: false } => {
                if caller.header(name).is_some() {
                    refused(Refusal::UntrustedHeader);
                }
                None
            }
            _ if found => None,
            TenantSource::Header { name, trusted: true } => caller.header(name),
            TenantSource::Jwt { claim, payload_key } => caller.claim(payload_key, claim),
            TenantSource::Spiffe { take } => {
                identity.principal.as_deref().and_then(|id| spiffe_part(id, *take)).map(|part| part.as_bytes().to_vec())
            }
        };
        let Some(value) = value else { continue };
        found = true;
        match tenant(&value) {
            Some(tenant) => {
                identity.tenant = tenant.to_owned();
                identity.source = source.word();
            }
            None => {
                refused(Refusal::InvalidValue);
                identity.tenant = INVALID.to_owned();
                identity.source = Source::Invalid;
            }
        }
    }
    identity
}

impl TenantSource {
    fn word(&self) -> Source {
        match self {
            TenantSource::Spiffe { .. } => Source::Spiffe,
            TenantSource::Jwt { .. } => Source::Jwt,
            TenantSource::Header { .. } => Source::Header,
        }
    }
}

/// A tenant is a label and a key of money: ASCII letters, digits and `._-@:/`, no empty path segment.
pub fn tenant(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    let fits = !text.is_empty() && text.len() <= MAX_TENANT;
    let clean = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@:/".contains(&byte));
    let path = text.split('/').all(|segment| !segment.is_empty());
    (fits && clean && path).then_some(text)
}

fn principal(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let clean = text.bytes().all(|byte| byte.is_ascii_graphic());
    (text.starts_with("spiffe://") && text.len() <= MAX_PRINCIPAL && clean).then(|| text.to_owned())
}

fn spiffe_part(id: &str, part: SpiffePart) -> Option<&str> {
    let (trust_domain, path) = id.strip_prefix("spiffe://")?.split_once('/')?;
    match part {
        SpiffePart::TrustDomain => Some(trust_domain),
        SpiffePart::Path => Some(path),
        // Istio's ids are spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT.
        SpiffePart::Namespace => {
            let mut segments = path.split('/');
            segments.find(|segment| *segment == "ns")?;
            segments.next()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Fixed {
        spiffe: Option<&'static str>,
        claim: Option<&'static str>,
        header: Option<&'static str>,
    }

    impl Caller for Fixed {
        fn spiffe_id(&self) -> Option<Vec<u8>> {
            self.spiffe.map(Into::into)
        }
        fn claim(&self, _: &str, _: &[String]) -> Option<Vec<u8>> {
            self.claim.map(Into::into)
        }
        fn header(&self, _: &str) -> Option<Vec<u8>> {
            self.header.map(Into::into)
        }
    }

    fn sources(header_trusted: bool) -> Vec<TenantSource> {
        vec![
            TenantSource::Spiffe { take: SpiffePart::Namespace },
            TenantSource::Jwt { claim: vec!["tenant".into()], payload_key: "jwt_payload".into() },
            TenantSource::Header { name: "x-tenant-id".into(), trusted: header_trusted },
        ]
    }

    fn run(trusted: bool, caller: Fixed) -> (String, Source, Option<String>, Vec<Refusal>) {
        let mut refusals = Vec::new();
        let identity = resolve(&sources(trusted), &caller, |refusal| refusals.push(refusal));
        (identity.tenant, identity.source, identity.principal, refusals)
    }

    const ALICE: &str = "spiffe://cluster.local/ns/team-a/sa/alice";

    cases! {
        fn deterministic_first_source_that_matches_wins() {
            let all = Fixed { spiffe: Some(ALICE), claim: Some("acme"), header: Some("eve") };
            assert_eq!(run(true, all), ("team-a".into(), Source::Spiffe, Some(ALICE.into()), vec![]));
            let two = Fixed { claim: Some("acme/ml"), header: Some("eve"), ..Fixed::default() };
            assert_eq!(run(true, two), ("acme/ml".into(), Source::Jwt, None, vec![]));
            let one = Fixed { header: Some("eve"), ..Fixed::default() };
            assert_eq!(run(true, one), ("eve".into(), Source::Header, None, vec![]));
            assert_eq!(run(true, Fixed::default()), (UNKNOWN.into(), Source::Unknown, None, vec![]));
        }

        fn contract_untrusted_header_changes_nothing_and_is_counted() {
            let refused = vec![Refusal::UntrustedHeader];
            let alone = Fixed { header: Some("acme"), ..Fixed::default() };
            assert_eq!(run(false, alone), (UNKNOWN.into(), Source::Unknown, None, refused.clone()));
            let beside = Fixed { claim: Some("acme"), header: Some("eve"), ..Fixed::default() };
            assert_eq!(run(false, beside), ("acme".into(), Source::Jwt, None, refused));
        }

        fn contract_bad_values_are_invalid_and_never_a_new_tenant() {
            for bad in ["", "a b", "a;.;b", "/a", "a//b", "ä", "a\n"] {
                let caller = Fixed { claim: Some(bad), header: Some("eve"), ..Fixed::default() };
                let expected = (INVALID.into(), Source::Invalid, None, vec![Refusal::InvalidValue]);
                assert_eq!(run(true, caller), expected, "{bad:?}");
            }
            assert!(tenant(&[b'a'; MAX_TENANT]).is_some());
            assert!(tenant(&[b'a'; MAX_TENANT + 1]).is_none());
            assert!(tenant(&[0xff]).is_none());
        }

        fn deterministic_spiffe_parts() {
            assert_eq!(spiffe_part(ALICE, SpiffePart::Namespace), Some("team-a"));
            assert_eq!(spiffe_part(ALICE, SpiffePart::Path), Some("ns/team-a/sa/alice"));
            assert_eq!(spiffe_part(ALICE, SpiffePart::TrustDomain), Some("cluster.local"));
            assert_eq!(spiffe_part("spiffe://cluster.local/x", SpiffePart::Namespace), None);
            assert_eq!(principal(b"https://example.com/x"), None);
        }
    }
}
