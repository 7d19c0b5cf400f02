//! `meshmeter hash-key`: the hashes of API keys, for the plugin's configuration.

use std::io::Write;
use std::process::Stdio;

use crate::support::meshmeter;

const SECRET: (&str, &str) = ("MESHMETER_HASH_KEY", "a-secret-of-a-test-0451");

/// The exit code, standard output, standard error.
fn run(args: &[&str], env: &[(&str, &str)], keys: &[u8]) -> (i32, String, String) {
    let mut command = meshmeter(&[&["hash-key"], args].concat());
    command.envs(env.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    // A refusal does not wait for what is said.
    let _ = process.stdin.take().unwrap().write_all(keys);
    let output = process.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// What `printf sk-acme | openssl dgst -sha256 -hmac a-secret-of-a-test-0451` prints.
const ACME: &str = "08d993090abe702daaecff680973871a31cd447c1abfefbf5d1876eab18df447";
const GLOBEX: &str = "ca877c5f9acec0c9fc4c0b62f990f4ece2f70e9f0e2f91c967356798c652521d";

#[test]
fn contract_hashes_are_those_that_the_plugin_knows_keys_by() {
    let keys = b" sk-acme \r\n\nsk-globex";
    assert_eq!(run(&[], &[SECRET], keys), (0, format!("{ACME}\n{GLOBEX}\n"), String::new()));
    assert_eq!(run(&["--secret-env", "S"], &[("S", SECRET.1)], b"sk-acme\n").1, format!("{ACME}\n"));
    let (_, object, _) = run(&["--tenant", "org/acme"], &[SECRET], keys);
    let configuration = format!(r#"{{"tenant":[{{"from":"api_key","keys":{object}}}]}}"#);
    let config = meter::config::parse(configuration.as_bytes()).unwrap();
    let meter::identity::Shows::ApiKey(keys) = &config.tenant[0].shows else { panic!("{config:?}") };
    let found: Vec<_> = keys.tenants.iter().map(|(hash, tenant)| (hash.to_string(), tenant.as_str())).collect();
    assert_eq!(found.len(), 2);
    assert!(found.contains(&(ACME.to_owned(), "org/acme")), "{found:?}");
}

#[test]
fn contract_a_refusal_says_why_and_never_shows_a_key_or_a_secret() {
    let long = [b"sk-", "k".repeat(600).as_bytes()].concat();
    let short = [("MESHMETER_HASH_KEY", "sk-short")];
    type Case<'c> = (&'c [&'c str], &'c [(&'c str, &'c str)], &'c [u8], &'c str);
    let cases: [Case<'_>; 7] = [
        (&[], &[], b"sk-acme", "MESHMETER_HASH_KEY must hold a secret of at least 16 characters"),
        (&[], &short, b"sk-acme", "MESHMETER_HASH_KEY must hold a secret of at least 16 characters"),
        (&["--tenant", "a b"], &[SECRET], b"sk-acme", "--tenant: must be ASCII letters"),
        (&[], &[SECRET], b"\n \n", "standard input: has no API key in it"),
        (&[], &[SECRET], &long, "standard input, line 1: must have at most 512 bytes"),
        (
            &[],
            &[SECRET],
            b"sk-a\nBearer sk-b\n",
            "standard input, line 2: has a blank in it; an API key is meant, without Bearer",
        ),
        (&[], &[SECRET], b"sk-a\tsk-b\n", "standard input, line 1: has a blank in it"),
    ];
    for (args, env, keys, expected) in cases {
        let (code, out, error) = run(args, env, keys);
        assert!((code, out.as_str()) == (1, "") && error.contains(expected), "{expected}: {error}");
        assert!(!error.contains("sk-") && !error.contains("a-secret"), "{error}");
    }
}
