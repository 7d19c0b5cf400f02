//! The chart of docs/performance.md: what each kind adds to the CPU time of a call, one panel per shape. It is drawn for light and
//! dark pages alike.

use std::fmt::Write;

use crate::{shape::Shape, table::Row};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 160.0;
const RIGHT: f64 = 130.0;
const BAR: f64 = 15.0;
const PANEL: f64 = 30.0;
/// Below it a difference is noise.
const LEAST: f64 = 1.0;

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#24292f}.t{font-weight:600;font-size:13px}.n{text-anchor:end}.q{fill:#57606a}\
.b{fill:#9aa5b1}.f{fill:#c9d1d9}.m{fill:#0969da}.e{fill:#9aa5b1;fill-opacity:.35}line{stroke:#d0d7de}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.q{fill:#8b949e}.b{fill:#6e7681}.f{fill:#484f58}.m{fill:#4493f8}\
.e{fill:#6e7681;fill-opacity:.35}line{stroke:#30363d}}";

/// The chart as SVG.
pub fn draw(shapes: &[Shape], rows: &[Row]) -> String {
    let mut body = String::new();
    let mut top = 72.0;
    let most = rows.iter().filter_map(|row| added(rows, row)).fold(LEAST * 10.0, f64::max);
    let decades = most.log10().ceil();
    let scale = (WIDTH - LEFT - RIGHT) / decades;
    let begin = top;
    for shape in shapes {
        let _ = writeln!(body, r#"<text class="t" x="0" y="{:.0}">{}</text>"#, top + 14.0, shape.about);
        top += PANEL - 8.0;
        for row in rows.iter().filter(|row| row.shape == shape.name && row.kind != "none") {
            let Some(added) = added(rows, row) else { continue };
            let width = (added.max(LEAST).log10() * scale).max(1.5);
            let reads = row.counts || row.kind == "read_only";
            let class = match row.kind.as_str() {
                "read_only" => "f",
                "meshmeter" => "m",
                _ if reads => "b",
                _ => "e",
            };
            let note = if reads { String::new() } else { ", no counts".to_owned() };
            let value = if added < LEAST { "within noise".to_owned() } else { format!("+{} µs", grouped(added)) };
            let middle = top + BAR - 4.0;
            let _ = writeln!(
                body,
                "<text class=\"n q\" x=\"{:.0}\" y=\"{middle:.0}\">{}</text><rect class=\"{class}\" x=\"{LEFT}\" \
                 y=\"{top:.0}\" width=\"{width:.1}\" height=\"{:.0}\" rx=\"2\"/>\
                 <text x=\"{:.1}\" y=\"{middle:.0}\">{value}{note}</text>",
                LEFT - 8.0,
                row.kind,
                BAR - 2.0,
                LEFT + width + 6.0,
            );
            top += BAR;
        }
        top += 12.0;
    }
    let mut grid = String::new();
    for decade in 0..=decades as i32 {
        let x = LEFT + f64::from(decade) * scale;
        let label = grouped(10_f64.powi(decade));
        let _ = writeln!(
            grid,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{begin:.0}\" y2=\"{:.0}\"/>\
             <text class=\"q\" x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{label}</text>",
            top - 8.0,
            begin - 10.0,
        );
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\">\n\
         <title>CPU time that metering adds to a call in Envoy</title>\n<style>{STYLE}</style>\n\
         <text class=\"t\" x=\"0\" y=\"16\">CPU time of Envoy added per call, µs (logarithmic; shorter is better)</text>\n\
         <text class=\"q\" x=\"0\" y=\"33\">meshmeter does everything: usage, identity, metrics, event, filter state. \
         The others extract counts only; read_only does nothing with the body.</text>\n{grid}{body}</svg>\n",
        top,
    )
}

fn added(rows: &[Row], row: &Row) -> Option<f64> {
    let plain = rows.iter().find(|other| other.shape == row.shape && other.kind == "none")?;
    Some(row.figures.cpu - plain.figures.cpu)
}

/// Whole, with thousands set apart.
fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
