//! Records that make other records free, and stolen tokens.

use std::time::SystemTime;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::Attack;
use crate::{
    Result,
    client::{Call, Route},
    collector::{Collector, INGEST_TOKEN, Report},
    provider::{Pace, SERIAL},
    stack::{Options, Stack, TENANT_HEADER, with_request_id},
    wait,
};

mod chain;

/// The attacks.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "constant-response-ids",
        keeps: "a server that gives every response the same id leaves every call of every tenant charged",
        short: true,
        run: || Box::pin(constant_response_ids()),
    },
    Attack {
        name: "repeated-request-ids",
        keeps: "a client that repeats request id and response id pays for each call, and so do others",
        short: false,
        run: || Box::pin(repeated_request_ids()),
    },
    Attack {
        name: "cheap-call-erases-dear-one",
        keeps: "a cheap record with the ids of a dear one, seen by another proxy, leaves the dear one charged",
        short: true,
        run: || Box::pin(cheap_call_erases_dear_one()),
    },
    Attack {
        name: "twin-that-owes-nothing",
        keeps: "a forged record with the ids and counts of another that owes less leaves the other one charged, and is listed",
        short: true,
        run: || Box::pin(twin_that_owes_nothing()),
    },
    Attack {
        name: "chosen-ids-at-replicas",
        keeps: "equal calls with one request id and one response id through two replicas of a gateway are charged each",
        short: true,
        run: || Box::pin(chain::chosen_ids_at_replicas()),
    },
    Attack {
        name: "sidecar-and-gateway",
        keeps: "a call through two Envoys in a row is charged once, even where every response has the same id",
        short: true,
        run: || Box::pin(chain::sidecar_and_gateway()),
    },
    Attack {
        name: "eleven-million-dollars",
        keeps: "a call beyond the bounds of its token is quarantined; a person can release it, once",
        short: true,
        run: || Box::pin(eleven_million_dollars()),
    },
    Attack {
        name: "spent-numbers",
        keeps: "events whose numbers a stolen token has spent are not lost: they are named, and can be released, once each",
        short: true,
        run: || Box::pin(spent_numbers()),
    },
];

const FIXTURE: &str = "chat_two.json";
const TENANTS: [&str; 2] = ["acme", "globex"];

/// Makes so many calls at once, all of which get the same response id; the request ids come from `id`.
async fn at_once(stack: &Stack, calls: usize, id: fn(usize) -> String) -> Result<()> {
    let fixture = stack.provider.catalogue().get(FIXTURE)?.clone();
    let mut lanes = JoinSet::new();
    for number in 0..calls {
        let call = with_request_id(fixture.call(), &id(number)).header(SERIAL, "7");
        let call = call.header(TENANT_HEADER, TENANTS[number % TENANTS.len()]);
        let route = stack.llm();
        lanes.spawn(async move { route.send(&call).await });
    }
    while let Some(response) = lanes.join_next().await {
        let response = response??;
        wait::ensure(response.status == 200 && response.whole, || format!("HTTP {}", response.status))?;
    }
    Ok(())
}

/// Every tenant has as many calls in the report as it made, with all their tokens.
fn each_pays(report: &Report, calls: u64, tokens: u64) -> Result<()> {
    for tenant in TENANTS {
        let lines: Vec<_> = report.lines.iter().filter(|line| line.tenant == tenant).collect();
        let sum: u64 = lines.iter().map(|line| line.calls).sum();
        let input: u64 = lines.iter().filter_map(|line| line.usage.get("input_text_tokens")).sum();
        wait::ensure((sum, input) == (calls, calls * tokens), || format!("{tenant}: {sum} calls, {input} tokens"))?;
    }
    Ok(())
}

async fn unproven(id: fn(usize) -> String) -> Result<()> {
    const CALLS: usize = 300;
    // Slow enough that they overlap.
    let pace = Pace { first: std::time::Duration::from_millis(100), gap: std::time::Duration::ZERO };
    let stack = Stack::with(Options { workers: 2, pace, ..Options::default() }).await?;
    at_once(&stack, CALLS, id).await?;
    let report = stack.settled(CALLS as u64).await?;
    let tokens = stack.provider.catalogue().get(FIXTURE)?.expected.usage.get("input_text_tokens").copied();
    each_pays(&report, CALLS as u64 / 2, tokens.unwrap_or_default())?;
    let emitters = stack
        .journal()?
        .iter()
        .map(|event| event.text("emitter").to_owned())
        .collect::<std::collections::BTreeSet<_>>();
    wait::ensure(emitters.len() == 2, || format!("{} workers took part", emitters.len()))?;
    stack.collector.about("verify", &[])?;
    stack.finish()
}

async fn constant_response_ids() -> Result<()> {
    unproven(|number| format!("call-{number}")).await
}

async fn repeated_request_ids() -> Result<()> {
    unproven(|_| "again".to_owned()).await
}

/// A collector, and what a stolen token sends it.
struct Thief {
    collector: Collector,
    _dir: TempDir,
}

impl Thief {
    async fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        Ok(Self { collector: Collector::start(dir.path()).await?, _dir: dir })
    }

    async fn send(&self, events: &[Value]) -> Result<Value> {
        let mut call = Call::post("collector", "/v1/events", &json!(events));
        call.headers[0].1 = "application/cloudevents-batch+json".to_owned();
        let call = call.header("authorization", &format!("Bearer {INGEST_TOKEN}"));
        Route::plain(self.collector.address()).send(&call).await?.json()
    }

    /// What is charged for a call, whatever once was; `-` if nothing is.
    fn charges(&self, emitter: &str, sequence: i64) -> Result<String> {
        let sql = "SELECT charge FROM ledger l WHERE emitter = ?1 AND sequence = ?2 AND kind IN ('call', 'correction')
                   AND NOT EXISTS (SELECT 1 FROM ledger r WHERE r.refers = l.entry AND r.kind = 'reversal')";
        let database = rusqlite::Connection::open(self.collector.database())?;
        let mut select = database.prepare(sql)?;
        let mut rows = select.query(rusqlite::params![emitter.repeat(32), sequence])?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?.unwrap_or_else(|| "-".to_owned()))
    }

    fn finish(mut self) -> Result<()> {
        self.collector.about("verify", &[])?;
        self.collector.stop()?;
        self.collector.quiet();
        Ok(())
    }
}

/// An event as a meter makes it, changed by `data`.
fn event(emitter: char, sequence: u64, data: &Value) -> Result<Value> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    // Midnight of today is as good a time as any, and can be written without a calendar of our own.
    let day =
        rusqlite::Connection::open_in_memory()?
            .query_row("SELECT date(?1, 'unixepoch')", [now as i64], |row| row.get::<_, String>(0))?;
    let emitter = emitter.to_string().repeat(32);
    let mut event = json!({
        "specversion": "1.0", "type": "meshmeter.call.v1", "source": "meshmeter", "id": format!("{emitter}-{sequence}"),
        "time": format!("{day}T00:00:00.000000000Z"),
        "data": {
            "emitter": emitter, "sequence": sequence, "tenant": "acme", "tenant_source": "header", "provider": "openai",
            "api": "openai_chat", "operation": "chat", "request_model": "gpt-4.1", "response_model": "gpt-4.1",
            "stream": false, "status": 200, "outcome": "completed", "evidence": "reported", "duration_us": 5_000_000,
            "extractor": "meshmeter/0.1.0",
        },
    });
    for (name, value) in data.as_object().into_iter().flatten() {
        event["data"][name] = value.clone();
    }
    event["subject"] = event["data"]["tenant"].clone();
    Ok(event)
}

fn counts(input: u64, output: u64) -> Value {
    json!({"input_tokens": input, "input_text_tokens": input, "output_tokens": output, "output_text_tokens": output})
}

fn with(mut data: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().into_iter().flatten() {
        data[name] = value.clone();
    }
    data
}

fn input(report: &Report, tenant: &str) -> u64 {
    let of_tenant = report.lines.iter().filter(|line| line.tenant == tenant);
    of_tenant.filter_map(|line| line.usage.get("input_text_tokens")).sum()
}

async fn cheap_call_erases_dear_one() -> Result<()> {
    let ids =
        json!({"response_id": "chosen", "request_id": "chosen", "trace_id": "c".repeat(32), "span_id": "d".repeat(16)});
    let proxy = |name: &str| json!({"proxy": name.repeat(32)});
    // Each cheap record lacks one part of the proof, or says less than the dear one.
    let dear = with(with(counts(900_000, 9), &ids), &json!({"evidence": "estimated"}));
    let cheap = with(counts(1, 9), &ids);
    let cases = [
        ("another model", with(cheap.clone(), &json!({"request_model": "cheap", "proxy": "b".repeat(32)})), 900_001),
        ("the same proxy", with(cheap.clone(), &proxy("a")), 900_001),
        ("no proxy", cheap.clone(), 900_001),
        ("other ids", with(with(cheap.clone(), &proxy("b")), &json!({"request_id": "x", "span_id": "x"})), 900_001),
        ("a smaller estimate", with(with(cheap, &proxy("b")), &json!({"evidence": "estimated"})), 900_000),
    ];
    for (name, cheap, due) in cases {
        for cheap_first in [true, false] {
            let thief = Thief::new().await?;
            let mut both = [event('1', 1, &cheap)?, event('2', 1, &with(dear.clone(), &proxy("a")))?];
            if !cheap_first {
                both.reverse();
            }
            for event in both {
                let taken = thief.send(&[event]).await?;
                wait::ensure(taken["accepted"] == 1, || format!("{name}: {taken}"))?;
            }
            let charged = input(&thief.collector.report()?, "acme");
            wait::ensure(charged == due, || format!("{name}: {charged} tokens instead of {due}"))?;
            thief.finish()?;
        }
    }
    Ok(())
}

/// Whoever may charge a tenant posts a twin of another meter's record that nobody would have to pay, or not as much.
async fn twin_that_owes_nothing() -> Result<()> {
    let ids = json!({"response_id": "real", "request_id": "known", "proxy": "a".repeat(32)});
    let real = with(counts(1_000_000, 100_000), &ids);
    let forged = [
        ("not billed", json!({"flags": ["not_billed"]}), "flags differs"),
        ("prepaid", json!({"service_tier": "provisioned_throughput"}), "service_tier differs"),
    ];
    for (name, change, lacks) in forged {
        for estimated in [false, true] {
            for twin_first in [true, false] {
                let thief = Thief::new().await?;
                let evidence = if estimated { "estimated" } else { "reported" };
                let real = event('2', 1, &with(real.clone(), &json!({"evidence": evidence})))?;
                let twin = with(with(counts(1_000_000, 100_000), &ids), &json!({"proxy": "b".repeat(32)}));
                let mut both = [event('1', 1, &with(twin, &change))?, real];
                if !twin_first {
                    both.reverse();
                }
                for event in both {
                    let taken = thief.send(&[event]).await?;
                    wait::ensure(taken["accepted"] == 1, || format!("{name}: {taken}"))?;
                }
                let stands = thief.charges("2", 1)?;
                wait::ensure(stands == "2.80", || format!("{name}, {evidence}: the real one costs {stands}"))?;
                if !estimated {
                    let listed = thief.collector.about("copies", &["--format", "json"])?;
                    wait::ensure(listed.contains(lacks), || format!("{name}: {listed}"))?;
                }
                thief.finish()?;
            }
        }
    }
    Ok(())
}

/// Releases what is quarantined under an id; the error is what it says if it does not.
pub fn release(collector: &Collector, id: &str, more: &[&str]) -> Result<String> {
    let mut command = std::process::Command::new(crate::paths::collector()?);
    command.args(["release", "--database"]).arg(collector.database()).arg("--prices").arg(crate::paths::prices());
    command.arg("--no-builtin-prices");
    let output = command.args(["--reason", "looked at", id]).args(more).output()?;
    let said =
        String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr }).into_owned();
    if output.status.success() { Ok(said) } else { Err(said.into()) }
}

async fn eleven_million_dollars() -> Result<()> {
    let thief = Thief::new().await?;
    let dear = event('1', 1, &with(counts(1 << 40, 0), &json!({"tenant": "globex"})))?;
    for _ in 0..2 {
        let taken = thief.send(std::slice::from_ref(&dear)).await?;
        wait::ensure(taken["alarms"] == 1 && taken["accepted"] == 0, || format!("{taken}"))?;
    }
    wait::ensure(thief.collector.report()?.calls() == 0, || "it is charged".to_owned())?;
    let alarms = thief.collector.about("alarms", &[])?;
    wait::ensure(alarms.contains("data.input_text_tokens: must be at most 20000000 in one call"), || alarms.clone())?;
    let id = dear["id"].as_str().unwrap_or_default();
    let said = release(&thief.collector, id, &[])?;
    wait::ensure(said.contains("charged 2199023.255552 USD"), || said.clone())?;
    let again = release(&thief.collector, id, &[]);
    wait::ensure(again.is_err(), || format!("twice: {again:?}"))?;
    let taken = thief.send(&[dear]).await?;
    wait::ensure(taken["duplicates"] == 1, || format!("{taken}"))?;
    let report = thief.collector.report()?;
    wait::ensure((report.calls(), input(&report, "globex")) == (1, 1 << 40), || format!("{report:?}"))?;
    thief.finish()
}

async fn spent_numbers() -> Result<()> {
    let thief = Thief::new().await?;
    let spent: Vec<Value> = (1..=20).map(|number| event('1', number, &counts(0, 0))).collect::<Result<_>>()?;
    thief.send(&spent).await?;
    let real: Vec<Value> = (1..=20).map(|number| event('1', number, &counts(100, number))).collect::<Result<_>>()?;
    let taken = thief.send(&real).await?;
    wait::ensure(taken["alarms"] == 20 && taken["accepted"] == 0 && taken["duplicates"] == 0, || format!("{taken}"))?;
    for event in &real {
        let id = event["id"].as_str().unwrap_or_default();
        release(&thief.collector, id, &[])?;
        wait::ensure(release(&thief.collector, id, &[]).is_err(), || format!("{id}: twice"))?;
    }
    let charged = input(&thief.collector.report()?, "acme");
    wait::ensure(charged == 2000, || format!("{charged} tokens"))?;
    thief.finish()
}
