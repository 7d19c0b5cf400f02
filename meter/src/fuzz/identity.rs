//! Whatever a caller shows, the tenant is one that its source can name, and nobody speaks for another.

use std::sync::OnceLock;

use wire::identity::{INVALID, is_from};

use crate::config;
use crate::identity::{Caller, San, Shown, TenantSource, resolve};

/// A source each, for all of which the bytes are what is shown.
const SOURCES: &[&str] = &[
    r#"{"from":"spiffe","trust_domains":["*"]}"#,
    r#"{"from":"spiffe","take":"path","trust_domains":["td"]}"#,
    r#"{"from":"spiffe","pattern":"spiffe://{td}/ns/{ns}/sa/{sa}","tenant":"o/{td}/{ns}","trust_domains":["*"]}"#,
    r#"{"from":"certificate","san":"dns","pattern":"{a}.{b}.example","tenant":"{b}/{a}"}"#,
    r#"{"from":"jwt"}"#,
    r#"{"from":"jwt","element":"first"}"#,
    r#"{"from":"jwt","element":"matching","pattern":"t:{t}","tenant":"{t}"}"#,
    r#"{"from":"xfcc","trusted":true,"hops":1}"#,
    r#"{"from":"xfcc","trusted":true,"san":"dns"}"#,
    r#"{"from":"header","trusted":true,"pattern":"{a}-{b}","tenant":"x.{b}"}"#,
    r#"{"from":"node"}"#,
];

/// The last element of a header, as a proxy of ours adds it, and whom it names.
const ADDED: &[u8] = b",By=spiffe://td/gw;Hash=ab;Subject=\"CN=\\\"eve\\\",O=x\";URI=spiffe://td/ns/eve/sa/eve";
const XFCC: &str = r#"{"from":"xfcc","trusted":true,"pattern":"spiffe://td/ns/{ns}/sa/{sa}","tenant":"{ns}/{sa}"}"#;

/// Shows the same to whoever asks.
struct Everywhere<'a>(&'a [u8]);

impl Caller for Everywhere<'_> {
    fn certificate(&self) -> Shown {
        Shown::Value(self.0.to_vec())
    }
    fn names(&self, _: San) -> Shown {
        Shown::Value(self.0.to_vec())
    }
    fn own_certificate(&self) -> Option<Vec<u8>> {
        Some(self.0.to_vec())
    }
    fn claim(&self, _: &str, _: &[String]) -> Shown {
        Shown::Value(self.0.to_vec())
    }
    fn node(&self, _: &[String]) -> Shown {
        Shown::Value(self.0.to_vec())
    }
    fn header(&self, _: &str) -> Shown {
        Shown::Value(self.0.to_vec())
    }
}

fn source(json: &str) -> Vec<TenantSource> {
    config::parse(format!(r#"{{"tenant":[{json}]}}"#).as_bytes()).expect("the configuration is right").tenant
}

/// Any bytes as what a caller shows.
pub fn identity(bytes: &[u8]) {
    static READ: OnceLock<(Vec<Vec<TenantSource>>, Vec<TenantSource>)> = OnceLock::new();
    let (sources, xfcc) = READ.get_or_init(|| (SOURCES.iter().map(|json| source(json)).collect(), source(XFCC)));
    for source in sources {
        let mut refusals = 0;
        let identity = resolve(source, &Everywhere(bytes), |_| refusals += 1);
        assert!(is_from(&identity.tenant, identity.source), "{identity:?}");
        assert_eq!(identity.tenant == INVALID, refusals == 1, "{identity:?}");
    }
    // What a client sends stands before what the proxy adds.
    let header = [bytes, ADDED].concat();
    let tenant = resolve(xfcc, &Everywhere(&header), |_| ()).tenant;
    assert!(tenant == "eve/eve" || tenant == INVALID, "{tenant}");
}
