//! What the relay says and does where it cannot or must not send, and with which credentials it can.

use std::{fs, path::Path, process::Command};

use e2e::{
    Result,
    collector::Collector,
    kafka::{Kafka, PASSWORD, USER},
    relay::{Caller, command, finish, once_in_order, start},
    wait::{self, ensure},
};

const CALLS: u64 = 30;

/// That it fails, and says so.
fn refuses(command: &mut Command, says: &str) -> Result<()> {
    let output = finish(command)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure(output.status.code() == Some(1) && said.contains(says), || {
        format!("{says:?} is due: {}: {said}", output.status)
    })
}

fn succeeds(command: &mut Command) -> Result<()> {
    let output = finish(command)?;
    ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_the_relay_says_what_is_missing_and_sends_nothing_that_it_must_not() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut kafka = Kafka::start(dir.path()).await?;
    let collector = Collector::start(dir.path()).await?;
    Caller::of(&collector).call(CALLS).await?;
    let database = collector.database().to_owned();
    let plain = format!("kafka://{}/usage", kafka.address());
    let once = |more: &[&str]| command(&database, &plain, &[&["--once"], more].concat());

    refuses(&mut once(&[])?, "there is no such topic: create it")?;
    kafka.create("usage", 3)?;
    credentials(&kafka, &database, dir.path())?;

    // A relay that has no position does not guess what a topic has that is not empty.
    let other = ["--name", "other"];
    refuses(&mut once(&other)?, "--from says where it begins")?;
    refuses(&mut once(&[&other[..], &["--from", "1:99"]].concat())?, "the chain of this writer ends at 30")?;
    succeeds(&mut once(&[&other[..], &["--from", "1:28"]].concat())?)?;
    succeeds(&mut once(&[&other[..], &["--from", "start"]].concat())?)?;
    let messages = kafka.committed("usage")?;
    let (own, others) = messages.split_at(CALLS as usize);
    assert_eq!(once_in_order(own, &collector)?, CALLS);
    assert_eq!(others.iter().map(|message| message.key.as_str()).collect::<Vec<_>>(), ["1:28", "1:29", "1:30"]);

    // Another ledger, or an older state of this one, is not taken for it.
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere)?;
    let foreign = Collector::start(&elsewhere).await?;
    Caller::of(&foreign).call(CALLS + 10).await?;
    refuses(&mut command(foreign.database(), &plain, &["--once"])?, "is another one in this ledger")?;
    let younger = elsewhere.join("younger");
    fs::create_dir(&younger)?;
    let shorter = Collector::start(&younger).await?;
    Caller::of(&shorter).call(3).await?;
    refuses(&mut command(shorter.database(), &plain, &["--once"])?, "is not in this ledger")?;
    assert_eq!(kafka.committed("usage")?.len(), messages.len());

    // Where positions would be lost one day, none is kept.
    kafka.create("forgetful", 1)?;
    refuses(&mut once(&["--positions-topic", "forgetful"])?, "cleanup.policy=delete")?;
    kafka.quiet();
    for mut collector in [collector, foreign, shorter] {
        collector.stop()?;
        collector.quiet();
    }
    Ok(())
}

/// TLS, a user, and what the user may do.
fn credentials(kafka: &Kafka, database: &Path, dir: &Path) -> Result<()> {
    let to = format!("kafka://{}/usage", kafka.secure_address());
    let authority = kafka.authority().display().to_string();
    let password = dir.join("password").display().to_string();
    fs::write(&password, format!("{PASSWORD}\n"))?;
    let secure = |mechanism: &str, authority: &[&str], password: &str| -> Result<Command> {
        let user = ["--once", "--tls", "--sasl", mechanism, "--user", USER, "--password-file", password];
        command(database, &to, &[&user[..], authority].concat())
    };
    let known = ["--ca-file", &authority];
    refuses(&mut secure("scram-sha-512", &[], &password)?, "UnknownIssuer")?;
    let wrong = dir.join("wrong").display().to_string();
    fs::write(&wrong, "another password")?;
    refuses(&mut secure("scram-sha-512", &known, &wrong)?, "authentication")?;
    refuses(&mut secure("plain", &known, &wrong)?, "authentication")?;
    // Kafka does not tell whoever may not see a topic whether there is one.
    refuses(&mut secure("scram-sha-512", &known, &password)?, "usage")?;
    kafka.grant("topic", "usage", "Write,Describe")?;
    refuses(&mut secure("scram-sha-512", &known, &password)?, "usage-positions")?;
    kafka.grant("topic", "usage-positions", "Create,Read,Write,Describe,Describe_Configs")?;
    refuses(&mut secure("scram-sha-512", &known, &password)?, "transactional id")?;
    kafka.grant("transactional_id", "meshmeter-relay-usage", "Write,Describe")?;
    succeeds(&mut secure("scram-sha-512", &known, &password)?)?;
    succeeds(&mut secure("plain", &known, &password)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_the_relay_follows_the_ledger_waits_for_a_broker_and_tells_how_far_it_is() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut collector = Collector::start(dir.path()).await?;
    let mut kafka = Kafka::start(dir.path()).await?;
    kafka.create("usage", 1)?;
    kafka.kill()?;
    let to = format!("kafka://{}/usage", kafka.address());
    let arguments = ["--metrics-listen", "127.0.0.1:0"];
    let mut relay = start("relay", dir.path(), &mut command(collector.database(), &to, &arguments)?)?;
    wait::until("the relay to wait", || async { ensure(relay.stderr().contains("trying again"), || relay.tail()) })
        .await?;
    kafka.again().await?;
    let mut caller = Caller::of(&collector);
    caller.call(CALLS).await?;
    let says = format!(" 0 behind, at 1:{CALLS}\n");
    wait::until("all calls to be sent", || async { ensure(relay.stderr().contains(&says), || relay.tail()) }).await?;
    assert_eq!(once_in_order(&kafka.committed("usage")?, &collector)?, CALLS);
    let log = relay.stderr();
    let (_, rest) = log.split_once("metrics on http://").ok_or("it does not say where its metrics are")?;
    let address = rest.split('/').next().unwrap_or_default().parse()?;
    let page = e2e::client::Route::plain(address).send(&e2e::client::Call::get("relay", "/metrics")).await?;
    let scrape = e2e::prometheus::Scrape::parse(&String::from_utf8_lossy(&page.body));
    assert_eq!(scrape.sum("meshmeter_relay_entries_total", &[]), CALLS);
    assert_eq!(scrape.named("meshmeter_relay_behind").count(), 1);
    assert_eq!(scrape.sum("meshmeter_relay_sessions_total", &[]), 1);
    ensure(relay.stop()?.success(), || relay.tail())?;
    relay.quiet();
    kafka.quiet();
    collector.stop()?;
    collector.quiet();
    Ok(())
}
