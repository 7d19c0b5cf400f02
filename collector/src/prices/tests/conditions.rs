//! Conditions, factors, currencies, aliases, layers, and what else decides what a call costs.

use super::*;
use proptest::prelude::*;

fn entry(more: &str) -> String {
    format!("[[price]]\nprovider = \"p\"\nmodel = \"m\"\nvalid_from = 2026-01-01\n{more}\n")
}

fn rate<'a>(book: &PriceBook, at: &str, counts: &[(Class, u64)], change: impl FnOnce(&mut Call<'a>)) -> Rating {
    // What the change borrows outlives the counts otherwise.
    let usage = Box::leak(Box::new(usage(counts)));
    let mut call: Call<'a> = Call::new("p", "m", at.parse().unwrap(), usage);
    change(&mut call);
    book.rate(&call)
}

const NOON: &str = "2026-02-02T12:00";
const MILLION: &[(Class, u64)] = &[(Class::InputText, 1_000_000)];

fn lines(rating: &Rating) -> String {
    rating.lines.iter().map(shown).collect::<Vec<_>>().join(" + ")
}

#[test]
fn deterministic_the_entry_with_more_conditions_wins_and_all_of_them_must_hold() {
    let text = [
        entry("input_text = \"1\"\nweb_searches = \"7\""),
        entry("region = [\"eu*\", \"!eu-north-*\"]\ninput_text = \"2\""),
        entry("region = \"eu-west-1\"\nsize = \"1024x*\"\ninput_text = \"3\""),
        entry("service_tier = \"flex\"\ninput_text = \"4\""),
        entry("service_tier = \"flex\"\nspeed = \"Fast\"\ninput_text = \"5\""),
        entry("inference_geo = \"!global\"\nsearch_context = \"low\"\nquality = \"hd\"\ninput_text = \"6\""),
    ]
    .concat();
    let book = PriceBook::parse(&text).unwrap();
    type Change = fn(&mut Call<'_>);
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
        entry("input_text = \"1\""),
        entry("hours_utc = \"16:30-00:30\"\ninput_text = \"2\""),
        entry("hours_utc = [\"08:00-09:00\", \"10:00-24:00\"]\nweekdays = [6, 7]\ninput_text = \"3\""),
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
    let text = entry(
        "input_text = \"2.00\"\noutput_text = \"0.000000000003\"\nweb_searches = \"10\"\n\
         [[price.factor]]\nfactor = \"1.1\"\ninference_geo = \"us\"\n\
         [[price.factor]]\nfactor = \"2\"\nspeed = \"fast\"\n\
         [[price.factor]]\nfactor = \"0.5\"\nregion = \"eu\"\nclasses = [\"output_text\"]\n\
         [[price.factor]]\nfactor = \"3\"\nregion = \"moon\"\nclasses = \"*\"",
    );
    let book = PriceBook::parse(&text).unwrap();
    let counts = &[(Class::InputText, 1_000_000), (Class::OutputText, 1_000_000), (Class::WebSearches, 1000)];
    let rated = |change: fn(&mut Call<'_>)| lines(&rate(&book, NOON, counts, change));
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
    let priced = entry("currency = \"CNY\"\ninput_text = \"8\"");
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
    let dear = entry("currency = \"CNY\"\ninput_text = \"1000000\"");
    let dear = PriceBook::parse(&[rate_of("2026-01-01", "2"), dear].concat()).unwrap_err().to_string();
    assert_eq!(dear, "price[0] (p m).currency: a price must be at most 1000000 USD");
}

#[test]
fn deterministic_a_request_has_its_fee_once_and_only_if_it_was_answered() {
    let book = PriceBook::parse(&entry("input_text = \"1\"\nrequests = \"5\"")).unwrap();
    let answered = rate(&book, NOON, MILLION, |call| call.is_answered = true);
    assert_eq!(lines(&answered), "1.00 + 0.005");
    assert_eq!(answered.lines[1], Line { class: Class::Requests, quantity: 1, rated: answered.lines[1].rated });
    assert_eq!(lines(&rate(&book, NOON, MILLION, |_| {})), "1.00");
    // A call without counts costs its fee, and no event says how many requests it was.
    assert_eq!(lines(&rate(&book, NOON, &[], |call| call.is_answered = true)), "0.005");
    assert_eq!(lines(&rate(&book, NOON, &[(Class::Requests, 9)], |_| {})), "");
    let mut record = meter::record::Record { status: Some(200), ..Default::default() };
    let answered = |record: &meter::record::Record| Call::of(record, "").unwrap().is_answered;
    record.outcome = meter::record::Outcome::Completed;
    assert!(answered(&record));
    record.part = Some("advisor".to_owned());
    assert!(!answered(&record));
    (record.part, record.status) = (None, Some(429));
    assert!(!answered(&record));
    (record.status, record.outcome) = (Some(200), meter::record::Outcome::ClientAborted);
    assert!(!answered(&record));
}

#[test]
fn deterministic_what_is_prepaid_or_not_billed_costs_nothing_and_says_so() {
    let book = PriceBook::parse(&entry("input_text = \"1\"\nweb_searches = \"10\"")).unwrap();
    let counts = &[(Class::InputText, 1_000_000), (Class::WebSearches, 1000)];
    let prepaid = rate(&book, NOON, counts, |call| call.service_tier = Some("PROVISIONED_THROUGHPUT"));
    assert_eq!((lines(&prepaid).as_str(), prepaid.by), ("0.00 + 10.00 fallback", Some(By::Prepaid)));
    let unknown = rate(&book, NOON, MILLION, |call| {
        (call.service_tier, call.response_model) = (Some("provisioned_throughput"), Some("other"));
    });
    assert_eq!((lines(&unknown).as_str(), unknown.entry), ("0.00", None));
    let free = rate(&book, NOON, counts, |call| call.is_not_billed = true);
    assert_eq!((lines(&free).as_str(), free.by), ("0.00 + 0.00", Some(By::NotBilled)));
    assert!(free.to_json().ends_with(r#"],"by":"not_billed"}"#));
    let named = [entry("input_text = \"1\""), entry("service_tier = \"provisioned_throughput\"\ninput_text = \"3\"")];
    let book = PriceBook::parse(&named.concat()).unwrap();
    let named = rate(&book, NOON, MILLION, |call| call.service_tier = Some("provisioned_throughput"));
    assert_eq!((lines(&named).as_str(), named.by), ("3.00", None));
}

#[test]
fn deterministic_the_providers_own_price_is_charged_as_the_policy_says() {
    let own = |text: &str, provider: &str, model: &str, nano: u64| {
        let book = PriceBook::parse(text).unwrap();
        let usage = usage(MILLION);
        let call = Call {
            provider_cost_nano_usd: Some(nano),
            is_answered: true,
            ..Call::new(provider, model, NOON.parse().unwrap(), &usage)
        };
        let rating = book.rate(&call);
        assert_eq!(Rating::from_json(&rating.to_json()).as_ref(), Ok(&rating));
        rating
    };
    let of =
        |provider: &str| entry("input_text = \"1\"\nrequests = \"5\"").replace("\"p\"", &format!("\"{provider}\""));
    let amounts =
        |rating: &Rating| (rating.charge().to_string(), rating.audit().map(|(own, book)| format!("{own} {book}")));
    // A reseller's own price comes first.
    let charged = own(&of("openrouter"), "openrouter", "m", 900_000_000);
    assert_eq!(amounts(&charged), ("0.90".to_owned(), Some("0.90 1.005".to_owned())));
    assert_eq!(
        charged.to_json(),
        r#"{"entry":"openrouter m 2026-01-01","lines":[["input_text_tokens",1000000,"0.00","0.00"],["requests",1,"900.00","0.90"]],"own":"0.90","book":"1.005","by":"own"}"#
    );
    // Elsewhere the book comes first, and the own price stands beside it.
    let beside = own(&of("p"), "p", "m", 900_000_000);
    assert_eq!((amounts(&beside), beside.by), (("1.005".to_owned(), Some("0.90 1.005".to_owned())), None));
    let alone = own(&of("p"), "p", "other", 900_000_000);
    assert_eq!((amounts(&alone), alone.entry), (("0.90".to_owned(), None), None));
    // Half of it has no price: all of it is charged by the own one.
    let half = own(&of("p").replace("input_text", "output_text"), "p", "m", 3);
    assert_eq!((amounts(&half), half.by), (("0.000000003".to_owned(), None), Some(By::Own)));
    // A discount on what the provider takes is none on what it says it took; a mark-up holds.
    let adjusts = "[[adjust]]\non = \"cost\"\nfactor = \"0.5\"\n[[adjust]]\non = \"charge\"\nfactor = \"1.2\"\n";
    let marked = own(&[&of("openrouter"), adjusts].concat(), "openrouter", "m", 900_000_000);
    assert_eq!((marked.cost().to_string(), marked.charge().to_string()), ("0.90".to_owned(), "1.08".to_owned()));
    let policy = |word: &str| [&of("p"), "[provider_cost]\ndefault = \"", word, "\"\n"].concat();
    assert_eq!(own(&policy("prefer"), "p", "m", 7).by, Some(By::Own));
    assert_eq!(own(&policy("ignore"), "p", "m", 7).own, None);
    assert_eq!(own(&[&policy("ignore"), "\"x.y\" = \"prefer\"\n"].concat(), "x.y", "m", 7).by, Some(By::Own));
    // More than any call costs is not believed.
    assert_eq!(own(&policy("prefer"), "p", "m", 1_000_000_000_001).by, None);
    assert_eq!(own(&policy("prefer"), "p", "m", u64::MAX).by, None);
}

#[test]
fn deterministic_discounts_and_mark_ups_multiply_exactly_for_whom_they_are() {
    let adjust = |text: &str| format!("[[adjust]]\n{text}\n");
    let text = [
        entry("input_text = \"0.000000000001\"\noutput_text = \"1\""),
        adjust("on = \"cost\"\nfactor = \"0.85\"\nprovider = \"p*\""),
        adjust("on = \"charge\"\nfactor = \"1.2\"\ntenant = [\"acme/*\", \"beta\"]"),
        adjust("on = \"charge\"\nfactor = \"1.111\"\ntenant = \"acme/ml\"\nmodel = [\"m*\", \"!mm\"]\nvalid_to = 2026-02-02"),
        adjust("on = \"charge\"\nfactor = \"9\"\nmodel = \"other\""),
    ]
    .concat();
    let book = PriceBook::parse(&text).unwrap();
    let counts = &[(Class::InputText, 1), (Class::OutputText, 1_000_000)];
    let amounts = |tenant: &str, at: &str| {
        let rating = rate(&book, at, counts, |call| call.tenant = tenant);
        assert_eq!(Rating::from_json(&rating.to_json()).as_ref(), Ok(&rating));
        format!("{} {}", rating.cost(), rating.charge())
    };
    assert_eq!(amounts("gamma", NOON), "0.85000000000000000085 0.85000000000000000085");
    assert_eq!(amounts("beta", NOON), "0.85000000000000000085 1.02000000000000000102");
    assert_eq!(amounts("acme/ml", NOON), "0.85000000000000000085 1.13322000000000000113322");
    assert_eq!(amounts("acme/ml", "2026-02-03T00:00"), "0.85000000000000000085 1.02000000000000000102");
    assert_eq!(amounts("ACME/ml", NOON), amounts("gamma", NOON));
    let json = rate(&book, NOON, &[(Class::OutputText, 1_000_000)], |call| call.tenant = "beta").to_json();
    assert_eq!(
        json,
        r#"{"entry":"p m 2026-01-01","lines":[["output_text_tokens",1000000,"1.00","1.02",{"cost":"0.85"}]],"cost":"0.85"}"#
    );
    // Many tenants with a factor each: a call has one of them. One more for all is too much.
    let mut many: String =
        (0..50).map(|n| adjust(&format!("on = \"charge\"\nfactor = \"1.0{n:02}1\"\ntenant = \"t{n}\""))).collect();
    many.push_str(&adjust("on = \"cost\"\nfactor = \"0.99\""));
    assert!(PriceBook::parse(&many).is_ok());
    many.push_str(&adjust("on = \"charge\"\nfactor = \"1.1\"\nprovider = \"p\""));
    let refused = PriceBook::parse(&many).unwrap_err().to_string();
    assert!(refused.starts_with("adjust[51] (p).factor: could hold for the same call as other factors"), "{refused}");
}

#[test]
fn contract_the_first_name_that_has_an_entry_decides() {
    let named = |provider: &str, model: &str, price: &str| {
        format!(
            "[[price]]\nprovider = \"{provider}\"\nmodel = \"{model}\"\nvalid_from = 2026-01-01\ninput_text = \"{price}\"\n"
        )
    };
    let alias = |model: &str, is: &str| format!("[[alias]]\nprovider = \"p\"\nmodel = \"{model}\"\nis = \"{is}\"\n");
    let text = [
        named("p", "gpt-4.1", "1"),
        named("p", "gpt-4o", "2"),
        named("p", "gpt-4o-2024-05*", "3"),
        named("p", "*", "4"),
        named("p", "dep-*", "5"),
        named("p", "claude-sonnet-4*", "6"),
        named("p", "claude-sonnet-4-5", "7"),
        alias("my-deployment", "Prod"),
        alias("prod", "gpt-4.1-2025-04-14"),
        alias("dep-1", "gpt-4o"),
        named("aws.bedrock", "us.anthropic.claude-x-v1:0", "8"),
        named("aws.bedrock", "anthropic.claude-x-v1:0", "9"),
    ]
    .concat();
    let book = PriceBook::parse(&text).unwrap();
    // Answered, asked for, in the path; what it costs, by which name.
    type Names = [&'static str; 3];
    let cases: &[(&str, Names, &str, &str)] = &[
        ("p", ["gpt-4.1", "", ""], "1.00", ""),
        ("p", ["GPT-4.1-2025-04-14", "", ""], "1.00", " name=gpt-4.1"),
        ("p", ["gpt-4o-2024-05-13", "", ""], "3.00", ""),
        ("p", ["gpt-4o-2024-08-06", "", ""], "2.00", " name=gpt-4o"),
        ("p", ["claude-sonnet-4-5-20250929", "", ""], "7.00", " name=claude-sonnet-4-5"),
        ("p", ["claude-sonnet-4-1-20250929", "", ""], "6.00", ""),
        // What answered comes before what was asked for, and both before what is for any model.
        ("p", ["gpt-4o", "gpt-4.1", ""], "2.00", ""),
        ("p", ["nobody-knows", "gpt-4.1", ""], "1.00", " name=gpt-4.1"),
        ("p", ["nobody-knows", "openai/gpt-4.1", ""], "1.00", " name=gpt-4.1"),
        ("p", ["nobody-knows", "nor-this", ""], "4.00", ""),
        ("p", ["", "", ""], "4.00", ""),
        // Aliases of aliases, and an alias before a pattern.
        ("p", ["", "my-deployment", ""], "1.00", " name=gpt-4.1"),
        ("p", ["", "", "My-Deployment"], "1.00", " name=gpt-4.1"),
        ("p", ["dep-1", "", ""], "2.00", " name=gpt-4o"),
        ("p", ["dep-2", "", ""], "5.00", ""),
        // The profile of the path decides; one that has no entry is its model.
        ("aws.bedrock", ["claude-x", "", "us.anthropic.claude-x-v1:0"], "8.00", ""),
        (
            "aws.bedrock",
            ["claude-x", "", "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-x-v1:0"],
            "8.00",
            " name=us.anthropic.claude-x-v1:0",
        ),
        ("aws.bedrock", ["claude-x", "", "eu.anthropic.claude-x-v1:0"], "9.00", " name=anthropic.claude-x-v1:0"),
        (
            "aws.bedrock",
            ["anthropic.claude-x-v1:0", "", "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc123"],
            "9.00",
            " name=anthropic.claude-x-v1:0",
        ),
    ];
    for (provider, names, price, by) in cases {
        let usage = usage(MILLION);
        let [response_model, request_model, path_model] = names.map(|name| Some(name).filter(|name| !name.is_empty()));
        let call = Call {
            response_model,
            request_model,
            path_model,
            ..Call::new(provider, "", NOON.parse().unwrap(), &usage)
        };
        let rating = book.rate(&call);
        let entry = rating.entry.clone().unwrap_or_default();
        let found = entry.find(" name=").map_or("", |at| &entry[at..]);
        assert_eq!((lines(&rating).as_str(), found), (*price, *by), "{names:?} {entry}");
    }
}

#[test]
fn contract_wrong_tables_name_the_place_and_what_is_allowed() {
    let conditions = |text: &str| entry(&format!("{text}\ninput_text = \"1\""));
    let factor = |text: &str| entry(&format!("input_text = \"1\"\n[[price.factor]]\n{text}"));
    let alias = |model: &str, is: &str| format!("[[alias]]\nprovider = \"p\"\nmodel = \"{model}\"\nis = \"{is}\"\n");
    let cases = [
        (factor("factor = 1.1"), "price[0] (p m).factor[0].factor: must be a decimal number in quotes such as \"1.1\""),
        (factor("factor = \"0\""), "price[0] (p m).factor[0].factor: must be above 0 and at most 1000"),
        (factor("factor = \"1.00001\""), "price[0] (p m).factor[0].factor: must have at most 4 decimals"),
        (factor("region = \"eu\""), "price[0] (p m).factor[0].factor: is missing"),
        (
            factor("factor = \"1.1\"\nclasses = [\"tokens\"]"),
            "price[0] (p m).factor[0].classes: must be \"*\" or a list of prices' names: input_text",
        ),
        (
            factor("factor = \"1.1\"\ninput_text = \"1\""),
            "price[0] (p m).factor[0].input_text: is not known; allowed are factor, classes, service_tier",
        ),
        (conditions("hours_utc = \"16:30\""), "price[0] (p m).hours_utc: must be a time such as \"16:30-00:30\""),
        (conditions("hours_utc = [\"16:30-16:30\"]"), "price[0] (p m).hours_utc: must be a time"),
        (conditions("hours_utc = \"24:01-25:00\""), "price[0] (p m).hours_utc: must be a time"),
        (conditions("hours_utc = []"), "price[0] (p m).hours_utc: must be a time"),
        (conditions("weekdays = [0]"), "price[0] (p m).weekdays: must be a number from 1 (Monday) to 7"),
        (conditions("weekdays = \"Monday\""), "price[0] (p m).weekdays: must be a number"),
        (conditions("region = 1"), "price[0] (p m).region: must be a text or a list of texts"),
        (conditions("speed = \"standard\""), "price[0] (p m).speed: must be left out for the standard speed"),
        (
            "[[currency]]\ncode = \"cny\"\nvalid_from = 2026-01-01\nusd = \"1\"\n".to_owned(),
            "currency[0].code: must be a currency other than USD",
        ),
        (
            "[[currency]]\ncode = \"CNY\"\nvalid_from = 2026-01-01\nusd = 0.1389\n".to_owned(),
            "currency[0].usd: must be a decimal number in quotes",
        ),
        (
            "[[currency]]\ncode = \"CNY\"\nusd = \"0\"\n".to_owned(),
            "currency[0].valid_from: is missing; the first day of this rate, YYYY-MM-DD\ncurrency[0].usd: must be more than nothing",
        ),
        (alias("a", ""), "alias[0] (p a).is: must be the name that has the price"),
        (alias("a", "b") + &alias("A", "c"), "alias[1] (p A).model: a is another alias's already"),
        (alias("a", "a"), "alias[0] (p a).is: comes back to itself: a is a"),
        (
            alias("x", "b") + &alias("a", "b") + &alias("b", "c") + &alias("c", "A"),
            "alias[3] (p c).is: comes back to itself: c is a is b is c",
        ),
        (
            "[provider_cost]\nopenrouter = \"always\"\n".to_owned(),
            "provider_cost.openrouter: must be prefer, fallback or ignore",
        ),
        (
            "[provider_cost]\nazure.ai.openai = \"prefer\"\n".to_owned(),
            "provider_cost.azure: must be prefer, fallback or ignore; a provider with a point in its name stands in quotes",
        ),
        (
            "[[adjust]]\non = \"price\"\nfactor = \"2\"\n".to_owned(),
            "adjust[0].on: must be \"cost\", what the provider takes, or \"charge\"",
        ),
        (
            "[[adjust]]\non = \"cost\"\nfactor = \"2\"\ntenant = \"a b\"\n".to_owned(),
            "adjust[0].tenant: must be a tenant",
        ),
        (
            conditions("region = \"eu\"") + &conditions("size = \"1024x1024\""),
            "price[1] (p m).valid_from: overlaps price[0] (p m) for m; both can hold for a call, end the earlier one with valid_to or give one of them another condition",
        ),
        (
            conditions("region = \"eu-*\"") + &conditions("region = [\"us\", \"*-west\"]"),
            "price[1] (p m).valid_from: overlaps price[0] (p m) for m; both can hold",
        ),
        (
            conditions("hours_utc = \"22:00-02:00\"") + &conditions("hours_utc = \"01:59-03:00\""),
            "price[1] (p m).valid_from: overlaps",
        ),
    ];
    for (text, expected) in cases {
        let found = PriceBook::parse(&text).unwrap_err().to_string();
        assert!(found.starts_with(expected), "{text}\n{found}");
    }
    for text in [
        conditions("hours_utc = \"22:00-02:00\"") + &conditions("hours_utc = \"02:00-22:00\""),
        conditions("weekdays = [1, 2]") + &conditions("weekdays = [3]"),
        conditions("region = \"!global\"") + &conditions("region = \"global\""),
        conditions("region = \"eu\"") + &conditions("region = \"eu\"\nsize = \"a\""),
    ] {
        assert!(PriceBook::parse(&text).is_ok(), "{text}");
    }
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
            let with = format!("{text}{}", entry(&more));
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

    /// Of layers the first that has an entry decides, whatever the others say.
    #[test]
    fn deterministic_layers_are_asked_in_their_order(has in prop::collection::vec(any::<bool>(), 1..5)) {
        let layers: Vec<String> = has.iter().enumerate().map(|(number, has)| {
            let model = if *has { "m" } else { "other" };
            entry(&format!("input_text = \"{}\"", number + 1)).replace("\"m\"", &format!("\"{model}\""))
        }).collect();
        let book = layers_of(&layers);
        let expected = has.iter().position(|has| *has).map_or("unpriced".to_owned(), |first| format!("{}.00", first + 1));
        prop_assert_eq!(lines(&rate(&book, NOON, MILLION, |_| {})), expected);
    }
}

fn layers_of(texts: &[String]) -> PriceBook {
    PriceBook::of(texts.iter().map(|text| (Layer::default(), read::parse(text).unwrap())).collect()).unwrap()
}

#[test]
fn contract_layers_share_aliases_discounts_and_policies_of_which_the_first_counts() {
    let alias = |is: &str| format!("[[alias]]\nprovider = \"p\"\nmodel = \"dep\"\nis = \"{is}\"\n");
    let first = alias("m") + "[provider_cost]\np = \"ignore\"\n[[adjust]]\non = \"cost\"\nfactor = \"0.5\"\n";
    let second = entry("input_text = \"8\"")
        + &alias("other")
        + "[provider_cost]\np = \"prefer\"\n[[adjust]]\non = \"charge\"\nfactor = \"3\"\n";
    let book = layers_of(&[first, second]);
    let rating =
        rate(&book, NOON, MILLION, |call| (call.response_model, call.provider_cost_nano_usd) = (Some("dep"), Some(1)));
    assert_eq!((rating.cost().to_string(), rating.charge().to_string()), ("4.00".to_owned(), "12.00".to_owned()));
    let circle = [alias("m"), alias("m").replace("\"m\"", "\"dep\"").replacen("\"dep\"", "\"m\"", 1)];
    let read = circle.iter().map(|text| (Layer::default(), read::parse(text).unwrap())).collect();
    assert_eq!(PriceBook::of(read).unwrap_err(), ["alias[0] (p dep).is: comes back to itself: dep is m is dep"]);
}

#[test]
fn deterministic_what_an_amount_does_not_hold_is_unpriced_and_never_a_wrong_amount() {
    let book =
        PriceBook::parse(&entry("web_searches = \"1000000\"\nfile_searches = \"100000\"\nx_searches = \"100000\""))
            .unwrap();
    let one = rate(&book, NOON, &[(Class::WebSearches, 1 << 40)], |_| {});
    assert_eq!(lines(&one), "unpriced");
    let most = rate(&book, NOON, &[(Class::FileSearches, 1 << 40)], |_| {});
    assert_eq!(lines(&most), "109951162777600.00");
    let sum = rate(&book, NOON, &[(Class::FileSearches, 1 << 40), (Class::XSearches, 1 << 40)], |_| {});
    assert_eq!(lines(&sum), "unpriced + unpriced");
}
