//! A person who closes the month that is over, and the law that its report never changes from then on.

use collector::report::{Format, Question, Report};
use collector::store::months::Month;

use crate::disk::{Connection, Disk, Fault};
use crate::nature::Violation;
use crate::trace::Step;
use crate::world::World;

/// The month that ends in every world.
const MONTH: &str = "2026-01";
/// Its last day: none of its calls began earlier.
pub const LAST_DAY: &str = "2026-01-31";

/// A month that was closed: its report as it was then.
pub type Closed = String;

impl World {
    /// Somebody closes the month, perhaps too early, perhaps again, perhaps while the disk fails.
    pub fn close_a_month(&mut self) {
        let Ok(month) = MONTH.parse::<Month>() else { return };
        let writer = self.nature.random.below(self.nature.plan.collectors as u64) as i64 + 1;
        let mut ledger = Connection { disk: self.disk.clone(), writer }.ledger();
        loop {
            let fault = self.nature.random.pick(&[Fault::None, Fault::Before, Fault::After]);
            self.disk.borrow_mut().fault = fault;
            let result = ledger.close_month(month, "it is over", self.nature.now_ns() as i64);
            let is_closed = self.disk.borrow().memory.closed_months().contains(month);
            if is_closed && self.closed.is_none() {
                self.closed = Some(report(&self.disk.borrow()));
            }
            match result {
                Ok(done) => {
                    self.nature.step(Step::MonthClosed { closed: done.is_ok() });
                    break;
                }
                Err(_) if fault == Fault::None => break,
                Err(_) => {}
            }
        }
        self.disk.borrow_mut().fault = Fault::None;
    }
}

fn report(disk: &Disk) -> String {
    let month = MONTH.parse::<Month>().ok().map(|month| [month.first_day(), month.last_day()]);
    let days = month.into_iter().flatten().map(|day| day.to_string());
    let asked = ["since", "until"].into_iter().zip(days);
    let asked = asked.chain([("by", "day,tenant,provider,model".to_owned()), ("round", "6".to_owned())]);
    let question = Question::parse(asked, 0).expect("a question of days");
    let report = Report::of(&disk.memory, question).and_then(|report| report.render(Format::Json));
    report.unwrap_or_else(|error| error.to_string())
}

/// The report of a closed month is what it was when it was closed, and only what came later counts elsewhere.
pub fn check(disk: &Disk, closed: Option<&Closed>) -> Result<(), Violation> {
    let adjusts = disk.memory.sums.keys().any(|group| !group.adjusts.is_empty());
    match closed {
        None if adjusts => {
            Err(Violation::new("only what comes late counts in another month", "no month was closed".to_owned()))
        }
        Some(before) => {
            let now = report(disk);
            if now == *before {
                return Ok(());
            }
            Err(Violation::new("the report of a closed month never changes", format!("{before} became {now}")))
        }
        None => Ok(()),
    }
}
