//! One experiment: traffic, one fault after the other, and what is there in the end.

use std::{
    fmt,
    time::{Duration, Instant},
};

use e2e::{
    Result,
    gate::{Mode, Passage},
    wait,
};
use tokio::time::sleep;

use crate::{
    account::{Account, Evidence},
    fault::Fault,
    holes, show,
    traffic::{FIXTURES, Traffic},
    world::{WORKERS, World},
};

/// What to do.
pub struct Plan {
    pub calls: u64,
    pub seed: u64,
    pub faults: Vec<Fault>,
    pub without: Option<Without>,
}

/// What a control run leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Without {
    /// The collector recognises no event again: it must charge calls twice.
    Deduplication,
    /// Nothing comes from the journal: calls must be lost, and it must be known which.
    Journal,
}

impl fmt::Display for Without {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Without::Deduplication => "deduplication",
            Without::Journal => "the journal",
        })
    }
}

/// So many portions of the traffic a fault takes: the outbox must have something to fill it.
fn weight(fault: Fault) -> u64 {
    if fault == Fault::OutboxFull { 6 } else { 1 }
}

/// Room for what four portions leave at a worker, but not for six: events have some 900 bytes.
fn outbox(portion: u64) -> u64 {
    (portion * 4 * 900 / u64::from(WORKERS)).clamp(65_536, 8 << 20)
}

/// Runs the experiment to its end, and compares.
pub async fn run(plan: &Plan) -> Result<Account> {
    let program = match plan.without {
        Some(Without::Deduplication) => e2e::paths::forgetful_collector()?,
        _ => e2e::paths::collector()?,
    };
    let weights: u64 = plan.faults.iter().map(|fault| weight(*fault)).sum();
    let portion = (plan.calls / (weights + 2)).max(1);
    let mut world = World::start(&program, outbox(portion)).await?;
    let fixtures = FIXTURES.iter().map(|name| world.provider.catalogue().get(name).cloned()).collect::<Result<_>>()?;
    let mut traffic = Traffic::start(plan.calls, plan.seed, fixtures, |spiffe| world.certificate(spiffe))?;
    traffic.call_at(Some(world.doors().await?));
    let begun = Instant::now();
    let to = traffic.release(portion);
    traffic.reaches(to).await?;
    for (number, fault) in plan.faults.iter().enumerate() {
        show::progress(&traffic, begun, &format!("{} of {}: {fault}", number + 1, plan.faults.len()));
        let portion = portion * weight(*fault);
        let rest = portion - portion / 2;
        let listens = plan.without == Some(Without::Journal);
        let mut experiment = Experiment { world: &mut world, traffic: &mut traffic, portion, rest, listens };
        experiment.suffer(*fault).await.map_err(|error| format!("{fault}: {error}"))?;
    }
    let attempts = traffic.finish().await?;
    let took = begun.elapsed();
    show::note(&format!("{} calls in {:.0} s; the outboxes empty themselves", plan.calls, took.as_secs_f64()));
    settled(&world).await?;
    world.stop_envoy()?;
    let evidence = Evidence::collect(&world, attempts, plan.without).await?;
    let account = Account::of(&evidence, &world, plan.without)?;
    world.finish(account.is_wrong(plan.without))?;
    Ok(account)
}

/// Waits until nothing comes any more from the plugins. What a VM that trapped held never comes, and that is no fault:
/// the journal has it.
async fn settled(world: &World) -> Result<()> {
    const QUIET: Duration = Duration::from_secs(2);
    let (mut passed, mut since, begun) = (world.gate.passed(), Instant::now(), Instant::now());
    while since.elapsed() < QUIET && begun.elapsed() < wait::PATIENCE {
        sleep(Duration::from_millis(50)).await;
        if world.gate.passed() > passed {
            (passed, since) = (world.gate.passed(), Instant::now());
        }
    }
    Ok(())
}

struct Experiment<'a> {
    world: &'a mut World,
    traffic: &'a mut Traffic,
    portion: u64,
    /// What of it is not let go yet.
    rest: u64,
    /// Nobody may die of whom the collector has not heard.
    listens: bool,
}

impl Experiment<'_> {
    /// Lets a portion of the traffic meet a fault.
    async fn suffer(&mut self, fault: Fault) -> Result<()> {
        let passed = self.world.gate.passed();
        if let Fault::Collector(mode) = fault {
            self.world.gate.set(mode);
        }
        let half = self.traffic.release(self.portion / 2);
        match fault {
            Fault::Collector(mode) => {
                self.traffic.reaches(half).await?;
                self.met(passed, |passage| passage.mode == mode).await?;
                self.world.gate.set(Mode::Pass);
            }
            Fault::CollectorKilled => {
                self.traffic.reaches(half).await?;
                self.world.kill_collector()?;
                self.let_go();
                self.met(passed, |passage| passage.mode == Mode::Pass && passage.response.is_empty()).await?;
                self.world.restart_collector().await?;
            }
            Fault::OutboxFull => self.fill().await?,
            Fault::Configuration => {
                self.let_go();
                self.world.update_configuration().await?;
            }
            Fault::Code => {
                self.let_go();
                self.world.update_code().await?;
            }
            Fault::Trap(place) => {
                self.approach(half).await?;
                self.world.trap(place).await?;
            }
            Fault::EnvoyTerminated | Fault::EnvoyKilled => {
                self.approach(half).await?;
                self.end_envoy(fault).await?;
            }
        }
        let to = self.let_go();
        self.traffic.reaches(to).await
    }

    /// Lets the rest of the portion go; returns how many went so far.
    fn let_go(&mut self) -> u64 {
        self.traffic.release(std::mem::take(&mut self.rest))
    }

    /// Waits until a call to the collector has met the fault: one that met nothing proves nothing.
    async fn met(&self, since: usize, by: impl Fn(&Passage) -> bool) -> Result<()> {
        wait::until("a call to the collector that meets it", || async {
            wait::ensure(self.world.gate.since(since).iter().any(&by), || "there was none".to_owned())
        })
        .await
    }

    async fn fill(&mut self) -> Result<()> {
        const DROPPED: &str = "meshmeter_events_dropped_total";
        let before = self.world.counter_at_rest(DROPPED).await?;
        self.world.gate.set(Mode::Respond(503));
        let to = self.let_go();
        loop {
            let (done, dropped) = (self.traffic.done(), self.world.counter(DROPPED).await?);
            // It counts anew when the plugin of an earlier code has gone.
            if dropped != before && dropped > 0 {
                break;
            }
            wait::ensure(done < to, || format!("none of {} calls was dropped", self.portion))?;
            self.traffic.reaches((done + 1).min(to)).await?;
        }
        self.world.gate.set(Mode::Pass);
        Ok(())
    }

    /// Brings half of the portion to its end, and the other half on its way.
    async fn approach(&mut self, half: u64) -> Result<()> {
        self.traffic.reaches(half).await?;
        if self.listens {
            holes::heard(self.world).await?;
        }
        self.let_go();
        sleep(Duration::from_millis(5)).await;
        // Somebody new may have come with it.
        if self.listens { holes::heard(self.world).await } else { Ok(()) }
    }

    async fn end_envoy(&mut self, fault: Fault) -> Result<()> {
        let begun = Instant::now();
        if fault == Fault::EnvoyKilled {
            self.world.kill_envoy()?
        } else {
            self.world.stop_envoy()?
        }
        self.traffic.call_at(None);
        let doors = self.world.restart_envoy().await?;
        self.world.cuts.push((begun, Instant::now()));
        self.traffic.call_at(Some(doors));
        Ok(())
    }
}
