//! Any text as a price book and as a public price list: what is taken over is a book, and a rating is read as it was written.

use wire::usage::{Class, Usage};

use super::NOW_NS;
use crate::prices::import::{List, Options, import};
use crate::prices::{PriceBook, Rating, RatingInput};
use crate::store::days::day_of;

/// Takes the bytes as a price book, and as every kind of price list.
pub fn prices(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match PriceBook::parse(text) {
        Ok(book) => rate(&book),
        Err(problems) => assert!(!problems.to_string().is_empty(), "refused without a reason"),
    }
    let _ = Rating::from_json(text);
    let valid_from = day_of(NOW_NS).unwrap().parse().unwrap();
    for list in [List::GenaiPrices, List::Litellm, List::Fees] {
        for round in [false, true] {
            let options = Options { valid_from, round, today: valid_from, ..Options::default() };
            match import(list, text, &options) {
                Ok(imported) => {
                    let _ = imported.notes.to_string();
                    rate(&PriceBook::parse(&imported.toml).expect("a book that is not read"));
                }
                // The import looks at its own book: that is never what is wrong.
                Err(problem) => assert!(!problem.starts_with("the book made of it"), "{problem}"),
            }
        }
    }
}

/// Counts from the lowest to the highest have a charge, and the rating is read as it was written.
fn rate(book: &PriceBook) {
    let _ = book.summary();
    let day: jiff::civil::Date = day_of(NOW_NS).unwrap().parse().unwrap();
    for count in [0, 1, 200_001, wire::usage::MAX_COUNT] {
        let mut usage = Usage::default();
        Class::ALL.iter().for_each(|class| usage.set(*class, Some(count)));
        for (provider, model) in [("openai", "gpt-4.1"), ("anthropic", "claude-sonnet-4-5"), ("a", "m")] {
            for service_tier in [None, Some("flex"), Some("priority")] {
                let call = RatingInput {
                    service_tier,
                    speed: service_tier,
                    region: Some("eu"),
                    tenant: "acme",
                    has_response: true,
                    provider_cost_nano_usd: Some(count),
                    ..RatingInput::new(provider, model, day.at(12, 0, 0, 0), &usage)
                };
                let rating = book.rate(&call);
                assert_eq!(Rating::from_json(&rating.to_json()).as_ref(), Ok(&rating));
            }
        }
    }
}
