//! What holds of every rating, whatever is counted and whatever the book says.

use proptest::prelude::*;

use super::rating::PUBLISHED;
use super::*;
use crate::money::{Charge, Per, Price};
use crate::prices::entry::per;
use crate::prices::pattern::Pattern;

fn counts() -> impl Strategy<Value = Vec<(Class, u64)>> {
    let count = prop_oneof![0..10_u64, 0..400_000_u64, Just(1 << 40), any::<u64>()];
    prop::collection::vec((prop::sample::select(Class::ALL), count), 0..8)
}

fn rating() -> impl Strategy<Value = Rating> {
    let charge = (any::<i64>(), any::<u64>()).prop_map(|(usd, yocto)| {
        let sign = if usd < 0 { "-" } else { "" };
        format!("{sign}{}.{yocto:024}", usd.unsigned_abs() >> 20).parse::<Charge>().unwrap()
    });
    let amount = (0..=1_000_000_000_000_000_000_u64, charge.clone(), prop::option::of(charge.clone()))
        .prop_map(|(pico, charge, cost)| (Price::from_pico_usd(pico).unwrap(), charge, cost.unwrap_or(charge)));
    let rated = prop_oneof![
        Just(Rated::Unpriced),
        amount.clone().prop_map(|(price, charge, cost)| Rated::Priced { price, charge, cost }),
        amount.prop_map(|(price, charge, cost)| Rated::Fallback { price, charge, cost }),
    ];
    let by = prop::option::of(prop::sample::select(vec![By::Own, By::NotBilled, By::Prepaid]));
    let amounts = (prop::option::of(charge.clone()), prop::option::of(charge));
    let line = (prop::sample::select(Class::ALL), any::<u64>(), rated);
    let lines = prop::collection::vec(line.prop_map(|(class, quantity, rated)| Line { class, quantity, rated }), 0..6);
    (prop::option::of(any::<String>()), lines, by, amounts).prop_map(|(entry, lines, by, (own, book))| Rating {
        entry,
        lines,
        by,
        own,
        book,
    })
}

proptest! {
    #[test]
    fn deterministic_a_rating_written_is_read_back(rating in rating()) {
        let text = rating.to_json();
        prop_assert!(!text.contains('\n'));
        prop_assert_eq!(Rating::from_json(&text), Ok(rating));
    }

    #[test]
    fn deterministic_every_charge_is_price_times_count_and_what_is_rated_is_read_back(
        counts in counts(), tier in prop::option::of("flex|priority|scale|default"), model in "gpt-5|claude-sonnet-4-5|x"
    ) {
        let book = PriceBook::parse(PUBLISHED).unwrap();
        for provider in ["openai", "anthropic"] {
            let rating = rated(&book, provider, &model, "2026-06-01", tier.as_deref(), &counts);
            let mut sum = 0_i128;
            for line in &rating.lines {
                prop_assert!(line.quantity > 0 && line.class.kind() != Kind::Information);
                let (Rated::Priced { price, charge, cost } | Rated::Fallback { price, charge, cost }) = line.rated else {
                    continue;
                };
                let times = if per(line.class) == Per::MillionTokens { 1 } else { 1000 };
                let exact = i128::from(price.pico_usd()) * i128::from(line.quantity) * times * 1_000_000;
                prop_assert_eq!((charge.yocto_usd(), cost), (exact, charge));
                sum += charge.yocto_usd();
            }
            prop_assert_eq!(rating.charge().yocto_usd(), sum);
            prop_assert_eq!(Rating::from_json(&rating.to_json()), Ok(rating));
        }
    }

    /// Without contexts a call in parts costs what it costs at once, class by class.
    #[test]
    fn deterministic_rating_in_parts_is_rating_at_once(parts in prop::collection::vec((0..1_u64 << 40, 0..1_u64 << 40, 0..9_u64), 1..6)) {
        let book = PriceBook::parse(PUBLISHED).unwrap();
        let usage = |(input, output, searches): (u64, u64, u64)| {
            [(Class::InputText, input), (Class::OutputReasoning, output), (Class::WebSearches, searches)]
        };
        let whole = parts.iter().fold((0, 0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1, sum.2 + part.2));
        for tier in [None, Some("flex"), Some("scale")] {
            let charge = |counts| rated(&book, "openai", "gpt-5", "2026-06-01", tier, &usage(counts)).charge();
            let in_parts = parts.iter().try_fold(Charge::default(), |sum, &part| sum.checked_add(charge(part)));
            prop_assert_eq!(Some(charge(whole)), in_parts);
        }
    }

    /// However the input is made up: at the bound the lower price holds, above it the higher one, for all of it.
    #[test]
    fn deterministic_a_context_is_a_cliff_exactly_above_its_bound(cached in 0..=200_000_u64, written in 0..=200_000_u64) {
        let book = PriceBook::parse(PUBLISHED).unwrap();
        let (cached, written) = (cached, written.min(200_000 - cached));
        let cost = |more: u64| {
            let rest = 200_000 - cached - written + more;
            let counts = [(Class::InputText, rest), (Class::CacheRead, cached), (Class::CacheWrite1h, written)];
            rated(&book, "anthropic", "claude-sonnet-4-5", "2026-06-01", None, &counts).charge()
        };
        let nano = |input: u64, read: u64, write: u64, more: u64| {
            let rest = 200_000 - cached - written + more;
            Charge::from_femto_usd(i128::from(rest * input + cached * read + written * write) * 1_000_000).unwrap()
        };
        prop_assert_eq!(cost(0), nano(3_000, 300, 6_000, 0));
        prop_assert_eq!(cost(1), nano(6_000, 600, 12_000, 1));
    }

    /// The index against a look at every entry.
    #[test]
    fn deterministic_the_index_finds_what_a_look_at_every_entry_finds(
        patterns in prop::collection::btree_set("[ab1]{0,3}[*#]?[ab1]{0,2}[*]?", 1..12), model in "[abAB1]{0,5}"
    ) {
        let patterns: Vec<String> = patterns.into_iter().filter(|pattern| !pattern.is_empty()).collect();
        let text: String = patterns.iter().enumerate().map(|(price, pattern)| {
            format!("[[price]]\nprovider = \"p\"\nmodel = \"{pattern}\"\nvalid_from = 2026-01-01\ninput_text = \"{price}\"\n")
        }).collect();
        let book = PriceBook::parse(&text).unwrap();
        let name = model.to_lowercase();
        let exact = patterns.iter().find(|pattern| **pattern == name);
        let spelled = |pattern: &&String| pattern.bytes().filter(|byte| !b"*#".contains(byte)).count();
        let matching = patterns.iter().filter(|pattern| Pattern::new(pattern).is_some_and(|pattern| pattern.matches(&name)));
        let most = matching.clone().map(|pattern| spelled(&pattern)).max();
        let found = rated(&book, "p", &model, "2026-01-01", None, &[]).entry;
        let found = found.map(|entry| entry.split(' ').nth(1).unwrap_or_default().to_owned());
        match exact {
            Some(exact) => prop_assert_eq!(found, Some(exact.clone())),
            None => {
                prop_assert_eq!(found.as_ref().map(|pattern| spelled(&pattern)), most);
                prop_assert!(found.is_none_or(|pattern| matching.clone().any(|other| *other == pattern)));
            }
        }
    }
}
