//! The ledger goes to a real Kafka, and the relay and the broker are killed again and again: a reader of what is committed has
//! every entry once, in order, and what it has adds up to what the ledger says. `just relay-test` kills more often.

use std::{env, time::Duration};

use e2e::{
    Result,
    collector::Collector,
    kafka::Kafka,
    paths,
    process::Process,
    relay::{Caller, EMITTER, added_up, command, finish, once_in_order, reported, start},
    wait::{self, ensure},
};
use tokio::time::sleep;

/// How often the relay is killed in the short form.
const KILLS: u64 = 5;
/// How often more, if no kill was in the middle of a transaction.
const MORE: u64 = 60;
/// Calls in the ledger before the first kill.
const CALLS: u64 = 3000;

/// How often something is to happen: more often than in the short form if that is asked for.
fn times(short: u64) -> Result<u64> {
    Ok(env::var("MESHMETER_RELAY_KILLS").ok().map_or(Ok(short), |text| text.parse())?)
}

/// Entries of the corrections: three calls are moved to another tenant, and nobody pays for one.
const CORRECTIONS: u64 = 3 * 2 + 1;

/// Pauses that are different each time, and the same in each run.
fn pause(turn: u64) -> Duration {
    Duration::from_millis(300 + turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1700)
}

/// Waits until a relay says that it has sent everything up to an entry.
async fn has_sent(relay: &Process, entry: u64) -> Result<()> {
    let says = format!(" 0 behind, at 1:{entry}\n");
    wait::until(&format!("entry {entry} to be sent"), || async {
        ensure(relay.stderr().contains(&says), || relay.tail())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn race_every_entry_is_in_the_topic_once_whatever_is_killed() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut kafka = Kafka::start(dir.path()).await?;
    kafka.create("usage", 1)?;
    let mut collector = Collector::start(dir.path()).await?;
    let mut caller = Caller::of(&collector);
    caller.call(CALLS).await?;
    let to = format!("kafka://{}/usage", kafka.address());
    // Small transactions: more of them to be killed in.
    let relay = |more: &[&str]| command(collector.database(), &to, &[&["--batch", "20"], more].concat());

    // The relay is killed, while entries come.
    let kills = times(KILLS)?;
    let mut killed = 0;
    let mut broken_off = 0;
    while killed < kills || (broken_off == 0 && killed < kills + MORE) {
        let mut process = start("relay", dir.path(), &mut relay(&[])?)?;
        sleep(pause(killed)).await;
        process.alive()?;
        process.kill()?;
        process.quiet();
        killed += 1;
        caller.call(20).await?;
        if killed == kills || killed % 10 == 0 {
            broken_off = kafka.written("usage")?.len() - kafka.committed("usage")?.len();
        }
    }
    ensure(broken_off > 0, || {
        format!("{killed} kills, and none in the middle of a transaction: the test proves nothing")
    })?;

    // What a person corrects are entries too.
    for sequence in [7, 8, 9] {
        let id = format!("{EMITTER}-{sequence}");
        let prices = paths::prices().display().to_string();
        let arguments = [[id.as_str(), "--reason", "theirs"], ["--tenant", "globex/new", "--prices"]].concat();
        collector.about("correct", &[&arguments[..], &[&prices]].concat())?;
    }
    let id = format!("{EMITTER}-11");
    collector.about("correct", &[&id, "--reason", "a test", "--void"])?;

    // The broker is killed, and comes back.
    let mut process = start("relay", dir.path(), &mut relay(&[])?)?;
    let restarts = times(1)?.min(4);
    for turn in 0..restarts {
        caller.call(400).await?;
        sleep(pause(turn)).await;
        kafka.kill()?;
        sleep(pause(turn + 3)).await;
        kafka.again().await?;
        process.alive()?;
    }
    caller.call(100).await?;
    let due = CALLS + 20 * killed + CORRECTIONS + 400 * restarts + 100;
    has_sent(&process, due).await?;
    ensure(process.stop()?.success(), || "a relay that is asked to stop does not fail".to_owned())?;
    process.quiet();

    // There is nothing left to send, and nothing is sent again.
    let output = finish(&mut relay(&["--once"])?)?;
    ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())?;
    let messages = kafka.committed("usage")?;
    let entries = once_in_order(&messages, &collector)?;
    assert_eq!(entries, due);
    assert_eq!(added_up(&messages)?, reported(&collector)?);
    kafka.quiet();
    collector.stop()?;
    collector.quiet();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn race_of_two_relays_of_a_name_the_last_one_sends_and_the_other_ends() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut kafka = Kafka::start(dir.path()).await?;
    kafka.create("usage", 1)?;
    let mut collector = Collector::start(dir.path()).await?;
    let mut caller = Caller::of(&collector);
    let to = format!("kafka://{}/usage", kafka.address());
    let relay = || command(collector.database(), &to, &["--batch", "5"]);
    let mut first = start("first", dir.path(), &mut relay()?)?;
    wait::until("the first relay's session", || async { ensure(first.stderr().contains(": begins"), || first.tail()) })
        .await?;
    // Both have something to send all the time.
    caller.call(600).await?;
    let mut second = start("second", dir.path(), &mut relay()?)?;
    wait::until("the second relay's session", || async {
        ensure(second.stderr().contains(": goes on"), || second.tail())
    })
    .await?;
    caller.call(600).await?;
    let ended = first.ended().await?;
    ensure(ended.code() == Some(1) && first.stderr().contains("has taken over: process"), || first.tail())?;
    first.quiet();
    caller.call(200).await?;
    has_sent(&second, 1400).await?;
    ensure(second.stop()?.success(), || second.tail())?;
    second.quiet();
    assert_eq!(once_in_order(&kafka.committed("usage")?, &collector)?, 1400);
    kafka.quiet();
    collector.stop()?;
    collector.quiet();
    Ok(())
}
