//! Another's ingest takes the events: what the filter sends is what OpenMeter's expects, and neither its errors nor its
//! way to stop in the middle of a batch make it lose or double anything.

use std::collections::BTreeMap;

use e2e::{
    Result,
    openmeter::{OpenMeter, Trouble},
    stack::{Options, Stack, with_request_id},
    wait,
};
use serde_json::json;

const CALLS: u64 = 36;
const POISON: u64 = CALLS / 9;

async fn billed_once(troubles: &[Trouble]) -> Result<()> {
    let ingest = OpenMeter::start(troubles, "poison-").await?;
    let plugin = |plugin: &mut serde_json::Value| {
        plugin["collector"]["path"] = json!(OpenMeter::PATH);
        plugin["collector"]["heartbeat_ms"] = json!(100);
        plugin["collector"]["timeout_ms"] = json!(1000);
        plugin["batch"] = json!({"max_age_ms": 100, "max_events": 16});
    };
    let stack = Stack::with(Options { ingest: Some(ingest.address()), plugin, ..Options::default() }).await?;
    let fixture = stack.provider.catalogue().get("responses.json")?.clone();
    for number in 0..CALLS {
        let kind = if number % 9 == 4 { "poison" } else { "good" };
        let response = stack.llm().send(&with_request_id(fixture.call(), &format!("{kind}-{number}"))).await?;
        assert!(response.whole && response.status == 200);
    }
    let due = wait::until("the journal", || async {
        let journal = stack.journal()?;
        wait::ensure(journal.len() as u64 == CALLS, || format!("{} events", journal.len()))?;
        let good = journal.into_iter().filter(|event| event.text("request_id").starts_with("good-"));
        Ok(good.map(|event| (("meshmeter".to_owned(), event.id().to_owned()), event.raw)).collect::<BTreeMap<_, _>>())
    })
    .await?;
    wait::until("everything to be taken or given up", || async {
        let metrics = stack.envoy.metrics().await?;
        let [taken, refused] =
            ["acknowledged", "rejected"].map(|what| metrics.sum(&format!("meshmeter_events_{what}_total"), &[]));
        wait::ensure((taken, refused) == (CALLS - POISON, POISON), || format!("{taken} taken, {refused} refused"))
    })
    .await?;
    let seen = ingest.seen();
    assert!(seen.wrong.is_empty(), "{:?}", seen.wrong);
    assert!(seen.taken == due, "it has {} events, {} are due", seen.taken.len(), due.len());
    for trouble in troubles {
        let status = match trouble {
            Trouble::None => 204,
            Trouble::FailsAfter(_) => 500,
            Trouble::Busy => 503,
            Trouble::ResetBefore | Trouble::ResetAfter => 0,
        };
        assert!(seen.responses.contains(&status), "{trouble:?} never happened: {:?}", seen.responses);
    }
    assert!(
        seen.responses.contains(&400) && seen.again > 0,
        "nothing was refused or came again: the test proves nothing"
    );
    stack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_openmeter_refuses_poison_and_takes_everything_else_once() -> Result<()> {
    billed_once(&[Trouble::None]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_openmeter_fails_and_breaks_off_and_still_has_everything_once() -> Result<()> {
    use Trouble::{Busy, FailsAfter, None, ResetAfter, ResetBefore};
    billed_once(&[FailsAfter(1), None, ResetAfter, None, None, Busy, None, ResetBefore, None]).await
}
