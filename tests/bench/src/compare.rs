//! The comparison: every kind by every shape, round by round.

use std::fs;

use e2e::Result;

use crate::{
    World,
    args::Args,
    chart,
    measure::{Figures, calmest, mean, measure, rest},
    proxy::Proxy,
    shape::{self, Shape},
    table::{self, Row},
};

/// Measures, prints and draws.
pub async fn run(args: &Args, world: &World) -> Result<()> {
    let shapes = args.choose_shapes(shape::all()?)?;
    for shape in &shapes {
        world.provider.add(&shape.name, shape.response());
    }
    let rows = measured(args, world, &shapes).await?;
    table::print(&shapes, &rows, args.verbose);
    if let Some(chart) = args.chart() {
        fs::create_dir_all(chart.parent().ok_or("--chart: a file")?)?;
        fs::write(&chart, chart::draw(&shapes, &rows))?;
        println!("the chart is {}", chart.display());
    }
    println!("{}", table::json(&rows));
    Ok(())
}

async fn measured(args: &Args, world: &World, shapes: &[Shape]) -> Result<Vec<Row>> {
    let mut proxies = Vec::new();
    for kind in args.choose_kinds(world.kinds(&args.also)?)? {
        proxies.push(Proxy::start(kind, &world.shipped).await?);
    }
    rest(&mut proxies).await?;
    let mut rows = Vec::new();
    for shape in shapes {
        for (number, proxy) in proxies.iter_mut().enumerate().filter(|(_, proxy)| proxy.kind.takes(shape)) {
            let counts = proxy.prove(shape).await?;
            measure(proxy, shape, &world.provider, 0.2).await?;
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
    for round in 0..args.rounds() {
        eprintln!("round {} of {} …", round + 1, args.rounds());
        for shape in shapes {
            // Another kind begins each round.
            for turn in 0..proxies.len() {
                let number = (turn + round) % proxies.len();
                let Some((_, row)) = rows.iter_mut().find(|(of, row)| *of == number && row.shape == shape.name) else {
                    continue;
                };
                row.rounds.push(measure(&mut proxies[number], shape, &world.provider, args.share()).await?);
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
