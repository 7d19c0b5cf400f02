//! `meshmeter prices`: what it prints, what it writes, and its exit codes.

use crate::command::run;
use crate::support::*;

const LIST: &str = r#"{
  "gpt-5": {"input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05, "litellm_provider": "openai", "mode": "chat"},
  "gemini/gemini-2.5-pro": {"input_cost_per_token": 1.25e-06, "litellm_provider": "gemini", "mode": "chat"},
  "bedrock/*/1-month-commitment/cohere.command": {"output_cost_per_second": 0.04, "litellm_provider": "bedrock", "mode": "chat"}
}"#;

#[test]
fn contract_prices_check_sums_up_or_names_the_problems() {
    let dir = Dir::new();
    let good = price_book().to_str().unwrap();
    let bad = dir
        .write("bad.toml", "[[price]]\nprovider = \"p\"\nmodel = \"m\"\nvalid_from = 2026-01-01\ninput_text = 2.5\n");
    let bad = bad.to_str().unwrap();
    let done = run(&["prices", "check", good]);
    assert_eq!((done.code, done.error.as_str()), (0, ""));
    assert_eq!(done.out, format!("{good}: ok: 9 entries, 2 providers, 16 models and patterns\n"));

    let done = run(&["prices", "check", good, bad, "nowhere.toml"]);
    assert_eq!(done.code, 1);
    assert!(done.out.starts_with(good), "{}", done.out);
    let expected = format!(
        "{bad}: price[0] (p m).input_text: must be a decimal number in quotes such as \"2.50\", so that it stays exact\n\
         nowhere.toml: No such file or directory (os error 2)\n"
    );
    assert_eq!(done.error, expected);
    assert_eq!(run(&["prices", "check"]).code, 2);
}

#[test]
fn contract_prices_import_writes_a_book_and_says_what_it_left_out() {
    let dir = Dir::new();
    let list = dir.write("list.json", LIST);
    let (list, out) = (list.to_str().unwrap(), dir.file("prices.toml"));
    let done = run(&["prices", "import", "litellm", list, "-o", out.to_str().unwrap(), "--valid-from", "2026-01-01"]);
    assert_eq!((done.code, done.out.as_str()), (0, ""));
    let left_out =
        "left out, for a commitment, of which a call says nothing (1): bedrock/*/1-month-commitment/cohere.command\n";
    assert_eq!(done.error, format!("{left_out}litellm: 2 of 3 models taken over\n2 entries\n"));
    assert_eq!(run(&["prices", "check", out.to_str().unwrap()]).code, 0);

    let done = run(&["prices", "import", "litellm", list, "--provider", "gcp.gemini"]);
    assert_eq!((done.code, done.error.as_str()), (0, "litellm: 1 of 1 models taken over\n1 entry\n"));
    let expected = "# Made by `meshmeter prices import` from LiteLLM (https://github.com/BerriAI/litellm).\n\
                    # List prices: check them against your provider's price list, and against your own contract, before you bill.\n\n\
                    [[price]]\nprovider = \"gcp.gemini\"\nmodel = \"gemini-2.5-pro\"\nvalid_from = 1970-01-01\ninput_text = \"1.25\"\n";
    assert_eq!(done.out, expected);

    let done = run(&["prices", "import", "genai-prices", list]);
    assert_eq!(done.code, 1);
    assert!(
        done.error.starts_with(&format!("meshmeter: {list}: is not genai-prices' data, version 2: ")),
        "{}",
        done.error
    );
    let done = run(&["prices", "import", "litellm", list, "--provider", "nobody"]);
    assert_eq!((done.code, done.error.as_str()), (1, format!("meshmeter: {list}: no price was taken over\n").as_str()));
}

#[test]
fn contract_prices_explain_says_which_entry_holds_and_why() {
    let dir = Dir::new();
    let mine = dir.write(
        "mine.toml",
        "[[price]]\nprovider = \"azure.ai.openai\"\nmodel = \"gpt-4.1\"\nvalid_from = 2026-01-01\ninput_text = \"2.00\"\n\
         [[price.factor]]\nfactor = \"1.1\"\nregion = \"eu\"\n\
         [[alias]]\nprovider = \"azure.ai.openai\"\nmodel = \"my-deployment\"\nis = \"gpt-4.1\"\n\
         [[adjust]]\non = \"charge\"\ntenant = \"acme\"\nfactor = \"1.5\"\n",
    );
    let other = dir.write(
        "other.toml",
        "[[price]]\nprovider = \"azure.ai.openai\"\nmodel = \"gpt-*\"\nvalid_from = 2026-01-01\ninput_text = \"9\"\n",
    );
    let (mine, other) = (mine.to_str().unwrap(), other.to_str().unwrap());
    let books = ["prices", "explain", "--prices", mine, "--prices", other, "--provider", "azure.ai.openai"];
    let done =
        run(&[&books[..], &["--path-model", "My-Deployment", "--region", "eu", "--at", "2026-05-01T12:30"]].concat());
    assert_eq!((done.code, done.error.as_str()), (0, ""));
    let expected = format!(
        "call of azure.ai.openai, 2026-05-01 12:30 UTC, region=eu\n\
         names tried, the first that an entry names decides: my-deployment, gpt-4.1 (by an alias)\n\
         price books, the first that has an entry for the first of these names that any has decides:\n  \
           {mine} decides: azure.ai.openai gpt-4.1 2026-01-01 x1.1 name=gpt-4.1\n  \
           {other} has azure.ai.openai gpt-* 2026-01-01 name=gpt-4.1, which is not asked\n\
         the entry:\n  it holds from 2026-01-01 without conditions, for gpt-4.1\n  its factor x1.1, region=eu holds\n\
         prices, USD per million tokens or per thousand units:\n  input_text 2.20, in the book 2.00\n"
    );
    assert_eq!(done.out, expected);

    let done = run(&[&books[..], &["--model", "gpt-4.1", "--at", "2025-05-01", "--tenant", "acme"]].concat());
    assert!(done.out.contains("names gpt-4.1 for other days only: from 2026-01-01\n"), "{}", done.out);
    let by = format!("discounts and mark-ups:\n  charge x1.5, by adjust[0] of {mine}\n");
    assert!(done.code == 3 && done.out.contains(&by), "{}", done.out);

    // From an event, with what is charged.
    let event = dir.write("event.json", event(&"a".repeat(32), 1));
    let event = event.to_str().unwrap();
    let done = run(&["prices", "explain", "--prices", price_book().to_str().unwrap(), "--event", event]);
    assert_eq!((done.code, done.error.as_str()), (0, ""), "{}", done.out);
    assert!(done.out.contains("charged:\n  ") && done.out.contains("  in all "), "{}", done.out);

    // Without a price it is not done.
    let of = ["--provider", "aws.bedrock", "--path-model", "us.anthropic.nothing-20260101-v1:0"];
    let unpriced = [&["prices", "explain", "--prices", other][..], &of].concat();
    let done = run(&unpriced);
    assert_eq!((done.code, done.error.as_str()), (3, ""), "{}", done.out);
    assert!(done.out.lines().count() <= 5 && done.out.contains("unpriced: "), "{}", done.out);

    // A warning is no problem.
    let wrong = dir.write("wrong.toml", "[[alias]]\nprovider = \"azure\"\nmodel = \"a\"\nis = \"b\"\n");
    let wrong = wrong.to_str().unwrap();
    let done = run(&["prices", "check", wrong]);
    let warning = format!(
        "warning: {wrong}: provider azure is none that the meter or a price list knows; did you mean azure.ai.openai?\n"
    );
    assert_eq!((done.code, done.error), (0, warning));

    assert_eq!(run(&["prices", "explain"]).code, 2);
    assert_eq!(
        run(&["prices", "explain", "--provider", "p"]).error,
        "meshmeter: no price book: name one with --prices FILE\n"
    );
}
