//! `meshmeter_vm_seconds_total`: which workers run the plugin shows without a call.

use std::time::{Duration, Instant};

use e2e::{
    Result,
    bootstrap::Bootstrap,
    paths,
    stack::{Options, Stack},
    wait,
};

/// Long enough for the whole seconds of each VM to make no difference of another VM.
const WINDOW: Duration = Duration::from_secs(8);

/// How many VMs of the plugin run, by what they count in a while.
async fn running(stack: &Stack) -> Result<u64> {
    let counted = async || Ok::<_, e2e::Error>(stack.envoy.metrics().await?.sum("meshmeter_vm_seconds_total", &[]));
    let (begun, before) = (Instant::now(), counted().await?);
    tokio::time::sleep(WINDOW).await;
    let seconds = counted().await?.saturating_sub(before);
    Ok((seconds as f64 / begun.elapsed().as_secs_f64()).round() as u64)
}

/// Waits until so many run: on a busy machine a VM begins late, and its timer comes late once.
async fn runs(stack: &Stack, expected: u64) -> Result<()> {
    wait::until("every VM counts its seconds", || async {
        let running = running(stack).await?;
        wait::ensure(running == expected, || format!("{running} instead of {expected}"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_each_worker_and_the_main_thread_count_their_seconds_without_a_call() -> Result<()> {
    for workers in [1, 3] {
        let stack = Stack::with(Options { workers, ..Options::default() }).await?;
        runs(&stack, u64::from(workers) + 1).await?;
        assert_eq!(stack.envoy.metrics().await?.sum("envoy_server_concurrency", &[]), u64::from(workers));
        stack.finish()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn race_a_worker_whose_vm_has_failed_open_counts_no_more_and_metering_it_is_missed() -> Result<()> {
    let change = |bootstrap: &mut Bootstrap| -> Result<()> {
        let code = paths::trap_wasm()?.to_string_lossy().into_owned();
        bootstrap.each_plugin(|config| {
            config["failure_policy"] = "FAIL_OPEN".into();
            config["vm_config"]["code"]["local"]["filename"] = code.clone().into();
        });
        Ok(())
    };
    let mut stack = Stack::with(Options { workers: 1, change, ..Options::default() }).await?;
    let call = stack.provider.catalogue().get("vllm.json")?.call();
    runs(&stack, 2).await?;
    // The trap resets the stream that asked for it.
    let _ = stack.llm().send(&call.clone().header("x-meshmeter-trap", "request")).await;
    assert_eq!(stack.llm().send(&call).await?.status, 200, "traffic goes on");
    // Only the main thread's VM is left.
    runs(&stack, 1).await?;
    assert!(stack.journal()?.is_empty(), "and passes unmetered, which the metric shows");
    stack.envoy.stop()?;
    stack.envoy.quiet();
    stack.collector.stop()?;
    stack.collector.quiet();
    Ok(())
}
