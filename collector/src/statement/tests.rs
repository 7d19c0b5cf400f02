//! A statement of a ledger that has everything in it, in every format.

use std::path::Path;

use wire::identity::{Identity, Source};
use wire::record::{Deferred, Evidence, Flag, Outcome, Record};
use wire::usage::Class;

use super::*;
use crate::database::memory::Memory;
use crate::ledger::correct::{Correction, Instead};
use crate::ledger::{Arrival, Delivery, Ledger, Sender};
use crate::prices::PriceBook;

const EMITTER: &str = "0f8fad5bd9cb469fa16570867728950e";
const BOOK: &str = r#"
    [[price]]
    provider = "openai"
    model = "gpt-5*"
    valid_from = 2026-01-01
    input_text = "2.50"
    output_text = "10.00"
    web_searches = "10.00"
    [[price]]
    provider = "openai"
    model = "gpt-4.1"
    valid_from = 2026-01-01
    input_text = "2.00"
    [[adjust]]
    on = "charge"
    tenant = "acme"
    factor = "1.15"
    [[adjust]]
    on = "charge"
    tenant = "acme"
    model = "gpt-5*"
    factor = "0.9"
"#;
/// Markup, quotes, letters from right to left, a mark that turns the line around, and a formula.
const HOSTILE: &str = "=<b onclick='x'>&amp;\"\u{202e}שלום</b>";

struct Book {
    ledger: Ledger<Memory>,
    sequence: u64,
}

/// A day of 2026, at noon.
fn ns(day: &str) -> i64 {
    format!("{day}T12:00:00Z").parse::<jiff::Timestamp>().unwrap().as_nanosecond().try_into().unwrap()
}

impl Book {
    fn new() -> Book {
        let mut ledger = Ledger::new(Memory::new());
        ledger.set_prices(Some(std::sync::Arc::new(PriceBook::parse(BOOK).unwrap())));
        Book { ledger, sequence: 0 }
    }

    /// A call that began on a day and came on another; returns its entry.
    fn call(&mut self, tenant: &str, began: &str, came: &str, model: &str, change: impl Fn(&mut Record)) -> Entry {
        self.sequence += 1;
        let mut record = Record {
            started_ns: ns(began).try_into().unwrap(),
            identity: Identity { tenant: tenant.to_owned(), source: Source::Header, principal: None },
            provider: "openai".to_owned(),
            response_model: Some(model.to_owned()),
            evidence: Evidence::Reported,
            ..Record::default()
        };
        change(&mut record);
        let arrivals = vec![Arrival::new(wire::event::encode(&record, EMITTER, self.sequence))];
        let delivery = Delivery { sender: Sender::new("default", false), statement: None, arrivals };
        assert_eq!(self.ledger.append(&[&delivery], ns(came)).unwrap()[0].accepted, 1);
        self.ledger.store().entries.last().unwrap().clone()
    }

    fn correct(&mut self, entry: &Entry, at: &str, instead: Option<Instead>) {
        let correction = Correction { entry: entry.clone(), instead, reason: "looked at".to_owned() };
        assert_eq!(self.ledger.correct(&[correction], ns(at)).unwrap(), 1);
    }

    fn statement(&self, tenant: &str, below: bool, month: &str) -> BillingStatement {
        let question = Question { tenant: tenant.to_owned(), below, month: month.parse().unwrap(), round: 2, at: None };
        BillingStatement::of(self.ledger.store(), question, || ()).unwrap()
    }
}

fn tokens(counts: &[(Class, u64)]) -> impl Fn(&mut Record) {
    move |record| counts.iter().for_each(|(class, count)| record.usage.set(*class, Some(*count)))
}

/// October, which is closed; November with all that can be in a month; December.
fn filled() -> Book {
    let mut book = Book::new();
    let million = [(Class::InputText, 1_000_000)];
    let first = book.call("acme", "2026-10-05", "2026-10-05", "gpt-5", tokens(&million));
    book.call("acme", "2026-10-06", "2026-10-06", "gpt-4.1", tokens(&[(Class::InputText, 300_000)]));
    assert!(book.ledger.close_month("2026-10".parse().unwrap(), "invoiced", ns("2026-11-02")).unwrap().is_ok());
    // A late call of October, and one that is taken back.
    book.call("acme", "2026-10-31", "2026-11-03", "gpt-5-mini", tokens(&[(Class::InputText, 2_000_000)]));
    book.correct(&first, "2026-11-03", None);
    let counts = [
        (Class::InputText, 1_234_567),
        (Class::CacheRead, 50_000),
        (Class::OutputText, 345_678),
        (Class::WebSearches, 3),
    ];
    book.call("acme", "2026-11-04", "2026-11-04", "gpt-5", tokens(&counts));
    book.call("acme", "2026-11-05", "2026-11-05", "gpt-5", |record| {
        tokens(&[(Class::InputText, 1_000), (Class::OutputText, 333)])(record);
        record.evidence = Evidence::Estimated;
    });
    book.call("acme", "2026-11-06", "2026-11-06", HOSTILE, tokens(&million));
    for nano in [12_300_000, 4_560_000] {
        book.call("acme", "2026-11-07", "2026-11-07", "some/model", |record| {
            record.provider = "openrouter".to_owned();
            tokens(&[(Class::InputText, 2_000)])(record);
            record.provider_cost_nano_usd = Some(nano);
        });
    }
    book.call("acme", "2026-11-08", "2026-11-08", "gpt-5", |record| {
        tokens(&million)(record);
        record.flags = record.flags.with(Flag::NotBilled);
    });
    book.call("acme", "2026-11-08", "2026-11-08", "gpt-4.1", |record| {
        tokens(&million)(record);
        record.service_tier = Some("provisioned".to_owned());
    });
    let void = book.call("acme", "2026-11-09", "2026-11-09", "gpt-4.1", tokens(&million));
    book.correct(&void, "2026-11-09", None);
    // The price came late: what stands is charged by another entry of the book.
    let rerated = book.call("acme", "2026-11-10", "2026-11-10", "gpt-4.1", tokens(&million));
    let dearer = PriceBook::parse(&BOOK.replace("\"2.00\"", "\"2.20\"")).unwrap();
    let rating = Correction::rated(&dearer, &rerated, "acme").unwrap();
    book.correct(&rerated, "2026-11-11", Some(Instead { tenant: "acme".to_owned(), rating }));
    book.call("acme", "2026-11-12", "2026-11-12", "gpt-5", |record| {
        record.evidence = Evidence::Missing;
        record.deferred = Some(Deferred::Batch);
        record.unknown_usage = Some("usage.smells".to_owned());
    });
    book.call("acme/ml", "2026-11-13", "2026-11-13", "gpt-4.1", tokens(&[(Class::InputText, 2_500)]));
    book.call("acme/ops", "2026-11-13", "2026-11-13", "gpt-4.1", tokens(&[(Class::InputText, 2_500)]));
    book.call("acmeless", "2026-11-14", "2026-11-14", "gpt-4.1", tokens(&million));
    book.call("acme", "2026-12-01", "2026-12-01", "gpt-4.1", tokens(&million));
    book
}

#[test]
fn deterministic_a_statement_of_everything_is_what_it_was() {
    let book = filled();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/statement/golden");
    for (tenant, below, month, name) in [("acme", true, "2026-11", "november"), ("acme", false, "2026-10", "october")] {
        let statement = book.statement(tenant, below, month);
        let formats = [(Format::Text, "txt"), (Format::Csv, "csv"), (Format::Json, "json"), (Format::Html, "html")];
        for (format, end) in formats {
            let text = statement.render(format).unwrap();
            let file = dir.join(format!("{name}.{end}"));
            if std::env::var_os("MESHMETER_WRITE_GOLDEN").is_some() {
                std::fs::write(&file, &text).unwrap();
            }
            let expected = std::fs::read_to_string(&file).unwrap();
            assert!(text == expected, "{} is not what is made: MESHMETER_WRITE_GOLDEN=1 writes it", file.display());
        }
        let mut records = Vec::new();
        statement.records(book.ledger.store(), &mut records).unwrap();
        let file = dir.join(format!("{name}-records.csv"));
        if std::env::var_os("MESHMETER_WRITE_GOLDEN").is_some() {
            std::fs::write(&file, &records).unwrap();
        }
        assert!(records == std::fs::read(&file).unwrap(), "{}", file.display());
    }
}

/// The same figures by hand, so that no golden file is believed.
#[test]
fn deterministic_a_statement_adds_up_by_hand() {
    let statement = filled().statement("acme", false, "2026-11");
    let amount = |model: &str, item: &str, adjusts: &str| -> Vec<String> {
        let of = statement.shown().filter(|line| {
            let is_model = line.key.model == model && line.key.adjusts == adjusts;
            is_model && line.item == item
        });
        of.map(|line| line.exact.unwrap_or_else(|| "unpriced".to_owned())).collect()
    };
    let adjusted = "2026-10";
    for (model, item, adjusts, expected) in [
        // 1,234,567 at 2.50 and, estimated, 1,000; a million that is not billed.
        ("gpt-5", "input_text_tokens", "", &["3.0864175", "0.00", "0.0025"][..]),
        ("gpt-5", "cache_read_tokens", "", &["0.125"]),
        ("gpt-5", "output_text_tokens", "", &["3.45678", "0.00333"]),
        ("gpt-5", "web_searches", "", &["0.03"]),
        // 1.15 times 0.9 is 1.035: 0.035 of 6.6981975, and of 0.00583 what is estimated.
        ("gpt-5", "discount_or_markup", "", &["0.2344369125", "0.00020405"]),
        // A million that is prepaid; one at 2.00 that was taken back twice; one at 2.20.
        ("gpt-4.1", "input_text_tokens", "", &["2.20", "0.00"]),
        ("gpt-4.1", "discount_or_markup", "", &["0.33"]),
        ("some/model", "requests", "", &["0.01686"]),
        ("some/model", "discount_or_markup", "", &["0.002529"]),
        ("some/model", "input_text_tokens", "", &["0.00"]),
        (HOSTILE, "input_text_tokens", "", &["unpriced"]),
        ("gpt-5-mini", "input_text_tokens", adjusted, &["5.00"]),
        ("gpt-5-mini", "discount_or_markup", adjusted, &["0.175"]),
        ("gpt-5", "input_text_tokens", adjusted, &["-2.50"]),
        ("gpt-5", "discount_or_markup", adjusted, &["-0.0875"]),
    ] {
        let mut found = amount(model, item, adjusts);
        let mut expected = expected.to_vec();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{model} {item} {adjusts}");
    }
    assert_eq!(statement.total.exact.to_string(), "12.0755574625");
    assert_eq!((statement.total.rounded.to_string().as_str(), statement.total.calls), ("12.08", 9));
    assert_eq!(statement.notes.taken_back, 2);
}

#[test]
fn contract_calls_that_a_budget_refused_are_named_among_the_calls() {
    let mut book = Book::new();
    book.call("acme", "2026-11-04", "2026-11-04", "gpt-5", tokens(&[(Class::InputText, 5)]));
    let refused = |record: &mut Record| {
        (record.outcome, record.evidence) = (Outcome::Refused, Evidence::Missing);
        record.refused_by = Some("budget:small".to_owned());
    };
    book.call("acme", "2026-11-04", "2026-11-04", "gpt-5", refused);
    let void = book.call("acme", "2026-11-05", "2026-11-05", "gpt-5", refused);
    let note = |book: &Book, format| {
        let text = book.statement("acme", false, "2026-11").render(format).unwrap();
        text.lines().find(|line| line.contains("refused")).map(|line| line.trim().trim_end_matches(',').to_owned())
    };
    let says = "calls among these that were refused before they were sent, and cost nothing: 2";
    assert_eq!(note(&book, Format::Text).as_deref(), Some(says));
    assert!(note(&book, Format::Html).is_some_and(|line| line.contains(says)));
    assert_eq!(note(&book, Format::Json).as_deref(), Some("\"refused\": 2"));
    book.correct(&void, "2026-11-06", None);
    assert_eq!(note(&book, Format::Json).as_deref(), Some("\"refused\": 1"), "one was taken back");
}

#[test]
fn contract_calls_without_counts_are_named_among_the_calls_and_refused_ones_are_not() {
    let mut book = Book::new();
    book.call("acme", "2026-11-04", "2026-11-04", "gpt-5", tokens(&[(Class::InputText, 5)]));
    let missing = |record: &mut Record| record.evidence = Evidence::Missing;
    let notes = |book: &Book| {
        let [text, html, json] = [Format::Text, Format::Html, Format::Json]
            .map(|format| book.statement("acme", false, "2026-11").render(format).unwrap());
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let says = "calls among these without counts (missing), charged by a price per call or not at all: ";
        let count = |text: &str| {
            text.split_once(says).map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect::<String>())
        };
        (count(&text), count(&html), json["notes"]["missing"].as_i64())
    };
    assert_eq!(notes(&book), (None, None, Some(0)));
    let void = book.call("acme", "2026-11-04", "2026-11-04", "gpt-5", missing);
    book.call("acme", "2026-11-05", "2026-11-05", "gpt-5", missing);
    book.call("acme", "2026-11-05", "2026-11-05", "gpt-5", |record| {
        (record.outcome, record.evidence) = (Outcome::Refused, Evidence::Missing);
        record.refused_by = Some("budget:small".to_owned());
    });
    assert_eq!(notes(&book), (Some("2".to_owned()), Some("2".to_owned()), Some(2)));
    book.correct(&void, "2026-11-06", None);
    assert_eq!(notes(&book), (Some("1".to_owned()), Some("1".to_owned()), Some(1)), "one was taken back");
}

#[test]
fn contract_what_a_closed_month_had_no_price_for_is_no_lack_of_the_month_that_takes_it_back() {
    let mut book = Book::new();
    let own = book.call("acme", "2026-10-05", "2026-10-05", "late", tokens(&[(Class::InputText, 4_843)]));
    let void = book.call("acme", "2026-10-05", "2026-10-05", "late", tokens(&[(Class::InputText, 7)]));
    assert!(book.ledger.close_month("2026-10".parse().unwrap(), "invoiced", ns("2026-11-02")).unwrap().is_ok());
    let dearer = PriceBook::parse(&BOOK.replace("\"gpt-4.1\"", "\"late\"")).unwrap();
    let rating = Correction::rated(&dearer, &own, "acme").unwrap();
    book.correct(&own, "2026-11-03", Some(Instead { tenant: "acme".to_owned(), rating }));
    book.correct(&void, "2026-11-03", None);
    let render = |book: &Book, month: &str| {
        [Format::Text, Format::Csv, Format::Html, Format::Json]
            .map(|format| book.statement("acme", false, month).render(format).unwrap())
    };
    for text in render(&book, "2026-11") {
        assert!(text.contains("was_unpriced") && text.replace(',', "").contains("-4850"), "{text}");
        assert!(!text.replace("was_unpriced", "").contains("unpriced") && !text.contains("unknown and not"), "{text}");
    }
    let of = |book: &Book| {
        let statement = book.statement("acme", false, "2026-11");
        statement.shown().map(|line| (line.basis, line.quantity, line.amount)).collect::<Vec<_>>()
    };
    let amount = |text: &str| Some(text.to_owned());
    let expected = [
        ("was_unpriced", Some(-4_850), amount("0.00")),
        ("price", Some(4_843), amount("0.01")),
        ("discount_or_markup", None, amount("0.00")),
    ];
    assert_eq!(of(&book), expected);
    assert!(render(&book, "2026-10")[0].contains("unpriced: no price book had a price"), "what October says stays");
    // Its own, of the same model, is not hidden by that; nor is one of October that comes late and is more.
    book.call("acme", "2026-11-05", "2026-11-05", "late", tokens(&[(Class::InputText, 11)]));
    let unpriced = |book: &Book| of(book).into_iter().filter(|(basis, ..)| *basis == "unpriced").collect::<Vec<_>>();
    assert_eq!(unpriced(&book), [("unpriced", Some(11), None)]);
    book.call("acme", "2026-10-30", "2026-11-05", "late", tokens(&[(Class::InputText, 4_860)]));
    assert_eq!(unpriced(&book), [("unpriced", Some(11), None), ("unpriced", Some(10), None)]);
}

#[test]
fn contract_no_name_is_markup_or_steers_in_any_format() {
    let mut book = Book::new();
    let call = book.call("acme", "2026-11-04", "2026-11-04", HOSTILE, tokens(&[(Class::InputText, 5)]));
    let rating = rating_of(&call).unwrap();
    book.correct(&call, "2026-11-05", Some(Instead { tenant: HOSTILE.to_owned(), rating }));
    for below in [false, true] {
        let statement = book.statement(HOSTILE, below, "2026-11");
        for format in [Format::Text, Format::Csv, Format::Html] {
            let text = statement.render(format).unwrap();
            assert!(!text.contains('\u{202e}') && text.contains("\\u{202e}"), "{text}");
        }
        let csv = statement.render(Format::Csv).unwrap();
        assert!(csv.lines().nth(1).unwrap().starts_with("1,\"'=<b"), "a formula: {csv}");
        let json: serde_json::Value = serde_json::from_str(&statement.render(Format::Json).unwrap()).unwrap();
        assert_eq!((&json["tenant"], &json["lines"][0]["model"]), (&HOSTILE.into(), &HOSTILE.into()));
        well_formed(&statement.render(Format::Html).unwrap());
    }
}

#[test]
fn contract_the_page_is_well_formed_and_loads_and_runs_nothing() {
    let book = filled();
    for (below, month) in [(true, "2026-11"), (false, "2026-10"), (false, "2027-01")] {
        let html = book.statement("acme", below, month).render(Format::Html).unwrap();
        well_formed(&html);
        assert!(html.contains("@page"), "it is laid out for paper");
    }
}

/// Strictly: as XML, but for the elements that HTML leaves open. What is foreign is text.
fn well_formed(html: &str) {
    let open = ["<!DOCTYPE html>", "<meta charset=\"utf-8\">"];
    let policy = format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">", html::POLICY);
    let mut text = html.to_owned();
    for part in open.into_iter().chain([policy.as_str()]) {
        assert_eq!(text.matches(part).count(), 1, "{part}");
        text = text.replace(part, "");
    }
    let page = roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut has_name = false;
    for node in page.descendants() {
        let known = [
            "html", "head", "title", "style", "body", "h1", "h2", "dl", "dt", "dd", "code", "table", "thead", "tbody",
            "tfoot", "tr", "th", "td", "small", "bdi", "p", "ul", "li",
        ];
        assert!(!node.is_element() || known.contains(&node.tag_name().name()), "{node:?}");
        for attribute in node.attributes() {
            assert!(["lang", "class", "colspan"].contains(&attribute.name()), "{attribute:?}");
        }
        let foreign = node.text().is_some_and(|text| text.contains("onclick"));
        has_name |= foreign && node.text() == Some(printable(HOSTILE).as_str());
    }
    assert_eq!(has_name, html.contains("onclick"), "a name is shown as it is");
    for outside in ["http:", "https:", "//", "url(", "@import", "<script"] {
        assert!(!html.contains(outside), "{outside}");
    }
}
