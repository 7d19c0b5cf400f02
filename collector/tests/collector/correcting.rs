//! `meshmeter correct`: who is charged, and how much.

use crate::auditing::{filled, run};
use crate::support::*;

#[test]
fn contract_a_call_that_is_charged_to_another_costs_what_the_books_say_for_him() {
    let dir = Dir::new();
    let adjust = |tenant: &str, factor: &str| {
        format!("[[adjust]]\non = \"charge\"\nfactor = \"{factor}\"\ntenant = \"{tenant}\"\n")
    };
    let list = "[[price]]\nprovider = \"openai\"\nmodel = \"gpt-4.1\"\nvalid_from = 2026-01-01\ninput_text = \"2\"\noutput_text = \"8\"\n";
    let base = dir.write("base.toml", list);
    let mine = dir.write("mine.toml", [adjust("acme", "0.5"), adjust("beta", "3")].concat());
    let [base, mine] = [base.to_str().unwrap(), mine.to_str().unwrap()];
    let layers = ["--prices", mine, "--prices", base];
    let server = filled(&dir, &layers);
    let call = |number: u64| format!("{}-{number}", emitter(1));
    let correct = |number: u64, more: &[&str]| {
        run(&dir, &[&["correct", &call(number), "--reason", "wrong header"], more, &layers].concat())
    };
    // List price 0.000022 USD: acme pays half of it, beta three times as much.
    let (code, out, error) = correct(1, &["--tenant", "acme"]);
    let already = "acme is charged for this call already, 0.000011 USD: nothing was changed\n";
    assert_eq!((code, out.as_str(), error.as_str()), (0, already, ""));
    assert_eq!(dir.number("SELECT count(*) FROM ledger"), 5, "nothing was entered");
    let (code, out, error) = correct(1, &["--tenant", "beta"]);
    assert!(code == 0 && out.ends_with("is reversed, 0.000011 USD; beta is charged 0.000066 USD\n"), "{out}{error}");
    let (_, out, _) = correct(2, &["--tenant", "beta", "--keep-charge"]);
    assert!(out.ends_with("is reversed, 0.000011 USD; beta is charged 0.000011 USD\n"), "{out}");
    // What nobody is charged for any more, again: as before for the same tenant, by the books for another.
    for (number, again, charge) in [
        (3, &["--charge"] as &[&str], "0.000011"),
        (4, &["--charge", "--tenant", "beta"], "0.000066"),
        (5, &["--charge", "--tenant", "beta", "--keep-charge"], "0.000011"),
    ] {
        assert_eq!(correct(number, &["--void"]).0, 0);
        let (code, out, error) = correct(number, again);
        assert!(code == 0 && out.ends_with(&format!(", {charge} USD\n")), "{again:?}: {out}{error}");
    }
    let report = server.get("/v1/report?by=tenant", Some(READ)).json();
    let costs =
        |at: usize| [&report["lines"][at]["tenant"], &report["lines"][at]["charge"], &report["lines"][at]["cost"]];
    assert_eq!(costs(0), ["acme", "0.000011", "0.000022"]);
    assert_eq!(costs(1), ["beta", "0.000154", "0.000088"]);
    let (_, out, _) = run(&dir, &[&["rerate", "--dry-run"], &layers[..]].concat());
    assert!(out.ends_with("5 calls, 2 would be re-rated, difference 0.00011 USD\n"), "only what was kept: {out}");
    assert_eq!(correct(1, &["--void", "--keep-charge"]).0, 2);
    assert_eq!(run(&dir, &["verify"]).0, 0);
}
