//! A Spark job over the topic that `meshmeter relay` fills gives the ledger's totals, to the token and the last decimal. Only with
//! `just relay-test`, which names a Python that has Spark in MESHMETER_SPARK.

use std::{collections::BTreeMap, env, fs, path::PathBuf, process::Command};

use e2e::{
    Result,
    collector::Collector,
    kafka::Kafka,
    paths,
    relay::{Caller, EMITTER, Owed, command, finish, reported, settled, yocto},
    wait::ensure,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    tenant: String,
    calls: i64,
    charge: String,
    usage: BTreeMap<String, i64>,
}

#[tokio::test(flavor = "multi_thread")]
async fn fidelity_a_spark_job_over_the_topic_gives_the_ledgers_totals() -> Result<()> {
    let Some(spark) = env::var_os("MESHMETER_SPARK").map(PathBuf::from) else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let mut kafka = Kafka::start(dir.path()).await?;
    kafka.create("usage", 4)?;
    let mut collector = Collector::start(dir.path()).await?;
    Caller::of(&collector).call(5000).await?;
    for sequence in 1..=20 {
        let (id, prices) = (format!("{EMITTER}-{sequence}"), paths::prices().display().to_string());
        collector.about("correct", &[&id, "--reason", "theirs", "--tenant", "globex/new", "--prices", &prices])?;
    }
    collector.about("correct", &[&format!("{EMITTER}-21"), "--reason", "a test", "--void"])?;
    let to = format!("kafka://{}/usage", kafka.address());
    let output = finish(&mut command(collector.database(), &to, &["--once", "--batch", "100"])?)?;
    ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())?;

    let mut jars = Vec::new();
    for jar in fs::read_dir(paths::kafka().join("spark"))? {
        jars.push(jar?.path().display().to_string());
    }
    let job = paths::workspace().join("tests/kafka/totals.py");
    let output = Command::new(spark)
        .arg(job)
        .args([kafka.address(), "usage".to_owned(), jars.join(",")])
        .current_dir(dir.path())
        .output()?;
    ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())?;
    let mut owed = Owed::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let Line { tenant, calls, charge, mut usage } = serde_json::from_str(line)?;
        usage.insert("calls".to_owned(), calls);
        owed.insert(tenant, (yocto(&charge)?, usage));
    }
    assert_eq!(settled(owed), reported(&collector)?);
    kafka.quiet();
    collector.stop()?;
    collector.quiet();
    Ok(())
}
