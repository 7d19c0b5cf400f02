//! The FOCUS file of a ledger with all that can happen to one, held against the specification's own validator, and against what
//! the report says.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use e2e::{
    Result,
    client::{Call, Route},
    collector::{ACME_READ_TOKEN, Collector, INGEST_TOKEN, READ_TOKEN},
    paths,
    wait::ensure,
};
use serde_json::{Value, json};

const EMITTER: &str = "0f8fad5bd9cb469fa16570867728950e";
const BATCH: &str = "application/cloudevents-batch+json";
/// Rules of the validator for FOCUS 1.0.
const RULES: u64 = 133;

fn event(sequence: u64, day: &str, tenant: &str, provider: &str, model: &str, more: &Value) -> Value {
    let mut data = json!({
        "emitter": EMITTER, "sequence": sequence, "tenant": tenant, "tenant_source": "header", "provider": provider,
        "api": "openai_chat", "operation": "chat", "response_model": model, "outcome": "completed", "evidence": "reported",
    });
    if let (Some(data), Some(more)) = (data.as_object_mut(), more.as_object()) {
        data.extend(more.clone());
    }
    json!({
        "specversion": "1.0", "type": "meshmeter.call.v1", "source": "meshmeter", "id": format!("{EMITTER}-{sequence}"),
        "time": format!("{day}T12:30:00Z"), "subject": tenant, "datacontenttype": "application/json", "data": data,
    })
}

fn tokens(input: u64, output: u64) -> Value {
    json!({"input_tokens": input, "input_text_tokens": input, "output_tokens": output, "output_text_tokens": output})
}

fn with(mut one: Value, more: Value) -> Value {
    if let (Some(one), Value::Object(more)) = (one.as_object_mut(), more) {
        one.extend(more);
    }
    one
}

/// October's calls, and November's.
fn events() -> Vec<Value> {
    let tagged =
        |team: &str| with(tokens(1900, 1000), json!({"tags": [["team", team, "header"]], "region": "eu-west-1"}));
    let cached = with(tokens(29, 10), json!({"input_tokens": 1029, "cache_read_tokens": 1000, "web_searches": 3}));
    let estimated = with(tokens(77, 33), json!({"evidence": "estimated", "outcome": "client_aborted"}));
    let stated = with(tokens(5000, 700), json!({"provider_cost_nano_usd": 1_234_567}));
    vec![
        event(1, "2026-10-05", "acme", "openai", "gpt-4.1", &tagged("search, \"beta\"")),
        event(2, "2026-10-05", "acme", "openai", "gpt-4.1", &tagged("ads")),
        event(3, "2026-10-06", "acme/ml", "anthropic", "claude-sonnet-4-5", &cached),
        event(
            4,
            "2026-10-06",
            "rival",
            "openai",
            "no-such,\"model\"",
            &with(tokens(19, 10), json!({"evidence": "partial"})),
        ),
        event(5, "2026-11-02", "rival", "openai", "=gpt", &tokens(3, 1)),
        event(6, "2026-11-02", "acme/ml", "openrouter", "gpt-4.1", &stated),
        event(7, "2026-11-03", "acme/ml", "openai", "gpt-4.1-mini", &estimated),
        event(
            8,
            "2026-11-03",
            "rival",
            "openai",
            "gpt-4.1-mini",
            &json!({"evidence": "missing", "missing_reason": "absent"}),
        ),
        event(9, "2026-11-03", "rival", "openai", "gpt-4.1-mini", &tokens(1_000_000, 1)),
    ]
}

/// The example's prices, and what tenants pay besides.
fn marked_up(dir: &Path) -> Result<String> {
    let book = fs::read_to_string(paths::prices())?;
    let adjusts = "\n[[adjust]]\non = \"charge\"\nfactor = \"1.15\"\nprovider = \"openai\"\n\
                   \n[[adjust]]\non = \"cost\"\nfactor = \"0.9\"\nprovider = \"openai\"\n";
    let path = dir.join("marked-up.toml");
    fs::write(&path, format!("{book}{adjusts}"))?;
    Ok(path.to_string_lossy().into_owned())
}

/// The rows of a file, by the names of their columns.
fn rows(text: &str) -> Vec<BTreeMap<String, String>> {
    let fields = |line: &str| {
        let (mut fields, mut field, mut is_quoted) = (Vec::new(), String::new(), false);
        for letter in line.chars() {
            match letter {
                '"' => is_quoted = !is_quoted,
                ',' if !is_quoted => fields.push(std::mem::take(&mut field)),
                letter => field.push(letter),
            }
        }
        fields.push(field);
        fields
    };
    let mut lines = text.split_terminator("\r\n").map(fields);
    let names = lines.next().unwrap_or_default();
    lines.map(|fields| names.iter().cloned().zip(fields).collect()).collect()
}

/// An amount, in 10^-24 USD.
fn yocto(amount: &str) -> i128 {
    let (whole, decimals) = amount.split_once('.').unwrap();
    format!("{whole}{decimals:0<24}").parse().unwrap()
}

fn validate(file: &Path) -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("focus/validate.py");
    let output = Command::new(paths::focus_python()?).arg("-B").arg(script).arg(file).output()?;
    ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())?;
    let said: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!((&said["failed"], &said["passed"]), (&json!({}), &RULES.into()), "{said}");
    Ok(())
}

async fn send(collector: &Collector, events: &[Value]) -> Result<()> {
    let batch = Value::from(events.to_vec());
    let mut call =
        Call::post("collector", "/v1/events", &batch).header("authorization", &format!("Bearer {INGEST_TOKEN}"));
    call.headers.retain(|(name, _)| name != "content-type");
    let response = Route::plain(collector.address()).send(&call.header("content-type", BATCH)).await?.json()?;
    ensure(response["accepted"] == events.len(), || response.to_string())
}

async fn get(collector: &Collector, path: &str, token: &str) -> Result<String> {
    let call = Call::get("collector", path).header("authorization", &format!("Bearer {token}"));
    let response = Route::plain(collector.address()).send(&call).await?;
    let text = String::from_utf8(response.body.to_vec())?;
    ensure(response.status == 200, || format!("HTTP {}: {text}", response.status))?;
    Ok(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_focus_file_passes_the_specifications_validator_and_adds_up_to_the_report() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut collector = Collector::start(dir.path()).await?;
    send(&collector, &events()).await?;
    let book = marked_up(dir.path())?;
    collector.about("rerate", &["--prices", &book, "--since", "2026-11-03", "--reason", "the contract"])?;
    collector.about("close", &["2026-10", "--anyway"])?;
    // What comes later about October counts when it comes.
    send(&collector, &[event(10, "2026-10-31", "acme", "openai", "gpt-4.1", &tokens(100, 50))]).await?;
    collector.about("correct", &[&format!("{EMITTER}-1"), "--void", "--reason", "a test of ours"])?;
    for billed in ["charge", "cost"] {
        let asked = ["--format", "focus", "--since", "2026-10", "--by", "day,tag:team,session", "--billed", billed];
        let text = collector.report_text(&asked)?;
        let file = dir.path().join(format!("{billed}.csv"));
        fs::write(&file, &text)?;
        validate(&file)?;
        let report: Value = serde_json::from_str(
            &collector.report_text(&["--format", "json", "--since", "2026-10", "--by", "tenant"])?,
        )?;
        let owed = |of: &Value| of[billed].as_str().map_or(0, yocto);
        let owed: i128 = report["totals"].as_array().ok_or("no totals")?.iter().map(owed).sum();
        let rows = rows(&text);
        let sum = |column: &str| rows.iter().map(|row| yocto(&row[column])).sum::<i128>();
        assert_eq!((sum("BilledCost"), sum("EffectiveCost"), sum("ContractedCost")), (owed, owed, owed));
        assert!(owed > 0 && (billed == "cost" || sum("ListCost") < owed), "there are mark-ups");
        let count = |column: &str, value: &str| rows.iter().filter(|row| row[column] == value).count();
        assert_eq!(count("ChargeClass", "Correction"), 4, "a late call and a credit, of two classes each");
        for basis in ["price", "stated", "own", "unpriced", "uncounted"] {
            assert_ne!(count("x_PricingBasis", basis), 0, "{basis}");
        }
        for evidence in ["reported", "partial", "estimated", "missing"] {
            assert_ne!(count("x_Evidence", evidence), 0, "{evidence}");
        }
        let path = format!("/v1/costs?format=focus&since=2026-10&by=day,tag:team,session&billed={billed}");
        assert_eq!(get(&collector, &path, READ_TOKEN).await?, text);
        let of_acme = self::rows(&get(&collector, &path, ACME_READ_TOKEN).await?);
        assert!(!of_acme.is_empty() && of_acme.iter().all(|row| row["SubAccountId"].starts_with("acme")));
    }
    collector.stop()
}
