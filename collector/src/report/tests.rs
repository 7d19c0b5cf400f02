use wire::usage::Class;

use super::lines::Which;
use super::unpriced::{Open, Origin};
use super::*;
use crate::money::Charge;
use crate::store::Total;
use crate::store::sums::Counted;

/// A report of one line.
fn report(model: &str, evidence: Evidence, sum: Sum) -> Report {
    let mut lines = Lines::default();
    let mut key = lines::LineKey::default();
    [model, ""].iter().for_each(|text| key.push(text));
    key.end(Grade(evidence));
    *lines.line(&key, Which::Now).unwrap() = sum;
    let question = Question { by: vec![Dimension::Model], ..Question::default() };
    let (count, totals, notes, marks) = Default::default();
    let (figures, position) = Default::default();
    let lines = Found::All(Box::new(lines));
    let mut report = Report { question, lines, count, totals, notes, marks, read: None, figures, position };
    report.finish(Lack::default()).unwrap();
    report
}

#[test]
fn deterministic_a_model_brings_its_provider_and_columns_have_the_order_that_was_asked_for() {
    let names = |text: &str| {
        dimensions(text).map(|by| by.iter().map(|of| of.name().into_owned()).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(names("tenant,model"), Ok("tenant provider model".to_owned()));
    assert_eq!(names("model,tenant,model"), Ok("provider model tenant".to_owned()));
    assert_eq!(names("model,day,provider"), Ok("model day provider".to_owned()));
    assert_eq!(names("provider, day,day,evidence"), Ok("provider day".to_owned()));
    assert_eq!(names("tag:b,session,tenant:2,tenant,tag:a"), Ok("tag:b session tenant:2 tenant tag:a".to_owned()));
    let allowed = "must be a list of hour, day, month, tenant, principal, provider, model, operation, route, session, agent, \
                   trace, outcome, node, emitter, evidence, tenant:DEPTH, tag:NAME, separated by commas";
    for bad in ["", "tenant,", "colour", "Tenant", "tag", "tenant\u{202e}"] {
        assert_eq!(names(bad), Err(allowed.to_owned()), "{bad}");
    }
    for bad in ["tenant:0", "tenant:x", "tenant:65", "tag:"] {
        assert!(names(bad).is_err(), "{bad}");
    }
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
    assert!(most.clone().add(&row, None).is_err());
    assert!(most.clone().merge(&most).is_err());
    let mut sum = Sum::default();
    row.counted = Counted::Usage(Class::InputText);
    sum.usage.insert(Class::InputText, i128::MAX);
    assert!(sum.add(&row, None).is_err());
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
    let mut open = Open::default();
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
        let origin = Origin { began: "2026-10", is_closed: total.unpriced < 0, tenant: "", provider: "p", model };
        open.add(origin, &total).unwrap();
    }
    let mut report = report("mute", Evidence::Reported, Sum { calls: 4, ..Sum::default() });
    report.notes.end(open.models().unwrap());
    report.marks.unpriced = true;
    let table = report.render(Format::Table).unwrap();
    assert!(table.contains("p mute: 4 calls, 1,200 tokens, 3 web_searches without a price"), "{table}");
    assert!(table.contains("p searches: 1 calls, 2 web_searches without a price"), "{table}");
    assert!(!table.contains("p later:") && !table.contains("p priced:"), "{table}");
    let json: serde_json::Value = serde_json::from_str(&report.render(Format::Json).unwrap()).unwrap();
    assert_eq!(json["notes"]["unpriced"][0]["units"], serde_json::json!({"web_searches": 3}));
    assert_eq!(json["notes"]["unpriced"].as_array().map(Vec::len), Some(2));
}

#[test]
fn contract_what_people_read_names_the_filters_and_nothing_in_them_steers() {
    let mut question = Question { by: vec![Dimension::Model], ..Question::default() };
    for (dimension, value) in [
        (Dimension::Tenant(None), "nobody"),
        (Dimension::Tenant(None), "a*"),
        (Dimension::Session, "\u{202e}<b>"),
        (Dimension::Agent, ""),
    ] {
        question.filters.add(dimension, value).unwrap();
    }
    let said = "all days, time zone UTC; only tenant=nobody or a*, session=\\u{202e}<b>, agent=";
    let mut report = report("m", Evidence::Reported, Sum { calls: 4, ..Sum::default() });
    report.question = question.clone();
    let [table, markdown] = [Format::Table, Format::Markdown].map(|format| report.render(format).unwrap());
    assert!(table.ends_with(&format!("{said}\n")), "{table}");
    assert!(markdown.contains("only tenant=nobody or a\\*, session=\\\\u{202e}&lt;b&gt;, agent="), "{markdown}");
    report.lines = Found::Top(Vec::new());
    report.finish(Lack::default()).unwrap();
    assert_eq!(report.render(Format::Table).unwrap(), format!("no calls {said}\n"));
    assert!(report.render(Format::Markdown).unwrap().contains("tenant=nobody"));
    for value in 0..30 {
        question.filters.add(Dimension::Model, &value.to_string()).unwrap();
    }
    assert!(question.said().ends_with("model=0 or 1 or 2 or 3 or 4 or 5 or 6 or 7 or 8 or 9 or 10 or 11 or 12 or 13 or 14 or 15 or 16 or 17 or 18 or 19 or 10 more"));
}

/// A sum of so many tokens, of which so many have no price.
fn tokens(calls: i128, tokens: i128, unpriced: i128, charge: Option<&str>) -> Sum {
    let amounts = charge.map(|charge| Amounts { charge: charge.parse().unwrap(), cost: Charge::default() });
    let class = Class::InputText;
    Sum {
        calls,
        usage: (tokens != 0).then_some((class, tokens)).into_iter().collect(),
        unpriced: (unpriced != 0).then_some((class, unpriced)).into_iter().collect(),
        amounts: amounts.map(|amounts| (class, amounts)).into_iter().collect(),
        ..Sum::default()
    }
}

#[test]
fn contract_a_comparison_with_what_has_no_price_has_a_mark_and_calls_are_never_new() {
    let none = Sum::default();
    let cases = [
        // All of the period before had no price; a part of it; a part of this one; nothing was there.
        (
            tokens(2, 9, 0, Some("0.50")),
            tokens(2, 9, 9, None),
            ["unpriced", "unpriced", "unpriced"],
            ["", "input_text_tokens", "", ""],
        ),
        (
            tokens(2, 9, 0, Some("0.50")),
            tokens(2, 9, 3, Some("0.40")),
            ["0.40", "0.10", "+25.0% + unpriced"],
            ["0.40", "input_text_tokens", "0.10", "25.0"],
        ),
        (
            tokens(2, 9, 3, Some("0.50")),
            tokens(2, 9, 0, Some("0.40")),
            ["0.40", "0.10", "+25.0% + unpriced"],
            ["0.40", "", "0.10", "25.0"],
        ),
        (tokens(2, 9, 9, None), tokens(2, 9, 0, Some("0.40")), ["0.40", "unpriced", "unpriced"], ["0.40", "", "", ""]),
        (tokens(2, 9, 0, Some("0.50")), none.clone(), ["-", "0.50", "new"], ["", "", "0.50", "new"]),
        // Calls that cost nothing are not new; of calls without counts nothing is compared.
        (tokens(2, 9, 0, Some("0.50")), tokens(1, 9, 0, Some("0.00")), ["0.00", "0.50", "-"], ["0.00", "", "0.50", ""]),
        (tokens(2, 0, 0, None), tokens(1, 0, 0, None), ["-", "-", "-"], ["", "", "", ""]),
        (tokens(2, 0, 0, None), none, ["-", "-", "-"], ["", "", "", ""]),
    ];
    for (sum, before, table, csv) in cases {
        let mut report = report("m", Evidence::Reported, Sum::default());
        report.question.compare = true;
        report.question.period = Period::days("2026-11-01".parse().ok(), "2026-11-30".parse().ok());
        let line = Line {
            key: Key { columns: vec!["m".to_owned()], ..Key::default() },
            grade: Grade(Evidence::Reported),
            sum: sum.clone(),
            before: Some(before.clone()),
        };
        report.lines = Found::Top(vec![line]);
        let by = |sum: &Sum| [(Grade(Evidence::Reported), sum.unpriced.clone())].into();
        report.finish(Lack { by_evidence: [by(&sum), by(&before)], ..Lack::default() }).unwrap();
        let text = report.render(Format::Markdown).unwrap();
        for line in [2, 3] {
            let cells: Vec<&str> =
                text.lines().nth(line).unwrap().split('|').map(|cell| cell.trim().trim_matches('*')).collect();
            let found = &cells[cells.len() - 5..cells.len() - 2];
            assert_eq!(found, table, "{text}");
        }
        let fields: Vec<String> =
            report.render(Format::Csv).unwrap().lines().nth(1).unwrap().split(',').map(str::to_owned).collect();
        let [_, charge, _, unpriced, by, percent, _]: [String; 7] =
            fields[fields.len() - 7..].to_vec().try_into().unwrap();
        assert_eq!([charge, unpriced, by, percent], csv.map(str::to_owned), "{fields:?}");
        let json: serde_json::Value = serde_json::from_str(&report.render(Format::Json).unwrap()).unwrap();
        let change = &json["lines"][0]["change"];
        assert_eq!(change["charge"].as_str().unwrap_or_default(), csv[2], "{json}");
        assert_eq!(change["percent"].is_string(), !csv[3].is_empty(), "{json}");
        assert_eq!(change["unpriced"] == true, table.iter().any(|cell| cell.contains("unpriced")), "{json}");
        assert_eq!(json["lines"][0]["before"]["unpriced"].is_object(), !csv[1].is_empty(), "{json}");
    }
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
        let report = report(name, Evidence::Missing, Sum { calls: -1, ..Sum::default() });
        let csv = report.render(Format::Csv).unwrap();
        let (_, line) = csv.split_once("\r\n").unwrap();
        let empty = ",".repeat(Class::ALL.len() + 4);
        assert_eq!(line, format!("{expected},,missing,-1{empty},UTC\r\n"), "{name:?}");
    }
}

#[test]
fn contract_json_has_names_as_they_are_and_no_character_that_steers() {
    let name = "=1\u{1b}[2J\u{9b}\u{202e}\u{200b}\u{feff}\u{e0041}\r\n\t\"\\ü中";
    let json = report(name, Evidence::Missing, Sum { calls: 1, ..Sum::default() }).render(Format::Json).unwrap();
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
    sum.add(&total, None).unwrap();
    sum.settle(&Open::default());
    assert_eq!(sum.total().unwrap().map(|total| total.charge.to_string()).as_deref(), Some("-0.25"));
    (total.quantity, total.charge) = (5, Charge::default());
    let mut unpriced = Sum::default();
    unpriced.add(&Total { unpriced: 5, ..total }, None).unwrap();
    unpriced.settle(&Open::default());
    assert!(unpriced.total().unwrap().is_none(), "what has no price costs nobody knows what");
}

/// The tables of the documents.
fn tables() -> [(&'static str, &'static str, String); 4] {
    let mut columns = "| name | what it is | read from | filter |\n|---|---|---|---|\n".to_owned();
    for (name, help, sums, filter) in dimension::described() {
        let (from, filter) = (if sums { "sums" } else { "calls" }, if filter { "yes" } else { "" });
        columns.push_str(&format!("| `{name}` | {help} | {from} | {filter} |\n"));
    }
    let mut parameters = "| option | parameter of HTTP | value | what it does |\n|---|---|---|---|\n".to_owned();
    for Parameter { name, form, help } in PARAMETERS {
        let option = name.replace('_', "-");
        parameters.push_str(&format!("| `--{option}` | `{name}` | {form} | {help} |\n"));
    }
    let mut options = "| option | parameter of HTTP | value | what it does |\n|---|---|---|---|\n".to_owned();
    for (name, form, help) in focus::PARAMETERS {
        options.push_str(&format!("| `--{name}` | `{name}` | {form} | {help} |\n"));
    }
    let mut of_focus = "| column | FOCUS | what is in it |\n|---|---|---|\n".to_owned();
    for (name, version, help) in focus::described() {
        of_focus.push_str(&format!("| `{name}` | {version} | {help} |\n"));
    }
    [
        ("reports", "columns", columns),
        ("reports", "parameters", parameters),
        ("focus", "options", options),
        ("focus", "focus", of_focus),
    ]
}

#[test]
fn contract_the_reference_names_every_column_and_parameter() {
    for document in ["reports", "focus"] {
        let path = format!("{}/../docs/{document}.md", env!("CARGO_MANIFEST_DIR"));
        let found = std::fs::read_to_string(&path).unwrap();
        let mut expected = found.clone();
        for (_, name, table) in tables().iter().filter(|(of, ..)| *of == document) {
            let mark = format!("<!-- table: {name} -->\n");
            let (before, rest) = expected.split_once(&mark).expect("the document has the mark");
            let (_, behind) = rest.split_once("<!-- end of table -->").expect("the document has the end mark");
            expected = format!("{before}{mark}{table}<!-- end of table -->{behind}");
        }
        if std::env::var_os("MESHMETER_WRITE_DOCS").is_some() {
            std::fs::write(path, expected).unwrap();
        } else {
            assert!(found == expected, "docs/{document}.md is not what the code says: run `just docs`");
        }
    }
}

#[test]
fn contract_columns_of_focus_are_in_the_order_of_the_alphabet_and_ours_come_last() {
    let names: Vec<&str> = focus::described().map(|(name, ..)| name).collect();
    let of_focus: Vec<&str> = names.iter().copied().filter(|name| !name.starts_with("x_")).collect();
    assert!(of_focus.is_sorted() && names.starts_with(&of_focus), "{names:?}");
    for (name, version, _) in focus::described() {
        let is_ours = name.starts_with("x_");
        assert_eq!(is_ours, !focus::VERSIONS.contains(&version), "{name}");
    }
}

#[test]
fn contract_what_focus_has_no_room_for_is_refused_by_its_name() {
    let now_ns = 1_769_860_800_000_000_000;
    let question = |parameters: &[(&str, &str)]| Question::of(Kind::Focus, parameters.iter().copied(), now_ns);
    for asked in [("top", "3"), ("sort", "cost"), ("round", "2"), ("time_zone", "Europe/Berlin"), ("compare", "true")] {
        let bad = question(&[asked, ("since", "2026-01"), ("until", "2026-01"), ("by", "tenant")]).unwrap_err();
        assert_eq!(bad.name, asked.0);
    }
    assert!(question(&[("time_zone", "UTC")]).is_ok());
    let open = question(&[]).unwrap();
    assert_eq!(open.period.from_ns(), 1_767_225_600_000_000_000, "the month that it is, not the whole ledger");
    let mut options = focus::Options::default();
    for (name, value) in [("billed", ""), ("billed", "list"), ("issuer", "")] {
        assert_eq!(options.set(name, value).unwrap_err().name, name);
    }
}

#[test]
fn contract_what_a_message_says_is_allowed_is_accepted_and_nothing_else() {
    let values = [
        ("since", "2026-01"),
        ("until", "2026-01"),
        ("time_zone", "UTC"),
        ("by", "tenant"),
        ("top", "3"),
        ("sort", "cost"),
        ("compare", "true"),
        ("round", "2"),
    ];
    assert_eq!(values.map(|(name, _)| name).to_vec(), PARAMETERS.iter().map(|known| known.name).collect::<Vec<_>>());
    let evidence = ("evidence", "reported");
    for kind in [Kind::Report, Kind::Latency, Kind::Focus] {
        let question = |given: &[(&str, &str)]| Question::of(kind, given.iter().copied(), 1_769_860_800_000_000_000);
        let said = question(&[("colour", "red")]).unwrap_err().to_string();
        let (parameters, filters) =
            said.strip_prefix("colour: is no parameter; allowed: ").unwrap().split_once(", and the filters ").unwrap();
        for asked in values {
            let is_said = parameters.split(", ").any(|name| name == asked.0);
            // Some need others beside them.
            let others =
                values.iter().filter(|(name, _)| *name != asked.0 && kind.parameters().any(|of| of.name == *name));
            let result = question(&[&[asked], &others.copied().collect::<Vec<_>>()[..]].concat());
            assert_eq!(result.is_ok(), is_said, "{kind:?} {asked:?}: {result:?}");
        }
        let is_option = |name: &str| parameters.split(", ").any(|known| known == name);
        assert_eq!(is_option("billed") && is_option("issuer"), kind == Kind::Focus);
        for name in filters.split(", ") {
            let name = name.replace("NAME", "team");
            let value = if name == "outcome" { "completed" } else { evidence.1 };
            let result = question(&[(&name, value)]);
            assert!(result.is_ok(), "{kind:?} {name}: {result:?}");
        }
    }
}
