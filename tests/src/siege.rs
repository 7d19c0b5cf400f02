//! Attacks on the bill, each on the real processes, each with what it must not change.

pub mod asking;
pub mod collector;
pub mod estimates;
pub mod identity;
pub mod ledger;
pub mod output;
pub mod routing;
pub mod tokens;

use std::{future::Future, pin::Pin, time::Instant};

use crate::Result;

/// What an attack returns: an error says what it changed.
pub type Outcome = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// An attack.
#[derive(Clone, Copy)]
pub struct Attack {
    /// Its name, in the words of a command line: `constant-response-ids`.
    pub name: &'static str,
    /// What it must not change.
    pub keeps: &'static str,
    /// Whether it takes a few seconds only, and is a part of the tests.
    pub short: bool,
    /// Makes it.
    pub run: fn() -> Outcome,
}

/// All of them.
pub fn attacks() -> impl Iterator<Item = Attack> {
    let areas = [
        ledger::ATTACKS,
        tokens::ATTACKS,
        estimates::ATTACKS,
        estimates::cut::ATTACKS,
        asking::ATTACKS,
        routing::ATTACKS,
        identity::ATTACKS,
        collector::ATTACKS,
        output::ATTACKS,
    ];
    areas.into_iter().flatten().copied()
}

/// Makes attacks one after the other, says of each how it went, and returns how many went through.
pub async fn lay(attacks: impl Iterator<Item = Attack>) -> usize {
    let (mut passed, mut failed) = (0, 0);
    for attack in attacks {
        let started = Instant::now();
        let outcome = (attack.run)().await;
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                passed += 1;
                println!("held    {:32} {seconds:5.1} s  {}", attack.name, attack.keeps);
            }
            Err(error) => {
                failed += 1;
                println!("FAILED  {:32} {seconds:5.1} s  {}: {error}", attack.name, attack.keeps);
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    failed
}
