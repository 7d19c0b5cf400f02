//! `meshmeter top`: who spends what at this moment, by tenant and model, from the collector's HTTP.
//!
//! [`read`] asks for the report of the day, the budgets and the metrics, [`rows`] makes rows with rates of several reports,
//! [`budgets`] says which budgets matter, [`view`] draws both, [`screen`] has the terminal. Names come from calls: what is drawn
//! is escaped.

use std::time::Duration;

use read::Source;
use view::View;

pub mod budgets;
pub mod read;
pub mod rows;
pub mod screen;
pub mod view;

/// What to show, and how.
#[derive(Debug)]
pub struct Options {
    /// Where it is read.
    pub source: Source,
    /// How often.
    pub every: Duration,
    /// What is told apart.
    pub by: rows::By,
    /// What comes first.
    pub sort: rows::Sort,
}

/// One frame as text, of this size, with rates of two readings, unless the first one fails; and whether today's use could be
/// read.
pub fn once(options: Options, (width, height): (u16, u16)) -> (String, bool) {
    let Options { source, every, by, sort } = options;
    let mut view = View::new(source.url(), every, by, sort);
    let mut source = source;
    let first = source.read();
    let mut was_read = first.rows.is_ok();
    view.take(first);
    if was_read {
        std::thread::sleep(every);
        let last = source.read();
        was_read = last.rows.is_ok();
        view.take(last);
    }
    (view.text(width, height), was_read)
}
