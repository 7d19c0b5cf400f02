//! Small multiples: how the cost grows, one panel per cause. Drawn for light and dark pages alike.

use std::fmt::Write;

use crate::{measure::Figures, proxy::Proxy};

const WIDTH: f64 = 280.0;
const HEIGHT: f64 = 210.0;
const COLUMNS: usize = 3;
/// Around what is drawn: left, top, right, below.
const ROOM: (f64, f64, f64, f64) = (44.0, 44.0, 14.0, 34.0);

const STYLE: &str = "\
text{font:11px system-ui,sans-serif;fill:#24292f}.t{font-weight:600;font-size:12px}.q{fill:#57606a}\
line{stroke:#d0d7de}polyline{fill:none;stroke-width:2}.m{stroke:#0969da}.r{stroke:#9aa5b1}.p{stroke:#9aa5b1;\
stroke-width:1;stroke-dasharray:4 4}circle{stroke:none}.cm{fill:#0969da}.cr{fill:#9aa5b1}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.q{fill:#8b949e}line{stroke:#30363d}.m{stroke:#4493f8}\
.r,.p{stroke:#6e7681}.cm{fill:#4493f8}.cr{fill:#6e7681}}";

/// What one cause does.
pub struct Panel {
    /// Its name in the results.
    pub name: &'static str,
    cause: &'static str,
    unit: &'static str,
    linear: bool,
    /// The size of the cause, and what each kind adds to the plain proxy.
    pub points: Vec<(usize, Vec<(String, f64)>)>,
}

impl Panel {
    /// An empty one; `linear`: it may grow in proportion.
    pub fn new(name: &'static str, cause: &'static str, unit: &'static str, linear: bool) -> Self {
        eprintln!("{cause} …");
        Self { name, cause, unit, linear, points: Vec::new() }
    }

    /// Adds what was measured; the first proxy is the plain one.
    pub fn add(&mut self, at: usize, proxies: &[Proxy], figures: &[Figures]) {
        let Some(plain) = figures.first() else { return };
        let others = proxies.iter().zip(figures).skip(1);
        let added = others.map(|(proxy, figures)| (proxy.kind.name.clone(), figures.cpu - plain.cpu));
        self.points.push((at, added.collect()));
    }

    /// For people.
    pub fn print(&self) {
        println!("{}, added {}", self.cause, self.unit);
        for (at, kinds) in &self.points {
            let kinds: Vec<String> = kinds.iter().map(|(kind, added)| format!("{kind} {added:>9.1}")).collect();
            println!("  {at:>10}  {}", kinds.join("   "));
        }
        println!();
    }

    fn draw(&self, left: f64, top: f64) -> String {
        let (x0, y0) = (left + ROOM.0, top + ROOM.1);
        let (width, height) = (WIDTH - ROOM.0 - ROOM.2, HEIGHT - ROOM.1 - ROOM.3);
        let log = |value: f64| value.max(1e-3).log10();
        let values = || self.points.iter().flat_map(|(_, kinds)| kinds.iter().map(|(_, added)| *added));
        let (from, to) = match (self.points.first(), self.points.last()) {
            (Some((from, _)), Some((to, _))) if to > from => (log(*from as f64), log(*to as f64)),
            _ => return String::new(),
        };
        let most = values().fold(0.1, f64::max);
        let (low, high) = if self.linear {
            (values().map(|value| log(value.max(1.0)).floor()).fold(f64::INFINITY, f64::min), log(most).ceil())
        } else {
            (0.0, nice(most * 1.25))
        };
        let x = |at: f64| x0 + (log(at) - from) / (to - from) * width;
        let y = |added: f64| {
            let added = if self.linear { log(added.max(1.0)) } else { added };
            y0 + height - ((added - low) / (high - low)).clamp(0.0, 1.0) * height
        };
        let mut svg = format!(
            "<text class=\"t\" x=\"{left:.0}\" y=\"{:.0}\">{}</text><text class=\"q\" x=\"{left:.0}\" y=\"{:.0}\">added \
             {}{}</text>\n",
            top + 14.0,
            self.cause,
            top + 30.0,
            self.unit,
            if self.linear { "; dashed: in proportion" } else { "" }
        );
        let marks: Vec<f64> = if self.linear {
            (low as i32..=high as i32).map(|power| 10_f64.powi(power)).collect()
        } else {
            (0..=4).map(|part| high * f64::from(part) / 4.0).collect()
        };
        for mark in marks {
            let _ = writeln!(
                svg,
                "<line x1=\"{x0:.1}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/><text class=\"q\" x=\"{2:.1}\" \
                 y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
                x0 + width,
                y(mark),
                x0 - 5.0,
                y(mark) + 4.0,
                short(mark)
            );
        }
        for (at, _) in &self.points {
            let at = *at as f64;
            let _ = writeln!(
                svg,
                "<text class=\"q\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                x(at),
                y0 + height + 16.0,
                short(at)
            );
        }
        let last = self.points.last().and_then(|(at, kinds)| Some((*at as f64, kinds.last()?.1)));
        if let (true, Some((at, added))) = (self.linear, last) {
            let begin = at * (10_f64.powf(low) / added).max(10_f64.powf(from) / at);
            let _ = writeln!(
                svg,
                "<polyline class=\"p\" points=\"{:.1},{:.1} {:.1},{:.1}\"/>",
                x(begin),
                y(added * begin / at),
                x(at),
                y(added)
            );
        }
        let kinds = self.points.first().map_or(0, |(_, kinds)| kinds.len());
        for kind in 0..kinds {
            let name = self.points[0].1[kind].0.as_str();
            let class = if name == "meshmeter" { "m" } else { "r" };
            let places: Vec<(f64, f64)> =
                self.points.iter().map(|(at, kinds)| (x(*at as f64), y(kinds[kind].1))).collect();
            let line: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let _ = writeln!(svg, "<polyline class=\"{class}\" points=\"{}\"/>", line.join(" "));
            for (x, y) in places {
                let _ = writeln!(svg, "<circle class=\"c{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>");
            }
        }
        svg
    }
}

/// The plot as SVG.
pub fn draw(panels: &[Panel]) -> String {
    let rows = panels.len().div_ceil(COLUMNS) as f64;
    let (width, height) = (WIDTH * COLUMNS as f64 + 20.0, rows * (HEIGHT + 12.0) + 30.0);
    let mut body = String::new();
    for (number, panel) in panels.iter().enumerate() {
        let (column, row) = ((number % COLUMNS) as f64, (number / COLUMNS) as f64);
        body += &panel.draw(column * (WIDTH + 10.0), 30.0 + row * (HEIGHT + 12.0));
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\n\
         <title>How the CPU time of metering grows</title>\n<style>{STYLE}</style>\n\
         <line class=\"m\" x1=\"0\" x2=\"22\" y1=\"9\" y2=\"9\" stroke-width=\"2\"/><text x=\"28\" y=\"13\">meshmeter, \
         everything on</text><line class=\"r\" x1=\"180\" x2=\"202\" y1=\"9\" y2=\"9\" stroke-width=\"2\"/>\
         <text x=\"208\" y=\"13\">a filter that only reads the body</text>\n{body}</svg>\n"
    )
}

/// The next of 1, 2, 4, 5, 8 times a power of ten.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 5.0, 8.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(value)
}

/// 1500 as 1.5k.
fn short(value: f64) -> String {
    let (value, unit) = match value {
        value if value >= 1e6 => (value / 1e6, "M"),
        value if value >= 1e3 => (value / 1e3, "k"),
        value => (value, ""),
    };
    let text = format!("{value:.1}");
    format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
}
