//! What came of a whole corpus: a table by provider, one line for machines, and a file with every difference.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::money::{Bill, Money};
use crate::{Counts, Problem, Recording, Result, Truth, compare};

const COLUMNS: [&str; 6] = ["records", "with_usage", "exact", "wrong", "missed", "false"];

/// The sums so far.
#[derive(Debug, Default)]
pub struct Tally {
    rows: BTreeMap<String, [u64; COLUMNS.len()]>,
    /// What differs, an object each: `id`, `problem`, `ours`, `truth` and where it is from.
    pub differences: Vec<Value>,
    /// What is charged against what is owed, where that is measured.
    pub money: Option<Money>,
}

impl Tally {
    /// Adds what a meter says of a recording: its event, if it made one.
    pub fn add(&mut self, recording: &Recording, truth: &Truth, event: Option<&Value>) {
        let verdict = compare(event, truth);
        let row = self.rows.entry(recording.provider.clone()).or_default();
        let marks = [
            true,
            truth.has_usage,
            truth.has_usage && verdict.is_ok(),
            verdict == Err(Problem::Wrong),
            verdict == Err(Problem::Missed),
            verdict == Err(Problem::False),
        ];
        for (sum, mark) in row.iter_mut().zip(marks) {
            *sum += u64::from(mark);
        }
        let Err(problem) = verdict else { return };
        let said = |name: &str| event.map(|event| event["data"][name].clone()).unwrap_or_default();
        let mut difference = self.note(recording, problem.name());
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
        let mut difference = self.note(recording, &problem);
        for (name, value) in details.as_object().into_iter().flatten() {
            difference[name] = value.clone();
        }
        self.differences.push(difference);
    }

    /// The difference of a recording by something else than its counts.
    pub fn note(&self, recording: &Recording, problem: &str) -> Value {
        let Recording { id, provider, wire, method, host, path, .. } = recording;
        let request = format!("{method} {host}{path}");
        json!({"id": id, "problem": problem, "provider": provider, "wire": wire, "request": request})
    }

    /// The table.
    pub fn table(&self) -> String {
        let sums = self.sums();
        let rows = self.rows.iter().map(|(name, row)| (name.as_str(), row)).chain([("all", &sums)]);
        let width = rows.clone().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max("provider".len());
        let mut table = format!("{:width$}", "provider");
        for column in COLUMNS {
            let _ = write!(table, "  {column:>10}");
        }
        table.push('\n');
        for (name, row) in rows {
            let _ = write!(table, "{name:width$}");
            for sum in row {
                let _ = write!(table, "  {sum:>10}");
            }
            table.push('\n');
        }
        table
    }

    /// The line for machines.
    pub fn line(&self) -> String {
        let members = COLUMNS.iter().zip(self.sums()).map(|(name, sum)| format!("\"{name}\":{sum}"));
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

    fn sums(&self) -> [u64; COLUMNS.len()] {
        let mut sums = [0; COLUMNS.len()];
        for row in self.rows.values() {
            for (sum, count) in sums.iter_mut().zip(row) {
                *sum += count;
            }
        }
        sums
    }
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
