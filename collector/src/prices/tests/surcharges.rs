//! What is added to the prices of other entries.

use super::*;

const ROUTER: &str = r#"
[[price]]
provider = "p"
model = ["m", "n"]
valid_from = 2026-01-01
input_text = "2.00"
cache_read = "0.50"
output_text = "8.00"
[[price.factor]]
factor = "0.5"
service_tier = "batch"

[[surcharge]]
provider = "p"
model = ["*router*", "!my-router"]
valid_from = 2026-02-01
valid_to = 2026-02-28
input_text = "0.14"
"#;

const COUNTS: &[(Class, u64)] = &[
    (Class::InputText, 1_000_000),
    (Class::CacheRead, 1_000_000),
    (Class::InputAudio, 1_000_000),
    (Class::OutputText, 1),
];

#[test]
fn deterministic_a_surcharge_is_added_to_all_input_of_whatever_entry_holds() {
    let book = PriceBook::parse(ROUTER).unwrap();
    let rated = |at: &str, path: &'static str| rate(&book, at, COUNTS, |call| call.path_model = Some(path));
    let routed = rated(NOON, "Router-1");
    assert_eq!(lines(&routed), "2.14 + 2.14 fallback + 0.64 + 0.000008");
    assert_eq!(routed.entry.as_deref(), Some("p m 2026-01-01 surcharge=*router*,!my-router"));
    let without = "2.00 + 2.00 fallback + 0.50 + 0.000008";
    for (at, path) in
        [(NOON, "other"), (NOON, "my-router"), ("2026-03-01T00:00", "router"), ("2026-01-31T23:59", "router")]
    {
        let rating = rated(at, path);
        assert_eq!(
            (lines(&rating).as_str(), rating.entry.as_deref()),
            (without, Some("p m 2026-01-01")),
            "{at} {path}"
        );
    }
    // The factor is of the model's price, and the name may stand in the request.
    let batch = rate(&book, NOON, MILLION, |call| {
        (call.service_tier, call.request_model) = (Some("batch"), Some("router"));
    });
    assert_eq!(lines(&batch), "1.14");
    // Of a model without a price nobody knows what the call costs.
    let unknown =
        rate(&book, NOON, MILLION, |call| (call.response_model, call.path_model) = (Some("x"), Some("router")));
    assert_eq!(lines(&unknown), "unpriced");
    let other = rate(&book, NOON, MILLION, |call| (call.provider, call.path_model) = ("q", Some("router")));
    assert_eq!(lines(&other), "unpriced");
}

#[test]
fn deterministic_the_first_book_that_has_a_surcharge_decides() {
    let file = |name: &str, text: &str| {
        let path = std::env::temp_dir().join(format!("meshmeter-surcharge-{}-{name}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    };
    let own = |price: &str| {
        format!(
            "[[surcharge]]\nprovider = \"p\"\nmodel = \"router-1\"\nvalid_from = 2026-01-01\ninput_text = \"{price}\"\n"
        )
    };
    let lists = file("lists", ROUTER);
    // Two of one book add up; one of nothing takes the other book's away.
    for (text, expected) in [(own("1"), "3.00"), (own("0"), "2.00"), (own("1") + &own("0.25"), "3.25")] {
        let own = file("own", &text);
        let book = PriceBook::layers(&[&own, &lists], false).unwrap();
        let rating = rate(&book, NOON, MILLION, |call| call.path_model = Some("router-1"));
        assert_eq!(lines(&rating), expected);
        let rating = rate(&book, NOON, MILLION, |call| call.path_model = Some("router-2"));
        assert_eq!(lines(&rating), "2.14");
        std::fs::remove_file(own).unwrap();
    }
    std::fs::remove_file(lists).unwrap();
}

#[test]
fn contract_a_surcharge_is_explained_and_one_that_does_not_fit_makes_the_price_unknown() {
    let book = PriceBook::parse(ROUTER).unwrap();
    let usage = usage(MILLION);
    let call = RatingInput { path_model: Some("router"), ..RatingInput::new("p", "m", NOON.parse().unwrap(), &usage) };
    let text = book.explain(&call).text;
    for line in [
        "added to its prices:\n  for *router*,!my-router from 2026-02-01 to 2026-02-28: input_text 0.14\n",
        "  input_text 2.14, in the book 2.00\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!book.explain(&RatingInput { path_model: None, ..call }).text.contains("added"));
    let book = PriceBook::parse(&ROUTER.replace("0.14", "1000000")).unwrap();
    assert_eq!(lines(&book.rate(&call)), "unpriced");
}
