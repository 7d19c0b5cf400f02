//! Envoy's metrics. What counts up is told to Envoy once a tick: a call counts some eight times, and each telling is a
//! call into the host.

use meter::telemetry::{self, Registry};

use crate::host;
use crate::stat_name::stat_name;

/// The metrics that this VM has defined; its ids are places in here.
#[derive(Debug, Default)]
pub struct Metrics {
    known: Vec<Metric>,
    /// Those with something to tell.
    changed: Vec<u32>,
    /// There will be no tick any more.
    at_once: bool,
}

#[derive(Debug)]
struct Metric {
    /// Envoy's id.
    id: u32,
    untold: i64,
}

impl Metrics {
    /// Tells Envoy what was counted.
    pub fn tell(&mut self) {
        for place in self.changed.drain(..) {
            if let Some(metric) = usize::try_from(place).ok().and_then(|place| self.known.get_mut(place)) {
                host::increment_metric(metric.id, std::mem::take(&mut metric.untold));
            }
        }
    }

    /// Tells Envoy what was counted, and from now on without waiting.
    pub fn tell_at_once(&mut self) {
        self.at_once = true;
        self.tell();
    }

    fn get(&mut self, place: u32) -> Option<&mut Metric> {
        self.known.get_mut(usize::try_from(place).ok()?)
    }
}

impl Registry for Metrics {
    fn define(&mut self, metric: telemetry::Metric, values: &[&str]) -> Option<u32> {
        let id = host::define_metric(metric.spec().kind, &stat_name(metric, values))?;
        let place = u32::try_from(self.known.len()).ok()?;
        self.known.push(Metric { id, untold: 0 });
        Some(place)
    }

    fn add(&mut self, place: u32, amount: i64) {
        let Some(metric) = self.get(place) else { return };
        let is_new = metric.untold == 0;
        metric.untold = metric.untold.saturating_add(amount);
        if is_new {
            self.changed.push(place);
        }
        if self.at_once {
            self.tell();
        }
    }

    fn record(&mut self, place: u32, value: u64) {
        if let Some(metric) = self.get(place) {
            host::record_metric(metric.id, value);
        }
    }
}
