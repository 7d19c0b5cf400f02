//! How the cost grows: with the body, the events of a stream, the tenants, the open streams, and the events that wait
//! for a collector which is down. What may grow in proportion must do so; what must not grow is flat.

use std::{fs, time::Duration};

use e2e::{Result, bootstrap::Bootstrap, wait};
use serde_json::{Map, Value, json};

use crate::{
    World,
    args::Args,
    kind,
    measure::{Figures, Meter, calmest, mean, rest},
    plot::{self, Panel},
    proxy::Proxy,
    server::Response,
    shape::{self, Shape},
};

/// Events a second, of all open streams together.
const RATE: f64 = 8_000.0;
/// What 100,000 events fit into; by default 8,000 may wait.
const OUTBOX: u64 = 268_435_456;

/// Measures, prints and draws.
pub async fn run(args: &Args, world: &World) -> Result<()> {
    let mut shipped = world.shipped.clone();
    let mut plugin = shipped.plugin()?;
    plugin["outbox"] = json!({"max_bytes": OUTBOX});
    shipped.set_plugin(&plugin.to_string());
    let mut proxies = Vec::new();
    for kind in [world.kind("none")?, world.kind("read_only")?, kind::meter(&shipped)?] {
        proxies.push(Proxy::start(kind, &shipped).await?);
    }
    rest(&mut proxies).await?;
    let mut panels = Vec::new();
    for name in ["body_bytes", "events", "tenants", "open_streams", "queued_events"] {
        if args.wants(name) {
            panels.push(match name {
                "body_bytes" => bodies(args, world, &mut proxies).await?,
                "events" => events(args, world, &mut proxies).await?,
                "tenants" => tenants(args, world, &mut proxies).await?,
                "open_streams" => streams(args, world, &mut proxies).await?,
                _ => queue(args, world, &shipped).await?,
            });
        }
    }
    for proxy in proxies {
        proxy.finish().await?;
    }
    let mut result = Map::new();
    for panel in &panels {
        panel.print();
        let points = panel.points.iter().map(|(at, kinds)| {
            let kinds: Map<String, Value> =
                kinds.iter().map(|(kind, added)| (kind.clone(), json!((added * 10.0).round() / 10.0))).collect();
            (at.to_string(), kinds.into())
        });
        result.insert(panel.name.to_owned(), Value::Object(points.collect()));
    }
    if let Some(chart) = args.chart() {
        fs::create_dir_all(chart.parent().ok_or("--chart: a file")?)?;
        fs::write(&chart, plot::draw(&panels))?;
        println!("the plot is {}", chart.display());
    }
    println!("{}", Value::Object(result));
    Ok(())
}

/// As far as is asked for.
fn steps(args: &Args, all: &[usize]) -> Vec<usize> {
    let last = if args.quick { all.len().saturating_sub(2) } else { all.len() };
    all.iter().copied().take(last).collect()
}

async fn bodies(args: &Args, world: &World, proxies: &mut [Proxy]) -> Result<Panel> {
    let mut panel = Panel::new("body_bytes", "bytes of body", "µs a call", true);
    for bytes in steps(args, &[1_000, 10_000, 100_000, 1_000_000, 10_000_000]) {
        let shape = shape::chat(&format!("body_{bytes}"), "", bytes);
        let times = (40_000_000 / (bytes + 40_000)).clamp(4, 500) / 4;
        calls(args, world, proxies, &mut panel, &shape, bytes, times.max(1)).await?;
    }
    Ok(panel)
}

async fn events(args: &Args, world: &World, proxies: &mut [Proxy]) -> Result<Panel> {
    let mut panel = Panel::new("events", "events of a stream", "µs a call", true);
    for events in steps(args, &[10, 100, 1_000, 10_000]) {
        let shape = shape::stream(&format!("events_{events}"), "", events);
        let times = (100_000 / (events + 40)).clamp(4, 600) / 4;
        calls(args, world, proxies, &mut panel, &shape, events, times.max(1)).await?;
    }
    Ok(panel)
}

/// Calls of one shape over four connections.
async fn calls(
    args: &Args,
    world: &World,
    proxies: &mut [Proxy],
    panel: &mut Panel,
    shape: &Shape,
    at: usize,
    times: usize,
) -> Result<()> {
    // In one write: otherwise who is slower reads more events at once, and has less to do.
    let response = shape.response();
    world.provider.add(&shape.name, Response { pieces: vec![response.pieces.concat()], ..response });
    for proxy in &mut *proxies {
        proxy.prove(shape).await?;
    }
    let figures = turns(args, proxies, async |proxy: &mut Proxy| load(proxy, shape, 4, times, 1).await).await?;
    panel.add(at, proxies, &figures);
    Ok(())
}

async fn tenants(args: &Args, world: &World, proxies: &mut [Proxy]) -> Result<Panel> {
    let mut panel = Panel::new("tenants", "tenants", "µs a call", false);
    let shape = shape::chat("tenants", "", 1_000);
    world.provider.add(&shape.name, shape.response());
    for tenants in steps(args, &[1, 10, 100, 1_000, 10_000, 100_000]) {
        for proxy in &mut *proxies {
            // Each was there before it is measured.
            proxy.load(&shape, 8, tenants.div_ceil(8), tenants).await?;
            proxy.settle().await?;
        }
        let figures =
            turns(args, proxies, async |proxy: &mut Proxy| load(proxy, &shape, 8, 400, tenants).await).await?;
        panel.add(tenants, proxies, &figures);
    }
    Ok(panel)
}

async fn streams(args: &Args, world: &World, proxies: &mut [Proxy]) -> Result<Panel> {
    let mut panel = Panel::new("open_streams", "open streams", "µs an event", false);
    for streams in steps(args, &[1, 10, 100, 1_000, 10_000]) {
        let shape = shape::stream(&format!("open_{streams}"), "", 200);
        world.provider.add(&shape.name, shape.endless(Duration::from_secs_f64(streams as f64 / RATE)));
        let figures = turns(args, proxies, async |proxy: &mut Proxy| {
            let mut held = proxy.hold(&shape, streams).await?;
            held.run(Duration::from_millis(500)).await?;
            let (meter, before) = (Meter::start(proxy)?, world.provider.pieces());
            held.run(Duration::from_millis(1_500)).await?;
            let figures = meter.stop(proxy, (world.provider.pieces() - before) as usize)?;
            drop(held);
            proxy.settle().await?;
            wait::until("the streams to end", || async {
                let open = world.provider.open();
                wait::ensure(open == 0, || format!("{open} are open"))
            })
            .await?;
            Ok(figures)
        });
        let figures = figures.await?;
        panel.add(streams, proxies, &figures);
    }
    Ok(panel)
}

async fn queue(args: &Args, world: &World, shipped: &Bootstrap) -> Result<Panel> {
    let mut panel = Panel::new("queued_events", "events that wait, collector down", "µs a call", false);
    let shape = shape::chat("queue", "", 1_000);
    world.provider.add(&shape.name, shape.response());
    let kinds = [world.kind("none")?, kind::meter(shipped)?];
    let mut proxies = Vec::new();
    for kind in kinds {
        proxies.push(Proxy::start(kind, shipped).await?);
    }
    for proxy in &mut proxies {
        proxy.prove(&shape).await?;
        proxy.settle().await?;
        proxy.sink.go_down();
    }
    let mut queued = 0;
    for length in steps(args, &[100, 1_000, 10_000, 100_000]) {
        let missing = length - queued;
        for proxy in &mut proxies {
            proxy.load(&shape, 8, missing.div_ceil(8), 1).await?;
        }
        queued += missing.div_ceil(8) * 8;
        let times = (length / 40).clamp(2, 100);
        let mut round = 0;
        let figures = turns(args, &mut proxies, async |proxy: &mut Proxy| {
            round += 1;
            let meter = Meter::start(proxy)?;
            proxy.load(&shape, 8, times, 1).await?;
            meter.stop(proxy, 8 * times)
        });
        let figures = figures.await?;
        queued += round / proxies.len() * 8 * times;
        panel.add(length, &proxies, &figures);
    }
    for proxy in proxies {
        let dropped = proxy.envoy.metrics().await?.sum("meshmeter_events_dropped_total", &[]);
        wait::ensure(dropped == 0, || format!("{dropped} events were dropped"))?;
        proxy.stop()?;
    }
    Ok(panel)
}

async fn load(proxy: &mut Proxy, shape: &Shape, connections: usize, times: usize, tenants: usize) -> Result<Figures> {
    let meter = Meter::start(proxy)?;
    proxy.load(shape, connections, times, tenants).await?;
    proxy.settle().await?;
    meter.stop(proxy, connections * times)
}

/// Lets each kind take its turn in each round.
async fn turns(
    args: &Args,
    proxies: &mut [Proxy],
    mut measure: impl AsyncFnMut(&mut Proxy) -> Result<Figures>,
) -> Result<Vec<Figures>> {
    let mut rounds = vec![Vec::new(); proxies.len()];
    for round in 0..args.rounds() {
        for turn in 0..proxies.len() {
            let number = (turn + round) % proxies.len();
            rounds[number].push(measure(&mut proxies[number]).await?);
        }
    }
    let calm = calmest(&rounds.iter().map(|rounds| &rounds[..]).collect::<Vec<_>>());
    Ok(rounds.iter().map(|rounds| mean(rounds, &calm)).collect())
}
