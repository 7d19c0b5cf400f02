//! `just siege`: every attack on the real processes, with what it must not change.

use std::process::ExitCode;

use e2e::siege::{self, Attack};

const HELP: &str = "\
Usage: just siege [NAME…]

Makes attacks on real processes (Envoy with the plugin, the collector, a provider), one after the other, and says of each
whether what it must not change has held. Without a name all of them, which takes some minutes. The last line is
`N passed, N failed`; the exit code is 1 if one failed.

  --list    the attacks, and what each must not change
  --short   only those that are a part of the tests";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wants = |option: &str| arguments.iter().any(|argument| argument == option);
    if wants("--help") || wants("-h") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    if wants("--list") {
        for attack in siege::attacks() {
            println!("{:32} {}", attack.name, attack.keeps);
        }
        return ExitCode::SUCCESS;
    }
    let names: Vec<&String> = arguments.iter().filter(|argument| *argument != "--short").collect();
    if let Some(unknown) = names.iter().find(|name| !siege::attacks().any(|attack| attack.name == name.as_str())) {
        eprintln!("siege: there is no attack {unknown}; --list names them");
        return ExitCode::from(2);
    }
    let meant = |attack: &Attack| {
        (names.is_empty() || names.iter().any(|name| *name == attack.name)) && (attack.short || !wants("--short"))
    };
    if siege::lay(siege::attacks().filter(meant)).await == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
