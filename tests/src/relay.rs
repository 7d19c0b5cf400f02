//! `meshmeter relay` on a collector's ledger, and the ledger's own figures to compare with.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};

use crate::{
    Result,
    client::{Call, Line, Route, Seen},
    collector::{Collector, INGEST_TOKEN},
    kafka::Message,
    paths,
    process::Process,
    wait::ensure,
};

/// The emitter of the events of these tests.
pub const EMITTER: &str = "0f8fad5bd9cb469fa16570867728950e";
const BATCH: u64 = 200;

/// The command, for a ledger and a topic.
pub fn command(database: &Path, to: &str, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(paths::collector()?);
    command.args(["relay", "--database"]).arg(database).args(["--to", to]).args(arguments);
    Ok(command)
}

/// Starts it.
pub fn start(name: &'static str, dir: &Path, command: &mut Command) -> Result<Process> {
    Process::start(name, dir, command)
}

/// Runs it to its end.
pub fn finish(command: &mut Command) -> Result<Output> {
    Ok(command.output()?)
}

/// Sends calls of some tenants to a collector: of each number another amount.
pub struct Caller {
    line: Line,
    sent: u64,
}

impl Caller {
    /// Of a collector.
    pub fn of(collector: &Collector) -> Self {
        Self { line: Line::new(Route::plain(collector.address())), sent: 0 }
    }

    /// Sends so many calls more; they are in the ledger when it returns.
    pub async fn call(&mut self, calls: u64) -> Result<()> {
        let until = self.sent + calls;
        while self.sent < until {
            let last = until.min(self.sent + BATCH);
            let events: Vec<Value> = (self.sent + 1..=last).map(event).collect();
            let mut call = Call::post("collector", "/v1/events", &Value::from(events))
                .header("authorization", &format!("Bearer {INGEST_TOKEN}"));
            for (name, value) in &mut call.headers {
                if name == "content-type" {
                    *value = "application/cloudevents-batch+json".to_owned();
                }
            }
            match self.line.send(&call, usize::MAX).await? {
                Seen::Whole(response) if response.status == 200 => self.sent = last,
                seen => return Err(format!("{seen:?}").into()),
            }
        }
        Ok(())
    }
}

fn event(sequence: u64) -> Value {
    let tenant = ["acme/ml", "acme/web", "globex", "initech"][sequence as usize % 4];
    let (input, output) = (1000 + sequence % 7919, 1 + sequence % 503);
    json!({
        "specversion": "1.0", "type": "meshmeter.call.v1", "source": "meshmeter", "id": format!("{EMITTER}-{sequence}"),
        "time": "2026-11-01T12:00:00Z", "subject": tenant, "datacontenttype": "application/json",
        "data": {
            "emitter": EMITTER, "sequence": sequence, "tenant": tenant, "tenant_source": "spiffe", "provider": "openai",
            "api": "openai_chat", "operation": "chat", "response_model": "gpt-4.1", "outcome": "completed",
            "evidence": "reported", "input_tokens": input, "input_text_tokens": input, "output_tokens": output,
            "output_text_tokens": output,
        },
    })
}

/// What a tenant owes, in 10^-24 USD, and has used, by class, `calls` among them.
pub type Owed = BTreeMap<String, (i128, BTreeMap<String, i64>)>;

/// An exact amount, in 10^-24 USD.
pub fn yocto(amount: &str) -> Result<i128> {
    let (sign, digits) = amount.strip_prefix('-').map_or((1, amount), |digits| (-1, digits));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    Ok(sign * format!("{whole}{decimals:0<24}").parse::<i128>()?)
}

/// What the ledger's report says.
pub fn reported(collector: &Collector) -> Result<Owed> {
    let report: Value = serde_json::from_str(&collector.report_text(&["--format", "json", "--by", "tenant"])?)?;
    let mut owed = Owed::new();
    for line in report["lines"].as_array().into_iter().flatten() {
        let tenant = owed.entry(line["tenant"].as_str().unwrap_or_default().to_owned()).or_default();
        tenant.0 += yocto(line["charge"].as_str().unwrap_or("0"))?;
        for (class, count) in line["usage"].as_object().into_iter().flatten() {
            *tenant.1.entry(class.clone()).or_default() += count.as_i64().unwrap_or_default();
        }
        *tenant.1.entry("calls".to_owned()).or_default() += line["calls"].as_i64().unwrap_or_default();
    }
    Ok(settled(owed))
}

/// What the messages of a topic add up to.
pub fn added_up(messages: &[Message]) -> Result<Owed> {
    let mut owed = Owed::new();
    for message in messages {
        let entry: Value = serde_json::from_str(&message.value)?;
        if entry["counts_on"].is_null() {
            continue;
        }
        let tenant = owed.entry(entry["tenant"].as_str().unwrap_or_default().to_owned()).or_default();
        tenant.0 += yocto(entry["charge"].as_str().unwrap_or("0"))?;
        for (class, count) in entry["usage"].as_object().into_iter().flatten() {
            *tenant.1.entry(class.clone()).or_default() += count.as_i64().unwrap_or_default();
        }
        *tenant.1.entry("calls".to_owned()).or_default() += entry["calls"].as_i64().unwrap_or_default();
    }
    Ok(settled(owed))
}

/// Without what adds up to nothing.
pub fn settled(mut owed: Owed) -> Owed {
    for (_, used) in owed.values_mut() {
        used.retain(|_, count| *count != 0);
    }
    owed.retain(|_, (charge, used)| *charge != 0 || !used.is_empty());
    owed
}

/// Every entry of the one writer is there once, in order, with the hashes of the ledger's chain; returns how many there are.
pub fn once_in_order(messages: &[Message], collector: &Collector) -> Result<u64> {
    for (number, message) in (1..).zip(messages) {
        let id = format!("1:{number}");
        ensure(message.key == id && message.partition == 0, || format!("{id} is due, and {message:?} is there"))?;
        let entry: Value = serde_json::from_str(&message.value)?;
        let header = |name: &str| message.headers.get(name).map(String::as_str);
        let is_told = entry["entry"] == *id && header("meshmeter-entry") == Some(&id);
        let is_told =
            is_told && entry["hash"].as_str() == header("meshmeter-hash") && header("meshmeter-hash").is_some();
        ensure(is_told && entry["kind"].as_str() == header("meshmeter-kind"), || format!("{message:?}"))?;
    }
    let last = messages.last().ok_or("there is no message")?;
    let end = format!("{}:{}", last.key, last.headers["meshmeter-hash"]);
    let chain = collector.about("verify", &[])?;
    ensure(chain.trim() == end, || format!("the chain ends with {chain}, the topic with {end}"))?;
    Ok(messages.len() as u64)
}
