//! `just chaos` in short: every kind of fault once, and both control runs.

use std::process::{Command, Stdio};

use e2e::Result;
use serde_json::Value;

#[test]
fn race_chaos_loses_nothing_and_charges_nothing_twice() -> Result<()> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_chaos")).args(["2000", "--seed", "5"]).stderr(Stdio::inherit()).output()?;
    let said = String::from_utf8(output.stdout)?;
    assert!(output.status.success(), "{}:\n{said}", output.status);
    let last = said.lines().last().unwrap_or_default();
    let figure: Value = serde_json::from_str(last)?;
    let keys =
        ["calls", "records", "acknowledged", "duplicates", "dropped", "recovered", "cut", "lost", "double_charged"];
    let counts: Vec<u64> = keys.iter().filter_map(|key| figure[key].as_u64()).collect();
    assert_eq!((counts.len(), figure.as_object().map(|fields| fields.len())), (keys.len(), Some(keys.len())), "{last}");
    let [calls, records, acknowledged, duplicates, dropped, recovered, cut, lost, double_charged] = counts[..] else {
        return Err(last.into());
    };
    assert!(calls >= 2000 && calls == records + cut && lost == 0 && double_charged == 0, "{last}");
    // An experiment in which nothing happened proves nothing.
    assert!(acknowledged > 0 && duplicates > 0 && dropped > 0 && recovered > 0, "{last}");
    Ok(())
}
