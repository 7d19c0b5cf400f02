//! `just corpus DIR --envoy`: recordings of real responses through a real Envoy with the plugin, and how the counts in the
//! journal compare with the truth. What the client gets is compared too, byte by byte.

mod replay;

use std::{
    collections::HashMap,
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use corpus::{Arguments, Client, Corpus, Progress, Recording, Served, Tally};
use e2e::{
    Result,
    client::{Call, Route},
    envoy::Envoy,
    identity::Identity,
    stack::{bootstrap, with_request_id},
    wait,
};
use hyper::{Method, Uri, header::HeaderValue};
use replay::Replay;
use serde_json::Value;

/// Calls in flight: enough that streams of one worker interleave.
const AT_ONCE: usize = 8;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(touched) => {
            eprintln!("corpus: the traffic was changed in {touched} of the differences");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("corpus: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<usize> {
    let arguments = Arguments::read();
    let corpus = Arc::new(Corpus::read(arguments.dir())?);
    let dir = tempfile::Builder::new().prefix("meshmeter-").tempdir()?;
    let replay = Arc::new(Replay::start().await?);
    let mut envoy = start(dir.path(), &replay).await?;
    let outcomes = {
        let route = Route::plain(envoy.listener("llm").await?);
        send_all(corpus.clone(), replay.clone(), route, arguments.encoded).await?
    };
    let unsent = outcomes.values().filter(|outcome| matches!(outcome, Outcome::Unsendable(_))).count();
    logged(dir.path(), corpus.recordings.len() - unsent).await?;
    envoy.stop()?;
    if let Some(line) = envoy.log().lines().find(|line| line.contains("wasm trap") || line.contains("[critical]")) {
        return Err(format!("Envoy's log has: {line}").into());
    }
    envoy.quiet();
    let events = journal(dir.path())?;
    let (mut tally, mut touched) = (Tally::default(), 0);
    for (at, (recording, truth)) in corpus.recordings.iter().enumerate() {
        let problem = match outcomes.get(&at) {
            Some(Outcome::Unsendable(why)) => {
                println!("not sent: {}: {why}", recording.id);
                Some(why)
            }
            Some(Outcome::Changed(how)) => {
                touched += 1;
                Some(how)
            }
            None => None,
        };
        // What was not sent is no call that a meter could have missed.
        if !matches!(outcomes.get(&at), Some(Outcome::Unsendable(_))) {
            tally.add(recording, truth, events.get(&recording.id));
        }
        if let Some(problem) = problem {
            tally.note(recording, problem);
        }
    }
    println!("recordings that cannot be sent: {unsent}");
    tally.report(&arguments.out)?;
    Ok(touched)
}

/// What is to be said of a call.
#[derive(Debug)]
enum Outcome {
    /// Its traffic was changed.
    Changed(String),
    /// It cannot be made by HTTP as it was recorded.
    Unsendable(String),
}

/// The shipped bootstrap, without a collector: the journal has the records. All hosts lead to the replay, which stands for each
/// of them.
async fn start(dir: &Path, replay: &Replay) -> Result<Envoy> {
    let identity = Identity::create(dir)?;
    let mut bootstrap = bootstrap(dir, &identity, replay.address(), replay.address())?;
    bootstrap.everywhere()?;
    let mut plugin = bootstrap.plugin()?;
    plugin["detect"] = serde_json::json!({"trust_host": true});
    if let Some(settings) = plugin.as_object_mut() {
        settings.remove("collector");
    }
    bootstrap.set_plugin(&plugin.to_string());
    let mut envoy = Envoy::start(dir, &bootstrap, None)?;
    envoy.ready().await?;
    Ok(envoy)
}

/// Sends every recorded call; returns what is to be said of some, by the number of the recording.
async fn send_all(
    corpus: Arc<Corpus>,
    replay: Arc<Replay>,
    route: Route,
    encoded: bool,
) -> Result<HashMap<usize, Outcome>> {
    let queue = Arc::new(Mutex::new((0..corpus.recordings.len(), Progress::of(corpus.recordings.len()))));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (corpus, replay, route, queue) = (corpus.clone(), replay.clone(), route.clone(), queue.clone());
        senders.spawn(async move {
            let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).0.next();
            let mut outcomes = HashMap::new();
            while let Some(at) = next() {
                let recording = &corpus.recordings[at].0;
                if let Some(outcome) = send(&corpus, recording, &replay, &route, encoded).await? {
                    outcomes.insert(at, outcome);
                }
                queue.lock().unwrap_or_else(PoisonError::into_inner).1.step();
            }
            Result::Ok(outcomes)
        });
    }
    let mut outcomes = HashMap::new();
    while let Some(of_sender) = senders.join_next().await {
        outcomes.extend(of_sender??);
    }
    Ok(outcomes)
}

/// Sends one call; returns what is to be said of it.
async fn send(
    corpus: &Arc<Corpus>,
    recording: &Recording,
    replay: &Replay,
    route: &Route,
    encoded: bool,
) -> Result<Option<Outcome>> {
    let id = &recording.id;
    let call = match call(recording) {
        Ok(call) => call,
        Err(why) => return Ok(Some(Outcome::Unsendable(why))),
    };
    let asked = Bytes::from(corpus.request(recording)?);
    let without = corpus.serve(recording, &asked, encoded)?;
    replay.response(id, response(corpus, recording, encoded));
    let mut call = call;
    if !asked.is_empty() {
        call = call.header("content-type", "application/json");
        call.body = asked.clone();
    }
    let response = route.send(&with_request_id(call, id)).await.map_err(|error| format!("{id}: {error}"))?;
    let Some(arrived) = replay.arrived(id) else {
        return Ok(Some(Outcome::Changed(format!("the call did not arrive, status {}", response.status))));
    };
    let may_lack_usage = recording.when_asked.is_none();
    let client = Client { without: &without, arrived: &arrived, may_lack_usage };
    let change = if !same_request(&asked, &arrived) {
        Some("the request was changed".to_owned())
    } else if !response.whole {
        Some("the response broke off".to_owned())
    } else {
        client.difference(response.status, &response.body)
    };
    Ok(change.map(Outcome::Changed))
}

/// The call of a recording, without its body; or why it cannot be made.
fn call(recording: &Recording) -> std::result::Result<Call, String> {
    let Recording { method, host, path, .. } = recording;
    let method = method.parse::<Method>().map_err(|error| format!("method {method:?}: {error}"))?;
    path.parse::<Uri>().map_err(|error| format!("path {path:?}: {error}"))?;
    HeaderValue::from_str(host).map_err(|error| format!("host {host:?}: {error}"))?;
    Ok(Call::get(host, path).method(method))
}

/// What the upstream of a recording responses. A file that is not there is a response that no test expects.
fn response(corpus: &Arc<Corpus>, recording: &Recording, encoded: bool) -> replay::Responder {
    let (corpus, recording) = (corpus.clone(), recording.clone());
    Box::new(move |arrived| {
        corpus.serve(&recording, arrived, encoded).unwrap_or_else(|error| Served {
            status: 599,
            content_type: None,
            encoding: None,
            headers: Vec::new(),
            body: error.to_string().into(),
        })
    })
}

/// Whether a request arrived as it was sent; the meter may ask for usage in it, and for nothing else.
fn same_request(sent: &[u8], arrived: &[u8]) -> bool {
    let without_options = |body: &[u8]| {
        let mut value: Value = serde_json::from_slice(body).ok()?;
        value.as_object_mut()?.remove("stream_options");
        Some(value)
    };
    sent == arrived || without_options(sent).is_some_and(|sent| without_options(arrived) == Some(sent))
}

/// Waits until Envoy has logged every call: then the journal is complete too.
async fn logged(dir: &Path, calls: usize) -> Result<()> {
    wait::until(&format!("{calls} calls in the access log"), || async {
        let have = read(&dir.join("access.log"))?.lines().count();
        wait::ensure(have >= calls, || format!("it has {have}"))
    })
    .await
}

/// The events by the id of their recording.
fn journal(dir: &Path) -> Result<HashMap<String, Value>> {
    let mut events = HashMap::new();
    for line in read(&dir.join("journal"))?.lines() {
        let event: Value = serde_json::from_str(line)?;
        let id = event["data"]["request_id"].as_str().unwrap_or_default().to_owned();
        // What another model was used for in the same call is not what the truth tells.
        if event["data"]["part"].is_null() && events.insert(id.clone(), event).is_some() {
            return Err(format!("the journal has two events of {id}").into());
        }
    }
    Ok(events)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}
