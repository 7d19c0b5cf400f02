//! The journal has every record, also of parts of calls; in Envoy's own log it survives a kill.

use std::collections::BTreeSet;

use e2e::{
    Result,
    client::Call,
    event::{Event, logged},
    exchange::Upload,
    script::Script,
    stack::{Options, Stack},
    traffic::Traffic,
    wait,
    wire::Wire,
};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_a_part_stands_on_a_line_of_its_own() -> Result<()> {
    let wire = Wire::start(|_| {}).await?;
    let stack = &wire.stack;
    let response = json!({"type": "message", "id": "msg_1", "model": "claude-top", "usage": {
        "input_tokens": 5, "output_tokens": 6, "iterations": [
            {"type": "message", "input_tokens": 5, "output_tokens": 6},
            {"type": "advisor_message", "model": "claude-adviser", "input_tokens": 27, "output_tokens": 38},
        ],
    }});
    let call = Call::post("api.anthropic.com", "/v1/messages", &json!({"model": "claude-top", "messages": []}));
    let script = Script::new("application/json", response.to_string());
    let response =
        wire.exchange(&stack.llm(), hyper::Version::HTTP_11, "advised", &call, Upload::WHOLE, script).await?;
    assert!(response.whole && response.status == 200);
    let journal = wait::until("call and part in the journal", || async {
        let journal = stack.journal()?;
        wait::ensure(journal.len() == 2, || format!("{} lines", journal.len()))?;
        Ok(journal)
    })
    .await?;
    let told: Vec<_> = journal.iter().map(|event| (event.text("part"), event.text("response_model"))).collect();
    assert_eq!(told, [("", "claude-top"), ("advisor_message", "claude-adviser")]);
    assert!(journal.iter().all(|event| event.text("request_id") == "advised" && event.text("response_id") == "msg_1"));
    let acknowledged = wait::until("both to be acknowledged", || async {
        let acknowledged = stack.gate.acknowledged()?;
        wait::ensure(acknowledged.len() == 2, || format!("{} are", acknowledged.len()))?;
        Ok(acknowledged)
    })
    .await?;
    let raw = |events: &[Event]| -> Vec<String> { events.iter().map(|event| event.raw.clone()).collect() };
    assert_eq!(raw(&acknowledged), raw(&journal));
    let log = stack.access_log()?;
    let record = log.first().and_then(|line| line["meshmeter_record"].as_str()).ok_or("no record in the access log")?;
    assert_eq!(record.lines().map(str::to_owned).collect::<Vec<_>>(), raw(&journal));
    wire.stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_a_kill_takes_no_record_of_a_response_that_a_client_has_whole() -> Result<()> {
    for _ in 0..3 {
        // The access log is some milliseconds late on a busy machine, see docs/performance.md.
        let plugin = |plugin: &mut Value| plugin["journal"]["log"] = json!(true);
        let mut stack = Stack::with(Options { plugin, ..Options::default() }).await?;
        let traffic = Traffic::start(&stack.llm(), &stack.provider.catalogue().get("responses.json")?.call(), "call");
        traffic.goes_on(300).await?;
        stack.envoy.kill()?;
        let whole = traffic.stop().await?;
        let recorded: BTreeSet<String> =
            logged(&stack.envoy.log()).map(|event| event.text("request_id").to_owned()).collect();
        let lost: Vec<_> = whole.difference(&recorded).collect();
        assert!(lost.is_empty(), "responded to and not in Envoy's log: {lost:?}");
        // Else the test proves nothing: the collector does not have the last of them.
        let taken = stack.collector.report()?.calls();
        assert!(taken < recorded.len() as u64, "the ledger has all {taken} of {}", recorded.len());
        stack.finish_stopped()?;
    }
    Ok(())
}
