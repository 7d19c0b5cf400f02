//! The files of a corpus.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::Result;
use crate::money::Number;

/// A line of `index.jsonl`, as far as a meter can notice it.
#[derive(Clone, Debug, Deserialize)]
pub struct Recording {
    /// Names it, and its files.
    pub id: String,
    /// The provider, in the corpus' own words.
    pub provider: String,
    /// The format, in the corpus' own words.
    #[serde(default)]
    pub wire: String,
    /// The request's method.
    #[serde(default = "post")]
    pub method: String,
    /// The request's `:authority`.
    pub host: String,
    /// The request's path and query.
    pub path: String,
    /// The model asked for, wherever the request named it.
    pub request_model: Option<String>,
    /// Whether the request asked for a stream.
    pub stream_requested: Option<bool>,
    /// The request's `stream_options`.
    pub stream_options: Option<Value>,
    /// The response's status.
    pub status: u16,
    /// The response's content type.
    pub content_type: Option<String>,
    /// The headers of the response that carry counts.
    pub usage_headers: Option<BTreeMap<String, String>>,
    /// Other headers of the response that say something.
    pub response_headers: Option<BTreeMap<String, String>>,
    /// The encoding of what `raw_file` holds.
    pub stored_compressed: Option<String>,
    /// The recording of the same call when it was asked for its usage.
    pub when_asked: Option<String>,
    /// What the upstream refuses in a request.
    pub rejects: Option<String>,
    body_file: String,
    request_file: Option<String>,
    raw_file: Option<String>,
}

impl Recording {
    /// Whether the request's body was recorded, too.
    pub fn has_request(&self) -> bool {
        self.request_file.is_some()
    }
}

/// A line of `truth.jsonl`, as far as it is compared.
#[derive(Clone, Debug, Deserialize)]
pub struct Truth {
    id: String,
    /// Whether this call's own usage was reported.
    pub has_usage: bool,
    pub(crate) canonical: Option<Totals>,
    pub(crate) cached_input_tokens: Option<f64>,
    pub(crate) cache_creation_tokens: Option<f64>,
    pub(crate) reasoning_tokens: Option<f64>,
    /// Disjoint classes and units beside the totals; `part:NAME` is what another model was used for.
    pub(crate) classes: Option<Map<String, Value>>,
    /// What is owed at list prices, USD.
    pub(crate) usd: Option<Value>,
    /// What else must hold.
    pub(crate) expect: Option<Map<String, Value>>,
    /// The arithmetic, for a reader.
    pub(crate) why: Option<String>,
}

impl Truth {
    /// What else must hold, by name.
    pub(crate) fn expected(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.expect.iter().flatten().map(|(name, wanted)| (name.as_str(), wanted))
    }

    /// Whether it is right that the call has no price.
    pub(crate) fn may_be_unpriced(&self) -> bool {
        self.expected().any(|(name, wanted)| name == "unpriced" && *wanted == true)
    }

    /// What is owed, if the truth has it as a number.
    pub(crate) fn usd(&self) -> Option<Number> {
        match self.usd.as_ref()? {
            Value::String(text) => Number::read(text),
            Value::Number(number) => Number::read(&number.to_string()),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Totals {
    pub(crate) input_total: Option<f64>,
    pub(crate) output_total: Option<f64>,
}

/// A directory of recordings.
#[derive(Debug)]
pub struct Corpus {
    dir: PathBuf,
    /// Every recording with its truth, in the order of the index.
    pub recordings: Vec<(Recording, Truth)>,
}

impl Corpus {
    /// Reads the index and the truth; the bodies are read when they are asked for.
    pub fn read(dir: &Path) -> Result<Corpus> {
        let truth_file = dir.join("truth.jsonl");
        let mut truths: HashMap<String, Truth> =
            lines::<Truth>(&truth_file)?.into_iter().map(|truth| (truth.id.clone(), truth)).collect();
        let index = dir.join("index.jsonl");
        let with_truth = |recording: Recording| match truths.remove(&recording.id) {
            Some(truth) => Ok((recording, truth)),
            None => {
                Err(format!("{}: no line for {}, or the index has it twice", truth_file.display(), recording.id).into())
            }
        };
        let mut recordings = lines::<Recording>(&index)?.into_iter().map(with_truth).collect::<Result<Vec<_>>>()?;
        if recordings.is_empty() {
            return Err(format!("{}: no recordings", index.display()).into());
        }
        share_counts(&mut recordings).map_err(|error| format!("{}: {error}", index.display()))?;
        Ok(Corpus { dir: dir.to_owned(), recordings })
    }

    /// The request's body; where none was recorded, the smallest that asks for the same.
    pub fn request(&self, recording: &Recording) -> Result<Vec<u8>> {
        let usual = format!("bodies/{}.req", recording.id);
        match &recording.request_file {
            Some(file) => self.file(file),
            None if self.dir.join(&usual).is_file() => self.file(&usual),
            None if recording.method != "POST" => Ok(Vec::new()),
            None => Ok(recording.asked().to_string().into_bytes()),
        }
    }

    /// The response's body, decoded.
    pub fn response(&self, recording: &Recording) -> Result<Vec<u8>> {
        self.file(&recording.body_file)
    }

    /// The response's body as it was on the wire and its content encoding, where that was kept.
    pub fn encoded(&self, recording: &Recording) -> Result<Option<(Vec<u8>, String)>> {
        let Some(file) = &recording.raw_file else { return Ok(None) };
        let encoding = recording.stored_compressed.clone().unwrap_or_else(|| "gzip".to_owned());
        Ok(Some((self.file(file)?, encoding)))
    }

    /// What the upstream returns for what it refuses.
    pub(crate) fn rejected(&self, recording: &Recording) -> Result<Vec<u8>> {
        self.file(&format!("bodies/{}.rejected", recording.id))
    }

    fn file(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.dir.join(name);
        std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()).into())
    }
}

/// The counts of a call that a meter can ask are those of the same call when it was asked.
fn share_counts(recordings: &mut [(Recording, Truth)]) -> Result<()> {
    let asked = |(recording, truth): &(Recording, Truth)| (recording.id.clone(), truth.clone());
    let truths: HashMap<String, Truth> = recordings.iter().map(asked).collect();
    for (recording, truth) in recordings {
        let Some(id) = &recording.when_asked else { continue };
        let asked = truths.get(id).ok_or_else(|| format!("{}: `when_asked` names no recording: {id}", recording.id))?;
        *truth = Truth {
            id: truth.id.clone(),
            classes: truth.classes.take(),
            usd: truth.usd.take(),
            expect: truth.expect.take(),
            why: truth.why.take(),
            ..asked.clone()
        };
    }
    Ok(())
}

/// The ids of a file of exceptions: a list item each, beginning with the id in backticks.
pub fn exceptions(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(|line| line.strip_prefix("- `")?.split_once('`')).map(|(id, _)| id).collect()
}

impl Recording {
    fn asked(&self) -> Value {
        let mut request = json!({});
        if let Some(model) = &self.request_model {
            request["model"] = model.as_str().into();
        }
        if self.stream_requested == Some(true) {
            request["stream"] = true.into();
        }
        if let Some(options) = &self.stream_options {
            request["stream_options"] = options.clone();
        }
        request
    }
}

fn post() -> String {
    "POST".to_owned()
}

fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let read = |(number, line): (usize, &str)| {
        // serde_json counts lines too, but each of ours is the first to it.
        serde_json::from_str(line).map_err(|error| {
            let problem = error.to_string().replace(" at line 1 column ", " at column ");
            format!("{}:{}: {problem}", path.display(), number + 1).into()
        })
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A corpus of one recording in a directory of its own.
    fn written(index: &str, truth: &str) -> PathBuf {
        static SERIAL: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("corpus-{}-{serial}", std::process::id()));
        std::fs::create_dir_all(dir.join("bodies")).unwrap();
        std::fs::write(dir.join("index.jsonl"), index).unwrap();
        std::fs::write(dir.join("truth.jsonl"), truth).unwrap();
        dir
    }

    const INDEX: &str = r#"{"id":"a","provider":"p","host":"h","path":"/","request_model":"m","status":200,"body_file":"bodies/a.resp"}"#;

    #[test]
    fn contract_an_upstream_responds_to_what_arrives() {
        let line = |id: &str, more: &str| {
            INDEX.replace("\"id\":\"a\"", &format!("\"id\":\"{id}\"{more}")).replace("a.resp", &format!("{id}.resp"))
        };
        let index = [
            line("a", r#","when_asked":"b""#),
            line("b", r#","response_headers":{"X-Tier":"t"}"#),
            line("c", r#","rejects":"options""#),
        ];
        let truth = "{\"id\":\"a\",\"has_usage\":false,\"usd\":2}\n{\"id\":\"b\",\"has_usage\":true}\n{\"id\":\"c\",\"has_usage\":false}";
        let dir = written(&index.join("\n"), truth);
        for name in ["a.resp", "b.resp", "c.resp", "c.rejected"] {
            std::fs::write(dir.join("bodies").join(name), name).unwrap();
        }
        let corpus = Corpus::read(&dir).unwrap();
        let (a, truth) = &corpus.recordings[0];
        assert!(truth.has_usage && truth.id == "a" && truth.usd.is_some(), "the counts are those of the twin");
        let asks = r#"{"stream_options":{"include_usage":true}}"#;
        let serve = |recording, arrived: &str| {
            let served = corpus.serve(recording, arrived.as_bytes(), false).unwrap();
            (served.status, String::from_utf8(served.body).unwrap(), served.headers.len())
        };
        assert_eq!(serve(a, "{}"), (200, "a.resp".into(), 0));
        assert_eq!(serve(a, asks), (200, "b.resp".into(), 1));
        let c = &corpus.recordings[2].0;
        assert_eq!(serve(c, "{}"), (200, "c.resp".into(), 0));
        assert_eq!(serve(c, asks), (400, "c.rejected".into(), 0));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn contract_errors_name_the_file_and_the_line() {
        let asked = INDEX.replace("\"host\"", "\"when_asked\":\"b\",\"host\"");
        for (index, truth, expected) in [
            (INDEX, "{\"id\":\"b\",\"has_usage\":true}", "truth.jsonl: no line for a, or the index has it twice"),
            (INDEX, "\n{\"id\":\"a\"}", "truth.jsonl:2: missing field `has_usage` at column 10"),
            ("{", "", "index.jsonl:1: EOF while parsing an object at column 1"),
            ("", "", "index.jsonl: no recordings"),
            (asked.as_str(), "{\"id\":\"a\",\"has_usage\":true}", "index.jsonl: a: `when_asked` names no recording: b"),
        ] {
            let dir = written(index, truth);
            let error = Corpus::read(&dir).unwrap_err().to_string();
            assert_eq!(error, format!("{}/{expected}", dir.display()));
            std::fs::remove_dir_all(dir).unwrap();
        }
    }

    #[test]
    fn contract_a_body_that_is_missing_is_named_and_a_request_is_made_up() {
        let dir = written(INDEX, "{\"id\":\"a\",\"has_usage\":false}\n");
        let corpus = Corpus::read(&dir).unwrap();
        let recording = &corpus.recordings[0].0;
        assert_eq!(corpus.request(recording).unwrap(), b"{\"model\":\"m\"}");
        let error = corpus.response(recording).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}/bodies/a.resp: ", dir.display())), "{error}");
        std::fs::write(dir.join("bodies/a.req"), "asked").unwrap();
        assert_eq!(corpus.request(recording).unwrap(), b"asked");
        assert!(corpus.encoded(recording).unwrap().is_none());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
