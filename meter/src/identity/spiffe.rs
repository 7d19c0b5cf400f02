//! SPIFFE ids: what one may be, which trust domains count, and the part of it that names the tenant.

use wire::identity::MAX_PRINCIPAL;

use super::{Caller, Pattern, Refusal, Shown, SpiffePart, checked};

/// The trust domain of a configuration that stands for every one.
const ANY: &str = "*";

/// An id that is as it must be: `spiffe://TRUST-DOMAIN/PATH`.
#[derive(Debug)]
pub(super) struct Id {
    text: String,
    /// Where the trust domain ends.
    slash: usize,
}

/// The id of a certificate, if there is a certificate.
pub(super) fn id(certificate: Shown) -> Result<Option<Id>, Refusal> {
    match certificate {
        Shown::Nothing => Ok(None),
        Shown::Unusable(refusal) => Err(refusal),
        Shown::Value(value) => read(value).map(Some),
    }
}

fn read(value: Vec<u8>) -> Result<Id, Refusal> {
    // No id has a comma, so it stands between two.
    if value.contains(&b',') {
        return Err(Refusal::SeveralUris);
    }
    let Some(rest) = value.strip_prefix(b"spiffe://") else { return Err(Refusal::NoSpiffeId) };
    // A little more than SPIFFE allows: Istio on Google's clusters has trust domains with a colon.
    let clean = rest.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-@:/".contains(byte));
    let mut segments = rest.split(|byte| *byte == b'/');
    let path = segments.all(|segment| !matches!(segment, b"" | b"." | b".."));
    if value.len() > MAX_PRINCIPAL || !clean || !path {
        return Err(Refusal::BadSpiffeId);
    }
    let text = String::from_utf8(value).map_err(|_| Refusal::BadSpiffeId)?;
    let begin = "spiffe://".len();
    let slash = text.get(begin..).and_then(|rest| rest.find('/')).map_or(text.len(), |at| at.saturating_add(begin));
    Ok(Id { text, slash })
}

impl Id {
    /// All of it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn trust_domain(&self) -> &str {
        self.text.get("spiffe://".len()..self.slash).unwrap_or_default()
    }

    fn path(&self) -> Option<&str> {
        self.text.get(self.slash.saturating_add(1)..)
    }

    /// The tenant, if the trust domain counts. A pattern is first: it may be for the ids of another trust domain.
    pub(super) fn tenant(
        &self,
        take: SpiffePart,
        pattern: Option<&Pattern>,
        trust_domains: &[String],
        caller: &impl Caller,
    ) -> Result<String, Refusal> {
        let named = pattern.map(|pattern| pattern.tenant(&self.text)).transpose()?;
        if !self.is_trusted(trust_domains, caller) {
            return Err(Refusal::ForeignTrustDomain);
        }
        if let Some(tenant) = named {
            return Ok(tenant);
        }
        let part = self.part(take).ok_or(Refusal::NoSuchPart)?;
        checked(part.as_bytes()).map(str::to_owned)
    }

    /// Where none is named, the proxy's own trust domain counts: that of the certificate it shows to the caller.
    fn is_trusted(&self, trust_domains: &[String], caller: &impl Caller) -> bool {
        let trust_domain = self.trust_domain();
        if !trust_domains.is_empty() {
            return trust_domains.iter().any(|named| named == ANY || named == trust_domain);
        }
        let own = caller.own_certificate().and_then(|own| read(own).ok());
        own.is_some_and(|own| own.trust_domain() == trust_domain)
    }

    fn part(&self, part: SpiffePart) -> Option<&str> {
        match part {
            SpiffePart::TrustDomain => Some(self.trust_domain()),
            SpiffePart::Path => self.path(),
            // Istio's ids are spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT, and nothing else is: whoever may choose a part of
            // another path must not choose a namespace by it.
            SpiffePart::Namespace => {
                let (namespace, account) = self.path()?.strip_prefix("ns/")?.split_once("/sa/")?;
                let is_one = |part: &str| !part.is_empty() && !part.contains('/');
                (is_one(namespace) && is_one(account)).then_some(namespace)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    cases! {
        fn deterministic_spiffe_parts() {
            let part = |id: &str, part| read(id.into()).unwrap().part(part).map(str::to_owned);
            let alice = "spiffe://cluster.local/ns/team-a/sa/alice";
            let cases = [
                (alice, SpiffePart::Namespace, Some("team-a")),
                (alice, SpiffePart::Path, Some("ns/team-a/sa/alice")),
                (alice, SpiffePart::TrustDomain, Some("cluster.local")),
                ("spiffe://cluster.local/x", SpiffePart::Namespace, None),
                ("spiffe://cluster.local/x/ns", SpiffePart::Namespace, None),
                ("spiffe://cluster.local/ns/ns/sa/x", SpiffePart::Namespace, Some("ns")),
                ("spiffe://cluster.local/ns/sa/sa/sa", SpiffePart::Namespace, Some("sa")),
                ("spiffe://cluster.local/x/ns/victim/sa/y", SpiffePart::Namespace, None),
                ("spiffe://cluster.local/sa/ns/ns/victim", SpiffePart::Namespace, None),
                ("spiffe://cluster.local/ns/victim", SpiffePart::Namespace, None),
                ("spiffe://cluster.local/ns/victim/sa", SpiffePart::Namespace, None),
                ("spiffe://cluster.local/ns/victim/sa/x/y", SpiffePart::Namespace, None),
                ("spiffe://cluster.local/ns/a/b/sa/x", SpiffePart::Namespace, None),
                ("spiffe://cluster.local/ns/a/SA/x", SpiffePart::Namespace, None),
                ("spiffe://cluster.local", SpiffePart::TrustDomain, Some("cluster.local")),
                ("spiffe://cluster.local", SpiffePart::Path, None),
                ("spiffe://project:domain.svc.id.goog/ns/a/sa/b", SpiffePart::TrustDomain, Some("project:domain.svc.id.goog")),
            ];
            for (id, which, expected) in cases {
                assert_eq!(part(id, which).as_deref(), expected, "{id}");
            }
        }

        fn contract_what_is_no_spiffe_id_is_refused_by_its_kind() {
            let long = format!("spiffe://a/{}", "b".repeat(MAX_PRINCIPAL));
            let cases = [
                ("", Refusal::NoSpiffeId),
                ("-", Refusal::NoSpiffeId),
                ("https://example.com/x", Refusal::NoSpiffeId),
                ("SPIFFE://cluster.local/ns/a", Refusal::NoSpiffeId),
                ("spiffe://", Refusal::BadSpiffeId),
                ("spiffe:///ns/a", Refusal::BadSpiffeId),
                ("spiffe://a/", Refusal::BadSpiffeId),
                ("spiffe://a//ns/b", Refusal::BadSpiffeId),
                ("spiffe://a/ns/../b", Refusal::BadSpiffeId),
                ("spiffe://a/ns/b?x", Refusal::BadSpiffeId),
                ("spiffe://a/ns/%61", Refusal::BadSpiffeId),
                ("spiffe://a/ns/b c", Refusal::BadSpiffeId),
                ("spiffe://a/ns/ä", Refusal::BadSpiffeId),
                (&long, Refusal::BadSpiffeId),
                ("spiffe://a/ns/b,spiffe://a/ns/c", Refusal::SeveralUris),
                ("spiffe://a/ns/b,https://example.com", Refusal::SeveralUris),
            ];
            for (id, expected) in cases {
                assert_eq!(read(id.into()).map(|id| id.text).unwrap_err(), expected, "{id:?}");
            }
            assert_eq!(read(vec![0xff]).map(|id| id.text), Err(Refusal::NoSpiffeId));
        }
    }
}
