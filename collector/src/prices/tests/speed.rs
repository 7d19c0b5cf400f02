//! How long it takes to read a large book and to rate by it. Nothing is asserted in a debug build; `just bench-prices` prints it.

use std::hint::black_box;
use std::time::Instant;

use super::*;

/// Calls that are found at once, after many names, and never.
const CALLS: [(&str, [&str; 3]); 5] = [
    ("openai", ["gpt-4.1", "", ""]),
    ("openai", ["gpt-4.1-2025-04-14", "gpt-4.1", ""]),
    ("anthropic", ["claude-sonnet-4-5-20250929", "claude-sonnet-4-5", ""]),
    (
        "aws.bedrock",
        ["", "", "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0"],
    ),
    ("openai", ["nobody/knows-this-2025-04-14", "nor-this-latest", "publishers/x/models/nor-that"]),
];

#[test]
#[ignore = "measures; by `just bench-prices`"]
fn fidelity_reading_a_large_book_and_rating_by_it_takes_so_long() {
    let file = std::env::var_os("MESHMETER_BOOK").filter(|book| !book.is_empty()).map(std::path::PathBuf::from);
    let begin = Instant::now();
    let book = match &file {
        Some(file) => PriceBook::load(file).unwrap(),
        None => PriceBook::built_in().unwrap(),
    };
    println!("read in {:?}: {}", begin.elapsed(), book.summary());
    let counts =
        [(Class::InputText, 1234), (Class::CacheRead, 99), (Class::OutputText, 567), (Class::OutputReasoning, 8)];
    let usage = usage(&counts);
    for (provider, names) in CALLS {
        let [response_model, request_model, path_model] = names.map(|name| Some(name).filter(|name| !name.is_empty()));
        let call = RatingInput {
            response_model,
            request_model,
            path_model,
            ..RatingInput::new(provider, "", NOON.parse().unwrap(), &usage)
        };
        let (begin, times) = (Instant::now(), 100_000_u32);
        for _ in 0..times {
            black_box(book.rate(black_box(&call)));
        }
        println!("{:?} a call: {provider} {names:?}: {:?}", begin.elapsed() / times, book.rate(&call).entry);
    }
}
