//! Fills a ledger in this process: every event goes through the rules, and is committed as the collector commits it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use collector::database::sqlite::Sqlite;
use collector::ledger::{Arrival, Delivery, Ledger, Sender};
use collector::prices::PriceBook;
use serde_json::{Value, json};
use wire::emitter::EmitterKey;

use super::calls::{Dice, NS_PER_DAY, call};
use super::months::Months;
use super::{Outcome, today_ns};

/// Events of an emitter in one delivery, and deliveries in one transaction.
const BATCH: u64 = 100;
const BATCHES: u64 = 40;
const EMITTERS: u64 = 200;

pub fn fill(
    database: &Path,
    prices: &Path,
    entries: u64,
    tenants: u64,
    days: u64,
    months: &mut Option<Months>,
) -> Outcome<Value> {
    let mut ledger = Ledger::new(Sqlite::open(database)?);
    let book = PriceBook::parse(&std::fs::read_to_string(prices)?).map_err(|problems| format!("{problems:?}"))?;
    ledger.set_prices(Some(Arc::new(book)));
    let end = today_ns()?;
    let begin = end - days * NS_PER_DAY;
    let mut dice = Dice(7);
    let mut sequences = [0_u64; EMITTERS as usize];
    let begun = Instant::now();
    let (mut done, mut turn) = (0, 0);
    if let Some(months) = months {
        months.filled_to(begin)?;
    }
    let step = (entries / 10).max(1);
    while done < entries {
        let mut deliveries = Vec::new();
        let mut now = begin;
        for _ in 0..BATCHES {
            let emitter = EmitterKey::new(7, turn % EMITTERS).emitter();
            let sequence = &mut sequences[(turn % EMITTERS) as usize];
            turn += 1;
            let mut arrivals = Vec::new();
            for _ in 0..BATCH.min(entries - done) {
                now = begin + (u128::from(end - begin) * u128::from(done) / u128::from(entries)) as u64;
                *sequence += 1;
                done += 1;
                let record = call(&mut dice, now, "bench", tenants);
                arrivals.push(Arrival::new(wire::event::encode(&record, &emitter, *sequence)));
            }
            deliveries.push(Delivery { sender: Sender::new("bench", false), statement: None, arrivals });
        }
        let deliveries: Vec<&Delivery> = deliveries.iter().collect();
        let taken = ledger.append(&deliveries, i64::try_from(now)? + 1_000_000_000)?;
        let refused: u64 = taken.iter().map(|taken| taken.alarms + taken.dead_letters).sum();
        if refused > 0 {
            return Err(format!("{refused} events were refused: {taken:?}").into());
        }
        if let Some(months) = months {
            months.filled_to(now)?;
        }
        if done % step < BATCH * BATCHES {
            println!("  {done} events, {:.0} a second", done as f64 / begun.elapsed().as_secs_f64());
        }
    }
    let rate = done as f64 / begun.elapsed().as_secs_f64();
    Ok(json!({"events_per_s": rate.round()}))
}
