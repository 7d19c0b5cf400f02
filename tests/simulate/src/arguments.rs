//! The command line of `just simulate`.

use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Parser};

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
}

/// Runs delivery as the plugin does, and the ingest, the ledger and the reconciling of the collector in a simulated world. A seed
/// decides what goes wrong there: delays, losses, copies, crashes at every step of a commit, restarts, updates, full outboxes,
/// unreadable events, killed Envoys, clocks that are set. After each schedule the laws are checked: no record is lost, none is
/// charged twice, the ledger's chain and sums are right, every hole has its name. The last line is JSON.
#[derive(Parser)]
#[command(name = "simulate", bin_name = "just simulate")]
#[command(group(ArgGroup::new("extent").args(["seconds", "schedules", "seed", "mutations"]).required(true).multiple(true)))]
struct Options {
    /// So long, from a seed of its own.
    #[arg(value_parser = seconds)]
    seconds: Option<Duration>,
    /// So many schedules instead.
    #[arg(long, value_name = "N")]
    schedules: Option<u64>,
    /// The first seed.
    #[arg(long, value_name = "N")]
    from: Option<u64>,
    /// Only this one.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Its steps, in simulated seconds.
    #[arg(long)]
    trace: bool,
    /// Without a guard: something must be noticed.
    #[arg(long, value_name = "GUARD", value_parser = guards())]
    mutate: Option<Mutation>,
    /// Takes away each guard in turn, and says after how many schedules that is noticed.
    #[arg(long)]
    mutations: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..1e9).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "must be a number of seconds".to_owned())
}

/// The guards by their words, with what is done without each.
fn guards() -> impl TypedValueParser<Value = Mutation> {
    let values = Mutation::ALL.iter().map(|one| PossibleValue::new(one.word()).help(one.help()));
    PossibleValuesParser::new(values).try_map(|word| Mutation::from_word(&word).ok_or("no such guard"))
}

impl Arguments {
    /// Reads the command line; help and wrong use end the program.
    pub fn read() -> Arguments {
        Options::parse().into()
    }

    /// Until when schedules run.
    pub fn until(time: Duration, schedules: Option<u64>) -> Until {
        schedules.map_or(Until::Time(time), Until::Schedules)
    }
}

impl From<Options> for Arguments {
    fn from(options: Options) -> Arguments {
        let Options { seconds, schedules, from, seed, trace, mutate: mutation, mutations } = options;
        match seed {
            _ if mutations => Arguments::Mutations { bound: schedules.unwrap_or(2000) },
            Some(seed) => Arguments::One { seed, trace, mutation },
            None => Arguments::Many { until: seconds.unwrap_or_default(), schedules, from, mutation },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments, clap::Error> {
        let words = ["simulate"].into_iter().chain(line.split_whitespace());
        Options::try_parse_from(words).map(Arguments::from)
    }

    #[test]
    fn contract_the_command_line() {
        let many = |until, schedules, from, mutation| Arguments::Many { until, schedules, from, mutation };
        assert_eq!(read("2.5").unwrap(), many(Duration::from_millis(2500), None, None, None));
        assert_eq!(read("--schedules 7 --from 3").unwrap(), many(Duration::ZERO, Some(7), Some(3), None));
        let one = Arguments::One { seed: 9, trace: true, mutation: Some(Mutation::LoseASum) };
        assert_eq!(read("--seed 9 --trace --mutate lose-a-sum").unwrap(), one);
        assert_eq!(read("--mutations").unwrap(), Arguments::Mutations { bound: 2000 });
        for (line, expected) in [
            ("", "the following required arguments were not provided"),
            ("soon", "must be a number of seconds"),
            ("1 2", "unexpected argument '2'"),
            ("--seed", "a value is required for '--seed <N>'"),
            ("--mutate sleep 1", "possible values: acknowledge-before-commit, "),
            ("1 --help", "acknowledge-before-commit:"),
        ] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
