//! The ledger goes to a real Kafka, and the relay and the broker are killed again and again: a reader of what is committed has
//! every entry once, in order, and what it has adds up to what the ledger says. `just relay-test` kills more often.

use std::{env, time::Duration};

use e2e::{
    Result,
    collector::Collector,
    kafka::Kafka,
    paths,
    relay::{Caller, EMITTER, added_up, command, finish, once_in_order, reported, start},
    wait::{self, ensure},
};
use tokio::time::sleep;

/// How often the relay is killed in the short form.
const KILLS: u64 = 8;
/// How often more, if no kill was in the middle of a transaction.
const MORE: u64 = 60;
/// Calls in the ledger before the first kill.
const CALLS: u64 = 4000;
const PAUSE: Duration = Duration::from_millis(100);

/// How often something is to happen: more often than in the short form if that is asked for.
fn times(short: u64) -> Result<u64> {
    Ok(env::var("MESHMETER_RELAY_KILLS").ok().map_or(Ok(short), |text| text.parse())?)
}

/// Pauses that are different each time, and the same in each run.
fn pause(turn: u64) -> Duration {
    Duration::from_millis(300 + turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1700)
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
    for turn in 0..times(2)?.min(4) {
        caller.call(400).await?;
        sleep(pause(turn)).await;
        kafka.kill()?;
        sleep(pause(turn + 3)).await;
        kafka.again().await?;
        process.alive()?;
    }
    caller.call(100).await?;
    wait::until("the relay to have sent everything", || async {
        sleep(PAUSE).await;
        ensure(process.stderr().lines().last().is_some_and(|line| line.contains(" 0 behind")), || process.tail())
    })
    .await?;
    ensure(process.stop()?.success(), || "a relay that is asked to stop does not fail".to_owned())?;
    process.quiet();

    // There is nothing left to send, and nothing is sent again.
    let output = finish(&mut relay(&["--once"])?)?;
    ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())?;
    let messages = kafka.committed("usage")?;
    let entries = once_in_order(&messages, &collector)?;
    assert_eq!(entries, CALLS + 20 * killed + 100 + 400 * times(2)?.min(4) + 3 * 2 + 1);
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
    wait::until("the second relay to have sent everything", || async {
        sleep(PAUSE).await;
        ensure(kafka.committed("usage")?.len() >= 1400, || second.tail())
    })
    .await?;
    ensure(second.stop()?.success(), || second.tail())?;
    second.quiet();
    assert_eq!(once_in_order(&kafka.committed("usage")?, &collector)?, 1400);
    kafka.quiet();
    collector.stop()?;
    collector.quiet();
    Ok(())
}
