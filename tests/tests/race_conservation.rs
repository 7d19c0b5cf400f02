//! Calls = records = acknowledged + queued + dropped, with everything at once.

use std::sync::Arc;

use e2e::{
    Result,
    fault::Fault,
    stack::{Stack, TENANT_HEADER, with_request_id},
};
use tokio::task::JoinSet;

const CALLS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn race_many_calls_at_once_give_one_record_each() -> Result<()> {
    let stack = Arc::new(Stack::start().await?);
    let fixtures = stack.provider.catalogue().0.clone();
    let mut running = JoinSet::new();
    for number in 0..CALLS {
        let fixture = &fixtures[number % fixtures.len()];
        let mut call = with_request_id(fixture.call(), &format!("call-{number}"))
            .header(TENANT_HEADER, &format!("tenant-{}", number % 7));
        let mut limit = usize::MAX;
        match number % 10 {
            3 => call = call.fault(Fault::Status(500)),
            5 => call = call.fault(Fault::ResetAfter(1)),
            7 => (call, limit) = (call.fault(Fault::StallAfter(1)), 1),
            _ => {}
        }
        let stack = stack.clone();
        running.spawn(async move { stack.llm().abort_after(&call, limit).await.map(|answer| (number, answer)) });
    }
    while let Some(ended) = running.join_next().await {
        let (number, answer) = ended??;
        let undisturbed = !matches!(number % 10, 3 | 5 | 7);
        if undisturbed {
            assert!(answer.whole, "call-{number} was cut");
            let served = stack.provider.served_to(&format!("call-{number}"))?;
            assert!(answer.body == served.body, "call-{number}: the answer's bytes were changed");
        }
    }
    let report = stack.settled(CALLS as u64).await?;
    // What the provider told, cut calls included, is what the ledger has: class by class.
    for class in e2e::event::CLASSES {
        let served: u64 = stack.provider.served().iter().filter_map(|served| served.usage.get(class)).sum();
        assert_eq!(report.count(class), served, "{class}");
    }
    Arc::into_inner(stack).ok_or("a call still runs")?.finish()
}
