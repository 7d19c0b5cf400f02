//! One measurement, and what many of them say: those count that the rest of the machine disturbed least.

use std::time::{Duration, Instant};

use e2e::{Result, process::Cpu};

use crate::{kind::Found, proxy::Proxy, server::Server, shape::Shape};

/// What was measured of a kind and a shape in one round, or of all rounds together; µs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// CPU time of Envoy per call.
    pub cpu: f64,
    /// What the client waits: for the response, or in a paced stream for each event since it was written.
    pub p50: f64,
    /// The same of the slowest hundredth.
    pub p99: f64,
    /// Until the first byte of the body.
    pub first: f64,
    /// How long Envoy and the load were ready to run while something else had their core, per call.
    pub disturbed: f64,
}

/// Measures once.
pub async fn measure(proxy: &mut Proxy, shape: &Shape, provider: &Server, share: f64) -> Result<Figures> {
    let mut waited = Vec::new();
    let mut first = Vec::new();
    let part = |times: usize| ((times as f64 * share).round() as usize).max(1);
    if !shape.is_paced() {
        let calls = proxy.load(shape, 1, part(shape.alone), 1).await?;
        waited.extend(calls.iter().flatten().map(|seen| seen.whole));
        first.extend(calls.iter().flatten().map(|seen| seen.first));
        proxy.settle().await?;
    }
    let times = part(shape.calls);
    let meter = Meter::start(proxy)?;
    let calls = proxy.load(shape, shape.connections, times, 1).await?;
    proxy.settle().await?;
    let cpu = meter.stop(proxy, shape.connections * times)?;
    if shape.is_paced() {
        for (number, calls) in calls.iter().enumerate() {
            first.extend(calls.iter().map(|seen| seen.first));
            let Some(last) = calls.last() else { continue };
            let written = provider.written(number);
            if written.len() != last.events.len() {
                return Err(format!("{} of {} events arrived", last.events.len(), written.len()).into());
            }
            waited.extend(last.events.iter().zip(written).map(|(there, written)| there.duration_since(written)));
        }
    }
    let (waited, first) = (sorted(waited), sorted(first));
    Ok(Figures { p50: part_of(&waited, 0.5), p99: part_of(&waited, 0.99), first: part_of(&first, 0.5), ..cpu })
}

/// Looks what an Envoy without filters uses while it has nothing to do. It is no part of a call, and is taken off: a turn lasts
/// longer where events wait for their batch.
pub async fn rest(proxies: &mut [Proxy]) -> Result<()> {
    let Some(none) = proxies.iter().find(|proxy| proxy.kind.found == Found::Nothing) else { return Ok(()) };
    let (began, before) = (Instant::now(), none.envoy.cpu()?);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let at_rest = none.envoy.cpu()?.since(before).used.div_duration_f64(began.elapsed());
    for proxy in proxies {
        proxy.at_rest = at_rest;
    }
    Ok(())
}

/// A measurement that has begun, and what the scheduler said then.
pub struct Meter {
    began: Instant,
    envoy: Cpu,
    own: Cpu,
}

impl Meter {
    /// Begins.
    pub fn start(proxy: &Proxy) -> Result<Self> {
        Ok(Self { began: Instant::now(), envoy: proxy.envoy.cpu()?, own: Cpu::own()? })
    }

    /// Ends: the CPU time for each of so many.
    pub fn stop(self, proxy: &Proxy, count: usize) -> Result<Figures> {
        let (envoy, own) = (proxy.envoy.cpu()?.since(self.envoy), Cpu::own()?.since(self.own));
        let each = |time: Duration| micros(time) / count.max(1) as f64;
        let used = envoy.used.saturating_sub(self.began.elapsed().mul_f64(proxy.at_rest));
        Ok(Figures { cpu: each(used), disturbed: each(envoy.waited + own.waited), ..Figures::default() })
    }
}

/// The third of the rounds in which the rest of the machine disturbed the kinds least; the same for all, because the
/// kinds of a round are compared with each other.
pub fn calmest(kinds: &[&[Figures]]) -> Vec<usize> {
    let count = kinds.iter().map(|rounds| rounds.len()).min().unwrap_or(0);
    let disturbed =
        |round: &usize| kinds.iter().map(|rounds| rounds[*round].disturbed / rounds[*round].cpu).sum::<f64>();
    let mut rounds: Vec<usize> = (0..count).collect();
    rounds.sort_by(|one, other| disturbed(one).total_cmp(&disturbed(other)));
    rounds.truncate(count.div_ceil(3));
    rounds
}

/// The mean of these rounds.
pub fn mean(rounds: &[Figures], calm: &[usize]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| {
        calm.iter().filter_map(|round| rounds.get(*round)).map(figure).sum::<f64>() / calm.len() as f64
    };
    Figures {
        cpu: of(|one| one.cpu),
        p50: of(|one| one.p50),
        p99: of(|one| one.p99),
        first: of(|one| one.first),
        disturbed: of(|one| one.disturbed),
    }
}

/// µs.
pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn sorted(times: Vec<Duration>) -> Vec<f64> {
    let mut all: Vec<f64> = times.into_iter().map(micros).collect();
    all.sort_by(f64::total_cmp);
    all
}

fn part_of(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
}
