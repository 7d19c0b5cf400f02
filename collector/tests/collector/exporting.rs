//! `meshmeter export`: what is in it, what is refused, and a ledger with everything in it that can happen to a call.

use std::path::{Path, PathBuf};

use serde_json::Value;
use wire::record::{Deferred, Evidence, Flag, Record, Tag, TagSource};
use wire::usage::Class;

use crate::auditing::{run, tamper};
use crate::support::*;

const DAY_NS: u64 = 86_400_000_000_000;

/// What happens to calls: priced and not, estimated, deferred, parts, copies; corrected, voided, rated anew, of a closed month.
pub fn varied(dir: &Dir) -> Server {
    let book = dir.write(
        "varied.toml",
        "[[price]]\nprovider = \"openai\"\nmodel = \"gpt-4.1\"\nvalid_from = 2025-01-01\ninput_text = \"2.123456789\"\n\
         output_text = \"8\"\nweb_searches = \"10\"\nrequests = \"0.5\"\n\
         [[adjust]]\non = \"charge\"\ntenant = \"acme/*\"\nfactor = \"1.0351\"\n\
         [[adjust]]\non = \"cost\"\nprovider = \"openai\"\nfactor = \"0.93\"\n",
    );
    let layers = ["--prices", book.to_str().unwrap()];
    let server = Server::start(dir, &layers);
    let tenants = ["acme", "acme/ml", "globex", "Team.7@eu:x_y-z"];
    let of = |number: u64| {
        let model = if number.is_multiple_of(7) { "it's \"quoted\",\nünïcode\u{202e}" } else { "gpt-4.1" };
        let mut record = record(model, &[(Class::InputText, 1000 + number), (Class::OutputText, number)]);
        record.identity.tenant = tenants[(number % 4) as usize].to_owned();
        // From the middle of January to the middle of February.
        record.started_ns = record.started_ns - 15 * DAY_NS + number * DAY_NS;
        record.session_id = Some(format!("session-{}", number % 3));
        record.tags = vec![Tag { name: "team".to_owned(), value: format!("t{}", number % 2), source: TagSource::Jwt }];
        record.stream = number.is_multiple_of(2);
        record.usage.set(Class::CacheRead, number.is_multiple_of(3).then_some(77));
        record.usage.set(Class::WebSearches, number.is_multiple_of(5).then_some(2));
        record
    };
    let more: [fn(&mut Record); 5] = [
        |record| record.evidence = Evidence::Estimated,
        |record| record.deferred = Some(Deferred::Batch),
        |record| record.part = Some("images".to_owned()),
        |record| record.unknown_usage = Some("output.something".to_owned()),
        |record| record.flags.insert(Flag::BadValue),
    ];
    let mut sent: Vec<Vec<u8>> = Vec::new();
    for number in 1..=30 {
        let mut record = of(number);
        if let Some(change) = more.get((number % 9) as usize) {
            change(&mut record);
        }
        sent.push(wire::event::encode(&record, &emitter(1), number));
    }
    // Calls that a second meter saw.
    let mut seen = of(31);
    seen.response_id = Some("chatcmpl-31".to_owned());
    seen.request_id = Some("request-31".to_owned());
    for (meter, number) in [(1, 31), (2, 1)] {
        seen.proxy = Some(emitter(meter));
        sent.push(wire::event::encode(&seen, &emitter(meter), number));
    }
    assert_eq!(server.send(&sent).taken(), (32, 0, 0));
    assert_eq!(server.send(&[b"{\"no\":\"event\"}".to_vec()]).taken(), (0, 0, 1));
    let call = |number: u64| format!("{}-{number}", emitter(1));
    let correct = |number: u64, more: &[&str]| {
        let (code, _, error) = run(dir, &[&["correct", &call(number), "--reason", "looked at"], more].concat());
        assert_eq!((code, error.as_str()), (0, ""), "{more:?}");
    };
    correct(1, &["--void"]);
    correct(2, &[&["--tenant", "acme"], &layers[..]].concat());
    let dearer =
        dir.write("dearer.toml", std::fs::read_to_string(&book).unwrap().replace("2.123456789", "3.000000000007"));
    let dearer = ["--prices", dearer.to_str().unwrap()];
    assert_eq!(run(dir, &[&["rerate", "--until", "2026-01-20"], &dearer[..]].concat()).0, 0);
    assert_eq!(run(dir, &["close", "2026-01", "--anyway", "--reason", "invoiced"]).0, 0);
    // These count later, as credits and debits.
    correct(3, &["--void"]);
    correct(5, &[&["--tenant", "globex"], &dearer[..]].concat());
    let (_, kept, _) = run(dir, &["alarms", "--format", "json"]);
    let kept: Value = serde_json::from_str(&kept).unwrap();
    let digest = &kept[0]["digest"].as_str().unwrap()[..12];
    assert_eq!(run(dir, &["release", "--digest", digest, "--void", "--reason", "a broken proxy"]).0, 0);
    assert_eq!(run(dir, &["gaps", "close", &emitter(2), "--reason", "it has ended"]).0, 0);
    assert_eq!(run(dir, &["verify"]).0, 0);
    server
}

/// The manifests of a directory.
pub fn manifests(place: &Path) -> Vec<Value> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(place.join("_meshmeter/manifests/all"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    paths.iter().map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
}

#[test]
fn contract_an_export_has_every_entry_up_to_where_the_chains_end() {
    let dir = Dir::new();
    let server = varied(&dir);
    let to = dir.file("warehouse");
    let export = |more: &[&str]| run(&dir, &[&["export", "--to", to.to_str().unwrap()], more].concat());
    let entries = |dir: &Dir| u64::try_from(dir.number("SELECT count(*) FROM ledger")).unwrap();
    let (code, out, error) = export(&[]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(out.starts_with(&format!("{} entries in ", entries(&dir))) && out.contains(" files, "), "{out}");
    let manifest = manifests(&to).remove(0);
    assert_eq!(manifest["rows"], entries(&dir));
    let ends = manifest["to"].as_array().unwrap().iter();
    let ends: String =
        ends.map(|end| format!("{}:{}:{}\n", end["writer"], end["entry"], end["hash"].as_str().unwrap())).collect();
    assert_eq!(run(&dir, &["verify"]).1, ends);
    let (code, out, _) = export(&[]);
    assert!(code == 0 && out.starts_with("nothing new, up to "), "{out}");
    assert_eq!(server.send(&events(&emitter(9), 1..=3)).taken(), (3, 0, 0));
    let (_, out, _) = export(&["--commit-every", "2"]);
    assert!(out.starts_with("3 entries in "), "{out}");
    let manifests = manifests(&to);
    assert_eq!(manifests.iter().map(|manifest| manifest["rows"].as_u64().unwrap()).sum::<u64>(), entries(&dir));
    assert_eq!(manifests.iter().map(|manifest| manifest["commit"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    for two in manifests.windows(2) {
        assert_eq!(two[0]["to"], two[1]["from"]);
    }
}

#[test]
fn contract_an_export_says_what_is_wrong_and_shows_nothing_of_it() {
    let dir = Dir::new();
    let server = varied(&dir);
    let to = dir.file("warehouse");
    let place = to.to_str().unwrap();
    for (args, code, why) in [
        (&["export"] as &[&str], 2, "--to"),
        (&["export", "--to", "ftp://host/x"], 1, "must be a directory, or s3://BUCKET/PREFIX"),
        (&["export", "--to", ""], 1, "must be a directory, or s3://BUCKET/PREFIX"),
        (&["export", "--to", "s3:///x"], 1, "must be s3://BUCKET/PREFIX"),
        (&["export", "--to", "/dev/null/x"], 1, "/dev/null/x/_meshmeter: "),
        (&["export", "--to", place, "--month", "2026-13"], 2, "must be a month such as 2026-10"),
        (&["export", "--to", place, "--commit-every", "0"], 2, "--commit-every"),
        (&["export", "--to", place, "--ca-file", "/nowhere"], 1, "/nowhere: "),
    ] {
        let (ended, _, error) = run(&dir, args);
        assert!(ended == code && error.contains(why), "{args:?}: {error}");
    }
    let output =
        meshmeter(&["export", "--to", place, "--database", dir.file("none.db").to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!to.exists(), "what is refused makes no directory");
    drop(server);
    tamper(&dir, "UPDATE ledger SET tenant = 'globex' WHERE entry = 4");
    let (code, _, error) = run(&dir, &["export", "--to", place]);
    assert!(code == 1 && error.contains(":4: was altered"), "{error}");
    assert!(
        manifests(&to).is_empty()
            && !std::fs::read_dir(&to)
                .unwrap()
                .any(|entry| { entry.unwrap().file_name().to_string_lossy().starts_with("month=") })
    );
}

#[test]
fn contract_months_and_tenants_can_be_exported_by_themselves() {
    let dir = Dir::new();
    drop(varied(&dir));
    let to = dir.file("warehouse");
    let export = |more: &[&str]| run(&dir, &[&["export", "--to", to.to_str().unwrap()], more].concat());
    let count = |which: &str| dir.number(&format!("SELECT count(*) FROM ledger WHERE {which}"));
    let (code, out, _) = export(&["--tenant", "acme"]);
    let acme = count("tenant = 'acme' OR tenant LIKE 'acme/%'");
    assert!(code == 0 && out.starts_with(&format!("{acme} entries in ")), "{out}");
    let (code, _, error) = export(&["--month", "2026-01"]);
    assert!(
        code == 1
            && error
                .contains("has the entries of tenant \"acme\" already, so the entries of 2026-01 would be there twice"),
        "{error}"
    );
    let other = dir.file("january");
    let (code, out, _) = run(&dir, &["export", "--to", other.to_str().unwrap(), "--month", "2026-01"]);
    let first = LAST_OF_JANUARY_NS + 1 - 31 * DAY_NS;
    let january = count(&format!("started_ns >= {first} AND started_ns <= {LAST_OF_JANUARY_NS} AND billed IS NULL"));
    assert!(code == 0 && out.starts_with(&format!("{january} entries in ")), "{out}");
    let months: Vec<String> =
        std::fs::read_dir(&other).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(months.iter().all(|name| name == "month=2026-01" || name == "_meshmeter"), "{months:?}");
}
