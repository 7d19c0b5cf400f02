//! A configuration in a file: whether the plugin would take it, and whether it is the one that runs.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::doctor::code::Code;
use crate::doctor::envoy::Envoy;
use crate::doctor::finding::{Findings, some};

/// Checks the file itself. True: the plugin would take it.
pub fn check(text: &[u8], findings: &mut Findings) -> bool {
    match meter::config::parse(text) {
        Ok(_) => true,
        Err(problems) => {
            for problem in problems.to_string().lines() {
                findings.add(Code::ConfigInvalid, problem);
            }
            false
        }
    }
}

/// Compares it with what an Envoy runs.
pub fn compare(text: &[u8], envoy: &Envoy, findings: &mut Findings) {
    let Ok(own) = meter::config::parse(text) else { return };
    for (listener, plugin) in envoy.config.iter().flat_map(|config| config.plugins()) {
        let running = plugin.configuration.as_bytes();
        if meter::config::parse(running).is_ok_and(|running| running != own) {
            let keys = differences(text, running);
            findings.add(Code::ConfigDiffers, format!("listener {}: {}", listener.name, some(&keys)));
        }
    }
}

/// The keys of the first level that differ; what is written out and what is a default are told apart here.
fn differences(one: &[u8], other: &[u8]) -> Vec<String> {
    let read = |text| serde_json::from_slice::<Map<String, Value>>(text).unwrap_or_default();
    let (one, other) = (read(one), read(other));
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    keys.into_iter().filter(|key| one.get(*key) != other.get(*key)).cloned().collect()
}
