//! The collector against its own OpenAPI document, by a validator of others: the document is valid, and every response is what
//! it says.

use std::process::Stdio;

use e2e::{
    Result,
    collector::{ACME_READ_TOKEN, Collector, INGEST_TOKEN, JOURNAL_TOKEN, READ_TOKEN},
    paths,
    wait::{PATIENCE, ensure},
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

const EMITTER: &str = "0f8fad5bd9cb469fa16570867728950e";
const BATCH: &str = "application/cloudevents-batch+json";

/// A call of a tenant on a day of November.
fn event(sequence: u64, tenant: &str, model: &str, more: &Value) -> Value {
    let mut data = json!({
        "emitter": EMITTER, "sequence": sequence, "tenant": tenant, "tenant_source": "header", "provider": "openai",
        "api": "openai_chat", "operation": "chat", "response_model": model, "outcome": "completed", "evidence": "reported",
        "input_tokens": 19, "input_text_tokens": 19, "output_tokens": 10, "output_text_tokens": 10,
        "session_id": "s1", "tags": [["task", "T17", "header"]],
    });
    if let (Some(data), Some(more)) = (data.as_object_mut(), more.as_object()) {
        data.extend(more.clone());
    }
    json!({
        "specversion": "1.0", "type": "meshmeter.call.v1", "source": "meshmeter", "id": format!("{EMITTER}-{sequence}"),
        "time": format!("2026-11-{:02}T12:00:00Z", sequence % 27 + 1), "subject": tenant,
        "datacontenttype": "application/json", "data": data,
    })
}

fn events() -> Vec<Value> {
    let none = json!({});
    let unknown = json!({"unknown_usage": "thoughts", "evidence": "partial"});
    vec![
        event(1, "acme", "gpt-4.1", &none),
        event(2, "acme/ml", "gpt-4.1", &json!({"input_tokens": 29, "cache_read_tokens": 10})),
        event(3, "rival", "no-such-model", &unknown),
        event(4, "rival", "gpt-4.1", &json!({"deferred": "batch"})),
        json!({"not": "an event"}),
    ]
}

fn post(path: &str, token: &str, content_type: &str, body: &str) -> Value {
    let headers = json!({"authorization": format!("Bearer {token}"), "content-type": content_type});
    json!({"method": "POST", "path": path, "headers": headers, "body": body})
}

fn get(path: &str, token: &str) -> Value {
    json!({"path": path, "headers": {"authorization": format!("Bearer {token}")}})
}

fn of_senders() -> Vec<Value> {
    let batch = serde_json::to_string(&events()).unwrap_or_default();
    let mut lease = post(
        "/v1/leases",
        INGEST_TOKEN,
        "application/json",
        r#"{"number": 1, "acknowledged": 0, "revision": 0, "leases": [{"budget": "none", "subject": "", "at_s": 0, "up_to": 1,
            "need": 1}], "prices": [{"tenant": "acme", "provider": "openai", "model": "gpt-4.1"},
            {"tenant": "acme", "provider": "openai", "model": "no-such-model"}]}"#,
    );
    let without_key = lease.clone();
    lease["headers"]["meshmeter-emitter-key"] = "0123456789abcdef0123456789abcdef".into();
    let numbers = format!(r#"{{"{EMITTER}": [[1, 9]]}}"#);
    vec![
        post("/v1/events", INGEST_TOKEN, BATCH, &batch),
        post("/v1/events", JOURNAL_TOKEN, BATCH, &batch),
        post("/v1/events", INGEST_TOKEN, "application/cloudevents+json", &events()[0].to_string()),
        post("/v1/events", INGEST_TOKEN, BATCH, "[{"),
        post("/v1/events", INGEST_TOKEN, "text/plain", "[]"),
        post("/v1/events", READ_TOKEN, BATCH, "[]"),
        post("/v1/events", "wrong", BATCH, "[]"),
        lease,
        without_key,
        post("/v1/leases", JOURNAL_TOKEN, "application/json", "{}"),
        post("/v1/missing", JOURNAL_TOKEN, "application/json", &numbers),
        post("/v1/missing", JOURNAL_TOKEN, "application/json", "[]"),
        post("/v1/missing", INGEST_TOKEN, "application/json", "{}"),
    ]
}

fn of_readers() -> Vec<Value> {
    let mut all = Vec::new();
    for path in ["/v1/report", "/v1/usage", "/v1/costs", "/v1/latency"] {
        for query in [
            "",
            "?format=csv",
            "?format=markdown",
            "?format=focus&by=hour,tag:task&billed=cost&issuer=us&since=2026-11",
            "?format=focus&top=3",
            "?format=xml",
            "?by=day,tenant:1&since=2026-11-01&until=2026-11-30",
            "?by=hour,session,tag:task&since=2026-11&until=2026-11&time_zone=Europe/Berlin",
            "?by=model&since=2026-11-02&until=2026-11-03&compare=true&round=2",
            "?by=tenant&top=1&sort=calls&tenant=acme&tenant=rival",
            "?by=colour",
            "?since=2026-02-30",
        ] {
            let path = format!("{path}{query}");
            all.extend([READ_TOKEN, ACME_READ_TOKEN].map(|token| get(&path, token)));
        }
        // The first five wrong tokens get their response at once.
        all.extend([INGEST_TOKEN, "wrong"].map(|token| get(path, token)));
        let mut known = get(path, READ_TOKEN);
        known["headers"]["if-none-match"] = "*".into();
        all.push(known);
    }
    for path in ["/v1/budgets", "/v1/gaps", "/metrics"] {
        all.extend([READ_TOKEN, ACME_READ_TOKEN, INGEST_TOKEN].map(|token| get(path, token)));
    }
    all.extend(["/livez", "/readyz", "/v1/openapi.json"].map(|path| json!({ "path": path })));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_the_collector_is_what_its_openapi_document_says() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut collector = Collector::start(dir.path()).await?;
    let mut command = Command::new(paths::sdk_python()?);
    command.arg("-B").arg(paths::sdk("openapi.py")).arg(format!("http://{}", collector.address()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut validator = command.spawn()?;
    let questions: Vec<Value> = of_senders().into_iter().chain(of_readers()).collect();
    let mut input = validator.stdin.take().ok_or("it has no input")?;
    input.write_all(&serde_json::to_vec(&questions)?).await?;
    drop(input);
    let output = timeout(PATIENCE, validator.wait_with_output()).await??;
    ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())?;
    let problems = String::from_utf8(output.stdout)?;
    ensure(problems.is_empty(), || problems)?;
    collector.stop()
}
