use wire::usage::Class;

use super::*;
use crate::money::Charge;
use crate::store::Total;
use crate::store::sums::Counted;

fn key(model: &str) -> Key {
    Key { columns: vec![model.to_owned()], adjusts: String::new() }
}

#[test]
fn deterministic_a_model_brings_its_provider_and_columns_have_one_order() {
    let names =
        |text: &str| dimensions(text).map(|by| by.into_iter().map(Dimension::name).collect::<Vec<_>>().join(" "));
    assert_eq!(names("model,tenant"), Ok("tenant provider model".to_owned()));
    assert_eq!(names("provider, day,day"), Ok("day provider".to_owned()));
    let allowed = "must be a list of day, month, tenant, provider, model, separated by commas";
    assert_eq!(names(""), Err(allowed.to_owned()));
    assert_eq!(names("tenant,"), Err(allowed.to_owned()));
}

#[test]
fn deterministic_sums_beyond_128_bits_are_an_error_not_a_number() {
    let most = Sum { calls: i128::MAX, ..Sum::default() };
    let mut row = Total {
        key: Vec::new(),
        evidence: Evidence::Reported,
        counted: Counted::Calls,
        quantity: 1,
        charge: Charge::default(),
        cost: Charge::default(),
        unpriced: 0,
        fallback: 0,
    };
    assert!(most.clone().add(&row).is_err());
    assert!(most.clone().merge(&most).is_err());
    let mut sum = Sum::default();
    row.counted = Counted::Usage(Class::InputText);
    sum.usage.insert(Class::InputText, i128::MAX);
    assert!(sum.add(&row).is_err());
}

#[test]
fn contract_the_footnote_says_of_what_there_is_no_price_and_nets_what_was_priced_later() {
    let total = |counted, quantity, unpriced| Total {
        key: Vec::new(),
        evidence: Evidence::Reported,
        counted,
        quantity,
        charge: Charge::default(),
        cost: Charge::default(),
        unpriced,
        fallback: 0,
    };
    let [tokens, searches] = [Class::InputText, Class::WebSearches].map(Counted::Usage);
    let mut models = notes::Models::default();
    for (model, total) in [
        ("mute", total(Counted::Calls, 4, 0)),
        ("mute", total(tokens.clone(), 1200, 1200)),
        ("mute", total(searches.clone(), 3, 3)),
        ("searches", total(Counted::Calls, 1, 0)),
        ("searches", total(searches, 2, 2)),
        // Priced later: the line that had no price is taken back.
        ("later", total(Counted::Calls, 1, 0)),
        ("later", total(tokens.clone(), 5, 5)),
        ("later", total(tokens.clone(), 0, -5)),
        ("priced", total(tokens, 7, 0)),
    ] {
        models.add("p", model, &total).unwrap();
    }
    let notes = Notes::of([].iter(), models).unwrap();
    let question = Question { selection: Selection::default(), by: vec![Dimension::Model], round: None };
    let lines = BTreeMap::from([((key("mute"), Grade(Evidence::Reported)), Sum { calls: 4, ..Sum::default() })]);
    let report = Report { question, lines, notes };
    let table = report.render(Format::Table).unwrap();
    assert!(table.contains("p mute: 4 calls, 1,200 tokens, 3 web_searches without a price"), "{table}");
    assert!(table.contains("p searches: 1 calls, 2 web_searches without a price"), "{table}");
    assert!(!table.contains("later") && !table.contains("priced:"), "{table}");
    let json: serde_json::Value = serde_json::from_str(&report.render(Format::Json).unwrap()).unwrap();
    assert_eq!(json["notes"]["unpriced"][0]["units"], serde_json::json!({"web_searches": 3}));
    assert_eq!(json["notes"]["unpriced"].as_array().map(Vec::len), Some(2));
}

#[test]
fn contract_a_name_in_csv_is_one_field_and_never_a_formula() {
    let cases = [
        ("gpt-4.1", "gpt-4.1"),
        ("us.anthropic.claude-v1:0", "us.anthropic.claude-v1:0"),
        ("acme/ml", "acme/ml"),
        ("", ""),
        ("a \"b\", c\r\nd", r#""a ""b"", c\r\nd""#),
        ("a;=1+1", r#""a;=1+1""#),
        ("=cmd|' /C calc'!A0", r#""'=cmd|' /C calc'!A0""#),
        ("+1", r#""'+1""#),
        ("-1+1", r#""'-1+1""#),
        ("-1", r#""'-1""#),
        ("@SUM(A1)", r#""'@SUM(A1)""#),
        (" =1", r#""' =1""#),
        ("\t=1", r#""\t=1""#),
        ("\r=1", r#""\r=1""#),
        ("\u{ff1d}1", "\"'\u{ff1d}1\""),
        // What was marked and what began so are two names.
        ("'=1", r#""''=1""#),
        ("\u{1b}[2J\u{9b}\u{202e}x", r#""\u{1b}[2J\u{9b}\u{202e}x""#),
    ];
    for (name, expected) in cases {
        let lines = BTreeMap::from([((key(name), Grade(Evidence::Missing)), Sum { calls: -1, ..Sum::default() })]);
        let question = Question { selection: Selection::default(), by: vec![Dimension::Model], round: None };
        let csv = Report { question, lines, notes: Notes::default() }.render(Format::Csv).unwrap();
        let (_, line) = csv.split_once("\r\n").unwrap();
        let empty = ",".repeat(Class::ALL.len() + 4);
        assert_eq!(line, format!("{expected},,missing,-1{empty}\r\n"), "{name:?}");
    }
}

#[test]
fn contract_json_has_names_as_they_are_and_no_character_that_steers() {
    let name = "=1\u{1b}[2J\u{9b}\u{202e}\u{200b}\u{feff}\u{e0041}\r\n\t\"\\ü中";
    let lines = BTreeMap::from([((key(name), Grade(Evidence::Missing)), Sum::default())]);
    let question = Question { selection: Selection::default(), by: vec![Dimension::Model], round: None };
    let json = Report { question, lines, notes: Notes::default() }.render(Format::Json).unwrap();
    assert_eq!(crate::terminal::lines(&json), json);
    assert!(json.contains(r"=1\u001b[2J\u009b\u202e\u200b\ufeff\udb40\udc41\r\n\t\"), "{json}");
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read["lines"][0]["model"], name);
}

#[test]
fn contract_an_adjustment_by_another_price_is_an_amount_of_nothing() {
    let mut sum = Sum::default();
    let mut total = Total {
        key: Vec::new(),
        evidence: Evidence::Reported,
        counted: Counted::Usage(Class::InputText),
        quantity: 0,
        charge: "-0.25".parse().unwrap(),
        cost: Charge::default(),
        unpriced: 0,
        fallback: 0,
    };
    sum.add(&total).unwrap();
    sum.settle();
    assert_eq!(sum.total().unwrap().map(|total| total.charge.to_string()).as_deref(), Some("-0.25"));
    (total.quantity, total.charge) = (5, Charge::default());
    let mut unpriced = Sum::default();
    unpriced.add(&Total { unpriced: 5, ..total }).unwrap();
    unpriced.settle();
    assert!(unpriced.total().unwrap().is_none(), "what has no price costs nobody knows what");
}
