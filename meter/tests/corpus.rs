//! Real recorded responses against ground truth, as one piece and in small chunks.
//!
//! `MESHMETER_CORPUS` names a directory with index.jsonl, truth.jsonl and bodies/; without it the crate's own cases
//! have to do, and the skip is printed.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use meter::call::{Call, Ended, RequestHead, ResponseHead};
use meter::record::{Evidence, Record};
use meter::usage::Class;
use serde_json::Value;

/// The APIs that the meter knows, as the corpus calls them.
const WIRES: [&str; 3] = ["openai-chat", "openai-responses", "anthropic-messages"];

/// The hosts whose every recording must be exact; what is compatible with them may differ in details.
const OWN_HOSTS: [&str; 2] = ["api.openai.com", "api.anthropic.com"];

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn run(entry: &Value, body: &[u8], chunk: usize) -> Option<Record> {
    let text = |key: &str| entry[key].as_str().unwrap_or_default();
    let head = RequestHead {
        method: text("method").as_bytes(),
        host: text("host").as_bytes(),
        path: text("path").as_bytes(),
        content_encoding: None,
    };
    let mut call = Call::begin(&head, true, 0)?;
    call.request_body(serde_json::json!({ "model": entry["request_model"] }).to_string().as_bytes());
    call.response_head(&ResponseHead {
        status: entry["status"].as_u64(),
        content_type: Some(text("content_type").as_bytes()),
        content_encoding: None,
    });
    for (name, value) in entry["usage_headers"].as_object().into_iter().flatten() {
        call.response_header(&name.to_lowercase(), value.as_str().unwrap().as_bytes());
    }
    body.chunks(chunk).for_each(|chunk| call.response_body(chunk));
    call.response_end();
    call.finish(Ended::default()).into_iter().next()
}

/// The five counts that money depends on; absent is 0 for the last three.
fn counts(record: &Record) -> [Option<u64>; 5] {
    let sum = |classes: &[Class]| Some(classes.iter().filter_map(|&class| record.usage.get(class)).sum());
    [
        record.usage.input_total(),
        record.usage.output_total(),
        sum(&[
            Class::CacheRead,
            Class::CacheReadAudio,
            Class::CacheReadImage,
            Class::CacheReadVideo,
            Class::CacheReadUnbilled,
        ]),
        sum(&[Class::CacheWrite5m, Class::CacheWrite1h, Class::CacheWriteOther]),
        sum(&[Class::OutputReasoning]),
    ]
}

fn truth_counts(truth: &Value) -> [Option<u64>; 5] {
    let count = |value: &Value| value.as_f64().map(|count| count as u64);
    [
        count(&truth["canonical"]["input_total"]),
        count(&truth["canonical"]["output_total"]),
        Some(count(&truth["cached_input_tokens"]).unwrap_or(0)),
        Some(count(&truth["cache_creation_tokens"]).unwrap_or(0)),
        Some(count(&truth["reasoning_tokens"]).unwrap_or(0)),
    ]
}

#[test]
fn fidelity_recorded_answers_give_the_counts_of_a_full_parse() {
    let Some(corpus) = std::env::var_os("MESHMETER_CORPUS").map(PathBuf::from) else {
        println!("skipped: MESHMETER_CORPUS is not set, no recordings to compare with");
        return;
    };
    let truths: HashMap<String, Value> = lines(&corpus.join("truth.jsonl"))
        .into_iter()
        .map(|truth| (truth["id"].as_str().unwrap().to_owned(), truth))
        .collect();
    let (mut seen, mut with_usage, mut exact, mut problems) = (0, 0, 0, Vec::new());
    for entry in lines(&corpus.join("index.jsonl")) {
        seen += 1;
        let id = entry["id"].as_str().unwrap().to_owned();
        let truth = &truths[&id];
        let body = std::fs::read(corpus.join(entry["body_file"].as_str().unwrap())).unwrap();
        let record = run(&entry, &body, usize::MAX);
        assert_eq!(run(&entry, &body, 7), record, "{id}: the split changes the record");
        let reported = record.as_ref().filter(|record| {
            record.evidence != Evidence::Missing
                && (record.usage.input_total().is_some() || record.usage.output_total().is_some())
        });
        let has_usage = truth["has_usage"].as_bool().unwrap();
        with_usage += usize::from(has_usage);
        let problem = match (has_usage, reported) {
            (true, Some(record)) if counts(record) == truth_counts(truth) => {
                exact += 1;
                continue;
            }
            (false, None) => continue,
            (true, Some(record)) => format!("wrong {:?}, truth {:?}", counts(record), truth_counts(truth)),
            (true, None) => "missed".to_owned(),
            (false, Some(record)) => format!("false {:?}", counts(record)),
        };
        println!("{id} {} {} {}{}: {problem}", entry["provider"], entry["wire"], entry["host"], entry["path"]);
        problems.push((entry, format!("{id}: {problem}")));
    }
    println!("{seen} recordings, {with_usage} with usage, {exact} exact");
    assert!(seen > 0, "an empty corpus proves nothing");
    let known = problems.iter().filter(|(entry, _)| {
        let body = std::fs::read(corpus.join(entry["body_file"].as_str().unwrap())).unwrap();
        // Compaction and fallbacks are listed in `usage.iterations`, which is not read yet.
        let iterations = body.windows(12).any(|window| window == b"\"iterations\"");
        OWN_HOSTS.contains(&entry["host"].as_str().unwrap()) && !iterations
    });
    let known: Vec<&str> = known.map(|(_, problem)| problem.as_str()).collect();
    assert!(known.is_empty(), "{}", known.join("\n"));
}
