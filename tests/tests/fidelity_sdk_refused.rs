//! What the vendors' own clients make of a call that a budget refuses: the right exception, and no try that is in vain.

use std::{collections::BTreeMap, process::Stdio};

use e2e::{
    Result,
    lender::{Gives, Lender},
    paths,
    stack::{Options, Stack},
    wait::{self, PATIENCE, ensure},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};

/// What a client saw of one call.
#[derive(Debug, Deserialize)]
struct Seen {
    call: String,
    before_s: f64,
    after_s: f64,
    raised: Option<String>,
    status: Option<u16>,
    retry_after: Option<String>,
    should_retry: Option<String>,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    message: String,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

async fn run(stack: &Stack) -> Result<BTreeMap<String, Seen>> {
    let mut command = Command::new(paths::sdk_python()?);
    let port = stack.listeners().0.port().to_string();
    command.arg("-B").arg(paths::sdk("refused_calls.py")).args([&port, "refused-"]);
    // Proxies of this machine have no part in this.
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    let output = timeout(PATIENCE, command.stdin(Stdio::null()).kill_on_drop(true).output()).await??;
    ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())?;
    let lines = String::from_utf8(output.stdout)?;
    let seen = lines.lines().map(serde_json::from_str).collect::<std::result::Result<Vec<Seen>, _>>()?;
    Ok(seen.into_iter().map(|seen| (seen.call.clone(), seen)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_clients_raise_what_they_raise_at_the_providers_own_limits_and_wait_as_told() -> Result<()> {
    let lender = Lender::start().await?;
    let gives = Gives { is_spent: false, on_need: false, limit: 1_000_000_000, window_s: HOUR };
    lender.set("spent-minute", "spent", "tokens", Gives { is_spent: true, window_s: MINUTE, ..gives });
    lender.set("broke-hour", "broke", "usd", Gives { is_spent: true, ..gives });
    lender.set("large-hour", "large", "tokens", Gives { limit: 50, ..gives });
    lender.set("soon-hour", "soon", "tokens", Gives { on_need: true, ..gives });
    let plugin = |plugin: &mut Value| plugin["budgets"] = json!({});
    let options = Options { workers: 1, ingest: Some(lender.address()), plugin, ..Options::default() };
    let stack = Stack::with(options).await?;
    wait::until("the workers to ask for leases", || async {
        let requests = lender.requests();
        let asked = requests.iter().filter(|request| request["leases"] != json!([])).map(|request| &request["key"]);
        let asked: Vec<&Value> = asked.fold(Vec::new(), |mut all, key| {
            if !all.contains(&key) {
                all.push(key);
            }
            all
        });
        // The main thread has a VM, too.
        ensure(asked.len() >= 2, || format!("{} have", asked.len()))
    })
    .await?;
    let seen = run(&stack).await?;
    // Anthropic's has a kind of its own, which is an APIStatusError, too.
    for (sdk, unpaid) in [("openai", "APIStatusError"), ("anthropic", "PaymentRequiredError")] {
        let seen_of = |tenant: &str| &seen[&format!("{sdk}-{tenant}")];
        let spent = seen_of("spent");
        assert_eq!((spent.raised.as_deref(), spent.status), (Some("RateLimitError"), Some(429)), "{spent:?}");
        assert!(spent.message.contains("Refused by budget spent-minute (tokens)"), "{spent:?}");
        // Who waits so long finds the next window.
        let wait_s: u64 = spent.retry_after.as_deref().unwrap_or_default().parse()?;
        let window = |at_s: f64| at_s as u64 / MINUTE;
        assert!(wait_s > 0 && window(spent.after_s + wait_s as f64) > window(spent.before_s), "{spent:?}");
        assert!(window(spent.before_s + wait_s as f64 - 2.0) <= window(spent.after_s), "it is longer: {spent:?}");
        let broke = seen_of("broke");
        assert_eq!((broke.raised.as_deref(), broke.status), (Some(unpaid), Some(402)), "{broke:?}");
        assert!(broke.message.contains("broke-hour (usd)"), "{broke:?}");
        let large = seen_of("large");
        assert_eq!((large.raised.as_deref(), large.status), (Some("RateLimitError"), Some(429)), "{large:?}");
        assert_eq!((large.retry_after.as_deref(), large.should_retry.as_deref()), (None, Some("false")), "{large:?}");
        assert_eq!(seen_of("soon").raised, None, "its client has come again, and passed: {:?}", seen_of("soon"));
    }
    assert_eq!(seen["openai-spent"].body["code"], "rate_limit_exceeded");
    assert_eq!(seen["openai-broke"].body["code"], "insufficient_quota");
    assert_eq!(seen["anthropic-spent"].body["error"]["type"], "rate_limit_error");
    assert_eq!(seen["anthropic-broke"].body["error"]["type"], "billing_error");
    let event = stack.event_of("refused-openai-spent").await?;
    assert_eq!((event.text("outcome"), event.text("refused_by")), ("refused", "budget:spent-minute"));
    assert!(event.classes().is_empty(), "{}", event.raw);
    let refused = |budget: &'static str, reason: &'static str| {
        let envoy = &stack.envoy;
        async move {
            let labels = [("meshmeter_budget", budget), ("meshmeter_reason", reason)];
            Ok::<u64, e2e::Error>(envoy.metrics().await?.sum("meshmeter_budget_refused_total", &labels))
        }
    };
    wait::until("the counts of refusals", || async {
        let counts = [refused("spent-minute", "exhausted").await?, refused("large-hour", "too_large").await?];
        ensure(counts == [2, 2], || format!("{counts:?}: nobody came again in vain"))
    })
    .await?;
    assert!(refused("soon-hour", "no_lease").await? >= 1);
    stack.finish_refused()
}
