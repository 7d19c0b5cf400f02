//! The processes of the experiment: Envoy and the collector, each of which dies and comes again, and what stays.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use e2e::{
    Result,
    bootstrap::{Bootstrap, write_filter},
    client::{Call, Line, Route, Seen},
    collector::{Collector, INGEST_TOKEN},
    envoy::Envoy,
    gate::Gate,
    identity::Identity,
    paths,
    provider::{Pace, Provider},
    stack, wait,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::{fault::TIMEOUT, traffic::Doors};

/// Several, for each has a VM, an outbox and numbers of its own.
pub const WORKERS: u8 = 3;

/// A little longer than what the plugin counts may stay unreported: it ticks four times a second.
const TICK: Duration = Duration::from_millis(400);

/// Everything that runs.
pub struct World {
    envoy: Envoy,
    collector: Collector,
    pub gate: Gate,
    pub provider: Provider,
    pub identity: Identity,
    program: PathBuf,
    bootstrap: Bootstrap,
    filter: Value,
    plugin: Value,
    code: PathBuf,
    /// Envoys, collectors, configurations and codes so far.
    envoys: u32,
    collectors: u32,
    configurations: u32,
    codes: u32,
    /// Envoys that were killed.
    pub killed: Vec<u32>,
    /// When calls in flight may have been cut by what was done to Envoy: from, to.
    pub cuts: Vec<(Instant, Instant)>,
    dir: TempDir,
}

impl World {
    /// Starts everything; `program` is the collector, `outbox` the room that plugins have for their events, bytes.
    pub async fn start(program: &Path, outbox: u64) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("meshmeter-chaos-").tempdir()?;
        let identity = Identity::create(dir.path())?;
        let provider = Provider::brief(Pace::none()).await?;
        let collector = start_collector(program, dir.path(), 1).await?;
        let mut gate = Gate::closed(collector.address())?;
        gate.open()?;
        let mut bootstrap = stack::bootstrap(dir.path(), &identity, provider.address(), gate.address())?;
        let mut plugin = bootstrap.plugin()?;
        plugin["collector"]["timeout_ms"] = json!(TIMEOUT.as_millis() as u64);
        plugin["outbox"]["max_bytes"] = json!(outbox);
        // SIGKILL must take nothing, and the thread that writes the access log may be late.
        plugin["journal"]["log"] = json!(true);
        fs::create_dir(dir.path().join("filter"))?;
        let filter = bootstrap.filter_from(&dir.path().join("filter/filter.json"))?;
        let code = paths::trap_wasm()?;
        write_filter(&dir.path().join("filter/filter.json"), 0, &filter, &configured(&plugin, 0), &code)?;
        let envoy = start_envoy(dir.path(), &bootstrap, 1).await?;
        let program = program.to_owned();
        Ok(Self {
            envoy,
            collector,
            gate,
            provider,
            identity,
            program,
            bootstrap,
            filter,
            plugin,
            code,
            envoys: 1,
            collectors: 1,
            configurations: 0,
            codes: 0,
            killed: Vec::new(),
            cuts: Vec::new(),
            dir,
        })
    }

    /// A file of the experiment.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where to call.
    pub async fn doors(&self) -> Result<Doors> {
        Ok(Doors { plain: self.envoy.listener("llm").await?, mtls: self.envoy.listener("llm_mtls").await? })
    }

    /// A counter of the running Envoy's plugins, as far as they have reported it.
    pub async fn counter(&self, name: &str) -> Result<u64> {
        Ok(self.envoy.metrics().await?.sum(name, &[]))
    }

    /// The same while nothing is under way, with all that was counted before: unchanged for longer than a tick.
    pub async fn counter_at_rest(&self, name: &str) -> Result<u64> {
        let (mut since, mut count) = (Instant::now(), self.counter(name).await?);
        while since.elapsed() < TICK {
            sleep(TICK / 10).await;
            let now = self.counter(name).await?;
            if now != count {
                (since, count) = (Instant::now(), now);
            }
        }
        Ok(count)
    }

    /// Kills the collector.
    pub fn kill_collector(&mut self) -> Result<()> {
        self.collector.kill()
    }

    /// Starts it again, on the same database.
    pub async fn restart_collector(&mut self) -> Result<()> {
        self.collector.quiet();
        self.collectors += 1;
        self.collector = start_collector(&self.program, self.dir.path(), self.collectors).await?;
        self.gate.lead_to(self.collector.address());
        Ok(())
    }

    /// Kills Envoy.
    pub fn kill_envoy(&mut self) -> Result<()> {
        self.killed.push(self.envoys);
        self.envoy.kill()
    }

    /// Tells Envoy to stop, and waits until it has.
    pub fn stop_envoy(&mut self) -> Result<()> {
        self.envoy.stop()
    }

    /// Starts Envoy again.
    pub async fn restart_envoy(&mut self) -> Result<Doors> {
        self.envoy.quiet();
        self.envoys += 1;
        self.envoy = start_envoy(self.dir.path(), &self.bootstrap, self.envoys).await?;
        self.doors().await
    }

    /// Gives the plugin another configuration, and waits until Envoy has taken it.
    pub async fn update_configuration(&mut self) -> Result<()> {
        self.configurations += 1;
        self.update().await
    }

    /// Gives the plugin other code: the same with one more custom section, which is another code to Envoy.
    pub async fn update_code(&mut self) -> Result<()> {
        self.codes += 1;
        let mut code = fs::read(paths::trap_wasm()?)?;
        let name = format!("version {}", self.codes);
        let length = u8::try_from(name.len())?;
        // Section 0: its size, the size of its name, its name, nothing behind it. Sizes below 128 are one byte.
        code.extend_from_slice(&[0, length + 1, length]);
        code.extend_from_slice(name.as_bytes());
        self.code = self.file(&format!("filter/{}.wasm", self.codes));
        fs::write(&self.code, code)?;
        self.update().await
    }

    async fn update(&mut self) -> Result<()> {
        let before = self.updates().await?;
        let plugin = configured(&self.plugin, self.configurations);
        let version = self.configurations + self.codes;
        write_filter(&self.file("filter/filter.json"), version, &self.filter, &plugin, &self.code)?;
        wait::until("Envoy to take the update", || async {
            let now = self.updates().await?;
            wait::ensure(now > before, || format!("{now} updates were taken"))
        })
        .await
    }

    /// How many updates of the plugin Envoy has taken. Each listener takes each of them.
    async fn updates(&self) -> Result<u64> {
        let stats = self.envoy.get("/stats?filter=extension_config_discovery.*config_reload$").await?;
        Ok(stats.lines().filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
    }

    /// Makes a VM trap, at this place of a call of its own; returns whether that call got no response of the provider.
    pub async fn trap(&mut self, place: &str) -> Result<()> {
        let fixture = self.provider.catalogue().get("vllm_stream.sse")?.call();
        let call: Call = fixture.header("x-meshmeter-trap", place);
        let before = self.traps();
        let begun = Instant::now();
        let seen = Line::new(Route::plain(self.doors().await?.plain)).send(&call, usize::MAX).await?;
        wait::ensure(!matches!(&seen, Seen::Whole(response) if response.status < 400), || {
            format!("the plugin did not trap: {seen:?}")
        })?;
        wait::until("the trap in Envoy's log", || async {
            wait::ensure(self.traps() > before, || "it is not there".to_owned())
        })
        .await?;
        self.cuts.push((begun, Instant::now()));
        Ok(())
    }

    fn traps(&self) -> usize {
        self.envoy.log().matches("Function: proxy_on_").count()
    }

    /// Envoy's own logs, by Envoy: they are journals too.
    pub fn logs(&self) -> impl Iterator<Item = (u32, PathBuf)> {
        (1..=self.envoys).map(|number| (number, self.file(&format!("envoy-{number}/envoy.err"))))
    }

    /// Brings what the journals have and the ledger lacks into the ledger.
    pub fn reconcile(&self) -> Result<()> {
        let files: Vec<PathBuf> = self.logs().map(|(_, log)| log).chain([self.file("journal")]).collect();
        let done = self.collector.reconcile(&files)?;
        wait::ensure(done["complete"] == true, || format!("meshmeter reconcile: {done}"))
    }

    /// What `meshmeter gaps` says of all emitters, now that none of them runs.
    pub fn gaps(&self) -> Result<String> {
        self.collector.about("gaps", &["--format", "json", "--all", "--silent-after", "0s"])
    }

    /// Calls charged by tenant and model, as the report has them; the chain must be whole.
    pub fn reported(&self) -> Result<u64> {
        self.collector.about("verify", &[])?;
        Ok(self.collector.report()?.calls())
    }

    /// Stops the collector in order; Envoy has been stopped. What they wrote is kept if something is `wrong`.
    pub fn finish(mut self, wrong: bool) -> Result<()> {
        self.collector.stop()?;
        self.envoy.quiet();
        self.collector.quiet();
        if wrong {
            eprintln!("chaos: logs, journal and ledger are in {}", self.dir.keep().display());
        }
        Ok(())
    }

    /// Certificates for clients.
    pub fn certificate(&self, spiffe: &str) -> Result<Arc<tokio_rustls::rustls::ClientConfig>> {
        self.identity.client(spiffe)
    }
}

/// The `version`th variant of the configuration.
fn configured(plugin: &Value, version: u32) -> String {
    let mut plugin = plugin.clone();
    plugin["batch"] = json!({"max_events": 20 + 15 * (version % 4), "max_age_ms": 100 + 50 * (version % 3)});
    plugin.to_string()
}

async fn start_collector(program: &Path, dir: &Path, number: u32) -> Result<Collector> {
    let logs = dir.join(format!("collector-{number}"));
    fs::create_dir(&logs)?;
    Collector::of(program, &logs, &dir.join("ledger.db")).await
}

async fn start_envoy(dir: &Path, bootstrap: &Bootstrap, number: u32) -> Result<Envoy> {
    let logs = dir.join(format!("envoy-{number}"));
    fs::create_dir(&logs)?;
    let mut envoy = Envoy::with_workers(&logs, bootstrap, Some(INGEST_TOKEN), WORKERS)?;
    envoy.ready().await?;
    Ok(envoy)
}
