//! `just siege`: every attack on the real processes, with what it must not change.

use std::process::ExitCode;

use clap::{Parser, builder::PossibleValuesParser};
use e2e::siege::{self, Attack};

/// Makes attacks on real processes (Envoy with the plugin, the collector, a provider), one after the other, and says of each
/// whether what it must not change has held. The last line is `N passed, N failed`; the exit code is 1 if one failed.
#[derive(Parser)]
#[command(name = "siege", bin_name = "just siege")]
struct Arguments {
    /// Only these attacks; without a name all of them, which takes some minutes.
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(siege::attacks().map(|attack| attack.name)))]
    #[arg(hide_possible_values = true)]
    names: Vec<String>,
    /// The attacks, and what each must not change.
    #[arg(long)]
    list: bool,
    /// Only those that are a part of the tests.
    #[arg(long)]
    short: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { names, list, short } = Arguments::parse();
    if list {
        for attack in siege::attacks() {
            println!("{:32} {}", attack.name, attack.keeps);
        }
        return ExitCode::SUCCESS;
    }
    let is_meant = |attack: &Attack| {
        (names.is_empty() || names.iter().any(|name| name == attack.name)) && (attack.short || !short)
    };
    if siege::lay(siege::attacks().filter(is_meant)).await == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
