//! What the plugin asks the proxy for to know who calls.

use std::thread;

use super::abi;
use super::{call, configured};

/// Every kind of source, as often as a configuration may have sources; `@` stands for a number.
const KINDS: [(&str, usize); 7] = [
    (r#"{"from":"spiffe","trust_domains":["td@"]}"#, 0),
    (r#"{"from":"certificate","san":"dns"}"#, 3),
    (r#"{"from":"jwt","claim":"c@"}"#, 2),
    (r#"{"from":"xfcc","hops":1,"trusted":true}"#, 0),
    (r#"{"from":"node","metadata":"m@"}"#, 1),
    (r#"{"from":"api_key","keys":{},"headers":["h@"]}"#, 0),
    (r#"{"from":"header","name":"h@","trusted":true}"#, 0),
];

/// How many properties are asked for in a call, with these sources of the tenant.
fn asked(sources: &[String], has_certificate: bool) -> usize {
    let json = format!(r#"{{"tenant":[{}]}}"#, sources.join(","));
    // A proxy of its own for each: what is known of one may be asked for once.
    let run = move || {
        if has_certificate {
            abi::set_property("connection\0mtls", &[1]);
        }
        let plugin = configured(1, &json);
        call(&plugin);
        let before = abi::calls("proxy_get_property");
        call(&plugin);
        abi::calls("proxy_get_property") - before
    };
    thread::spawn(run).join().unwrap()
}

#[test]
fn contract_an_identity_costs_few_hostcalls_whatever_the_configuration() {
    for has_certificate in [false, true] {
        let without = asked(&[], has_certificate);
        for (kind, each) in KINDS {
            let sources: Vec<String> = (0..16).map(|number| kind.replace('@', &number.to_string())).collect();
            let more = asked(&sources, has_certificate) - without;
            assert!(more <= 16 * each, "{kind}: {more}");
        }
    }
}

#[test]
fn contract_a_missing_secret_is_said_and_stops_nothing() {
    let plugin = configured(1, r#"{"tenant":[{"from":"api_key","keys":{},"secret_env":"NOT_THERE"}]}"#);
    assert!(abi::logged("the environment variable NOT_THERE (tenant[].secret_env) holds no secret"));
    call(&plugin);
    assert!(abi::written("meshmeter").is_some());
}
