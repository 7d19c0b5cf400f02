//! The command line of `just simulate`.

use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Parser};

use crate::runner::Until;
use crate::{Guard, budgets};

/// In which world, and what to do there.
#[derive(Clone, Debug, PartialEq)]
pub enum Arguments {
    /// Where events are delivered.
    Delivering(Task<crate::Mutation>),
    /// Where budgets are held.
    Budgeting(Task<budgets::Mutation>),
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Task<M> {
    /// Schedules from a seed on.
    Many {
        /// Until when.
        until: Duration,
        /// How many, if not so long.
        schedules: Option<u64>,
        /// The first seed; none: any.
        from: Option<u64>,
        /// Without this guard.
        mutation: Option<M>,
    },
    /// One schedule.
    One {
        /// Its seed.
        seed: u64,
        /// Print its steps.
        trace: bool,
        /// Without this guard.
        mutation: Option<M>,
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
    mutate: Option<Without>,
    /// In the world of budgets: workers with leases, and collectors that keep the balances. No worker spends what another has.
    #[arg(long)]
    budgets: bool,
    /// Takes away each guard in turn, and says after how many schedules that is noticed.
    #[arg(long)]
    mutations: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..1e9).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "must be a number of seconds".to_owned())
}

/// A guard of one of the worlds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Without {
    Delivering(crate::Mutation),
    Budgeting(budgets::Mutation),
}

/// The guards by their words, with what is done without each. Those of budgets are of their world.
fn guards() -> impl TypedValueParser<Value = Without> {
    let values = helps::<crate::Mutation>().chain(helps::<budgets::Mutation>());
    let find = |word: String| {
        let delivering = of_word(&word).map(Without::Delivering);
        delivering.or_else(|| of_word(&word).map(Without::Budgeting)).ok_or("no such guard")
    };
    PossibleValuesParser::new(values).try_map(find)
}

fn helps<G: Guard>() -> impl Iterator<Item = PossibleValue> {
    G::ALL.iter().map(|one| PossibleValue::new(one.word()).help(one.help()))
}

fn of_word<G: Guard>(word: &str) -> Option<G> {
    G::ALL.iter().copied().find(|guard| guard.word() == word)
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
        match options.mutate {
            Some(Without::Budgeting(mutation)) => Arguments::Budgeting(options.task(Some(mutation))),
            Some(Without::Delivering(mutation)) => Arguments::Delivering(options.task(Some(mutation))),
            None if options.budgets => Arguments::Budgeting(options.task(None)),
            None => Arguments::Delivering(options.task(None)),
        }
    }
}

impl Options {
    fn task<M>(self, mutation: Option<M>) -> Task<M> {
        let Options { seconds, schedules, from, seed, trace, mutations, .. } = self;
        match seed {
            _ if mutations => Task::Mutations { bound: schedules.unwrap_or(2000) },
            Some(seed) => Task::One { seed, trace, mutation },
            None => Task::Many { until: seconds.unwrap_or_default(), schedules, from, mutation },
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
        let many =
            |until, schedules, from, mutation| Arguments::Delivering(Task::Many { until, schedules, from, mutation });
        assert_eq!(read("2.5").unwrap(), many(Duration::from_millis(2500), None, None, None));
        assert_eq!(read("--schedules 7 --from 3").unwrap(), many(Duration::ZERO, Some(7), Some(3), None));
        let one = Arguments::Delivering(Task::One { seed: 9, trace: true, mutation: Some(crate::Mutation::LoseASum) });
        assert_eq!(read("--seed 9 --trace --mutate lose-a-sum").unwrap(), one);
        assert_eq!(read("--mutations").unwrap(), Arguments::Delivering(Task::Mutations { bound: 2000 }));
        let one =
            Arguments::Budgeting(Task::One { seed: 9, trace: false, mutation: Some(budgets::Mutation::TellMore) });
        assert_eq!(read("--seed 9 --mutate tell-more").unwrap(), one);
        assert_eq!(read("--mutations --budgets").unwrap(), Arguments::Budgeting(Task::Mutations { bound: 2000 }));
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
