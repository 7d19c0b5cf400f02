//! `meshmeter hash-key`.

use std::io::BufRead;

use clap::Args;
use meter::identity::HashKey;
use wire::identity::{ALLOWED, tenant};

use super::{Failure, print};

/// Prints the hashes by which the plugin's configuration knows API keys (`tenant[].keys`).
///
/// Reads API keys from standard input, one a line. The secret is that of the plugin: the same environment variable, with the same
/// value. Neither the keys nor the secret are shown.
#[derive(Args)]
pub struct HashKeys {
    /// The environment variable that holds the secret (`tenant[].secret_env`).
    #[arg(long, value_name = "VARIABLE", default_value = "MESHMETER_HASH_KEY")]
    secret_env: String,
    /// Print a JSON object for `keys`, in which all of them are this tenant's.
    #[arg(long)]
    tenant: Option<String>,
}

pub fn run(args: HashKeys) -> Result<(), Failure> {
    let variable = &args.secret_env;
    if args.tenant.as_ref().is_some_and(|name| tenant(name.as_bytes()).is_none()) {
        return Err(Failure::Failed(format!("--tenant: {ALLOWED}")));
    }
    let secret = std::env::var(variable).unwrap_or_default();
    let too_short = || Failure::Failed(format!("{variable} must hold a secret of at least 16 characters"));
    let hash_key = HashKey::new(&secret).ok_or_else(too_short)?;
    let mut hashes = Vec::new();
    for (number, line) in (1..).zip(std::io::stdin().lock().split(b'\n')) {
        let line = line.map_err(|error| Failure::Failed(format!("standard input: {error}")))?;
        let api_key = line.trim_ascii();
        if api_key.is_empty() {
            continue;
        }
        if api_key.iter().any(u8::is_ascii_whitespace) {
            let message =
                format!("standard input, line {number}: has a blank in it; an API key is meant, without Bearer");
            return Err(Failure::Failed(message));
        }
        let too_long = || Failure::Failed(format!("standard input, line {number}: must have at most 512 bytes"));
        hashes.push(hash_key.hash(api_key).ok_or_else(too_long)?.to_string());
    }
    if hashes.is_empty() {
        return Err(Failure::Failed("standard input: has no API key in it".to_owned()));
    }
    match args.tenant {
        None => print(&format!("{}\n", hashes.join("\n"))),
        Some(tenant) => {
            let keys: serde_json::Map<_, _> = hashes.into_iter().map(|hash| (hash, tenant.as_str().into())).collect();
            print(&format!("{}\n", serde_json::Value::Object(keys)))
        }
    }
}
