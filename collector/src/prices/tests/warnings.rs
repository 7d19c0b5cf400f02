//! What is warned of, and what is not.

use super::*;

fn warnings(books: &[&str]) -> Vec<String> {
    let mut layers: Vec<(Layer, Read)> = Vec::new();
    for (number, text) in books.iter().enumerate() {
        let name = format!("{number}.toml");
        layers.push((Layer { name, ..Layer::default() }, read::parse(text).unwrap()));
    }
    // The last one stands for the built-in book.
    layers.last_mut().unwrap().0.built_in = Some("2026-11-28".to_owned());
    PriceBook::of(layers).unwrap().warnings()
}

fn entry(provider: &str, model: &str, more: &str) -> String {
    format!("[[price]]\nprovider = \"{provider}\"\nmodel = \"{model}\"\n{more}\n")
}

const LIST: &str = "valid_from = 2026-01-01\ninput_text = \"3\"\ncache_read = \"0.3\"\ncache_write_5m = \"3.75\"";

#[test]
fn contract_an_entry_without_a_price_of_a_cache_that_it_hides_is_warned_of() {
    let list = [
        entry("anthropic", "claude-x*", LIST),
        entry("anthropic", "claude-y", "valid_from = 2026-01-01\ninput_text = \"1\""),
    ]
    .concat();
    let mine = |model: &str, more: &str| entry("anthropic", model, more);
    let both = "has no cache_read and no cache_write_5m, which the entry in a later book has that it stands in front of; what the cache \
                served or took is charged at input_text, as a fallback";
    let from = "valid_from = 2026-02-01\ninput_text = \"2\"\n";
    let cases = [
        (mine("claude-x", from), Some(both)),
        (mine("claude-x-20260101", from), Some(both)),
        (mine("claude-*", from), Some(both)),
        (mine("claude-x", &format!("{from}cache_read = \"0.2\"")), Some("has no cache_write_5m,")),
        (mine("claude-x", &format!("{from}cache_read = \"0.2\"\ncache_write_5m = \"2\"")), None),
        // The list has none either, or nothing of that name, or nothing of those days.
        (mine("claude-y", from), None),
        (mine("claude-z", from), None),
        (mine("claude-x", "valid_from = 2025-01-01\nvalid_to = 2025-12-31\ninput_text = \"2\""), None),
        // What a region does not name, the entry behind it says.
        (
            [
                mine("claude-x", &format!("{from}region = \"eu\"")),
                mine("claude-x", &format!("{from}cache_read = \"1\"\ncache_write_5m = \"1\"")),
            ]
            .concat(),
            None,
        ),
    ];
    for (text, expected) in cases {
        let found = warnings(&[&text, &list]);
        assert_eq!(found.len(), usize::from(expected.is_some()), "{text}{found:?}");
        if let Some(expected) = expected {
            assert!(found[0].starts_with("0.toml: anthropic claude-") && found[0].contains(expected), "{found:?}");
        }
    }
}

#[test]
fn contract_providers_that_nobody_has_and_aliases_that_lead_nowhere_are_warned_of() {
    let list = [entry("azure.ai.openai", "gpt-4.1*", LIST), entry("lists_only", "m", LIST)].concat();
    let alias = |provider: &str, model: &str, is: &str| {
        format!("[[alias]]\nprovider = \"{provider}\"\nmodel = \"{model}\"\nis = \"{is}\"\n")
    };
    let mine = [
        entry("azure", "gpt-4.1", LIST),
        entry("lists_only", "m", LIST),
        entry("openai_compatible", "m", LIST),
        alias("azure.ai.openai", "ours", "prod"),
        alias("azure.ai.openai", "prod", "gpt-4.1"),
        alias("azure.ai.openai", "theirs", "gpt-9"),
        "[provider_cost]\nopenruter = \"prefer\"\n".to_owned(),
        "[[adjust]]\non = \"cost\"\nfactor = \"2\"\nprovider = [\"bedrock\", \"gcp.*\"]\n".to_owned(),
    ]
    .concat();
    let unknown = "is none that the meter or a price list knows; did you mean";
    assert_eq!(
        warnings(&[&mine, &list]),
        [
            format!("0.toml: provider azure {unknown} azure.ai.openai?"),
            format!("0.toml: provider bedrock {unknown} aws.bedrock?"),
            format!("provider_cost: provider openruter {unknown} openrouter?"),
            "0.toml: alias[2] (azure.ai.openai theirs).is: no book has an entry of azure.ai.openai for gpt-9"
                .to_owned(),
        ]
    );
    assert_eq!(warnings(&[&list]), [""; 0]);
}

#[test]
fn contract_the_built_in_book_is_not_warned_of() {
    let book = PriceBook::built_in().unwrap();
    assert_eq!(book.warnings(), [""; 0]);
}

#[test]
fn contract_an_adjustment_may_be_for_all_tenants_but_some() {
    let cases: [(&str, &[&str], &[&str]); 4] = [
        ("\"!acme\"", &["beta", "acme/ml", "acme2"], &["acme"]),
        ("\"!acme/*\"", &["beta", "acme"], &["acme/ml"]),
        ("[\"acme/*\", \"!acme/ml\"]", &["acme/x", "acme/ml/a"], &["acme/ml", "acme", "beta"]),
        ("[\"!acme\", \"!beta\"]", &["acme/x", "gamma"], &["acme", "beta"]),
    ];
    for (tenants, meant, others) in cases {
        let adjust = format!("[[adjust]]\non = \"charge\"\nfactor = \"2\"\ntenant = {tenants}\n");
        let book = PriceBook::parse(&(entry_of_m("input_text = \"1\"") + &adjust)).unwrap();
        for (tenant, expected) in
            meant.iter().map(|tenant| (tenant, "2.00")).chain(others.iter().map(|tenant| (tenant, "1.00")))
        {
            let tenant: &'static str = tenant.to_string().leak();
            let charge = rate(&book, NOON, MILLION, |call| call.tenant = tenant).charge();
            assert_eq!(charge.to_string(), expected, "{tenants} {tenant}");
        }
    }
    // A tenant and everybody else exclude each other, so that each may have as many decimals as an amount holds.
    let books = |one: &str, two: &str| {
        let table = |tenant: &str, factor: &str| {
            format!("[[adjust]]\non = \"charge\"\nfactor = \"{factor}\"\ntenant = {tenant}\n")
        };
        PriceBook::parse(&[table(one, "1.1234"), table(two, "1.4321"), table("\"zeta\"", "1.12")].concat())
    };
    for (one, two, is_allowed) in [
        ("\"acme/*\"", "\"!acme/*\"", true),
        ("\"acme/ml\"", "\"!acme/*\"", true),
        ("[\"a\", \"b\"]", "[\"!a\", \"!b\"]", true),
        ("[\"acme/*\", \"!acme/ml\"]", "\"acme/ml\"", true),
        ("\"acme/*\"", "\"!acme/ml\"", false),
        ("[\"a\", \"b\"]", "\"!a\"", false),
        ("\"!a\"", "\"!b\"", false),
    ] {
        assert_eq!(books(one, two).is_ok(), is_allowed, "{one} {two}");
    }
}

#[test]
fn contract_explain_names_the_book_of_an_adjustment_and_what_is_unpriced() {
    let text = entry_of_m("input_text = \"1\"") + "[[adjust]]\non = \"charge\"\nfactor = \"2\"\n";
    let layer = Layer { name: "mine.toml".to_owned(), ..Layer::default() };
    let book = PriceBook::of(vec![(layer, read::parse(&text).unwrap())]).unwrap();
    let counts = usage(MILLION);
    let explain =
        |model: &str, usage: &Usage| book.explain(&RatingInput::new("p", model, NOON.parse().unwrap(), usage));
    let known = explain("m", &counts);
    assert!(known.is_priced && known.text.contains("  charge x2, by adjust[0] of mine.toml\n"), "{}", known.text);
    let unknown = explain("other", &counts);
    assert!(!unknown.is_priced, "{}", unknown.text);
    assert!(
        unknown.text.ends_with("unpriced: no book has an entry for this call; its cost is unknown\n"),
        "{}",
        unknown.text
    );
    let none = Usage::default();
    assert!(explain("m", &none).is_priced && !explain("other", &none).is_priced);
    // A part of it has no price.
    let part = explain("m", &usage(&[(Class::InputText, 1), (Class::WebSearches, 1)]));
    assert!(!part.is_priced && part.text.contains("unpriced: its cost is unknown"), "{}", part.text);
    let provider_says = RatingInput {
        provider_cost_nano_usd: Some(5),
        ..RatingInput::new("p", "other", NOON.parse().unwrap(), &counts)
    };
    assert!(book.explain(&provider_says).is_priced);
}
