//! Envoy's file access log: what is in memory is lost with the process, what is on the disk is not.

use crate::plan;
use crate::truth::{Kept, Truth};

/// Bytes that wait at most in a buffered journal.
const BUFFER: usize = 16 << 10;

/// One Envoy's file.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// What is on the disk.
    pub bytes: Vec<u8>,
    waiting: Vec<u8>,
    /// Records whose lines wait, and where in `waiting` each line ends.
    lines: Vec<(usize, usize)>,
}

impl Journal {
    /// A call's line, with these records.
    pub fn write(&mut self, plan: &plan::Plan, truth: &mut Truth, records: &[usize], events: &[u8]) {
        self.begin(plan, records, events);
        if plan.journal == plan::Journal::Flushed || self.waiting.len() >= BUFFER {
            self.flush(truth);
        }
    }

    /// A call's line that is not written yet.
    pub fn begin(&mut self, plan: &plan::Plan, records: &[usize], events: &[u8]) {
        let line = if plan.access_log { access_log(events) } else { events.to_vec() };
        self.waiting.extend_from_slice(&line);
        self.waiting.push(b'\n');
        self.lines.extend(records.iter().map(|record| (*record, self.waiting.len())));
    }

    /// Writes what waits.
    pub fn flush(&mut self, truth: &mut Truth) {
        self.bytes.append(&mut self.waiting);
        for (record, _) in self.lines.drain(..) {
            truth.records[record].kept = Kept::Durable;
        }
    }

    /// Bytes that are not on the disk yet.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The process is gone; of what waited only the first bytes are on the disk.
    pub fn tear(&mut self, truth: &mut Truth, bytes: usize) {
        self.bytes.extend_from_slice(&self.waiting[..bytes]);
        self.waiting.clear();
        for (record, end) in self.lines.drain(..) {
            truth.records[record].kept = if end <= bytes { Kept::Durable } else { Kept::Lost };
        }
    }
}

/// A line of the access log, as `envoy/envoy.yaml` has it.
fn access_log(events: &[u8]) -> Vec<u8> {
    let record = serde_json::Value::from(String::from_utf8_lossy(events).into_owned());
    format!(
        "{{\"time\":\"2026-01-31T23:59:59.123Z\",\"method\":\"POST\",\"authority\":\"api.openai.com\",\
         \"path\":\"/v1/chat/completions\",\"status\":200,\"meshmeter_record\":{record}}}"
    )
    .into_bytes()
}
