//! What came of a whole corpus: a table by provider, one line for machines, and a file with every difference.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::money::{Bill, Money};
use crate::rows::Rows;
use crate::{Counts, Problem, Recording, Result, Truth, compare};

const COLUMNS: [&str; 6] = ["records", "with_usage", "exact", "wrong", "missed", "false"];

/// The sums so far.
#[derive(Debug)]
pub struct Tally {
    rows: Rows<{ COLUMNS.len() }>,
    /// What differs, an object each: `id`, `problem`, `ours`, `truth` and where it is from.
    pub differences: Vec<Value>,
    /// What is charged against what is owed, where that is measured.
    pub money: Option<Money>,
}

impl Default for Tally {
    fn default() -> Self {
        Tally { rows: Rows::new(COLUMNS), differences: Vec::new(), money: None }
    }
}

impl Tally {
    /// Adds what a meter says of a recording: its event, if it made one.
    pub fn add(&mut self, recording: &Recording, truth: &Truth, event: Option<&Value>) {
        let verdict = compare(event, truth);
        let marks = [
            true,
            truth.has_usage,
            truth.has_usage && verdict.is_ok(),
            verdict == Err(Problem::Wrong),
            verdict == Err(Problem::Missed),
            verdict == Err(Problem::False),
        ];
        self.rows.add(&recording.provider, marks);
        let Err(problem) = verdict else { return };
        let said = |name: &str| event.map(|event| event["data"][name].clone()).unwrap_or_default();
        let mut difference = difference(recording, problem.name());
        difference["ours"] = json!(event.and_then(Counts::of_event));
        difference["truth"] = json!(truth.has_usage.then(|| Counts::of_truth(truth)));
        for name in ["api", "evidence", "missing_reason", "flags", "raw_usage"] {
            if !said(name).is_null() {
                difference[name] = said(name);
            }
        }
        self.differences.push(difference);
    }

    /// Adds what a collector charges for a recording, by all the events that it left.
    pub fn add_bill(&mut self, recording: &Recording, truth: &Truth, events: &[Value], bill: &Bill) {
        let Some((problem, details)) = self.money.get_or_insert_default().add(recording, truth, events, bill) else {
            return;
        };
        let mut difference = difference(recording, &problem);
        for (name, value) in details.as_object().into_iter().flatten() {
            difference[name] = value.clone();
        }
        self.differences.push(difference);
    }

    /// Adds a difference by something else than its counts.
    pub fn note(&mut self, recording: &Recording, problem: &str) {
        self.differences.push(difference(recording, problem));
    }

    /// The table.
    pub fn table(&self) -> String {
        self.rows.table(|_| true)
    }

    /// The line for machines.
    pub fn line(&self) -> String {
        let members = COLUMNS.iter().zip(self.rows.sums()).map(|(name, sum)| format!("\"{name}\":{sum}"));
        let members = members.chain(self.money.as_ref().map(Money::members));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }

    /// Writes the differences to `out` and prints the rest, the line for machines last.
    pub fn report(&self, out: &Path) -> Result<()> {
        let named = |error: std::io::Error| format!("{}: {error}", out.display());
        if let Some(folder) = out.parent() {
            std::fs::create_dir_all(folder).map_err(named)?;
        }
        let lines: String = self.differences.iter().map(|difference| format!("{difference}\n")).collect();
        std::fs::write(out, lines).map_err(named)?;
        println!("{}", self.table());
        if let Some(money) = &self.money {
            println!("{}", money.table());
        }
        println!("differences: {}, in {}", self.differences.len(), out.display());
        println!("{}", self.line());
        Ok(())
    }
}

fn difference(recording: &Recording, problem: &str) -> Value {
    let Recording { id, provider, wire, method, host, path, .. } = recording;
    let request = format!("{method} {host}{path}");
    json!({"id": id, "problem": problem, "provider": provider, "wire": wire, "request": request})
}

/// Says on standard error how far a long run is; a short one says nothing.
#[derive(Debug)]
pub struct Progress {
    total: usize,
    done: usize,
    last: Instant,
}

impl Progress {
    const EVERY: Duration = Duration::from_secs(3);

    /// Begins.
    pub fn of(total: usize) -> Self {
        Progress { total, done: 0, last: Instant::now() }
    }

    /// One more is done.
    pub fn step(&mut self) {
        self.done += 1;
        if self.last.elapsed() >= Self::EVERY {
            self.last = Instant::now();
            eprintln!("{} of {} recordings …", self.done, self.total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_the_table_and_the_line_say_the_same() {
        let recording: Recording = serde_json::from_value(json!({
            "id": "a", "provider": "openai", "host": "h", "path": "/p", "status": 200, "body_file": "b"
        }))
        .unwrap();
        let truth: Truth = serde_json::from_value(json!({
            "id": "a", "has_usage": true, "canonical": {"input_total": 1, "output_total": null}
        }))
        .unwrap();
        let event = json!({"data": {"evidence": "reported", "input_tokens": 1}});
        let mut tally = Tally::default();
        tally.add(&recording, &truth, Some(&event));
        tally.add(&recording, &truth, None);
        assert_eq!(tally.line(), r#"{"records":2,"with_usage":2,"exact":1,"wrong":0,"missed":1,"false":0}"#);
        let table = tally.table();
        let last: Vec<&str> = table.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(last, ["all", "2", "2", "1", "0", "1", "0"]);
        let expected = json!({
            "id": "a", "problem": "missed", "provider": "openai", "wire": "", "request": "POST h/p", "ours": null,
            "truth": {"input": 1, "output": null, "cache_read": 0, "cache_write": 0, "reasoning": 0}
        });
        assert_eq!(tally.differences, [expected]);
    }
}
