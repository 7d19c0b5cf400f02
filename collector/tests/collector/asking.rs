//! What only the calls themselves tell: sessions, traces, tags, hours, days of other time zones.

use wire::record::{Outcome, Tag, TagSource};
use wire::usage::Class;

use crate::support::*;

const HOSTILE: &str = "'; DROP TABLE ledger; --|<b>\u{202e}\"";

/// Calls of an agent: two tasks, three sessions, and one call that says nothing.
fn filled(dir: &Dir) -> Server {
    let server = Server::start(dir, &["--prices", price_book().to_str().unwrap()]);
    let calls = [
        ("s-1", Some("T-1"), "acme/ml/ann", 1000, 0),
        ("s-1", Some("T-1"), "acme/ml/ann", 2000, 3),
        ("s-2", Some("T-2"), "acme/ml/bob", 500, 5),
        (HOSTILE, Some("T-2"), "acme/ops", 100, 30),
        ("", None, "globex", 10, 30),
    ];
    let mut number = 0;
    let batch: Vec<Vec<u8>> = calls
        .into_iter()
        .map(|(session, task, tenant, tokens, hours)| {
            number += 1;
            let mut record = record("gpt-4.1", &[(Class::InputText, tokens)]);
            record.started_ns = LAST_OF_JANUARY_NS + 1 - 2 * 3_600_000_000_000 + hours * 3_600_000_000_000;
            record.identity.tenant = tenant.to_owned();
            record.session_id = (!session.is_empty()).then(|| session.to_owned());
            record.outcome = if task.is_some() { Outcome::Completed } else { Outcome::Refused };
            record.trace_id = Some(format!("{number:032x}"));
            let tag = |task: &str| Tag { name: "task".to_owned(), value: task.to_owned(), source: TagSource::Jwt };
            record.tags = task.map(tag).into_iter().collect();
            wire::event::encode(&record, &emitter(1), number)
        })
        .collect();
    assert_eq!(server.send(&batch).taken(), (5, 0, 0));
    server
}

fn report(dir: &Dir, more: &[&str]) -> (i32, String, String) {
    let output = meshmeter(&[&["report", "--database", &dir.database()], more].concat()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The lines of a report: its columns, calls and charge.
fn lines(dir: &Dir, by: &str, more: &[&str]) -> Vec<String> {
    let options = ["--format", "json", "--since", "2026-01-01", "--by", by];
    let (code, out, error) = report(dir, &[&options, more].concat());
    assert_eq!((code, error.as_str()), (0, ""), "{by}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    let columns: Vec<&str> = report["by"].as_array().unwrap().iter().map(|by| by.as_str().unwrap()).collect();
    let line = |line: &serde_json::Value| {
        let values = columns.iter().map(|by| line[by].as_str().unwrap_or("-").to_owned());
        let others = line["others"].as_u64().map(|others| format!("{others} others"));
        let counts = [line["calls"].to_string(), line["charge"].as_str().unwrap_or("-").to_owned()];
        others.into_iter().chain(values).chain(counts).collect::<Vec<_>>().join(" ")
    };
    report["lines"].as_array().unwrap().iter().map(line).collect()
}

#[test]
fn contract_what_a_task_or_a_session_cost() {
    let dir = Dir::new();
    let server = filled(&dir);
    let tasks = ["- 1 0.00002", "T-1 2 0.006", "T-2 2 0.0012"];
    assert_eq!(lines(&dir, "tag:task", &[]), tasks);
    let sessions =
        ["- 1 0.00002".to_owned(), format!("{HOSTILE} 1 0.0002"), "s-1 2 0.006".into(), "s-2 1 0.001".into()];
    assert_eq!(lines(&dir, "session", &[]), sessions);
    assert_eq!(lines(&dir, "session", &["--top", "1"]), ["s-1 2 0.006", "3 others - 3 0.00122"]);
    assert_eq!(lines(&dir, "session", &["--top", "9", "--sort", "calls"]).len(), 4);
    let (code, _, error) = report(&dir, &["--by", "trace", "--filter", "trace=*3"]);
    assert!(code != 0 && error.contains("may have a * at its end only"), "{error}");
    assert_eq!(lines(&dir, "session", &["--filter", "tag:task=T-2", "--filter", "session=s*"]), ["s-2 1 0.001"]);
    assert_eq!(lines(&dir, "evidence", &["--filter", &format!("session={HOSTILE}")]), ["1 0.0002"]);
    assert_eq!(lines(&dir, "tenant", &["--filter", "session="]), ["globex 1 0.00002"]);
    assert_eq!(lines(&dir, "outcome", &[]), ["completed 4 0.0072", "refused 1 0.00002"]);
    assert_eq!(lines(&dir, "tenant", &["--filter", "outcome=refused"]), ["globex 1 0.00002"]);
    let (code, _, error) = report(&dir, &["--filter", "outcome=rejected"]);
    assert!(code != 0 && error.contains("must be one of completed, "), "{error}");
    assert_eq!(
        lines(&dir, "tenant:2,session", &["--tenant", "acme/ml"]),
        ["acme/ml s-1 2 0.006", "acme/ml s-2 1 0.001"]
    );
    assert_eq!(lines(&dir, "tenant:1", &["--tenant", "acme", "--tenant", "g*"]), ["acme 4 0.0072", "globex 1 0.00002"]);
    // The service gives the same.
    let path = "/v1/report?by=session&since=2026-01-01&top=1";
    let (_, out, _) = report(&dir, &["--format", "json", "--since", "2026-01-01", "--by", "session", "--top", "1"]);
    assert_eq!(server.get(path, Some(READ)).body, out);
    let markdown = server.get("/v1/report?by=session&since=2026-01-01&format=markdown", Some(READ));
    let shown = r#"| '; DROP TABLE ledger; --\|&lt;b&gt;\\u{202e}" | reported | 1 |"#;
    assert!(markdown.body.contains(shown), "{}", markdown.body);
    assert_eq!(markdown.header("content-type"), Some("text/markdown; charset=utf-8"));
}

#[test]
fn contract_hours_and_days_are_those_of_the_time_zone_that_is_said() {
    let dir = Dir::new();
    let _server = filled(&dir);
    assert_eq!(lines(&dir, "day", &[]), ["2026-01-31 1 0.002", "2026-02-01 2 0.005", "2026-02-02 2 0.00022"]);
    let berlin = ["--time-zone", "Europe/Berlin"];
    assert_eq!(lines(&dir, "day", &berlin), ["2026-01-31 1 0.002", "2026-02-01 2 0.005", "2026-02-02 2 0.00022"]);
    let tokyo = ["--time-zone", "Asia/Tokyo", "--until", "2026-02-01"];
    assert_eq!(lines(&dir, "month", &tokyo), ["2026-02 3 0.007"]);
    let hours = lines(&dir, "hour", &["--time-zone", "Europe/Berlin", "--until", "2026-02-01"]);
    assert_eq!(hours[0], "2026-01-31T23:00+01:00 1 0.002");
    let moments = ["--since", "2026-01-31T23:00:00Z", "--until", "2026-02-01T03:00:00Z"];
    let (_, table, _) = report(&dir, &[&moments[..], &["--by", "tenant"]].concat());
    let said = "from 2026-01-31T23:00:00Z to before 2026-02-01T03:00:00Z, time zone UTC; 1 calls were read";
    assert!(table.contains(said), "{table}");
    // Without a beginning what reads every call reads a month.
    let (_, table, _) = report(&dir, &["--by", "session", "--until", "2026-02-28"]);
    assert!(table.contains("from 2026-02-01 until 2026-02-28, time zone UTC; 4 calls were read"), "{table}");
}

#[test]
fn contract_a_period_is_compared_with_the_one_before() {
    let dir = Dir::new();
    let _server = filled(&dir);
    let month = ["--since", "2026-02", "--until", "2026-02", "--compare"];
    let (code, out, error) = report(&dir, &[&["--by", "tenant", "--format", "json"], &month[..]].concat());
    assert_eq!((code, error.as_str()), (0, ""));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["before"], serde_json::json!({"since": "2026-01-01", "until": "2026-01-31"}));
    let line = |line: &serde_json::Value| {
        let texts = [
            &line["tenant"],
            &line["charge"],
            &line["before"]["charge"],
            &line["change"]["charge"],
            &line["change"]["percent"],
        ];
        texts.map(|text| text.as_str().unwrap_or("-").to_owned()).join(" ")
    };
    let lines: Vec<String> = json["lines"].as_array().unwrap().iter().map(line).collect();
    let expected = [
        "acme/ml/ann 0.004 0.002 0.002 +100.0%",
        "acme/ml/bob 0.001 - 0.001 new",
        "acme/ops 0.0002 - 0.0002 new",
        "globex 0.00002 - 0.00002 new",
    ];
    assert_eq!(lines, expected);
    let (_, table, _) = report(&dir, &[&["--by", "tenant"], &month[..]].concat());
    assert!(table.contains("before: from 2026-01-01 until 2026-01-31, time zone UTC"), "{table}");
    // What there was only before is there, too.
    let march = ["--since", "2026-03-01", "--until", "2026-03-02", "--compare", "--format", "csv"];
    let (_, csv, _) = report(&dir, &[&["--by", "tenant", "--filter", "operation=chat"], &march[..]].concat());
    assert_eq!(csv.lines().count(), 1, "{csv}");
    let february = ["--since", "2026-02-02", "--until", "2026-02-03", "--compare", "--format", "csv"];
    let (_, csv, _) = report(&dir, &[&["--by", "tenant", "--filter", "operation=chat"], &february[..]].concat());
    assert!(csv.contains("acme/ml/ann,,reported,0,") && csv.contains(",2,0.006,0.006,,-0.006,-100.0,UTC"), "{csv}");
}

#[test]
fn contract_an_unknown_column_or_filter_is_wrong_use_and_the_allowed_ones_are_named() {
    let dir = Dir::new();
    let cases: [(&[&str], &str); 6] = [
        (&["--by", "colour"], "--by: must be a list of hour, day, month, tenant"),
        (&["--filter", "colour=red"], "--filter colour: is no filter; allowed: tenant, principal"),
        (&["--filter", "since=2026-01-01"], "--filter since: is no filter; see --since"),
        (&["--filter", "red"], "must be NAME=VALUE"),
        (&["--since", "2026-02-30"], "--since: must be a date such as 2026-01-31"),
        (&["--time-zone", "Mars"], "--time-zone: must be the name of a time zone"),
    ];
    for (args, expected) in cases {
        let (code, out, error) = report(&dir, args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(error.contains(expected) && !error.contains("serve"), "{args:?}: {error}");
    }
}

/// Says what the process had in memory at most, MiB.
fn peak_of(child: &mut std::process::Child) -> u64 {
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or_default() / 1024);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    peak
}

/// `just bench-sessions`: a million sessions, each with a call, in the memory of a report of a few.
#[test]
#[ignore = "takes minutes, and a gigabyte of disk"]
#[cfg(target_os = "linux")]
fn fidelity_a_million_sessions_take_no_more_memory_than_some() {
    if crate::ON_POSTGRES {
        return;
    }
    let dir = Dir::new();
    drop(filled(&dir));
    // The first call again and again, each in a session of its own.
    dir.sql(
        "WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 1000000)
         INSERT INTO ledger SELECT n.value + 10, kind, emitter, n.value + 10, refers, started_ns, received_ns, tenant, provider,
             model, evidence, charge, rating, reason, replace(event, '\"s-1\"', '\"s-' || (n.value * 7919 % 1000003) || '\"'),
             hash, cost, billed
         FROM ledger, n WHERE entry = 1",
    )
    .unwrap();
    let (mut peaks, database) = (Vec::new(), dir.database());
    for (more, lines) in [
        (&["--by", "tenant,operation"][..], 3),
        (&["--by", "session", "--top", "20"], 21),
        (&["--by", "session"], 1_000_003),
    ] {
        let args = [&["report", "--database", &database, "--format", "csv", "--since", "2026-01-01"], more].concat();
        let out = dir.file("report.csv");
        let begun = std::time::Instant::now();
        let mut child = meshmeter(&args).stdout(std::fs::File::create(&out).unwrap()).spawn().unwrap();
        let peak = peak_of(&mut child);
        assert!(child.wait().unwrap().success());
        println!("{more:?}: {peak} MiB, {:.1} s", begun.elapsed().as_secs_f64());
        let text = std::fs::read_to_string(&out).unwrap();
        assert_eq!(text.lines().count(), lines + 1, "{more:?}");
        let calls: u64 =
            text.lines().skip(1).map(|line| line.split(',').find_map(|field| field.parse::<u64>().ok()).unwrap()).sum();
        assert!(more.contains(&"--top") || calls == 1_000_005, "{calls}");
        peaks.push(peak);
    }
    assert!(peaks.iter().all(|peak| *peak < 256), "{peaks:?} MiB");
}
