//! What a person sees on the way.

use std::time::Instant;

use crate::{
    account::{Account, Figure},
    traffic::Traffic,
};

/// How far it is, and what happens now.
pub fn progress(traffic: &Traffic, begun: Instant, what: &str) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("{seconds:6.1} s  {:>7} of {} calls  {what}", traffic.done(), traffic.calls());
}

/// A step.
pub fn note(what: &str) {
    println!("==> {what}");
}

/// What came out.
pub fn account(account: &Account) {
    let Figure { calls, records, acknowledged, duplicates, dropped, recovered, cut, lost, double_charged } =
        account.figure;
    println!(
        "    {calls} calls = {records} records + {cut} cut + {lost} lost; {} more were refused while Envoy loaded the plugin
    {acknowledged} records acknowledged, {duplicates} duplicates recognised, {dropped} dropped, {recovered} recovered \
         from the journal, {double_charged} calls charged twice",
        account.refused
    );
    if !account.found.is_empty() {
        println!("    {}", account.found);
    }
}

/// The first of many things that are wrong.
pub fn list(what: &str, wrong: &[&String]) -> String {
    const SHOWN: usize = 20;
    let mut text = format!("{what} in {} cases:", wrong.len());
    for case in wrong.iter().take(SHOWN) {
        text.push_str("\n  ");
        text.push_str(case);
    }
    if wrong.len() > SHOWN {
        text.push_str("\n  ...");
    }
    text
}
