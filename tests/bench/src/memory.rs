//! What metering takes of Envoy's memory: for open streams, for each worker, over very many calls; and how large the
//! wasm is.

use std::{fs, io::Write, path::Path, time::Duration};

use e2e::Result;
use flate2::{Compression, write::GzEncoder};
use serde_json::json;

use crate::{World, args::Args, proxy::Proxy, shape};

const KINDS: [&str; 3] = ["none", "read_only", "meshmeter"];
/// How many streams are open; the first are not counted, because they bring what all share.
const STREAMS: (usize, usize) = (1_000, 4_000);
const WORKERS: (u8, u8) = (1, 5);
const TENANTS: usize = 100;

/// Measures and prints.
pub async fn run(args: &Args, world: &World) -> Result<()> {
    println!("| Envoy's resident memory, MiB | none | read_only | meshmeter |\n|---|---|---|---|");
    let (mut streams, mut workers, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for kind in KINDS {
        streams.push(open_streams(args, world, kind).await?);
    }
    row("1,000 open streams of events", &streams);
    for kind in KINDS {
        workers.push(each_worker(world, kind).await?);
    }
    row("each worker", &workers);
    let count = if args.quick { args.calls / 100 } else { args.calls };
    for kind in KINDS {
        calls.push(many_calls(world, kind, count).await?);
    }
    row(&format!("after {} calls", count / 10), &calls.iter().map(|(early, _)| *early).collect::<Vec<_>>());
    row(&format!("after {count} calls"), &calls.iter().map(|(_, late)| *late).collect::<Vec<_>>());
    let (plain, gzip) = size(&e2e::paths::wasm()?)?;
    println!("\nfilter.wasm: {plain} bytes, {gzip} gzipped");
    let of = |figures: &[f64]| -> serde_json::Value {
        KINDS
            .iter()
            .zip(figures)
            .map(|(kind, mib)| ((*kind).to_owned(), json!((mib * 100.0).round() / 100.0)))
            .collect()
    };
    let result = json!({
        "open_streams_1000_mib": of(&streams),
        "worker_mib": of(&workers),
        "early_mib": of(&calls.iter().map(|(early, _)| *early).collect::<Vec<_>>()),
        "late_mib": of(&calls.iter().map(|(_, late)| *late).collect::<Vec<_>>()),
        "calls": count,
        "wasm_bytes": plain,
        "wasm_gzip_bytes": gzip,
    });
    println!("{result}");
    Ok(())
}

fn row(what: &str, figures: &[f64]) {
    let cells: Vec<String> = figures.iter().map(|mib| format!("{mib:.1}")).collect();
    println!("| {what} | {} |", cells.join(" | "));
}

/// What another thousand open streams take, each of which is in the middle of its response.
async fn open_streams(args: &Args, world: &World, kind: &str) -> Result<f64> {
    let shape = shape::stream("held", "", 200);
    world.provider.add(&shape.name, shape.endless(Duration::from_millis(500)));
    let mut proxy = Proxy::start(world.kind(kind)?, &world.shipped).await?;
    let (few, many) = if args.quick { (100, 1_000) } else { STREAMS };
    let mut first = proxy.hold(&shape, few).await?;
    first.run(Duration::from_secs(3)).await?;
    let before = resident(&proxy)?;
    let mut rest = proxy.hold(&shape, many - few).await?;
    rest.run(Duration::from_secs(5)).await?;
    let after = resident(&proxy)?;
    drop((first, rest));
    proxy.finish().await?;
    Ok((after - before) * 1_000.0 / (many - few) as f64)
}

/// What another worker takes, each of which has had calls.
async fn each_worker(world: &World, kind: &str) -> Result<f64> {
    let shape = shape::chat("workers", "", 1_000);
    world.provider.add(&shape.name, shape.response());
    let mut taken = Vec::new();
    for workers in [WORKERS.0, WORKERS.1] {
        let mut proxy = Proxy::with(world.kind(kind)?, &world.shipped, workers, 64).await?;
        proxy.load(&shape, 64, 50, TENANTS).await?;
        taken.push(resident(&proxy)?);
        proxy.finish().await?;
    }
    Ok((taken[1] - taken[0]) / f64::from(WORKERS.1 - WORKERS.0))
}

/// After a tenth of the calls, and after all.
async fn many_calls(world: &World, kind: &str, count: usize) -> Result<(f64, f64)> {
    let shape = shape::chat("calls", "", 1_000);
    world.provider.add(&shape.name, shape.response());
    let mut proxy = Proxy::start(world.kind(kind)?, &world.shipped).await?;
    let mut early = 0.0;
    for tenth in 1..=10 {
        proxy.load(&shape, 16, count / 160, TENANTS).await?;
        proxy.settle().await?;
        let now = resident(&proxy)?;
        eprintln!("{kind}: {} calls, {now:.1} MiB", tenth * count / 10);
        if tenth == 1 {
            early = now;
        }
    }
    let late = resident(&proxy)?;
    proxy.finish().await?;
    Ok((early, late))
}

/// MiB.
fn resident(proxy: &Proxy) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", proxy.envoy.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no resident memory")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

/// As it is, and gzipped.
fn size(wasm: &Path) -> Result<(usize, usize)> {
    let bytes = fs::read(wasm)?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    Ok((bytes.len(), encoder.finish()?.len()))
}
