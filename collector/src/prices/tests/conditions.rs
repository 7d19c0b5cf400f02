//! Conditions, factors and currencies: which prices hold for a call.

use proptest::prelude::*;

use super::*;

#[test]
fn deterministic_the_entry_with_more_conditions_wins_and_all_of_them_must_hold() {
    let text = [
        entry_of_m("input_text = \"1\"\nweb_searches = \"7\""),
        entry_of_m("region = [\"eu*\", \"!eu-north-*\"]\ninput_text = \"2\""),
        entry_of_m("region = \"eu-west-1\"\nsize = \"1024x*\"\ninput_text = \"3\""),
        entry_of_m("service_tier = \"flex\"\ninput_text = \"4\""),
        entry_of_m("service_tier = \"flex\"\nspeed = \"Fast\"\ninput_text = \"5\""),
        entry_of_m("inference_geo = \"!global\"\nsearch_context = \"low\"\nquality = \"hd\"\ninput_text = \"6\""),
    ]
    .concat();
    let book = PriceBook::parse(&text).unwrap();
    type Change = fn(&mut RatingInput<'_>);
    let cases: [(Change, &str); 12] = [
        (|_| {}, "1.00"),
        (|call| call.region = Some("EU-west-1"), "2.00"),
        (|call| call.region = Some("eu-north-1"), "1.00"),
        (|call| (call.region, call.size) = (Some("eu-west-1"), Some("1024X1024")), "3.00"),
        (|call| (call.region, call.size) = (Some("eu-west-2"), Some("1024x1024")), "2.00"),
        (|call| call.size = Some("1024x1024"), "1.00"),
        // A tier that is named is closer than any region.
        (|call| (call.region, call.service_tier) = (Some("eu-west-1"), Some("FLEX")), "4.00"),
        (|call| (call.service_tier, call.speed) = (Some("on_demand_flex"), Some("fast")), "5.00"),
        // Nothing names the speed alone.
        (|call| call.speed = Some("fast"), "1.00 fallback"),
        (|call| (call.speed, call.service_tier) = (Some("standard"), Some("ON_DEMAND")), "1.00"),
        (
            |call| (call.inference_geo, call.search_context, call.quality) = (Some("us"), Some("low"), Some("hd")),
            "6.00",
        ),
        (
            |call| (call.inference_geo, call.search_context, call.quality) = (Some("global"), Some("low"), Some("hd")),
            "1.00",
        ),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        assert_eq!(lines(&rate(&book, NOON, MILLION, change)), expected, "{number}");
    }
    // What a closer entry does not name costs what it costs anyway: marked only where the tier is not named then.
    let searches = &[(Class::WebSearches, 1000)];
    assert_eq!(lines(&rate(&book, NOON, searches, |call| call.region = Some("eu"))), "7.00");
    assert_eq!(lines(&rate(&book, NOON, searches, |call| call.service_tier = Some("flex"))), "7.00 fallback");
    let named = rate(&book, NOON, MILLION, |call| (call.region, call.size) = (Some("eu-west-1"), Some("1024x1")));
    assert_eq!(named.entry.as_deref(), Some("p m 2026-01-01 region=eu-west-1 size=1024x*"));
}

#[test]
fn deterministic_times_hold_from_the_first_minute_up_to_the_last_over_midnight_too() {
    let text = [
        entry_of_m("input_text = \"1\""),
        entry_of_m("hours_utc = \"16:30-00:30\"\ninput_text = \"2\""),
        entry_of_m("hours_utc = [\"08:00-09:00\", \"10:00-24:00\"]\nweekdays = [6, 7]\ninput_text = \"3\""),
    ]
    .concat();
    let book = PriceBook::parse(&text).unwrap();
    let cases = [
        ("2026-02-02T16:29:59", "1.00"),
        ("2026-02-02T16:30", "2.00"),
        ("2026-02-02T00:00", "2.00"),
        ("2026-02-02T00:29:59.999", "2.00"),
        ("2026-02-02T00:30", "1.00"),
        // A Saturday, a Sunday, a Monday.
        ("2026-01-31T08:00", "3.00"),
        ("2026-01-31T09:00", "1.00"),
        ("2026-02-01T23:59", "3.00"),
        ("2026-02-02T08:00", "1.00"),
    ];
    for (at, expected) in cases {
        assert_eq!(lines(&rate(&book, at, MILLION, |_| {})), expected, "{at}");
    }
    let entry = rate(&book, "2026-01-31T08:00", MILLION, |_| {}).entry;
    assert_eq!(entry.as_deref(), Some("p m 2026-01-01 hours_utc=08:00-09:00,10:00-00:00 weekdays=6,7"));
}

#[test]
fn deterministic_factors_that_hold_multiply_and_name_what_is_not_standard() {
    let text = entry_of_m(
        "input_text = \"2.00\"\noutput_text = \"0.000000000003\"\nweb_searches = \"10\"\n\
         [[price.factor]]\nfactor = \"1.1\"\ninference_geo = \"us\"\n\
         [[price.factor]]\nfactor = \"2\"\nspeed = \"fast\"\n\
         [[price.factor]]\nfactor = \"0.5\"\nregion = \"eu\"\nclasses = [\"output_text\"]\n\
         [[price.factor]]\nfactor = \"3\"\nregion = \"moon\"\nclasses = \"*\"",
    );
    let book = PriceBook::parse(&text).unwrap();
    let counts = &[(Class::InputText, 1_000_000), (Class::OutputText, 1_000_000), (Class::WebSearches, 1000)];
    let rated = |change: fn(&mut RatingInput<'_>)| lines(&rate(&book, NOON, counts, change));
    assert_eq!(rated(|_| {}), "2.00 + 0.000000000003 + 10.00");
    assert_eq!(rated(|call| call.inference_geo = Some("us")), "2.20 + 0.000000000003 + 10.00");
    assert_eq!(rated(|call| call.speed = Some("fast")), "4.00 + 0.000000000006 + 10.00");
    assert_eq!(rated(|call| call.speed = Some("slow")), "2.00 fallback + 0.000000000003 fallback + 10.00 fallback");
    // 0.0000000000015 is rounded away from zero.
    assert_eq!(rated(|call| call.region = Some("eu")), "2.00 + 0.000000000002 + 10.00");
    assert_eq!(rated(|call| call.region = Some("moon")), "6.00 + 0.000000000009 + 30.00");
    let both = rate(&book, NOON, counts, |call| (call.speed, call.inference_geo) = (Some("fast"), Some("us")));
    assert_eq!(lines(&both), "4.40 + 0.000000000007 + 10.00");
    assert_eq!(both.entry.as_deref(), Some("p m 2026-01-01 x1.1 x2"));
}

#[test]
fn deterministic_a_currency_is_converted_at_the_rate_of_the_day() {
    let rate_of = |day: &str, usd: &str| format!("[[currency]]\ncode = \"CNY\"\nvalid_from = {day}\nusd = \"{usd}\"\n");
    let priced = entry_of_m("currency = \"CNY\"\ninput_text = \"8\"");
    let text = [rate_of("2026-03-01", "0.14"), rate_of("2026-01-01", "0.1389"), priced.clone()].concat();
    let book = PriceBook::parse(&text).unwrap();
    for (at, expected) in [("2026-02-28T23:59", "1.1112"), ("2026-03-01T00:00", "1.12"), ("2027-01-01T00:00", "1.12")] {
        assert_eq!(lines(&rate(&book, at, MILLION, |_| {})), expected, "{at}");
    }
    assert_eq!(rate(&book, NOON, MILLION, |_| {}).entry.as_deref(), Some("p m 2026-01-01 CNY=0.1389"));
    let late = PriceBook::parse(&[rate_of("2026-01-02", "0.14"), priced.clone()].concat()).unwrap_err().to_string();
    assert_eq!(
        late,
        "price[0] (p m).currency: the book has no rate of CNY on 2026-01-01; its first one is of 2026-01-02"
    );
    let unknown = PriceBook::parse(&priced).unwrap_err().to_string();
    assert_eq!(unknown, "price[0] (p m).currency: must be one that the book has a [[currency]] for: USD");
    let dear = entry_of_m("currency = \"CNY\"\ninput_text = \"1000000\"");
    let dear = PriceBook::parse(&[rate_of("2026-01-01", "2"), dear].concat()).unwrap_err().to_string();
    assert_eq!(dear, "price[0] (p m).currency: a price must be at most 1000000 USD");
}

/// An entry's conditions as numbers: region 0 to 2 or none, size 0 or 1 or none, tier or none, hours before or after noon or none.
type Asked = (Option<u8>, Option<u8>, Option<u8>, Option<u8>);

fn asked() -> impl Strategy<Value = Asked> {
    let one_of = |most: u8| prop::option::of(0..most);
    (one_of(3), one_of(2), one_of(2), one_of(2))
}

const HALVES: [&str; 2] = ["00:00-12:00", "12:00-00:00"];

proptest! {
    /// Against a look at every entry: those of which all conditions hold, the one with the most.
    #[test]
    fn deterministic_conditions_are_what_a_look_at_every_entry_says(
        entries in prop::collection::vec(asked(), 1..7), call in asked(), minute in 0..1440_u16
    ) {
        let mut text = String::new();
        let mut kept: Vec<Asked> = Vec::new();
        for asked in entries {
            let rank = |(region, size, tier, hours): Asked| (usize::from(tier.is_some()), [region, size, hours].iter().flatten().count());
            let meets = |one: Option<u8>, two: Option<u8>| one.zip(two).is_none_or(|(one, two)| one == two);
            let clashes = |other: &&Asked| rank(**other) == rank(asked) && meets(other.0, asked.0) && meets(other.1, asked.1)
                && meets(other.2, asked.2) && meets(other.3, asked.3);
            let price = kept.len() + 1;
            let mut more = format!("input_text = \"{price}\"\n");
            let mut say = |key: &str, value: Option<String>| if let Some(value) = value { more.push_str(&format!("{key} = \"{value}\"\n")) };
            say("region", asked.0.map(|region| format!("r{region}")));
            say("size", asked.1.map(|size| format!("{size}x*")));
            say("service_tier", asked.2.map(|tier| format!("t{tier}")));
            say("hours_utc", asked.3.map(|half| HALVES[usize::from(half)].to_owned()));
            let with = format!("{text}{}", entry_of_m(&more));
            let clash = kept.iter().any(|other| clashes(&other));
            prop_assert_eq!(PriceBook::parse(&with).is_err(), clash, "{}", with);
            if !clash {
                text = with;
                kept.push(asked);
            }
        }
        let book = PriceBook::parse(&text).unwrap();
        let (region, size, tier) = (call.0.map(|r| format!("R{r}")), call.1.map(|s| format!("{s}X7")), call.2.map(|t| format!("T{t}")));
        let half = u8::from(minute >= 720);
        let is = |condition: Option<u8>, fact: Option<u8>| condition.is_none() || condition == fact;
        let best = kept.iter().enumerate()
            .filter(|(_, asked)| is(asked.0, call.0) && is(asked.1, call.1) && is(asked.2, call.2) && is(asked.3, Some(half)))
            .max_by_key(|(_, asked)| (asked.2.is_some(), [asked.0, asked.1, asked.3].iter().flatten().count()));
        let at = format!("2026-02-02T{:02}:{:02}", minute / 60, minute % 60);
        let rating = rate(&book, &at, MILLION, |called| {
            (called.region, called.size, called.service_tier) = (region.as_deref(), size.as_deref(), tier.as_deref());
        });
        let expected = best.map(|(number, asked)| {
            format!("{}.00{}", number + 1, if call.2.is_some() && asked.2.is_none() { " fallback" } else { "" })
        });
        prop_assert_eq!(lines(&rating), expected.unwrap_or("unpriced".to_owned()));
    }
}

#[test]
fn deterministic_the_tool_that_searched_and_what_the_call_did_are_conditions() {
    let text = [
        entry_of_m("input_text = \"1\"\nweb_searches = \"25\""),
        entry_of_m("search_tool = \"web_search\"\nweb_searches = \"10\""),
    ];
    let book = PriceBook::parse(&text.concat()).unwrap();
    let searches = &[(Class::WebSearches, 1000)];
    for (tool, expected) in [
        (None, "25.00"),
        (Some("web_search"), "10.00"),
        (Some("web_search_preview"), "25.00"),
        // Nothing is known of what this one costs.
        (Some("enterprise_web_search"), "25.00 fallback"),
    ] {
        assert_eq!(lines(&rate(&book, NOON, searches, |call| call.search_tool = tool)), expected, "{tool:?}");
    }
    let tokens = rate(&book, NOON, MILLION, |call| call.search_tool = Some("enterprise_web_search"));
    assert_eq!(lines(&tokens), "1.00", "its tokens cost what they do");
    let decides = [entry_of_m("input_text = \"1\""), entry_of_m("operation = \"decide\"\ninput_text = \"0.5\"")];
    let book = PriceBook::parse(&decides.concat()).unwrap();
    assert_eq!(lines(&rate(&book, NOON, MILLION, |call| call.operation = Some("decide"))), "0.50");
    assert_eq!(lines(&rate(&book, NOON, MILLION, |call| call.operation = Some("chat"))), "1.00");
    // One's own book can have its price.
    let own = PriceBook::parse(&entry_of_m("search_tool = \"enterprise_web_search\"\nweb_searches = \"45\"")).unwrap();
    let named = rate(&own, NOON, searches, |call| call.search_tool = Some("enterprise_web_search"));
    assert_eq!(lines(&named), "45.00");
}

#[test]
fn deterministic_a_tier_that_was_asked_for_and_never_told_marks_the_tokens() {
    let book = PriceBook::parse(&entry_of_m("input_text = \"1\"\nweb_searches = \"10\"")).unwrap();
    let counts = &[(Class::InputText, 1_000_000), (Class::WebSearches, 1000)];
    for (asked, told, expected) in [
        (Some("priority"), None, "1.00 fallback + 10.00"),
        (Some("priority"), Some("default"), "1.00 + 10.00"),
        (Some("AUTO"), None, "1.00 + 10.00"),
        (Some("standard_only"), None, "1.00 + 10.00"),
        (Some(""), None, "1.00 + 10.00"),
        (None, None, "1.00 + 10.00"),
    ] {
        let rating = rate(&book, NOON, counts, |call| (call.service_tier_asked, call.service_tier) = (asked, told));
        assert_eq!(lines(&rating), expected, "{asked:?} {told:?}");
    }
}

#[test]
fn deterministic_a_provisioned_model_is_prepaid_unless_a_book_names_it() {
    let arn = "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/ab12";
    let entry = |model: &str| {
        format!(
            "[[price]]\nprovider = \"aws.bedrock\"\nmodel = \"{model}\"\nvalid_from = 2026-01-01\ninput_text = \"1\"\n"
        )
    };
    let usage = usage(MILLION);
    let rated = |book: &str, path: Option<&str>, provider: &str| {
        let book = PriceBook::parse(book).unwrap();
        let call = RatingInput {
            response_model: None,
            path_model: path,
            ..RatingInput::new(provider, "", NOON.parse().unwrap(), &usage)
        };
        let rating = book.rate(&call);
        (lines(&rating), rating.by)
    };
    let prepaid = ("0.00".to_owned(), Some(By::Prepaid));
    assert_eq!(rated(&entry("m"), Some(arn), "aws.bedrock"), prepaid);
    assert_eq!(rated(&entry("ab12"), Some(arn), "aws.bedrock"), ("1.00".to_owned(), None));
    let imported = "arn:aws:bedrock:us-east-1:123456789012:imported-model/ab12";
    assert_eq!(rated(&entry("m"), Some(imported), "aws.bedrock"), ("unpriced".to_owned(), None));
    assert_eq!(rated(&entry("m").replace("aws.bedrock", "p"), Some(arn), "p"), ("unpriced".to_owned(), None));
}
