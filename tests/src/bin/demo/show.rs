//! What the demo prints: progress on standard error, results on standard output.

use std::{
    fs,
    io::{IsTerminal, Write, stderr},
};

use e2e::{Result, event::Event, stack::Stack};
use serde_json::Value;

/// Says what happens now.
pub fn step(text: &str) {
    eprintln!("==> {text}");
}

/// How many calls are through: one line that moves on a terminal, a few lines elsewhere.
pub struct Progress {
    total: usize,
    done: usize,
    moves: bool,
}

impl Progress {
    /// None of `total` yet.
    pub fn new(total: usize) -> Self {
        Self { total, done: 0, moves: stderr().is_terminal() }
    }

    /// One more.
    pub fn advance(&mut self) {
        self.done += 1;
        let quarters = |done: usize| done * 4 / self.total.max(1);
        if self.moves {
            let bar = "#".repeat(self.done * 40 / self.total.max(1));
            eprint!("\r    [{bar:<40}] {}/{} calls", self.done, self.total);
            let _ = stderr().flush();
        } else if quarters(self.done) > quarters(self.done - 1) {
            eprintln!("    {}/{} calls", self.done, self.total);
        }
    }

    /// All of them.
    pub fn done(&self) {
        if self.moves {
            eprintln!();
        }
    }
}

/// The table that a person asks for.
pub fn report(stack: &Stack) -> Result<()> {
    println!("\n$ meshmeter report\n{}", stack.collector.report_text(&[])?);
    Ok(())
}

/// A few of the lines that Prometheus scrapes.
pub async fn metrics(stack: &Stack) -> Result<()> {
    let page = stack.envoy.get("/stats/prometheus").await?;
    println!("$ curl http://{}/stats/prometheus", stack.envoy.admin()?);
    let tokens = page.lines().filter(|line| line.starts_with("gen_ai_client_inference_usage_tokens_total{"));
    let mut of_one: Vec<&str> = tokens.filter(|line| line.contains("tenant=\"payments\"")).collect();
    of_one.sort_unstable();
    for line in of_one.iter().take(5) {
        println!("{line}");
    }
    println!("...");
    for line in page.lines().filter(|line| line.starts_with("meshmeter_") && !line.ends_with(" 0")) {
        println!("{line}");
    }
    println!();
    Ok(())
}

/// One line of the access log, its record taken out of its string.
pub fn access_log(stack: &Stack) -> Result<()> {
    let mut lines = stack.access_log()?;
    lines.retain(|line| line["meshmeter_record"].is_string());
    // The one with the most tokens shows the most.
    let tokens = |line: &Value| line["meshmeter_input_tokens"].as_str().and_then(|text| text.parse::<u64>().ok());
    let mut line = lines.into_iter().max_by_key(tokens).ok_or("no access-log line with a record")?;
    let record = line["meshmeter_record"].as_str().unwrap_or_default();
    let event = Event::parse(record)?;
    line["meshmeter_record"] = serde_json::from_str::<Value>(&event.raw)?;
    println!(
        "one line of the access log (meshmeter_record is a string there)\n{}\n",
        serde_json::to_string_pretty(&line)?
    );
    let journal = fs::read_to_string(stack.file("journal"))?.lines().count();
    println!("the journal has {journal} lines\n");
    Ok(())
}
