//! The command line: what it prints, what it refuses, and its exit codes.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use wire::record::Evidence;
use wire::usage::Class;

use crate::support::*;

pub struct Done {
    pub code: i32,
    pub out: String,
    pub error: String,
}

pub fn run(args: &[&str]) -> Done {
    done(meshmeter(args).output().unwrap())
}

fn done(output: Output) -> Done {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code().unwrap(), out: text(output.stdout), error: text(output.stderr) }
}

/// For the rest of the process.
fn leak(path: std::path::PathBuf) -> &'static str {
    String::leak(path.to_str().unwrap().to_owned())
}

#[test]
fn contract_serve_refuses_to_start_where_anybody_could_write() {
    let dir = Dir::new();
    let database = dir.file("ledger.db");
    let serve = |more: &[&str], env: &[(&str, &str)]| {
        let mut args = vec!["serve", "--listen", "127.0.0.1:0", "--database", database.to_str().unwrap()];
        args.extend(more);
        done(meshmeter(&args).envs(env.iter().copied()).output().unwrap())
    };
    let empty = dir.write_secret("empty", "\n");
    let spaced = dir.write_secret("spaced", "my/name secret-0123456789");
    let short = dir.write_secret("short", "\nsecret");
    let readable = dir.write_secret("readable", "secret-0123456789");
    std::fs::set_permissions(&readable, std::fs::Permissions::from_mode(0o644)).unwrap();
    let spiffe = dir.write_secret("spiffe", "east spiffe://td/ns/secret");
    let limited = dir.write_secret("limited", "secret-0123456789 tenants=acme rate=1");
    let bad_prices = dir.write("prices.toml", "[[price]]\n");
    let token = [("MESHMETER_INGEST_TOKEN", "0123456789abcdef")];
    let read = ("MESHMETER_READ_TOKEN", "0123456789abcdef");
    let ingest_file = |path: &'static str| vec!["--ingest-token-file", path];
    type Case<'a> = (i32, &'a str, Vec<&'a str>, Vec<(&'a str, &'a str)>);
    let cases: [Case<'_>; 14] = [
        (2, "no ingest token: set MESHMETER_INGEST_TOKEN, or name a file", vec![], vec![]),
        (2, "no ingest token: set OTHER", vec!["--ingest-token-env", "OTHER"], token.to_vec()),
        (
            2,
            "--insecure-no-auth: must listen on a loopback address, not on 0.0.0.0:0",
            vec!["--insecure-no-auth", "--listen", "0.0.0.0:0"],
            vec![],
        ),
        (2, "no two tokens may be the same", vec![], vec![token[0], read]),
        (1, "has no token in it", ingest_file(leak(empty)), vec![]),
        (1, "spaced, line 1: a token's name must be", ingest_file(leak(spaced)), vec![]),
        (1, "short, line 2: a token must have at least 16 characters", ingest_file(leak(short)), vec![]),
        (1, "its mode is 0644: chmod 640 it", ingest_file(leak(readable)), vec![]),
        (2, "a SPIFFE id needs --tls-client-ca", ingest_file(leak(spiffe)), vec![]),
        (2, "are for those who send", vec!["--read-token-file", leak(limited)], token.to_vec()),
        (2, "--tls-key", vec!["--tls-cert", "cert.pem"], token.to_vec()),
        (2, "must be a whole number of bytes", vec!["--min-free", "256MB"], token.to_vec()),
        (1, "price[0].valid_from: is missing", vec!["--prices", bad_prices.to_str().unwrap()], token.to_vec()),
        (2, "unexpected argument '--ingest-token'", vec!["--ingest-token", "x"], vec![]),
    ];
    for (code, expected, mut more, env) in cases {
        if more.contains(&"0.0.0.0:0") {
            more.retain(|arg| *arg != "--listen" && *arg != "0.0.0.0:0");
            let args =
                ["serve", "--database", database.to_str().unwrap(), "--listen", "0.0.0.0:0", "--insecure-no-auth"];
            let done = run(&args);
            assert!(done.code == code && done.error.contains(expected), "{}", done.error);
            continue;
        }
        let done = serve(&more, &env);
        assert!(done.error.contains(expected), "{expected:?} is not in: {}", done.error);
        assert!(!done.error.contains("secret"), "{}", done.error);
        assert_eq!((done.code, done.out.as_str()), (code, ""), "{}", done.error);
    }
    assert!(!database.exists(), "a refused start leaves nothing behind");
}

#[test]
fn contract_tokens_of_files_are_taken_and_several_while_rotating() {
    let dir = Dir::new();
    let (ingest, read) = (
        dir.write_secret("ingest", "old-0123456789ab\nnew-0123456789ab\n"),
        dir.write_secret("read", "reader-012345678"),
    );
    let files = ["--ingest-token-file", ingest.to_str().unwrap(), "--read-token-file", read.to_str().unwrap()];
    let server = Server::start(&dir, &files);
    let status = |token: &str| {
        let bearer = format!("Bearer {token}");
        server.post(&[("authorization", &bearer), ("content-type", BATCH)], b"[]").status
    };
    assert_eq!(["old-0123456789ab", "new-0123456789ab", INGEST, "reader-012345678"].map(status), [200, 200, 401, 403]);
    assert_eq!(server.get("/metrics", Some("reader-012345678")).status, 200);
}

#[test]
fn contract_without_tokens_only_loopback_serves() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--insecure-no-auth", "--ingest-token-env", "NO", "--read-token-env", "NO"]);
    assert_eq!(server.post(&[("content-type", BATCH)], b"[]").status, 200);
    assert_eq!(server.get("/metrics", None).status, 200);
}

#[test]
fn contract_the_table_shows_evidence_apart_and_ends_with_totals() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", price_book().to_str().unwrap()]);
    let mut estimated =
        record("claude-sonnet-4-5-20250929", &[(Class::InputText, 1_234_567), (Class::CacheWriteOther, 4)]);
    estimated.provider = "anthropic".to_owned();
    estimated.evidence = Evidence::Estimated;
    let mut missing = record("gpt-4.1", &[]);
    missing.evidence = Evidence::Missing;
    let hostile = record("\u{1b}[2Jmodel", &[(Class::OutputReasoning, 1)]);
    let searches = record("o4-mini", &[(Class::OutputReasoning, 3), (Class::WebSearches, 2)]);
    let records = [record("gpt-4.1", &[(Class::InputText, 3)]), estimated, missing, hostile, searches];
    let batch: Vec<Vec<u8>> =
        (1..).zip(&records).map(|(sequence, record)| wire::event::encode(record, &emitter(1), sequence)).collect();
    assert_eq!(server.send(&batch).taken(), (5, 0, 0));
    let database = dir.file("ledger.db");
    let done = run(&["report", "--database", database.to_str().unwrap()]);
    assert_eq!((done.code, done.error.as_str()), (0, ""));
    let words: Vec<String> =
        done.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        words[0],
        "tenant provider model evidence calls input cache read cache write output reasoning web_searches charge (USD) cost (USD)"
    );
    assert_eq!(
        words[2..],
        [
            "acme anthropic claude-sonnet-4-5-20250929 estimated 1 1,234,567 - 4 - - - 7.407432 7.407432 *",
            "acme openai \\u{1b}[2Jmodel reported 1 - - - - 1 - unpriced unpriced",
            "acme openai gpt-4.1 reported 1 3 - - - - - 0.000006 0.000006",
            "acme openai gpt-4.1 missing 1 - - - - - - - -",
            "acme openai o4-mini reported 1 - - - - 3 2 0.0200132 0.0200132",
            "",
            "total reported 3 3 - - - 4 2 0.0200192 0.0200192 + unpriced",
            "total estimated 1 1,234,567 - 4 - - - 7.407432 7.407432 *",
            "total missing 1 - - - - - - - -",
            "total all 5 1,234,570 - 4 - 4 2 7.4274512 7.4274512 * + unpriced",
            "* in part charged by the price of another class; JSON says which",
            "- as charge or cost: nothing was counted that could be charged; what was counted and is free has 0",
            "unpriced: the price book had no price for it; unknown is not free. A price that came later: meshmeter rerate",
            "openai \\u{1b}[2Jmodel: 1 calls, 1 tokens without a price",
            "all days, time zone UTC",
        ]
    );
}

#[test]
fn contract_the_password_of_a_database_is_shown_nowhere() {
    for options in ["", "?sslmode=prefer", "?colour=red"] {
        let url = format!("postgres://meter:s3cret@127.0.0.1:1/bill{options}");
        for command in [vec!["serve", "--insecure-no-auth", "--listen", "127.0.0.1:0"], vec!["report"], vec!["verify"]]
        {
            for end in [&[][..], &["--help"][..], &["--colour"][..]] {
                let by_variable = [&command, end].concat();
                let by_argument = [&command, &["--database", &url][..], end].concat();
                for (args, variable) in [(by_variable, url.as_str()), (by_argument, "")] {
                    let variables = (!variable.is_empty()).then_some(("MESHMETER_DATABASE", variable));
                    let done = done(meshmeter(&args).envs(variables).output().unwrap());
                    assert!(!done.out.contains("s3cret") && !done.error.contains("s3cret"), "{args:?}: {}", done.error);
                    let said = if end.is_empty() { done.code == 1 && !done.error.is_empty() } else { done.code != 1 };
                    assert!(said, "{args:?}: {} {}", done.code, done.error);
                }
            }
        }
    }
}

#[test]
fn contract_a_report_needs_a_ledger() {
    let dir = Dir::new();
    let not_ours = dir.file("other.db");
    rusqlite::Connection::open(&not_ours).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let later = dir.file("later.db");
    let version = "PRAGMA application_id = 1835365224; PRAGMA user_version = 99;";
    rusqlite::Connection::open(&later).unwrap().execute_batch(version).unwrap();
    let text = dir.write(
        "text.db",
        "This is a file of text, and it is longer than the header of a database would be. ".repeat(9),
    );
    let cases = [
        (vec!["--database", "/no/such.db"], "meshmeter: /no/such.db: there is no such file"),
        (vec!["--database", not_ours.to_str().unwrap()], "is a database of another program"),
        (vec!["--database", later.to_str().unwrap()], "was written by a later version of meshmeter"),
        (vec!["--database", text.to_str().unwrap()], "is not a database of meshmeter"),
    ];
    for (args, expected) in cases {
        let done = run(&[&["report"], args.as_slice()].concat());
        assert!(done.error.contains(expected), "{expected:?} is not in: {}", done.error);
        assert_eq!((done.code, done.out.as_str()), (1, ""), "{}", done.error);
    }
    for args in [["report", "--since", "2026-02-30"], ["report", "--by", "colour"], ["report", "--format", "xml"]] {
        assert_eq!(run(&args).code, 2, "{args:?}");
    }
    let serve = ["serve", "--database", not_ours.to_str().unwrap(), "--insecure-no-auth", "--listen", "127.0.0.1:0"];
    let done = run(&serve);
    assert!(done.code == 1 && done.error.contains("is a database of another program"), "{}", done.error);
    let tables = rusqlite::Connection::open(&not_ours).unwrap();
    let count: i64 = tables.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1, "another program's database was changed");
}

#[test]
fn contract_check_says_what_the_plugin_would_say() {
    let dir = Dir::new();
    let good = dir.write("good.json", "{}");
    let bad = dir.write("bad.json", "{\"colector\":{},\"batch\":{\"max_events\":0}}");
    let done = run(&["check", good.to_str().unwrap()]);
    assert_eq!((done.code, done.out), (0, format!("{}: ok\n", good.display())));
    let done = run(&["check", bad.to_str().unwrap()]);
    assert_eq!((done.code, done.out.as_str()), (1, ""));
    let problems = meter::config::parse(b"{\"colector\":{},\"batch\":{\"max_events\":0}}").unwrap_err().to_string();
    let expected: Vec<String> = problems.lines().map(|problem| format!("{}: {problem}", bad.display())).collect();
    assert!(
        expected.len() == 2 && problems.contains("colector") && problems.contains("batch.max_events"),
        "{problems}"
    );
    assert_eq!(done.error.lines().collect::<Vec<_>>(), expected);
    let envoy = dir.write("envoy.yaml", "static_resources:\n  listeners: []\n");
    let as_json = dir.write("envoy.json", "{\"static_resources\":{\"listeners\":[]}}");
    let istio = dir.write("istio.yaml", "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\n");
    for (file, expected) in [(&envoy, "of Envoy"), (&as_json, "of Envoy"), (&istio, "spec.pluginConfig")] {
        let done = run(&["check", file.to_str().unwrap()]);
        assert_eq!((done.code, done.error.lines().count()), (1, 1), "{}", done.error);
        assert!(done.error.starts_with(&file.display().to_string()) && done.error.contains(expected), "{}", done.error);
    }
    assert_eq!(run(&["check", "/no/such.json"]).code, 1);
    assert_eq!(run(&["check"]).code, 2);
}
