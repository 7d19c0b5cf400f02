//! `meshmeter doctor`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use collector::doctor::call::Call;
use collector::doctor::code::Severity;
use collector::doctor::collector::Target;
use collector::doctor::{self, Options, print};
use collector::fetch::{self, Fetcher};
use collector::terminal::{self, complain};

use super::args::Reading;
use super::{fail, prefixed};

/// Where Envoy's admin listener and the collector are as they ship.
const ENVOY: &str = "http://127.0.0.1:9901";
const COLLECTOR: &str = "http://127.0.0.1:8080";

/// Looks at running Envoys and a collector, and says what is wrong and what to do about it.
///
/// It reads Envoy's admin listener (server_info, config_dump, clusters, stats) and the collector's /readyz and /metrics, twice,
/// some seconds apart, and changes nothing. With no option it looks at http://127.0.0.1:9901 and http://127.0.0.1:8080.
#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 nothing is wrong; 1 something that was to be examined could not be; 2 wrong use; 3 there are \
                        warnings; 4 there are errors."
)]
pub struct Doctor {
    /// Envoy's admin listener; for several Envoys repeat the option.
    #[arg(long, value_name = "URL", value_parser = fetch::base)]
    envoy: Vec<String>,
    /// The collector.
    #[arg(long, value_name = "URL", value_parser = fetch::base)]
    collector: Option<String>,
    #[command(flatten)]
    reading: Reading,
    /// A configuration of the plugin (JSON): checks it, and compares it with the one that Envoy runs.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Send one call of a few tokens to this URL, which leads through Envoy to a model and ends with the path of its API, such as
    /// http://127.0.0.1:10000/openai/v1/chat/completions. The provider charges it.
    #[arg(long, value_name = "URL", requires = "call_model", value_parser = fetch::base)]
    call: Option<String>,
    /// The model of that call.
    #[arg(long, value_name = "MODEL", requires = "call")]
    call_model: Option<String>,
    /// Environment variable that holds the provider's key for that call.
    #[arg(long, value_name = "NAME", requires = "call")]
    call_key_env: Option<String>,
    /// A header of that call, such as the tenant's.
    #[arg(long, value_name = "NAME: VALUE", requires = "call", value_parser = header)]
    call_header: Vec<(String, String)>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Sentences.
    Text,
    /// JSON.
    Json,
}

pub fn run(args: Doctor) -> ExitCode {
    let format = args.format;
    let options = match args.options() {
        Ok(options) => options,
        Err(problem) => return fail(&prefixed(&problem)),
    };
    let seen = doctor::look(options);
    let findings = doctor::diagnose(&seen);
    let text = match format {
        Format::Text => Ok(print::text(&seen, &findings)),
        Format::Json => print::json(&seen, &findings),
    };
    if let Err(problem) = text.and_then(|text| terminal::print(&text)) {
        return fail(&prefixed(&problem));
    }
    match findings.iter().map(|finding| finding.severity()).max() {
        _ if seen.is_incomplete() => ExitCode::from(1),
        Some(Severity::Error) => ExitCode::from(4),
        Some(Severity::Warning) => ExitCode::from(3),
        Some(Severity::Note) | None => ExitCode::SUCCESS,
    }
}

impl Doctor {
    fn options(self) -> Result<Options, String> {
        let (mut envoys, mut collector) = (self.envoy, self.collector);
        if envoys.is_empty() && collector.is_none() && self.config.is_none() {
            (envoys, collector) = (vec![ENVOY.to_owned()], Some(COLLECTOR.to_owned()));
        }
        let authorities = self.reading.authorities()?;
        let fetcher = Fetcher::new(authorities.as_deref())?;
        let collector = match collector {
            None => None,
            Some(url) => Some(Target { url, token: self.reading.token()?, fetcher: fetcher.clone() }),
        };
        let file = match self.config {
            None => None,
            Some(file) => {
                let name = terminal::file(&file);
                let text = std::fs::read(&file).map_err(|error| format!("{name}: {error}"))?;
                Some((format!("file {name}"), text))
            }
        };
        let key = match &self.call_key_env {
            None => None,
            Some(name) => Some(std::env::var(name).map_err(|_| format!("--call-key-env: {name} is not set"))?),
        };
        let call = match self.call.zip(self.call_model) {
            None => None,
            Some((url, model)) => {
                complain(&format!("meshmeter: sending a test call to {}", terminal::printable(&url)));
                Some(Call { url, model, key, headers: self.call_header })
            }
        };
        Ok(Options { envoys, collector, file, call, fetcher })
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("must be a name, a colon and a value")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
