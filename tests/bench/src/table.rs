//! The figures for people, and for machines.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::{measure::Figures, shape::Shape};

/// The result of one kind with one shape.
pub struct Row {
    /// The shape.
    pub shape: String,
    /// The kind.
    pub kind: String,
    /// Whether it found the counts.
    pub counts: bool,
    /// What each round gave.
    pub rounds: Vec<Figures>,
    /// What they say together.
    pub figures: Figures,
}

/// Prints everything.
pub fn print(shapes: &[Shape], rows: &[Row], verbose: bool) {
    for shape in shapes {
        let of_shape: Vec<&Row> = rows.iter().filter(|row| row.shape == shape.name).collect();
        let plain = of_shape.iter().find(|row| row.kind == "none").map(|row| row.figures);
        println!("{}: {} ({} bytes)", shape.name, shape.about, shape.body.len());
        println!(
            "  {:<20} {:>10} {:>10}  {:>17} {:>19}{}  counts",
            "µs",
            "CPU",
            "added",
            "p50 (added)",
            "p99 (added)",
            if shape.stream { "    first byte" } else { "" }
        );
        for row in of_shape {
            let now = row.figures;
            let added = |figure: fn(&Figures) -> f64| plain.map_or(f64::NAN, |plain| figure(&now) - figure(&plain));
            let mut line = format!("  {:<20} {:>10.1} {:>+10.1}", row.kind, now.cpu, added(|one| one.cpu));
            for figure in [|one: &Figures| one.p50, |one: &Figures| one.p99] {
                let _ = write!(line, "  {:>9.0} ({:>+6.0})", figure(&now), added(figure));
            }
            if shape.stream {
                let _ = write!(line, "  {:>5.0} ({:>+5.0})", now.first, added(|one| one.first));
            }
            let counts = match row.kind.as_str() {
                "none" | "read_only" => "",
                _ if row.counts => "yes",
                _ => "NONE",
            };
            println!("{line}  {counts}");
            if verbose {
                let rounds: Vec<String> =
                    row.rounds.iter().map(|one| format!("{:.1} [{:.1}]", one.cpu, one.disturbed)).collect();
                println!("    {}", rounds.join("  "));
            }
        }
        println!();
    }
    ratios(shapes, rows);
}

/// What meshmeter adds, in terms of the others.
fn ratios(shapes: &[Shape], rows: &[Row]) {
    for shape in shapes {
        let cpu =
            |kind: &str| rows.iter().find(|row| row.shape == shape.name && row.kind == kind).map(|row| row.figures.cpu);
        let added = |kind: &str| Some(cpu(kind)? - cpu("none")?);
        let Some(meter) = added("meshmeter") else { continue };
        let mut line = format!("{:<12} meshmeter adds", shape.name);
        if let Some(floor) = added("read_only") {
            let _ = write!(line, " {:.2} times what reading the body adds;", meter / floor);
        }
        if let Some(rival) = added("ai_protocol_manager") {
            let _ = write!(line, " ai_protocol_manager adds {:.2} times what meshmeter adds", rival / meter);
        }
        println!("{line}");
    }
}

/// `{"SHAPE":{"KIND":{"cpu_us":…,"p50_us":…,"p99_us":…}}}`
pub fn json(rows: &[Row]) -> Value {
    let mut shapes = Map::new();
    let round = |figure: f64| (figure * 10.0).round() / 10.0;
    for row in rows {
        let now = row.figures;
        let kinds = shapes.entry(row.shape.clone()).or_insert_with(|| json!({}));
        kinds[&row.kind] = json!({"cpu_us": round(now.cpu), "p50_us": round(now.p50), "p99_us": round(now.p99)});
    }
    Value::Object(shapes)
}
