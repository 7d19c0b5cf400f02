//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum, builder::RangedU64ValueParser};
use e2e::Result;

use crate::{kind::Kind, shape::Shape};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Every kind by every shape.
    #[value(skip)]
    Compare,
    /// Cost against body size, events, tenants, open streams, queued events.
    Growth,
    /// Memory per open stream, per worker, after many calls; size of the wasm.
    Memory,
}

/// What metering costs in Envoy: CPU time per call and latency, beside what else could do it. Without a word every kind is
/// measured by every shape.
///
/// Every kind is an Envoy of its own with one worker, pinned to the first core; load and provider are on the second. CPU is that
/// of the whole process per call, with all it does later for it (meshmeter: sending the event), less what an Envoy without
/// filters uses in that time when nobody calls. Latency is that of calls one after the other; of sse_paced it is that of each
/// event, from the provider's write to the client. Figures are means over the third of the rounds in which the rest of the
/// machine disturbed least (by how long Envoy and the load waited for their cores). The last line is the result as JSON.
#[derive(Parser)]
#[command(
    name = "bench",
    bin_name = "just bench",
    after_help = "Environment: MESHMETER_WASM names the filter under test, MESHMETER_ENVOY the Envoy."
)]
pub struct Args {
    #[arg(value_enum)]
    what: Option<What>,
    /// Only these: json_1k json_1m embeddings sse_paced sse_fast gzip; growth: body_bytes events tenants open_streams
    /// queued_events.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    shapes: Option<Vec<String>>,
    /// Only these: none read_only meshmeter meshmeter_budgets ai_protocol_manager json_to_metadata sse_to_metadata lua buffered_serde; a difference
    /// is taken from `none`.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    kinds: Option<Vec<String>>,
    /// How often each kind takes its turn; 12, for growth 5 by default.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    rounds: Option<usize>,
    /// 3 rounds, of a third of the calls; growth and memory without the largest.
    #[arg(long)]
    pub quick: bool,
    /// Memory: after so many calls.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub calls: usize,
    /// One more kind: meshmeter with another filter.wasm, to compare two builds; may be repeated.
    #[arg(long, value_name = "NAME=FILE", value_parser = build)]
    pub also: Vec<(String, PathBuf)>,
    /// Draws the chart there (docs/bench.svg and docs/growth.svg, if all was measured).
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
    /// Shows each round: CPU per call, and in brackets how long a call waited for a core that others had.
    #[arg(long)]
    pub verbose: bool,
}

/// Another build of the filter and its name.
fn build(text: &str) -> std::result::Result<(String, PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or("must be NAME=FILE")?;
    Ok((name.to_owned(), file.into()))
}

impl Args {
    /// What is measured.
    pub fn what(&self) -> What {
        self.what.unwrap_or(What::Compare)
    }

    /// How often each kind takes its turn.
    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(match self.what() {
            _ if self.quick => 3,
            What::Growth => 5,
            _ => 12,
        })
    }

    /// Where the chart goes.
    pub fn chart(&self) -> Option<PathBuf> {
        let file = if self.what() == What::Growth { "docs/growth.svg" } else { "docs/bench.svg" };
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
