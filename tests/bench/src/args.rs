//! The command line.

use std::path::PathBuf;

use e2e::Result;

use crate::{kind::Kind, shape::Shape};

const HELP: &str = "\
What metering costs in Envoy: CPU time per call and latency, beside what else could do it.

usage: bench [OPTIONS]          every kind by every shape
       bench growth [OPTIONS]   cost against body size, events, tenants, open streams, queued events
       bench memory [OPTIONS]   per open stream, per worker, after many calls; size of the wasm

  --shapes A,B   only these: json_1k json_1m embeddings sse_paced sse_fast gzip
                 growth: body_bytes events tenants open_streams queued_events
  --kinds A,B    only these: none read_only meshmeter ai_protocol_manager json_to_metadata sse_to_metadata
                 lua buffered_serde; a difference is taken from `none`
  --rounds N     how often each kind takes its turn (12; growth: 5)
  --quick        3 rounds, of a third of the calls; growth and memory without the largest
  --calls N      memory: after so many calls (1000000)
  --also NAME=FILE
                 one more kind: meshmeter with another filter.wasm, to compare two builds; may be repeated
  --chart FILE   draws the chart there (docs/bench.svg and docs/growth.svg, if all was measured)
  --verbose      shows each round: CPU per call, and in brackets how long a call waited for a core that others had
  --help

MESHMETER_WASM names the filter under test, MESHMETER_ENVOY the Envoy.
Every kind is an Envoy of its own with one worker, pinned to the first core; load and provider are on the second.
CPU is that of the whole process per call, with all it does later for it (meshmeter: sending the event), less what an
Envoy without filters uses in that time when nobody calls. Latency is that of calls one after the other; of sse_paced it
is that of each event, from the provider's write to the client. Figures are means over the third of the rounds in which
the rest of the machine disturbed least (by how long Envoy and the load waited for their cores). The last line is the
result as JSON.";

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Every kind by every shape.
    Compare,
    /// Cost against size and number.
    Growth,
    /// Memory.
    Memory,
}

/// What was asked for.
pub struct Args {
    /// How often each kind takes its turn.
    pub rounds: usize,
    /// Further builds of the filter, by their names.
    pub also: Vec<(String, PathBuf)>,
    /// Whether every round is shown.
    pub verbose: bool,
    /// Whether little is enough.
    pub quick: bool,
    /// What is measured.
    pub what: What,
    /// Calls before memory is looked at again.
    pub calls: usize,
    chart: Option<PathBuf>,
    shapes: Option<Vec<String>>,
    kinds: Option<Vec<String>>,
}

impl Args {
    /// Reads them; `None`: help was asked for and given.
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let mut parsed = Self {
            rounds: 0,
            also: Vec::new(),
            verbose: false,
            quick: false,
            what: What::Compare,
            calls: 1_000_000,
            chart: None,
            shapes: None,
            kinds: None,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            let list = |text: String| Some(text.split(',').map(str::to_owned).collect());
            match arg.as_str() {
                "growth" => parsed.what = What::Growth,
                "memory" => parsed.what = What::Memory,
                "--calls" => parsed.calls = value()?.parse().map_err(|_| "--calls: a number")?,
                "--shapes" => parsed.shapes = list(value()?),
                "--kinds" => parsed.kinds = list(value()?),
                "--rounds" => parsed.rounds = value()?.parse().map_err(|_| "--rounds: a number from 1")?,
                "--quick" => parsed.quick = true,
                "--chart" => parsed.chart = Some(value()?.into()),
                "--verbose" => parsed.verbose = true,
                "--also" => {
                    let value = value()?;
                    let (name, file) = value.split_once('=').ok_or("--also: NAME=FILE")?;
                    parsed.also.push((name.to_owned(), file.into()));
                }
                "--help" | "-h" => {
                    println!("{HELP}");
                    return Ok(None);
                }
                other => return Err(format!("{other} is no option; see --help").into()),
            }
        }
        if parsed.rounds == 0 {
            parsed.rounds = match parsed.what {
                _ if parsed.quick => 3,
                What::Growth => 5,
                _ => 12,
            };
        }
        Ok(Some(parsed))
    }

    /// Where the chart goes.
    pub fn chart(&self) -> Option<PathBuf> {
        let file = if self.what == What::Growth { "docs/growth.svg" } else { "docs/bench.svg" };
        let whole = !self.quick && self.shapes.is_none() && self.kinds.is_none() && self.also.is_empty();
        self.chart.clone().or_else(|| whole.then(|| e2e::paths::workspace().join(file)))
    }

    /// The part of its calls that a shape makes in a round.
    pub fn share(&self) -> f64 {
        if self.quick { 0.34 } else { 1.0 }
    }

    /// Whether a part of the growth is asked for.
    pub fn wants(&self, part: &str) -> bool {
        self.shapes.as_ref().is_none_or(|shapes| shapes.iter().any(|shape| shape == part))
    }

    /// The shapes asked for.
    pub fn choose_shapes(&self, all: Vec<Shape>) -> Result<Vec<Shape>> {
        choose(all, |shape| &shape.name, self.shapes.as_deref())
    }

    /// The kinds asked for, and the further builds in any case.
    pub fn choose_kinds(&self, all: Vec<Kind>) -> Result<Vec<Kind>> {
        let kinds = self.kinds.clone().map(|kinds| {
            let also = self.also.iter().map(|(name, _)| name.clone());
            kinds.into_iter().chain(also).collect::<Vec<_>>()
        });
        choose(all, |kind| &kind.name, kinds.as_deref())
    }
}

fn choose<T>(all: Vec<T>, name: fn(&T) -> &String, wanted: Option<&[String]>) -> Result<Vec<T>> {
    let Some(wanted) = wanted else { return Ok(all) };
    let names: Vec<String> = all.iter().map(|one| name(one).clone()).collect();
    if let Some(unknown) = wanted.iter().find(|wanted| !names.contains(wanted)) {
        return Err(format!("there is no {unknown}; there are {}", names.join(", ")).into());
    }
    Ok(all.into_iter().filter(|one| wanted.contains(name(one))).collect())
}
