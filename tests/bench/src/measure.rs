//! One measurement, and what many of them say: of each figure the quarter that was least disturbed.

use std::time::Duration;

use e2e::Result;

use crate::{proxy::Proxy, server::Server, shape::Shape};

/// What was measured of a kind and a shape in one round, or of all rounds together; µs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// CPU time of Envoy per call.
    pub cpu: f64,
    /// What the client waits: for the answer, or in a paced stream for each event since it was written.
    pub p50: f64,
    /// The same of the slowest hundredth.
    pub p99: f64,
    /// Until the first byte of the body.
    pub first: f64,
}

/// Measures once.
pub async fn measure(proxy: &mut Proxy, shape: &Shape, provider: &Server, share: f64) -> Result<Figures> {
    let mut waited = Vec::new();
    let mut first = Vec::new();
    let part = |times: usize| ((times as f64 * share).round() as usize).max(1);
    if shape.alone > 0 {
        let calls = proxy.load(shape, 1, part(shape.alone), tenant).await?;
        waited.extend(calls.iter().flatten().map(|seen| seen.whole));
        first.extend(calls.iter().flatten().map(|seen| seen.first));
        proxy.settle().await?;
    }
    let times = part(shape.calls);
    let before = proxy.envoy.cpu()?;
    let calls = proxy.load(shape, shape.connections, times, tenant).await?;
    proxy.settle().await?;
    let used = proxy.envoy.cpu()?.saturating_sub(before);
    if shape.alone == 0 {
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
    let cpu = micros(used) / (shape.connections * times) as f64;
    let (waited, first) = (sorted(waited), sorted(first));
    Ok(Figures { cpu, p50: part_of(&waited, 0.5), p99: part_of(&waited, 0.99), first: part_of(&first, 0.5) })
}

/// The lower quartile of each figure over the rounds: what disturbs a machine only ever adds.
pub fn least_disturbed(rounds: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        part_of(&all, 0.25)
    };
    Figures { cpu: of(|one| one.cpu), p50: of(|one| one.p50), p99: of(|one| one.p99), first: of(|one| one.first) }
}

/// µs.
pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn tenant(_: usize) -> String {
    "acme/search".to_owned()
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
