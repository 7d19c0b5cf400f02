//! The command line of `just simulate`.

use std::time::Duration;

use crate::Mutation;
use crate::runner::Until;

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Arguments {
    /// Schedules from a seed on.
    Many {
        /// Until when.
        until: Duration,
        /// How many, if not so long.
        schedules: Option<u64>,
        /// The first seed; none: any.
        from: Option<u64>,
        /// Without this guard.
        mutation: Option<Mutation>,
    },
    /// One schedule.
    One {
        /// Its seed.
        seed: u64,
        /// Print its steps.
        trace: bool,
        /// Without this guard.
        mutation: Option<Mutation>,
    },
    /// Each guard taken away, and after how many schedules that is noticed.
    Mutations {
        /// At most so many schedules each.
        bound: u64,
    },
    /// What can be done.
    Help,
}

/// What can be done.
pub const HELP: &str = "\
Usage: just simulate SECONDS
       just simulate --seed N [--trace]
       just simulate --mutations

Runs the outbox of the plugin, and the ingest, the ledger and the reconciling of the collector in a simulated world. A seed
decides what goes wrong there: delays, losses, copies, crashes at every step of a commit, restarts, updates, full outboxes,
unreadable events, killed Envoys, clocks that are set. After each schedule the laws are checked: no record is lost, none is
charged twice, the ledger's chain and sums are right, every hole has its name.

  SECONDS           so long, from a seed of its own
  --schedules N     so many schedules instead
  --from N          the first seed
  --seed N          only this one
  --trace           its steps, in simulated seconds
  --mutate GUARD    without a guard: something must be noticed
  --mutations       takes away each guard in turn, and says after how many schedules that is noticed
  --help            this, and the guards

The last line is JSON.";

impl Arguments {
    /// Reads the command line, without the program's name.
    pub fn read(arguments: impl IntoIterator<Item = String>) -> Result<Arguments, String> {
        let mut seconds = None;
        let (mut schedules, mut from, mut seed, mut mutation) = (None, None, None, None);
        let (mut trace, mut mutations) = (false, false);
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let value = arguments.next().and_then(|value| value.parse::<u64>().ok());
                value.ok_or_else(|| format!("{argument}: needs a whole number"))
            };
            match argument.as_str() {
                "--help" | "-h" => return Ok(Arguments::Help),
                "--schedules" => schedules = Some(number()?),
                "--from" => from = Some(number()?),
                "--seed" => seed = Some(number()?),
                "--trace" => trace = true,
                "--mutations" => mutations = true,
                "--mutate" => {
                    let word = arguments.next().unwrap_or_default();
                    let words = || Mutation::ALL.iter().map(|one| one.word()).collect::<Vec<_>>().join(", ");
                    let known = Mutation::from_word(&word);
                    mutation = Some(known.ok_or_else(|| format!("--mutate: must be one of {}", words()))?);
                }
                word if seconds.is_none() && !word.starts_with('-') => {
                    let read = word.parse::<f64>().ok().filter(|seconds| (0.0..1e9).contains(seconds));
                    seconds = Some(read.ok_or_else(|| format!("{word}: must be a number of seconds"))?);
                }
                _ => return Err(format!("{argument}: no such option; see --help")),
            }
        }
        match (seed, mutations) {
            (_, true) => Ok(Arguments::Mutations { bound: schedules.unwrap_or(2000) }),
            (Some(seed), _) => Ok(Arguments::One { seed, trace, mutation }),
            _ if seconds.is_none() && schedules.is_none() => Err("for how many seconds? See --help".to_owned()),
            _ => {
                let until = Duration::from_secs_f64(seconds.unwrap_or(0.0));
                Ok(Arguments::Many { until, schedules, from, mutation })
            }
        }
    }

    /// Until when schedules run.
    pub fn until(time: Duration, schedules: Option<u64>) -> Until {
        schedules.map_or(Until::Time(time), Until::Schedules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments, String> {
        Arguments::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn contract_the_command_line() {
        let many = |until, schedules, from, mutation| Arguments::Many { until, schedules, from, mutation };
        assert_eq!(read("2.5").unwrap(), many(Duration::from_millis(2500), None, None, None));
        assert_eq!(read("--schedules 7 --from 3").unwrap(), many(Duration::ZERO, Some(7), Some(3), None));
        let one = Arguments::One { seed: 9, trace: true, mutation: Some(Mutation::LoseASum) };
        assert_eq!(read("--seed 9 --trace --mutate lose-a-sum").unwrap(), one);
        assert_eq!(read("--mutations").unwrap(), Arguments::Mutations { bound: 2000 });
        assert_eq!(read("1 --help").unwrap(), Arguments::Help);
        for (line, expected) in [
            ("", "for how many seconds? See --help"),
            ("soon", "soon: must be a number of seconds"),
            ("1 2", "2: no such option; see --help"),
            ("--seed", "--seed: needs a whole number"),
        ] {
            assert_eq!(read(line).unwrap_err(), expected);
        }
        assert!(
            read("--mutate sleep").unwrap_err().starts_with("--mutate: must be one of acknowledge-before-commit, ")
        );
    }
}
