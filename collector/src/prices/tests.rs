use wire::usage::{Class, Kind, Usage};

use super::*;

mod amounts;
mod books;
mod conditions;
mod docs;
mod laws;
mod rating;
mod speed;
mod surcharges;
mod warnings;

fn date(text: &str) -> Date {
    day(text).unwrap()
}

fn usage(counts: &[(Class, u64)]) -> Usage {
    let mut usage = Usage::default();
    counts.iter().for_each(|(class, count)| usage.set(*class, Some(*count)));
    usage
}

fn rated(
    book: &PriceBook,
    provider: &str,
    model: &str,
    on: &str,
    tier: Option<&str>,
    counts: &[(Class, u64)],
) -> Rating {
    let usage = usage(counts);
    book.rate(&RatingInput {
        service_tier: tier,
        ..RatingInput::new(provider, model, date(on).at(12, 0, 0, 0), &usage)
    })
}

/// An entry of a model `m` of a provider `p`.
fn entry_of_m(more: &str) -> String {
    format!("[[price]]\nprovider = \"p\"\nmodel = \"m\"\nvalid_from = 2026-01-01\n{more}\n")
}

fn rate<'a>(book: &PriceBook, at: &str, counts: &[(Class, u64)], change: impl FnOnce(&mut RatingInput<'a>)) -> Rating {
    // What the change borrows outlives the counts otherwise.
    let usage = Box::leak(Box::new(usage(counts)));
    let mut call: RatingInput<'a> = RatingInput::new("p", "m", at.parse().unwrap(), usage);
    change(&mut call);
    book.rate(&call)
}

const NOON: &str = "2026-02-02T12:00";
const MILLION: &[(Class, u64)] = &[(Class::InputText, 1_000_000)];

fn lines(rating: &Rating) -> String {
    rating.lines.iter().map(shown).collect::<Vec<_>>().join(" + ")
}

fn shown(line: &Line) -> String {
    match line.rated {
        Rated::Priced { charge, .. } => charge.to_string(),
        Rated::Fallback { charge, .. } => format!("{charge} fallback"),
        Rated::Unpriced => "unpriced".to_owned(),
    }
}

fn cost(book: &PriceBook, provider: &str, model: &str, on: &str, class: Class, quantity: u64) -> String {
    let rating = rated(book, provider, model, on, None, &[(class, quantity)]);
    shown(&rating.lines[0])
}

const BOOK: &str = r#"
[[price]]
provider = "openai"
model = ["gpt-4.1", "gpt-4.1-20*"]
valid_from = 2025-04-14
valid_to = 2025-12-31
input_text = "2.00"
cache_read = "0.50"
output_text = "8.00"
web_searches = "10.00"

[[price]]
provider = "openai"
model = ["gpt-4.1", "gpt-4.1-20*"]
valid_from = "2026-01-01"
input_text = "1.999999999"

[[price]]
provider = "openai"
model = "gpt-4.1-mini*"
valid_from = 2025-04-14
input_text = "0.40"

[[price]]
provider = "anthropic"
model = "claude-sonnet-4-5*"
valid_from = 2025-09-29
input_text = "3.00"
cache_write_5m = "3.75"
output_text = "15.00"
"#;

#[test]
fn deterministic_the_day_the_name_and_the_class_decide() {
    use Class::*;
    let book = PriceBook::parse(BOOK).unwrap();
    let cases = [
        ("openai", "gpt-4.1", "2025-04-14", InputText, 1_000_000, "2.00"),
        ("openai", "gpt-4.1", "2025-04-13", InputText, 1_000_000, "unpriced"),
        ("openai", "gpt-4.1", "2025-12-31", InputText, 7, "0.000014"),
        ("openai", "gpt-4.1", "2026-01-01", InputText, 7, "0.000013999999993"),
        ("openai", "gpt-4.1-2025-04-14", "2025-12-31", CacheRead, 1, "0.0000005"),
        ("openai", "gpt-4.1-mini-2025-04-14", "2026-01-01", InputText, 5, "0.000002"),
        ("openai", "gpt-4.1-nano", "2026-01-01", InputText, 5, "unpriced"),
        ("openai_compatible", "gpt-4.1", "2026-01-01", InputText, 5, "unpriced"),
        ("openai", "gpt-4.1", "2025-05-01", WebSearches, 3, "0.03"),
        ("openai", "gpt-4.1", "2026-05-01", WebSearches, 3, "unpriced"),
        ("openai", "gpt-4.1", "2026-05-01", OutputText, 3, "unpriced"),
        ("openai", "gpt-4.1", "2025-05-01", OutputReasoning, 10, "0.00008 fallback"),
        ("openai", "gpt-4.1", "2025-05-01", OutputAudio, 10, "0.00008 fallback"),
        ("openai", "gpt-4.1", "2025-05-01", InputAudio, 10, "0.00002 fallback"),
        ("openai", "gpt-4.1", "2025-05-01", InputImage, 10, "0.00002 fallback"),
        ("openai", "gpt-4.1", "2025-05-01", CacheWrite1h, 10, "0.00002 fallback"),
        ("anthropic", "claude-sonnet-4-5-20250929", "2026-05-01", CacheWrite1h, 100, "0.000375 fallback"),
        ("anthropic", "claude-sonnet-4-5-20250929", "2026-05-01", CacheWriteOther, 100, "0.000375 fallback"),
        ("anthropic", "claude-sonnet-4-5-20250929", "2026-05-01", CacheRead, 100, "0.0003 fallback"),
        ("anthropic", "claude-sonnet-4-5", "2026-05-01", CacheWrite5m, 1 << 40, "4123168.60416"),
    ];
    for (provider, model, on, class, quantity, expected) in cases {
        assert_eq!(cost(&book, provider, model, on, class, quantity), expected, "{model} {on} {class:?}");
    }
}

#[test]
fn deterministic_the_closest_name_wins_in_any_order() {
    let entry = |model: &str, price: &str| {
        format!("[[price]]\nprovider = \"p\"\nmodel = \"{model}\"\nvalid_from = 2026-01-01\ninput_text = \"{price}\"\n")
    };
    let entries = [entry("*", "1"), entry("m*", "2"), entry("m-large*", "3"), entry("m-large", "4")];
    let forward = entries.concat();
    let backward = entries.iter().rev().cloned().collect::<String>();
    // Of patterns that spell out as much: fewer stars, then a star at the end alone, then the alphabet. A digit is no star.
    let ties = [("x-y*", "5"), ("x*-y", "6"), ("*x-y", "7"), ("x-*y*", "8"), ("x-#y", "9")];
    let ties = ties.map(|(model, price)| entry(model, price));
    let forward = forward + &ties.concat();
    let backward = ties.iter().rev().cloned().collect::<String>() + &backward;
    for text in [forward, backward] {
        let book = PriceBook::parse(&text).unwrap();
        let models = [
            ("other", "1.00"),
            ("m", "2.00"),
            ("m-large-2", "3.00"),
            ("m-large", "4.00"),
            ("", "1.00"),
            ("x-y", "5.00"),
            ("x-y-x-y", "5.00"),
            ("xx-y", "7.00"),
            ("x-x-y", "7.00"),
            ("x2-y", "6.00"),
            ("x--y-", "8.00"),
            ("x-2y", "9.00"),
        ];
        for (model, expected) in models {
            assert_eq!(cost(&book, "p", model, "2026-01-01", Class::InputText, 1_000_000), expected, "{model}");
        }
    }
}

#[test]
fn contract_a_wrong_price_book_names_entry_field_and_what_is_allowed() {
    let entry = "[[price]]\nprovider = \"p\"\nmodel = \"m\"\nvalid_from = 2026-01-01\n";
    let charged = Class::ALL.iter().filter(|class| class.kind() != wire::usage::Kind::Information);
    let classes = charged.map(|class| class.token_type()).collect::<Vec<_>>().join(", ");
    let cases = [
        ("price = 1".to_owned(), "price: must be a list of tables, [[price]]".to_owned()),
        ("[prices]".to_owned(), "prices: is not known; a price book has [[price]], [[surcharge]], [[currency]], [[alias]], [provider_cost], [[adjust]] tables".to_owned()),
        ("price = [1]".to_owned(), "price[0]: must be a table, [[price]]".to_owned()),
        (
            "[[surcharge]]\nprovider = \"p\"\nmodel = \"m\"\ninput_text = \"1\"".to_owned(),
            "surcharge[0] (p m).valid_from: is missing; the first day of these prices, YYYY-MM-DD".to_owned(),
        ),
        (entry.to_owned(), format!("price[0] (p m): names no price; allowed are {classes}")),
        (
            format!("{entry}input_text = 2.5"),
            "price[0] (p m).input_text: must be a decimal number in quotes such as \"2.50\", so that it stays exact".to_owned(),
        ),
        (format!("{entry}input_text = \"0.1234567891234\""), "price[0] (p m).input_text: must have at most 12 decimals".to_owned()),
        (
            format!("{entry}input_tokens = \"1\"\ninput_text = \"1\""),
            format!(
                "price[0] (p m).input_tokens: is not known; did you mean input_text? allowed are provider, model, valid_from, valid_to, currency, context, factor, service_tier, speed, region, \
                 inference_geo, size, quality, search_context, search_tool, operation, hours_utc, weekdays and the prices {classes}"
            ),
        ),
        (
            format!("{entry}valid_to = 2025-12-31\ninput_text = \"1\""),
            "price[0] (p m).valid_to: must not be before valid_from; it is the last day of these prices".to_owned(),
        ),
        (
            format!("{entry}valid_to = \"2026-02-30\"\ninput_text = \"1\""),
            "price[0] (p m).valid_to: must be a date such as 2026-01-31".to_owned(),
        ),
        (
            format!("{entry}valid_to = 2026-02-03T00:00:00Z\ninput_text = \"1\""),
            "price[0] (p m).valid_to: must be a date such as 2026-01-31".to_owned(),
        ),
        (
            "[[price]]\nmodel = \"\"\ninput_text = \"1\"".to_owned(),
            "price[0].provider: is missing; the provider as it stands in the report, such as \"openai\"\n\
             price[0].model: must be the name of a model or a list of names; in a name * stands for any text and # for a digit, and a name after ! is one that is not meant\n\
             price[0].valid_from: is missing; the first day of these prices, YYYY-MM-DD"
                .to_owned(),
        ),
        (
            format!("{entry}service_tier = [\"flex\", \"standard\", 1]\ninput_text = \"1\""),
            "price[0] (p m).service_tier: must be left out for the standard tier, which every entry without one is for\n\
             price[0] (p m).service_tier: must be the name of a service tier such as \"flex\" or a list of names"
                .to_owned(),
        ),
        (
            format!("{entry}input_text = \"1\"\ncontext = 1"),
            "price[0] (p m).context: must be a list of tables, [[price.context]]".to_owned(),
        ),
        (
            format!(
                "{entry}input_text = \"1\"\n[[price.context]]\nabove = 0\n[[price.context]]\nabove = 5\n\
                 [[price.context]]\nabove = 5\ninput_text = \"1\"\n[[price.context]]\nabove = 6\nupto = 7\noutput_text = 1.5\n"
            ),
            format!(
                "price[0] (p m).context[0].above: must be a whole number of tokens: calls with more input than that, cached or not, have these prices\n\
                 price[0] (p m).context[1]: names no price; allowed are {classes}\n\
                 price[0] (p m).context[2].above: must differ from the bounds of the other contexts\n\
                 price[0] (p m).context[3].upto: is not known; allowed are above and the prices {classes}\n\
                 price[0] (p m).context[3].output_text: must be a decimal number in quotes such as \"2.50\", so that it stays exact"
            ),
        ),
        (
            format!(
                "{entry}service_tier = [\"flex\", \"batch\"]\ninput_text = \"1\"\n{entry}input_text = \"1\"\n\
                 {entry}service_tier = \"Batch\"\ninput_text = \"1\"\n"
            ),
            "price[2] (p m).valid_from: overlaps price[0] (p m) for m; both can hold for a call, \
             end the earlier one with valid_to or give one of them another condition"
                .to_owned(),
        ),
        (
            format!("{entry}input_text = \"1\"\n{entry}output_text = \"1\"\n"),
            "price[1] (p m).valid_from: overlaps price[0] (p m) for m; at most one entry may be valid on a day, \
             end the earlier one with valid_to"
                .to_owned(),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(PriceBook::parse(&text).unwrap_err().to_string(), expected, "{text}");
    }
    let broken = PriceBook::parse("[[price]]\nprovider = \"p\nmodel = 1").unwrap_err().to_string();
    assert!(broken.starts_with("line 2: is not readable as TOML: "), "{broken}");
}

#[test]
fn contract_the_example_price_book_is_valid_and_prices_dated_snapshots() {
    let book = PriceBook::parse(include_str!("../../prices/example.toml")).unwrap();
    let models = [
        ("openai", "gpt-4.1", "2.00"),
        ("openai", "gpt-4.1-2025-04-14", "2.00"),
        ("openai", "gpt-4.1-mini-2025-04-14", "0.40"),
        ("openai", "gpt-4o-2024-08-06", "2.50"),
        ("openai", "gpt-4o-mini-2024-07-18", "0.15"),
        ("openai", "o4-mini-2025-04-16", "1.10"),
        ("openai", "gpt-5-2025-08-07", "1.25"),
        ("openai", "gpt-5-mini-2025-08-07", "unpriced"),
        // A million tokens are a large context.
        ("anthropic", "claude-sonnet-4-5-20250929", "6.00"),
        ("anthropic", "claude-opus-4-1-20250805", "15.00"),
        ("anthropic", "claude-haiku-4-5-20251001", "1.00"),
    ];
    for (provider, model, expected) in models {
        assert_eq!(cost(&book, provider, model, "2026-06-01", Class::InputText, 1_000_000), expected, "{model}");
    }
}

#[test]
fn deterministic_a_rating_names_its_entry_and_has_a_line_for_what_is_charged() {
    let book = PriceBook::parse(BOOK).unwrap();
    let counts = [
        (Class::InputText, 1_000),
        (Class::CacheRead, 0),
        (Class::OutputText, 10),
        (Class::OutputReasoning, 5),
        (Class::CacheReadUnbilled, 7),
        (Class::SearchUnits, 2),
    ];
    let rating = rated(&book, "openai", "gpt-4.1-2025-04-14", "2025-05-01", None, &counts);
    assert_eq!(rating.entry.as_deref(), Some("openai gpt-4.1-20* 2025-04-14"));
    let classes: Vec<Class> = rating.lines.iter().map(|line| line.class).collect();
    assert_eq!(classes, [Class::InputText, Class::OutputText, Class::OutputReasoning, Class::SearchUnits]);
    assert_eq!(rating.charge().to_string(), "0.00212");
    assert_eq!(
        rating.to_json(),
        r#"{"entry":"openai gpt-4.1-20* 2025-04-14","lines":[["input_text_tokens",1000,"2.00","0.002"],["output_text_tokens",10,"8.00","0.00008"],["output_reasoning_tokens",5,"8.00","0.00004","fallback"],["search_units",2]]}"#
    );
    assert_eq!(Rating::from_json(&rating.to_json()), Ok(rating));

    let unknown = rated(&book, "openai", "gpt-9", "2025-05-01", None, &counts);
    assert_eq!((unknown.entry, unknown.lines.len()), (None, 4));
    assert!(unknown.lines.iter().all(|line| line.rated == Rated::Unpriced));
    assert_eq!(rated(&book, "openai", "gpt-4.1", "2025-05-01", None, &[]).lines, []);
}

#[test]
fn contract_a_file_that_is_cut_off_is_no_book_but_between_two_entries() {
    let entry = |model: &str| {
        format!(
            "[[price]]\nprovider = \"p\"\nmodel = \"{model}\"\nvalid_from = 2026-01-01\ninput_text = \"1\"\n\
             [[price.context]]\ninput_text = \"2\"\nabove = 200000\n"
        )
    };
    let (file, whole) = (
        std::env::temp_dir().join(format!("meshmeter-book-{}.toml", std::process::id())),
        [entry("a"), entry("b")].concat(),
    );
    let load = |text: &str| {
        std::fs::write(&file, text).unwrap();
        PriceBook::load(&file).map(|book| book.layers[0].entries.len())
    };
    let read: Vec<usize> = (0..=whole.len()).filter(|length| load(&whole[..*length]).is_ok()).collect();
    // Nothing tells that there were to be contexts, or another entry.
    let short = entry("a").find("[[price.context]]").unwrap();
    assert_eq!(read, [short, entry("a").len(), entry("a").len() + short, whole.len()]);
    for (text, problem) in [
        ("", "has no [[price]] in it"),
        ("# nothing yet\n", "has no [[price]] in it"),
        (whole.trim_end(), "its last line has no end"),
        ("[[price]]\nprovider = \"\u{1b}[2J\nok\"\n", "is not readable as TOML"),
    ] {
        let said = load(text).unwrap_err();
        assert!(said.starts_with(file.to_str().unwrap()) && said.contains(problem), "{said}");
        assert_eq!(crate::terminal::lines(&said), said);
    }
    std::fs::remove_file(&file).unwrap();
}
