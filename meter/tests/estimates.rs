//! How far estimates are off, measured on recorded responses that are cut before their counts.
//!
//! Needs responses that models really gave, hundreds of them: `MESHMETER_CORPUS` names their directory, and `just unit` runs this
//! if it does. The figures are in docs/performance.md.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use meter::call::{Call, Cut, Ended, RequestHead, ResponseHead};
use meter::estimate::Ratios;
use meter::provider::Detect;
use serde_json::Value;
use wire::record::{Evidence, Record};

/// Envoy's flag of a client that went away.
const CLIENT_GONE: Option<Cut> = Some(Cut::Client);

struct Recording {
    entry: Value,
    /// The request's body; without its long texts it would say less than was asked: then only the model.
    request: Vec<u8>,
    body: Vec<u8>,
    /// Where the last counts begin.
    cut: usize,
    input: Option<u64>,
    output: u64,
    reasoning: u64,
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn recordings(corpus: &Path) -> Vec<Recording> {
    let truths =
        lines(&corpus.join("truth.jsonl")).into_iter().map(|truth| (truth["id"].as_str().unwrap().to_owned(), truth));
    let truths: HashMap<String, Value> = truths.collect();
    let read = |entry: Value| {
        let truth = &truths[entry["id"].as_str().unwrap()];
        let body = std::fs::read(corpus.join(entry["body_file"].as_str().unwrap())).unwrap();
        let cut = body.len().checked_sub(usize::try_from(truth["last_usage_key_from_end"].as_u64()?).ok()?)?;
        let output = truth["canonical"]["output_total"].as_u64().filter(|&output| output > 0)?;
        let input = truth["canonical"]["input_total"].as_u64().filter(|&input| input > 0);
        let reasoning = truth["reasoning_tokens"].as_u64().unwrap_or(0);
        let whole = entry["request_file"].as_str().filter(|_| entry["request_elided"] != true);
        let request = match whole {
            Some(file) => std::fs::read(corpus.join(file)).unwrap(),
            None => serde_json::json!({ "model": entry["request_model"] }).to_string().into_bytes(),
        };
        (truth["has_usage"] == true).then_some(Recording { entry, request, body, cut, input, output, reasoning })
    };
    lines(&corpus.join("index.jsonl")).into_iter().filter_map(read).collect()
}

fn play(recording: &Recording, body: &[u8], cut: Option<Cut>, ratios: &mut Ratios) -> Option<Record> {
    let text = |key: &str| recording.entry[key].as_str().unwrap_or_default();
    let head = RequestHead {
        method: text("method").as_bytes(),
        host: text("host").as_bytes(),
        path: text("path").as_bytes(),
        content_encoding: None,
    };
    let mut call = Call::begin(&head, &Detect { by_shape: true, trust_host: true, rules: vec![] }, 0)?;
    call.request_body(&recording.request);
    let content_type = Some(text("content_type").as_bytes());
    call.response_head(&ResponseHead {
        status: recording.entry["status"].as_u64(),
        content_type,
        content_encoding: None,
    });
    call.response_body(body);
    call.finish(Ended { cut, ..Ended::default() }, ratios).into_iter().next()
}

/// The errors of all estimates, in percent, smallest first, and of their sum.
#[derive(Default)]
struct Errors {
    single: Vec<u64>,
    estimated: u64,
    truth: u64,
}

impl Errors {
    fn quantile(&self, percent: usize) -> u64 {
        self.single[(self.single.len() - 1) * percent / 100]
    }

    fn print(&self, name: &str) {
        let bias = (self.estimated as f64 / self.truth as f64 - 1.0) * 100.0;
        let (median, p90) = (self.quantile(50), self.quantile(90));
        println!("{name}: {} calls, bias {bias:+.1} %, median error {median} %, p90 {p90} %", self.single.len());
    }
}

/// Estimates every recording; of `ratios` the odd ones use the first and the even ones the second. Output, then input.
fn measure(recordings: &[Recording], ratios: &mut [Ratios; 2], only: &dyn Fn(&Recording) -> bool) -> [Errors; 2] {
    let mut errors = <[Errors; 2]>::default();
    for (index, recording) in recordings.iter().enumerate().filter(|(_, recording)| only(recording)) {
        let record = play(recording, &recording.body[..recording.cut], CLIENT_GONE, &mut ratios[1 - index % 2]);
        let Some(record) = record.filter(|record| record.evidence == Evidence::Estimated) else { continue };
        let counts =
            [(record.usage.output_total(), Some(recording.output)), (record.usage.input_total(), recording.input)];
        for (errors, (estimated, truth)) in errors.iter_mut().zip(counts) {
            let (Some(estimated), Some(truth)) = (estimated, truth) else { continue };
            errors.single.push(estimated.abs_diff(truth) * 100 / truth);
            errors.estimated += estimated;
            errors.truth += truth;
        }
    }
    errors.iter_mut().for_each(|errors| errors.single.sort_unstable());
    errors
}

#[test]
#[ignore = "measures estimates on the recordings that MESHMETER_CORPUS names"]
fn fidelity_estimates_are_as_good_as_documented() {
    let corpus = PathBuf::from(std::env::var_os("MESHMETER_CORPUS").expect("MESHMETER_CORPUS names the recordings"));
    let recordings = recordings(&corpus);
    // What is learned of a model comes from other recordings than the one that is estimated.
    let mut halves = [0, 1].map(|parity| {
        let mut ratios = Ratios::default();
        for recording in recordings.iter().skip(parity).step_by(2) {
            play(recording, &recording.body, None, &mut ratios);
        }
        ratios
    });
    let all = |_: &Recording| true;
    let streams = |recording: &Recording| recording.entry["stream"] == true;
    let [learned, input_learned] = measure(&recordings, &mut halves, &all);
    learned.print("learned of the model where it is known");
    measure(&recordings, &mut halves, &streams)[0].print("the same, streams only");
    let mut nothing = <[Ratios; 2]>::default();
    let [output, input] = measure(&recordings, &mut nothing, &all);
    output.print("nothing learned");
    measure(&recordings, &mut nothing, &streams)[0].print("nothing learned, streams only");
    let plain = |recording: &Recording| recording.reasoning == 0 && recording.output >= 20;
    measure(&recordings, &mut nothing, &plain)[0].print("nothing learned, no thoughts, 20 tokens or more");
    let [best, _] = measure(&recordings, &mut nothing, &|recording| plain(recording) && streams(recording));
    best.print("nothing learned, no thoughts, 20 tokens or more, streams only");
    input_learned.print("input, learned");
    input.print("input, nothing learned");
    assert!(learned.single.len() > 200, "too few estimates to say anything");
    assert!(best.quantile(50) <= 15 && learned.quantile(50) <= 45, "estimates have become worse than documented");
}
