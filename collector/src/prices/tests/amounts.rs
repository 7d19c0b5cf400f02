//! What is charged beside the prices of counts: fees, the provider's own price, discounts and mark-ups.

use super::*;

#[test]
fn deterministic_a_request_has_its_fee_once_and_only_if_it_had_a_response() {
    let book = PriceBook::parse(&entry_of_m("input_text = \"1\"\nrequests = \"5\"")).unwrap();
    let responded = rate(&book, NOON, MILLION, |call| call.has_response = true);
    assert_eq!(lines(&responded), "1.00 + 0.005");
    assert_eq!(responded.lines[1], Line { class: Class::Requests, quantity: 1, rated: responded.lines[1].rated });
    assert_eq!(lines(&rate(&book, NOON, MILLION, |_| {})), "1.00");
    // A call without counts costs its fee, and no event says how many requests it was.
    assert_eq!(lines(&rate(&book, NOON, &[], |call| call.has_response = true)), "0.005");
    assert_eq!(lines(&rate(&book, NOON, &[(Class::Requests, 9)], |_| {})), "");
    let mut record = wire::record::Record { status: Some(200), ..Default::default() };
    let responded = |record: &wire::record::Record| RatingInput::of(record, "").unwrap().has_response;
    record.outcome = wire::record::Outcome::Completed;
    assert!(responded(&record));
    record.part = Some("advisor".to_owned());
    assert!(!responded(&record));
    (record.part, record.status) = (None, Some(429));
    assert!(!responded(&record));
    (record.status, record.outcome) = (Some(200), wire::record::Outcome::ClientAborted);
    assert!(responded(&record), "a client that hangs up has had a response");
    record.status = None;
    assert!(!responded(&record));
}

/// What other models were used for is in what the provider says of the whole call, and has no price by what was asked for.
#[test]
fn deterministic_a_part_is_covered_by_the_providers_own_price_and_has_no_other_models() {
    let book = PriceBook::parse(&(entry_of_m("input_text = \"1\"") + "[provider_cost]\np = \"prefer\"\n")).unwrap();
    let mut record = wire::record::Record {
        started_ns: 1_790_000_000_000_000_000,
        provider: "p".into(),
        request_model: Some("m".into()),
        path_model: Some("m".into()),
        response_model: Some("image_generation".into()),
        usage: usage(MILLION),
        ..Default::default()
    };
    assert_eq!(lines(&book.rate(&RatingInput::of(&record, "").unwrap())), "1.00");
    record.part = Some("image_gen".into());
    assert_eq!(lines(&book.rate(&RatingInput::of(&record, "").unwrap())), "unpriced");
    record.response_model = Some("m".into());
    assert_eq!(lines(&book.rate(&RatingInput::of(&record, "").unwrap())), "1.00");
    record.provider_cost_nano_usd = Some(0);
    let covered = book.rate(&RatingInput::of(&record, "").unwrap());
    assert_eq!((covered.charge().to_string().as_str(), covered.by), ("0.00", Some(By::Own)));
    // Where the book is charged, its price of the part is too.
    let fallback = PriceBook::parse(&entry_of_m("input_text = \"1\"")).unwrap();
    assert_eq!(lines(&fallback.rate(&RatingInput::of(&record, "").unwrap())), "1.00");
    record.response_model = None;
    assert_eq!(lines(&fallback.rate(&RatingInput::of(&record, "").unwrap())), "unpriced");
}

#[test]
fn deterministic_what_is_prepaid_or_not_billed_costs_nothing_and_says_so() {
    let book = PriceBook::parse(&entry_of_m("input_text = \"1\"\nweb_searches = \"10\"")).unwrap();
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
    let named =
        [entry_of_m("input_text = \"1\""), entry_of_m("service_tier = \"provisioned_throughput\"\ninput_text = \"3\"")];
    let book = PriceBook::parse(&named.concat()).unwrap();
    let named = rate(&book, NOON, MILLION, |call| call.service_tier = Some("provisioned_throughput"));
    assert_eq!((lines(&named).as_str(), named.by), ("3.00", None));
}

#[test]
fn deterministic_the_providers_own_price_is_charged_as_the_policy_says() {
    let own = |text: &str, provider: &str, model: &str, nano: u64| {
        let book = PriceBook::parse(text).unwrap();
        let usage = usage(MILLION);
        let call = RatingInput {
            provider_cost_nano_usd: Some(nano),
            has_response: true,
            ..RatingInput::new(provider, model, NOON.parse().unwrap(), &usage)
        };
        let rating = book.rate(&call);
        assert_eq!(Rating::from_json(&rating.to_json()).as_ref(), Ok(&rating));
        rating
    };
    let of = |provider: &str| {
        entry_of_m("input_text = \"1\"\nrequests = \"5\"").replace("\"p\"", &format!("\"{provider}\""))
    };
    let amounts = |rating: &Rating| {
        (rating.charge().to_string(), rating.own.zip(rating.by_the_book()).map(|(own, book)| format!("{own} {book}")))
    };
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
        entry_of_m("input_text = \"0.000000000001\"\noutput_text = \"1\""),
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
fn deterministic_what_an_amount_does_not_hold_is_unpriced_and_never_a_wrong_amount() {
    let book = PriceBook::parse(&entry_of_m(
        "web_searches = \"1000000\"\nfile_searches = \"100000\"\nx_searches = \"100000\"",
    ))
    .unwrap();
    let one = rate(&book, NOON, &[(Class::WebSearches, 1 << 40)], |_| {});
    assert_eq!(lines(&one), "unpriced");
    let most = rate(&book, NOON, &[(Class::FileSearches, 1 << 40)], |_| {});
    assert_eq!(lines(&most), "109951162777600.00");
    let sum = rate(&book, NOON, &[(Class::FileSearches, 1 << 40), (Class::XSearches, 1 << 40)], |_| {});
    assert_eq!(lines(&sum), "unpriced + unpriced");
}
