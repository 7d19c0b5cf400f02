use std::cell::Cell;

use wire::identity::UNKNOWN;

use super::*;
use crate::config;

/// A caller as a test makes him up.
#[derive(Clone, Default)]
struct Fixed {
    certificate: Option<&'static str>,
    own: Option<&'static str>,
    claim: Option<Shown>,
    header: Option<Shown>,
    /// Its host name or e-mail address.
    name: Option<Shown>,
    node: Option<&'static str>,
    /// How often it was asked for anything but the certificate.
    asked: Cell<usize>,
}

impl Caller for Fixed {
    fn certificate(&self) -> Shown {
        self.certificate.map_or(Shown::Nothing, text)
    }
    fn own_certificate(&self) -> Option<Vec<u8>> {
        self.own.map(Into::into)
    }
    fn names(&self, _: San) -> Shown {
        self.answer(&self.name)
    }
    fn claim(&self, _: &str, _: &[String]) -> Shown {
        self.answer(&self.claim)
    }
    fn node(&self, _: &[String]) -> Shown {
        self.answer(&self.node.map(text))
    }
    fn header(&self, _: &str) -> Shown {
        self.answer(&self.header)
    }
}

impl Fixed {
    fn answer(&self, shown: &Option<Shown>) -> Shown {
        self.asked.set(self.asked.get() + 1);
        shown.clone().unwrap_or(Shown::Nothing)
    }
}

fn text(text: &str) -> Shown {
    Shown::Value(text.into())
}

fn sources(header_trusted: bool, trust_domains: &[&str]) -> Vec<TenantSource> {
    let trust_domains = trust_domains.iter().map(|&name| name.to_owned()).collect();
    let shows = [
        Shows::Spiffe { take: SpiffePart::Namespace, trust_domains },
        Shows::Value(ValueSource::Jwt { claim: vec!["tenant".into()], payload_key: "jwt_payload".into() }),
        Shows::Value(ValueSource::Header { name: "x-tenant-id".into(), trusted: header_trusted }),
    ];
    shows.map(|shows| TenantSource { shows, pattern: None }).into()
}

/// The sources of a configuration.
fn read(tenant: &str) -> Vec<TenantSource> {
    config::parse(format!(r#"{{"tenant":{tenant}}}"#).as_bytes()).unwrap().tenant
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
        let all = Fixed { certificate: Some(ALICE), claim: Some(text("acme")), header: Some(text("eve")), ..Fixed::default() };
        assert_eq!(run(true, all), ("team-a".into(), Source::Spiffe, Some(ALICE.into()), vec![]));
        let two = Fixed { claim: Some(text("acme/ml")), header: Some(text("eve")), ..Fixed::default() };
        assert_eq!(run(true, two), ("acme/ml".into(), Source::Jwt, None, vec![]));
        let one = Fixed { header: Some(text("eve")), ..Fixed::default() };
        assert_eq!(run(true, one), ("eve".into(), Source::Header, None, vec![]));
        assert_eq!(run(true, Fixed::default()), (UNKNOWN.into(), Source::Unknown, None, vec![]));
    }

    fn contract_a_source_that_shows_no_tenant_lets_no_other_decide() {
        let beside = |certificate| Fixed { certificate: Some(certificate), claim: Some(text("acme")), header: Some(text("eve")), ..Fixed::default() };
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

    fn deterministic_every_source_names_the_tenant_and_itself() {
        let header = Some(text("By=spiffe://td/gw;URI=spiffe://td/ns/shop/sa/web;DNS=web.shop.example"));
        let cases = [
            (r#"[{"from":"spiffe","pattern":"spiffe://cluster.local/ns/{ns}/sa/{sa}","tenant":"org/{ns}/{sa}"}]"#,
             Fixed { certificate: Some(ALICE), ..Fixed::default() }, "org/team-a/alice", Source::Spiffe),
            (r#"[{"from":"certificate","pattern":"https://id.example/{user}","tenant":"{user}"}]"#,
             Fixed { certificate: Some("https://id.example/bob"), ..Fixed::default() }, "bob", Source::Certificate),
            (r#"[{"from":"certificate","san":"dns"}]"#, Fixed { name: Some(text("web.example")), ..Fixed::default() }, "web.example", Source::Certificate),
            (r#"[{"from":"certificate","san":"email","pattern":"{user}@example.com","tenant":"people/{user}"}]"#,
             Fixed { name: Some(text("bob@example.com")), ..Fixed::default() }, "people/bob", Source::Certificate),
            (r#"[{"from":"jwt","pattern":"auth0|{id}","tenant":"users/{id}"}]"#, Fixed { claim: Some(text("auth0|7")), ..Fixed::default() }, "users/7", Source::Jwt),
            (r#"[{"from":"jwt","element":"first"}]"#,
             Fixed { claim: Some(text("\x01\0\0\0\x04\0\0\0\0\0\0\0acme\0\0")), ..Fixed::default() }, "acme", Source::Jwt),
            (r#"[{"from":"jwt","element":"matching","pattern":"t:{t}","tenant":"{t}"}]"#,
             Fixed { claim: Some(text("\x02\0\0\0\x01\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0x\0\0t:a\0\0")), ..Fixed::default() }, "a", Source::Jwt),
            (r#"[{"from":"xfcc","trusted":true,"pattern":"spiffe://td/ns/{ns}/sa/{sa}","tenant":"{ns}/{sa}"}]"#,
             Fixed { header: header.clone(), ..Fixed::default() }, "shop/web", Source::Xfcc),
            (r#"[{"from":"xfcc","trusted":true,"san":"dns"}]"#, Fixed { header, ..Fixed::default() }, "web.shop.example", Source::Xfcc),
            (r#"[{"from":"node"}]"#, Fixed { node: Some("shop"), ..Fixed::default() }, "shop", Source::Node),
            (r#"[{"from":"node","metadata":["LABELS","app"],"pattern":"app-{a}","tenant":"{a}"}]"#, Fixed { node: Some("app-web"), ..Fixed::default() }, "web", Source::Node),
            (r#"[{"from":"header","trusted":true,"pattern":"team={t}","tenant":"{t}"}]"#, Fixed { header: Some(text("team=a")), ..Fixed::default() }, "a", Source::Header),
        ];
        for (sources, caller, tenant, source) in cases {
            let (found, by, _, refusals) = run_in(&read(sources), caller.clone());
            assert_eq!((found.as_str(), by, refusals), (tenant, source, vec![]), "{sources}");
            let nothing = run_in(&read(sources), Fixed::default());
            assert_eq!((nothing.0.as_str(), nothing.3), (UNKNOWN, vec![]), "{sources}");
        }
    }

    fn contract_an_identity_that_looks_like_another_names_nobody() {
        let spiffe = r#"[{"from":"spiffe","pattern":"spiffe://cluster.local/ns/{ns}/sa/{sa}","tenant":"org/{ns}/{sa}"},{"from":"header","trusted":true}]"#;
        let certificates = [
            ("spiffe://cluster.local.evil/ns/team-a/sa/alice", Refusal::NoMatch),
            ("spiffe://evil/ns/team-a/sa/alice", Refusal::NoMatch),
            ("spiffe://cluster.local/ns/team-a/sa/alice/x", Refusal::NoMatch),
            ("spiffe://cluster.local/ns/team-a%2fsa%2falice", Refusal::BadSpiffeId),
            ("spiffe://cluster.local/ns/../sa/alice", Refusal::BadSpiffeId),
            ("spiffe://cluster.local/ns/team-a/sa/alice,spiffe://cluster.local/ns/b/sa/b", Refusal::SeveralUris),
        ];
        for (certificate, refusal) in certificates {
            let caller = Fixed { certificate: Some(certificate), header: Some(text("eve")), ..Fixed::default() };
            let (tenant, source, _, refusals) = run_in(&read(spiffe), caller);
            assert_eq!((tenant.as_str(), source, refusals), (INVALID, Source::Invalid, vec![refusal]), "{certificate}");
        }
        let named = r#"[{"from":"certificate","san":"email","pattern":"{user}@example.com","tenant":"{user}"},{"from":"header","trusted":true}]"#;
        let names = [
            (text("eve@example.com,bob@example.com"), Refusal::SeveralNames),
            (text("eve,bob@example.com"), Refusal::SeveralNames),
            (text("bob@example.com.evil"), Refusal::NoMatch),
            (text("a b@example.com"), Refusal::InvalidValue),
            (Shown::Value(b"\xff@example.com".to_vec()), Refusal::InvalidValue),
            (Shown::Unusable(Refusal::NoName), Refusal::NoName),
        ];
        for (name, refusal) in names {
            let caller = Fixed { name: Some(name.clone()), header: Some(text("eve")), ..Fixed::default() };
            assert_eq!(run_in(&read(named), caller).3, [refusal], "{name:?}");
        }
        let xfcc = r#"[{"from":"xfcc","trusted":true,"hops":1}]"#;
        let headers = [
            ("URI=spiffe://td/a", Refusal::BadXfcc),
            ("URI=\"spiffe://td/a", Refusal::BadXfcc),
            ("Hash=a,URI=spiffe://td/b", Refusal::NoName),
            ("URI=spiffe://td/a;URI=spiffe://td/b,Hash=c", Refusal::SeveralNames),
            ("URI=spiffe://td/a,Hash=c", Refusal::InvalidValue),
        ];
        for (header, refusal) in headers {
            let caller = Fixed { header: Some(text(header)), ..Fixed::default() };
            assert_eq!(run_in(&read(xfcc), caller).3, [refusal], "{header}");
        }
        let untrusted = Fixed { header: Some(text("URI=spiffe://td/a,Hash=c")), claim: Some(text("acme")), ..Fixed::default() };
        let (tenant, _, _, refusals) = run_in(&read(r#"[{"from":"xfcc"},{"from":"jwt"}]"#), untrusted);
        assert_eq!((tenant.as_str(), refusals), ("acme", vec![Refusal::UntrustedHeader]));
    }

    fn contract_of_patterns_of_one_identity_the_first_that_matches_decides() {
        let sources = read(r#"[
            {"from":"spiffe","pattern":"spiffe://a.example/ns/{ns}/sa/{sa}","tenant":"a/{ns}"},
            {"from":"spiffe","pattern":"spiffe://b.example/{team}","tenant":"b/{team}"},
            {"from":"jwt","claim":"sub","pattern":"user:{u}","tenant":"users/{u}"},
            {"from":"jwt","claim":"sub","pattern":"service:{s}","tenant":"services/{s}"},
            {"from":"jwt","claim":"tenant"}]"#);
        let of = |caller: Fixed| {
            let (tenant, _, _, refusals) = run_in(&sources, caller);
            (tenant, refusals)
        };
        let certificate = |id| Fixed { certificate: Some(id), ..Fixed::default() };
        assert_eq!(of(certificate("spiffe://a.example/ns/x/sa/y")), ("a/x".into(), vec![]));
        assert_eq!(of(certificate("spiffe://b.example/x")), ("b/x".into(), vec![]));
        // Another identity does not make up for it.
        let neither = Fixed { claim: Some(text("user:eve")), ..certificate("spiffe://c.example/x") };
        assert_eq!(of(neither), (INVALID.into(), vec![Refusal::NoMatch]));
        let claim = |value| Fixed { claim: Some(text(value)), ..Fixed::default() };
        assert_eq!(of(claim("service:s")), ("services/s".into(), vec![]));
        assert_eq!(of(claim("acme")), (INVALID.into(), vec![Refusal::NoMatch]));
        assert_eq!(of(claim("user:..")).1, [Refusal::InvalidValue]);
        assert_eq!(of(claim("user:unknown")), ("users/unknown".into(), vec![]));
    }

    fn contract_a_trust_domain_in_braces_must_be_a_trusted_one() {
        let sources = |more: &str| read(&format!(r#"[{{"from":"spiffe","pattern":"spiffe://{{td}}/ns/{{ns}}/sa/{{sa}}","tenant":"{{td}}/{{ns}}"{more}}}]"#));
        let alice = Fixed { certificate: Some(ALICE), ..Fixed::default() };
        assert_eq!(run_in(&sources(""), alice.clone()).3, [Refusal::ForeignTrustDomain]);
        let named = r#","trust_domains":["cluster.local"]"#;
        assert_eq!(run_in(&sources(named), alice.clone()).0, "cluster.local/team-a");
        let own = Fixed { own: Some("spiffe://cluster.local/ns/x/sa/proxy"), ..alice };
        assert_eq!(run_in(&sources(""), own).0, "cluster.local/team-a");
    }

    fn contract_what_is_shown_is_asked_for_once_whatever_the_number_of_patterns() {
        let pattern = |number| format!(r#"{{"from":"jwt","pattern":"p{number}:{{x}}","tenant":"{{x}}"}}"#);
        let all: Vec<String> = (0..16).map(pattern).collect();
        let caller = Fixed { claim: Some(text("p15:last")), ..Fixed::default() };
        let identity = resolve(&read(&format!("[{}]", all.join(","))), &caller, |_| {});
        assert_eq!((identity.tenant.as_str(), caller.asked.get()), ("last", 1));
    }
}
