//! `meshmeter doctor`: looks at running Envoys and a collector, and says what is wrong and what to do about it.
//!
//! [`look`] reads pages, within bounds of size and time; an [`Observation`] is what was seen; [`diagnose`] judges it and reads
//! nothing. Everything that is read is another program's, perhaps not the one that was meant.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use call::{Call, Sent};
use collector::{Collector, Target};
use envoy::Envoy;
use finding::Unseen;

use crate::fetch::Fetcher;

pub mod call;
mod checks;
pub mod code;
pub mod collector;
pub mod envoy;
pub mod finding;
pub mod print;

pub use checks::diagnose;

/// The plugin's workers tell Envoy four times a second what they have counted: what the collector has counted at first, Envoy has
/// after this.
const LAG: Duration = Duration::from_millis(500);

/// What to look at.
#[derive(Debug)]
pub struct Options {
    /// The URLs of Envoys' admin listeners, without a slash at the end.
    pub envoys: Vec<String>,
    /// The collector.
    pub collector: Option<Target>,
    /// A configuration of the plugin: its name and its text.
    pub file: Option<(String, Vec<u8>)>,
    /// A call to make.
    pub call: Option<Call>,
    /// Who reads Envoy's pages, and makes the call.
    pub fetcher: Fetcher,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Observation {
    /// The Envoys, by URL.
    pub envoys: BTreeMap<String, Result<Envoy, Unseen>>,
    /// The collector, with its URL.
    pub collector: Option<(String, Result<Collector, Unseen>)>,
    /// A configuration of the plugin: its name and its text.
    pub file: Option<(String, Vec<u8>)>,
    /// The test call.
    pub call: Option<Sent>,
}

impl Observation {
    /// Whether something that was to be looked at could not be.
    pub fn is_incomplete(&self) -> bool {
        self.envoys.values().any(Result::is_err) || self.collector.as_ref().is_some_and(|(_, seen)| seen.is_err())
    }
}

/// Looks at everything twice, some seconds apart; a test call is made in between.
pub fn look(options: Options) -> Observation {
    let Options { envoys, collector, file, call, fetcher } = options;
    let url = collector.as_ref().map(|target| target.url.clone());
    let failed = || Unseen::Other("the examination failed".to_owned());
    thread::scope(|scope| {
        let fetcher = &fetcher;
        let seen: Vec<_> = envoys
            .into_iter()
            .map(|url| (url.clone(), scope.spawn(move || envoy::Look::begin(&url, fetcher))))
            .collect();
        // Before the collector is read: what is asked of one that was taken for an Envoy, it refuses and counts.
        let seen: Vec<_> =
            seen.into_iter().map(|(url, look)| (url, look.join().unwrap_or_else(|_| Err(failed())))).collect();
        let collector = collector.map(collector::Look::begin);
        if collector.as_ref().is_some_and(Result::is_ok) && seen.iter().any(|(_, look)| look.is_ok()) {
            thread::sleep(LAG);
        }
        let begun: Vec<_> =
            seen.into_iter().map(|(url, look)| (url, look.map(|look| scope.spawn(move || look.read())))).collect();
        let begun: Vec<_> = begun
            .into_iter()
            .map(|(url, look)| (url, look.and_then(|look| look.join().map_err(|_| failed()))))
            .collect();
        let call = call.map(|call| call.send(fetcher));
        if begun.is_empty() && collector.as_ref().is_some_and(Result::is_ok) {
            thread::sleep(envoy::DISTANCE);
        }
        let ending: Vec<_> =
            begun.into_iter().map(|(url, look)| (url, look.map(|look| scope.spawn(move || look.end())))).collect();
        let envoys = ending
            .into_iter()
            .map(|(url, look)| (url, look.and_then(|look| look.join().map_err(|_| failed()))))
            .collect();
        let collector = url.zip(collector.map(|look| look.map(collector::Look::end)));
        Observation { envoys, collector, file, call }
    })
}
