//! An export read by DuckDB and Spark where it lies, in a directory and in a bucket: they find the ledger's sums.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use collector::money::Charge;
use serde_json::{Value, json};
use warehouse::Place;
use warehouse::place::{Bucket, Settings};
use wire::usage::{Class, Kind};

use crate::auditing::run;
use crate::bucket::{KEY, SECRET, Store, said, tool, workspace};
use crate::exporting::{manifests, varied};
use crate::support::*;

/// What engines find in a place.
fn ask(engines: &[&str], place: &str, store: Option<&Store>) -> Value {
    let asked = json!({
        "place": place,
        "engines": engines,
        "docs": workspace().join("docs/warehouse.md"),
        "endpoint": store.map(|store| store.endpoint.clone()),
        "key": KEY,
        "secret": SECRET,
    });
    let mut command = Command::new(tool("MESHMETER_WAREHOUSE_PYTHON", "warehouse/bin/python"));
    command.arg("-B").arg(workspace().join("tests/warehouse/ask.py"));
    // Proxies of this machine have no part in this.
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    let mut asking = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    asking.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let output = asking.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What is counted, by all that the sums tell apart: quantity, charge, cost, unpriced, fallback.
type Sums = BTreeMap<Vec<String>, (i64, Charge, Charge, i64, i64)>;

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn amount(value: &Value) -> Charge {
    text(value).parse().unwrap_or_else(|why| panic!("{value}: {why}"))
}

/// What an engine has found, without what is nothing.
fn found(answer: &Value) -> Sums {
    let mut sums = Sums::new();
    for row in answer["sums"].as_array().unwrap() {
        let key: Vec<String> = row.as_array().unwrap()[..8].iter().map(text).collect();
        let number = |at: usize| row[at].as_i64().unwrap();
        let sum = (number(8), amount(&row[9]), amount(&row[10]), number(11), number(12));
        if sum != (0, Charge::default(), Charge::default(), 0, 0) {
            assert!(sums.insert(key, sum).is_none(), "{row}");
        }
    }
    sums
}

/// What the ledger's own sums are.
fn kept(dir: &Dir) -> Sums {
    let sql = "SELECT substr(day, 1, 7), day, adjusts, tenant, provider, model, evidence, class, quantity, charge,
            coalesce(cost, charge), unpriced, fallback
        FROM rollup WHERE class NOT LIKE '%:%'";
    let mut sums = Sums::new();
    for row in dir.sql(sql).unwrap() {
        let number = |at: usize| row[at].parse::<i64>().unwrap();
        let amount = |at: usize| row[at].parse::<Charge>().unwrap();
        let sum = (number(8), amount(9), amount(10), number(11), number(12));
        if sum != (0, Charge::default(), Charge::default(), 0, 0) {
            sums.insert(row[..8].to_vec(), sum);
        }
    }
    sums
}

/// By tenant: calls, input and output tokens, searches, charge, cost.
type Totals = BTreeMap<String, (i64, i64, i64, i64, Charge, Charge)>;

fn totals_of(sums: &Sums) -> Totals {
    let mut totals = Totals::new();
    for (key, (quantity, charge, cost, ..)) in sums {
        let of = totals.entry(key[3].clone()).or_default();
        match Class::from_name(&key[7]) {
            None => of.0 += quantity,
            Some(Class::WebSearches) => of.3 += quantity,
            Some(class) if class.kind() == Kind::Input => of.1 += quantity,
            Some(class) if class.kind() == Kind::Output => of.2 += quantity,
            Some(_) => {}
        }
        of.4 = of.4.checked_add(*charge).unwrap();
        of.5 = of.5.checked_add(*cost).unwrap();
    }
    totals
}

fn totals_found(answer: &Value) -> Totals {
    let totals = answer["totals"].as_array().unwrap().iter().map(|row| {
        let number = |at: usize| row[at].as_i64().unwrap();
        (text(&row[0]), (number(1), number(2), number(3), number(4), amount(&row[5]), amount(&row[6])))
    });
    totals.filter(|(_, total)| *total != Default::default()).collect()
}

/// Every entry with its hash, as the ledger has them.
fn entries(dir: &Dir) -> Value {
    let rows = dir.sql("SELECT entry, lower(hex(hash)), kind FROM ledger ORDER BY entry").unwrap();
    rows.into_iter().map(|row| json!([1, row[0].parse::<i64>().unwrap(), row[1], row[2]])).collect()
}

/// What an engine finds is what the ledger has, to the token and the last decimal.
fn is_the_ledger(dir: &Dir, answer: &Value) {
    let kept = kept(dir);
    assert_eq!(found(answer), kept);
    assert_eq!(totals_found(answer), totals_of(&kept));
    assert_eq!(answer["entries"], entries(dir));
    let answers = answer["answers"].as_array().unwrap();
    assert!(
        answers.iter().all(|rows| rows.as_i64().unwrap() > 0),
        "a question of the documentation finds nothing: {answers:?}"
    );
    // In a correction, too, and in a reversal, which repeat no event.
    for fact in answer["facts"].as_array().unwrap() {
        if fact[0] == "release" {
            continue;
        }
        assert_eq!((&fact[1], &fact[3]), (&json!("chat"), &json!(200)), "{fact}");
        assert!(matches!(fact[2].as_str(), Some("true" | "false")) && text(&fact[5]).starts_with('t'), "{fact}");
    }
}

#[test]
fn fidelity_duckdb_and_spark_find_the_ledgers_sums_where_the_files_lie() {
    let dir = Dir::new();
    drop(varied(&dir));
    let to = dir.file("ware house");
    let place = to.to_str().unwrap();
    let (code, _, error) = run(&dir, &["export", "--to", place, "--commit-every", "20"]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(manifests(&to).len() > 1);
    let answers = ask(&["duckdb", "spark"], place, None);
    let types = [
        ("duckdb", json!(["VARCHAR", "BIGINT", "DATE", "DECIMAL(38,24)", "TIMESTAMP WITH TIME ZONE"])),
        ("spark", json!(["string", "int", "date", "decimal(38,24)", "timestamp"])),
    ];
    for (engine, types) in types {
        is_the_ledger(&dir, &answers[engine]);
        assert_eq!(answers[engine]["types"], types, "{engine}");
    }
    assert_eq!(answers["duckdb"]["facts"], answers["spark"]["facts"]);
}

#[test]
fn fidelity_a_bucket_has_the_ledger_whatever_is_killed() {
    let dir = Dir::new();
    drop(varied(&dir));
    let mut store = Store::start(dir.file("store"));
    // Somebody without the secret.
    let mut stranger = store.export(&dir, &[]);
    stranger.env("AWS_SECRET_ACCESS_KEY", "another");
    let (code, _, error) = said(stranger);
    assert!(code == Some(1) && error.contains("s3://billing/mesh/meter/"), "{error}");
    // The export is killed again and again, and the store too.
    let mut kills = 0;
    for wait in (0..).map(|number: u64| Duration::from_millis(20 + number * 13 % 400 + number * 8)) {
        let mut export =
            store.export(&dir, &["--commit-every", "5"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(wait);
        if export.try_wait().unwrap().is_some_and(|status| status.success()) {
            break;
        }
        kills += 1;
        if kills % 5 == 0 {
            store.kill();
        }
        let _ = export.kill();
        let _ = export.wait();
        if kills % 5 == 0 {
            store.again();
        }
        assert!(kills < 400, "it comes to no end");
    }
    let (code, out, error) = said(store.export(&dir, &[]));
    assert!(code == Some(0) && out.starts_with("nothing new, up to 1:"), "{out}{error}");
    is_the_ledger(&dir, &ask(&["duckdb"], "s3://billing/mesh/meter", Some(&store))["duckdb"]);
    store.kill();
    let (code, _, error) = said(store.export(&dir, &[]));
    assert!(code == Some(1) && error.contains("s3://billing/mesh/meter/"), "{error}");
}

#[test]
fn fidelity_months_that_are_sealed_to_a_bucket_are_read_from_there() {
    let dir = Dir::new();
    let server = varied(&dir);
    assert_eq!(run(&dir, &["close", "2026-02", "--anyway"]).0, 0);
    let mut store = Store::start(dir.file("store"));
    let call = format!("{}-9", emitter(1));
    let asked: [&[&str]; 5] = [
        &["report", "--since", "2026-01", "--until", "2026-12", "--by", "session,tag:team", "--format", "csv"],
        &["report", "--month", "2026-01", "--format", "focus"],
        &["statement", "--tenant", "acme", "--below", "--month", "2026-02", "--format", "csv"],
        &["explain", &call, "--format", "json"],
        &["audit", "--format", "json"],
    ];
    let told = |store: &Store| asked.map(|args| said(store.command(&dir, args)));
    let expected = told(&store);
    assert!(expected.iter().all(|(code, ..)| *code == Some(0)), "{expected:?}");
    let seal = ["seal", "--before", "2026-03", "--to", "s3://billing/mesh/meter", "--endpoint", &store.endpoint];
    let by = ["--who", "ann", "--no-vacuum"];
    let (code, out, error) = said(store.command(&dir, &[&seal[..], &by].concat()));
    assert!(code == Some(0) && out.contains(" entries were sealed, up to 1:"), "{out}{error}");
    assert_eq!(told(&store), expected);
    let verify = |store: &Store| said(store.command(&dir, &["verify"]));
    let (code, heads, error) = verify(&store);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    // Nothing that was copied to be read is left.
    let left = std::fs::read_dir(&store.directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut left: Vec<_> = left.collect();
    left.sort();
    assert_eq!(left, ["data", "log", "meta"]);
    // Without credentials, and without a store; what is not sealed needs neither.
    for is_there in [true, false] {
        if !is_there {
            store.kill();
        }
        let (code, _, error) = run(&dir, &["verify"]);
        assert!(code == 1 && error.contains("the archive of sealed months: s3://billing/mesh/meter"), "{error}");
        assert_eq!(run(&dir, &["report", "--month", "2026-11", "--by", "session"]).0, 0);
    }
    store.again();
    assert_eq!(verify(&store), (Some(0), heads, String::new()));
    let (code, out, error) = said(store.command(&dir, &["unseal", "--who", "ann"]));
    assert!(code == Some(0) && out.contains(" entries are in the database again"), "{out}{error}");
    store.kill();
    assert_eq!(told(&store), expected);
    assert_eq!(run(&dir, &["verify"]).0, 0);
    drop(server);
}

#[test]
fn fidelity_a_long_file_arrives_whole_and_small_ones_once() {
    let dir = Dir::new();
    let store = Store::start(dir.file("store"));
    let profile =
        dir.write("credentials", format!("[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"));
    // In a process of its own: the environment is its.
    let name = "fidelity_a_long_file_arrives_whole_and_small_ones_once";
    if std::env::var_os("MESHMETER_TEST_ENDPOINT").is_none() {
        let mut again = Command::new(std::env::current_exe().unwrap());
        again
            .args([&format!("warehouse::{name}"), "--exact", "--nocapture"])
            .env("MESHMETER_TEST_ENDPOINT", &store.endpoint);
        again.env("AWS_SHARED_CREDENTIALS_FILE", profile).env("AWS_CONFIG_FILE", "/dev/null").env_remove("AWS_PROFILE");
        let output = again.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    }
    let endpoint = std::env::var("MESHMETER_TEST_ENDPOINT").unwrap();
    let place = Bucket::open("billing/p", &Settings { endpoint: Some(endpoint), ..Settings::default() }).unwrap();
    let staging = place.staging().unwrap();
    // Three parts, the last one short.
    let bytes: Vec<u8> = (0..40_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let staged = staging.join("long.part");
    for again in [false, true] {
        std::fs::write(&staged, &bytes).unwrap();
        place.publish(&staged, "month=2026-11/tenant_hash=3/long.parquet").unwrap();
        assert!(!staged.exists(), "{again}");
    }
    assert!(place.get("month=2026-11/tenant_hash=3/long.parquet").unwrap() == Some(bytes));
    assert!(place.create("_meshmeter/a/1.json", b"1").unwrap());
    assert!(!place.create("_meshmeter/a/1.json", b"2").unwrap());
    assert_eq!(place.get("_meshmeter/a/1.json").unwrap(), Some(b"1".to_vec()));
    place.replace("_meshmeter/a/2", b"3").unwrap();
    place.replace("_meshmeter/a/2", b"4").unwrap();
    assert_eq!(place.get("_meshmeter/a/2").unwrap(), Some(b"4".to_vec()));
    assert_eq!(place.list("_meshmeter").unwrap(), ["_meshmeter/a/1.json", "_meshmeter/a/2"]);
    for _ in 0..2 {
        place.delete("_meshmeter/a/2").unwrap();
    }
    assert_eq!((place.get("_meshmeter/a/2").unwrap(), place.list("nothing").unwrap()), (None, Vec::new()));
}
