//! A wrong configuration is refused with the key and what is allowed: at start-up, over an update, and offline.

use std::{collections::BTreeMap, fs, path::PathBuf};

use e2e::{
    Result,
    bootstrap::{set_plugin_of, write_listeners},
    client::Route,
    collector::{Collector, INGEST_TOKEN, check},
    envoy::Envoy,
    identity::Identity,
    paths,
    provider::{Pace, Provider},
    stack::{self, TENANT_HEADER, with_request_id},
    wait,
};
use serde_json::json;

/// File, its content, and the lines it must be refused with.
fn wrong_files() -> Result<Vec<(PathBuf, String, Vec<String>)>> {
    let dir = paths::fixture("config");
    let expected: BTreeMap<String, Vec<String>> = serde_json::from_slice(&fs::read(dir.join("expected.json"))?)?;
    let present = fs::read_dir(&dir)?.count();
    assert_eq!(present, expected.len() + 1, "every file of {} has an entry in expected.json", dir.display());
    expected
        .into_iter()
        .map(|(name, lines)| Ok((dir.join(&name), fs::read_to_string(dir.join(&name))?, lines)))
        .collect()
}

#[test]
fn contract_check_says_what_is_wrong_and_exits_with_1() -> Result<()> {
    for (path, _, lines) in wrong_files()? {
        let output = check(&path)?;
        let said = String::from_utf8(output.stderr)?;
        let expected: String = lines.iter().map(|line| format!("{}: {line}\n", path.display())).collect();
        assert_eq!((said, output.status.code()), (expected, Some(1)));
        assert!(output.stdout.is_empty());
    }
    Ok(())
}

#[test]
fn contract_check_accepts_what_is_shipped_and_nothing_at_all() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let shipped = e2e::bootstrap::Bootstrap::shipped()?.plugin()?.to_string();
    for (name, text) in [("shipped.json", shipped.as_str()), ("empty.json", ""), ("braces.json", "{}")] {
        let path = dir.path().join(name);
        fs::write(&path, text)?;
        let output = check(&path)?;
        assert_eq!(String::from_utf8(output.stdout)?, format!("{}: ok\n", path.display()));
        assert!(output.status.success() && output.stderr.is_empty());
    }
    let output = check(&dir.path().join("absent.json"))?;
    assert!(!output.status.success() && !output.stderr.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_envoy_ends_at_start_up_and_its_log_says_why() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let identity = Identity::create(dir.path())?;
    let provider = Provider::start(Pace::none()).await?;
    for (path, text, lines) in wrong_files()? {
        let mut bootstrap = stack::bootstrap(dir.path(), &identity, provider.address(), provider.address())?;
        bootstrap.set_plugin(&text);
        let mut envoy = Envoy::start(dir.path(), &bootstrap, Some(INGEST_TOKEN))?;
        let status = envoy.ended().await?;
        let log = envoy.log();
        assert!(!status.success(), "{}: Envoy ended well", path.display());
        for line in lines {
            assert!(log.contains(&line), "{}: the log does not say {line:?}:\n{log}", path.display());
        }
        assert!(!log.contains("s3cret-value"), "a value of the configuration is in the log");
        envoy.quiet();
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_wrong_update_is_rejected_and_the_old_configuration_stays() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let identity = Identity::create(dir.path())?;
    let provider = Provider::start(Pace::none()).await?;
    let mut collector = Collector::start(dir.path()).await?;
    let mut bootstrap = stack::bootstrap(dir.path(), &identity, provider.address(), collector.address())?;
    let plugin = bootstrap.plugin()?;
    // A folder of its own: Envoy looks at the file whenever anything is moved there.
    let folder = dir.path().join("listeners");
    fs::create_dir(&folder)?;
    let file = folder.join("listeners.json");
    let listeners = bootstrap.listeners_from(&file)?;
    write_listeners(&file, 1, &listeners)?;
    let mut envoy = Envoy::start(dir.path(), &bootstrap, Some(INGEST_TOKEN))?;
    envoy.ready().await?;
    let tenant_of = async |envoy: &Envoy, id: String, header: &str| -> Result<String> {
        let fixture = provider.catalogue().get("vllm.json")?.call().header(header, "acme");
        let route = Route::plain(envoy.listener("llm").await?);
        let response = route.send(&with_request_id(fixture, &id)).await?;
        assert_eq!(response.status, 200, "{id}");
        wait::until(&format!("the journal's event of {id}"), || async {
            let journal = fs::read_to_string(dir.path().join("journal"))?;
            let line = journal.lines().find(|line| line.contains(&format!("\"{id}\""))).ok_or("it is not there")?;
            Ok(e2e::event::Event::parse(line)?.text("tenant").to_owned())
        })
        .await
    };
    assert_eq!(tenant_of(&envoy, "before".to_owned(), TENANT_HEADER).await?, "acme");
    for (version, (path, text, lines)) in (2..).zip(wrong_files()?) {
        let rejected = updates(&envoy, "rejected").await?;
        write_listeners(&file, version, &set_plugin_of(&listeners, &text))?;
        wait::until(&format!("the rejection of {}", path.display()), || async {
            let now = updates(&envoy, "rejected").await?;
            wait::ensure(now > rejected, || format!("{now} updates are rejected"))
        })
        .await?;
        for line in lines {
            let log = envoy.log();
            assert!(log.contains(&line), "{}: the log does not say {line:?}:\n{log}", path.display());
        }
        assert_eq!(tenant_of(&envoy, format!("after-{version}"), TENANT_HEADER).await?, "acme");
    }
    let mut better = plugin;
    better["tenant"] = json!([{"from": "header", "name": "x-team", "trusted": true}]);
    let accepted = updates(&envoy, "success").await?;
    write_listeners(&file, 100, &set_plugin_of(&listeners, &better.to_string()))?;
    wait::until("the new configuration", || async {
        let now = updates(&envoy, "success").await?;
        wait::ensure(now > accepted, || format!("{now} updates are taken"))
    })
    .await?;
    // New connections go to the new listener as soon as its workers have it.
    let mut calls = 1 + wrong_files()?.len() as u64;
    wait::until("a call under the new configuration", || {
        calls += 1;
        let call = tenant_of(&envoy, format!("new-{calls}"), "x-team");
        async move {
            let tenant = call.await?;
            wait::ensure(tenant == "acme", || format!("its tenant is {tenant}"))
        }
    })
    .await?;
    // Old root contexts went, new ones came: no event was lost on the way.
    collector.holds(calls).await?;
    envoy.stop()?;
    collector.stop()?;
    assert_eq!(collector.report()?.calls(), calls);
    envoy.quiet();
    collector.quiet();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_without_a_collector_there_are_metrics_and_records_and_one_word_in_the_log() -> Result<()> {
    for text in ["{}", ""] {
        let dir = tempfile::tempdir()?;
        let identity = Identity::create(dir.path())?;
        let provider = Provider::start(Pace::none()).await?;
        // The collector's cluster leads to the provider, whose ledger would show a call to it.
        let mut bootstrap = stack::bootstrap(dir.path(), &identity, provider.address(), provider.address())?;
        bootstrap.set_plugin(text);
        let mut envoy = Envoy::start(dir.path(), &bootstrap, None)?;
        envoy.ready().await?;
        let route = Route::plain(envoy.listener("llm").await?);
        let fixtures = &provider.catalogue().0;
        for fixture in fixtures {
            let token = identity.token(&json!({"tenant": "acme"}))?;
            let response = route.send(&fixture.call().header("x-tenant-token", &token)).await?;
            assert_eq!(response.status, 200, "{}", fixture.name);
        }
        wait::until("a record of every call", || async {
            let journal = fs::read_to_string(dir.path().join("journal"))?;
            let charged = journal.lines().filter(|line| line.contains(r#""subject":"acme""#)).count();
            wait::ensure(charged == fixtures.len(), || format!("{charged} of {}", fixtures.len()))
        })
        .await?;
        let metrics = envoy.metrics_of(fixtures.len() as u64).await?;
        assert_eq!(metrics.sum("meshmeter_records_total", &[]), fixtures.len() as u64);
        assert_eq!(metrics.sum("meshmeter_events_queued_total", &[]), 0);
        assert_eq!(provider.served().len(), fixtures.len());
        envoy.stop()?;
        let said = envoy.log().matches("no collector.cluster configured").count();
        assert_eq!(said, 1, "{}", envoy.log());
        envoy.quiet();
    }
    Ok(())
}

/// How many updates of the listeners were taken or rejected.
async fn updates(envoy: &Envoy, what: &str) -> Result<u64> {
    let stats = envoy.get(&format!("/stats?filter=listener_manager.lds.update_{what}")).await?;
    let count = stats.trim().rsplit(' ').next().unwrap_or_default();
    count.parse().map_err(|_| format!("no counter of updates: {stats}").into())
}
