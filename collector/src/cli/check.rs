//! `meshmeter check`.

mod doubts;

use std::ffi::OsStr;
use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use collector::terminal::{self, printable};

use super::{Failure, print};
use doubts::{Doubts, doubts};

/// Checks a plugin configuration (JSON), with the code that the plugin itself uses, and for what it takes and is hardly meant: a
/// key that is there twice, a client's header that is trusted, a provider's name that is none. A rule for every call is a warning.
#[derive(Args)]
pub struct Check {
    /// The file, or - for standard input.
    file: PathBuf,
}

pub fn run(args: Check) -> Result<(), Failure> {
    let file = args.file;
    let (name, bytes) = if file.as_os_str() == OsStr::new("-") {
        let mut bytes = Vec::new();
        ("standard input".to_owned(), std::io::stdin().read_to_end(&mut bytes).map(|_| bytes))
    } else {
        (terminal::file(&file), std::fs::read(&file))
    };
    let bytes = bytes.map_err(|error| Failure::Failed(format!("{name}: {error}")))?;
    match meter::config::parse(&bytes) {
        Ok(_) => {
            let Doubts { problems, warnings } = doubts(&bytes);
            for warning in warnings {
                terminal::complain(&format!("{name}: warning: {}", printable(&warning)));
            }
            if problems.is_empty() { print(&format!("{name}: ok\n")) } else { Err(lines(&name, &problems)) }
        }
        Err(_) if other(&bytes).is_some() => {
            Err(Failure::Problems(format!("{name}: {}", other(&bytes).unwrap_or_default())))
        }
        Err(problems) => {
            let problems = problems.to_string();
            Err(lines(&name, &problems.lines().collect::<Vec<_>>()))
        }
    }
}

fn lines(name: &str, problems: &[impl AsRef<str>]) -> Failure {
    let lines = problems.iter().map(|problem| format!("{name}: {}", printable(problem.as_ref())));
    Failure::Problems(lines.collect::<Vec<_>>().join("\n"))
}

/// What a file is, if it is one that has the plugin's configuration in it: the places are told apart by names that the plugin's
/// own configuration does not have.
fn other(bytes: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(bytes);
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["pluginConfig", "extensions.istio.io"]) {
        Some(
            "this is a resource of Istio; checked is the plugin's own configuration: what is under spec.pluginConfig, in a file of \
             its own, as JSON",
        )
    } else if has(&["static_resources", "dynamic_resources", "http_filters", "typed_config", "filter_chains"]) {
        Some(
            "this is a configuration of Envoy (`envoy --mode validate -c FILE` checks it); checked is the plugin's own: the JSON \
             text at configuration.value of the filter envoy.filters.http.wasm, in a file of its own",
        )
    } else {
        None
    }
}
