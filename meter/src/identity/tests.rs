use wire::identity::UNKNOWN;

use super::*;

/// A caller as a test makes him up.
#[derive(Clone, Default)]
struct Fixed {
    certificate: Option<&'static str>,
    own: Option<&'static str>,
    claim: Option<Shown>,
    header: Option<Shown>,
}

impl Caller for Fixed {
    fn certificate(&self) -> Shown {
        self.certificate.map_or(Shown::Nothing, text)
    }
    fn own_certificate(&self) -> Option<Vec<u8>> {
        self.own.map(Into::into)
    }
    fn claim(&self, _: &str, _: &[String]) -> Shown {
        self.claim.clone().unwrap_or(Shown::Nothing)
    }
    fn header(&self, _: &str) -> Shown {
        self.header.clone().unwrap_or(Shown::Nothing)
    }
}

fn text(text: &str) -> Shown {
    Shown::Value(text.into())
}

fn sources(header_trusted: bool, trust_domains: &[&str]) -> Vec<TenantSource> {
    let trust_domains = trust_domains.iter().map(|&name| name.to_owned()).collect();
    vec![
        TenantSource::Spiffe { take: SpiffePart::Namespace, trust_domains },
        TenantSource::Value(ValueSource::Jwt { claim: vec!["tenant".into()], payload_key: "jwt_payload".into() }),
        TenantSource::Value(ValueSource::Header { name: "x-tenant-id".into(), trusted: header_trusted }),
    ]
}

fn run(trusted: bool, caller: Fixed) -> (String, Source, Option<String>, Vec<Refusal>) {
    run_in(&sources(trusted, &["cluster.local"]), caller)
}

fn run_in(sources: &[TenantSource], caller: Fixed) -> (String, Source, Option<String>, Vec<Refusal>) {
    let mut refusals = Vec::new();
    let identity = resolve(sources, &caller, |refusal| refusals.push(refusal));
    (identity.tenant, identity.source, identity.principal, refusals)
}

fn invalid(principal: Option<&str>, refusal: Refusal) -> (String, Source, Option<String>, Vec<Refusal>) {
    (INVALID.into(), Source::Invalid, principal.map(str::to_owned), vec![refusal])
}

const ALICE: &str = "spiffe://cluster.local/ns/team-a/sa/alice";

cases! {
    fn deterministic_first_source_that_shows_a_tenant_wins() {
        let all = Fixed { certificate: Some(ALICE), claim: Some(text("acme")), header: Some(text("eve")), own: None };
        assert_eq!(run(true, all), ("team-a".into(), Source::Spiffe, Some(ALICE.into()), vec![]));
        let two = Fixed { claim: Some(text("acme/ml")), header: Some(text("eve")), ..Fixed::default() };
        assert_eq!(run(true, two), ("acme/ml".into(), Source::Jwt, None, vec![]));
        let one = Fixed { header: Some(text("eve")), ..Fixed::default() };
        assert_eq!(run(true, one), ("eve".into(), Source::Header, None, vec![]));
        assert_eq!(run(true, Fixed::default()), (UNKNOWN.into(), Source::Unknown, None, vec![]));
    }

    fn contract_a_source_that_shows_no_tenant_lets_no_other_decide() {
        let beside = |certificate| Fixed { certificate: Some(certificate), claim: Some(text("acme")), header: Some(text("eve")), own: None };
        let foreign = "spiffe://elsewhere.example/ns/team-a/sa/eve";
        let no_namespace = "spiffe://cluster.local/workload/alice";
        let reserved = "spiffe://cluster.local/ns/unknown/sa/alice";
        let cases = [
            ("https://cluster.local/alice", None, Refusal::NoSpiffeId),
            ("", None, Refusal::NoSpiffeId),
            ("spiffe://cluster.local/ns/../x", None, Refusal::BadSpiffeId),
            ("spiffe://cluster.local/ns/a,spiffe://cluster.local/ns/b", None, Refusal::SeveralUris),
            (foreign, Some(foreign), Refusal::ForeignTrustDomain),
            (no_namespace, Some(no_namespace), Refusal::NoSuchPart),
            (reserved, Some(reserved), Refusal::ReservedName),
        ];
        for (certificate, principal, refusal) in cases {
            assert_eq!(run(true, beside(certificate)), invalid(principal, refusal), "{certificate}");
        }
        let unusable = [Refusal::NoClaim, Refusal::InvalidValue];
        for refusal in unusable {
            let caller = Fixed { claim: Some(Shown::Unusable(refusal)), header: Some(text("eve")), ..Fixed::default() };
            assert_eq!(run(true, caller), invalid(None, refusal));
        }
        let twice = Fixed { header: Some(Shown::Unusable(Refusal::RepeatedHeader)), ..Fixed::default() };
        assert_eq!(run(true, twice), invalid(None, Refusal::RepeatedHeader));
    }

    fn contract_a_certificate_matters_only_where_a_source_reads_it() {
        let reads_none = sources(true, &[]).split_off(1);
        let caller = Fixed { certificate: Some("https://cluster.local/x"), claim: Some(text("acme")), ..Fixed::default() };
        assert_eq!(run_in(&reads_none, caller), ("acme".into(), Source::Jwt, None, vec![]));
        let caller = Fixed { certificate: Some(ALICE), claim: Some(text("acme")), ..Fixed::default() };
        assert_eq!(run_in(&reads_none, caller), ("acme".into(), Source::Jwt, Some(ALICE.into()), vec![]));
    }

    fn contract_trust_domains_are_those_named_or_else_the_proxys_own() {
        let own = "spiffe://cluster.local/ns/proxy/sa/proxy";
        let cases: [(&[&str], Option<&'static str>, bool); 9] = [
            (&["cluster.local"], None, true),
            (&["elsewhere.example", "cluster.local"], None, true),
            (&["*"], None, true),
            (&["Cluster.Local"], Some(own), false),
            (&["elsewhere.example"], Some(own), false),
            (&[], Some(own), true),
            (&[], Some("spiffe://elsewhere.example/x"), false),
            (&[], Some("https://cluster.local"), false),
            (&[], None, false),
        ];
        for (named, own, counts) in cases {
            let caller = Fixed { certificate: Some(ALICE), own, ..Fixed::default() };
            let expected = match counts {
                true => ("team-a".into(), Source::Spiffe, Some(ALICE.into()), vec![]),
                false => invalid(Some(ALICE), Refusal::ForeignTrustDomain),
            };
            assert_eq!(run_in(&sources(true, named), caller), expected, "{named:?} {own:?}");
        }
    }

    fn contract_untrusted_header_changes_nothing_and_is_counted() {
        let refused = vec![Refusal::UntrustedHeader];
        for header in [text("acme"), text(""), Shown::Unusable(Refusal::RepeatedHeader)] {
            let alone = Fixed { header: Some(header.clone()), ..Fixed::default() };
            assert_eq!(run(false, alone), (UNKNOWN.into(), Source::Unknown, None, refused.clone()));
            let beside = Fixed { claim: Some(text("acme")), header: Some(header), ..Fixed::default() };
            assert_eq!(run(false, beside), ("acme".into(), Source::Jwt, None, refused.clone()));
        }
    }

    fn contract_bad_values_are_invalid_and_never_a_new_tenant() {
        for bad in ["", "a b", "a,b", "a;.;b", "/a", "a/", "a//b", ".", "..", "a/./b", "../a", "a/..", "ä", "a\n"] {
            let caller = Fixed { claim: Some(text(bad)), header: Some(text("eve")), ..Fixed::default() };
            assert_eq!(run(true, caller), invalid(None, Refusal::InvalidValue), "{bad:?}");
        }
        for reserved in ["unknown", "invalid", "overflow", "Unknown", "OVERFLOW"] {
            let caller = Fixed { header: Some(text(reserved)), ..Fixed::default() };
            assert_eq!(run(true, caller), invalid(None, Refusal::ReservedName), "{reserved:?}");
        }
    }
}
