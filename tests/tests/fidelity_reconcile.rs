//! What the real Envoy writes is read back: journal and access log say the same, byte for byte, and what was never metered
//! is told apart from what never reached a provider.

use std::process::Command;

use e2e::{
    Result,
    client::Call,
    paths,
    process::Process,
    stack::{Options, Stack, with_request_id},
    wait,
};
use serde_json::{Value, json};

/// A collector of its own, which asks nobody for a token.
async fn collector(stack: &Stack) -> Result<(Process, String)> {
    let dir = stack.file("second");
    std::fs::create_dir(&dir)?;
    let mut command = Command::new(paths::collector()?);
    command.args(["serve", "--insecure-no-auth", "--listen", "127.0.0.1:0", "--database"]).arg(dir.join("ledger.db"));
    command.arg("--no-builtin-prices");
    let process = Process::start("second", &dir, &mut command)?;
    let url = wait::until("the second collector", || async {
        let out = process.stdout();
        let line = out.split_once('\n').map(|(line, _)| line);
        let url = line.and_then(|line| line.strip_prefix("listening on ").map(str::to_owned));
        url.ok_or_else(|| "it does not listen".into())
    })
    .await?;
    Ok((process, url))
}

fn reconcile(url: &str, file: &std::path::Path, more: &[&str]) -> Result<Vec<Value>> {
    let mut command = Command::new(paths::collector()?);
    command.args(["reconcile", "--format", "json", "--collector", url]).arg(file).args(more);
    let output = command.output()?;
    wait::ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())?;
    String::from_utf8(output.stdout)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_journal_and_access_log_of_a_real_envoy_are_read_back() -> Result<()> {
    let stack = Stack::with(Options { open: false, ..Options::default() }).await?;
    let fixtures = stack.provider.catalogue().0.clone();
    for (number, fixture) in fixtures.iter().enumerate() {
        stack.llm().send(&with_request_id(fixture.call(), &format!("call-{number}"))).await?;
    }
    // A call that jwt_authn refuses before the plugin sees it.
    let refused = Call::post("api.openai.com", "/v1/chat/completions", &json!({})).header("x-tenant-token", "none");
    assert_eq!(stack.llm().send(&refused).await?.status, 401);
    wait::until("the access log", || async {
        let lines = stack.access_log()?.len();
        wait::ensure(lines == fixtures.len() + 1, || format!("it has {lines} lines"))
    })
    .await?;
    let events = fixtures.len();
    wait::until("the journal", || async {
        let lines = stack.journal()?.len();
        wait::ensure(lines == events, || format!("it has {lines} lines"))
    })
    .await?;
    let (mut second, url) = collector(&stack).await?;
    let told = reconcile(&url, &stack.file("access.log"), &[])?;
    let [refused, summary] = told.as_slice() else { panic!("{told:?}") };
    let call = &refused["unmetered"];
    assert_eq!(
        (&call["status"], &call["reached"], &call["host"]),
        (&json!(401), &json!("no"), &json!("api.openai.com"))
    );
    for (name, count) in [("accepted", events), ("not_reached", 1), ("unmetered", 0), ("torn", 0), ("foreign", 0)] {
        assert_eq!(summary[name], count, "{name}: {summary}");
    }
    let told = reconcile(&url, &stack.file("journal"), &["--all"])?;
    for (name, count) in [("sent", events), ("duplicates", events), ("alarms", 0), ("foreign", 0)] {
        assert_eq!(told[0][name], count, "{name}: {}", told[0]);
    }
    second.stop()?;
    second.quiet();
    stack.finish()
}
