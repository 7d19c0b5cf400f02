//! What metering costs: each kind is a real Envoy of its own, pinned to one core; the load and the provider have the
//! other. Kinds take turns within each round, so that whatever drifts hits all alike.

mod args;
mod chart;
mod cores;
mod head;
mod kind;
mod load;
mod measure;
mod pacer;
mod proxy;
mod server;
mod shape;
mod table;
mod text;

use std::{env, fs, path::PathBuf};

use e2e::{Result, identity::Identity, stack};

use crate::{
    args::Args,
    kind::Kind,
    measure::{Figures, calmest, mean, measure},
    proxy::Proxy,
    server::Server,
    shape::Shape,
    table::Row,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Some(args) = Args::parse(env::args().skip(1))? else { return Ok(()) };
    cores::take()?;
    let provider = Server::start().await?;
    let dir = tempfile::tempdir()?;
    let identity = Identity::create(dir.path())?;
    let shipped = stack::bootstrap(dir.path(), &identity, provider.address, provider.address)?;
    let shapes = args.choose_shapes(shape::all()?)?;
    let kinds = args.choose_kinds(kind::all(&shipped, &rivals()?, &args.also)?)?;
    for shape in &shapes {
        provider.add(&shape.name, shape.answer());
    }
    let rows = compare(&args, &provider, &shipped, &shapes, kinds).await?;
    table::print(&shapes, &rows, args.verbose);
    if let Some(chart) = args.chart() {
        fs::create_dir_all(chart.parent().ok_or("--chart: a file")?)?;
        fs::write(&chart, chart::draw(&shapes, &rows))?;
        println!("the chart is {}", chart.display());
    }
    println!("{}", table::json(&rows));
    Ok(())
}

/// Measures every kind by every shape.
async fn compare(
    args: &Args,
    provider: &Server,
    shipped: &e2e::bootstrap::Bootstrap,
    shapes: &[Shape],
    kinds: Vec<Kind>,
) -> Result<Vec<Row>> {
    let mut proxies = Vec::new();
    for kind in kinds {
        proxies.push(Proxy::start(kind, shipped).await?);
    }
    let mut rows = Vec::new();
    for shape in shapes {
        for (number, proxy) in proxies.iter_mut().enumerate().filter(|(_, proxy)| proxy.kind.takes(shape)) {
            let counts = proxy.prove(shape, "acme/search").await?;
            measure(proxy, shape, provider, 0.2).await?;
            rows.push((
                number,
                Row {
                    shape: shape.name.clone(),
                    kind: proxy.kind.name.clone(),
                    counts,
                    rounds: Vec::new(),
                    figures: Figures::default(),
                },
            ));
        }
    }
    for round in 0..args.rounds {
        eprintln!("round {} of {} …", round + 1, args.rounds);
        for shape in shapes {
            // Another kind begins each round.
            for turn in 0..proxies.len() {
                let number = (turn + round) % proxies.len();
                let Some((_, row)) = rows.iter_mut().find(|(of, row)| *of == number && row.shape == shape.name) else {
                    continue;
                };
                row.rounds.push(measure(&mut proxies[number], shape, provider, args.share()).await?);
            }
        }
    }
    for proxy in proxies {
        proxy.finish().await?;
    }
    let mut rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    for shape in shapes {
        let of_shape = |row: &&Row| row.shape == shape.name;
        let calm = calmest(&rows.iter().filter(of_shape).map(|row| &row.rounds[..]).collect::<Vec<_>>());
        for row in rows.iter_mut().filter(|row| row.shape == shape.name) {
            row.figures = mean(&row.rounds, &calm);
        }
    }
    Ok(rows)
}

/// Where the rivals' wasm is: `MESHMETER_RIVALS`, else where cargo puts it beside this very binary.
fn rivals() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("MESHMETER_RIVALS") {
        return Ok(folder.into());
    }
    let exe = env::current_exe()?;
    let target = exe.ancestors().nth(2).ok_or("the bench is in no target folder")?;
    Ok(target.join("wasm32-wasip1/release"))
}
