//! Names, aliases, layers, and what is refused of a book.

use proptest::prelude::*;

use super::*;

/// Hugging Face's router: the path names the service, or the model behind a colon.
#[test]
fn contract_the_services_price_is_the_routers_where_its_list_lacks_the_model() {
    let named = |provider: &str, model: &str, price: &str| {
        format!(
            "[[price]]\nprovider = \"{provider}\"\nmodel = \"{model}\"\nvalid_from = 2026-01-01\ninput_text = \"{price}\"\n"
        )
    };
    let text = [
        named("huggingface", "org/m:together", "1"),
        named("huggingface", "org/m:fireworks-ai", "2"),
        named("huggingface", "org/agreed", "3"),
        named("together", "org/m", "4"),
        named("together", "org/n", "5"),
        named("together", "org/agreed", "6"),
        named("fireworks", "accounts/fireworks/models/n", "7"),
        named("anthropic", "org/n", "8"),
    ]
    .concat();
    let book = |built_in: Option<&str>| {
        let layer = Layer { built_in: built_in.map(str::to_owned), ..Layer::default() };
        PriceBook::of(vec![(layer, super::super::read::parse(&text).unwrap())]).unwrap()
    };
    // Of the response, asked for, in the path; by the built-in book, and by one's own, which means one's own calls of a service.
    let cases = [
        (["org/m", "org/m", "together"], "1.00", "1.00"),
        (["Org/M", "Org/M", "Together"], "1.00", "1.00"),
        (["org/m", "org/m", "fireworks-ai"], "2.00", "2.00"),
        (["m-turbo", "org/m:together", ""], "1.00", "1.00"),
        (["org/m", "org/m:fireworks-ai", ""], "2.00", "2.00"),
        (["org/n", "org/n", "together"], "5.00", "unpriced"),
        (["else", "org/n:together", ""], "5.00", "unpriced"),
        (["accounts/fireworks/models/n", "", "fireworks-ai"], "7.00", "unpriced"),
        (["org/agreed", "", "together"], "6.00", "3.00"),
        (["org/agreed", "", "groq"], "3.00", "3.00"),
        (["org/agreed", "", ""], "3.00", "3.00"),
        // No service says which of its prices holds, and what is no service of the router sells nothing there.
        (["org/m", "org/m", ""], "unpriced", "unpriced"),
        (["org/m", "org/m:fastest", ""], "unpriced", "unpriced"),
        (["org/n", "", "anthropic"], "unpriced", "unpriced"),
        (["org/n", "", "groq"], "unpriced", "unpriced"),
    ];
    for (names, by_built_in, by_own) in cases {
        let rated = |book: &PriceBook| {
            let [response, request, path] = names.map(|name| Some(name).filter(|name| !name.is_empty()));
            let rating = rate(book, NOON, MILLION, |call| {
                (call.provider, call.response_model) = ("huggingface", response);
                (call.request_model, call.path_model) = (request, path);
            });
            lines(&rating)
        };
        assert_eq!(rated(&book(Some("2026-01-01"))), by_built_in, "{names:?}");
        assert_eq!(rated(&book(None)), by_own, "{names:?}");
    }
    // A colon elsewhere says nothing.
    let other = rate(&book(Some("")), NOON, MILLION, |call| {
        (call.provider, call.response_model, call.path_model) = ("novita", Some("org/m"), Some("together"));
    });
    assert_eq!(lines(&other), "unpriced");
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
    // Of the response, asked for, in the path; what it costs, by which name.
    type Names = [&'static str; 3];
    let cases: &[(&str, Names, &str, &str)] = &[
        ("p", ["gpt-4.1", "", ""], "1.00", ""),
        ("p", ["GPT-4.1-2025-04-14", "", ""], "1.00", " name=gpt-4.1"),
        ("p", ["gpt-4o-2024-05-13", "", ""], "3.00", ""),
        ("p", ["gpt-4o-2024-08-06", "", ""], "2.00", " name=gpt-4o"),
        ("p", ["claude-sonnet-4-5-20250929", "", ""], "7.00", " name=claude-sonnet-4-5"),
        ("p", ["claude-sonnet-4-1-20250929", "", ""], "6.00", ""),
        // What responded comes before what was asked for, and both before what is for any model.
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
        let call = RatingInput {
            response_model,
            request_model,
            path_model,
            ..RatingInput::new(provider, "", NOON.parse().unwrap(), &usage)
        };
        let rating = book.rate(&call);
        let entry = rating.entry.clone().unwrap_or_default();
        let found = entry.find(" name=").map_or("", |at| &entry[at..]);
        assert_eq!((lines(&rating).as_str(), found), (*price, *by), "{names:?} {entry}");
    }
}

#[test]
fn contract_wrong_tables_name_the_place_and_what_is_allowed() {
    let conditions = |text: &str| entry_of_m(&format!("{text}\ninput_text = \"1\""));
    let factor = |text: &str| entry_of_m(&format!("input_text = \"1\"\n[[price.factor]]\n{text}"));
    let alias = |model: &str, is: &str| format!("[[alias]]\nprovider = \"p\"\nmodel = \"{model}\"\nis = \"{is}\"\n");
    let surcharge = |models: &str, price: &str| {
        format!(
            "[[surcharge]]\nprovider = \"p\"\nmodel = {models}\nvalid_from = 2026-01-01\ninput_text = \"{price}\"\n"
        )
    };
    let discount = |models: &str| format!("[[adjust]]\non = \"cost\"\nfactor = \"0.9\"\nmodel = {models}\n");
    let cases = [
        (factor("factor = 1.1"), "price[0] (p m).factor[0].factor: must be a decimal number in quotes such as \"1.1\""),
        (factor("factor = \"0\""), "price[0] (p m).factor[0].factor: must be above 0 and at most 1000"),
        (factor("factor = \"1.00001\""), "price[0] (p m).factor[0].factor: must have at most 4 decimals"),
        (factor("region = \"eu\""), "price[0] (p m).factor[0].factor: is missing"),
        (
            factor("factor = \"1.1\"\n[[price.factor]]\nfactor = \"1.1\""),
            "price[0] (p m).factor[1].factor: is there already, with the same conditions and classes; both would multiply",
        ),
        (
            factor("factor = \"1.1\"\nregion = [\"eu\", \"us\"]\nclasses = [\"input_text\", \"output_text\"]")
                + "[[price.factor]]\nfactor = \"1.10\"\nclasses = [\"output_text\", \"input_text\"]\nregion = [\"us\", \"EU\"]",
            "price[0] (p m).factor[1].factor: is there already",
        ),
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
        (
            alias("a*", "b"),
            "alias[0] (p a*).model: must be a full name: a* has a *, which stands for no other text here",
        ),
        (alias("a", "b*"), "alias[0] (p a).is: must be a full name: b* has a *, which stands for no other text here"),
        (
            alias("a#", "b"),
            "alias[0] (p a#).model: must be a full name: a# has a #, which stands for no other text here",
        ),
        (alias("a", "!b"), "alias[0] (p a).is: must be a full name: !b has a !, which stands for no other text here"),
        (
            surcharge("[\"a\", \"b\"]", "0.10") + &surcharge("[\"B\", \"a\"]", "0.1"),
            "surcharge[1] (p B).model: has the same surcharge already; both would be added",
        ),
        (
            discount("[\"a\", \"b\"]") + &discount("[\"b\", \"a\"]"),
            "adjust[1].factor: is there already, for the same calls; both would multiply",
        ),
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
            "[[adjust]]\non = \"cost\"\nfactor = \"2\"\ntenant = [\"acme\", \"!\"]\n".to_owned(),
            "adjust[0].tenant: must be a tenant, or the beginning of one with a * behind it, such as acme/*; one after ! is not meant",
        ),
        (
            conditions("cached_read = \"1\""),
            "price[0] (p m).cached_read: is not known; did you mean cache_read? allowed are provider, model",
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
        // Other prices, other calls, another factor: no copies.
        surcharge("\"a\"", "0.1") + &surcharge("\"a\"", "0.2") + &surcharge("\"b\"", "0.1"),
        discount("\"a\"") + &discount("\"b\"") + &discount("\"a\"").replace("0.9", "0.8"),
    ] {
        assert!(PriceBook::parse(&text).is_ok(), "{text}");
    }
}

fn layers_of(texts: &[String]) -> PriceBook {
    PriceBook::of(texts.iter().map(|text| (Layer::default(), read::parse(text).unwrap())).collect()).unwrap()
}

#[test]
fn contract_layers_share_aliases_discounts_and_policies_of_which_the_first_counts() {
    let alias = |is: &str| format!("[[alias]]\nprovider = \"p\"\nmodel = \"dep\"\nis = \"{is}\"\n");
    let first = alias("m") + "[provider_cost]\np = \"ignore\"\n[[adjust]]\non = \"cost\"\nfactor = \"0.5\"\n";
    let second = entry_of_m("input_text = \"8\"")
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

proptest! {
    /// Of layers the first that has an entry decides, whatever the others say.
    #[test]
    fn deterministic_layers_are_asked_in_their_order(has in prop::collection::vec(any::<bool>(), 1..5)) {
        let layers: Vec<String> = has.iter().enumerate().map(|(number, has)| {
            let model = if *has { "m" } else { "other" };
            entry_of_m(&format!("input_text = \"{}\"", number + 1)).replace("\"m\"", &format!("\"{model}\""))
        }).collect();
        let book = layers_of(&layers);
        let expected = has.iter().position(|has| *has).map_or("unpriced".to_owned(), |first| format!("{}.00", first + 1));
        prop_assert_eq!(lines(&rate(&book, NOON, MILLION, |_| {})), expected);
    }
}

/// Who invents names takes no memory, and changes nothing for others.
#[test]
fn deterministic_what_names_lead_to_is_remembered_within_bounds() {
    let book = PriceBook::parse(&entry_of_m("input_text = \"1\"").replace("\"m\"", "\"m*\"")).unwrap();
    let most = (0..5000).map(|number| {
        let name = format!("{}-{number}", if number % 2 == 0 { "m" } else { "x" });
        let rating = rated(&book, "p", &name, "2026-02-02", None, MILLION);
        assert_eq!(lines(&rating), if number % 2 == 0 { "1.00" } else { "unpriced" }, "{name}");
        book.remembered.len()
    });
    assert_eq!(most.max(), Some(2048));
    // The day and the conditions of a call are its own, whatever is remembered of its name.
    assert_eq!(lines(&rated(&book, "p", "m-0", "2025-12-31", None, MILLION)), "unpriced");
    assert_eq!(lines(&rated(&book, "p", "m-0", "2026-01-01", Some("flex"), MILLION)), "1.00 fallback");
}

/// What a client asks for is no proof of what it gets: neither a negotiated price nor a discount of the asked model holds.
#[test]
fn contract_what_the_client_asks_for_stands_below_what_the_provider_says_in_every_book() {
    let mine = [entry_of("cheap", "0.01"), adjust_of("cheap*", "0.01"), adjust_of("dear*", "0.5")].concat();
    let book = layers_of(&[mine, [entry_of("dear-2026-01-31", "2.00"), entry_of("cheap", "0.10")].concat()]);
    let asked = |responded: Option<&'static str>, asked: &'static str| {
        lines(&rate(&book, NOON, MILLION, |call| (call.response_model, call.request_model) = (responded, Some(asked))))
    };
    assert_eq!(asked(Some("dear-2026-01-31"), "cheap"), "1.00");
    assert_eq!(asked(Some("cheap"), "dear-2026-01-31"), "0.0001");
    // Where the provider names nothing that has a price, there is the client's word alone.
    assert_eq!(asked(None, "cheap"), "0.0001");
    // Azure serves the deployment, whatever model a body names.
    let names = |provider: &'static str| {
        let usage = Usage::default();
        let mut call = RatingInput::new(provider, "responded", NOON.parse().unwrap(), &usage);
        (call.path_model, call.request_model) = (Some("path"), Some("asked"));
        call.names().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("aws.bedrock"), "path responded asked");
    assert_eq!(names("azure.ai.openai"), "responded path asked");
    assert_eq!(names("openai"), "responded asked path");
}

fn entry_of(model: &str, price: &str) -> String {
    format!("[[price]]\nprovider = \"p\"\nmodel = \"{model}\"\nvalid_from = 2026-01-01\ninput_text = \"{price}\"\n")
}

fn adjust_of(model: &str, factor: &str) -> String {
    format!("[[adjust]]\non = \"charge\"\nmodel = \"{model}\"\nfactor = \"{factor}\"\n")
}

/// The lists have dated names by patterns and undated ones by themselves, and say less of the one than of the other.
#[test]
fn contract_searches_on_bedrock_have_a_price_by_dated_names_too() {
    let book = PriceBook::built_in().unwrap();
    let counts = [(Class::WebSearches, 1000)];
    for model in ["claude-opus-4-8", "claude-opus-4-8-20260101-v1:0", "claude-sonnet-4-5-20250929-v1:0"] {
        for begin in ["anthropic.", "us.anthropic.", "eu.anthropic.", "global.anthropic."] {
            let name = format!("{begin}{model}");
            let rating = rated(&book, "aws.bedrock", &name, "2026-11-28", None, &counts);
            assert_eq!(lines(&rating), "10.00", "{name}");
        }
    }
}
